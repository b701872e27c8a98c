//! Opens a checkpoint: finds its files, reads their headers, and works out what the model is.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use super::discover::{self, Found, FoundFile, Listing, ShardName};
use super::index::ShardIndex;
use super::model_config::{self, ModelConfig};
use super::{Checkpoint, CheckpointFile, Component, TiedEmbeddings, WeightSet, assemble, folder, weight_sets};
use crate::error::{Error, ErrorKind, Result};
use crate::format::{self, Format, SecondOpinion, limits, second_opinion};
use crate::source::{FileSource, read_small};
use crate::text::{escape_limited, shown_path};
use crate::threads;
use crate::units::grouped;

/// How a path is taken.
#[derive(Debug, Clone, Copy, Default)]
pub struct OpenOptions {
    /// A shard stands for itself, not for its set.
    pub only_this_file: bool,
    /// The reference reader is asked about every file as well: [`CheckpointFile::opinion`].
    pub second_opinion: bool,
}

/// What is to be read, before anything of it was read.
#[derive(Default)]
pub(super) struct Plan {
    root: PathBuf,
    pub(super) files: Vec<FoundFile>,
    /// Names (relative to the root) that an index promises.
    indexed: HashSet<String>,
    problems: Vec<Error>,
    notes: Vec<String>,
    pub(super) indexes: Vec<ShardIndex>,
    unread: Vec<super::UnreadFile>,
    pub(super) listing: Listing,
    pipeline: bool,
}

/// Opens a file, a shard (its whole set), a shard index, a repo folder or a hub cache folder.
///
/// Files that cannot be read stand in [`Checkpoint::problems`] beside what could be.
///
/// # Errors
/// When nothing at all can be said: the path does not exist, or the one file asked for is no checkpoint.
pub fn open(path: &Path, options: &OpenOptions) -> Result<Checkpoint> {
    let metadata = std::fs::metadata(path).map_err(|e| missing_path(path, &e))?;
    let plan = plan(path, &metadata, options)?;
    let single = !metadata.is_dir() && plan.files.len() == 1 && plan.indexes.is_empty();
    read_plan(path, plan, single, options.second_opinion)
}

/// What a path stands for.
pub(super) fn plan(path: &Path, metadata: &std::fs::Metadata, options: &OpenOptions) -> Result<Plan> {
    if metadata.is_dir() {
        folder_plan(path)
    } else if is_index(path) {
        index_plan(path)
    } else {
        file_plan(path, options)
    }
}

/// A checkpoint of the tensors that a `config.json` declares, for a folder without weights or the file itself.
///
/// # Errors
/// There is no config.json, it cannot be read, or the tensors of its family are not known.
pub fn declared(path: &Path) -> Result<Checkpoint> {
    let metadata = std::fs::metadata(path).map_err(|e| missing_path(path, &e))?;
    let config_path = if metadata.is_dir() { path.join("config.json") } else { path.to_path_buf() };
    let (container, model, config) = super::declared::read(&config_path)?;
    let (tensor_bytes, name) = (container.tensor_bytes(), "config.json".to_owned());
    let set = WeightSet { name: "declared".to_owned(), files: vec![0], tensor_bytes, selected: true };
    let mut checkpoint = Checkpoint {
        path: path.to_path_buf(),
        files: vec![CheckpointFile {
            path: config_path,
            name,
            container,
            identity: None,
            opinion: SecondOpinion::NotAsked("there is no file of weights"),
        }],
        components: vec![Component { name: "model".to_owned(), weight_sets: vec![set] }],
        model,
        quantization: None,
        tied: TiedEmbeddings::NotApplicable,
        problems: Vec::new(),
        unread: Vec::new(),
        listing: Listing::default(),
        indexes: Vec::new(),
        declared: true,
        notes: vec!["no weights are here: the tensors are those that config.json declares, as one file".to_owned()],
        packed: std::collections::BTreeMap::new(),
        tensors: Vec::new(),
        config: Some(config),
    };
    assemble::select_tensors(&mut checkpoint);
    checkpoint.tied = TiedEmbeddings::of(&checkpoint);
    Ok(checkpoint)
}

fn missing_path(path: &Path, error: &std::io::Error) -> Error {
    let error = Error::io(path, "cannot open", error);
    if error.kind() == ErrorKind::NotFound { error.help("check the path; nothing is fetched from the network") } else { error }
}

fn is_index(path: &Path) -> bool {
    path.file_name().and_then(|n| n.to_str()).is_some_and(|n| n.ends_with(".index.json"))
}

/// A folder: everything in it.
fn folder_plan(path: &Path) -> Result<Plan> {
    let mut plan = Plan::default();
    plan.root = discover::resolve_folder(path, &mut plan.notes)?;
    let Found { files, problems, notes, passed_by } = discover::walk(&plan.root)?;
    plan.listing = Listing { root: plan.root.clone(), files: files.clone(), passed_by };
    plan.problems.extend(problems);
    plan.notes.extend(notes);
    plan.pipeline = files.iter().any(|f| f.name == "model_index.json");
    let indexes: Vec<&FoundFile> = files.iter().filter(|f| is_index(&f.path)).collect();
    if indexes.len() > limits::MAX_INDEXES {
        let message = format!("{} shard indexes, of which the first {} are read", indexes.len(), limits::MAX_INDEXES);
        plan.problems.push(Error::new(ErrorKind::Limit, message).with_path(&plan.root));
    }
    for file in indexes.into_iter().take(limits::MAX_INDEXES) {
        match ShardIndex::read(&file.path) {
            Ok(index) if file.name.ends_with(".safetensors.index.json") => plan.indexes.push(index),
            Ok(_) => {}
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
        let folder = relative(index.path.parent().unwrap_or(Path::new("")), &plan.root);
        for (name, file) in paths {
            let name_in_root = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
            if !present.contains(&name_in_root) {
                plan.problems.push(missing_shard(&file, index, &name));
            }
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
fn index_plan(path: &Path) -> Result<Plan> {
    let index = ShardIndex::read(path)?;
    let mut plan = Plan { root: path.parent().unwrap_or(Path::new("")).to_path_buf(), ..Plan::default() };
    let (paths, problems) = index.paths();
    plan.problems.extend(problems);
    for (name, file) in paths {
        match std::fs::metadata(&file) {
            Ok(metadata) => plan.files.push(FoundFile { path: file, name: name.clone(), bytes: metadata.len() }),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => plan.problems.push(missing_shard(&file, &index, &name)),
            Err(e) => plan.problems.push(Error::io(&file, "cannot stat", &e)),
        }
        plan.indexed.insert(name);
    }
    plan.indexes.push(index);
    Ok(plan)
}

/// One file, and the shards of its set unless only the file is asked for.
fn file_plan(path: &Path, options: &OpenOptions) -> Result<Plan> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let base = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let mut plan = Plan { root: folder.to_path_buf(), ..Plan::default() };
    let bytes = std::fs::metadata(path).map_err(|e| Error::io(path, "cannot stat", &e))?.len();
    let this = FoundFile { path: path.to_path_buf(), name: base.clone(), bytes };
    let Some(shard) = ShardName::parse(&base).filter(|_| !options.only_this_file) else {
        plan.files.push(this);
        return Ok(plan);
    };
    let index = folder.join(format!("{}.safetensors.index.json", shard.prefix));
    if shard.extension == "safetensors" && index.is_file() {
        let mut from_index = index_plan(&index)?;
        if from_index.indexed.contains(&base) {
            from_index.notes.push(format!(
                "{} is one of {} shards; all of them are read",
                escape_limited(&base, 80),
                from_index.indexed.len()
            ));
            return Ok(from_index);
        }
    }
    let entries = std::fs::read_dir(folder).map_err(|e| Error::io(folder, "cannot list", &e))?;
    for entry in entries.filter_map(std::result::Result::ok) {
        let name = entry.file_name().to_string_lossy().into_owned();
        if ShardName::parse(&name).is_some_and(|other| other.same_set(&shard)) {
            let bytes = std::fs::metadata(entry.path()).map_or(0, |m| m.len());
            plan.files.push(FoundFile { path: entry.path(), name, bytes });
        }
    }
    plan.files.sort_by(|a, b| a.name.cmp(&b.name));
    plan.problems.extend(numbering_gaps(&plan));
    if plan.files.len() > 1 {
        plan.notes.push(format!("{} is one of {} shards; all of them are read", escape_limited(&base, 80), plan.files.len()));
    }
    Ok(plan)
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
    let mut sets: BTreeMap<Set<'_>, (&FoundFile, HashSet<u64>, usize)> = BTreeMap::new();
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
        let digits = base.rsplit_once("-of-").and_then(|(rest, _)| rest.rsplit_once('-')).map_or(5, |(_, number)| number.len());
        let set = sets.entry((folder, shard.prefix, shard.count, shard.extension));
        set.or_insert_with(|| (file, HashSet::new(), digits)).1.insert(shard.number);
    }
    sets.into_iter()
        .filter_map(|((_, prefix, count, extension), (file, numbers, digits))| {
            // Numbering starts at 0 in some repos; there the last one may be COUNT - 1 or COUNT.
            let zero_based = numbers.contains(&0);
            let wanted =
                if zero_based { 0..numbers.iter().max().map_or(0, |m| m + 1).max(count) } else { 1..count.saturating_add(1) };
            let name = |n: u64| escape_limited(&format!("{prefix}-{n:0digits$}-of-{count:0digits$}.{extension}"), 80);
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

fn nothing_here(path: &Path, plan: &Plan) -> Error {
    let bytes: u64 = plan.unread.iter().map(|f| f.bytes).sum();
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

fn relative(path: &Path, root: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).to_string_lossy().replace(std::path::MAIN_SEPARATOR, "/")
}

/// Reads the headers and puts everything together.
fn read_plan(path: &Path, mut plan: Plan, single: bool, ask: bool) -> Result<Checkpoint> {
    if plan.listing.files.is_empty() {
        plan.listing = Listing { root: plan.root.clone(), files: plan.files.clone(), passed_by: Vec::new() };
    }
    // Headers are read side by side: a hundred shards wait for a disk, or parse, together.
    let reads = threads::each(&plan.files, 1, |_, found| {
        let source = FileSource::open(&found.path)?;
        let (container, opinion) = source.read_whole(|source| {
            let container = format::read(source)?;
            let opinion = if ask { second_opinion(source, &container)? } else { SecondOpinion::NotAsked("nobody wanted to know") };
            Ok((container, opinion))
        })?;
        Ok::<_, Error>((source.opened_identity(), container, opinion))
    });
    let mut files = Vec::with_capacity(plan.files.len());
    for (found, read) in plan.files.iter().zip(reads) {
        match read {
            Ok((identity, container, opinion)) => {
                files.push(CheckpointFile {
                    path: found.path.clone(),
                    name: found.name.clone(),
                    container,
                    identity: Some(identity),
                    opinion,
                });
            }
            Err(error) if single => return Err(error),
            Err(error) => plan.problems.push(error),
        }
    }
    let indexed: HashSet<usize> =
        files.iter().enumerate().filter(|(_, f)| plan.indexed.contains(&f.name)).map(|(i, _)| i).collect();
    let components = weight_sets::group(&files, &indexed, plan.pipeline);
    compare_indexes(&plan.indexes, &files, &plan.root, &mut plan.notes);
    let (model, config) = model_facts(&plan.root, &files, &components, &mut plan.problems);
    let mut checkpoint = Checkpoint {
        path: path.to_path_buf(),
        files,
        components,
        model,
        quantization: None,
        tied: TiedEmbeddings::NotApplicable,
        problems: plan.problems,
        unread: plan.unread,
        listing: plan.listing,
        indexes: plan.indexes,
        declared: false,
        notes: plan.notes,
        packed: std::collections::BTreeMap::new(),
        tensors: Vec::new(),
        config,
    };
    assemble::select_tensors(&mut checkpoint);
    checkpoint.tied = TiedEmbeddings::of(&checkpoint);
    Ok(checkpoint)
}

/// An index whose figures are not those of the files it names.
fn compare_indexes(indexes: &[ShardIndex], files: &[CheckpointFile], root: &Path, notes: &mut Vec<String>) {
    for index in indexes {
        let folder = relative(index.path.parent().unwrap_or(Path::new("")), root);
        let named = |f: &&CheckpointFile| {
            let base = if folder.is_empty() {
                Some(f.name.as_str())
            } else {
                f.name.strip_prefix(&folder).and_then(|n| n.strip_prefix('/'))
            };
            base.is_some_and(|base| index.files.contains_key(base))
        };
        let of_index: Vec<&CheckpointFile> = files.iter().filter(named).collect();
        if of_index.len() < index.files.len() {
            continue;
        }
        let tensors: u64 = of_index.iter().map(|f| f.container.tensors.len() as u64).sum();
        let bytes = of_index.iter().fold(0u64, |sum, f| sum.saturating_add(f.container.tensor_bytes()));
        let shown = shown_path(&index.path);
        if tensors != index.tensors {
            notes.push(format!("{shown} names {} tensors; its files hold {}", grouped(index.tensors), grouped(tensors)));
        }
        if let Some(total) = index.total_size.as_ref().and_then(|t| t.value).filter(|total| *total != bytes) {
            notes.push(format!("{shown} says total_size {}; its files hold {} bytes of tensors", grouped(total), grouped(bytes)));
        }
    }
}

/// Architecture facts of the main component: its GGUF keys, or the config.json beside it.
fn model_facts(
    root: &Path,
    files: &[CheckpointFile],
    components: &[Component],
    problems: &mut Vec<Error>,
) -> (ModelConfig, Option<serde_json::Value>) {
    let main = components.iter().find(|c| c.name != "mmproj" && c.name != "adapter").or(components.first());
    let first = main.and_then(|c| c.weight_sets.iter().find(|s| s.selected)).and_then(|s| s.files.first()).map(|&i| &files[i]);
    if let Some(file) = first.filter(|f| f.container.format == Format::Gguf) {
        let has_tensor = |name: &str| file.container.tensors.iter().any(|t| file.container.name_bytes(t) == name.as_bytes());
        let mut model = model_config::from_gguf(&file.container.metadata, &has_tensor);
        model.origin = Some(file.name.clone());
        return (model, None);
    }
    // A component's own config stands in its folder (diffusers), the model's in the root.
    let folder = main.filter(|c| c.name != "model" && !c.name.contains("model/")).map(|c| root.join(&c.name));
    let candidates = folder.into_iter().chain([root.to_path_buf()]).map(|f| f.join("config.json"));
    for path in candidates.filter(|p| p.is_file()) {
        match read_small(&path, limits::MAX_CONFIG).and_then(|bytes| parse_config(&path, &bytes)) {
            Ok(mut value) => {
                add_quantize_config(&path, &mut value);
                let mut model = model_config::from_config_json(&value);
                model.origin = Some(relative(&path, root));
                return (model, Some(value));
            }
            Err(error) => problems.push(error),
        }
    }
    (ModelConfig::default(), None)
}

/// Old GPTQ repos keep their quantization beside config.json.
fn add_quantize_config(config: &Path, value: &mut serde_json::Value) {
    let beside = config.with_file_name("quantize_config.json");
    let Some(object) = value.as_object_mut().filter(|o| !o.contains_key("quantization_config") && beside.is_file()) else { return };
    let quantization = read_small(&beside, limits::MAX_CONFIG).and_then(|bytes| parse_config(&beside, &bytes));
    if let Ok(mut quantization) = quantization {
        if let Some(fields) = quantization.as_object_mut() {
            fields.entry("quant_method").or_insert_with(|| "gptq".into());
        }
        object.insert("quantization_config".to_owned(), quantization);
    }
}

fn parse_config(path: &Path, bytes: &[u8]) -> Result<serde_json::Value> {
    serde_json::from_slice(bytes).map_err(|e| {
        let reason = escape_limited(&e.to_string(), 120);
        Error::new(ErrorKind::Malformed, format!("not JSON: {reason}")).with_path(path)
    })
}
