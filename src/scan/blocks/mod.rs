//! ggml block quants: what their elements decode to, and the statistics of a leaf of them.
//!
//! [`decode_block`] is the reference: plain code, one function for each type, with ggml's own order of `f32` operations.
//! Sources: `ggml-common.h` (layouts), `ggml-quants.c` (`dequantize_row_*`).

#[cfg(target_arch = "x86_64")]
pub(in crate::scan) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(in crate::scan) mod avx2_k;
#[cfg(target_arch = "x86_64")]
pub(in crate::scan) mod avx2_min;
#[cfg(target_arch = "x86_64")]
pub(in crate::scan) mod avx512;
#[cfg(target_arch = "x86_64")]
pub(in crate::scan) mod avx512_k;
#[cfg(target_arch = "x86_64")]
pub(in crate::scan) mod avx512_min;
#[cfg(target_arch = "x86_64")]
pub(in crate::scan) mod avx512_signed;
mod decoded;
pub(in crate::scan) mod fold;
pub(in crate::scan) mod fold_affine;
pub(in crate::scan) mod fp4;
mod grids;
pub(in crate::scan) mod iq1;
pub(in crate::scan) mod iq2;
pub(in crate::scan) mod iq3;
pub(in crate::scan) mod iq4;
pub(in crate::scan) mod k_quants;
pub(in crate::scan) mod legacy;
pub(in crate::scan) mod low_bit;
#[cfg(target_arch = "aarch64")]
pub(in crate::scan) mod neon;
#[cfg(target_arch = "aarch64")]
pub(in crate::scan) mod neon_k;
#[cfg(target_arch = "aarch64")]
pub(in crate::scan) mod neon_min;
pub(in crate::scan) mod portable;
pub(in crate::scan) mod portable_iq;
mod scales;
pub(in crate::scan) mod sums;
pub(in crate::scan) mod ternary;

use crate::dtype::Dtype;
use crate::scan::simd_quant as door;
pub use crate::scan::simd_quant::SimdLevel;
use crate::stats::{LeafStats, ScaleHealth};
use fold::{Fold, Layout, STRETCH};
use sums::{Affine, BATCH, Flat, Products};

/// Elements of the longest block.
const LONGEST: usize = 256;

/// Decodes one block; the slices are at least as long as the block's bytes and elements.
type Decode = fn(SimdLevel, &[u8], &mut [f32]);

/// The decoder of a block quant.
fn decoder(dtype: Dtype) -> Option<Decode> {
    Some(match dtype {
        Dtype::Q4_0 => door::decode_q4_0,
        Dtype::Q4_1 => door::decode_q4_1,
        Dtype::Q5_0 => door::decode_q5_0,
        Dtype::Q5_1 => door::decode_q5_1,
        Dtype::Q8_0 => door::decode_q8_0,
        Dtype::Q8_1 => door::decode_q8_1,
        Dtype::Q2_K => door::decode_q2_k,
        Dtype::Q3_K => door::decode_q3_k,
        Dtype::Q4_K => door::decode_q4_k,
        Dtype::Q5_K => door::decode_q5_k,
        Dtype::Q6_K => door::decode_q6_k,
        Dtype::Q8_K => door::decode_q8_k,
        Dtype::IQ2_XXS => door::decode_iq2_xxs,
        Dtype::IQ2_XS => door::decode_iq2_xs,
        Dtype::IQ2_S => door::decode_iq2_s,
        Dtype::IQ3_XXS => door::decode_iq3_xxs,
        Dtype::IQ3_S => door::decode_iq3_s,
        Dtype::IQ1_S => door::decode_iq1_s,
        Dtype::IQ1_M => door::decode_iq1_m,
        Dtype::IQ4_NL => door::decode_iq4_nl,
        Dtype::IQ4_XS => door::decode_iq4_xs,
        Dtype::TQ1_0 => door::decode_tq1_0,
        Dtype::TQ2_0 => door::decode_tq2_0,
        Dtype::MXFP4 => door::decode_mxfp4,
        Dtype::NVFP4 => door::decode_nvfp4,
        Dtype::Q1_0 => door::decode_q1_0,
        Dtype::Q2_0 => door::decode_q2_0,
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
    decode(SimdLevel::detected(), block, out);
    Some(())
}

/// The statistics of a leaf, each value decoded. Slower than [`leaf`], same figures: counts and extremes are equal; sums agree within
/// the rounding of the values to `f32`, because [`leaf`] adds up the exact products of scales and codes.
pub fn leaf_by_decoding(dtype: Dtype, bytes: &[u8]) -> Option<LeafStats> {
    let (elements, size) = block_size(dtype)?;
    let decode = decoder(dtype)?;
    let mut stats = LeafStats::default();
    let level = SimdLevel::detected();
    let mut values = [0.0; LONGEST];
    for block in bytes.chunks_exact(size) {
        decode(level, block, &mut values);
        decoded::add(&values[..elements], &mut stats);
        scales::add(dtype, block, &mut stats.scales);
    }
    Some(stats)
}

/// Fills a batch of each kind.
enum Kernel {
    /// Values d x p, p from the first figure to the second where the kernel does not say.
    Products(fn(SimdLevel, &[u8], &mut Products), i32, i32),
    /// Values d x q + m, q up to the figure.
    Flat(fn(SimdLevel, &[u8], &mut Flat), f32),
    /// Eight groups of 32, q up to the figure.
    Affine8(fn(SimdLevel, &[u8], &mut Affine), f32),
    /// Sixteen groups of 16, q up to the figure.
    Affine16(fn(SimdLevel, &[u8], &mut Affine), f32),
}

/// The kernel of a block quant.
fn kernel(dtype: Dtype) -> Option<Kernel> {
    use Kernel as K;
    Some(match dtype {
        Dtype::Q4_0 => K::Products(door::q4_0, -8, 7),
        Dtype::Q4_1 => K::Flat(door::q4_1, 15.0),
        Dtype::Q5_0 => K::Products(door::q5_0, -16, 15),
        Dtype::Q5_1 => K::Flat(door::q5_1, 31.0),
        Dtype::Q8_0 => K::Products(door::q8_0, -128, 127),
        Dtype::Q8_1 => K::Products(door::q8_1, -128, 127),
        Dtype::Q2_K => K::Affine16(door::q2_k, 3.0),
        Dtype::Q3_K => K::Products(door::q3_k, 0, 0),
        Dtype::Q4_K => K::Affine8(door::q4_k, 15.0),
        Dtype::Q5_K => K::Affine8(door::q5_k, 31.0),
        Dtype::Q6_K => K::Products(door::q6_k, 0, 0),
        Dtype::Q8_K => K::Products(door::q8_k, -128, 127),
        Dtype::IQ2_XXS => K::Products(door::iq2_xxs, 0, 0),
        Dtype::IQ2_XS => K::Products(door::iq2_xs, 0, 0),
        Dtype::IQ2_S => K::Products(door::iq2_s, 0, 0),
        Dtype::IQ3_XXS => K::Products(door::iq3_xxs, 0, 0),
        Dtype::IQ3_S => K::Products(door::iq3_s, 0, 0),
        Dtype::IQ1_S => K::Products(door::iq1_s, 0, 0),
        Dtype::IQ1_M => K::Products(door::iq1_m, 0, 0),
        Dtype::IQ4_NL => K::Products(door::iq4_nl, -127, 113),
        Dtype::IQ4_XS => K::Products(door::iq4_xs, 0, 0),
        Dtype::TQ1_0 => K::Products(door::tq1_0, -1, 1),
        Dtype::TQ2_0 => K::Products(door::tq2_0, -1, 2),
        Dtype::MXFP4 => K::Products(door::mxfp4, -12, 12),
        Dtype::NVFP4 => K::Products(door::nvfp4, -12, 12),
        Dtype::Q1_0 => K::Products(door::q1_0, -1, 1),
        Dtype::Q2_0 => K::Products(door::q2_0, -1, 2),
        _ => return None,
    })
}

/// The statistics of a leaf: whole blocks of one tensor, at any address, with the best instruction set of this CPU. `None` when
/// the dtype has no kernel; bytes after the last whole block are not looked at.
///
/// Every CPU gives the same figures to the bit.
pub fn leaf(dtype: Dtype, bytes: &[u8]) -> Option<LeafStats> {
    leaf_with(SimdLevel::detected(), dtype, bytes)
}

/// [`leaf`] with an instruction set of the caller's choice, or the best this CPU has if that is less.
pub fn leaf_with(level: SimdLevel, dtype: Dtype, bytes: &[u8]) -> Option<LeafStats> {
    let (elements, block_bytes) = block_size(dtype)?;
    let units = if dtype == Dtype::NVFP4 { 4 } else { 1 };
    let layout = Layout { dtype, decode: decoder(dtype)?, block_bytes, units, elements: elements / units };
    let bytes = &bytes[..bytes.len() / block_bytes * block_bytes];
    let batch_bytes = layout.batch_bytes();
    let mut fold = Fold::new();
    macro_rules! run {
        ($sums:expr, $fill:ident, $fold:ident $(, $most:ident)?) => {{
            let mut sums = $sums;
            for stretch in bytes.chunks(STRETCH / BATCH * batch_bytes) {
                for bytes in stretch.chunks(batch_bytes) {
                    $fill(level, bytes, &mut sums);
                    door::$fold(level, level, &layout, bytes, &mut sums, $($most,)? &mut fold);
                }
                door::extremes(level, level, &layout, stretch, &mut fold);
            }
        }};
    }
    match kernel(dtype)? {
        Kernel::Products(fill, low, high) if block_bytes > 64 => run!(Products::new(low, high), fill, long_products),
        Kernel::Products(fill, low, high) => run!(Products::new(low, high), fill, products),
        Kernel::Flat(fill, most) => run!(Flat::new(), fill, flat, most),
        Kernel::Affine8(fill, most) => run!(Affine::new(), fill, affine8, most),
        Kernel::Affine16(fill, most) => run!(Affine::new(), fill, affine16, most),
    }
    let mut stats = fold.finish();
    let mut health = ScaleHealth::default();
    if scales::four_bit_floats(dtype, bytes, &mut health) {
        stats.scales = health;
    }
    Some(stats)
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
mod tests;
