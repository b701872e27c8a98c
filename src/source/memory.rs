//! Bytes in memory with a stated length: the head of a file whose data is not there.

use std::path::{Path, PathBuf};

use super::{Identity, Source};
use crate::error::Result;

/// The first bytes of a file, and how long the whole file is said to be. Lets a header be read and projected without its
/// weights.
#[derive(Debug, Clone)]
pub struct MemorySource {
    path: PathBuf,
    bytes: Vec<u8>,
    stated_len: u64,
}

impl MemorySource {
    /// Bytes that are the whole file.
    pub fn new(path: impl Into<PathBuf>, bytes: Vec<u8>) -> Self {
        let stated_len = bytes.len() as u64;
        Self { path: path.into(), bytes, stated_len }
    }

    /// The first bytes of a file of `stated_len` bytes.
    pub fn head(path: impl Into<PathBuf>, bytes: Vec<u8>, stated_len: u64) -> Self {
        Self { path: path.into(), bytes, stated_len }
    }
}

impl Source for MemorySource {
    fn path(&self) -> &Path {
        &self.path
    }

    fn len(&self) -> u64 {
        self.stated_len
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize> {
        let start = usize::try_from(offset).map_or(self.bytes.len(), |o| o.min(self.bytes.len()));
        let n = buf.len().min(self.bytes.len() - start);
        buf[..n].copy_from_slice(&self.bytes[start..start + n]);
        Ok(n)
    }

    fn identity(&self) -> Result<Option<Identity>> {
        Ok(None)
    }
}
