//! A shard index against the headers of the files it names, as a stream: linear in tensors and files.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::discover::name_in;
use super::index::ShardIndex;
use super::plan::Plan;
use super::weight_sets::module_of;
use super::{Checkpoint, CheckpointFile};
use crate::error::{ErrorKind, Result};

/// Examples that are kept of each kind; the rest is counted.
const KEPT: usize = 3;

/// A tensor about which index and files differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexedTensor {
    /// Its name.
    pub name: String,
    /// The file that the index, or the first of two files, gives it.
    pub stated: String,
    /// The file that holds it, or the second of two.
    pub actual: Option<String>,
    /// What else differs; escaped.
    pub remark: Option<String>,
}

/// How many tensors differ in one way, with the first of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many.
    pub count: u64,
    /// The first few.
    pub first: Vec<IndexedTensor>,
}

impl Tally {
    fn add(&mut self, tensor: impl FnOnce() -> IndexedTensor) {
        self.count += 1;
        if self.first.len() < KEPT {
            self.first.push(tensor());
        }
    }
}

/// What differs between an index and its files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IndexCheck {
    /// Named by the index, in none of its files. Tensors of files that are missing or unreadable are not among them.
    pub missing: Tally,
    /// In another file than the index says.
    pub elsewhere: Tally,
    /// In a file of the index, not named by it.
    pub unnamed: Tally,
    /// In two files of the index.
    pub twice: Tally,
    /// Twice in the index.
    pub named_twice: Tally,
    /// Files of the index that were read.
    pub files_read: u64,
    /// Bytes of the tensors in them, each name once.
    pub tensor_bytes: u64,
    /// Stored elements of the tensors in them, each name once.
    pub elements: u64,
}

/// Of a hundred tensors of an index, how many must stand in other files for it to be of another save.
const MOST: u64 = 90;

impl Plan {
    /// Indexes that were left behind: none of their files is here, and the modules that they name stand in other files of their folder,
    /// packed or joined. Nothing is missing then.
    pub(super) fn tell_stale_indexes(&mut self, files: &[CheckpointFile]) {
        let missing = self.problems.iter().filter(|p| p.kind() == ErrorKind::MissingShard).filter_map(|p| p.path());
        let missing: HashSet<PathBuf> = missing.map(Path::to_path_buf).collect();
        for index in &mut self.indexes {
            let (paths, _) = index.paths();
            if paths.is_empty() || !paths.iter().all(|(_, path)| missing.contains(path)) {
                continue;
            }
            let beside = files.iter().filter(|file| file.path.parent() == index.path.parent());
            let modules: HashSet<&[u8]> =
                beside.flat_map(|file| file.container.tensors.iter().map(|t| module_of(file.container.name_bytes(t)))).collect();
            let (mut named, mut here) = (0u64, 0u64);
            let visited = index.visit(&mut |tensor, _| {
                named += 1;
                here += u64::from(modules.contains(module_of(tensor.as_bytes())));
            });
            if visited.is_ok() && here > 0 && here * 100 >= named * MOST {
                index.of_another_save = true;
                let gone: HashSet<PathBuf> = paths.into_iter().map(|(_, path)| path).collect();
                self.problems.retain(|p| p.kind() != ErrorKind::MissingShard || p.path().is_none_or(|path| !gone.contains(path)));
            }
        }
        for index in self.indexes.iter().filter(|index| index.of_another_save) {
            let folder = name_in(&self.root, index.path.parent().unwrap_or(Path::new("")));
            for name in index.files.keys() {
                self.indexed.remove(&if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") });
            }
        }
    }
}

/// Tensors by name.
type Places<'a> = HashMap<&'a [u8], Place>;
/// Further files of tensors that stand in several.
type Doubles<'a> = HashSet<(&'a [u8], u32)>;

struct Place {
    file: u32,
    tensor: u32,
    named: bool,
}

/// Compares an index with the files of a checkpoint. Reads the index a second time.
///
/// # Errors
/// As reading the index.
pub fn check_index(index: &ShardIndex, checkpoint: &Checkpoint) -> Result<IndexCheck> {
    let mut check = IndexCheck::default();
    let folder = index.path.parent().unwrap_or(std::path::Path::new(""));
    let mut by_name: HashMap<&str, u32> = HashMap::new();
    for (i, file) in checkpoint.files.iter().enumerate() {
        let relative = file.path.strip_prefix(folder).ok().and_then(|p| p.to_str());
        if let Some(name) = relative.filter(|name| index.files.contains_key(*name)) {
            by_name.insert(name, u32::try_from(i).unwrap_or(u32::MAX));
        }
    }
    check.files_read = by_name.len() as u64;
    let mut files: Vec<u32> = by_name.values().copied().collect();
    files.sort_unstable();
    let (mut places, doubles) = place_tensors(&checkpoint.files, &files, &mut check);
    let all = &checkpoint.files;
    index.visit(&mut |tensor, file| {
        let stated = by_name.get(file).copied();
        let row = |actual: Option<u32>| IndexedTensor {
            name: tensor.to_owned(),
            stated: file.to_owned(),
            actual: actual.map(|f| all[f as usize].name.clone()),
            remark: None,
        };
        match places.get_mut(tensor.as_bytes()) {
            None if stated.is_some() => check.missing.add(|| row(None)),
            None => {}
            Some(place) => {
                if std::mem::replace(&mut place.named, true) {
                    check.named_twice.add(|| row(None));
                } else if stated.is_some_and(|f| f != place.file)
                    && !stated.is_some_and(|f| doubles.contains(&(tensor.as_bytes(), f)))
                {
                    check.elsewhere.add(|| row(Some(place.file)));
                }
            }
        }
    })?;
    let mut unnamed: Vec<(u32, u32)> = places.values().filter(|p| !p.named).map(|p| (p.file, p.tensor)).collect();
    unnamed.sort_unstable();
    for (file, tensor) in unnamed {
        let container = &all[file as usize].container;
        let name = || container.name(&container.tensors[tensor as usize]).into_owned();
        let stated = || all[file as usize].name.clone();
        check.unnamed.add(|| IndexedTensor { name: name(), stated: stated(), actual: None, remark: None });
    }
    Ok(check)
}

/// Every tensor of the files by name; of two of one name the first is kept, and the second noted with its file.
fn place_tensors<'a>(all: &'a [CheckpointFile], files: &[u32], check: &mut IndexCheck) -> (Places<'a>, Doubles<'a>) {
    let mut doubles = Doubles::new();
    let count = files.iter().map(|&f| all[f as usize].container.tensors.len()).sum();
    let mut places = Places::with_capacity(count);
    for &file in files {
        let container = &all[file as usize].container;
        for (i, tensor) in container.tensors.iter().enumerate() {
            match places.entry(container.name_bytes(tensor)) {
                Entry::Vacant(free) => {
                    free.insert(Place { file, tensor: u32::try_from(i).unwrap_or(u32::MAX), named: false });
                    check.tensor_bytes = check.tensor_bytes.saturating_add(tensor.bytes);
                    check.elements = check.elements.saturating_add(tensor.elements);
                }
                // Two of one name in one file are that file's defect.
                Entry::Occupied(first) if first.get().file == file => {}
                Entry::Occupied(first) => {
                    let first = first.get();
                    doubles.insert((container.name_bytes(tensor), file));
                    let (a, b) = (&all[first.file as usize], &all[file as usize]);
                    let (x, y) = (&a.container.tensors[first.tensor as usize], tensor);
                    let (dtype_a, dtype_b) = (a.container.dtype_name(x.dtype), b.container.dtype_name(y.dtype));
                    let differs = dtype_a != dtype_b || x.shape != y.shape;
                    let remark = differs.then(|| {
                        let shown = |name: &str| crate::text::escape_limited(name, 40);
                        format!("with other dtypes or shapes: {} {:?}, {} {:?}", shown(dtype_a), x.shape, shown(dtype_b), y.shape)
                    });
                    let name = container.name(tensor).into_owned();
                    check.twice.add(|| IndexedTensor { name, stated: a.name.clone(), actual: Some(b.name.clone()), remark });
                }
            }
        }
    }
    (places, doubles)
}
