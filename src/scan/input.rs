//! One file of a scan: opened, read one way or the other, and looked at again in the end.

use crate::error::{Error, ErrorKind, Result};
use crate::source::{FileSource, Identity, MappedFile, Source, is_network_file, read_exact_at};

use super::{Io, IoUsed, ScanFile};

/// A file that is being scanned.
#[derive(Debug)]
pub(super) enum Input {
    /// Positioned reads.
    Read(FileSource),
    /// Maps, with positioned reads where one fails.
    Mapped(MappedFile),
}

impl Input {
    /// Opens a file and makes sure that it is the one whose header was read.
    pub(super) fn open(file: &ScanFile, io: Io) -> Result<Self> {
        let source = FileSource::open(&file.path)?;
        if let Some(expected) = file.identity {
            source.opened_identity().unchanged_since(expected, "since its header was read").map_err(|e| e.with_path(&file.path))?;
        }
        let map = match io {
            Io::Read => false,
            Io::Mmap => true,
            Io::Auto => cfg!(all(target_os = "linux", target_pointer_width = "64")) && !is_network_file(&source),
        };
        Ok(if map { Self::Mapped(MappedFile::new(source)) } else { Self::Read(source) })
    }

    fn source(&self) -> &FileSource {
        match self {
            Self::Read(source) => source,
            Self::Mapped(file) => file.source(),
        }
    }

    /// Length when the file was opened.
    pub(super) fn len(&self) -> u64 {
        self.source().len()
    }

    /// Gives `work` the bytes from `start` to `end`, through a map or in `buffer`; says how they were read. `work` is called
    /// once, unless the bytes cannot be had.
    pub(super) fn with_bytes(&self, start: u64, end: u64, buffer: &mut Vec<u8>, work: &mut dyn FnMut(&[u8])) -> Result<IoUsed> {
        let len = end.saturating_sub(start);
        if let Self::Mapped(file) = self {
            // Any failure to map leads to a read, which says what is wrong if something is.
            if let Ok(window) = file.window(start, len)
                && let Some(bytes) = window.bytes(start, len)
            {
                work(bytes);
                if window.is_broken() {
                    return Err(self.broken(start));
                }
                return Ok(IoUsed::Mmap);
            }
        }
        buffer.resize(usize::try_from(len).unwrap_or(usize::MAX), 0);
        read_exact_at(self.source(), start, buffer).map_err(|error| match error.kind() {
            ErrorKind::Truncated => self.broken(start),
            _ => error,
        })?;
        work(buffer);
        Ok(IoUsed::Read)
    }

    /// What to say of bytes that were there when the file was opened and are gone.
    fn broken(&self, offset: u64) -> Error {
        let error = match self.verify() {
            Err(error) => error,
            Ok(()) => Error::new(ErrorKind::Io, "the system could not deliver bytes of a mapped file"),
        };
        error.with_path(self.source().path()).at(offset)
    }

    /// Makes sure that the file is still what it was when it was opened.
    pub(super) fn verify(&self) -> Result<()> {
        let source = self.source();
        let opened = source.opened_identity();
        let during = "while it was scanned";
        // Both by path (it may have been replaced by another file) and by handle (the path may be a link that moved on, while
        // somebody cut the file that we read).
        if let Some(now) = source.identity()? {
            now.unchanged_since(opened, during).map_err(|e| e.with_path(source.path()))?;
        }
        if let Some(file) = source.file() {
            let metadata = file.metadata().map_err(|e| Error::io(source.path(), "cannot stat", &e))?;
            if metadata.len() != opened.len {
                let now = Identity { len: metadata.len(), ..opened };
                now.unchanged_since(opened, during).map_err(|e| e.with_path(source.path()))?;
            }
        }
        Ok(())
    }
}
