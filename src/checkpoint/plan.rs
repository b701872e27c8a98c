//! Which files are to be read: of a folder, a shard index, a file with the shards of its set.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::boundary::{Boundary, FoundFile};
use super::discover::{self, Found, Listing, ShardName, name_in};
use super::hub_cache::{self, Resolved};
use super::index::{ShardIndex, is_shard_index};
use super::{OpenOptions, UnreadFile, folder};
use crate::error::{Error, ErrorKind, Result};
use crate::format::limits;
use crate::text::escape_limited;
use crate::units::{grouped, sum_up};

/// What is to be read, before anything of it was read.
pub(super) struct Plan {
    pub(super) root: PathBuf,
    /// What may be opened on behalf of the root.
    pub(super) boundary: Arc<Boundary>,
    pub(super) files: Vec<FoundFile>,
    /// Names (relative to the root) that an index promises.
    pub(super) indexed: HashSet<String>,
    pub(super) problems: Vec<Error>,
    pub(super) notes: Vec<String>,
    pub(super) indexes: Vec<ShardIndex>,
    pub(super) unread: Vec<UnreadFile>,
    pub(super) listing: Listing,
    pub(super) pipeline: bool,
}

impl Plan {
    /// Nothing yet of a folder.
    pub(super) fn of(root: PathBuf, boundary: Arc<Boundary>) -> Self {
        Self {
            root,
            boundary,
            files: Vec::new(),
            indexed: HashSet::new(),
            problems: Vec::new(),
            notes: Vec::new(),
            indexes: Vec::new(),
            unread: Vec::new(),
            listing: Listing::default(),
            pipeline: false,
        }
    }

    /// The index that names each file, by the names relative to the root.
    pub(super) fn by_index(&self) -> HashMap<String, usize> {
        let mut by_index = HashMap::new();
        for (number, index) in self.indexes.iter().enumerate().filter(|(_, index)| !index.of_another_save) {
            let folder = name_in(&self.root, index.path.parent().unwrap_or(Path::new("")));
            for name in index.files.keys() {
                let name = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
                by_index.entry(name).or_insert(number);
            }
        }
        by_index
    }

    /// Folders that have a configuration or a shard index of their own, relative to the root.
    pub(super) fn configured(&self) -> HashSet<String> {
        let folder_of_config = |file: &FoundFile| {
            let (folder, base) = file.name.rsplit_once('/').unwrap_or(("", &file.name));
            (CONFIGURATIONS.contains(&base) || is_shard_index(base)).then(|| folder.to_owned())
        };
        self.listing.files.iter().filter_map(folder_of_config).collect()
    }
}

/// Files that say what the weights beside and below them are: of transformers and others, Mistral, diffusers, sentence-transformers, PEFT.
const CONFIGURATIONS: [&str; 5] = ["config.json", "params.json", "model_index.json", "modules.json", "adapter_config.json"];

/// What is to be read where this path is given.
///
/// # Errors
/// The path cannot be listed, or names a file that cannot be opened.
pub(super) fn plan(path: &Path, metadata: &std::fs::Metadata, options: &OpenOptions) -> Result<Plan> {
    if metadata.is_dir() {
        folder_plan(path)
    } else if is_index(path) {
        index_plan(&FoundFile::named(path, base_name(path))?)
    } else {
        file_plan(path, options)
    }
}

/// Whether a path is that of a shard index, by its name.
fn is_index(path: &Path) -> bool {
    is_shard_index(&base_name(path))
}

/// The file name of a path.
pub(super) fn base_name(path: &Path) -> String {
    path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
}

/// A folder: everything in it.
fn folder_plan(path: &Path) -> Result<Plan> {
    plan_of(path, true)
}

/// The folder of a repository, where all weights that are listed lie in one of a hub cache.
fn only_repository(files: &[FoundFile]) -> Option<&str> {
    let repository = |name: &str| {
        let mut end = 0;
        name.split('/').find_map(|part| {
            end += part.len() + 1;
            (part.starts_with("models--") && end < name.len()).then_some(end - 1)
        })
    };
    let mut weights = files.iter().filter(|file| folder::is_weight_file(&file.name));
    let first = &weights.next()?.name;
    let repo = &first[..repository(first)?];
    weights.all(|file| repository(&file.name).is_some_and(|end| &file.name[..end] == repo)).then_some(repo)
}

fn plan_of(path: &Path, is_cache: bool) -> Result<Plan> {
    let mut resolved = Vec::new();
    let Resolved { root, boundary, repo } = hub_cache::resolve(path, &mut resolved)?;
    let mut plan = Plan::of(root, boundary);
    let Found { files, problems, notes, passed_by } = discover::walk(&plan.root, &plan.boundary);
    if let Some(repo) = only_repository(&files).filter(|_| is_cache && repo.is_none()) {
        return plan_of(&plan.root.join(repo), false);
    }
    plan.listing = Listing { root: plan.root.clone(), files: files.clone(), passed_by, repo, ..Listing::default() };
    plan.problems.extend(problems);
    plan.notes = resolved.into_iter().chain(notes).collect();
    plan.pipeline = files.iter().any(|f| f.name == "model_index.json");
    let indexes: Vec<&FoundFile> = files.iter().filter(|f| is_index(&f.path)).collect();
    if indexes.len() > limits::MAX_INDEXES {
        let message = format!("{} shard indexes, of which the first {} are read", indexes.len(), limits::MAX_INDEXES);
        plan.problems.push(Error::new(ErrorKind::Limit, message).with_path(&plan.root));
    }
    for file in indexes.into_iter().take(limits::MAX_INDEXES) {
        match ShardIndex::read(file) {
            Ok(index) if file.name.ends_with(".safetensors.index.json") => plan.indexes.push(index),
            // Of other frameworks and of variants: their files need not be here, but a loader follows every name.
            Ok(index) => {
                let (paths, problems) = index.paths();
                plan.listing.indexed.extend(paths.iter().map(|(_, path)| name_in(&plan.root, path)));
                plan.problems.extend(problems);
            }
            Err(error) => plan.problems.push(error),
        }
    }
    let (weights, others): (Vec<FoundFile>, Vec<FoundFile>) = files.into_iter().partition(|f| folder::is_weight_file(&f.name));
    plan.unread = folder::unread_weights(&others, &mut plan.problems);
    plan.files = weights;
    let present: HashSet<String> = plan.files.iter().map(|f| f.name.clone()).collect();
    for index in &plan.indexes {
        let (paths, problems) = index.paths();
        plan.problems.extend(problems);
        let folder = name_in(&plan.root, index.path.parent().unwrap_or(Path::new("")));
        for (name, file) in paths {
            let name_in_root = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
            if !present.contains(&name_in_root) {
                plan.problems.push(missing_shard(&file, index, &name));
            }
            plan.listing.indexed.insert(name_in_root.clone());
            plan.indexed.insert(name_in_root);
        }
    }
    plan.problems.extend(numbering_gaps(&plan));
    if plan.files.is_empty() {
        plan.problems.push(nothing_here(path, &plan));
    }
    Ok(plan)
}

/// A shard index: the files it names, and nothing else.
fn index_plan(file: &FoundFile) -> Result<Plan> {
    let index = ShardIndex::read(file)?;
    let root = folder_of(&file.path);
    let mut plan = Plan::of(root.to_path_buf(), Boundary::of(root)?);
    let (paths, problems) = index.paths();
    plan.problems.extend(problems);
    for (name, file) in paths {
        match plan.boundary.find(&file, name.clone()) {
            Ok(found) => plan.files.push(found),
            Err(e) if e.kind() == ErrorKind::NotFound => plan.problems.push(missing_shard(&file, &index, &name)),
            Err(e) => plan.problems.push(e),
        }
        plan.indexed.insert(name);
    }
    plan.indexes.push(index);
    Ok(plan)
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// One file, and the shards of its set unless only the file is asked for.
fn file_plan(path: &Path, options: &OpenOptions) -> Result<Plan> {
    let folder = folder_of(path);
    let base = base_name(path);
    let mut plan = Plan::of(folder.to_path_buf(), Boundary::of(folder)?);
    plan.files.push(FoundFile::named(path, base.clone())?);
    let Some(shard) = ShardName::parse(&base).filter(|_| !options.only_this_file) else { return Ok(plan) };
    let index = format!("{}.safetensors.index.json", shard.prefix);
    if shard.extension == "safetensors" {
        match plan.boundary.find(&folder.join(&index), index) {
            Ok(index) => {
                let mut from_index = index_plan(&index)?;
                if from_index.indexed.contains(&base) {
                    from_index.notes.push(set_note(&base, from_index.indexed.len()));
                    return Ok(from_index);
                }
            }
            Err(error) if error.kind() == ErrorKind::OutsideFolder => plan.problems.push(error),
            Err(_) => {}
        }
    }
    let entries = std::fs::read_dir(folder).map_err(|e| Error::io(folder, "cannot list", &e))?;
    for entry in entries.filter_map(std::result::Result::ok) {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name != base && ShardName::parse(&name).is_some_and(|other| other.same_set(&shard)) {
            match plan.boundary.find(&entry.path(), name) {
                Ok(found) => plan.files.push(found),
                Err(error) => plan.problems.push(error),
            }
        }
    }
    plan.files.sort_by(|a, b| a.name.cmp(&b.name));
    plan.problems.extend(numbering_gaps(&plan));
    if plan.files.len() > 1 {
        plan.notes.push(set_note(&base, plan.files.len()));
    }
    Ok(plan)
}

fn set_note(base: &str, shards: usize) -> String {
    format!("{} is one of {shards} shards; all of them are read", escape_limited(base, 80))
}

fn missing_shard(file: &Path, index: &ShardIndex, name: &str) -> Error {
    let tensors = index.files.get(name).copied().unwrap_or(0);
    Error::new(ErrorKind::MissingShard, format!("named by the shard index for {tensors} tensors, but the file is missing"))
        .with_path(file)
        .help("fetch this file")
}

/// Shards that the file names promise and that are not there. Sets that an index describes are checked against it instead.
fn numbering_gaps(plan: &Plan) -> Vec<Error> {
    type Set<'a> = (&'a str, &'a str, u64, &'a str);
    type Numbers<'a> = (&'a FoundFile, HashSet<u64>, (usize, usize));
    let mut sets: BTreeMap<Set<'_>, Numbers<'_>> = BTreeMap::new();
    let place = |name: &'_ str| {
        let (folder, base) = name.rsplit_once('/').unwrap_or(("", name));
        ShardName::parse(base).map(|shard| (folder.to_owned(), shard.prefix.to_owned()))
    };
    let described: HashSet<(String, String)> = plan.indexed.iter().filter_map(|name| place(name)).collect();
    for file in plan.files.iter().filter(|f| !plan.indexed.contains(&f.name)) {
        let (folder, base) = file.name.rsplit_once('/').unwrap_or(("", &file.name));
        let Some(shard) = ShardName::parse(base) else { continue };
        if described.contains(&(folder.to_owned(), shard.prefix.to_owned())) {
            continue; // a stray beside a set that an index describes
        }
        // Numbers are as wide as they are written: `-00001-of-000163`.
        let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
        let (rest, count) = base.rsplit_once("-of-").unwrap_or((base, ""));
        let widths = (rest.rsplit_once('-').map_or(5, |(_, number)| number.len()), digits(count));
        let set = sets.entry((folder, shard.prefix, shard.count, shard.extension));
        set.or_insert_with(|| (file, HashSet::new(), widths)).1.insert(shard.number);
    }
    sets.into_iter()
        .filter_map(|((_, prefix, count, extension), (file, numbers, (width, of_count)))| {
            // Numbering starts at 0 in some repos; there the last one may be COUNT - 1 or COUNT.
            let zero_based = numbers.contains(&0);
            let wanted =
                if zero_based { 0..numbers.iter().max().map_or(0, |m| m + 1).max(count) } else { 1..count.saturating_add(1) };
            let name = |n: u64| escape_limited(&format!("{prefix}-{n:0width$}-of-{count:0of_count$}.{extension}"), 80);
            let missing: Vec<String> = wanted.clone().filter(|n| !numbers.contains(n)).take(4).map(name).collect();
            let lost = wanted.end.saturating_sub(wanted.start).saturating_sub(numbers.len() as u64);
            let more = lost.saturating_sub(missing.len() as u64);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            (!missing.is_empty()).then(|| {
                let message = format!("one of {count} shards, of which {lost} are missing: {}{more}", missing.join(", "));
                Error::new(ErrorKind::MissingShard, message)
                    .with_path(&file.path)
                    .help("fetch the missing shards, or use --only-this-file")
            })
        })
        .collect()
}

pub(super) fn nothing_here(path: &Path, plan: &Plan) -> Error {
    let bytes = sum_up(plan.unread.iter().map(|f| f.bytes));
    let message = if plan.unread.is_empty() {
        "holds no .safetensors and no .gguf file".to_owned()
    } else {
        format!(
            "holds no .safetensors and no .gguf file; {} other weight files ({} bytes) are not read",
            plan.unread.len(),
            grouped(bytes)
        )
    };
    let help = if plan.unread.is_empty() {
        "give a checkpoint file or a repo folder"
    } else {
        "convert them to safetensors in a place you trust"
    };
    Error::new(ErrorKind::WrongContent, message).with_path(path).help(help)
}
