//! Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q8_1: 32 elements, one f16 scale, in some an f16 minimum.
//!
//! Layouts and order of operations: `ggml-common.h` and `dequantize_row_*` of `ggml-quants.c`.

use super::f16_at;

/// Element `i` of a block of 32 nibbles: the low nibbles come first.
#[inline(always)]
pub(super) fn nibble(qs: &[u8], i: usize) -> u8 {
    if i < 16 { qs[i] & 15 } else { qs[i - 16] >> 4 }
}

/// The four bytes of fifth bits of a Q5 block.
#[inline(always)]
fn fifth_bits(b: &[u8]) -> u32 {
    u32::from_le_bytes([b[0], b[1], b[2], b[3]])
}

/// d (2 bytes), 16 bytes of nibbles: d x (q - 8).
#[inline(always)]
pub(super) fn q4_0(block: &[u8], out: &mut [f32]) {
    let (d, qs) = (f16_at(block, 0), &block[2..18]);
    for (i, y) in out[..32].iter_mut().enumerate() {
        *y = d * (i32::from(nibble(qs, i)) - 8) as f32;
    }
}

/// d, m (2 bytes each), 16 bytes of nibbles: d x q + m.
#[inline(always)]
pub(super) fn q4_1(block: &[u8], out: &mut [f32]) {
    let (d, m, qs) = (f16_at(block, 0), f16_at(block, 2), &block[4..20]);
    for (i, y) in out[..32].iter_mut().enumerate() {
        *y = d * f32::from(nibble(qs, i)) + m;
    }
}

/// d (2 bytes), fifth bits (4), 16 bytes of nibbles: d x (q - 16).
#[inline(always)]
pub(super) fn q5_0(block: &[u8], out: &mut [f32]) {
    let (d, high, qs) = (f16_at(block, 0), fifth_bits(&block[2..6]), &block[6..22]);
    for (i, y) in out[..32].iter_mut().enumerate() {
        let q = u32::from(nibble(qs, i)) | (high >> i & 1) << 4;
        *y = d * (q as i32 - 16) as f32;
    }
}

/// d, m (2 bytes each), fifth bits (4), 16 bytes of nibbles: d x q + m.
#[inline(always)]
pub(super) fn q5_1(block: &[u8], out: &mut [f32]) {
    let (d, m, high, qs) = (f16_at(block, 0), f16_at(block, 2), fifth_bits(&block[4..8]), &block[8..24]);
    for (i, y) in out[..32].iter_mut().enumerate() {
        let q = u32::from(nibble(qs, i)) | (high >> i & 1) << 4;
        *y = d * q as f32 + m;
    }
}

/// d (2 bytes), 32 signed bytes: d x q.
#[inline(always)]
pub(super) fn q8_0(block: &[u8], out: &mut [f32]) {
    let d = f16_at(block, 0);
    for (y, &q) in out[..32].iter_mut().zip(&block[2..34]) {
        *y = f32::from(q as i8) * d;
    }
}

/// d (2 bytes), d x sum of the codes (2, an aid to dot products, not a value), 32 signed bytes: d x q. ggml has no decoder for it.
#[inline(always)]
pub(super) fn q8_1(block: &[u8], out: &mut [f32]) {
    let d = f16_at(block, 0);
    for (y, &q) in out[..32].iter_mut().zip(&block[4..36]) {
        *y = f32::from(q as i8) * d;
    }
}
