//! What may be opened on behalf of a folder: the files in it and, for a snapshot of a hub cache, the blobs of that cache.
//!
//! A link is followed only where it stays there. What was admitted is remembered by device and inode: a file that takes its place
//! before it is opened is refused, and nothing is read of it.

use std::ffi::{OsStr, OsString};
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::hub_cache::{Around, Verdict};
use crate::error::{Error, ErrorKind, Result};
use crate::format::limits;
use crate::source::{FileSource, Identity, list_folder, place_of_folder};

/// A regular file below the folder asked for, whatever it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundFile {
    /// Where it is.
    pub path: PathBuf,
    /// Relative to the root, with `/`.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// Which file it was when it was found.
    identity: Identity,
    /// Where it has to lie; `None` for a file that the caller named, wherever links lead from there.
    boundary: Option<Arc<Boundary>>,
}

impl FoundFile {
    /// A file that the caller named: links to it are followed.
    pub(super) fn named(path: &Path, name: String) -> Result<Self> {
        let metadata = std::fs::metadata(path).map_err(|e| Error::io(path, "cannot stat", &e))?;
        let identity = Identity::of(&metadata);
        Ok(Self { path: path.to_path_buf(), name, bytes: metadata.len(), identity, boundary: None })
    }

    /// Which file it was when it was found.
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// Opens the file that was found, and no other that has taken its place since.
    ///
    /// # Errors
    /// As [`FileSource::open`]; [`ErrorKind::Changed`] when another file is there now, [`ErrorKind::OutsideFolder`] when it lies elsewhere.
    pub fn open(&self) -> Result<FileSource> {
        let source = FileSource::open(&self.path)?;
        if !source.opened_identity().is_same_file(self.identity) {
            return Err(Error::new(
                ErrorKind::Changed,
                "was replaced by another file after the folder was looked at; it is not read",
            )
            .with_path(&self.path)
            .help("try again when nothing writes to the folder"));
        }
        if self.boundary.as_ref().is_some_and(|boundary| !boundary.holds(source.place().as_deref())) {
            return Err(outside(&self.path, OUTSIDE));
        }
        Ok(source)
    }

    /// Its whole content, refusing more than `limit` bytes.
    ///
    /// # Errors
    /// As [`FoundFile::open`] and [`FileSource::read_small`].
    pub fn read_small(&self, limit: u64) -> Result<Vec<u8>> {
        self.open()?.read_small(limit)
    }
}

/// A folder: its path without links, and what the system calls it once it is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) real: PathBuf,
    /// As in [`FileSource::place`]. It can differ from `real` where file names have no case.
    pub(super) open: Option<PathBuf>,
}

impl Place {
    /// The folder at a path, with links followed.
    pub(super) fn of(folder: &Path) -> std::io::Result<Self> {
        let real = folder.canonicalize()?;
        let open = place_of_folder(&real);
        Ok(Self { real, open })
    }

    /// A folder in it that is no link.
    pub(super) fn child(&self, name: &OsStr) -> Option<Self> {
        let real = self.real.join(name);
        let is_folder = std::fs::symlink_metadata(&real).is_ok_and(|m| m.is_dir());
        let open = place_of_folder(&real);
        // What was opened tells a link that has come between.
        let is_child = open.as_ref().zip(self.open.as_ref()).is_none_or(|(open, parent)| *open == parent.join(name));
        (is_folder && is_child).then_some(Self { real, open })
    }
}

/// The limits of a folder.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Boundary {
    root: Place,
    cache: Option<Around>,
}

impl Boundary {
    /// Of the folder that the caller asked for: a link to it is followed.
    pub(crate) fn of(folder: &Path) -> Result<Arc<Self>> {
        let root = Place::of(folder).map_err(|e| Error::io(folder, "cannot open", &e))?;
        Ok(Self::around(root))
    }

    /// Of a snapshot in the folder of a repository, neither of which may be reached through a link from there.
    pub(super) fn of_snapshot(repo: &Path, revision: &OsStr) -> Result<Arc<Self>> {
        let place = Place::of(repo).map_err(|e| Error::io(repo, "cannot open", &e))?;
        let snapshot = place.child(OsStr::new("snapshots")).and_then(|snapshots| snapshots.child(revision));
        let snapshot = snapshot.ok_or_else(|| outside(&repo.join("snapshots").join(revision), OUTSIDE))?;
        Ok(Self::around(snapshot))
    }

    fn around(root: Place) -> Arc<Self> {
        let cache = Around::of(&root.real);
        Arc::new(Self { root, cache })
    }

    /// The regular file at a path, if it may be opened.
    pub(crate) fn find(self: &Arc<Self>, path: &Path, name: String) -> Result<FoundFile> {
        let target = self.follow(path)?;
        if !target.is_file() {
            return Err(not_regular(path));
        }
        Ok(self.found(path, name, &target))
    }

    /// A file whose metadata is at hand.
    pub(super) fn found(self: &Arc<Self>, path: &Path, name: String, metadata: &Metadata) -> FoundFile {
        let (identity, boundary) = (Identity::of(metadata), Some(Arc::clone(self)));
        FoundFile { path: path.to_path_buf(), name, bytes: metadata.len(), identity, boundary }
    }

    /// What a path leads to, if it may be followed.
    pub(super) fn follow(&self, path: &Path) -> Result<Metadata> {
        let real = path.canonicalize().map_err(|e| match std::fs::symlink_metadata(path) {
            Ok(metadata) if metadata.is_symlink() => broken_link(path, &e),
            _ => Error::io(path, "cannot open", &e),
        })?;
        if !real.starts_with(&self.root.real) {
            // Links to devices and to what the kernel makes up are told apart from links to files elsewhere: they may have no end.
            if ["/dev", "/proc", "/sys"].iter().any(|odd| real.starts_with(odd)) {
                return Err(not_regular(path));
            }
            match self.cache.as_ref().map_or(Verdict::Outside, |cache| cache.judge(path, &real)) {
                Verdict::Inside => {}
                Verdict::Outside => return Err(outside(path, OUTSIDE)),
                Verdict::Unmarked => return Err(outside(path, UNMARKED)),
                Verdict::OtherForm => return Err(outside(path, OTHER_FORM)),
            }
        }
        // Of the path without links: one that has come into it since is no file and no folder.
        std::fs::symlink_metadata(&real).map_err(|e| Error::io(path, "cannot stat", &e))
    }

    /// The names in a folder inside, in order.
    pub(super) fn list(&self, folder: &Path) -> Result<Vec<OsString>> {
        let (place, entries) = list_folder(folder).map_err(|e| Error::io(folder, "cannot list", &e))?;
        if !self.holds(place.as_deref()) {
            return Err(outside(folder, OUTSIDE));
        }
        let names = entries.filter_map(|entry| entry.ok().map(|e| e.file_name()));
        let mut names: Vec<OsString> = names.take(limits::MAX_FILES + 1).collect();
        names.sort();
        Ok(names)
    }

    /// Whether something open lies inside. A folder above it can have been swapped for a link while the path was looked at, and swapped
    /// back; what the system says of what is open is beyond that.
    fn holds(&self, place: Option<&Path>) -> bool {
        let (Some(place), Some(root)) = (place, &self.root.open) else { return true };
        place.starts_with(root) || self.cache.as_ref().is_some_and(|cache| cache.holds(place))
    }
}

const OUTSIDE: &str = "a link that leads outside the folder; it is not followed";
const UNMARKED: &str = "a link that leads outside the folder, to where the hub client keeps shared blobs, but its marker file \
                        (`.huggingface-shared-blobs` with the line `1`) is not there; it is not followed";
const OTHER_FORM: &str = "a link that leads outside the folder, into the shared blobs of the hub cache, but not as the hub client \
                          links there; it is not followed";

fn outside(path: &Path, message: &str) -> Error {
    Error::new(ErrorKind::OutsideFolder, message).with_path(path).help("name the file itself if you trust it")
}

pub(super) fn not_regular(path: &Path) -> Error {
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

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// A folder with a file, a folder in it with another, and a file outside.
    fn folders() -> (tempfile::TempDir, PathBuf, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let (root, out) = (dir.path().join("root"), dir.path().join("outside"));
        std::fs::create_dir_all(root.join("sub")).unwrap();
        std::fs::create_dir(&out).unwrap();
        for file in [root.join("inside"), root.join("sub/file"), out.join("file")] {
            std::fs::write(&file, b"bytes").unwrap();
        }
        (dir, root, out)
    }

    #[test]
    fn a_link_that_is_swapped_after_it_was_looked_at_is_not_followed() {
        let (_dir, root, out) = folders();
        let boundary = Boundary::of(&root).unwrap();
        let link = root.join("link");
        symlink("inside", &link).unwrap();
        let found = boundary.find(&link, "link".to_owned()).unwrap();
        assert_eq!(found.read_small(9).unwrap(), b"bytes");
        std::fs::remove_file(&link).unwrap();
        symlink(out.join("file"), &link).unwrap();
        assert_eq!(found.open().unwrap_err().kind(), ErrorKind::Changed);
        assert_eq!(boundary.find(&link, "link".to_owned()).unwrap_err().kind(), ErrorKind::OutsideFolder);
    }

    #[test]
    fn a_folder_that_is_swapped_for_a_link_is_neither_listed_nor_read_from() {
        let (_dir, root, out) = folders();
        let boundary = Boundary::of(&root).unwrap();
        let sub = root.join("sub");
        assert_eq!(boundary.list(&sub).unwrap(), ["file"]);
        std::fs::remove_dir_all(&sub).unwrap();
        symlink(&out, &sub).unwrap();
        // As if the swap had come before the file was looked at, and after its folder was.
        let metadata = std::fs::symlink_metadata(sub.join("file")).unwrap();
        let found = boundary.found(&sub.join("file"), "sub/file".to_owned(), &metadata);
        if cfg!(target_os = "linux") {
            assert_eq!(found.open().unwrap_err().kind(), ErrorKind::OutsideFolder);
            assert_eq!(boundary.list(&sub).unwrap_err().kind(), ErrorKind::OutsideFolder);
        }
        assert_eq!(boundary.find(&sub.join("file"), String::new()).unwrap_err().kind(), ErrorKind::OutsideFolder);
    }

    #[test]
    fn a_child_is_a_folder_that_is_no_link() {
        let (_dir, root, out) = folders();
        let place = Place::of(&root).unwrap();
        assert_eq!(place.child(OsStr::new("sub")).unwrap(), Place::of(&root.join("sub")).unwrap());
        assert_eq!(place.child(OsStr::new("inside")), None);
        symlink(&out, root.join("link")).unwrap();
        assert_eq!(place.child(OsStr::new("link")), None);
        assert_eq!(Boundary::of_snapshot(&root, OsStr::new("none")).unwrap_err().kind(), ErrorKind::OutsideFolder);
    }

    #[test]
    fn a_file_that_the_caller_named_may_lie_anywhere() {
        let (_dir, root, out) = folders();
        symlink(out.join("file"), root.join("link")).unwrap();
        assert_eq!(FoundFile::named(&root.join("link"), String::new()).unwrap().read_small(9).unwrap(), b"bytes");
    }
}
