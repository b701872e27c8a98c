//! The layout of a hub cache, as huggingface_hub writes it:
//!
//! ```text
//! models--ORG--NAME/refs/main                      names a commit
//! models--ORG--NAME/snapshots/COMMIT/FILE          links to ../../blobs/ETAG
//! models--ORG--NAME/blobs/ETAG                     the bytes; since 2.0 mostly a link to ../../blobs/HH/HASH
//! blobs/HH/HASH                                    the bytes, shared by all repositories of the cache
//! blobs/.huggingface-shared-blobs                  says that `blobs` is that store
//! ```
//!
//! Read in huggingface_hub ([`crate::pins::HUGGINGFACE_HUB`]): `file_download.py`, `utils/_shared_blobs.py`,
//! `utils/_cache_manager.py`.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::boundary::{Boundary, FoundFile, Place};
use crate::error::{Error, ErrorKind, Result};
use crate::format::limits;
use crate::source::FileSource;
use crate::text::{escape_limited, shown_path};

/// What the name of a repository's folder begins with (`REPO_TYPES_MAPPING`).
const TYPES: [&str; 4] = ["datasets--", "kernels--", "models--", "spaces--"];
/// The folders in it: of the client's releases, all that were ever written there.
const FOLDERS: [&str; 6] = [".locks", ".no_exist", "blobs", "refs", "snapshots", "trees"];
/// Files of the desktop that the client passes over as well (`FILES_TO_IGNORE`).
const IGNORED: [&str; 3] = [".DS_Store", "Thumbs.db", "desktop.ini"];
/// The marker of the shared store, and what is in it (`SHARED_BLOBS_MARKER_NAME`, `SHARED_BLOBS_LAYOUT_VERSION`).
const MARKER: (&str, &[u8]) = (".huggingface-shared-blobs", b"1\n");
/// Bytes that are read of a ref, which holds 40.
const MAX_REF: u64 = 4096;
/// Entries below `refs` that are looked at, and how deep (`refs/pr/1` lies at two).
const MAX_REFS: usize = 1000;
const MAX_REF_DEPTH: usize = 8;

/// Whether a name is that of a repository's folder.
fn is_repo_name(name: Option<&OsStr>) -> bool {
    let name = name.and_then(OsStr::to_str).unwrap_or_default();
    TYPES.iter().any(|kind| name.strip_prefix(kind).is_some_and(|rest| !rest.is_empty()))
}

/// Whether there is a folder that is no link.
fn is_real_folder(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|m| m.is_dir())
}

/// Names in a folder, in order; `None` where it cannot be listed.
fn names(folder: &Path) -> Option<Vec<OsString>> {
    let entries = std::fs::read_dir(folder).ok()?;
    let mut names: Vec<OsString> = entries.filter_map(|e| e.ok().map(|e| e.file_name())).take(limits::MAX_FILES).collect();
    names.sort();
    Some(names)
}

/// How a link stands to the cache around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It leads to a blob in one of the client's two ways.
    Inside,
    /// It leads to what would be the shared store, were it marked as such.
    Unmarked,
    /// It leads to the shared store in another way.
    OtherForm,
    /// It leads elsewhere.
    Outside,
}

/// The blobs of the repository that a folder stands in.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Around {
    blobs: Place,
    /// `blobs` of the whole cache, and whether the client's marker is there.
    store: Option<(Place, bool)>,
}

impl Around {
    /// For the folder of a repository, for its snapshots and blobs, and for folders in a snapshot. The path must have no links, and
    /// `blobs` may be none either.
    pub(super) fn of(folder: &Path) -> Option<Self> {
        let has_blobs = |repo: &&Path| is_real_folder(&repo.join("blobs"));
        let repos = || {
            let inside = folder.ancestors().filter(|p| p.file_name().is_some_and(|name| name == "snapshots" || name == "blobs"));
            inside.filter_map(Path::parent).filter(has_blobs)
        };
        // A copy of a repository's folder has another name, and a repository may itself hold a folder of that name.
        let named = std::iter::once(folder).filter(has_blobs).chain(repos()).find(|repo| is_repo_name(repo.file_name()));
        let copied = || folder.parent().and_then(Path::parent).filter(|repo| repos().any(|r| r == *repo));
        let repo = named.or_else(copied)?;
        let blobs = |of: &Path| Place::of(of).ok()?.child(OsStr::new("blobs"));
        let store = repo.parent().filter(|_| named.is_some()).and_then(blobs);
        let store = store.map(|store| {
            let marked = is_marked(&store.real);
            (store, marked)
        });
        Some(Self { blobs: blobs(repo)?, store })
    }

    /// Judges the link at `path`, which leads to `real`.
    pub(super) fn judge(&self, path: &Path, real: &Path) -> Verdict {
        if real.parent() == Some(&self.blobs.real) {
            return Verdict::Inside;
        }
        let Some((store, marked)) = &self.store else { return Verdict::Outside };
        let Some(entry) = real.strip_prefix(&store.real).ok().filter(|entry| is_store_entry(entry)) else {
            return Verdict::Outside;
        };
        if !marked {
            return Verdict::Unmarked;
        }
        let is_blob = |path: &Path| path.parent().and_then(|p| p.canonicalize().ok()).is_some_and(|p| p == self.blobs.real);
        let blob = if is_blob(path) { Some(path.to_path_buf()) } else { hop(path).filter(|blob| is_blob(blob)) };
        let target = blob.and_then(|blob| std::fs::read_link(blob).ok());
        if target.is_some_and(|target| leads_to(&target, entry, &store.real)) { Verdict::Inside } else { Verdict::OtherForm }
    }

    /// Whether an open file lies among the blobs.
    pub(super) fn holds(&self, place: &Path) -> bool {
        let lies = |folder: &Place, parent: Option<&Path>| folder.open.as_deref().is_none_or(|open| parent == Some(open));
        let parent = place.parent();
        lies(&self.blobs, parent) || self.store.as_ref().is_some_and(|(store, _)| lies(store, parent.and_then(Path::parent)))
    }
}

/// What a link names, without following it further.
fn hop(path: &Path) -> Option<PathBuf> {
    let target = std::fs::read_link(path).ok()?;
    Some(path.parent().unwrap_or(Path::new("")).join(target))
}

/// `HH/HASH` of the store (`shared_blob_path`).
fn is_store_entry(entry: &Path) -> bool {
    let mut parts = entry.components().map(|c| c.as_os_str().to_str().unwrap_or_default());
    let (Some(folder), Some(hash), None) = (parts.next(), parts.next(), parts.next()) else { return false };
    hash.len() == 64 && hash.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) && folder == &hash[..2]
}

/// Whether a blob's link names the entry as the client writes it (`_make_temporary_symlink`: relative to the blob) or as it takes it
/// besides (`_shared_blob_target`: the full path).
fn leads_to(target: &Path, entry: &Path, store: &Path) -> bool {
    if target.is_absolute() {
        let folder = target.ancestors().nth(2);
        return target.ends_with(entry) && folder.and_then(|f| f.canonicalize().ok()).is_some_and(|folder| folder == store);
    }
    target == Path::new("../../blobs").join(entry)
}

/// Whether a store carries the marker (`is_shared_blobs_dir`).
fn is_marked(store: &Path) -> bool {
    let marker = store.join(MARKER.0);
    std::fs::symlink_metadata(&marker).is_ok_and(|m| m.is_file())
        && FileSource::open(&marker).and_then(|source| source.read_small(MARKER.1.len() as u64)).is_ok_and(|text| text == MARKER.1)
}

/// The SHA-256 that a hub cache states of a file: the name of its blob, which is the first link's target. What that links to in its turn
/// is named by another hash.
pub(crate) fn stated_sha256(path: &Path) -> Option<String> {
    let is_blob = |path: &Path| {
        let folder = path.parent().and_then(|p| p.canonicalize().ok());
        let folder = folder.filter(|f| f.file_name().is_some_and(|name| name == "blobs"));
        folder.and_then(|f| f.parent().map(|repo| is_real_folder(&repo.join("snapshots")))) == Some(true)
    };
    let blob = if is_blob(path) { Some(path.to_path_buf()) } else { hop(path).filter(|blob| is_blob(blob)) }?;
    let name = blob.file_name()?.to_str()?;
    (name.len() == 64 && name.bytes().all(|b| b.is_ascii_hexdigit())).then(|| name.to_ascii_lowercase())
}

/// The folder to look at.
pub(super) struct Resolved {
    /// A snapshot, for the folder of a repository in a hub cache; the folder itself for every other.
    pub(super) root: PathBuf,
    /// What may be opened on behalf of it.
    pub(super) boundary: Arc<Boundary>,
    /// The repository's folder, where a snapshot was taken of it.
    pub(super) repo: Option<PathBuf>,
}

/// Finds the folder to look at.
pub(super) fn resolve(folder: &Path, notes: &mut Vec<String>) -> Result<Resolved> {
    let whole = || Ok(Resolved { root: folder.to_path_buf(), boundary: Boundary::of(folder)?, repo: None });
    let there = |name: &str| std::fs::symlink_metadata(folder.join(name)).is_ok();
    let real = folder.canonicalize().map_err(|e| Error::io(folder, "cannot open", &e))?;
    let named = is_repo_name(real.file_name());
    if !there("snapshots") || !(named || there("blobs") || there("refs")) {
        return whole();
    }
    let why_not = if named { foreign_part(folder) } else { Some("its name is not of the form models--ORG--NAME".to_owned()) };
    if let Some(why) = why_not {
        notes.push(format!(
            "not taken for a folder of a hub cache ({why}): all of it is looked at, and every snapshot counts; give one of them by itself"
        ));
        return whole();
    }
    let snapshots = folder.join("snapshots");
    let revisions = revisions(&snapshots);
    let Some((newest, _)) = revisions.last() else {
        return Err(Error::new(ErrorKind::NotFound, "a hub cache folder without a snapshot")
            .with_path(folder)
            .help("download the model again"));
    };
    let count = revisions.len();
    let is_here = |commit: &str| revisions.iter().any(|(name, _)| name == commit);
    let refs = refs(folder)?;
    let main = refs.iter().find(|(name, _)| name == "main").map(|(_, commit)| commit.as_str());
    let named: BTreeSet<&str> = refs.iter().map(|(_, commit)| commit.as_str()).filter(|commit| is_here(commit)).collect();
    let (revision, why) = match (main, named.first()) {
        (Some(commit), _) if is_here(commit) => (OsStr::new(commit), "refs/main".to_owned()),
        (_, Some(commit)) if named.len() == 1 => (OsStr::new(*commit), "the only one that a ref names".to_owned()),
        _ if count == 1 => (newest.as_os_str(), "the only one".to_owned()),
        _ => (newest.as_os_str(), format!("the newest of {count} by the time of their folders")),
    };
    let missing = main.filter(|commit| !is_here(commit));
    let missing = missing.map_or_else(String::new, |c| format!("; refs/main names {}, which is not here", escape_limited(c, 60)));
    let others = match count - 1 {
        0 => String::new(),
        1 => "; another snapshot is not looked at".to_owned(),
        n => format!("; {n} other snapshots are not looked at"),
    };
    notes.push(format!("hub cache: snapshot {} ({why}{missing}{others})", shown_path(Path::new(revision))));
    let (root, boundary) = (snapshots.join(revision), Boundary::of_snapshot(folder, revision)?);
    Ok(Resolved { root, boundary, repo: Some(folder.to_path_buf()) })
}

/// What is in a folder that the client does not write there.
fn foreign_part(folder: &Path) -> Option<String> {
    let shown = |name: &OsStr| format!("`{}`", shown_path(Path::new(name)));
    let stray = |name: &OsStr| IGNORED.iter().any(|ignored| name == *ignored);
    let cannot = || "it cannot be listed".to_owned();
    let Some(parts) = names(folder) else { return Some(cannot()) };
    for name in parts {
        if !FOLDERS.iter().any(|part| name == *part) {
            if !stray(&name) {
                return Some(format!("{} lies beside its snapshots", shown(&name)));
            }
        } else if !is_real_folder(&folder.join(&name)) {
            return Some(format!("{} is a link, or no folder", shown(&name)));
        }
    }
    let snapshots = folder.join("snapshots");
    let Some(revisions) = names(&snapshots) else { return Some(cannot()) };
    let odd = revisions.into_iter().find(|name| !stray(name) && !is_real_folder(&snapshots.join(name)));
    if let Some(name) = odd {
        return Some(format!("`snapshots/{}` is a link, or no folder", shown_path(Path::new(&name))));
    }
    let main = std::fs::symlink_metadata(folder.join("refs/main"));
    main.is_ok_and(|m| !m.is_file()).then(|| "`refs/main` is a link, or no file".to_owned())
}

/// The snapshots by the time of their folders, the newest last; of one time, by name.
fn revisions(snapshots: &Path) -> Vec<(OsString, Option<std::time::SystemTime>)> {
    let names = names(snapshots).unwrap_or_default().into_iter();
    let folders = names.filter_map(|name| {
        let metadata = std::fs::symlink_metadata(snapshots.join(&name)).ok().filter(|m| m.is_dir())?;
        Some((name, metadata.modified().ok()))
    });
    let mut folders: Vec<_> = folders.collect();
    folders.sort_by(|a, b| (a.1, &a.0).cmp(&(b.1, &b.0)));
    folders
}

/// Refs and the commits that they name. Names can hold slashes: `refs/pr/1`.
fn refs(folder: &Path) -> Result<Vec<(String, String)>> {
    let boundary = Boundary::of(folder)?;
    let mut refs = Vec::new();
    let mut folders = vec![(folder.join("refs"), String::new(), 0)];
    let mut looked_at = 0;
    while let Some((path, prefix, depth)) = folders.pop() {
        for name in names(&path).unwrap_or_default() {
            looked_at += 1;
            if looked_at > MAX_REFS {
                return Ok(refs);
            }
            let (path, name) = (path.join(&name), format!("{prefix}{}", name.to_string_lossy()));
            let Ok(metadata) = std::fs::symlink_metadata(&path) else { continue };
            if metadata.is_dir() && depth < MAX_REF_DEPTH {
                folders.push((path, format!("{name}/"), depth + 1));
            } else if metadata.is_file() {
                let text = boundary.found(&path, name.clone(), &metadata).read_small(MAX_REF);
                let commit = text.map(|text| String::from_utf8_lossy(&text).trim().to_owned()).unwrap_or_default();
                refs.push((name, commit));
            }
        }
    }
    Ok(refs)
}

/// What lies in a repository's folder outside the snapshot that was taken of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct OutsideSnapshot {
    /// Other snapshots.
    pub snapshots: u64,
    /// Files in `blobs` that no file of the snapshot leads to.
    pub blobs: u64,
    /// Downloads in `blobs` that were not finished.
    pub unfinished_downloads: u64,
    /// Files with content where the client keeps none that a loader would read.
    pub other_files: u64,
}

/// Counts what lies outside a snapshot. `files` are those of the snapshot.
pub(super) fn outside(repo: &Path, snapshot: &Path, files: &[FoundFile]) -> OutsideSnapshot {
    let used: BTreeSet<OsString> = files.iter().filter_map(|file| hop(&file.path)?.file_name().map(OsStr::to_owned)).collect();
    let snapshots = revisions(&repo.join("snapshots"));
    let others = snapshots.iter().filter(|(name, _)| snapshot.file_name() != Some(name)).count();
    let mut out = OutsideSnapshot { snapshots: others as u64, ..OutsideSnapshot::default() };
    for name in names(&repo.join("blobs")).unwrap_or_default() {
        let text = name.to_string_lossy();
        // A lock of older releases; a link that was to be renamed (`_make_temporary_symlink`).
        let passing = text.ends_with(".lock") || (text.starts_with('.') && text.ends_with(".shared"));
        if text.ends_with(".incomplete") {
            out.unfinished_downloads += 1;
        } else if !passing && !used.contains(&name) && !IGNORED.contains(&&*text) {
            out.blobs += 1;
        }
    }
    // The client writes JSON into `trees` and empty files into the others.
    let mut folders: Vec<PathBuf> = ["trees", ".no_exist", ".locks"].iter().map(|part| repo.join(part)).collect();
    let mut looked_at = 0;
    while let Some(folder) = folders.pop() {
        for path in names(&folder).unwrap_or_default().into_iter().map(|name| folder.join(name)) {
            looked_at += 1;
            if looked_at > limits::MAX_FILES {
                return out;
            }
            let Ok(metadata) = std::fs::symlink_metadata(&path) else { continue };
            let listing = path.extension().is_some_and(|e| e == "json") && folder.file_name().is_some_and(|name| name == "trees");
            if metadata.is_dir() {
                folders.push(path);
            } else if metadata.len() > 0 && !listing {
                out.other_files += 1;
            }
        }
    }
    out
}
