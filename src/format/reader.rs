//! Reads a header through a bounded window, with positioned reads.

use super::limits::HEADER_WINDOW;
use crate::error::{Error, ErrorKind, Result};
use crate::source::Source;

/// A cursor over part of a source. Holds one window of at most [`HEADER_WINDOW`] bytes, however long the header is.
pub(crate) struct HeaderReader<'a> {
    source: &'a dyn Source,
    window: Vec<u8>,
    /// Cursor inside the window.
    cursor: usize,
    /// File offset of the window's first byte.
    base: u64,
    /// File offset at which reading must stop.
    end: u64,
}

impl<'a> HeaderReader<'a> {
    /// A cursor over `start..end` of the source; `end` is cut to the length of the source.
    pub(crate) fn new(source: &'a dyn Source, start: u64, end: u64) -> Self {
        Self { source, window: Vec::new(), cursor: 0, base: start, end: end.min(source.len()) }
    }

    /// File offset of the next byte.
    pub(crate) fn offset(&self) -> u64 {
        self.base + self.cursor as u64
    }

    /// Bytes that are left.
    pub(crate) fn left(&self) -> u64 {
        self.end.saturating_sub(self.offset())
    }

    /// The unread bytes of the window, refilled when it is used up; empty at the end.
    ///
    /// # Errors
    /// [`ErrorKind::Io`], and [`ErrorKind::Truncated`] when the source ends earlier than its length said.
    #[inline]
    pub(crate) fn available(&mut self) -> Result<&[u8]> {
        if self.cursor == self.window.len() {
            self.refill()?;
        }
        Ok(&self.window[self.cursor..])
    }

    /// Marks `n` bytes of what [`Self::available`] gave as read.
    #[inline]
    pub(crate) fn consume(&mut self, n: usize) {
        self.cursor = (self.cursor + n).min(self.window.len());
    }

    /// The next byte without reading it; `None` at the end.
    ///
    /// # Errors
    /// As [`Self::available`].
    #[inline]
    pub(crate) fn peek(&mut self) -> Result<Option<u8>> {
        Ok(self.available()?.first().copied())
    }

    /// Fills `out`.
    ///
    /// # Errors
    /// [`ErrorKind::Truncated`] when fewer bytes are left.
    pub(crate) fn read_exact(&mut self, out: &mut [u8]) -> Result<()> {
        let mut done = 0;
        while done < out.len() {
            let chunk = self.available()?;
            if chunk.is_empty() {
                return Err(self.ended(out.len() as u64));
            }
            let n = chunk.len().min(out.len() - done);
            out[done..done + n].copy_from_slice(&chunk[..n]);
            self.consume(n);
            done += n;
        }
        Ok(())
    }

    /// Steps over `n` bytes without reading what lies beyond the window.
    ///
    /// # Errors
    /// [`ErrorKind::Truncated`] when fewer bytes are left.
    pub(crate) fn skip(&mut self, n: u64) -> Result<()> {
        if n > self.left() {
            return Err(self.ended(n));
        }
        let in_window = (self.window.len() - self.cursor) as u64;
        if n <= in_window {
            self.cursor += usize::try_from(n).unwrap_or(usize::MAX);
        } else {
            self.base = self.offset() + n;
            self.window.clear();
            self.cursor = 0;
        }
        Ok(())
    }

    /// A little-endian number.
    ///
    /// # Errors
    /// [`ErrorKind::Truncated`] when too few bytes are left.
    pub(crate) fn u32(&mut self) -> Result<u32> {
        let mut bytes = [0; 4];
        self.read_exact(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    /// A little-endian number.
    ///
    /// # Errors
    /// [`ErrorKind::Truncated`] when too few bytes are left.
    pub(crate) fn u64(&mut self) -> Result<u64> {
        let mut bytes = [0; 8];
        self.read_exact(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    /// Where the bytes come from.
    pub(crate) fn path(&self) -> &std::path::Path {
        self.source.path()
    }

    /// An error of the header's making at the present place.
    pub(crate) fn malformed(&self, message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Malformed, message)
            .with_path(self.source.path())
            .at(self.offset())
            .help("the file is damaged, or its writer at fault: fetch it again, or convert the model again")
    }

    /// An error that a bound was reached at the present place.
    pub(crate) fn over_limit(&self, message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Limit, message).with_path(self.source.path()).at(self.offset())
    }

    /// The error for a header that ends in the middle of something `wanted` bytes long.
    pub(crate) fn ended(&self, wanted: u64) -> Error {
        Error::new(
            ErrorKind::Truncated,
            format!("truncated: the header goes on for {wanted} bytes where only {} are left", self.left()),
        )
        .with_path(self.source.path())
        .at(self.offset())
        .help("the file is cut short or damaged: fetch it again")
    }

    fn refill(&mut self) -> Result<()> {
        self.base += self.cursor as u64;
        self.cursor = 0;
        let wanted = usize::try_from(self.end.saturating_sub(self.base)).unwrap_or(usize::MAX).min(HEADER_WINDOW);
        self.window.resize(wanted, 0);
        let got = self.source.read_at(self.base, &mut self.window)?;
        self.window.truncate(got);
        if got < wanted {
            return Err(self.ended(wanted as u64));
        }
        Ok(())
    }
}
