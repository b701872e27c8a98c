//! What a scan found.

use crate::error::{Error, ErrorKind, Result};
use crate::stats::{LEAF_ELEMENTS, PART_SCHEMA, PartFile, PartNode, PartTensor, ScanPart, TensorFold, TensorStats, check_set};

use super::plan::Slicing;
use super::{Part, ScanFile};

/// Why a tensor has no figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Skip {
    /// No kernel reads this dtype.
    NoKernel,
    /// The file ends before the tensor does.
    BeyondEnd,
    /// Its bytes are not what its elements and dtype take.
    SizeMismatch,
    /// The scan was stopped before it was done.
    Interrupted,
    /// The file could not be read, or changed: see [`FileOutcome::error`].
    FileFailed,
    /// A scan of a part: the rest lies in other parts.
    OtherPart,
}

impl Skip {
    const WORDS: [(Self, &'static str); 6] = [
        (Self::NoKernel, "no-kernel"),
        (Self::BeyondEnd, "beyond-end"),
        (Self::SizeMismatch, "size-mismatch"),
        (Self::Interrupted, "interrupted"),
        (Self::FileFailed, "file-failed"),
        (Self::OtherPart, "other-part"),
    ];

    /// A stable word for it.
    pub fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(skip, _)| *skip == self).map_or("", |(_, word)| word)
    }

    /// The reason behind a word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(_, known)| *known == word).map(|(skip, _)| *skip)
    }
}

/// One tensor after the scan.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TensorOutcome {
    /// Its figures; `None` if it was not scanned, or not wholly. Never zero in place of unknown.
    pub stats: Option<TensorStats>,
    /// Figures of its slices in order; empty unless several were requested and the tensor was scanned.
    pub slices: Vec<TensorStats>,
    /// Why there are no figures.
    pub skipped: Option<Skip>,
    /// In a scan of a part: the whole subtrees of leaves that were read.
    pub nodes: Vec<PartNode>,
}

/// One file after the scan.
#[derive(Debug, Clone, Default)]
pub struct FileOutcome {
    /// Its tensors, in the order of the input.
    pub tensors: Vec<TensorOutcome>,
    /// Why its figures were withdrawn or never made.
    pub error: Option<Error>,
    /// Length when it was opened; `None` where nothing was to be read from it.
    pub len: Option<u64>,
}

/// How the bytes were read in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IoUsed {
    /// Nothing was read.
    #[default]
    Nothing,
    /// All through maps.
    Mmap,
    /// All by positioned reads.
    Read,
    /// Some of each.
    Mixed,
}

impl IoUsed {
    /// As reports spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nothing => "none",
            Self::Mmap => "mmap",
            Self::Read => "read",
            Self::Mixed => "mixed",
        }
    }

    pub(super) fn and(self, other: Self) -> Self {
        match (self, other) {
            (a, b) if a == b => a,
            (Self::Nothing, a) | (a, Self::Nothing) => a,
            _ => Self::Mixed,
        }
    }
}

/// A finished (or stopped) scan.
#[derive(Debug, Clone, Default)]
pub struct ScanOutcome {
    /// The files, in the order of the input.
    pub files: Vec<FileOutcome>,
    /// Bytes of weights that were read, those of withdrawn files included.
    pub bytes_read: u64,
    /// Wall time.
    pub seconds: f64,
    /// Threads used.
    pub threads: usize,
    /// How the bytes were read.
    pub io: IoUsed,
    /// Whether every tensor has its figures. For a part: whether everything in it could be read.
    pub complete: bool,
    /// Whether the observer stopped it.
    pub interrupted: bool,
}

impl ScanOutcome {
    /// This outcome of a scan with [`super::ScanOptions::part`] in the form that [`merge_parts`] takes. `files` is the scan's
    /// input.
    pub fn to_part(&self, files: &[ScanFile], part: Part) -> ScanPart {
        let tensors = |file: &ScanFile, outcome: &FileOutcome| {
            let one = |(tensor, outcome): (&super::ScanTensor, &TensorOutcome)| PartTensor {
                dtype: tensor.dtype.name().map(str::to_owned),
                offset: tensor.offset,
                bytes: tensor.bytes,
                elements: tensor.elements,
                slices: tensor.slices,
                skipped: outcome.skipped.filter(|skip| *skip != Skip::OtherPart).map(|skip| skip.word().to_owned()),
                nodes: outcome.nodes.clone(),
            };
            file.tensors.iter().zip(&outcome.tensors).map(one).collect()
        };
        ScanPart {
            part_schema: PART_SCHEMA.to_owned(),
            leaf_elements: LEAF_ELEMENTS,
            index: part.index,
            count: part.count,
            finished: !self.interrupted,
            bytes_read: self.bytes_read,
            files: files
                .iter()
                .zip(&self.files)
                .map(|(file, outcome)| PartFile {
                    len: outcome.len,
                    error: outcome.error.as_ref().map(|error| error.message().to_owned()),
                    tensors: tensors(file, outcome),
                })
                .collect(),
        }
    }
}

/// Puts all parts of a scan together: the figures of one scan of the whole, to the last digit. Times and threads are zero.
///
/// # Errors
/// [`ErrorKind::Usage`] when the parts are not one whole, uninterrupted set of one checkpoint, or contradict each other.
pub fn merge_parts(parts: &[ScanPart]) -> Result<ScanOutcome> {
    check_set(parts)?;
    let mut sorted: Vec<&ScanPart> = parts.iter().collect();
    sorted.sort_by_key(|part| part.index);
    let mut outcome =
        ScanOutcome { bytes_read: sorted.iter().map(|part| part.bytes_read).sum(), complete: true, ..ScanOutcome::default() };
    for file in 0..sorted[0].files.len() {
        let error = sorted.iter().find_map(|part| {
            let error = part.files[file].error.as_ref()?;
            Some(Error::new(ErrorKind::Changed, format!("in part {}: {error}", part.index)))
        });
        let mut merged = FileOutcome { len: sorted.iter().find_map(|part| part.files[file].len), error, tensors: Vec::new() };
        for tensor in 0..sorted[0].files[file].tensors.len() {
            let pieces: Vec<&PartTensor> = sorted.iter().map(|part| &part.files[file].tensors[tensor]).collect();
            let one = if merged.error.is_some() {
                TensorOutcome { skipped: Some(Skip::FileFailed), ..TensorOutcome::default() }
            } else {
                merge_tensor(&pieces)?
            };
            outcome.complete &= one.stats.is_some();
            merged.tensors.push(one);
        }
        outcome.complete &= merged.error.is_none();
        outcome.files.push(merged);
    }
    Ok(outcome)
}

fn merge_tensor(pieces: &[&PartTensor]) -> Result<TensorOutcome> {
    if let Some(word) = pieces.iter().find_map(|piece| piece.skipped.as_deref()) {
        let skipped = Some(Skip::from_word(word).unwrap_or(Skip::FileFailed));
        return Ok(TensorOutcome { skipped, ..TensorOutcome::default() });
    }
    let damaged = || Error::new(ErrorKind::Usage, "the parts overlap or leave a gap: they are damaged or of different scans");
    let Some(slicing) = Slicing::of_part(pieces[0]) else { return Err(damaged()) };
    let mut fold = TensorFold::new(slicing.slices, slicing.leaves_per_slice);
    for node in pieces.iter().flat_map(|piece| &piece.nodes) {
        if !fold.insert(*node) {
            return Err(damaged());
        }
    }
    match fold.stats() {
        Some(stats) if stats.elements == pieces[0].elements => {
            Ok(TensorOutcome { stats: Some(stats), slices: fold.into_slices(), ..TensorOutcome::default() })
        }
        _ => Err(damaged()),
    }
}
