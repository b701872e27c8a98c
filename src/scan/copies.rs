//! Whether one tensor holds the values of another again: byte by byte where both have one type, by decoded rows where not.
//!
//! A GGUF may store the output head of a tied model a second time, in another type than the embedding. Their bytes differ then, but
//! row by row both decode to nearly the same direction; rows of independent matrices do not.

use std::path::Path;

use super::blocks::block;
use super::simd::Level;
use crate::checkpoint::Tensor;
use crate::dtype::Dtype;
use crate::error::{Error, ErrorKind, Result};
use crate::observe::Observer;
use crate::source::{FileSource, read_exact_at};

/// What the comparison found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum CopyCheck {
    /// Every byte is the same.
    Equal,
    /// Rows were decoded and compared.
    Rows {
        /// How many, spread evenly over the matrix.
        rows: u64,
        /// The least cosine of two rows of one index.
        least_cosine: f64,
    },
    /// Their types or shapes cannot be compared.
    NotCompared,
}

impl CopyCheck {
    /// Cosine from which rows count as the same: 2-bit quantization keeps more, independent rows of hundreds of elements are near 0.
    pub const SAME: f64 = 0.9;

    /// Whether one is a copy of the other, exact or quantized anew.
    pub fn is_copy(self) -> bool {
        match self {
            Self::Equal => true,
            Self::Rows { least_cosine, .. } => least_cosine >= Self::SAME,
            Self::NotCompared => false,
        }
    }
}

/// Rows that are decoded: enough that a partly copied matrix is found, few enough to cost nothing beside the scan.
const ROWS: u64 = 256;
/// Bytes compared at once.
const PIECE: u64 = 1 << 20;

/// Compares two matrices of one shape, in the files given.
///
/// # Errors
/// I/O errors, files cut short, and [`ErrorKind::Cancelled`] when the observer asks for an end.
pub fn compare(a: (&Tensor<'_>, &Path), b: (&Tensor<'_>, &Path), observer: &dyn Observer) -> Result<CopyCheck> {
    let ((ta, path_a), (tb, path_b)) = (a, b);
    if ta.info.shape != tb.info.shape || ta.info.elements == 0 {
        return Ok(CopyCheck::NotCompared);
    }
    let (source_a, source_b) = (FileSource::open(path_a)?, FileSource::open(path_b)?);
    let cancelled = || Error::new(ErrorKind::Cancelled, "interrupted");
    if ta.info.dtype == tb.info.dtype && ta.info.bytes == tb.info.bytes && equal_bytes(ta, &source_a, tb, &source_b, observer)? {
        return if observer.cancelled() { Err(cancelled()) } else { Ok(CopyCheck::Equal) };
    }
    let row = ta.info.row_len();
    let rows = ta.info.elements / row.max(1);
    let mut least = f64::INFINITY;
    let compared = rows.min(ROWS);
    for i in 0..compared {
        if observer.cancelled() {
            return Err(cancelled());
        }
        let index = i * rows / compared;
        let (Some(x), Some(y)) = (decode_row(ta, &source_a, index, row)?, decode_row(tb, &source_b, index, row)?) else {
            return Ok(CopyCheck::NotCompared);
        };
        least = least.min(cosine(&x, &y));
    }
    Ok(CopyCheck::Rows { rows: compared, least_cosine: least })
}

fn equal_bytes(
    a: &Tensor<'_>,
    source_a: &FileSource,
    b: &Tensor<'_>,
    source_b: &FileSource,
    observer: &dyn Observer,
) -> Result<bool> {
    let (mut x, mut y) = (Vec::new(), Vec::new());
    let mut done = 0;
    while done < a.info.bytes && !observer.cancelled() {
        let n = usize::try_from(PIECE.min(a.info.bytes - done)).unwrap_or(0);
        x.resize(n, 0);
        y.resize(n, 0);
        read_exact_at(source_a, a.info.offset + done, &mut x)?;
        read_exact_at(source_b, b.info.offset + done, &mut y)?;
        if x != y {
            return Ok(false);
        }
        done += n as u64;
    }
    Ok(true)
}

/// The values of one row; `None` for a type that is not decoded here.
fn decode_row(tensor: &Tensor<'_>, source: &FileSource, index: u64, row: u64) -> Result<Option<Vec<f32>>> {
    let Some(info) = tensor.info.dtype.info() else { return Ok(None) };
    if !row.is_multiple_of(info.elements_per_block) {
        return Ok(None);
    }
    let row_bytes = row / info.elements_per_block * info.bytes_per_block;
    let mut bytes = vec![0; usize::try_from(row_bytes).unwrap_or(0)];
    read_exact_at(source, tensor.info.offset + index * row_bytes, &mut bytes)?;
    let values = match tensor.info.dtype {
        Dtype::F32 => bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
        Dtype::F16 => bytes.as_chunks().0.iter().map(|b| half::f16::from_le_bytes(*b).to_f32()).collect(),
        Dtype::BF16 => bytes.as_chunks().0.iter().map(|b| half::bf16::from_le_bytes(*b).to_f32()).collect(),
        dtype => {
            let Some(block) = block(dtype) else { return Ok(None) };
            let mut values = vec![0.0; usize::try_from(row).unwrap_or(0)];
            block.decode(Level::best(), &bytes, &mut values);
            values
        }
    };
    Ok(Some(values))
}

/// Two rows of zeros agree; a row of zeros and another do not.
fn cosine(x: &[f32], y: &[f32]) -> f64 {
    let (mut xy, mut xx, mut yy) = (0.0f64, 0.0f64, 0.0f64);
    for (&a, &b) in x.iter().zip(y) {
        let (a, b) = (f64::from(a), f64::from(b));
        (xy, xx, yy) = (xy + a * b, xx + a * a, yy + b * b);
    }
    match (xx == 0.0, yy == 0.0) {
        (true, true) => 1.0,
        (false, false) => xy / (xx.sqrt() * yy.sqrt()),
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::{OpenOptions, open};
    use crate::observe::Silent;

    /// A file of two F32 matrices and a BF16 one.
    fn file(dir: &Path, first: &[f32], second: &[f32]) -> std::path::PathBuf {
        let n = first.len() * 4;
        let header = format!(
            r#"{{"a":{{"dtype":"F32","shape":[8,{c}],"data_offsets":[0,{n}]}},"b":{{"dtype":"F32","shape":[8,{c}],"data_offsets":[{n},{n2}]}},"c":{{"dtype":"BF16","shape":[8,{c}],"data_offsets":[{n2},{n3}]}}}}"#,
            c = first.len() / 8,
            n2 = 2 * n,
            n3 = 2 * n + n / 2
        );
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend(first.iter().chain(second).flat_map(|x| x.to_le_bytes()));
        bytes.extend(first.iter().flat_map(|x| half::bf16::from_f32(*x).to_le_bytes()));
        let path = dir.join("m.safetensors");
        std::fs::write(&path, bytes).unwrap();
        path
    }

    #[test]
    fn a_copy_is_told_from_another_matrix_and_from_a_copy_in_another_type() {
        let dir = tempfile::tempdir().unwrap();
        let mut state = 1u64;
        let mut noise = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        };
        let first: Vec<f32> = (0..2048).map(|_| noise()).collect();
        let other: Vec<f32> = (0..2048).map(|_| noise()).collect();
        for (second, equal) in [(&first, true), (&other, false)] {
            let path = file(dir.path(), &first, second);
            let checkpoint = open(&path, &OpenOptions::default()).unwrap();
            let tensors: Vec<_> = checkpoint.tensors().collect();
            let check = |i: usize, j: usize| compare((&tensors[i], &path), (&tensors[j], &path), &Silent).unwrap();
            assert_eq!(check(0, 1).is_copy(), equal);
            assert_eq!(check(0, 1) == CopyCheck::Equal, equal);
            assert!(matches!(check(0, 2), CopyCheck::Rows { rows: 8, least_cosine } if least_cosine > 0.9999));
        }
    }
}
