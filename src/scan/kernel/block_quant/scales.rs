//! Health of the stored scales of one block.

use super::{f16_at, f16_to_f32, iq1};
use crate::dtype::Dtype;
use crate::stats::ScaleHealth;

/// Adds the scales of one block. A block counts once under each heading, however many of its scales are so.
pub(super) fn add(dtype: Dtype, block: &[u8], health: &mut ScaleHealth) {
    match dtype {
        Dtype::MXFP4 => e8m0(block[0], health),
        Dtype::NVFP4 => block[..4].iter().for_each(|&x| ue4m3(x, health)),
        Dtype::Q8_K => floats(&[f32::from_le_bytes([block[0], block[1], block[2], block[3]])], health),
        Dtype::IQ1_M => floats(&[f16_to_f32(iq1::m_scale(block))], health),
        Dtype::Q4_1 | Dtype::Q5_1 | Dtype::Q4_K | Dtype::Q5_K => floats(&[f16_at(block, 0), f16_at(block, 2)], health),
        Dtype::Q2_K => floats(&[f16_at(block, 80), f16_at(block, 82)], health),
        Dtype::Q3_K => floats(&[f16_at(block, 108)], health),
        Dtype::Q6_K => floats(&[f16_at(block, 208)], health),
        Dtype::TQ1_0 => floats(&[f16_at(block, 52)], health),
        Dtype::TQ2_0 => floats(&[f16_at(block, 64)], health),
        _ => floats(&[f16_at(block, 0)], health),
    }
}

/// A scale, and a minimum where there is one.
#[inline(always)]
fn floats(scales: &[f32], health: &mut ScaleHealth) {
    health.blocks += 1;
    health.nan += u64::from(scales.iter().any(|s| s.is_nan()));
    health.inf += u64::from(scales.iter().any(|s| s.is_infinite()));
    health.zero += u64::from(scales.first() == Some(&0.0));
}

/// An E8M0 scale: a power of two or NaN.
#[inline(always)]
pub(super) fn e8m0(e: u8, health: &mut ScaleHealth) {
    health.blocks += 1;
    health.nan += u64::from(e == 255);
}

/// An unsigned E4M3 scale: there is no infinity.
#[inline(always)]
pub(super) fn ue4m3(x: u8, health: &mut ScaleHealth) {
    health.blocks += 1;
    health.nan += u64::from(x & 0x7f == 0x7f);
    health.zero += u64::from(x & 0x7f == 0);
}
