//! Reads the ranges and holds them against each other.

use std::cell::Cell;

use super::cast::{Agreement, agreement, width};
use super::pairs::{Pairs, Place, Sample};
use super::{Obstacle, Side};
use crate::checkpoint::CheckpointFile;
use crate::error::{Error, Result};
use crate::source::{FileSource, read_exact_at};
use crate::text::escape_limited;

/// What the ranges tell.
pub(super) enum Outcome {
    /// All are equal.
    Equal { compared: u64, cast: bool },
    /// This tensor is another one.
    Differs { place: Place },
    /// All agree to rounding only, this tensor first.
    Rounded { place: Place },
}

/// Reads ranges of the files of one side, one file open at a time.
pub(super) struct Reader<'r, 'a> {
    files: &'r [&'a CheckpointFile],
    open: Option<(usize, FileSource)>,
    buffer: Vec<u8>,
    count: &'r Cell<u64>,
}

impl<'r, 'a> Reader<'r, 'a> {
    pub(super) fn new(files: &'r [&'a CheckpointFile], count: &'r Cell<u64>) -> Self {
        Self { files, open: None, buffer: Vec::new(), count }
    }

    /// Bytes of a file, which must still be the one whose header was read.
    pub(super) fn read(&mut self, file: usize, offset: u64, len: u64) -> std::result::Result<&[u8], Obstacle> {
        if self.open.as_ref().is_none_or(|(open, _)| *open != file) {
            self.finish()?;
            let of = self.files[file];
            let source = FileSource::open(&of.path).map_err(|e| unreadable(of, &e))?;
            if let Some(before) = of.identity {
                let same = source.opened_identity().unchanged_since(before, "after its header was read");
                same.map_err(|e| unreadable(of, &e))?;
            }
            self.open = Some((file, source));
        }
        let Some((_, source)) = &self.open else { return Ok(&[]) };
        self.buffer.resize(usize::try_from(len).unwrap_or(0), 0);
        read_exact_at(source, offset, &mut self.buffer).map_err(|e| unreadable(self.files[file], &e))?;
        self.count.set(self.count.get().saturating_add(len));
        Ok(&self.buffer)
    }

    /// Closes the file that is open, which must be unchanged.
    pub(super) fn finish(&mut self) -> std::result::Result<(), Obstacle> {
        let Some((file, source)) = self.open.take() else { return Ok(()) };
        let unchanged: Result<()> = source.read_whole(|_| Ok(()));
        unchanged.map_err(|e| unreadable(self.files[file], &e))
    }
}

fn unreadable(file: &CheckpointFile, error: &Error) -> Obstacle {
    Obstacle::Unreadable(format!("{}: {}", escape_limited(&file.name, 80), error.message()))
}

/// Compares the ranges, and stops at the first that differs.
pub(super) fn compare(
    a: &Side<'_>,
    b: &Side<'_>,
    pairs: &Pairs,
    (of_a, of_b): (&mut Reader<'_, '_>, &mut Reader<'_, '_>),
) -> std::result::Result<Outcome, Obstacle> {
    let (mut compared, mut cast, mut rounded) = (0u64, false, None);
    for Sample { pair, start, len } in pairs.samples(a, b) {
        let (x, y) = (a.info(pair.a).1, b.info(pair.b).1);
        let (each_x, each_y) = if pair.cast { (width(x.dtype), width(y.dtype)) } else { (1, 1) };
        let bytes_x = of_a.read(pair.a.file, x.offset.saturating_add(start * each_x), len * each_x)?;
        let bytes_y = of_b.read(pair.b.file, y.offset.saturating_add(start * each_y), len * each_y)?;
        let agreement = match pair.cast {
            true => agreement((x.dtype, bytes_x), (y.dtype, bytes_y)),
            false if bytes_x == bytes_y => Agreement::Exact,
            false => Agreement::Far,
        };
        match agreement {
            Agreement::Exact => {}
            Agreement::Rounded => rounded = rounded.or(Some(pair.a)),
            Agreement::Far => return Ok(Outcome::Differs { place: pair.a }),
        }
        cast |= pair.cast;
        compared = compared.saturating_add(len * each_y);
    }
    Ok(rounded.map_or(Outcome::Equal { compared, cast }, |place| Outcome::Rounded { place }))
}
