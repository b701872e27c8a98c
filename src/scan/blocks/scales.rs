//! Health of the stored scales of one block.

use super::{f16_at, f16_to_f32, iq1};
use crate::dtype::Dtype;
use crate::stats::ScaleHealth;

/// Where the f16 scales of a block are, the scale proper first; empty where they are something else.
pub(super) const fn f16_offsets(dtype: Dtype) -> &'static [usize] {
    match dtype {
        Dtype::MXFP4 | Dtype::NVFP4 | Dtype::Q8_K | Dtype::IQ1_M => &[],
        Dtype::Q4_1 | Dtype::Q5_1 | Dtype::Q4_K | Dtype::Q5_K => &[0, 2],
        Dtype::Q2_K => &[80, 82],
        Dtype::Q3_K => &[108],
        Dtype::Q6_K => &[208],
        Dtype::TQ1_0 => &[52],
        Dtype::TQ2_0 => &[64],
        _ => &[0],
    }
}

/// Adds the scales of one block. A block counts once under each heading, however many of its scales are so.
pub(super) fn add(dtype: Dtype, block: &[u8], health: &mut ScaleHealth) {
    match dtype {
        Dtype::MXFP4 => e8m0(block[0], health),
        Dtype::NVFP4 => block[..4].iter().for_each(|&x| ue4m3(x, health)),
        Dtype::Q8_K => floats([f32::from_le_bytes([block[0], block[1], block[2], block[3]])], health),
        Dtype::IQ1_M => floats([f16_to_f32(iq1::m_scale(block))], health),
        _ => match *f16_offsets(dtype) {
            [d, m] => floats([f16_at(block, d), f16_at(block, m)], health),
            [d] => floats([f16_at(block, d)], health),
            _ => {}
        },
    }
}

/// The scales of a leaf of 4-bit floats, which the batches do not hold as they are stored. `false` for any other dtype.
pub(super) fn four_bit_floats(dtype: Dtype, bytes: &[u8], health: &mut ScaleHealth) -> bool {
    match dtype {
        Dtype::MXFP4 => bytes.as_chunks::<17>().0.iter().for_each(|b| e8m0(b[0], health)),
        Dtype::NVFP4 => bytes.as_chunks::<36>().0.iter().flat_map(|b| &b[..4]).for_each(|&x| ue4m3(x, health)),
        _ => return false,
    }
    true
}

/// A scale, and a minimum where there is one.
#[inline(always)]
fn floats<const N: usize>(scales: [f32; N], health: &mut ScaleHealth) {
    health.blocks += 1;
    health.nan += u64::from(scales.iter().any(|s| s.is_nan()));
    health.inf += u64::from(scales.iter().any(|s| s.is_infinite()));
    health.zero += u64::from(scales.first() == Some(&0.0));
}

/// An E8M0 scale: a power of two or NaN.
#[inline(always)]
fn e8m0(e: u8, health: &mut ScaleHealth) {
    health.blocks += 1;
    health.nan += u64::from(e == 255);
}

/// An unsigned E4M3 scale: there is no infinity.
#[inline(always)]
fn ue4m3(x: u8, health: &mut ScaleHealth) {
    health.blocks += 1;
    health.nan += u64::from(x & 0x7f == 0x7f);
    health.zero += u64::from(x & 0x7f == 0);
}
