//! Every model of a machine: what it is, whether it is whole, and what lies there twice.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::resolve::{LocalModel, Located, below};
use super::{Environment, Store, lack, stated};
use crate::checkpoint::{Checkpoint, FoundFile, OpenOptions, models_in, stated_sha256};
use crate::error::{Error, ErrorKind};
use crate::format::Format;
use crate::source::{Identity, Source, read_exact_at};
use crate::threads;

/// Bytes of a file's head that are compared where no hash is stated.
const HEAD: u64 = 1 << 20;

/// A path in JSON: bytes that are no UTF-8 become U+FFFD.
pub(super) fn lossy<S: serde::Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
}

fn all_lossy<S: serde::Serializer>(paths: &[PathBuf], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(paths.iter().map(|path| path.to_string_lossy()))
}

/// A model as the list shows it; the names are those of the JSON.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Stored {
    /// The name in its store, or the path.
    pub name: String,
    /// The store; null for a folder that is none.
    pub store: Option<&'static str>,
    /// How it is given to other commands.
    pub address: String,
    /// The file or folder that stands for it.
    #[serde(serialize_with = "lossy")]
    pub path: PathBuf,
    /// `safetensors`, `gguf` or `mixed`; null where nothing could be read.
    pub format: Option<&'static str>,
    /// Logical parameters; null where nothing could be read.
    pub logical_params: Option<u64>,
    /// Bytes of the selected tensors; null where nothing could be read.
    pub tensor_bytes: Option<u64>,
    /// Bytes of all its files, each once.
    pub file_bytes: u64,
    /// How its weights are stored: the method, or the type of most bytes.
    pub quantization: Option<String>,
    /// The commit or the digest of the manifest.
    pub revision: Option<String>,
    /// Whether all is there: `None` where nothing states what should be.
    pub complete: Option<bool>,
    /// Files that are missing and needed, or of another length.
    pub missing_files: Vec<String>,
    /// Files that the listing names and that were left out by choice.
    pub left_out_files: u64,
    /// Addresses of other models that have the same weights.
    pub same_as: Vec<String>,
    /// Whether it fits a budget; null where none was asked for.
    pub verdict: Option<&'static str>,
    /// When it was last written, in seconds since 1970.
    pub modified: Option<u64>,
    /// Why it could not be read, or what of it; escaped.
    pub problems: Vec<String>,
    #[serde(skip)]
    files: Vec<Stretch>,
}

/// A file of a model.
#[derive(Debug, Clone, PartialEq)]
struct Stretch {
    found: FoundFile,
    sha256: Option<String>,
    weights: bool,
}

/// Sums over the list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct InventoryTotals {
    /// Rows.
    pub models: u64,
    /// Bytes on disk, each file once.
    pub bytes: u64,
    /// Bytes that several names have in common, beyond the first.
    pub shared_bytes: u64,
    /// Bytes of files that lie on disk again under another name.
    pub duplicate_bytes: u64,
}

/// A file that lies on disk more than once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Duplicate {
    /// Bytes of one of them.
    pub bytes: u64,
    /// `stated-hash`, or `likely`: of the same length, with the same head, and no hash to tell.
    pub basis: &'static str,
    /// The stated SHA-256.
    pub sha256: Option<String>,
    /// The models that have it.
    pub models: Vec<String>,
    /// Where it lies.
    #[serde(serialize_with = "all_lossy")]
    pub paths: Vec<PathBuf>,
}

/// The list.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Inventory {
    /// A row a model, of every revision.
    pub models: Vec<Stored>,
    /// Sums.
    pub totals: InventoryTotals,
    /// What lies there more than once, most bytes first.
    pub duplicates: Vec<Duplicate>,
    /// Stores and folders that were looked at; escaped where they are shown.
    #[serde(serialize_with = "all_lossy")]
    pub looked_at: Vec<PathBuf>,
}

/// In which order a list stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// Most bytes first.
    #[default]
    Size,
    /// By name.
    Name,
    /// The last written first.
    Date,
}

impl crate::choice::Choice for Order {
    const NAMES: &'static [(&'static str, Self, &'static str)] = &[
        ("size", Self::Size, "most bytes first"),
        ("name", Self::Name, "by name"),
        ("date", Self::Date, "the last written first"),
    ];
    const WHAT: &'static str = "order";
}

/// Lists models: those of every store, or of the stores and places that are named.
pub fn inventory(stores: &[&dyn Store], paths: &[&Path], environment: &Environment) -> Inventory {
    let mut found: Vec<LocalModel> = Vec::new();
    let mut looked_at = Vec::new();
    for store in stores {
        for root in store.roots(environment) {
            found.extend(store.list(&root));
            looked_at.push(root);
        }
    }
    for path in paths {
        found.extend(below(path));
        looked_at.push(path.to_path_buf());
    }
    // A folder can be given twice, and lie in a store too.
    let mut seen = BTreeSet::new();
    found.retain(|model| seen.insert((model.path().to_path_buf(), model.name.clone())));
    let mut models: Vec<Stored> = threads::each(&found, 1, |_, model| rows(model)).into_iter().flatten().collect();
    let duplicates = duplicates(&mut models);
    let totals = totals(&models, &duplicates);
    sort(&mut models, Order::default());
    Inventory { models, totals, duplicates, looked_at }
}

/// Sorts rows.
pub fn sort(models: &mut [Stored], order: Order) {
    let name = |m: &Stored| (m.name.clone(), m.store, m.revision.clone());
    match order {
        Order::Name => models.sort_by_cached_key(name),
        Order::Size => models.sort_by_cached_key(|m| (std::cmp::Reverse(m.file_bytes), name(m))),
        Order::Date => models.sort_by_cached_key(|m| (std::cmp::Reverse(m.modified), name(m))),
    }
}

/// The row of a model, or of each model where it turns out that several lie there.
fn rows(model: &LocalModel) -> Vec<Stored> {
    match model.open(&OpenOptions::default()) {
        Err(error) if error.kind() == ErrorKind::SeveralModels => {
            let places = models_in(model.path()).unwrap_or_default();
            let parts = places.iter().map(|place| model.part(place));
            parts.map(|part| row(&part, part.open(&OpenOptions::default()))).collect()
        }
        opened => vec![row(model, opened)],
    }
}

/// The row of what could not be opened.
fn unread(mut row: Stored, error: &Error) -> Stored {
    row.complete = Some(false);
    row.file_bytes = std::fs::metadata(&row.path).map_or(0, |m| if m.is_file() { m.len() } else { 0 });
    row.problems.push(error.to_string());
    row
}

fn row(model: &LocalModel, opened: Result<Checkpoint, Error>) -> Stored {
    let mut row = Stored {
        name: model.name.clone(),
        store: model.store,
        address: model.address.clone(),
        path: model.path().to_path_buf(),
        revision: model.revision.clone(),
        ..Stored::default()
    };
    match opened {
        Ok(checkpoint) => {
            fill(&mut row, &checkpoint, model);
            row
        }
        Err(error) => unread(row, &error),
    }
}

fn fill(row: &mut Stored, checkpoint: &Checkpoint, model: &LocalModel) {
    if !checkpoint.files.is_empty() {
        row.format = Some(checkpoint.format().map_or("mixed", Format::name));
        row.logical_params = Some(checkpoint.logical_params());
        row.tensor_bytes = Some(checkpoint.tensor_bytes());
        row.quantization = quantization(checkpoint);
    }
    row.problems = checkpoint.problems.iter().map(ToString::to_string).collect();
    let stated = stated(checkpoint).unwrap_or_else(|error| {
        row.problems.push(error.to_string());
        None
    });
    let hashes: HashMap<&str, &str> =
        stated.iter().flat_map(|s| &s.files).filter_map(|f| Some((f.name.as_str(), f.sha256.as_deref()?))).collect();
    let weights: BTreeSet<&str> = checkpoint.files.iter().map(|f| f.name.as_str()).collect();
    let of_file = |found: &FoundFile| Stretch {
        sha256: stated_sha256(&found.path).or_else(|| hashes.get(found.name.as_str()).map(|hash| (*hash).to_owned())),
        weights: weights.contains(found.name.as_str()),
        found: found.clone(),
    };
    row.files = checkpoint.listing.files.iter().map(of_file).collect();
    let mut seen = BTreeSet::new();
    for file in &row.files {
        if seen.insert(place(file.found.identity(), &file.found.path)) {
            row.file_bytes = row.file_bytes.saturating_add(file.found.bytes);
        }
    }
    let newest = row.files.iter().map(|f| f.found.identity().mtime_ns).max();
    let written = || std::fs::metadata(&row.path).ok()?.modified().ok()?.duration_since(UNIX_EPOCH).ok();
    let of_manifest = matches!(model.target, Located::Manifest(_));
    row.modified = match newest.filter(|_| !of_manifest) {
        Some(ns) => u64::try_from(ns / 1_000_000_000).ok(),
        None => written().map(|time| time.as_secs()),
    };
    if let Some(stated) = &stated {
        let lack = lack(checkpoint, stated);
        let needed = lack.needed.iter().map(|(file, _)| file.name.clone());
        row.missing_files = needed.chain(lack.other_size.iter().map(|(file, _)| file.name.clone())).collect();
        row.left_out_files = lack.left_out.len() as u64;
        if stated.whole {
            row.complete = Some(row.missing_files.is_empty());
        }
        if !stated.unfinished.is_empty() {
            row.complete = Some(false);
            row.problems.push(format!("{} downloads were not finished", stated.unfinished.len()));
        }
    }
    if !checkpoint.is_read_whole() {
        row.complete = Some(false);
    }
}

/// The method of packed weights, or the dtype of most bytes.
fn quantization(checkpoint: &Checkpoint) -> Option<String> {
    // Of GGUF files the type of most bytes says more than how types are called together.
    let packed = checkpoint.quantization.as_ref().filter(|_| checkpoint.format() != Some(Format::Gguf));
    if let Some(quantization) = packed {
        return Some(quantization.method.to_string());
    }
    let mut bytes: BTreeMap<&str, u64> = BTreeMap::new();
    let tensors: Vec<_> = checkpoint.tensors().collect();
    for tensor in &tensors {
        let sum = bytes.entry(tensor.dtype_name()).or_default();
        *sum = sum.saturating_add(tensor.info.bytes);
    }
    bytes.into_iter().max_by_key(|(_, bytes)| *bytes).map(|(name, _)| name.to_owned())
}

/// Which file it is, under whatever names.
type Inode = (u64, u64, PathBuf);

fn place(identity: Identity, path: &Path) -> Inode {
    let named = if identity.inode == 0 { path.to_path_buf() } else { PathBuf::new() };
    (identity.device, identity.inode, named)
}

fn totals(models: &[Stored], duplicates: &[Duplicate]) -> InventoryTotals {
    let mut totals = InventoryTotals { models: models.len() as u64, ..InventoryTotals::default() };
    let mut seen = BTreeSet::new();
    for model in models {
        let mut of_model = BTreeSet::new();
        for file in &model.files {
            let place = place(file.found.identity(), &file.found.path);
            if !of_model.insert(place.clone()) {
                continue;
            }
            let sum = if seen.insert(place) { &mut totals.bytes } else { &mut totals.shared_bytes };
            *sum = sum.saturating_add(file.found.bytes);
        }
        if model.files.is_empty() {
            totals.bytes = totals.bytes.saturating_add(model.file_bytes);
        }
    }
    let again = |d: &Duplicate| d.bytes.saturating_mul(d.paths.len() as u64 - 1);
    totals.duplicate_bytes = duplicates.iter().fold(0u64, |sum, d| sum.saturating_add(again(d)));
    totals
}

/// Who has a file: a model and its place among the files of that.
type Users = Vec<(usize, usize)>;

/// What tells a file from others: its hash, or its length and head.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Mark {
    Stated(String),
    Head(u64, Vec<u8>),
}

/// Finds files of weights that are alike, and fills `same_as`.
fn duplicates(models: &mut [Stored]) -> Vec<Duplicate> {
    // Only lengths that are there more than once are looked at.
    let mut by_size: BTreeMap<u64, BTreeMap<Inode, Users>> = BTreeMap::new();
    for (m, model) in models.iter().enumerate() {
        for (f, file) in model.files.iter().enumerate().filter(|(_, f)| f.weights) {
            let place = place(file.found.identity(), &file.found.path);
            by_size.entry(file.found.bytes).or_default().entry(place).or_default().push((m, f));
        }
    }
    let mut alike: BTreeMap<Mark, Vec<&Users>> = BTreeMap::new();
    let mut shared: Vec<&Users> = Vec::new();
    for files in by_size.values() {
        let rows: Vec<&Users> = files.values().collect();
        shared.extend(rows.iter().copied());
        if rows.len() < 2 {
            continue;
        }
        let hash = |users: &&Users| users.iter().find_map(|&(m, f)| models[m].files[f].sha256.clone());
        let all_stated = rows.iter().all(|users| hash(users).is_some());
        let heads = if all_stated {
            Vec::new()
        } else {
            threads::each(&rows, 1, |_, users| head(&models[users[0].0].files[users[0].1].found))
        };
        // Where one of them has no stated hash, heads tell; equal hashes have equal heads.
        let mut heads_alike: BTreeMap<&Vec<u8>, Vec<usize>> = BTreeMap::new();
        for (i, head) in heads.iter().enumerate() {
            if let Some(head) = head {
                heads_alike.entry(head).or_default().push(i);
            }
        }
        let mut told = BTreeSet::new();
        for (head, group) in heads_alike.into_iter().filter(|(_, group)| group.len() > 1) {
            let hashes: BTreeSet<String> = group.iter().filter_map(|&i| hash(&rows[i])).collect();
            // With two hashes among them it is not known which the others are.
            if hashes.len() <= 1 && group.iter().any(|&i| hash(&rows[i]).is_none()) {
                let bytes = models[rows[group[0]][0].0].files[rows[group[0]][0].1].found.bytes;
                alike.entry(Mark::Head(bytes, head.clone())).or_default().extend(group.iter().map(|&i| rows[i]));
                told.extend(group);
            }
        }
        for (i, users) in rows.iter().enumerate().filter(|(i, _)| !told.contains(i)) {
            if let Some(hash) = hash(users) {
                alike.entry(Mark::Stated(hash)).or_default().push(rows[i]);
            }
        }
    }
    let groups: Vec<(Mark, Vec<&Users>)> = alike.into_iter().filter(|(_, files)| files.len() > 1).collect();
    let same =
        same_models(models, shared.into_iter().map(|users| vec![users]).chain(groups.iter().map(|(_, files)| files.clone())));
    let row = |(mark, files): &(Mark, Vec<&Users>)| {
        let users: BTreeSet<String> =
            files.iter().flat_map(|users| users.iter().map(|&(m, _)| models[m].address.clone())).collect();
        let (m, f) = files[0][0];
        let (basis, sha256) = match mark {
            Mark::Stated(hash) => ("stated-hash", Some(hash.clone())),
            Mark::Head(..) => ("likely", None),
        };
        let bytes = models[m].files[f].found.bytes;
        let paths = files.iter().map(|users| models[users[0].0].files[users[0].1].found.path.clone()).collect();
        Duplicate { bytes, basis, sha256, models: users.into_iter().collect(), paths }
    };
    let mut rows: Vec<Duplicate> = groups.iter().map(row).collect();
    rows.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.paths.cmp(&b.paths)));
    for (model, same) in models.iter_mut().zip(same) {
        model.same_as = same;
    }
    rows
}

/// Of every model, those whose weights are all among its own, or the other way about.
fn same_models<'a>(models: &[Stored], groups: impl Iterator<Item = Vec<&'a Users>>) -> Vec<Vec<String>> {
    let weights = |m: usize| models[m].files.iter().filter(|f| f.weights).count();
    let mut common: BTreeMap<(usize, usize), BTreeSet<usize>> = BTreeMap::new();
    for group in groups {
        let users: Users = group.into_iter().flatten().copied().collect();
        // Of a file that a thousand models have, what they have in common is not told pair by pair.
        for &(m, f) in users.iter().take(64) {
            for &(other, _) in users.iter().take(64).filter(|(other, _)| *other != m) {
                common.entry((m, other)).or_default().insert(f);
            }
        }
    }
    let mut same: Vec<BTreeSet<String>> = vec![BTreeSet::new(); models.len()];
    for ((m, other), files) in &common {
        if files.len() == weights(*m) {
            same[*m].insert(models[*other].address.clone());
            same[*other].insert(models[*m].address.clone());
        }
    }
    let unlike = |(m, same): (usize, BTreeSet<String>)| same.into_iter().filter(|address| *address != models[m].address).collect();
    same.into_iter().enumerate().map(unlike).collect()
}

/// The hash of a file's head.
fn head(found: &FoundFile) -> Option<Vec<u8>> {
    let source = found.open().ok()?;
    let mut bytes = vec![0; usize::try_from(source.len().min(HEAD)).ok()?];
    read_exact_at(&source, 0, &mut bytes).ok()?;
    Some(Sha256::digest(&bytes).to_vec())
}
