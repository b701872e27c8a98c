//! TQ1_0 and TQ2_0: 256 elements of -1, 0, 1 and one f16 scale.
//!
//! Layouts and order of operations: `ggml-common.h` and `dequantize_row_tq*` of `ggml-quants.c`.

use super::f16_at;

/// Digit `n` (0 the most significant) of the five base-3 digits of a byte, less 1. A byte holds ceil(256 x value / 243).
#[inline(always)]
pub(super) const fn digit(byte: u8, n: usize) -> i8 {
    const POWERS: [u8; 5] = [1, 3, 9, 27, 81];
    let shifted = byte.wrapping_mul(POWERS[n]);
    ((shifted as u16 * 3) >> 8) as i8 - 1
}

/// 48 bytes of five digits, 4 bytes of four digits, d. The first 32 bytes give their first digits, then their second, and
/// so on; then the next 16 bytes; then the last 4.
#[inline(always)]
pub(super) fn tq1_0(block: &[u8], out: &mut [f32]) {
    let d = f16_at(block, 52);
    let mut y = out[..256].iter_mut();
    for (bytes, digits) in [(&block[..32], 5), (&block[32..48], 5), (&block[48..52], 4)] {
        for n in 0..digits {
            for (&b, y) in bytes.iter().zip(y.by_ref()) {
                *y = f32::from(digit(b, n)) * d;
            }
        }
    }
}

/// 64 bytes of 2-bit codes, d: d x (q - 1). Each 32 bytes give their lowest pairs of bits, then the next, and so on.
#[inline(always)]
pub(super) fn tq2_0(block: &[u8], out: &mut [f32]) {
    let d = f16_at(block, 64);
    for (i, y) in out[..256].chunks_exact_mut(32).enumerate() {
        for (y, &b) in y.iter_mut().zip(&block[32 * (i / 4)..][..32]) {
            *y = f32::from((b >> (2 * (i % 4)) & 3) as i8 - 1) * d;
        }
    }
}
