//! A regular file, opened without being able to hang.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

use super::{Identity, Source};
use crate::error::{Error, ErrorKind, Result};

/// A regular file read with positioned reads.
#[derive(Debug)]
pub struct FileSource {
    path: PathBuf,
    file: File,
    identity: Identity,
}

impl FileSource {
    /// Opens a regular file. Anything else is refused before a byte is read: a FIFO would block, a device could do worse.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], [`ErrorKind::NotRegularFile`], [`ErrorKind::Io`].
    pub fn open(path: &Path) -> Result<Self> {
        let file = open_without_blocking(path).map_err(|e| Error::io(path, "cannot open", &e))?;
        let metadata = file.metadata().map_err(|e| Error::io(path, "cannot stat", &e))?;
        if !metadata.is_file() {
            return Err(
                Error::new(ErrorKind::NotRegularFile, format!("is a {}, not a regular file", kind_of(&metadata))).with_path(path)
            );
        }
        Ok(Self { path: path.to_path_buf(), file, identity: Identity::of(&metadata) })
    }

    /// The identity at the time of opening.
    pub fn opened_identity(&self) -> Identity {
        self.identity
    }

    /// Where the open file lies, by the system's own word: the path that was opened may have led elsewhere for a moment. `None` where
    /// the system does not say (it does on Linux).
    pub fn place(&self) -> Option<PathBuf> {
        place_of(&self.file)
    }

    /// The whole of a small file (config, index), refusing more than `limit` bytes.
    ///
    /// # Errors
    /// [`ErrorKind::Limit`] above the limit; otherwise as [`read_exact_at`](super::read_exact_at).
    pub fn read_small(&self, limit: u64) -> Result<Vec<u8>> {
        if self.len() > limit {
            let message = format!("{} bytes, more than the {limit} that are read of such a file", self.len());
            return Err(Error::new(ErrorKind::Limit, message).with_path(&self.path));
        }
        let mut bytes = vec![0; usize::try_from(self.len()).unwrap_or(usize::MAX)];
        self.read_whole(|source| super::read_exact_at(source, 0, &mut bytes))?;
        Ok(bytes)
    }

    /// Does `work` and makes sure that the file stayed what it was when it was opened: what was read of a file that changed meanwhile
    /// may fit neither its old nor its new state, and neither may an error that came of it.
    ///
    /// # Errors
    /// What `work` fails with; [`ErrorKind::Changed`] or [`ErrorKind::Truncated`] when the file changed.
    pub fn read_whole<T>(&self, work: impl FnOnce(&Self) -> Result<T>) -> Result<T> {
        let done = work(self);
        match self.identity() {
            Ok(Some(now)) => now.unchanged_since(self.identity, "while it was read").map_err(|e| e.with_path(&self.path))?,
            Ok(None) => {}
            Err(error) => return done.and(Err(error)),
        }
        done
    }
}

impl Source for FileSource {
    fn path(&self) -> &Path {
        &self.path
    }

    fn len(&self) -> u64 {
        self.identity.len
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize> {
        let mut done = 0;
        while done < buf.len() {
            match read_once(&self.file, offset + done as u64, &mut buf[done..]) {
                Ok(0) => break,
                Ok(n) => done += n,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Err(Error::io(&self.path, "cannot read", &e).at(offset + done as u64)),
            }
        }
        Ok(done)
    }

    fn identity(&self) -> Result<Option<Identity>> {
        // By path, not by handle: a file replaced by rename keeps its old inode open, and the caller asked about the path.
        let metadata = std::fs::metadata(&self.path).map_err(|e| Error::io(&self.path, "cannot stat", &e))?;
        Ok(Some(Identity::of(&metadata)))
    }

    fn file(&self) -> Option<&File> {
        Some(&self.file)
    }
}

fn kind_of(metadata: &std::fs::Metadata) -> &'static str {
    if metadata.is_dir() {
        return "directory";
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        let kind = metadata.file_type();
        if kind.is_fifo() {
            return "FIFO";
        }
        if kind.is_socket() {
            return "socket";
        }
        if kind.is_block_device() || kind.is_char_device() {
            return "device";
        }
    }
    "special file"
}

#[cfg(unix)]
fn open_without_blocking(path: &Path) -> std::io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    // O_NONBLOCK: opening a FIFO without a writer returns at once. std sets O_CLOEXEC.
    OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)
}

#[cfg(not(unix))]
fn open_without_blocking(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().read(true).open(path)
}

#[cfg(unix)]
fn read_once(file: &File, offset: u64, buf: &mut [u8]) -> std::io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buf, offset)
}

#[cfg(windows)]
fn read_once(file: &File, offset: u64, buf: &mut [u8]) -> std::io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buf, offset)
}

/// Where a folder lies, as [`FileSource::place`] says it of a file.
pub fn place_of_folder(path: &Path) -> Option<PathBuf> {
    place_of(&open_folder(path).ok()?)
}

/// The names in a folder, and where it lies: where the system says that, the names are those of the folder that was found there, whatever
/// has come to stand in its place.
///
/// # Errors
/// Those of the system.
pub fn list_folder(path: &Path) -> std::io::Result<(Option<PathBuf>, std::fs::ReadDir)> {
    let folder = open_folder(path).ok();
    let by_handle = folder.as_ref().and_then(|folder| Some((place_of(folder)?, std::fs::read_dir(own_path(folder)?).ok()?)));
    match by_handle {
        Some((place, entries)) => Ok((Some(place), entries)),
        None => Ok((None, std::fs::read_dir(path)?)),
    }
}

#[cfg(target_os = "linux")]
fn open_folder(path: &Path) -> std::io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    OpenOptions::new().read(true).custom_flags(libc::O_DIRECTORY).open(path)
}

#[cfg(not(target_os = "linux"))]
fn open_folder(_: &Path) -> std::io::Result<File> {
    Err(std::io::ErrorKind::Unsupported.into())
}

/// The path by which a process reaches what it has open.
#[cfg(target_os = "linux")]
fn own_path(file: &File) -> Option<PathBuf> {
    use std::os::fd::AsRawFd;
    Some(format!("/proc/self/fd/{}", file.as_raw_fd()).into())
}

#[cfg(not(target_os = "linux"))]
fn own_path(_: &File) -> Option<PathBuf> {
    None
}

/// proc(5): the link of a descriptor is the path of what it refers to, whatever links led there.
fn place_of(file: &File) -> Option<PathBuf> {
    std::fs::read_link(own_path(file)?).ok().filter(|path| path.is_absolute())
}

impl Identity {
    /// What the system says of a file.
    #[cfg(unix)]
    pub fn of(metadata: &std::fs::Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            len: metadata.len(),
            mtime_ns: i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec()),
        }
    }

    /// What the system says of a file.
    #[cfg(not(unix))]
    pub fn of(metadata: &std::fs::Metadata) -> Self {
        let mtime_ns = metadata
            .modified()
            .ok()
            .and_then(|t| t.duration_since(std::time::UNIX_EPOCH).ok())
            .and_then(|d| i128::try_from(d.as_nanos()).ok())
            .unwrap_or(0);
        Self { device: 0, inode: 0, len: metadata.len(), mtime_ns }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_directory_and_a_device_are_refused() {
        for path in [Path::new("/"), Path::new("/dev/null")] {
            assert_eq!(FileSource::open(path).unwrap_err().kind(), ErrorKind::NotRegularFile);
        }
    }

    #[test]
    fn reads_end_where_the_file_ends() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        std::fs::write(&path, b"abcdef").unwrap();
        let source = FileSource::open(&path).unwrap();
        let mut buf = [0; 4];
        assert_eq!(source.read_at(4, &mut buf).unwrap(), 2);
        assert_eq!(&buf[..2], b"ef");
        assert_eq!(source.identity().unwrap(), Some(source.opened_identity()));
        std::fs::write(&path, b"abc").unwrap();
        assert_ne!(source.identity().unwrap(), Some(source.opened_identity()));
    }
}
