//! ggml block quants: what their elements decode to, and the statistics of a leaf of them.
//!
//! [`decode_block`] is the reference: plain code, one function for each type, with ggml's own order of `f32` operations.
//! Sources: `ggml-common.h` (layouts), `ggml-quants.c` (`dequantize_row_*`).

mod decoded;
mod fp4;
mod grids;
mod iq1;
mod iq2;
mod iq3;
mod iq4;
mod k_quants;
mod legacy;
mod low_bit;
mod scales;
mod ternary;

use crate::dtype::Dtype;
use crate::stats::LeafStats;

/// Elements of the longest block.
const LONGEST: usize = 256;

/// Decodes one block; the slices are at least as long as the block's bytes and elements.
type Decode = fn(&[u8], &mut [f32]);

/// The decoder of a block quant.
fn decoder(dtype: Dtype) -> Option<Decode> {
    Some(match dtype {
        Dtype::Q4_0 => legacy::q4_0,
        Dtype::Q4_1 => legacy::q4_1,
        Dtype::Q5_0 => legacy::q5_0,
        Dtype::Q5_1 => legacy::q5_1,
        Dtype::Q8_0 => legacy::q8_0,
        Dtype::Q8_1 => legacy::q8_1,
        Dtype::Q2_K => k_quants::q2_k,
        Dtype::Q3_K => k_quants::q3_k,
        Dtype::Q4_K => k_quants::q4_k,
        Dtype::Q5_K => k_quants::q5_k,
        Dtype::Q6_K => k_quants::q6_k,
        Dtype::Q8_K => k_quants::q8_k,
        Dtype::IQ2_XXS => iq2::iq2_xxs,
        Dtype::IQ2_XS => iq2::iq2_xs,
        Dtype::IQ2_S => iq2::iq2_s,
        Dtype::IQ3_XXS => iq3::iq3_xxs,
        Dtype::IQ3_S => iq3::iq3_s,
        Dtype::IQ1_S => iq1::iq1_s,
        Dtype::IQ1_M => iq1::iq1_m,
        Dtype::IQ4_NL => iq4::iq4_nl,
        Dtype::IQ4_XS => iq4::iq4_xs,
        Dtype::TQ1_0 => ternary::tq1_0,
        Dtype::TQ2_0 => ternary::tq2_0,
        Dtype::MXFP4 => fp4::mxfp4,
        Dtype::NVFP4 => fp4::nvfp4,
        Dtype::Q1_0 => low_bit::q1_0,
        Dtype::Q2_0 => low_bit::q2_0,
        _ => return None,
    })
}

/// Elements and bytes of a block.
fn block_size(dtype: Dtype) -> Option<(usize, usize)> {
    let row = dtype.info()?;
    Some((usize::try_from(row.elements_per_block).ok()?, usize::try_from(row.bytes_per_block).ok()?))
}

/// Whether a dtype is a block quant that can be decoded and scanned.
pub fn has_kernel(dtype: Dtype) -> bool {
    decoder(dtype).is_some()
}

/// Decodes one block to the `f32` values of ggml's reference decoder. `None` when the dtype has none here, or a slice is not
/// exactly one block (bytes) or its elements (`out`) long.
pub fn decode_block(dtype: Dtype, block: &[u8], out: &mut [f32]) -> Option<()> {
    let decode = decoder(dtype)?;
    if (out.len(), block.len()) != block_size(dtype)? {
        return None;
    }
    decode(block, out);
    Some(())
}

/// The statistics of a leaf, each value decoded. Slower than [`leaf`], same figures: counts and extremes are equal; sums agree within
/// the rounding of the values to `f32`, because [`leaf`] adds up the exact products of scales and codes.
pub fn leaf_by_decoding(dtype: Dtype, bytes: &[u8]) -> Option<LeafStats> {
    let (elements, size) = block_size(dtype)?;
    let decode = decoder(dtype)?;
    let mut stats = LeafStats::default();
    let mut values = [0.0; LONGEST];
    for block in bytes.chunks_exact(size) {
        decode(block, &mut values);
        decoded::add(&values[..elements], &mut stats);
        scales::add(dtype, block, &mut stats.scales);
    }
    Some(stats)
}

/// The statistics of a leaf: whole blocks of one tensor, at any address. `None` when the dtype has no kernel; bytes after the
/// last whole block are not looked at.
pub fn leaf(dtype: Dtype, bytes: &[u8]) -> Option<LeafStats> {
    leaf_by_decoding(dtype, bytes)
}

/// An f16 to f32, exactly; without branches, and without arithmetic on subnormals, so that loops of it vectorise and run at
/// one speed (the method is Fabian Giesen's `half_to_float`).
#[inline(always)]
fn f16_to_f32(bits: u16) -> f32 {
    let exponent_and_mantissa = u32::from(bits & 0x7fff) << 13;
    let exponent = exponent_and_mantissa & (0x7c00 << 13);
    let normal = exponent_and_mantissa + ((127 - 15) << 23);
    let infinite_or_nan = exponent_and_mantissa + ((2 * (127 - 15)) << 23);
    let smallest_normal = 113 << 23;
    let subnormal = (f32::from_bits(normal + (1 << 23)) - f32::from_bits(smallest_normal)).to_bits();
    let magnitude = if exponent == 0x7c00 << 13 {
        infinite_or_nan
    } else if exponent == 0 {
        subnormal
    } else {
        normal
    };
    f32::from_bits(magnitude | u32::from(bits & 0x8000) << 16)
}

/// The f16 at a byte offset.
#[inline(always)]
fn f16_at(block: &[u8], at: usize) -> f32 {
    f16_to_f32(u16::from_le_bytes([block[at], block[at + 1]]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_f16_is_exact() {
        for bits in 0..=u16::MAX {
            let (ours, theirs) = (f16_to_f32(bits), half::f16::from_bits(bits).to_f32());
            assert!(ours.to_bits() == theirs.to_bits() || (ours.is_nan() && theirs.is_nan()), "{bits:#06x}");
        }
    }

    #[test]
    fn every_block_quant_has_a_kernel() {
        for &dtype in Dtype::ALL {
            assert_eq!(has_kernel(dtype), dtype.is_block_quant(), "{dtype:?}");
        }
    }

    #[test]
    fn only_whole_blocks_decode() {
        let mut out = [0.0; 32];
        assert!(decode_block(Dtype::Q4_0, &[0; 18], &mut out).is_some());
        assert!(decode_block(Dtype::Q4_0, &[0; 17], &mut out).is_none());
        assert!(decode_block(Dtype::Q4_0, &[0; 18], &mut out[..31]).is_none());
        assert!(decode_block(Dtype::F16, &[0; 2], &mut out[..1]).is_none());
        assert_eq!(leaf(Dtype::BF16, &[0; 2]), None);
        assert_eq!(leaf(Dtype::Q6_K, &[]), Some(LeafStats::default()));
    }
}
