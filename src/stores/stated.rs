//! What should be there: the listing that a store keeps beside a model, against the files that are.
//!
//! Source: huggingface_hub ([`crate::pins::HUGGINGFACE_HUB`]), `_tree_cache.py` (`trees/COMMIT.json`) and `_local_folder.py`
//! (`download/NAME.metadata`). Of a manifest the checkpoint brings what it states.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::names::{is_part, is_path_below};
use crate::checkpoint::{Boundary, Checkpoint, ShardName, StatedFile};
use crate::error::{Error, ErrorKind, Result};
use crate::format::{Budget, python_json};
use crate::text::shown_path;

/// Bytes of a listing: 100,000 files have some 30 MB; the largest repositories have a few thousand.
const MAX_LISTING: u64 = 32 << 20;
/// Memory for its tree.
const MAX_TREE: u64 = 256 << 20;
/// The one version of the format there is (`TREE_CACHE_FORMAT_VERSION`).
const FORMAT_VERSION: u64 = 1;
/// Bytes of the metadata of one download: a commit, an etag and a time.
const MAX_METADATA: u64 = 4096;
/// Files of metadata that are read.
const MAX_DOWNLOADS: usize = 20_000;

/// Formats of weights by their endings, the first being what loaders prefer.
const WEIGHTS: [&str; 11] = ["safetensors", "gguf", "bin", "pt", "pth", "ckpt", "h5", "msgpack", "onnx", "onnx_data", "npz"];

/// What should be there, and who says so.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stated {
    /// In words: the listing's own file, or what it is; escaped.
    pub source: String,
    /// The files; empty where nothing but downloads that were not finished is known.
    pub files: Vec<StatedFile>,
    /// Whether it names every file that there should be: the client's notes of single downloads do not.
    pub whole: bool,
    /// Downloads into the folder that were not finished, by their paths.
    pub unfinished: Vec<PathBuf>,
}

/// How what is there falls short of what should be.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lack<'a> {
    /// Files that are missing and without which the model is broken, with the reason.
    pub needed: Vec<(&'a StatedFile, &'static str)>,
    /// Files that are missing and can be left out by choice.
    pub left_out: Vec<&'a StatedFile>,
    /// Files of another length, with the one that was found.
    pub other_size: Vec<(&'a StatedFile, u64)>,
}

/// What a store states of a checkpoint: `None` where it keeps no listing of it.
///
/// # Errors
/// The listing is there and cannot be read.
pub fn stated(checkpoint: &Checkpoint) -> Result<Option<Stated>> {
    let listing = &checkpoint.listing;
    if let Some(files) = &listing.stated {
        return Ok(Some(Stated { source: "the manifest".to_owned(), files: files.clone(), whole: true, unfinished: Vec::new() }));
    }
    let root = &listing.root;
    if !checkpoint.path.is_dir() {
        return Ok(None);
    }
    if let Some(found) = of_snapshot(root)? {
        return Ok(Some(found));
    }
    of_downloads(root)
}

/// The listing of a snapshot in the hub cache.
fn of_snapshot(snapshot: &Path) -> Result<Option<Stated>> {
    let Ok(real) = snapshot.canonicalize() else { return Ok(None) };
    let Some(repo) = real.parent().filter(|folder| folder.ends_with("snapshots")).and_then(Path::parent) else { return Ok(None) };
    let Some(commit) = real.file_name().and_then(|name| name.to_str()) else { return Ok(None) };
    read_listing(repo, &repo.join("trees"), commit)
}

/// The listing of a folder that the client downloaded into, and what it notes of each download.
fn of_downloads(folder: &Path) -> Result<Option<Stated>> {
    let own = folder.join(".cache").join("huggingface");
    if !own.is_dir() {
        return Ok(None);
    }
    let boundary = Boundary::of(folder)?;
    let mut etags: BTreeMap<String, (String, String)> = BTreeMap::new();
    let (mut commits, mut unfinished) = (BTreeMap::<String, usize>::new(), Vec::new());
    let mut folders = vec![(own.join("download"), String::new(), 0)];
    let mut looked_at = 0;
    while let Some((place, prefix, depth)) = folders.pop() {
        for sub in super::entries(&place, true).into_iter().filter(|_| depth < 32) {
            folders.push((place.join(&sub), format!("{prefix}{sub}/"), depth + 1));
        }
        for name in super::entries(&place, false) {
            looked_at += 1;
            if looked_at > MAX_DOWNLOADS {
                return Ok(None);
            }
            let path = place.join(&name);
            if name.ends_with(".incomplete") {
                unfinished.push(path);
                continue;
            }
            let Some(file) = name.strip_suffix(".metadata") else { continue };
            let Ok(bytes) = boundary.find(&path, name.clone()).and_then(|found| found.read_small(MAX_METADATA)) else { continue };
            let text = String::from_utf8_lossy(&bytes);
            let mut lines = text.lines().map(str::trim);
            if let (Some(commit), Some(etag)) = (lines.next(), lines.next()) {
                *commits.entry(commit.to_owned()).or_default() += 1;
                etags.insert(format!("{prefix}{file}"), (commit.to_owned(), etag.to_ascii_lowercase()));
            }
        }
    }
    // Most of the files are of it.
    let commit = commits.iter().max_by_key(|(_, n)| **n).map(|(commit, _)| commit.clone());
    let listing = match &commit {
        Some(commit) if is_part(commit) => read_listing(folder, &own.join("trees"), commit)?,
        _ => None,
    };
    if listing.is_none() && etags.is_empty() && unfinished.is_empty() {
        return Ok(None);
    }
    let mut found = listing.unwrap_or_else(|| Stated { source: "the notes of its downloads".to_owned(), ..Stated::default() });
    if found.files.is_empty() {
        // Notes name no lengths: the one that is there stands.
        let bytes = |name: &str| boundary.find(&folder.join(name), name.to_owned()).ok().map(|found| found.bytes);
        for (name, (_, etag)) in etags {
            let sha256 = is_sha256(&etag).then_some(etag);
            found.files.extend(bytes(&name).map(|bytes| StatedFile { name, bytes, sha256 }));
        }
    } else if let Some(commit) = commit {
        // What was downloaded of another commit is by right not what this one has.
        found.files.retain(|file| etags.get(&file.name).is_none_or(|(of, _)| *of == commit));
    }
    found.unfinished = unfinished;
    Ok(Some(found))
}

fn read_listing(root: &Path, trees: &Path, commit: &str) -> Result<Option<Stated>> {
    let path = trees.join(format!("{commit}.json"));
    if !is_part(commit) || std::fs::symlink_metadata(&path).is_err() {
        return Ok(None);
    }
    let bytes = Boundary::of(root)?.find(&path, String::new())?.read_small(MAX_LISTING)?;
    let value = python_json(&bytes, &Budget::new(MAX_TREE)).map_err(|error| error.with_path(&path))?;
    if value.get("format_version").and_then(Value::as_u64) != Some(FORMAT_VERSION) {
        // The client passes over what a later one wrote.
        return Ok(None);
    }
    let odd = || Error::new(ErrorKind::Malformed, "is no listing of files as the hub client writes it").with_path(&path);
    let rows = value.get("files").and_then(Value::as_object).ok_or_else(odd)?;
    let mut files = Vec::with_capacity(rows.len());
    for (name, row) in rows {
        // What no path below the folder can be made of is no file of it.
        if !is_path_below(name) {
            continue;
        }
        let text = |field: &str| row.get(field).and_then(Value::as_str).map(str::to_ascii_lowercase);
        let number = |field: &str| row.get(field).and_then(Value::as_u64);
        let bytes = number("lfs_size").or_else(|| number("size")).ok_or_else(odd)?;
        files.push(StatedFile { name: name.clone(), bytes, sha256: text("lfs_sha256").filter(|hash| is_sha256(hash)) });
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Some(Stated { source: format!("the client's listing {}", shown_path(&path)), files, whole: true, unfinished: Vec::new() }))
}

fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Compares what is there with what should be.
pub fn lack<'a>(checkpoint: &Checkpoint, stated: &'a Stated) -> Lack<'a> {
    let here: HashMap<&str, u64> = checkpoint.listing.files.iter().map(|f| (f.name.as_str(), f.bytes)).collect();
    let mut lack = Lack::default();
    let mut missing = Vec::new();
    for file in &stated.files {
        match here.get(file.name.as_str()) {
            Some(bytes) if *bytes != file.bytes => lack.other_size.push((file, *bytes)),
            Some(_) => {}
            None => missing.push(file),
        }
    }
    if checkpoint.listing.stated.is_some() {
        // A manifest names what it is made of: nothing of it can be left out.
        lack.needed = missing.into_iter().map(|file| (file, "the manifest names it")).collect();
        return lack;
    }
    let sets = sets_here(here.keys().copied());
    let indexed = indexed(checkpoint);
    let empty = empty_folders(&here, &stated.files);
    for file in missing {
        match reason(file, &here, &sets, &indexed, &empty) {
            Some(why) => lack.needed.push((file, why)),
            None => lack.left_out.push(file),
        }
    }
    lack
}

/// Sets of shards of which some part is here: folder, name, count and ending.
type Sets<'a> = BTreeSet<(&'a str, &'a str, u64, &'a str)>;

fn split(name: &str) -> (&str, &str) {
    name.rsplit_once('/').unwrap_or(("", name))
}

fn set_of(name: &str) -> Option<(&str, &str, u64, &str)> {
    let (folder, base) = split(name);
    ShardName::parse(base).map(|shard| (folder, shard.prefix, shard.count, shard.extension))
}

fn sets_here<'a>(names: impl Iterator<Item = &'a str>) -> Sets<'a> {
    names.filter_map(set_of).collect()
}

/// Files that an index of the folder names, where the folder has any of its kind of weights.
fn indexed(checkpoint: &Checkpoint) -> BTreeSet<String> {
    let root = &checkpoint.listing.root;
    let names = checkpoint.indexes.iter().flat_map(|index| {
        let folder = index
            .path
            .parent()
            .and_then(|p| p.strip_prefix(root).ok())
            .map(|p| p.to_string_lossy().into_owned())
            .unwrap_or_default();
        index.files.keys().map(move |name| if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") })
    });
    names.collect()
}

/// Folders with a configuration and no weights at or below them although the listing names some there, with the format that loaders
/// would take of those.
fn empty_folders<'a>(here: &HashMap<&str, u64>, stated: &'a [StatedFile]) -> BTreeMap<&'a str, &'a str> {
    let mut formats: BTreeMap<&str, usize> = BTreeMap::new();
    for file in stated {
        let Some(rank) = rank(&file.name) else { continue };
        let best = formats.entry(split(&file.name).0).or_insert(rank);
        *best = rank.min(*best);
    }
    let configured = |folder: &str| {
        let at = |name: &str| if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
        here.contains_key(at("config.json").as_str()) || here.contains_key(at("adapter_config.json").as_str())
    };
    let holds = |folder: &str| {
        let below = |name: &&&str| folder.is_empty() || name.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
        here.keys().filter(below).any(|name| rank(name).is_some())
    };
    formats
        .into_iter()
        .filter(|(folder, _)| configured(folder) && !holds(folder))
        .map(|(folder, rank)| (folder, WEIGHTS[rank]))
        .collect()
}

fn extension(name: &str) -> &str {
    split(name).1.rsplit_once('.').map_or("", |(_, extension)| extension)
}

fn rank(name: &str) -> Option<usize> {
    // What trainers leave beside weights.
    let base = split(name).1;
    let state = ["optimizer", "scheduler", "training_args", "rng_state", "scaler"].iter().any(|stem| base.starts_with(stem));
    WEIGHTS.iter().position(|known| *known == extension(name)).filter(|_| !state)
}

/// Why a file that is missing cannot be left out; `None` where it can.
fn reason(
    file: &StatedFile,
    here: &HashMap<&str, u64>,
    sets: &Sets<'_>,
    indexed: &BTreeSet<String>,
    empty: &BTreeMap<&str, &str>,
) -> Option<&'static str> {
    let (folder, base) = split(&file.name);
    if indexed.contains(&file.name) {
        return Some("the shard index names it");
    }
    if set_of(&file.name).is_some_and(|set| sets.contains(&set)) {
        return Some("other shards of its set are here");
    }
    if empty.get(folder).is_some_and(|format| *format == extension(&file.name)) {
        return Some("no weights of this model are here");
    }
    let beside = |name: &str| here.keys().any(|n| split(n).0 == folder && extension(n) == name);
    let loads = base == "config.json" && beside("safetensors")
        || base == "adapter_config.json" && here.keys().any(|n| split(n).1 == "adapter_model.safetensors");
    loads.then_some("its weights are here and cannot be loaded without it")
}
