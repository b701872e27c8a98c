//! AVX2: 32 lanes of 16 bits in two registers.
#![cfg(target_arch = "x86_64")]
#![allow(unsafe_code)]
// SAFETY, for every block in this file that says "proved": the instruction needs AVX2 or F16C. A vector can only be made with
// an `Avx2`, and `Avx2::detect` makes one only on a processor that has both.

use std::arch::x86_64::*;

use super::features::features_of;
use super::memory;
use super::{Doubles, Floats, Ints, Token, VectorKernel};
use crate::stats::LeafStats;

/// Proof of AVX2, F16C, BMI1, BMI2, LZCNT and POPCNT.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Avx2(());

impl Avx2 {
    /// Detects the features at run time.
    pub(super) fn detect() -> Option<Self> {
        features_of!(avx2, detected!()).then_some(Self(()))
    }
}

/// 32 integers of 16 bits.
#[derive(Clone, Copy)]
pub(in super::super) struct Halves([__m256i; 2]);

/// 32 integers of 32 bits.
#[derive(Clone, Copy)]
pub(in super::super) struct Words([__m256i; 4]);

/// 16 floats of 32 bits.
#[derive(Clone, Copy)]
pub(in super::super) struct F32s([__m256; 2]);

/// 16 floats of 64 bits.
#[derive(Clone, Copy)]
pub(in super::super) struct F64s([__m256d; 4]);

features_of!(
    avx2,
    compiled! {
        fn with_features(token: Avx2, kernel: impl VectorKernel) -> LeafStats {
            kernel.call(token)
        }
    }
);

impl Token for Avx2 {
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
        let [a, b] = bits.0;
        // SAFETY: proved.
        unsafe {
            let odd = _mm256_set1_epi32(0xffff_0000_u32 as i32);
            (
                F32s([_mm256_castsi256_ps(_mm256_slli_epi32::<16>(a)), _mm256_castsi256_ps(_mm256_slli_epi32::<16>(b))]),
                F32s([_mm256_castsi256_ps(_mm256_and_si256(a, odd)), _mm256_castsi256_ps(_mm256_and_si256(b, odd))]),
            )
        }
    }

    #[inline(always)]
    fn f16(self, bits: Halves) -> (F32s, F32s) {
        let [a, b] = bits.0;
        // SAFETY: proved.
        unsafe {
            (
                F32s([_mm256_cvtph_ps(_mm256_castsi256_si128(a)), _mm256_cvtph_ps(_mm256_extracti128_si256::<1>(a))]),
                F32s([_mm256_cvtph_ps(_mm256_castsi256_si128(b)), _mm256_cvtph_ps(_mm256_extracti128_si256::<1>(b))]),
            )
        }
    }

    #[inline(always)]
    fn f32(self, bits: Words) -> (F32s, F32s) {
        let [a, b, c, d] = bits.0;
        // SAFETY: proved.
        unsafe { (F32s([_mm256_castsi256_ps(a), _mm256_castsi256_ps(b)]), F32s([_mm256_castsi256_ps(c), _mm256_castsi256_ps(d)])) }
    }
}

/// The operations on integers: places of the registers, bytes to load, lanes of a register, and the intrinsics for a width.
macro_rules! ints {
    ($vector:ident: [$($i:literal)+], $bytes:literal bytes, $lanes:literal x $lane:ident, $signed:ident:
     $set:ident $sub:ident $max_signed:ident $min:ident $max:ident $equal:ident $greater:ident) => {
        impl Ints<Avx2> for $vector {
            const BYTES: usize = $bytes;

            #[inline(always)]
            fn splat(_: Avx2, value: u32) -> Self {
                // SAFETY: proved.
                unsafe { Self([$set(value as $signed); $bytes / 32]) }
            }

            #[inline(always)]
            fn load(_: Avx2, bytes: &[u8], at: usize) -> Self {
                let from = bytes[at..at + Self::BYTES].as_ptr();
                // SAFETY: proved; the slice above has as many bytes as are loaded, and the loads want no alignment.
                unsafe { Self([$(_mm256_loadu_si256(from.add(32 * $i).cast())),+]) }
            }

            #[inline(always)]
            fn and(self, other: Self) -> Self {
                // SAFETY: proved.
                unsafe { Self([$(_mm256_and_si256(self.0[$i], other.0[$i])),+]) }
            }

            #[inline(always)]
            fn sub(self, other: Self) -> Self {
                // SAFETY: proved.
                unsafe { Self([$($sub(self.0[$i], other.0[$i])),+]) }
            }

            #[inline(always)]
            fn max_signed(self, other: Self) -> Self {
                // SAFETY: proved.
                unsafe { Self([$($max_signed(self.0[$i], other.0[$i])),+]) }
            }

            #[inline(always)]
            fn min_unsigned(self, other: Self) -> Self {
                // SAFETY: proved.
                unsafe { Self([$($min(self.0[$i], other.0[$i])),+]) }
            }

            #[inline(always)]
            fn max_unsigned(self, other: Self) -> Self {
                // SAFETY: proved.
                unsafe { Self([$($max(self.0[$i], other.0[$i])),+]) }
            }

            #[inline(always)]
            fn count_equal(self, a: Self, b: Self) -> Self {
                // SAFETY: proved.
                unsafe { Self([$($sub(self.0[$i], $equal(a.0[$i], b.0[$i]))),+]) }
            }

            #[inline(always)]
            fn count_greater(self, a: Self, b: Self) -> Self {
                // SAFETY: proved.
                unsafe { Self([$($sub(self.0[$i], $greater(a.0[$i], b.0[$i]))),+]) }
            }

            #[inline(always)]
            fn where_at_most(self, a: Self, b: Self, other: Self) -> Self {
                // SAFETY: proved.
                unsafe {
                    Self([$(_mm256_blendv_epi8(other.0[$i], self.0[$i], $equal($min(a.0[$i], b.0[$i]), a.0[$i]))),+])
                }
            }

            #[inline(always)]
            fn any_greater(self, other: Self) -> bool {
                // SAFETY: proved.
                unsafe {
                    let mut any = _mm256_setzero_si256();
                    $(any = _mm256_or_si256(any, $greater(self.0[$i], other.0[$i]));)+
                    _mm256_movemask_epi8(any) != 0
                }
            }

            #[inline(always)]
            fn any_below(self, other: Self) -> bool {
                // SAFETY: proved. The larger of both is `self` where it is not below.
                unsafe {
                    let mut all = _mm256_set1_epi8(-1);
                    $(all = _mm256_and_si256(all, $equal($max(self.0[$i], other.0[$i]), self.0[$i]));)+
                    _mm256_movemask_epi8(all) != -1
                }
            }

            #[inline(always)]
            fn lanes(self) -> [u32; 32] {
                let mut lanes: [$lane; 32] = [0; 32];
                // SAFETY: proved; the array has the bytes that are stored.
                unsafe { $(_mm256_storeu_si256(lanes.as_mut_ptr().add($lanes * $i).cast(), self.0[$i]);)+ }
                lanes.map(u32::from)
            }
        }
    };
}

ints! {
    Halves: [0 1], 64 bytes, 16 x u16, i16:
    _mm256_set1_epi16 _mm256_sub_epi16 _mm256_max_epi16 _mm256_min_epu16 _mm256_max_epu16 _mm256_cmpeq_epi16 _mm256_cmpgt_epi16
}

ints! {
    Words: [0 1 2 3], 128 bytes, 8 x u32, i32:
    _mm256_set1_epi32 _mm256_sub_epi32 _mm256_max_epi32 _mm256_min_epu32 _mm256_max_epu32 _mm256_cmpeq_epi32 _mm256_cmpgt_epi32
}

impl Floats<Avx2> for F32s {
    #[inline(always)]
    fn splat(_: Avx2, value: f32) -> Self {
        // SAFETY: proved.
        unsafe { Self([_mm256_set1_ps(value); 2]) }
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        // SAFETY: proved.
        unsafe { Self([_mm256_sub_ps(self.0[0], other.0[0]), _mm256_sub_ps(self.0[1], other.0[1])]) }
    }

    #[inline(always)]
    fn finite_or_zero(self) -> Self {
        let [a, b] = self.0;
        // SAFETY: proved. |x| < Inf does not hold for NaN.
        unsafe {
            let (abs, inf) = (_mm256_castsi256_ps(_mm256_set1_epi32(i32::MAX)), _mm256_set1_ps(f32::INFINITY));
            Self([
                _mm256_and_ps(a, _mm256_cmp_ps::<_CMP_LT_OQ>(_mm256_and_ps(a, abs), inf)),
                _mm256_and_ps(b, _mm256_cmp_ps::<_CMP_LT_OQ>(_mm256_and_ps(b, abs), inf)),
            ])
        }
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: proved.
        unsafe { Self([_mm256_add_ps(self.0[0], other.0[0]), _mm256_add_ps(self.0[1], other.0[1])]) }
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        // SAFETY: proved.
        unsafe { Self([_mm256_mul_ps(self.0[0], other.0[0]), _mm256_mul_ps(self.0[1], other.0[1])]) }
    }

    #[inline(always)]
    fn widen(self) -> F64s {
        let [a, b] = self.0;
        // SAFETY: proved.
        unsafe {
            F64s([
                _mm256_cvtps_pd(_mm256_castps256_ps128(a)),
                _mm256_cvtps_pd(_mm256_extractf128_ps::<1>(a)),
                _mm256_cvtps_pd(_mm256_castps256_ps128(b)),
                _mm256_cvtps_pd(_mm256_extractf128_ps::<1>(b)),
            ])
        }
    }
}

impl Doubles<Avx2> for F64s {
    #[inline(always)]
    fn splat(_: Avx2, value: f64) -> Self {
        // SAFETY: proved.
        unsafe { Self([_mm256_set1_pd(value); 4]) }
    }

    #[inline(always)]
    fn load(_: Avx2, values: &[f64; 16]) -> Self {
        let from = values.as_ptr();
        // SAFETY: proved; the array has the 128 bytes that are loaded.
        unsafe {
            Self([_mm256_loadu_pd(from), _mm256_loadu_pd(from.add(4)), _mm256_loadu_pd(from.add(8)), _mm256_loadu_pd(from.add(12))])
        }
    }

    #[inline(always)]
    fn min(self, other: Self) -> Self {
        // SAFETY: proved.
        unsafe {
            Self([
                _mm256_min_pd(self.0[0], other.0[0]),
                _mm256_min_pd(self.0[1], other.0[1]),
                _mm256_min_pd(self.0[2], other.0[2]),
                _mm256_min_pd(self.0[3], other.0[3]),
            ])
        }
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        // SAFETY: proved.
        unsafe {
            Self([
                _mm256_max_pd(self.0[0], other.0[0]),
                _mm256_max_pd(self.0[1], other.0[1]),
                _mm256_max_pd(self.0[2], other.0[2]),
                _mm256_max_pd(self.0[3], other.0[3]),
            ])
        }
    }

    #[inline(always)]
    fn finite_or(self, other: Self) -> Self {
        // SAFETY: proved. |x| < Inf does not hold for NaN.
        unsafe {
            let (abs, inf) = (_mm256_castsi256_pd(_mm256_set1_epi64x(i64::MAX)), _mm256_set1_pd(f64::INFINITY));
            Self([
                _mm256_blendv_pd(other.0[0], self.0[0], _mm256_cmp_pd::<_CMP_LT_OQ>(_mm256_and_pd(self.0[0], abs), inf)),
                _mm256_blendv_pd(other.0[1], self.0[1], _mm256_cmp_pd::<_CMP_LT_OQ>(_mm256_and_pd(self.0[1], abs), inf)),
                _mm256_blendv_pd(other.0[2], self.0[2], _mm256_cmp_pd::<_CMP_LT_OQ>(_mm256_and_pd(self.0[2], abs), inf)),
                _mm256_blendv_pd(other.0[3], self.0[3], _mm256_cmp_pd::<_CMP_LT_OQ>(_mm256_and_pd(self.0[3], abs), inf)),
            ])
        }
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        let ([a, b, c, d], [e, f, g, h]) = (self.0, other.0);
        // SAFETY: proved.
        unsafe { Self([_mm256_add_pd(a, e), _mm256_add_pd(b, f), _mm256_add_pd(c, g), _mm256_add_pd(d, h)]) }
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        let ([a, b, c, d], [e, f, g, h]) = (self.0, other.0);
        // SAFETY: proved.
        unsafe { Self([_mm256_sub_pd(a, e), _mm256_sub_pd(b, f), _mm256_sub_pd(c, g), _mm256_sub_pd(d, h)]) }
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        let ([a, b, c, d], [e, f, g, h]) = (self.0, other.0);
        // SAFETY: proved.
        unsafe { Self([_mm256_mul_pd(a, e), _mm256_mul_pd(b, f), _mm256_mul_pd(c, g), _mm256_mul_pd(d, h)]) }
    }

    #[inline(always)]
    fn lanes(self) -> [f64; 16] {
        let mut lanes = [0.0; 16];
        // SAFETY: proved; the array has the 128 bytes that are stored.
        unsafe {
            for (i, four) in self.0.iter().enumerate() {
                _mm256_storeu_pd(lanes.as_mut_ptr().add(4 * i), *four);
            }
        }
        lanes
    }
}
