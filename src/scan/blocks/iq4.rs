//! IQ4_NL and IQ4_XS: nibbles that index a table of 16 values spaced like a bell curve.
//!
//! Layouts and order of operations: `ggml-common.h` and `dequantize_row_iq4_*` of `ggml-quants.c`.

use super::f16_at;
use super::legacy::nibble;

/// `kvalues_iq4nl` of `ggml-common.h`. None of them is zero.
pub(super) const IQ4_VALUES: [i8; 16] = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

/// The eight scales, less 32, of an IQ4_XS superblock: 2 high bits each in `scales_h`, 4 low bits each in 4 bytes.
#[inline(always)]
pub(super) fn iq4_xs_scales(block: &[u8]) -> [i8; 8] {
    let high = u16::from_le_bytes([block[2], block[3]]);
    let mut scales = [0; 8];
    for (g, s) in scales.iter_mut().enumerate() {
        let low = block[4 + g / 2] >> (4 * (g % 2)) & 15;
        *s = (low | ((high >> (2 * g) & 3) as u8) << 4) as i8 - 32;
    }
    scales
}

/// d (2 bytes), 16 bytes of nibbles.
#[inline(always)]
pub(super) fn iq4_nl(block: &[u8], out: &mut [f32]) {
    let d = f16_at(block, 0);
    for (i, y) in out[..32].iter_mut().enumerate() {
        *y = d * f32::from(IQ4_VALUES[usize::from(nibble(&block[2..18], i))]);
    }
}

/// d (2 bytes), scales (2 + 4 bytes), eight groups of 32 in 16 bytes of nibbles each.
#[inline(always)]
pub(super) fn iq4_xs(block: &[u8], out: &mut [f32]) {
    let (d, scales) = (f16_at(block, 0), iq4_xs_scales(block));
    for (g, y) in out[..256].chunks_exact_mut(32).enumerate() {
        let (dl, qs) = (d * f32::from(scales[g]), &block[8 + 16 * g..][..16]);
        for (i, y) in y.iter_mut().enumerate() {
            *y = dl * f32::from(IQ4_VALUES[usize::from(nibble(qs, i))]);
        }
    }
}
