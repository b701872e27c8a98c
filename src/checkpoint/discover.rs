//! Finds the files of a checkpoint: everything in a folder, and what the names of files say.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::boundary::{Boundary, FoundFile, not_regular};
use super::hub_cache::{self, OutsideSnapshot};
use crate::error::{Error, ErrorKind};
use crate::format::limits;
use crate::text::shown_path;

/// Why something in a folder was passed by without being a problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PassedBy {
    /// A link to a folder: it could lead in a circle, and hub caches link files only.
    LinkedFolder,
    /// A folder under the name of a file that readers look for.
    FolderNamedAsFile,
    /// A folder below the depth that is looked at.
    TooDeep,
    /// A folder of a tool that holds no model files.
    ToolFolder,
}

/// A file that should be there, as a store's own listing states it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatedFile {
    /// Relative to the root, with `/`.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// The SHA-256 of its bytes, in lower case; `None` where none is stated.
    pub sha256: Option<String>,
}

/// What is in a folder beside the weights that are read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// The folder that names are relative to: the snapshot, for a hub cache.
    pub root: PathBuf,
    /// Every regular file that was seen, in name order.
    pub files: Vec<FoundFile>,
    /// What was passed by, with the path.
    pub passed_by: Vec<(PassedBy, PathBuf)>,
    /// Files that shard indexes of other frameworks and of variants name, relative to the root.
    pub(crate) indexed: BTreeSet<String>,
    /// The folder of a hub cache that was asked for, where the root is the snapshot that was taken of it.
    pub repo: Option<PathBuf>,
    /// The files that should be there, where what was opened is a manifest that names them.
    pub stated: Option<Vec<StatedFile>>,
}

impl Listing {
    /// The file at a path that was listed.
    pub(crate) fn find(&self, path: &Path) -> Option<&FoundFile> {
        let name = name_in(&self.root, path);
        let by_name = self.files.binary_search_by(|file| file.name.cmp(&name));
        let found = by_name.ok().map(|i| &self.files[i]).filter(|file| file.path == path);
        // Names that are no UTF-8 can be equal where paths are not.
        found.or_else(|| self.files.iter().find(|file| file.path == path))
    }

    /// What lies outside the snapshot, where one was taken of the folder that was asked for.
    pub(crate) fn outside_snapshot(&self) -> Option<OutsideSnapshot> {
        self.repo.as_ref().map(|repo| hub_cache::outside(repo, &self.root, &self.files))
    }
}

/// A path relative to a folder, with `/`.
pub(super) fn name_in(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).to_string_lossy().replace(std::path::MAIN_SEPARATOR, "/")
}

/// Everything found below a folder.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Regular files in name order.
    pub(super) files: Vec<FoundFile>,
    /// What could not be looked at, or leads out of the folder.
    pub(super) problems: Vec<Error>,
    /// Remarks; escaped.
    pub(super) notes: Vec<String>,
    /// What was passed by.
    pub(super) passed_by: Vec<(PassedBy, PathBuf)>,
}

/// Folders that hold no model files.
const SKIPPED_FOLDERS: [&str; 4] = [".git", ".cache", "__pycache__", ".ipynb_checkpoints"];

/// Walks a folder: bounded in depth and number, in name order, following links only inside its boundary.
pub(super) fn walk(root: &Path, boundary: &Arc<Boundary>) -> Found {
    let mut walker =
        Walker { root: root.to_path_buf(), entries: 0, path_bytes: 0, boundary: Arc::clone(boundary), found: Found::default() };
    walker.folder(root, 0);
    walker.found.files.sort_by(|a, b| a.name.cmp(&b.name));
    walker.found
}

struct Walker {
    root: PathBuf,
    /// Files and folders met so far.
    entries: usize,
    /// Bytes of their paths.
    path_bytes: usize,
    boundary: Arc<Boundary>,
    found: Found,
}

impl Walker {
    fn folder(&mut self, folder: &Path, depth: usize) {
        let names = match self.boundary.list(folder) {
            Ok(names) => names,
            Err(error) => return self.found.problems.push(error),
        };
        for path in names.into_iter().map(|name| folder.join(name)) {
            self.entries += 1;
            self.path_bytes += path.as_os_str().len();
            if self.path_bytes > limits::MAX_PATH_BYTES && self.entries < limits::MAX_FILES {
                let message = format!("more than {} bytes of paths; the rest is not looked at", limits::MAX_PATH_BYTES);
                self.found.problems.push(Error::new(ErrorKind::Limit, message).with_path(&self.root));
                self.entries = limits::MAX_FILES;
                return;
            }
            if self.entries == limits::MAX_FILES {
                let message = format!("more than {} files; the rest is not looked at", limits::MAX_FILES);
                self.found.problems.push(Error::new(ErrorKind::Limit, message).with_path(&self.root));
            }
            if self.entries >= limits::MAX_FILES {
                return;
            }
            self.entry(&path, depth);
        }
    }

    fn entry(&mut self, path: &Path, depth: usize) {
        let metadata = match std::fs::symlink_metadata(path) {
            Ok(metadata) => metadata,
            Err(e) => return self.found.problems.push(Error::io(path, "cannot stat", &e)),
        };
        let is_link = metadata.file_type().is_symlink();
        let target = if is_link { self.follow(path) } else { Some(metadata) };
        let Some(target) = target else { return };
        if target.is_dir() {
            let hidden = path.file_name().and_then(OsStr::to_str).is_some_and(|n| SKIPPED_FOLDERS.contains(&n));
            if hidden {
                return self.found.passed_by.push((PassedBy::ToolFolder, path.to_path_buf()));
            }
            if is_link {
                return self.found.passed_by.push((PassedBy::LinkedFolder, path.to_path_buf()));
            }
            if is_name_of_a_file(path) {
                self.found.passed_by.push((PassedBy::FolderNamedAsFile, path.to_path_buf()));
            }
            if depth == limits::MAX_FOLDER_DEPTH {
                self.found.passed_by.push((PassedBy::TooDeep, path.to_path_buf()));
                return self.found.notes.push(format!("folders below {} are not looked at (too deep)", shown_path(path)));
            }
            self.folder(path, depth + 1);
        } else if target.is_file() {
            self.found.files.push(self.boundary.found(path, name_in(&self.root, path), &target));
        } else {
            self.found.problems.push(not_regular(path));
        }
    }

    /// What a link leads to, if it may be followed.
    fn follow(&mut self, path: &Path) -> Option<Metadata> {
        self.boundary.follow(path).map_err(|error| self.found.problems.push(error)).ok()
    }
}

/// Whether readers expect a file under the name.
fn is_name_of_a_file(path: &Path) -> bool {
    path.extension().and_then(OsStr::to_str).is_some_and(|e| matches!(e, "safetensors" | "gguf" | "json" | "jinja" | "md"))
}

/// A file name of the form `PREFIX-NUMBER-of-COUNT.EXTENSION`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShardName<'a> {
    /// Everything before the number.
    pub prefix: &'a str,
    /// The number, as written.
    pub number: u64,
    /// The count, as written.
    pub count: u64,
    /// `safetensors` or `gguf`.
    pub extension: &'a str,
}

impl<'a> ShardName<'a> {
    /// Takes a file name apart; `None` when it is no shard's.
    pub fn parse(name: &'a str) -> Option<Self> {
        let (stem, extension) = name.rsplit_once('.')?;
        let (rest, count) = stem.rsplit_once("-of-")?;
        let (prefix, number) = rest.rsplit_once('-')?;
        let digits = |s: &str| (1..=9).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_digit());
        (digits(number) && digits(count)).then_some(())?;
        Some(Self { prefix, number: number.parse().ok()?, count: count.parse().ok()?, extension })
    }

    /// Whether another name belongs to the same set.
    pub fn same_set(&self, other: &ShardName<'_>) -> bool {
        (self.prefix, self.count, self.extension) == (other.prefix, other.count, other.extension)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shard_names_are_taken_apart() {
        let shard = ShardName::parse("model.fp16-00000-of-00002.safetensors").unwrap();
        assert_eq!((shard.prefix, shard.number, shard.count, shard.extension), ("model.fp16", 0, 2, "safetensors"));
        assert_eq!(ShardName::parse("model-00001-of-000163.safetensors").unwrap().count, 163);
        assert_eq!(ShardName::parse("model-1-of-3.safetensors").unwrap().count, 3);
        for other in ["model.safetensors", "best-of-show.gguf", "a-1-of-2b.gguf", "a-00001-of-.gguf", "x-of-00002.gguf"] {
            assert_eq!(ShardName::parse(other), None, "{other}");
        }
    }
}
