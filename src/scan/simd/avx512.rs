//! AVX-512: 32 lanes of 16 bits in one register.
#![cfg(target_arch = "x86_64")]
#![allow(unsafe_code)]
// SAFETY, for every block in this file that says "proved": the instruction needs AVX-512 F, BW, DQ, VL or F16C. A vector can
// only be made with an `Avx512`, and `Avx512::detect` makes one only on a processor that has them all.

use std::arch::x86_64::*;

use super::features::features_of;
use super::memory;
use super::{Doubles, Floats, Ints, Token, VectorKernel};
use crate::stats::LeafStats;

/// Proof of AVX-512 F, BW, DQ and VL, and of all that [`Avx2`](super::avx2::Avx2) proves.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Avx512(());

impl Avx512 {
    /// Detects the features at run time.
    pub(super) fn detect() -> Option<Self> {
        features_of!(avx512, detected!()).then_some(Self(()))
    }
}

/// Proof of VNNI, and of all that [`Avx512`] proves.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Vnni(());

impl Vnni {
    /// Detects the features at run time.
    pub(super) fn detect() -> Option<Self> {
        features_of!(avx512_vnni, detected!()).then_some(Self(()))
    }
}

/// 32 integers of 16 bits.
#[derive(Clone, Copy)]
pub(in super::super) struct Halves(__m512i);

/// 32 integers of 32 bits.
#[derive(Clone, Copy)]
pub(in super::super) struct Words(__m512i, __m512i);

/// 16 floats of 32 bits.
#[derive(Clone, Copy)]
pub(in super::super) struct F32s(__m512);

/// 16 floats of 64 bits.
#[derive(Clone, Copy)]
pub(in super::super) struct F64s(__m512d, __m512d);

features_of!(
    avx512,
    compiled! {
        fn with_features(token: Avx512, kernel: impl VectorKernel) -> LeafStats {
            kernel.call(token)
        }
    }
);

impl Token for Avx512 {
    type Halves = Halves;
    type Words = Words;
    type Floats = F32s;
    type Doubles = F64s;

    #[inline]
    fn run(self, kernel: impl VectorKernel) -> LeafStats {
        // SAFETY: proved.
        unsafe { with_features(self, kernel) }
    }

    #[inline(always)]
    fn prefetch(self, bytes: &[u8], at: usize) {
        memory::prefetch_at(bytes, at);
    }

    #[inline(always)]
    fn bf16(self, bits: Halves) -> (F32s, F32s) {
        // SAFETY: proved.
        unsafe {
            let even = _mm512_slli_epi32::<16>(bits.0);
            let odd = _mm512_and_si512(bits.0, _mm512_set1_epi32(0xffff_0000_u32 as i32));
            (F32s(_mm512_castsi512_ps(even)), F32s(_mm512_castsi512_ps(odd)))
        }
    }

    #[inline(always)]
    fn f16(self, bits: Halves) -> (F32s, F32s) {
        // SAFETY: proved.
        unsafe {
            let first = _mm512_castsi512_si256(bits.0);
            let last = _mm512_extracti64x4_epi64::<1>(bits.0);
            (F32s(_mm512_cvtph_ps(first)), F32s(_mm512_cvtph_ps(last)))
        }
    }

    #[inline(always)]
    fn f32(self, bits: Words) -> (F32s, F32s) {
        // SAFETY: proved.
        unsafe { (F32s(_mm512_castsi512_ps(bits.0)), F32s(_mm512_castsi512_ps(bits.1))) }
    }
}

impl Ints<Avx512> for Halves {
    const BYTES: usize = 64;

    #[inline(always)]
    fn splat(_: Avx512, value: u32) -> Self {
        // SAFETY: proved.
        unsafe { Halves(_mm512_set1_epi16(value as i16)) }
    }

    #[inline(always)]
    fn load(_: Avx512, bytes: &[u8], at: usize) -> Self {
        let from = bytes[at..at + Self::BYTES].as_ptr();
        // SAFETY: proved; the slice above has as many bytes as are loaded, and the loads want no alignment.
        unsafe { Halves(_mm512_loadu_si512(from.add(0).cast())) }
    }

    #[inline(always)]
    fn and(self, other: Self) -> Self {
        // SAFETY: proved.
        unsafe { Halves(_mm512_and_si512(self.0, other.0)) }
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        // SAFETY: proved.
        unsafe { Halves(_mm512_sub_epi16(self.0, other.0)) }
    }

    #[inline(always)]
    fn max_signed(self, other: Self) -> Self {
        // SAFETY: proved.
        unsafe { Halves(_mm512_max_epi16(self.0, other.0)) }
    }

    #[inline(always)]
    fn min_unsigned(self, other: Self) -> Self {
        // SAFETY: proved.
        unsafe { Halves(_mm512_min_epu16(self.0, other.0)) }
    }

    #[inline(always)]
    fn max_unsigned(self, other: Self) -> Self {
        // SAFETY: proved.
        unsafe { Halves(_mm512_max_epu16(self.0, other.0)) }
    }

    #[inline(always)]
    fn count_equal(self, a: Self, b: Self) -> Self {
        // SAFETY: proved.
        unsafe {
            let minus = _mm512_set1_epi16(-1);
            Halves(_mm512_mask_sub_epi16(self.0, _mm512_cmpeq_epi16_mask(a.0, b.0), self.0, minus))
        }
    }

    #[inline(always)]
    fn count_greater(self, a: Self, b: Self) -> Self {
        // SAFETY: proved.
        unsafe {
            let minus = _mm512_set1_epi16(-1);
            Halves(_mm512_mask_sub_epi16(self.0, _mm512_cmpgt_epi16_mask(a.0, b.0), self.0, minus))
        }
    }

    #[inline(always)]
    fn where_at_most(self, a: Self, b: Self, other: Self) -> Self {
        // SAFETY: proved.
        unsafe { Halves(_mm512_mask_mov_epi16(other.0, _mm512_cmple_epu16_mask(a.0, b.0), self.0)) }
    }

    #[inline(always)]
    fn any_greater(self, other: Self) -> bool {
        // SAFETY: proved.
        unsafe { (_mm512_cmpgt_epi16_mask(self.0, other.0)) != 0 }
    }

    #[inline(always)]
    fn any_below(self, other: Self) -> bool {
        // SAFETY: proved.
        unsafe { (_mm512_cmplt_epu16_mask(self.0, other.0)) != 0 }
    }

    #[inline(always)]
    fn lanes(self) -> [u32; 32] {
        let mut lanes = [0u16; 32];
        // SAFETY: proved; the array has the 64 bytes that are stored.
        unsafe { _mm512_storeu_si512(lanes.as_mut_ptr().cast(), self.0) };
        lanes.map(u32::from)
    }
}

impl Ints<Avx512> for Words {
    const BYTES: usize = 128;

    #[inline(always)]
    fn splat(_: Avx512, value: u32) -> Self {
        // SAFETY: proved.
        unsafe { Words(_mm512_set1_epi32(value as i32), _mm512_set1_epi32(value as i32)) }
    }

    #[inline(always)]
    fn load(_: Avx512, bytes: &[u8], at: usize) -> Self {
        let from = bytes[at..at + Self::BYTES].as_ptr();
        // SAFETY: proved; the slice above has as many bytes as are loaded, and the loads want no alignment.
        unsafe { Words(_mm512_loadu_si512(from.add(0).cast()), _mm512_loadu_si512(from.add(64).cast())) }
    }

    #[inline(always)]
    fn and(self, other: Self) -> Self {
        // SAFETY: proved.
        unsafe { Words(_mm512_and_si512(self.0, other.0), _mm512_and_si512(self.1, other.1)) }
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        // SAFETY: proved.
        unsafe { Words(_mm512_sub_epi32(self.0, other.0), _mm512_sub_epi32(self.1, other.1)) }
    }

    #[inline(always)]
    fn max_signed(self, other: Self) -> Self {
        // SAFETY: proved.
        unsafe { Words(_mm512_max_epi32(self.0, other.0), _mm512_max_epi32(self.1, other.1)) }
    }

    #[inline(always)]
    fn min_unsigned(self, other: Self) -> Self {
        // SAFETY: proved.
        unsafe { Words(_mm512_min_epu32(self.0, other.0), _mm512_min_epu32(self.1, other.1)) }
    }

    #[inline(always)]
    fn max_unsigned(self, other: Self) -> Self {
        // SAFETY: proved.
        unsafe { Words(_mm512_max_epu32(self.0, other.0), _mm512_max_epu32(self.1, other.1)) }
    }

    #[inline(always)]
    fn count_equal(self, a: Self, b: Self) -> Self {
        // SAFETY: proved.
        unsafe {
            let minus = _mm512_set1_epi32(-1);
            Words(
                _mm512_mask_sub_epi32(self.0, _mm512_cmpeq_epi32_mask(a.0, b.0), self.0, minus),
                _mm512_mask_sub_epi32(self.1, _mm512_cmpeq_epi32_mask(a.1, b.1), self.1, minus),
            )
        }
    }

    #[inline(always)]
    fn count_greater(self, a: Self, b: Self) -> Self {
        // SAFETY: proved.
        unsafe {
            let minus = _mm512_set1_epi32(-1);
            Words(
                _mm512_mask_sub_epi32(self.0, _mm512_cmpgt_epi32_mask(a.0, b.0), self.0, minus),
                _mm512_mask_sub_epi32(self.1, _mm512_cmpgt_epi32_mask(a.1, b.1), self.1, minus),
            )
        }
    }

    #[inline(always)]
    fn where_at_most(self, a: Self, b: Self, other: Self) -> Self {
        // SAFETY: proved.
        unsafe {
            Words(
                _mm512_mask_mov_epi32(other.0, _mm512_cmple_epu32_mask(a.0, b.0), self.0),
                _mm512_mask_mov_epi32(other.1, _mm512_cmple_epu32_mask(a.1, b.1), self.1),
            )
        }
    }

    #[inline(always)]
    fn any_greater(self, other: Self) -> bool {
        // SAFETY: proved.
        unsafe { (_mm512_cmpgt_epi32_mask(self.0, other.0) | _mm512_cmpgt_epi32_mask(self.1, other.1)) != 0 }
    }

    #[inline(always)]
    fn any_below(self, other: Self) -> bool {
        // SAFETY: proved.
        unsafe { (_mm512_cmplt_epu32_mask(self.0, other.0) | _mm512_cmplt_epu32_mask(self.1, other.1)) != 0 }
    }

    #[inline(always)]
    fn lanes(self) -> [u32; 32] {
        let mut lanes = [0; 32];
        // SAFETY: proved; the array has the 128 bytes that are stored.
        unsafe {
            _mm512_storeu_si512(lanes.as_mut_ptr().cast(), self.0);
            _mm512_storeu_si512(lanes.as_mut_ptr().add(16).cast(), self.1);
        }
        lanes
    }
}

impl Floats<Avx512> for F32s {
    #[inline(always)]
    fn splat(_: Avx512, value: f32) -> Self {
        // SAFETY: proved.
        unsafe { Self(_mm512_set1_ps(value)) }
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        // SAFETY: proved.
        unsafe { Self(_mm512_sub_ps(self.0, other.0)) }
    }

    #[inline(always)]
    fn finite_or_zero(self) -> Self {
        // SAFETY: proved. |x| < Inf does not hold for NaN.
        unsafe {
            let finite = _mm512_cmp_ps_mask::<_CMP_LT_OQ>(_mm512_abs_ps(self.0), _mm512_set1_ps(f32::INFINITY));
            Self(_mm512_maskz_mov_ps(finite, self.0))
        }
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: proved.
        unsafe { Self(_mm512_add_ps(self.0, other.0)) }
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        // SAFETY: proved.
        unsafe { Self(_mm512_mul_ps(self.0, other.0)) }
    }

    #[inline(always)]
    fn widen(self) -> F64s {
        // SAFETY: proved.
        unsafe { F64s(_mm512_cvtps_pd(_mm512_castps512_ps256(self.0)), _mm512_cvtps_pd(_mm512_extractf32x8_ps::<1>(self.0))) }
    }
}

impl Doubles<Avx512> for F64s {
    #[inline(always)]
    fn splat(_: Avx512, value: f64) -> Self {
        // SAFETY: proved.
        unsafe { Self(_mm512_set1_pd(value), _mm512_set1_pd(value)) }
    }

    #[inline(always)]
    fn load(_: Avx512, values: &[f64; 16]) -> Self {
        // SAFETY: proved; the array has the 128 bytes that are loaded.
        unsafe { Self(_mm512_loadu_pd(values.as_ptr()), _mm512_loadu_pd(values.as_ptr().add(8))) }
    }

    #[inline(always)]
    fn min(self, other: Self) -> Self {
        // SAFETY: proved.
        unsafe { Self(_mm512_min_pd(self.0, other.0), _mm512_min_pd(self.1, other.1)) }
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        // SAFETY: proved.
        unsafe { Self(_mm512_max_pd(self.0, other.0), _mm512_max_pd(self.1, other.1)) }
    }

    #[inline(always)]
    fn finite_or(self, other: Self) -> Self {
        // SAFETY: proved. |x| < Inf does not hold for NaN.
        unsafe {
            let inf = _mm512_set1_pd(f64::INFINITY);
            let finite = |x| _mm512_cmp_pd_mask::<_CMP_LT_OQ>(_mm512_abs_pd(x), inf);
            Self(_mm512_mask_mov_pd(other.0, finite(self.0), self.0), _mm512_mask_mov_pd(other.1, finite(self.1), self.1))
        }
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: proved.
        unsafe { Self(_mm512_add_pd(self.0, other.0), _mm512_add_pd(self.1, other.1)) }
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        // SAFETY: proved.
        unsafe { Self(_mm512_sub_pd(self.0, other.0), _mm512_sub_pd(self.1, other.1)) }
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        // SAFETY: proved.
        unsafe { Self(_mm512_mul_pd(self.0, other.0), _mm512_mul_pd(self.1, other.1)) }
    }

    #[inline(always)]
    fn lanes(self) -> [f64; 16] {
        let mut lanes = [0.0; 16];
        // SAFETY: proved; the array has the 128 bytes that are stored.
        unsafe {
            _mm512_storeu_pd(lanes.as_mut_ptr(), self.0);
            _mm512_storeu_pd(lanes.as_mut_ptr().add(8), self.1);
        }
        lanes
    }
}
