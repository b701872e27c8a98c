//! Finds the files of a checkpoint: one file, the shards it belongs to, a folder, a hub cache snapshot.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind, Result};
use crate::format::limits;
use crate::text::shown_path;

/// A regular file below the folder asked for, whatever it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundFile {
    /// Where it is.
    pub path: PathBuf,
    /// Relative to the root, with `/`.
    pub name: String,
    /// Its length.
    pub bytes: u64,
}

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

/// Walks a folder: bounded in depth and number, in name order, following links only where they stay inside the folder or lead
/// to the `blobs/` of the same hub cache.
pub(super) fn walk(root: &Path) -> Result<Found> {
    let real_root = root.canonicalize().map_err(|e| Error::io(root, "cannot open", &e))?;
    let mut allowed = vec![real_root.clone()];
    allowed.extend(hub_blobs(&real_root));
    let mut walker = Walker { root: root.to_path_buf(), entries: 0, allowed, found: Found::default() };
    walker.folder(root, 0);
    walker.found.files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(walker.found)
}

/// `blobs/` of the hub cache a snapshot stands in: `models--X/snapshots/REVISION` links to `models--X/blobs`.
fn hub_blobs(snapshot: &Path) -> Option<PathBuf> {
    let snapshots = snapshot.parent().filter(|p| p.file_name() == Some(OsStr::new("snapshots")))?;
    let blobs = snapshots.parent()?.join("blobs");
    blobs.canonicalize().ok()
}

/// Whether a file of a folder leads to a place inside it, or to the `blobs/` of the same hub cache.
pub(super) fn stays_inside(root: &Path, path: &Path) -> bool {
    let (Ok(root), Ok(path)) = (root.canonicalize(), path.canonicalize()) else { return false };
    path.starts_with(&root) || hub_blobs(&root).is_some_and(|blobs| path.starts_with(blobs))
}

struct Walker {
    root: PathBuf,
    /// Files and folders met so far.
    entries: usize,
    allowed: Vec<PathBuf>,
    found: Found,
}

impl Walker {
    fn folder(&mut self, folder: &Path, depth: usize) {
        let entries = match std::fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(e) => return self.found.problems.push(Error::io(folder, "cannot list", &e)),
        };
        let mut paths: Vec<PathBuf> =
            entries.filter_map(|entry| entry.ok().map(|e| e.path())).take(limits::MAX_FILES + 1).collect();
        paths.sort();
        for path in paths {
            self.entries += 1;
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
                return;
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
            let relative = path.strip_prefix(&self.root).unwrap_or(path);
            let name = relative.to_string_lossy().replace(std::path::MAIN_SEPARATOR, "/");
            self.found.files.push(FoundFile { path: path.to_path_buf(), name, bytes: target.len() });
        } else {
            self.found.problems.push(not_regular(path));
        }
    }

    /// What a link leads to, if it may be followed.
    fn follow(&mut self, path: &Path) -> Option<std::fs::Metadata> {
        let real = match path.canonicalize() {
            Ok(real) => real,
            Err(e) => {
                self.found.problems.push(broken_link(path, &e));
                return None;
            }
        };
        // Links to devices and to what the kernel makes up are told apart from links to files elsewhere: they may have no end.
        if ["/dev", "/proc", "/sys"].iter().any(|odd| real.starts_with(odd)) {
            self.found.problems.push(not_regular(path));
            return None;
        }
        if !self.allowed.iter().any(|root| real.starts_with(root)) {
            let error = Error::new(ErrorKind::OutsideFolder, "a link that leads outside the folder; it is not followed")
                .with_path(path)
                .help("name the file itself if you trust it");
            self.found.problems.push(error);
            return None;
        }
        std::fs::metadata(&real).map_err(|e| self.found.problems.push(Error::io(path, "cannot stat", &e))).ok()
    }
}

/// Whether readers expect a file under the name.
fn is_name_of_a_file(path: &Path) -> bool {
    path.extension().and_then(OsStr::to_str).is_some_and(|e| matches!(e, "safetensors" | "gguf" | "json" | "jinja" | "md"))
}

fn not_regular(path: &Path) -> Error {
    Error::new(ErrorKind::NotRegularFile, "is a FIFO, socket or device, not a regular file; it is not opened").with_path(path)
}

fn broken_link(path: &Path, error: &std::io::Error) -> Error {
    #[cfg(unix)]
    if error.raw_os_error() == Some(libc::ELOOP) {
        return Error::new(ErrorKind::LinkLoop, "a link that leads back to itself (a loop)").with_path(path);
    }
    Error::new(ErrorKind::BrokenLink, format!("a link that leads nowhere ({error})"))
        .with_path(path)
        .help("its target was not downloaded or was deleted: fetch the file again")
}

/// The folder to look at: a snapshot for a hub cache's `models--*` folder, otherwise the folder itself.
pub(super) fn resolve_folder(folder: &Path, notes: &mut Vec<String>) -> Result<PathBuf> {
    let snapshots = folder.join("snapshots");
    if !snapshots.is_dir() || folder.join("config.json").exists() {
        return Ok(folder.to_path_buf());
    }
    if let Ok(revision) = crate::source::read_small(&folder.join("refs").join("main"), 4096) {
        let revision = String::from_utf8_lossy(&revision).trim().to_owned();
        let plain = !revision.is_empty() && revision.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        let snapshot = snapshots.join(&revision);
        if plain && snapshot.is_dir() {
            notes.push(format!("hub cache: snapshot {revision} (refs/main)"));
            return Ok(snapshot);
        }
    }
    let mut revisions: Vec<PathBuf> = std::fs::read_dir(&snapshots)
        .map_err(|e| Error::io(&snapshots, "cannot list", &e))?
        .filter_map(|entry| entry.ok().map(|e| e.path()))
        .filter(|p| p.is_dir())
        .collect();
    revisions.sort_by_key(|p| (std::fs::metadata(p).and_then(|m| m.modified()).ok(), p.clone()));
    let newest = revisions.pop().ok_or_else(|| {
        Error::new(ErrorKind::NotFound, "a hub cache folder without a snapshot").with_path(folder).help("download the model again")
    })?;
    notes.push(format!(
        "hub cache: snapshot {} (the newest of {})",
        shown_path(Path::new(newest.file_name().unwrap_or_default())),
        revisions.len() + 1
    ));
    Ok(newest)
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
        let digits = |s: &str| (3..=9).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_digit());
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
        assert!(ShardName::parse("model-00001-of-000163.safetensors").unwrap().count == 163);
        for other in ["model.safetensors", "best-of-show.gguf", "a-1-of-2.gguf", "a-00001-of-.gguf", "x-of-00002.gguf"] {
            assert_eq!(ShardName::parse(other), None, "{other}");
        }
    }
}
