//! The table of block types: one row each.

use super::scales::Scales;
use super::sums::{Affine, Flat, Products};
#[cfg(target_arch = "x86_64")]
use super::{avx2, avx2_k, avx2_min, avx512, avx512_k, avx512_min, avx512_signed};
use super::{fp4, iq1, iq2, iq3, iq4, k_quants, legacy, low_bit, portable, portable_iq, ternary};
#[cfg(target_arch = "aarch64")]
use super::{neon, neon_k, neon_min};
use crate::dtype::Dtype;
use crate::scan::simd::Level;
use crate::scan::simd::dispatch::dispatch;

/// What the scan knows of a block type.
pub(in crate::scan) struct Block {
    /// The type.
    pub(super) dtype: Dtype,
    /// Number of elements of a block.
    pub(super) elements: usize,
    /// Bytes of a block.
    pub(super) bytes: usize,
    /// The scales that a block stores.
    pub(super) scales: Scales,
    /// Decodes one block; the slices are at least as long as its bytes and its elements.
    pub(super) decode: Decode,
    /// Sums up a batch of blocks.
    pub(super) fill: Fill,
}

type Decode = fn(Level, &[u8], &mut [f32]);

/// How the values of a block follow from its codes, with the function that sums up the codes of a batch.
pub(super) enum Fill {
    /// Values d x p, p from `low` to `high` where the function does not bound it itself.
    Products { fill: fn(Level, &[u8], &mut Products), low: i32, high: i32 },
    /// Values d x q + m, q from 0 to `most`.
    Flat { fill: fn(Level, &[u8], &mut Flat), most: f32 },
    /// Superblocks of 8 groups of 32 codes with minimums, codes from 0 to `most`.
    Affine8 { fill: fn(Level, &[u8], &mut Affine), most: f32 },
    /// Superblocks of 16 groups of 16 codes with minimums, codes from 0 to `most`.
    Affine16 { fill: fn(Level, &[u8], &mut Affine), most: f32 },
}

/// A row; the size of a block is that of the table of types.
const fn row(dtype: Dtype, scales: Scales, decode: Decode, fill: Fill) -> Block {
    let (elements, bytes) = match dtype.info() {
        Some(info) => (info.elements_per_block as usize, info.bytes_per_block as usize),
        None => (1, usize::MAX),
    };
    Block { dtype, elements, bytes, scales, decode, fill }
}

/// The decoder of a row: plain code, compiled for every instruction set.
macro_rules! decode {
    ($decoder:path) => {
        dispatch!((block: &[u8], out: &mut [f32]) $decoder)
    };
}

/// A row's [`Fill::Products`]: bounds of p, then the kernels.
macro_rules! products {
    ($low:literal..=$high:literal, $($kernels:tt)*) => {
        Fill::Products { fill: dispatch!((bytes: &[u8], batch: &mut Products) $($kernels)*), low: $low, high: $high }
    };
}

/// A row's [`Fill`] of codes with minimums: the largest code, then the kernels.
macro_rules! with_minimum {
    ($kind:ident of $batch:ident, $most:literal, $($kernels:tt)*) => {
        Fill::$kind { fill: dispatch!((bytes: &[u8], batch: &mut $batch) $($kernels)*), most: $most }
    };
}

/// Every block type. To add one: its row here and in [`crate::dtype`], its decoder, its plain kernel, and kernels for instruction sets
/// as they earn their place.
pub(super) static BLOCKS: &[Block] = &[
    row(
        Dtype::Q4_0,
        Scales::F16(&[0]),
        decode!(legacy::q4_0),
        products!(-8..=7, portable::q4_0, avx2 = avx2::q4_0, avx512 = avx512::q4_0, neon = neon::q4_0),
    ),
    row(
        Dtype::Q4_1,
        Scales::F16(&[0, 2]),
        decode!(legacy::q4_1),
        with_minimum!(Flat of Flat, 15.0, portable::q4_1, avx2 = avx2::q4_1, avx512 = avx512::q4_1, neon = neon::q4_1),
    ),
    row(
        Dtype::Q5_0,
        Scales::F16(&[0]),
        decode!(legacy::q5_0),
        products!(-16..=15, portable::q5_0, avx2 = avx2::q5_0, avx512 = avx512::q5_0, neon = neon::q5_0),
    ),
    row(
        Dtype::Q5_1,
        Scales::F16(&[0, 2]),
        decode!(legacy::q5_1),
        with_minimum!(Flat of Flat, 31.0, portable::q5_1, avx2 = avx2::q5_1, avx512 = avx512::q5_1, neon = neon::q5_1),
    ),
    row(
        Dtype::Q8_0,
        Scales::F16(&[0]),
        decode!(legacy::q8_0),
        products!(-128..=127, portable::q8_0, avx2 = avx2::q8_0, avx512 = avx512::q8_0, neon = neon::q8_0),
    ),
    row(
        Dtype::Q8_1,
        Scales::F16(&[0]),
        decode!(legacy::q8_1),
        products!(-128..=127, portable::q8_1, avx2 = avx2::q8_1, avx512 = avx512::q8_1, neon = neon::q8_1),
    ),
    row(
        Dtype::Q2_K,
        Scales::F16(&[80, 82]),
        decode!(k_quants::q2_k),
        with_minimum!(Affine16 of Affine, 3.0, portable::q2_k, avx2 = avx2_k::q2_k, avx512 = avx512_k::q2_k, neon = neon_k::q2_k),
    ),
    row(
        Dtype::Q3_K,
        Scales::F16(&[108]),
        decode!(k_quants::q3_k),
        products!(0..=0, portable::q3_k, avx2 = avx2_k::q3_k, avx512 = avx512_k::q3_k, neon = neon_k::q3_k),
    ),
    row(
        Dtype::Q4_K,
        Scales::F16(&[0, 2]),
        decode!(k_quants::q4_k),
        with_minimum!(Affine8 of Affine, 15.0, portable::q4_k, avx2 = avx2_min::q4_k, avx512 = avx512_min::q4_k, neon = neon_min::q4_k),
    ),
    row(
        Dtype::Q5_K,
        Scales::F16(&[0, 2]),
        decode!(k_quants::q5_k),
        with_minimum!(Affine8 of Affine, 31.0, portable::q5_k, avx2 = avx2_min::q5_k, avx512 = avx512_min::q5_k, neon = neon_min::q5_k),
    ),
    row(
        Dtype::Q6_K,
        Scales::F16(&[208]),
        decode!(k_quants::q6_k),
        products!(0..=0, portable::q6_k, avx2 = avx2_k::q6_k, avx512 = avx512_signed::q6_k, neon = neon_k::q6_k),
    ),
    row(Dtype::Q8_K, Scales::F32, decode!(k_quants::q8_k), products!(-128..=127, portable::q8_k)),
    row(Dtype::IQ2_XXS, Scales::F16(&[0]), decode!(iq2::iq2_xxs), products!(0..=0, portable_iq::iq2_xxs, up to avx2)),
    row(Dtype::IQ2_XS, Scales::F16(&[0]), decode!(iq2::iq2_xs), products!(0..=0, portable_iq::iq2_xs, up to avx2)),
    row(Dtype::IQ2_S, Scales::F16(&[0]), decode!(iq2::iq2_s), products!(0..=0, portable_iq::iq2_s, up to avx2)),
    row(Dtype::IQ3_XXS, Scales::F16(&[0]), decode!(iq3::iq3_xxs), products!(0..=0, portable_iq::iq3_xxs, up to avx2)),
    row(Dtype::IQ3_S, Scales::F16(&[0]), decode!(iq3::iq3_s), products!(0..=0, portable_iq::iq3_s, up to avx2)),
    row(Dtype::IQ1_S, Scales::F16(&[0]), decode!(iq1::iq1_s), products!(0..=0, portable_iq::iq1_s, up to avx2)),
    row(Dtype::IQ1_M, Scales::Iq1M, decode!(iq1::iq1_m), products!(0..=0, portable_iq::iq1_m, up to avx2)),
    row(
        Dtype::IQ4_NL,
        Scales::F16(&[0]),
        decode!(iq4::iq4_nl),
        products!(-127..=113, portable::iq4_nl, avx2 = avx2::iq4_nl, avx512 = avx512::iq4_nl, neon = neon::iq4_nl),
    ),
    row(
        Dtype::IQ4_XS,
        Scales::F16(&[0]),
        decode!(iq4::iq4_xs),
        products!(0..=0, portable::iq4_xs, avx2 = avx2_k::iq4_xs, avx512 = avx512_k::iq4_xs, neon = neon_k::iq4_xs),
    ),
    row(Dtype::TQ1_0, Scales::F16(&[52]), decode!(ternary::tq1_0), products!(-1..=1, portable::tq1_0, up to avx2)),
    row(Dtype::TQ2_0, Scales::F16(&[64]), decode!(ternary::tq2_0), products!(-1..=2, portable::tq2_0)),
    row(
        Dtype::MXFP4,
        Scales::E8m0,
        decode!(fp4::mxfp4),
        products!(-12..=12, portable::mxfp4, avx2 = avx2::mxfp4, avx512 = avx512::mxfp4, neon = neon::mxfp4),
    ),
    row(
        Dtype::NVFP4,
        Scales::Ue4m3,
        decode!(fp4::nvfp4),
        products!(-12..=12, portable::nvfp4, avx2 = avx2::nvfp4, neon = neon::nvfp4),
    ),
    row(Dtype::Q1_0, Scales::F16(&[0]), decode!(low_bit::q1_0), products!(-1..=1, portable::q1_0)),
    row(Dtype::Q2_0, Scales::F16(&[0]), decode!(low_bit::q2_0), products!(-1..=2, portable::q2_0)),
];
