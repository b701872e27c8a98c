//! Q1_0 and Q2_0: one f16 scale for 128 elements of one bit, or 64 of two.
//!
//! Layouts and order of operations: `ggml-common.h` and `dequantize_row_q*` of `ggml-quants.c`.

use super::f16_at;

/// d (2 bytes), 16 bytes of bits, lowest first: a set bit is d, a clear one -d.
#[inline(always)]
pub(super) fn q1_0(block: &[u8], out: &mut [f32]) {
    let d = f16_at(block, 0);
    for (i, y) in out[..128].iter_mut().enumerate() {
        *y = if block[2 + i / 8] >> (i % 8) & 1 == 1 { d } else { -d };
    }
}

/// d (2 bytes), 16 bytes of 2-bit codes, lowest first: d x (q - 1).
#[inline(always)]
pub(super) fn q2_0(block: &[u8], out: &mut [f32]) {
    let d = f16_at(block, 0);
    for (i, y) in out[..64].iter_mut().enumerate() {
        *y = d * f32::from((block[2 + i / 4] >> (2 * (i % 4)) & 3) as i8 - 1);
    }
}
