//! Opens a checkpoint: finds its files, reads their headers, and works out what the model is.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use super::boundary::{Boundary, FoundFile};
use super::config::{self, KvLayers, ModelConfig};
use super::discover::{Listing, name_in};
use super::index::ShardIndex;
use super::plan::{Plan, base_name, plan};
use super::{Checkpoint, CheckpointFile, Component, TiedEmbeddings, WeightSet, assemble, hub_cache, weight_sets};
use crate::error::{Error, ErrorKind, Result};
use crate::format::{self, Budget, Format, SecondOpinion, limits, python_json, second_opinion};
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
/// When nothing at all can be said: the path does not exist, or the one file asked for is no checkpoint.
pub fn open(path: &Path, options: &OpenOptions) -> Result<Checkpoint> {
    let metadata = std::fs::metadata(path).map_err(|e| missing_path(path, &e))?;
    let plan = plan(path, &metadata, options)?;
    let single = !metadata.is_dir() && plan.files.len() == 1 && plan.indexes.is_empty();
    read_plan(path, plan, single, options.second_opinion)
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
        config: Some(config.into()),
    };
    assemble::select_tensors(&mut checkpoint);
    checkpoint.tied = TiedEmbeddings::of(&checkpoint);
    Ok(checkpoint)
}

fn missing_path(path: &Path, error: &std::io::Error) -> Error {
    let error = Error::io(path, "cannot open", error);
    if error.kind() == ErrorKind::NotFound { error.help("check the path; nothing is fetched from the network") } else { error }
}

/// Reads the headers and puts everything together.
fn read_plan(path: &Path, mut plan: Plan, single: bool, ask: bool) -> Result<Checkpoint> {
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
    let indexed: HashSet<usize> =
        files.iter().enumerate().filter(|(_, f)| plan.indexed.contains(&f.name)).map(|(i, _)| i).collect();
    let config_of = |folder: &str| stated_config(&plan.root, &plan.boundary, folder);
    let sets = weight_sets::group(&files, &indexed, plan.pipeline, &config_of);
    let components = sets.components;
    plan.problems.extend(weight_sets::missing_ranks(&components, &files));
    compare_indexes(&plan.indexes, &files, &plan.root, &mut plan.notes);
    let (model, config) = model_facts(&plan.root, &plan.boundary, &files, &components, &mut plan.problems);
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
        compared_bytes: sets.bytes_read,
        packed: std::collections::BTreeMap::new(),
        tensors: Vec::new(),
        config,
    };
    assemble::select_tensors(&mut checkpoint);
    checkpoint.tied = TiedEmbeddings::of(&checkpoint);
    Ok(checkpoint)
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

/// The configuration that stands for a folder: its own, or that of the root.
fn stated_config(root: &Path, boundary: &Arc<Boundary>, folder: &str) -> Option<serde_json::Value> {
    let candidates = [root.join(folder), root.to_path_buf()].map(|f| f.join("config.json"));
    let path = candidates.into_iter().find(|p| p.is_file())?;
    let budget = Budget::new(limits::MAX_CONFIG_TREES);
    let bytes = boundary.find(&path, String::new()).and_then(|found| found.read_small(limits::MAX_CONFIG)).ok()?;
    parse_config(&path, &bytes, &budget).ok()
}

/// Architecture facts of the main component: its GGUF keys, or the config.json beside it.
fn model_facts(
    root: &Path,
    boundary: &Arc<Boundary>,
    files: &[CheckpointFile],
    components: &[Component],
    problems: &mut Vec<Error>,
) -> (ModelConfig, Option<Arc<serde_json::Value>>) {
    let main = components.iter().find(|c| c.name != "mmproj" && c.name != "adapter").or(components.first());
    let first = main.and_then(|c| c.weight_sets.iter().find(|s| s.selected)).and_then(|s| s.files.first()).map(|&i| &files[i]);
    if let Some(file) = first.filter(|f| f.container.format == Format::Gguf) {
        let has_tensor = |name: &str| file.container.tensors.iter().any(|t| file.container.name_bytes(t) == name.as_bytes());
        let mut model = config::from_gguf(&file.container.metadata, &has_tensor);
        model.origin = Some(file.name.clone());
        return (model, None);
    }
    // A component's own config stands in its folder (diffusers), the model's in the root.
    let folder = main.filter(|c| c.name != "model" && !c.name.contains("model/")).map(|c| root.join(&c.name));
    let candidates = folder.into_iter().chain([root.to_path_buf()]).map(|f| f.join("config.json"));
    let budget = Budget::new(limits::MAX_CONFIG_TREES);
    // A configuration that is there and cannot be read is not the same as none.
    let mut unread = None;
    for path in candidates.filter(|p| p.symlink_metadata().is_ok()) {
        let name = name_in(root, &path);
        let read = boundary.find(&path, name.clone()).and_then(|found| found.read_small(limits::MAX_CONFIG));
        match read.and_then(|bytes| parse_config(&path, &bytes, &budget)) {
            Ok(mut value) => {
                problems.extend(add_quantize_config(&path, boundary, &mut value, &budget));
                let mut model = config::from_config_json(&value);
                model.origin = Some(name);
                return (model, Some(value.into()));
            }
            Err(error) => {
                let kv = KvLayers::Refused(format!("{} cannot be read: {}", escape_limited(&name, 80), error.message()));
                unread.get_or_insert(ModelConfig { kv, ..ModelConfig::default() });
                // Links to nothing and folders are told where the files are listed.
                let told = problems.iter().any(|p| p.path() == Some(&path));
                if !told && (path.is_file() || error.kind() == ErrorKind::OutsideFolder) {
                    problems.push(error);
                }
            }
        }
    }
    (unread.unwrap_or_default(), None)
}

/// Old GPTQ repos keep their quantization beside config.json. Gives what is there and not taken in, so that it is not thought absent.
fn add_quantize_config(config: &Path, boundary: &Arc<Boundary>, value: &mut serde_json::Value, budget: &Budget) -> Option<Error> {
    let beside = config.with_file_name("quantize_config.json");
    let object = value.as_object_mut().filter(|o| !o.contains_key("quantization_config"))?;
    let found = boundary.find(&beside, String::new()).ok()?;
    match found.read_small(limits::MAX_CONFIG).and_then(|bytes| parse_config(&beside, &bytes, budget)) {
        Ok(mut quantization) => {
            if let Some(fields) = quantization.as_object_mut() {
                fields.entry("quant_method").or_insert_with(|| "gptq".into());
            }
            object.insert("quantization_config".to_owned(), quantization);
            None
        }
        Err(error) => Some(error).filter(|error| error.kind() == ErrorKind::Limit),
    }
}

fn parse_config(path: &Path, bytes: &[u8], budget: &Budget) -> Result<serde_json::Value> {
    python_json(bytes, budget).map_err(|error| error.with_path(path))
}
