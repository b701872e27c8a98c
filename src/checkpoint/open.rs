//! Opens a checkpoint: finds its files, reads their headers, and works out what the model is.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::boundary::{Boundary, FoundFile};
use super::config::{self, ModelConfig};
use super::configuration::{self, Configuration};
use super::discover::{Listing, name_in};
use super::index::ShardIndex;
use super::plan::{Plan, base_name, nothing_here, plan};
use super::weight_sets::{Grouped, Surroundings};
use super::{
    Checkpoint, CheckpointFile, Component, TiedEmbeddings, UnreadFile, WeightSet, adapter, assemble, hub_cache, model_place,
    weight_sets,
};
use crate::error::{Error, ErrorKind, Result};
use crate::format::{self, Format, SecondOpinion, limits, second_opinion};
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

/// Opens a file, a shard (its whole set), a shard index, a repo folder or a hub cache folder.
///
/// Files that cannot be read stand in [`Checkpoint::problems`] beside what could be.
///
/// # Errors
/// When nothing at all can be said: the path does not exist, or the one file asked for is no checkpoint. [`ErrorKind::SeveralModels`] for a
/// folder that holds several models: [`models_in`](super::models_in) lists them.
pub fn open(path: &Path, options: &OpenOptions) -> Result<Checkpoint> {
    let read = read_path(path, options)?;
    if read.models.len() > 1 { Err(model_place::several(path, &read.models)) } else { Ok(put_together(path, read)) }
}

/// The files of a path with what they are to each other, before anything is summed up.
pub(super) struct Read {
    pub(super) root: PathBuf,
    pub(super) files: Vec<CheckpointFile>,
    pub(super) components: Vec<Component>,
    pub(super) models: Vec<weight_sets::OneModel>,
    plan: Plan,
    compared_bytes: u64,
}

/// Reads the headers of the files of a path and groups them.
pub(super) fn read_path(path: &Path, options: &OpenOptions) -> Result<Read> {
    let metadata = std::fs::metadata(path).map_err(|e| missing_path(path, &e))?;
    let plan = plan(path, &metadata, options)?;
    let single = !metadata.is_dir() && plan.files.len() == 1 && plan.indexes.is_empty();
    read_plan(path, plan, metadata.is_dir(), single, options.second_opinion)
}

/// Opens files that were found one by one and lie below `root`, under names that stand for them: `path` is what was asked for, `config` the
/// configuration among them, `problems` what was not found.
///
/// # Errors
/// There is no root.
pub(crate) fn open_named(
    path: &Path,
    root: &Path,
    files: Vec<FoundFile>,
    config: Option<FoundFile>,
    problems: Vec<Error>,
    options: &OpenOptions,
) -> Result<Checkpoint> {
    let mut plan = Plan::of(root.to_path_buf(), Boundary::of(root)?);
    (plan.files, plan.problems) = (files, problems);
    plan.files.sort_by(|a, b| a.name.cmp(&b.name));
    if plan.files.is_empty() && plan.problems.is_empty() {
        plan.problems.push(Error::new(ErrorKind::WrongContent, "names no blob of weights").with_path(path));
    }
    let mut checkpoint = put_together(path, read_plan(path, plan, false, false, options.second_opinion)?);
    let Some(found) = config.filter(|_| checkpoint.model.origin.is_none()) else { return Ok(checkpoint) };
    match configuration::of_file(&found) {
        Ok((model, config)) => {
            (checkpoint.model, checkpoint.config) = (model, Some(config.into()));
            assemble::select_tensors(&mut checkpoint);
            checkpoint.tied = TiedEmbeddings::of(&checkpoint);
        }
        Err(error) => checkpoint.problems.push(error),
    }
    Ok(checkpoint)
}

/// A checkpoint of the tensors that a `config.json` declares, for a folder without weights or the file itself.
///
/// # Errors
/// There is no config.json, it cannot be read, or the tensors of its family are not known.
pub fn declared(path: &Path) -> Result<Checkpoint> {
    let metadata = std::fs::metadata(path).map_err(|e| missing_path(path, &e))?;
    let mut notes = Vec::new();
    let file = if metadata.is_dir() {
        let resolved = hub_cache::resolve(path, &mut notes)?;
        resolved.boundary.find(&resolved.root.join("config.json"), "config.json".to_owned())?
    } else {
        FoundFile::named(path, base_name(path))?
    };
    notes.push("no weights are here: the tensors are those that config.json declares, as one file".to_owned());
    let (container, model, config) = super::declared::read(&file)?;
    let (tensor_bytes, name) = (container.tensor_bytes(), "config.json".to_owned());
    let set = WeightSet { name: "declared".to_owned(), files: vec![0], tensor_bytes, selected: true, against: None, ranks: None };
    let mut checkpoint = Checkpoint {
        path: path.to_path_buf(),
        files: vec![CheckpointFile {
            path: file.path,
            name,
            container,
            identity: None,
            opinion: SecondOpinion::NotAsked("there is no file of weights"),
        }],
        components: vec![Component { name: "model".to_owned(), weight_sets: vec![set] }],
        model,
        adapters: Vec::new(),
        quantization: None,
        tied: TiedEmbeddings::NotApplicable,
        problems: Vec::new(),
        unread: Vec::new(),
        listing: Listing::default(),
        indexes: Vec::new(),
        declared: true,
        notes,
        compared_bytes: 0,
        packed: std::collections::BTreeMap::new(),
        tensors: Vec::new(),
        config: Some(Configuration::of_value(config).into()),
    };
    assemble::select_tensors(&mut checkpoint);
    checkpoint.tied = TiedEmbeddings::of(&checkpoint);
    Ok(checkpoint)
}

fn missing_path(path: &Path, error: &std::io::Error) -> Error {
    let error = Error::io(path, "cannot open", error);
    if error.kind() == ErrorKind::NotFound { error.help("check the path; nothing is fetched from the network") } else { error }
}

/// Reads the headers and groups the files.
fn read_plan(path: &Path, mut plan: Plan, is_folder: bool, single: bool, ask: bool) -> Result<Read> {
    if plan.listing.files.is_empty() {
        plan.listing = Listing { root: plan.root.clone(), files: plan.files.clone(), ..Listing::default() };
    }
    // Headers are read side by side: a hundred shards wait for a disk, or parse, together.
    let within = within_limit(&plan.files);
    let reads = threads::each(&plan.files, 1, |i, found| {
        within[i].clone()?;
        let source = found.open()?;
        let (container, opinion) = source.read_whole(|source| {
            let container = format::read(source)?;
            let opinion = if ask { second_opinion(source, &container)? } else { SecondOpinion::NotAsked("it was not asked") };
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
    plan.tell_stale_indexes(&files);
    let by_index = plan.by_index();
    let indexed = files.iter().enumerate().filter_map(|(i, f)| Some((i, *by_index.get(&f.name)?))).collect();
    let configured = plan.configured();
    let around = Surroundings {
        indexed: &indexed,
        pipeline: plan.pipeline,
        is_folder,
        config: &|folder| configuration::stated(&plan.root, &plan.boundary, folder),
        configured: &|folder| configured.contains(folder),
    };
    let Grouped { components, bytes_read, others, missing, models } = weight_sets::group(&files, &around);
    for (i, what) in others {
        let (name, bytes) = (files[i].name.clone(), files[i].container.file_len);
        if !is_folder {
            plan.notes.push(format!("{}: {what}", escape_limited(&name, 120)));
            continue;
        }
        plan.unread.push(UnreadFile { name, bytes, reason: what.to_owned() });
    }
    plan.unread.sort_by(|a, b| a.name.cmp(&b.name));
    if components.is_empty() && !files.is_empty() && is_folder {
        plan.problems.push(nothing_here(path, &plan));
    }
    plan.problems.extend(missing);
    plan.problems.extend(weight_sets::missing_ranks(&components, &files));
    plan.leave_out_strays(&components, &files);
    plan.tell_splits(&components, &files);
    Ok(Read { root: plan.root.clone(), files, components, models, plan, compared_bytes: bytes_read })
}

/// Puts everything together.
fn put_together(path: &Path, read: Read) -> Checkpoint {
    let Read { root, files, components, mut plan, compared_bytes, .. } = read;
    compare_indexes(&plan.indexes, &files, &root, &mut plan.notes);
    let (model, config) = model_facts(&root, &plan.boundary, &files, &components, &mut plan.problems);
    let mut checkpoint = Checkpoint {
        path: path.to_path_buf(),
        files,
        components,
        model,
        adapters: Vec::new(),
        quantization: None,
        tied: TiedEmbeddings::NotApplicable,
        problems: plan.problems,
        unread: plan.unread,
        listing: plan.listing,
        indexes: plan.indexes,
        declared: false,
        notes: plan.notes,
        compared_bytes,
        packed: std::collections::BTreeMap::new(),
        tensors: Vec::new(),
        config,
    };
    assemble::select_tensors(&mut checkpoint);
    checkpoint.tied = TiedEmbeddings::of(&checkpoint);
    checkpoint.adapters = adapter::read(&checkpoint, &root, &plan.boundary);
    checkpoint
}

/// Whether each of the files is read: what their headers take in memory adds up.
fn within_limit(files: &[FoundFile]) -> Vec<Result<()>> {
    if files.len() < 2 {
        return vec![Ok(()); files.len()];
    }
    let costs = threads::each(files, 1, |_, found| found.open()?.read_whole(|source| format::header_cost(source)));
    let mut taken = 0u64;
    let mut within = |(cost, found): (Result<u64>, &FoundFile)| {
        let sum = taken.saturating_add(cost?);
        if sum > limits::MAX_HEADERS {
            let message =
                format!("not read: with it, the headers take more than the {} MiB that are read", limits::MAX_HEADERS >> 20);
            return Err(Error::new(ErrorKind::Limit, message).with_path(&found.path));
        }
        taken = sum;
        Ok(())
    };
    costs.into_iter().zip(files).map(&mut within).collect()
}

/// An index whose figures are not those of the files it names.
fn compare_indexes(indexes: &[ShardIndex], files: &[CheckpointFile], root: &Path, notes: &mut Vec<String>) {
    for index in indexes {
        let folder = name_in(root, index.path.parent().unwrap_or(Path::new("")));
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
    boundary: &Arc<Boundary>,
    files: &[CheckpointFile],
    components: &[Component],
    problems: &mut Vec<Error>,
) -> (ModelConfig, Option<Arc<Configuration>>) {
    let main = components.iter().find(|c| c.name != "mmproj" && c.name != "adapter").or(components.first());
    let set = main.and_then(|c| c.weight_sets.iter().find(|s| s.selected));
    let first = set.and_then(|s| s.files.first()).map(|&i| &files[i]);
    if let Some(file) = first.filter(|f| f.container.format == Format::Gguf) {
        // The output head stands in the last part of a split.
        let parts = || set.into_iter().flat_map(|s| &s.files).map(|&i| &files[i].container);
        let has_tensor = |name: &str| parts().any(|c| c.tensors.iter().any(|t| c.name_bytes(t) == name.as_bytes()));
        let mut model = config::from_gguf(&file.container.metadata, &has_tensor);
        model.origin = Some(file.name.clone());
        return (model, None);
    }
    // A component's own config stands in its folder (diffusers), the model's in the root.
    let folder = main.filter(|c| c.name != "model" && !c.name.contains("model/")).map(|c| root.join(&c.name));
    configuration::read(root, boundary, folder, problems)
}
