//! A stretch of a source's bytes as a source of its own: a member of an archive.

use std::path::Path;

use crate::error::Result;
use crate::source::{Identity, Source};

/// Bytes from one place to another.
pub(crate) struct Stretch<'s> {
    source: &'s dyn Source,
    start: u64,
    len: u64,
}

impl<'s> Stretch<'s> {
    /// The bytes from `start` to `end`, as far as the source has them.
    pub(crate) fn new(source: &'s dyn Source, start: u64, end: u64) -> Self {
        let end = end.min(source.len());
        Self { source, start, len: end.saturating_sub(start) }
    }
}

impl Source for Stretch<'_> {
    fn path(&self) -> &Path {
        self.source.path()
    }

    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize> {
        let left = usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let n = buf.len().min(left);
        self.source.read_at(self.start.saturating_add(offset), &mut buf[..n])
    }

    fn identity(&self) -> Result<Option<Identity>> {
        self.source.identity()
    }
}
