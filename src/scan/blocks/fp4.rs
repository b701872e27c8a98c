//! MXFP4 and NVFP4: 4-bit floats (E2M1) under an E8M0 or E4M3 scale.
//!
//! Layouts and order of operations: `ggml-common.h` and `dequantize_row_mxfp4` / `_nvfp4` of `ggml-quants.c`. ggml keeps twice the
//! E2M1 value as an integer and halves the scale. The integer has no -0, so neither has the decoded value.

use super::legacy::nibble;

/// Twice the value of each E2M1 code.
pub(super) const E2M1_DOUBLED: [i8; 16] = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12];

/// Half of an E8M0 scale: 2^(e - 128). ggml has no NaN here: code 255 gives 2^127.
#[inline(always)]
pub(super) fn e8m0_half(e: u8) -> f32 {
    f32::from_bits(if e < 2 { 0x0020_0000 << e } else { (u32::from(e) - 1) << 23 })
}

/// Half of an unsigned E4M3 scale. ggml gives 0 for code 127, which is NaN in E4M3, and ignores the sign bit in all others.
#[inline(always)]
pub(super) fn ue4m3_half(x: u8) -> f32 {
    if x == 0x7f {
        return 0.0;
    }
    let (exponent, mantissa) = (i32::from(x >> 3 & 15), i32::from(x & 7));
    // Mantissa x 2^(exponent - 10), halved; a power of two is exact.
    let (mantissa, exponent) = if exponent == 0 { (mantissa, 1) } else { (mantissa + 8, exponent) };
    mantissa as f32 * f32::from_bits(((exponent - 11 + 127) as u32) << 23)
}

/// e (1 byte), 16 bytes of nibbles.
#[inline(always)]
pub(super) fn mxfp4(block: &[u8], out: &mut [f32]) {
    let d = e8m0_half(block[0]);
    for (i, y) in out[..32].iter_mut().enumerate() {
        *y = f32::from(E2M1_DOUBLED[usize::from(nibble(&block[1..17], i))]) * d;
    }
}

/// Four scales (1 byte each), then for each its 16 elements in 8 bytes: low nibbles, then high.
#[inline(always)]
pub(super) fn nvfp4(block: &[u8], out: &mut [f32]) {
    for (sub, y) in out[..64].chunks_exact_mut(16).enumerate() {
        let (d, qs) = (ue4m3_half(block[sub]), &block[4 + 8 * sub..][..8]);
        for (i, y) in y.iter_mut().enumerate() {
            let code = qs[i % 8] >> (4 * (i / 8)) & 15;
            *y = f32::from(E2M1_DOUBLED[usize::from(code)]) * d;
        }
    }
}
