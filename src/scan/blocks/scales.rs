//! The scales that blocks store, and which of them are NaN, infinite or zero.

use super::{f16_at, iq1};
use crate::scan::simd::f16_to_f32;
use crate::stats::ScaleHealth;

/// How a block type stores its scales.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scales {
    /// F16 at these offsets: the scale, then the minimum where there is one.
    F16(&'static [usize]),
    /// An F32 at the start.
    F32,
    /// An F16 in four parts, the upper four bits of the last four words.
    Iq1M,
    /// A byte of E8M0 at the start.
    E8m0,
    /// Four bytes of unsigned E4M3 at the start, each for a quarter of the block.
    Ue4m3,
}

impl Scales {
    /// Number of units of a block: runs of elements under one stored scale.
    pub(super) fn units(self) -> usize {
        if self == Self::Ue4m3 { 4 } else { 1 }
    }

    /// Byte offsets of the F16 scales of a block; empty where they are something else.
    pub(super) fn f16_offsets(self) -> &'static [usize] {
        match self {
            Self::F16(offsets) => offsets,
            _ => &[],
        }
    }

    /// Counts the scales of one block. A block counts once under each heading, however many of its scales belong there.
    pub(super) fn add(self, block: &[u8], counts: &mut ScaleHealth) {
        match self {
            Self::F16([d, m]) => floats([f16_at(block, *d), f16_at(block, *m)], counts),
            Self::F16(offsets) => offsets.iter().for_each(|d| floats([f16_at(block, *d)], counts)),
            Self::F32 => floats([f32::from_le_bytes([block[0], block[1], block[2], block[3]])], counts),
            Self::Iq1M => floats([f16_to_f32(iq1::m_scale(block))], counts),
            Self::E8m0 => e8m0(block[0], counts),
            Self::Ue4m3 => block[..4].iter().for_each(|&x| ue4m3(x, counts)),
        }
    }

    /// Counts the scales of the blocks of a leaf of 4-bit floats (MXFP4 of 17 bytes, NVFP4 of 36), whose batches do not hold the scales
    /// as they are stored. `None` for any other type.
    pub(super) fn of_four_bit_floats(self, bytes: &[u8]) -> Option<ScaleHealth> {
        let mut counts = ScaleHealth::default();
        match self {
            Self::E8m0 => bytes.as_chunks::<17>().0.iter().for_each(|b| e8m0(b[0], &mut counts)),
            Self::Ue4m3 => bytes.as_chunks::<36>().0.iter().flat_map(|b| &b[..4]).for_each(|&x| ue4m3(x, &mut counts)),
            _ => return None,
        }
        Some(counts)
    }
}

/// A scale, and a minimum where there is one.
#[inline(always)]
fn floats<const N: usize>(scales: [f32; N], counts: &mut ScaleHealth) {
    counts.blocks += 1;
    counts.nan += u64::from(scales.iter().any(|s| s.is_nan()));
    counts.inf += u64::from(scales.iter().any(|s| s.is_infinite()));
    counts.zero += u64::from(scales.first() == Some(&0.0));
}

/// An E8M0 scale: a power of two or NaN.
#[inline(always)]
fn e8m0(e: u8, counts: &mut ScaleHealth) {
    counts.blocks += 1;
    counts.nan += u64::from(e == 255);
}

/// An unsigned E4M3 scale: there is no infinity.
#[inline(always)]
fn ue4m3(x: u8, counts: &mut ScaleHealth) {
    counts.blocks += 1;
    counts.nan += u64::from(x & 0x7f == 0x7f);
    counts.zero += u64::from(x & 0x7f == 0);
}
