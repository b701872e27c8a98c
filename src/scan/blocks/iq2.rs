//! IQ2_XXS, IQ2_XS, IQ2_S: rows of eight magnitudes out of a grid, with signs; 256 elements under one f16.
//!
//! Layouts and order of operations: `ggml-common.h` and `dequantize_row_iq2_*` of `ggml-quants.c`. An [`EightValues`] is what is
//! stored for eight elements; decoding and statistics both walk the same eights.

use super::{f16_at, grids};

/// EightValues elements of an i-quant: magnitudes, signs, and the scale of their group.
#[derive(Clone, Copy)]
pub(super) struct EightValues {
    /// One magnitude to a byte, the first in the lowest.
    pub(super) row: u64,
    /// A set bit negates the element.
    pub(super) signs: u8,
    /// The scale's stored integer.
    pub(super) scale: u8,
}

/// The sign byte of a seven-bit index (`ksigns_iq2xs` of `ggml-common.h`): the eighth bit makes the number of set bits even.
#[inline(always)]
pub(super) const fn even_signs(index: u32) -> u8 {
    let index = (index & 127) as u8;
    index | ((index.count_ones() as u8 & 1) << 7)
}

/// EightValues elements at position `i` of 32 of an IQ2_XXS superblock.
#[inline(always)]
pub(super) fn xxs_eight(block: &[u8], i: usize) -> EightValues {
    let group = &block[2 + 8 * (i / 4)..][..8];
    let word = u32::from_le_bytes([group[4], group[5], group[6], group[7]]);
    EightValues {
        row: grids::IQ2_XXS[usize::from(group[i % 4])],
        signs: even_signs(word >> (7 * (i % 4))),
        scale: (word >> 28) as u8,
    }
}

/// EightValues elements at position `i` of 32 of an IQ2_XS superblock.
#[inline(always)]
pub(super) fn xs_eight(block: &[u8], i: usize) -> EightValues {
    let code = u16::from_le_bytes([block[2 + 2 * i], block[3 + 2 * i]]);
    EightValues {
        row: grids::IQ2_XS[usize::from(code & 511)],
        signs: even_signs(u32::from(code >> 9)),
        scale: block[66 + i / 4] >> (4 * (i / 2 % 2)) & 15,
    }
}

/// EightValues elements at position `i` of 32 of an IQ2_S superblock.
#[inline(always)]
pub(super) fn s_eight(block: &[u8], i: usize) -> EightValues {
    let high = usize::from(block[66 + i / 4] >> (2 * (i % 4)) & 3);
    EightValues {
        row: grids::IQ2_S[usize::from(block[2 + i]) | high << 8],
        signs: block[34 + i],
        scale: block[74 + i / 4] >> (4 * (i / 2 % 2)) & 15,
    }
}

/// Decodes eights under scale d x (0.5 + s) x `factor`.
#[inline(always)]
pub(super) fn decode_halves(d: f32, factor: f32, out: &mut [f32], eight: impl Fn(usize) -> EightValues) {
    for (i, y) in out[..256].chunks_exact_mut(8).enumerate() {
        let e = eight(i);
        let db = d * (0.5 + f32::from(e.scale)) * factor;
        decode_eight(db, e, y);
    }
}

/// Scale x magnitude, then the sign.
#[inline(always)]
pub(super) fn decode_eight(db: f32, e: EightValues, out: &mut [f32]) {
    for (j, (y, g)) in out.iter_mut().zip(e.row.to_le_bytes()).enumerate() {
        *y = db * f32::from(g) * if e.signs >> j & 1 == 1 { -1.0 } else { 1.0 };
    }
}

/// d (2 bytes), 8 x (4 grid indices, then 4 seven-bit sign indices and a four-bit scale in a u32).
#[inline(always)]
pub(super) fn iq2_xxs(block: &[u8], out: &mut [f32]) {
    decode_halves(f16_at(block, 0), 0.25, out, |i| xxs_eight(block, i));
}

/// d (2 bytes), 32 x u16 (9 bits of grid index, 7 of sign index), 16 scales of four bits, one for 16 elements.
#[inline(always)]
pub(super) fn iq2_xs(block: &[u8], out: &mut [f32]) {
    decode_halves(f16_at(block, 0), 0.25, out, |i| xs_eight(block, i));
}

/// d (2 bytes), 32 low bytes of grid indices, 32 bytes of signs, 8 bytes of high index bits, 16 scales of four bits.
#[inline(always)]
pub(super) fn iq2_s(block: &[u8], out: &mut [f32]) {
    decode_halves(f16_at(block, 0), 0.25, out, |i| s_eight(block, i));
}
