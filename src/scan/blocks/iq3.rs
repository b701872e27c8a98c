//! IQ3_XXS and IQ3_S: two rows of four magnitudes out of a grid for eight elements, with signs; 256 elements under one f16.
//!
//! Layouts and order of operations: `ggml-common.h` and `dequantize_row_iq3_*` of `ggml-quants.c`.

use super::iq2::{EightValues, decode_eight, decode_halves, even_signs};
use super::{f16_at, grids};

/// EightValues elements at position `i` of 32 of an IQ3_XXS superblock.
#[inline(always)]
pub(super) fn xxs_eight(block: &[u8], i: usize) -> EightValues {
    let at = 66 + 4 * (i / 4);
    let word = u32::from_le_bytes([block[at], block[at + 1], block[at + 2], block[at + 3]]);
    let row = |k: usize| u64::from(grids::IQ3_XXS[usize::from(block[2 + 2 * i + k])]);
    EightValues { row: row(0) | row(1) << 32, signs: even_signs(word >> (7 * (i % 4))), scale: (word >> 28) as u8 }
}

/// EightValues elements at position `i` of 32 of an IQ3_S superblock.
#[inline(always)]
pub(super) fn s_eight(block: &[u8], i: usize) -> EightValues {
    let high = usize::from(block[66 + i / 4]) >> (2 * (i % 4));
    let row = |k: usize| u64::from(grids::IQ3_S[usize::from(block[2 + 2 * i + k]) | (high >> k & 1) << 8]);
    EightValues { row: row(0) | row(1) << 32, signs: block[74 + i], scale: block[106 + i / 8] >> (4 * (i / 4 % 2)) & 15 }
}

/// d (2 bytes), 64 grid indices, 8 x u32 (4 seven-bit sign indices, a four-bit scale).
#[inline(always)]
pub(super) fn iq3_xxs(block: &[u8], out: &mut [f32]) {
    decode_halves(f16_at(block, 0), 0.5, out, |i| xxs_eight(block, i));
}

/// d (2 bytes), 64 low bytes of grid indices, 8 bytes of ninth bits, 32 bytes of signs, 8 scales of four bits: d x (1 + 2 s).
#[inline(always)]
pub(super) fn iq3_s(block: &[u8], out: &mut [f32]) {
    let d = f16_at(block, 0);
    for (i, y) in out[..256].chunks_exact_mut(8).enumerate() {
        let e = s_eight(block, i);
        decode_eight(d * f32::from(1 + 2 * e.scale), e, y);
    }
}
