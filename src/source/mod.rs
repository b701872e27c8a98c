//! A file as a length, positioned reads and an identity.
//!
//! Headers, indexes and configs are always read through [`Source::read_at`], never through a map, so that a file which shrinks
//! while it is read gives an ordinary error.

#[cfg(unix)]
mod fault;
mod file;
mod mapped;
mod memory;

use std::path::Path;

#[cfg(unix)]
pub use fault::fail_beyond_file_size_limit;
pub use file::{FileSource, list_folder, place_of_folder};
pub use mapped::{MappedFile, RESIDENT_STEP, Window, is_network_file, resident};
pub use memory::MemorySource;

use crate::error::{Error, ErrorKind, Result};

/// What tells one state of a file from another: a change between two looks means that figures read in between are worthless.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// Device number; 0 where the system has none.
    pub device: u64,
    /// Inode number; 0 where the system has none.
    pub inode: u64,
    /// Length in bytes.
    pub len: u64,
    /// Modification time in nanoseconds since the epoch; 0 where unknown.
    pub mtime_ns: i128,
}

impl Identity {
    /// Whether it is the same file, in whatever state.
    pub fn is_same_file(self, other: Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }

    /// Whether this is still the state that was seen `before`; `when` tells in words what went on in between.
    ///
    /// # Errors
    /// [`ErrorKind::Truncated`] when there are fewer bytes now, [`ErrorKind::Changed`] for every other difference.
    pub fn unchanged_since(self, before: Self, when: &str) -> Result<()> {
        if self == before {
            return Ok(());
        }
        let (kind, what) = if self.len < before.len {
            (ErrorKind::Truncated, format!("became shorter {when}: {} bytes, {} before", self.len, before.len))
        } else if self.len > before.len {
            (ErrorKind::Changed, format!("became longer {when}: {} bytes, {} before", self.len, before.len))
        } else if !self.is_same_file(before) {
            (ErrorKind::Changed, format!("was replaced by another file {when}"))
        } else {
            (ErrorKind::Changed, format!("was written to {when}"))
        };
        Err(Error::new(kind, what).help("its figures are withdrawn; try again when nothing writes to it"))
    }
}

/// Bytes with a length, readable at any position from any thread.
pub trait Source: Send + Sync {
    /// Where the bytes come from, for messages.
    fn path(&self) -> &Path;

    /// Length in bytes when the source was opened. For a head with a stated length: the stated length.
    fn len(&self) -> u64;

    /// Whether the source is empty.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads into `buf` from `offset`; returns how many bytes were read, fewer than asked only where the bytes end.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] when the system fails the read.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize>;

    /// The present identity, asked of the system anew; `None` where there is nothing to ask (bytes in memory).
    ///
    /// # Errors
    /// [`ErrorKind::Io`] when the system cannot say.
    fn identity(&self) -> Result<Option<Identity>>;

    /// The open file behind the source, for a map; `None` where there is none.
    fn file(&self) -> Option<&std::fs::File> {
        None
    }
}

/// Reads exactly `buf.len()` bytes.
///
/// # Errors
/// [`ErrorKind::Truncated`] with the offset where the bytes end; I/O errors as they come.
pub fn read_exact_at(source: &dyn Source, offset: u64, buf: &mut [u8]) -> Result<()> {
    let got = source.read_at(offset, buf)?;
    if got == buf.len() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Truncated, format!("needs {} bytes, only {got} are there", buf.len()))
        .with_path(source.path())
        .at(offset))
}

/// Reads a whole small file (config, index), refusing more than `limit` bytes.
///
/// # Errors
/// [`ErrorKind::Limit`] above the limit; otherwise as [`FileSource::open`] and [`read_exact_at`].
pub fn read_small(path: &Path, limit: u64) -> Result<Vec<u8>> {
    FileSource::open(path)?.read_small(limit)
}
