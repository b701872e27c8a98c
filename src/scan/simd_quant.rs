//! The door to instruction sets for block quants: the only `unsafe` of these kernels.
//!
//! Every kernel exists as plain code; under [`SimdLevel::Neon`], [`SimdLevel::Avx2`] and [`SimdLevel::Avx512`] it is either the same
//! code compiled for that instruction set or one written for it. All of them give the same integers, and the floating-point steps
//! are the same expressions in the same order without fused operations, so that the figures are the same on every level.

#![allow(unsafe_code)]

use std::sync::OnceLock;

use super::blocks::fold::{self, Fold, Layout};
use super::blocks::fold_affine;
use super::blocks::sums::{Affine, Flat, Products};
#[cfg(target_arch = "x86_64")]
use super::blocks::{avx2, avx2_k, avx2_min, avx512, avx512_k, avx512_min, avx512_signed};
use super::blocks::{fp4, iq1, iq2, iq3, iq4, k_quants, legacy, low_bit, portable, portable_iq, ternary};
#[cfg(target_arch = "aarch64")]
use super::blocks::{neon, neon_k, neon_min};

/// An instruction set that kernels are compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SimdLevel {
    /// What every CPU of the target has.
    Portable,
    /// NEON, where the target is aarch64; elsewhere as `Portable`.
    Neon,
    /// AVX2, BMI1, BMI2, POPCNT, F16C.
    Avx2,
    /// The former, AVX-512 F, BW, DQ, VL and VNNI.
    Avx512,
}

impl SimdLevel {
    /// The best level of this CPU; looked up once.
    pub fn detected() -> Self {
        static LEVEL: OnceLock<SimdLevel> = OnceLock::new();
        *LEVEL.get_or_init(detect)
    }
}

#[cfg(target_arch = "x86_64")]
fn detect() -> SimdLevel {
    macro_rules! has { ($($feature:tt)*) => { true $(&& std::arch::is_x86_feature_detected!($feature))* } }
    if !has!("avx2" "bmi1" "bmi2" "popcnt" "lzcnt" "f16c") {
        SimdLevel::Portable
    } else if !has!("avx512f" "avx512bw" "avx512dq" "avx512vl" "avx512vnni") {
        SimdLevel::Avx2
    } else {
        SimdLevel::Avx512
    }
}

#[cfg(target_arch = "aarch64")]
fn detect() -> SimdLevel {
    // Bytes are taken as wider lanes as they are.
    let there = cfg!(target_endian = "little") && std::arch::is_aarch64_feature_detected!("neon");
    if there { SimdLevel::Neon } else { SimdLevel::Portable }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn detect() -> SimdLevel {
    SimdLevel::Portable
}

/// Loads, stores and prefetches for the kernels. Bounds are checked; the compiler removes the checks it can prove.
#[cfg(target_arch = "x86_64")]
pub(super) mod memory {
    use std::arch::x86_64::*;

    /// How far ahead of the block in hand memory is asked for.
    const AHEAD: usize = 4096;

    /// Sixteen bytes at an offset.
    #[inline(always)]
    pub(in crate::scan) fn load128(bytes: &[u8], at: usize) -> __m128i {
        let bytes = &bytes[at..at + 16];
        // SAFETY: 16 bytes are there; the load asks for no alignment, and SSE2 is part of x86-64.
        unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
    }

    /// A table of sixteen bytes.
    #[inline(always)]
    pub(in crate::scan) fn table128(table: &[i8; 16]) -> __m128i {
        // SAFETY: as for `load128`.
        unsafe { _mm_loadu_si128(table.as_ptr().cast()) }
    }

    /// Sixteen 16-bit words.
    #[inline]
    #[target_feature(enable = "avx")]
    pub(in crate::scan) fn halves256(words: &[u16; 16]) -> __m256i {
        // SAFETY: 32 bytes are there; the load asks for no alignment.
        unsafe { _mm256_loadu_si256(words.as_ptr().cast()) }
    }

    /// 32 bytes at an offset.
    #[inline]
    #[target_feature(enable = "avx")]
    pub(in crate::scan) fn load256(bytes: &[u8], at: usize) -> __m256i {
        let bytes = &bytes[at..at + 32];
        // SAFETY: 32 bytes are there; the load asks for no alignment.
        unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
    }

    /// 64 bytes at an offset.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(in crate::scan) fn load512(bytes: &[u8], at: usize) -> __m512i {
        let bytes = &bytes[at..at + 64];
        // SAFETY: 64 bytes are there; the load asks for no alignment.
        unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
    }

    /// What may be stored into: four bytes each, any bits are a value.
    pub(in crate::scan) trait Word {}
    impl Word for i32 {}
    impl Word for u32 {}
    impl Word for f32 {}

    /// Stores to the first 16 elements.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(in crate::scan) fn store512<T: Word>(out: &mut [T], v: __m512i) {
        let out = &mut out[..16];
        // SAFETY: 16 elements of four bytes are there, of which any bits are a value; the store asks for no alignment.
        unsafe { _mm512_storeu_si512(out.as_mut_ptr().cast(), v) }
    }

    /// Stores to the first 8 elements.
    #[inline]
    #[target_feature(enable = "avx")]
    pub(in crate::scan) fn store256<T: Word>(out: &mut [T], v: __m256i) {
        let out = &mut out[..8];
        // SAFETY: 8 elements of four bytes are there, of which any bits are a value; the store asks for no alignment.
        unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), v) }
    }

    /// Asks for the memory some way past an offset. It need not exist: a prefetch is a hint and reads nothing.
    #[inline(always)]
    pub(in crate::scan) fn prefetch(bytes: &[u8], at: usize) {
        // SAFETY: SSE is part of x86-64, and the instruction neither faults nor changes anything that a program can see.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(bytes.as_ptr().wrapping_add(at + AHEAD).cast()) }
    }

    /// The same into the second-level cache, for superblocks, which ask for many lines at once.
    #[inline(always)]
    pub(in crate::scan) fn prefetch_far(bytes: &[u8], at: usize) {
        // SAFETY: as for `prefetch`.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(bytes.as_ptr().wrapping_add(at + AHEAD).cast()) }
    }
}

/// The same for NEON.
#[cfg(target_arch = "aarch64")]
pub(super) mod memory {
    use std::arch::aarch64::*;

    use crate::scan::simd::neon;
    pub(in crate::scan) use crate::scan::simd::neon::{eight, four, widen_halves};

    /// How far ahead of the block in hand memory is asked for; that of x86-64, not tried on other distances.
    const AHEAD: usize = 4096;

    /// Sixteen bytes at an offset.
    #[inline]
    #[target_feature(enable = "neon")]
    pub(in crate::scan) fn load128(bytes: &[u8], at: usize) -> uint8x16_t {
        let bytes = &bytes[at..at + 16];
        // SAFETY: 16 bytes are there; the load asks for no alignment.
        unsafe { vld1q_u8(bytes.as_ptr()) }
    }

    /// A table of sixteen bytes.
    #[inline]
    #[target_feature(enable = "neon")]
    pub(in crate::scan) fn table128(table: &[i8; 16]) -> int8x16_t {
        // SAFETY: as for `load128`.
        unsafe { vld1q_s8(table.as_ptr()) }
    }

    /// What may be stored into: four bytes each, any bits are a value.
    pub(in crate::scan) trait Word {}
    impl Word for i32 {}
    impl Word for u32 {}
    impl Word for f32 {}

    /// Stores to the first 4 elements.
    #[inline]
    #[target_feature(enable = "neon")]
    pub(in crate::scan) fn store128<T: Word>(out: &mut [T], v: uint32x4_t) {
        let out = &mut out[..4];
        // SAFETY: 4 elements of four bytes are there, of which any bits are a value; they are aligned as any such element is.
        unsafe { vst1q_u32(out.as_mut_ptr().cast(), v) }
    }

    /// Asks for the memory some way past an offset. It need not exist: a prefetch is a hint and reads nothing.
    #[inline(always)]
    pub(in crate::scan) fn prefetch_far(bytes: &[u8], at: usize) {
        neon::prefetch(bytes, at + AHEAD);
    }
}

/// How much further than a kernel `fetch` asks.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
const FETCH: usize = 4096;

/// Asks for as many bytes some way past an offset: while sums are folded, memory would be idle otherwise.
#[inline(always)]
pub(super) fn fetch(bytes: &[u8], at: usize, len: usize) {
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    for line in (at..at + len).step_by(64) {
        memory::prefetch_far(bytes, line + FETCH);
    }
    let _ = (bytes, at, len);
}

/// The last of one or two functions.
#[cfg(target_arch = "aarch64")]
macro_rules! last {
    ($plain:path) => {
        $plain
    };
    ($plain:path, $better:path) => {
        $better
    };
}

/// Makes `name(level, ...)` out of the plain function, what stands for it on each level, and the level from which the next one up
/// is no gain: compiled for AVX-512, byte-sized plain code came out slower than for AVX2. For NEON there is one more function, or
/// the plain one stands: NEON is part of aarch64, and the compiler uses it.
macro_rules! doors {
    ($($name:ident ($($arg:ident: $ty:ty),*): $portable:path, $avx2:path, $avx512:path, up to $best:ident $(, $neon:path)?;)*) => {$(
        #[doc = concat!("`", stringify!($portable), "` on the level asked for, or on the best this CPU has if that is less.")]
        #[inline]
        pub(super) fn $name(level: SimdLevel, $($arg: $ty),*) {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2,bmi1,bmi2,popcnt,lzcnt,f16c")]
                fn avx2($($arg: $ty),*) {
                    $avx2($($arg),*)
                }
                #[target_feature(enable = "avx2,bmi1,bmi2,popcnt,lzcnt,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
                fn avx512($($arg: $ty),*) {
                    $avx512($($arg),*)
                }
                match level.min(SimdLevel::detected()).min(SimdLevel::$best) {
                    SimdLevel::Portable | SimdLevel::Neon => {}
                    // SAFETY: `detected` found every feature that the function enables; that is all that calling it asks for.
                    SimdLevel::Avx2 => return unsafe { avx2($($arg),*) },
                    // SAFETY: as above.
                    SimdLevel::Avx512 => return unsafe { avx512($($arg),*) },
                }
            }
            #[cfg(target_arch = "aarch64")]
            {
                #[target_feature(enable = "neon")]
                fn neon($($arg: $ty),*) {
                    last!($portable $(, $neon)?)($($arg),*)
                }
                if level.min(SimdLevel::detected()) >= SimdLevel::Neon {
                    // SAFETY: `detected` found the feature that the function enables; that is all that calling it asks for.
                    return unsafe { neon($($arg),*) };
                }
            }
            let _ = level;
            $portable($($arg),*)
        }
    )*};
}

doors! {
    q4_0(bytes: &[u8], batch: &mut Products): portable::q4_0, avx2::q4_0, avx512::q4_0, up to Avx512, neon::q4_0;
    q5_0(bytes: &[u8], batch: &mut Products): portable::q5_0, avx2::q5_0, avx512::q5_0, up to Avx512, neon::q5_0;
    q8_0(bytes: &[u8], batch: &mut Products): portable::q8_0, avx2::q8_0, avx512::q8_0, up to Avx512, neon::q8_0;
    q8_1(bytes: &[u8], batch: &mut Products): portable::q8_1, avx2::q8_1, avx512::q8_1, up to Avx512, neon::q8_1;
    q8_k(bytes: &[u8], batch: &mut Products): portable::q8_k, portable::q8_k, portable::q8_k, up to Avx512;
    iq4_nl(bytes: &[u8], batch: &mut Products): portable::iq4_nl, avx2::iq4_nl, avx512::iq4_nl, up to Avx512, neon::iq4_nl;
    mxfp4(bytes: &[u8], batch: &mut Products): portable::mxfp4, avx2::mxfp4, avx512::mxfp4, up to Avx512, neon::mxfp4;
    nvfp4(bytes: &[u8], batch: &mut Products): portable::nvfp4, avx2::nvfp4, avx2::nvfp4, up to Avx512, neon::nvfp4;
    q3_k(bytes: &[u8], batch: &mut Products): portable::q3_k, avx2_k::q3_k, avx512_k::q3_k, up to Avx512, neon_k::q3_k;
    q6_k(bytes: &[u8], batch: &mut Products): portable::q6_k, avx2_k::q6_k, avx512_signed::q6_k, up to Avx512, neon_k::q6_k;
    iq4_xs(bytes: &[u8], batch: &mut Products): portable::iq4_xs, avx2_k::iq4_xs, avx512_k::iq4_xs, up to Avx512, neon_k::iq4_xs;
    tq1_0(bytes: &[u8], batch: &mut Products): portable::tq1_0, portable::tq1_0, portable::tq1_0, up to Avx2;
    tq2_0(bytes: &[u8], batch: &mut Products): portable::tq2_0, portable::tq2_0, portable::tq2_0, up to Avx512;
    q1_0(bytes: &[u8], batch: &mut Products): portable::q1_0, portable::q1_0, portable::q1_0, up to Avx512;
    q2_0(bytes: &[u8], batch: &mut Products): portable::q2_0, portable::q2_0, portable::q2_0, up to Avx512;
    iq2_xxs(bytes: &[u8], batch: &mut Products): portable_iq::iq2_xxs, portable_iq::iq2_xxs, portable_iq::iq2_xxs, up to Avx2;
    iq2_xs(bytes: &[u8], batch: &mut Products): portable_iq::iq2_xs, portable_iq::iq2_xs, portable_iq::iq2_xs, up to Avx2;
    iq2_s(bytes: &[u8], batch: &mut Products): portable_iq::iq2_s, portable_iq::iq2_s, portable_iq::iq2_s, up to Avx2;
    iq3_xxs(bytes: &[u8], batch: &mut Products): portable_iq::iq3_xxs, portable_iq::iq3_xxs, portable_iq::iq3_xxs, up to Avx2;
    iq3_s(bytes: &[u8], batch: &mut Products): portable_iq::iq3_s, portable_iq::iq3_s, portable_iq::iq3_s, up to Avx2;
    iq1_s(bytes: &[u8], batch: &mut Products): portable_iq::iq1_s, portable_iq::iq1_s, portable_iq::iq1_s, up to Avx2;
    iq1_m(bytes: &[u8], batch: &mut Products): portable_iq::iq1_m, portable_iq::iq1_m, portable_iq::iq1_m, up to Avx2;
    q4_1(bytes: &[u8], batch: &mut Flat): portable::q4_1, avx2::q4_1, avx512::q4_1, up to Avx512, neon::q4_1;
    q5_1(bytes: &[u8], batch: &mut Flat): portable::q5_1, avx2::q5_1, avx512::q5_1, up to Avx512, neon::q5_1;
    q2_k(bytes: &[u8], batch: &mut Affine): portable::q2_k, avx2_k::q2_k, avx512_k::q2_k, up to Avx512, neon_k::q2_k;
    q4_k(bytes: &[u8], batch: &mut Affine): portable::q4_k, avx2_min::q4_k, avx512_min::q4_k, up to Avx512, neon_min::q4_k;
    q5_k(bytes: &[u8], batch: &mut Affine): portable::q5_k, avx2_min::q5_k, avx512_min::q5_k, up to Avx512, neon_min::q5_k;
    products(door: SimdLevel, layout: &Layout, bytes: &[u8], batch: &mut Products, fold: &mut Fold): fold::products::<false>, fold::products::<false>, fold::products::<false>, up to Avx512;
    long_products(door: SimdLevel, layout: &Layout, bytes: &[u8], batch: &mut Products, fold: &mut Fold): fold::products::<true>, fold::products::<true>, fold::products::<true>, up to Avx512;
    flat(door: SimdLevel, layout: &Layout, bytes: &[u8], batch: &mut Flat, most: f32, fold: &mut Fold): fold::flat, fold::flat, fold::flat, up to Avx512;
    affine8(door: SimdLevel, layout: &Layout, bytes: &[u8], batch: &mut Affine, most: f32, fold: &mut Fold): fold_affine::affine::<8>, fold_affine::affine::<8>, fold_affine::affine::<8>, up to Avx512;
    affine16(door: SimdLevel, layout: &Layout, bytes: &[u8], batch: &mut Affine, most: f32, fold: &mut Fold): fold_affine::affine::<16>, fold_affine::affine::<16>, fold_affine::affine::<16>, up to Avx512;
    extremes(door: SimdLevel, layout: &Layout, bytes: &[u8], fold: &mut Fold): fold::extremes, fold::extremes, fold::extremes, up to Avx512;
    decode_q4_0(block: &[u8], out: &mut [f32]): legacy::q4_0, legacy::q4_0, legacy::q4_0, up to Avx512;
    decode_q4_1(block: &[u8], out: &mut [f32]): legacy::q4_1, legacy::q4_1, legacy::q4_1, up to Avx512;
    decode_q5_0(block: &[u8], out: &mut [f32]): legacy::q5_0, legacy::q5_0, legacy::q5_0, up to Avx512;
    decode_q5_1(block: &[u8], out: &mut [f32]): legacy::q5_1, legacy::q5_1, legacy::q5_1, up to Avx512;
    decode_q8_0(block: &[u8], out: &mut [f32]): legacy::q8_0, legacy::q8_0, legacy::q8_0, up to Avx512;
    decode_q8_1(block: &[u8], out: &mut [f32]): legacy::q8_1, legacy::q8_1, legacy::q8_1, up to Avx512;
    decode_q2_k(block: &[u8], out: &mut [f32]): k_quants::q2_k, k_quants::q2_k, k_quants::q2_k, up to Avx512;
    decode_q3_k(block: &[u8], out: &mut [f32]): k_quants::q3_k, k_quants::q3_k, k_quants::q3_k, up to Avx512;
    decode_q4_k(block: &[u8], out: &mut [f32]): k_quants::q4_k, k_quants::q4_k, k_quants::q4_k, up to Avx512;
    decode_q5_k(block: &[u8], out: &mut [f32]): k_quants::q5_k, k_quants::q5_k, k_quants::q5_k, up to Avx512;
    decode_q6_k(block: &[u8], out: &mut [f32]): k_quants::q6_k, k_quants::q6_k, k_quants::q6_k, up to Avx512;
    decode_q8_k(block: &[u8], out: &mut [f32]): k_quants::q8_k, k_quants::q8_k, k_quants::q8_k, up to Avx512;
    decode_iq2_xxs(block: &[u8], out: &mut [f32]): iq2::iq2_xxs, iq2::iq2_xxs, iq2::iq2_xxs, up to Avx512;
    decode_iq2_xs(block: &[u8], out: &mut [f32]): iq2::iq2_xs, iq2::iq2_xs, iq2::iq2_xs, up to Avx512;
    decode_iq2_s(block: &[u8], out: &mut [f32]): iq2::iq2_s, iq2::iq2_s, iq2::iq2_s, up to Avx512;
    decode_iq3_xxs(block: &[u8], out: &mut [f32]): iq3::iq3_xxs, iq3::iq3_xxs, iq3::iq3_xxs, up to Avx512;
    decode_iq3_s(block: &[u8], out: &mut [f32]): iq3::iq3_s, iq3::iq3_s, iq3::iq3_s, up to Avx512;
    decode_iq1_s(block: &[u8], out: &mut [f32]): iq1::iq1_s, iq1::iq1_s, iq1::iq1_s, up to Avx512;
    decode_iq1_m(block: &[u8], out: &mut [f32]): iq1::iq1_m, iq1::iq1_m, iq1::iq1_m, up to Avx512;
    decode_iq4_nl(block: &[u8], out: &mut [f32]): iq4::iq4_nl, iq4::iq4_nl, iq4::iq4_nl, up to Avx512;
    decode_iq4_xs(block: &[u8], out: &mut [f32]): iq4::iq4_xs, iq4::iq4_xs, iq4::iq4_xs, up to Avx512;
    decode_tq1_0(block: &[u8], out: &mut [f32]): ternary::tq1_0, ternary::tq1_0, ternary::tq1_0, up to Avx512;
    decode_tq2_0(block: &[u8], out: &mut [f32]): ternary::tq2_0, ternary::tq2_0, ternary::tq2_0, up to Avx512;
    decode_mxfp4(block: &[u8], out: &mut [f32]): fp4::mxfp4, fp4::mxfp4, fp4::mxfp4, up to Avx512;
    decode_nvfp4(block: &[u8], out: &mut [f32]): fp4::nvfp4, fp4::nvfp4, fp4::nvfp4, up to Avx512;
    decode_q1_0(block: &[u8], out: &mut [f32]): low_bit::q1_0, low_bit::q1_0, low_bit::q1_0, up to Avx512;
    decode_q2_0(block: &[u8], out: &mut [f32]): low_bit::q2_0, low_bit::q2_0, low_bit::q2_0, up to Avx512;
}
