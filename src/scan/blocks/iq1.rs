//! IQ1_S and IQ1_M: rows of eight values out of -1, 0, 1, shifted by an eighth; 256 elements under one f16.
//!
//! Layouts and order of operations: `ggml-common.h` and `dequantize_row_iq1_*` of `ggml-quants.c`.

use super::{f16_at, grids};
use crate::scan::simd::f16_to_f32;

/// Eight elements of an IQ1: d x (2 scale + 1) x (value ± 1/8).
#[derive(Clone, Copy)]
pub(super) struct Shifted {
    /// One signed value to a byte, the first in the lowest.
    pub(super) row: u64,
    /// Whether the shift is -1/8.
    pub(super) down: bool,
    /// The scale's stored integer.
    pub(super) scale: u8,
}

/// Eight elements at position `i` of 32 of an IQ1_S superblock.
#[inline(always)]
pub(super) fn s_eight(block: &[u8], i: usize) -> Shifted {
    let high = u16::from_le_bytes([block[34 + 2 * (i / 4)], block[35 + 2 * (i / 4)]]);
    let index = usize::from(block[2 + i]) | usize::from(high >> (3 * (i % 4)) & 7) << 8;
    Shifted { row: grids::IQ1_S[index], down: high & 0x8000 != 0, scale: (high >> 12 & 7) as u8 }
}

/// Eight elements at position `i` of 32 of an IQ1_M superblock.
#[inline(always)]
pub(super) fn m_eight(block: &[u8], i: usize) -> Shifted {
    let high = block[32 + i / 2] >> (4 * (i % 2));
    let index = usize::from(block[i]) | usize::from(high & 7) << 8;
    let word = u16::from_le_bytes([block[48 + 2 * (i / 8)], block[49 + 2 * (i / 8)]]);
    Shifted { row: grids::IQ1_S[index], down: high & 8 != 0, scale: (word >> (3 * (i / 2 % 4)) & 7) as u8 }
}

/// The f16 of an IQ1_M superblock, kept in the top four bits of its four words of scales.
#[inline(always)]
pub(super) fn m_scale(block: &[u8]) -> u16 {
    let top = |w: usize| u16::from(block[49 + 2 * w] >> 4);
    top(0) | top(1) << 4 | top(2) << 8 | top(3) << 12
}

#[inline(always)]
fn decode(d: f32, out: &mut [f32], eight: impl Fn(usize) -> Shifted) {
    for (i, y) in out[..256].chunks_exact_mut(8).enumerate() {
        let e = eight(i);
        let (dl, delta) = (d * f32::from(2 * e.scale + 1), if e.down { -0.125 } else { 0.125 });
        for (y, g) in y.iter_mut().zip(e.row.to_le_bytes()) {
            *y = dl * (f32::from(g as i8) + delta);
        }
    }
}

/// d (2 bytes), 32 low bytes of grid indices, 8 x u16 (four times 3 high bits, a scale of 3 bits, the sign of the shift).
#[inline(always)]
pub(super) fn iq1_s(block: &[u8], out: &mut [f32]) {
    decode(f16_at(block, 0), out, |i| s_eight(block, i));
}

/// 32 low bytes of grid indices, 16 bytes of (3 high bits, sign of the shift) nibbles, 4 x u16 (four scales of 3 bits, 4 bits of d).
#[inline(always)]
pub(super) fn iq1_m(block: &[u8], out: &mut [f32]) {
    decode(f16_to_f32(m_scale(block)), out, |i| m_eight(block, i));
}
