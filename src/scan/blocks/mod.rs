//! ggml block quants: what their elements decode to, and the statistics of a leaf of them.
//!
//! [`decode_block`] is the reference: plain code, one function for each type, with ggml's own order of `f32` operations.
//! Sources: `ggml-common.h` (layouts), `ggml-quants.c` (`dequantize_row_*`).

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx2_k;
#[cfg(target_arch = "x86_64")]
mod avx2_min;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod avx512_k;
#[cfg(target_arch = "x86_64")]
mod avx512_min;
#[cfg(target_arch = "x86_64")]
mod avx512_signed;
mod decoded;
mod fold;
mod fold_affine;
mod fp4;
mod grids;
mod iq1;
mod iq2;
mod iq3;
mod iq4;
mod k_quants;
mod legacy;
mod low_bit;
#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(target_arch = "aarch64")]
mod neon_k;
#[cfg(target_arch = "aarch64")]
mod neon_min;
mod portable;
mod portable_iq;
mod rows;
mod scales;
mod sums;
mod ternary;

use crate::dtype::Dtype;
use crate::scan::simd::dispatch::dispatch;
use crate::scan::simd::{Level, f16_to_f32};
use crate::stats::LeafStats;
use fold::{BatchLayout, Fold, STRETCH};
pub(in crate::scan) use rows::Block;
use rows::{BLOCKS, Fill};
use sums::{Affine, BATCH, Flat, Products};

/// Number of elements of the longest block.
const LONGEST: usize = 256;

/// The row of a block type; `None` for any other dtype.
pub(in crate::scan) fn block(dtype: Dtype) -> Option<&'static Block> {
    BLOCKS.iter().find(|block| block.dtype == dtype)
}

impl Block {
    /// Decodes whole blocks to the `f32` values of ggml's reference decoder, as many as both slices hold.
    pub(in crate::scan) fn decode(&self, level: Level, bytes: &[u8], out: &mut [f32]) {
        for (block, out) in bytes.chunks_exact(self.bytes).zip(out.chunks_exact_mut(self.elements)) {
            (self.decode)(level, block, out);
        }
    }

    /// The statistics of a leaf: whole blocks of one tensor, at any address. Bytes after the last whole block are ignored. Every level
    /// gives the same figures to the bit.
    pub(in crate::scan) fn leaf(&'static self, level: Level, bytes: &[u8]) -> LeafStats {
        let layout = BatchLayout::new(self);
        let bytes = &bytes[..bytes.len() / self.bytes * self.bytes];
        let batch_bytes = layout.batch_bytes();
        let mut fold = Fold::new();
        // Fills batch after batch and folds each; after a stretch of them, the extremes. The steps in floating point are compiled for
        // every instruction set; they take the level along for the units that they decode.
        macro_rules! run {
            ($fill:ident into $sums:ident $new:expr, $step:path $(, $most:ident)?) => {{
                let mut sums = $new;
                let step = dispatch!(
                    (inner: Level, layout: &BatchLayout, bytes: &[u8], sums: &mut $sums, $($most: f32,)? fold: &mut Fold) $step
                );
                let extremes = dispatch!((inner: Level, layout: &BatchLayout, bytes: &[u8], fold: &mut Fold) fold::extremes);
                for stretch in bytes.chunks(STRETCH / BATCH * batch_bytes) {
                    for bytes in stretch.chunks(batch_bytes) {
                        $fill(level, bytes, &mut sums);
                        step(level, level, &layout, bytes, &mut sums, $($most,)? &mut fold);
                    }
                    extremes(level, level, &layout, stretch, &mut fold);
                }
            }};
        }
        match self.fill {
            Fill::Products { fill, low, high } if self.bytes > 64 => {
                run!(fill into Products Products::new(low, high), fold::products::<true>);
            }
            Fill::Products { fill, low, high } => run!(fill into Products Products::new(low, high), fold::products::<false>),
            Fill::Flat { fill, most } => run!(fill into Flat Flat::new(), fold::flat, most),
            Fill::Affine8 { fill, most } => run!(fill into Affine Affine::new(), fold_affine::affine::<8>, most),
            Fill::Affine16 { fill, most } => run!(fill into Affine Affine::new(), fold_affine::affine::<16>, most),
        }
        let mut stats = fold.finish();
        if let Some(counted) = self.scales.of_four_bit_floats(bytes) {
            stats.scales = counted;
        }
        stats
    }

    /// The statistics of a leaf, each value decoded: the check on [`Block::leaf`]. Counts and extremes are equal; sums agree within the
    /// rounding of the values to `f32`, because [`Block::leaf`] adds up the exact products of scales and codes.
    fn leaf_by_decoding(&self, level: Level, bytes: &[u8]) -> LeafStats {
        let mut stats = LeafStats::default();
        let mut values = [0.0; LONGEST];
        for block in bytes.chunks_exact(self.bytes) {
            (self.decode)(level, block, &mut values);
            decoded::add(&values[..self.elements], &mut stats);
            self.scales.add(block, &mut stats.scales);
        }
        stats
    }
}

/// Decodes one block with the best instructions of this processor. `None` when the dtype is not a block type, or a slice is not exactly
/// one block (bytes) or its elements (`out`) long. For tests and benchmarks.
#[doc(hidden)]
pub fn decode_block(dtype: Dtype, bytes: &[u8], out: &mut [f32]) -> Option<()> {
    let block = block(dtype)?;
    ((out.len(), bytes.len()) == (block.elements, block.bytes)).then(|| block.decode(Level::best(), bytes, out))
}

/// The statistics of a leaf of a block type, each value decoded; slower than [`super::leaf`]. For tests and benchmarks.
#[doc(hidden)]
pub fn leaf_by_decoding(dtype: Dtype, bytes: &[u8]) -> Option<LeafStats> {
    Some(block(dtype)?.leaf_by_decoding(Level::best(), bytes))
}

/// Byte offsets of the F16 scales of a block, the scale proper before the minimum; empty where they are something else. For tests and
/// benchmarks.
#[doc(hidden)]
pub fn f16_scale_offsets(dtype: Dtype) -> &'static [usize] {
    block(dtype).map_or(&[], |block| block.scales.f16_offsets())
}

/// Reads the F16 at a byte offset.
#[inline(always)]
fn f16_at(block: &[u8], at: usize) -> f32 {
    f16_to_f32(u16::from_le_bytes([block[at], block[at + 1]]))
}

#[cfg(test)]
mod tests;
