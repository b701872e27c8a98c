//! The bytes of a GGUF file beside its tensors.

use crate::project::input::GgufSource;
use crate::project::plan::{FileSize, OutTensor};

/// Bytes of one tensor info: name length, name, dimension count, dimensions, type, offset.
pub(crate) fn info_bytes(name_bytes: u64, dims: usize) -> u64 {
    8 + name_bytes + 4 + 8 * dims as u64 + 4 + 8
}

/// Bytes of the three `split.*` keys (u16, u16, i32) that every file of a split set carries.
pub(crate) fn split_key_bytes() -> u64 {
    (8 + 8 + 4 + 2) + (8 + 11 + 4 + 2) + (8 + 19 + 4 + 4)
}

/// Rounds up; saturates.
pub(crate) fn pad_to(bytes: u64, alignment: u64) -> u64 {
    bytes.checked_next_multiple_of(alignment.max(1)).unwrap_or(u64::MAX)
}

/// Header and data of tensors.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Infos {
    pub(crate) infos: u64,
    pub(crate) data: u64,
    pub(crate) padded: u64,
}

impl Infos {
    pub(crate) fn add(&mut self, name_bytes: u64, dims: usize, bytes: u64) {
        self.infos += info_bytes(name_bytes, dims);
        self.data = self.data.saturating_add(bytes);
        self.padded = self.padded.saturating_add(pad_to(bytes, 32));
    }
}

/// What the four keys about the importance matrix take without their two strings: file and dataset (strings), entries and chunks
/// (u32). The dataset's key is left out where it is not known.
const IMATRIX_FIXED: u64 = (8 + 21 + 4 + 8) + (8 + 30 + 4 + 4) + (8 + 29 + 4 + 4);
const IMATRIX_DATASET: u64 = 8 + 24 + 4 + 8;
/// Bounds of the strings in the stated range.
const SHORTEST_PATH: u64 = 1;
const LONGEST_TEXT: u64 = 255;

/// Size of the file that `llama-quantize` writes: header of the source without `split.*`, with the two keys it adds where they
/// are missing; every tensor padded to 32.
pub(crate) fn quantized_size(source: &GgufSource, infos: u64, tensors: &[OutTensor<'_>], imatrix: bool) -> FileSize {
    let mut header = 24 + source.kv_bytes + infos;
    if !source.has_quantization_version {
        header += 8 + 28 + 4 + 4;
    }
    if !source.has_file_type {
        header += 8 + 17 + 4 + 4;
    }
    let mut sum = Infos::default();
    for t in tensors {
        sum.add(0, 0, t.bytes);
    }
    let size = |extra: u64| pad_to(header + extra, source.alignment).saturating_add(sum.padded);
    let range =
        imatrix.then(|| (size(IMATRIX_FIXED + SHORTEST_PATH), size(IMATRIX_FIXED + LONGEST_TEXT + IMATRIX_DATASET + LONGEST_TEXT)));
    // A short path and a data-set name of some 20 bytes each are the likeliest.
    let extra = if imatrix { IMATRIX_FIXED + 20 + IMATRIX_DATASET + 20 } else { 0 };
    let likely = size(extra);
    let padding = pad_to(header + extra, source.alignment) - (header + extra) + (sum.padded - sum.data);
    FileSize { files: 1, likely, header: header + extra, padding, range }
}
