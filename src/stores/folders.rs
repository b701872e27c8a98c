//! Models in folders that are no store.

use std::path::{Path, PathBuf};

use super::{STORES, Store, entries};
use crate::checkpoint::ShardName;

/// Folders that are looked at, and how deep.
const MAX_FOLDERS: usize = 100_000;
const MAX_DEPTH: usize = 12;

/// What is found in a folder.
pub(super) struct Place {
    /// The file or folder.
    pub(super) path: PathBuf,
    /// The store that it is the root of; `None` for one model: a folder, or a file that is one by itself.
    pub(super) store: Option<&'static dyn Store>,
}

impl Place {
    fn model(path: PathBuf) -> Self {
        Self { path, store: None }
    }
}

/// The models in a folder, in the order of names. A folder that has a configuration, or weights in safetensors, is one model with all
/// that lies below it; of other folders every GGUF file is one, or every set of them. Stores below it are told as such.
pub(super) fn places(folder: &Path) -> Vec<Place> {
    let mut found = Vec::new();
    let mut left = MAX_FOLDERS;
    walk(folder, 0, &mut left, &mut found);
    found
}

fn walk(folder: &Path, depth: usize, left: &mut usize, found: &mut Vec<Place>) {
    if depth > MAX_DEPTH || *left == 0 {
        return;
    }
    *left -= 1;
    if let Some(store) = STORES.iter().copied().find(|store| store.is_root(folder)) {
        return found.push(Place { path: folder.to_path_buf(), store: Some(store) });
    }
    // Links to files are followed by whoever opens them, in the bounds of the folder.
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .take(super::MAX_ENTRIES)
        .filter_map(|entry| entry.ok().filter(|e| e.file_type().is_ok_and(|kind| !kind.is_dir()))?.file_name().into_string().ok())
        .collect();
    names.sort();
    let is = |name: &str| names.iter().any(|n| n == name);
    let configured = is("config.json") || is("model_index.json") || is("adapter_config.json") || is("params.json");
    // A configuration without weights, in whatever format, is no model on this machine.
    let weights = is("model_index.json") || names.iter().any(|name| is_weights(name));
    let whole = names.iter().any(|name| name.ends_with(".safetensors") || name.ends_with(".safetensors.index.json"));
    let main: Vec<&String> = names.iter().filter(|name| is_model(name)).collect();
    if whole || configured && weights && main.is_empty() || main.len() == 1 && !has_folders(folder) {
        return found.push(Place::model(folder.to_path_buf()));
    }
    found.extend(main.into_iter().map(|name| Place::model(folder.join(name))));
    if configured {
        return;
    }
    for name in entries(folder, true).into_iter().filter(|name| !name.starts_with('.')) {
        walk(&folder.join(name), depth + 1, left, found);
    }
}

/// Whether a name is that of weights which are not read by name alone: pickles and what other frameworks write.
fn is_weights(name: &str) -> bool {
    ["bin", "pt", "pth", "ckpt", "h5", "msgpack", "onnx", "npz"]
        .iter()
        .any(|ending| name.rsplit_once('.').is_some_and(|(_, e)| e == *ending))
}

fn has_folders(folder: &Path) -> bool {
    entries(folder, true).iter().any(|name| !name.starts_with('.'))
}

/// Whether a file is a model by itself: a GGUF file that is no later part of a set and no projector.
pub(super) fn is_model(name: &str) -> bool {
    let projector = name.to_ascii_lowercase().contains("mmproj");
    name.ends_with(".gguf") && !projector && ShardName::parse(name).is_none_or(|shard| shard.number <= 1)
}
