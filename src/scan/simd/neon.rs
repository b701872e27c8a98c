//! NEON: 32 lanes of 16 bits in four registers.
#![allow(unsafe_code)]
// SAFETY, for every block in this file that says "proved": the instruction needs NEON. A vector can only be made with a `Neon`,
// and `Neon::detect` makes one only on a processor that has it.

use std::arch::aarch64::*;
use std::arch::asm;

use super::features::features_of;
use super::memory;
use super::{Doubles, Floats, Ints, Token, VectorKernel};
use crate::stats::LeafStats;

/// Proof of NEON.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Neon(());

impl Neon {
    /// Detects the feature at run time. Bytes are loaded into wider lanes unchanged, so the order of bytes must be little-endian.
    pub(super) fn detect() -> Option<Self> {
        (cfg!(target_endian = "little") && features_of!(neon, detected!())).then_some(Self(()))
    }
}

/// 32 integers of 16 bits.
#[derive(Clone, Copy)]
pub(in super::super) struct Halves([uint16x8_t; 4]);

/// 32 integers of 32 bits.
#[derive(Clone, Copy)]
pub(in super::super) struct Words([uint32x4_t; 8]);

/// 16 floats of 32 bits.
#[derive(Clone, Copy)]
pub(in super::super) struct F32s([float32x4_t; 4]);

/// 16 floats of 64 bits.
#[derive(Clone, Copy)]
pub(in super::super) struct F64s([float64x2_t; 8]);

features_of!(
    neon,
    compiled! {
        fn with_features(token: Neon, kernel: impl VectorKernel) -> LeafStats {
            kernel.call(token)
        }
    }
);

/// Eight F16 to F32. The intrinsics of this instruction are younger than the oldest compiler that must do.
#[inline(always)]
pub(in super::super) fn widen_halves(bits: uint16x8_t) -> [float32x4_t; 2] {
    let (low, high): (float32x4_t, float32x4_t);
    // SAFETY: proved, by the vector; the instructions read and write no memory and set no flags.
    unsafe {
        asm!("fcvtl {0:v}.4s, {1:v}.4h", lateout(vreg) low, in(vreg) bits, options(pure, nomem, nostack, preserves_flags));
        asm!("fcvtl2 {0:v}.4s, {1:v}.8h", lateout(vreg) high, in(vreg) bits, options(pure, nomem, nostack, preserves_flags));
    }
    [low, high]
}

impl Token for Neon {
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
            let odd = vdupq_n_u32(0xffff_0000);
            let words = four(|i| vreinterpretq_u32_u16(bits.0[i]));
            (
                F32s(four(|i| vreinterpretq_f32_u32(vshlq_n_u32::<16>(words[i])))),
                F32s(four(|i| vreinterpretq_f32_u32(vandq_u32(words[i], odd)))),
            )
        }
    }

    #[inline(always)]
    fn f16(self, bits: Halves) -> (F32s, F32s) {
        let [[a, b], [c, d], [e, f], [g, h]] = four(|i| widen_halves(bits.0[i]));
        (F32s([a, b, c, d]), F32s([e, f, g, h]))
    }

    #[inline(always)]
    fn f32(self, bits: Words) -> (F32s, F32s) {
        // SAFETY: proved.
        let float = |i: usize| unsafe { vreinterpretq_f32_u32(bits.0[i]) };
        (F32s(four(float)), F32s(four(|i| float(i + 4))))
    }
}

/// Four values by their places, spelled out: what a loop fills stays in memory.
#[inline(always)]
pub(in super::super) fn four<T>(f: impl Fn(usize) -> T) -> [T; 4] {
    [f(0), f(1), f(2), f(3)]
}

/// Eight values by their places, spelled out likewise.
#[inline(always)]
pub(in super::super) fn eight<T>(f: impl Fn(usize) -> T) -> [T; 8] {
    [f(0), f(1), f(2), f(3), f(4), f(5), f(6), f(7)]
}

/// The operations on integers, by the names of the intrinsics for a width.
macro_rules! ints {
    ($vector:ident of $registers:literal x $lanes:literal $lane:ident by $each:ident:
     $dup:ident $from:ident $signed:ident $store:ident $and:ident $or:ident $sub:ident $bits:ident
     $max_signed:ident $back:ident $min:ident $max:ident $equal:ident $greater:ident $below:ident $at_most:ident $most:ident) => {
        impl Ints<Neon> for $vector {
            const BYTES: usize = 16 * $registers;

            #[inline(always)]
            fn splat(_: Neon, value: u32) -> Self {
                // SAFETY: proved.
                unsafe { Self([$dup(value as $lane); $registers]) }
            }

            #[inline(always)]
            fn load(_: Neon, bytes: &[u8], at: usize) -> Self {
                let from = bytes[at..at + Self::BYTES].as_ptr();
                // SAFETY: proved; the slice above has as many bytes as are loaded, and the loads want no alignment.
                unsafe { Self($each(|i| $from(vld1q_u8(from.add(16 * i))))) }
            }

            #[inline(always)]
            fn and(self, other: Self) -> Self {
                // SAFETY: proved.
                Self($each(|i| unsafe { $and(self.0[i], other.0[i]) }))
            }

            #[inline(always)]
            fn sub(self, other: Self) -> Self {
                // SAFETY: proved.
                Self($each(|i| unsafe { $sub(self.0[i], other.0[i]) }))
            }

            #[inline(always)]
            fn max_signed(self, other: Self) -> Self {
                // SAFETY: proved.
                Self($each(|i| unsafe { $back($max_signed($signed(self.0[i]), $signed(other.0[i]))) }))
            }

            #[inline(always)]
            fn min_unsigned(self, other: Self) -> Self {
                // SAFETY: proved.
                Self($each(|i| unsafe { $min(self.0[i], other.0[i]) }))
            }

            #[inline(always)]
            fn max_unsigned(self, other: Self) -> Self {
                // SAFETY: proved.
                Self($each(|i| unsafe { $max(self.0[i], other.0[i]) }))
            }

            #[inline(always)]
            fn count_equal(self, a: Self, b: Self) -> Self {
                // SAFETY: proved.
                let equal = $each(|i| unsafe { $equal(a.0[i], b.0[i]) });
                self.sub(Self(equal))
            }

            #[inline(always)]
            fn count_greater(self, a: Self, b: Self) -> Self {
                // SAFETY: proved.
                let greater = $each(|i| unsafe { $greater($signed(a.0[i]), $signed(b.0[i])) });
                self.sub(Self(greater))
            }

            #[inline(always)]
            fn where_at_most(self, a: Self, b: Self, other: Self) -> Self {
                // SAFETY: proved.
                Self($each(|i| unsafe { $bits($at_most(a.0[i], b.0[i]), self.0[i], other.0[i]) }))
            }

            #[inline(always)]
            fn any_greater(self, other: Self) -> bool {
                // SAFETY: proved.
                unsafe {
                    let greater = $each(|i| $greater($signed(self.0[i]), $signed(other.0[i])));
                    $most(greater.into_iter().fold($dup(0), |a, b| $or(a, b))) != 0
                }
            }

            #[inline(always)]
            fn any_below(self, other: Self) -> bool {
                // SAFETY: proved.
                unsafe {
                    let below = $each(|i| $below(self.0[i], other.0[i]));
                    $most(below.into_iter().fold($dup(0), |a, b| $or(a, b))) != 0
                }
            }

            #[inline(always)]
            fn lanes(self) -> [u32; 32] {
                let mut lanes = [0; 32];
                for (lanes, register) in lanes.as_chunks_mut::<$lanes>().0.iter_mut().zip(self.0) {
                    // SAFETY: proved; the chunk has the 16 bytes that are stored.
                    unsafe { $store(lanes.as_mut_ptr(), register) };
                }
                lanes.map(u32::from)
            }
        }
    };
}

ints! {
    Halves of 4 x 8 u16 by four:
    vdupq_n_u16 vreinterpretq_u16_u8 vreinterpretq_s16_u16 vst1q_u16 vandq_u16 vorrq_u16 vsubq_u16 vbslq_u16
    vmaxq_s16 vreinterpretq_u16_s16 vminq_u16 vmaxq_u16 vceqq_u16 vcgtq_s16 vcltq_u16 vcleq_u16 vmaxvq_u16
}

ints! {
    Words of 8 x 4 u32 by eight:
    vdupq_n_u32 vreinterpretq_u32_u8 vreinterpretq_s32_u32 vst1q_u32 vandq_u32 vorrq_u32 vsubq_u32 vbslq_u32
    vmaxq_s32 vreinterpretq_u32_s32 vminq_u32 vmaxq_u32 vceqq_u32 vcgtq_s32 vcltq_u32 vcleq_u32 vmaxvq_u32
}

impl Floats<Neon> for F32s {
    #[inline(always)]
    fn splat(_: Neon, value: f32) -> Self {
        // SAFETY: proved.
        unsafe { Self([vdupq_n_f32(value); 4]) }
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: proved.
        Self(four(|i| unsafe { vaddq_f32(self.0[i], other.0[i]) }))
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        // SAFETY: proved.
        Self(four(|i| unsafe { vsubq_f32(self.0[i], other.0[i]) }))
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        // SAFETY: proved.
        Self(four(|i| unsafe { vmulq_f32(self.0[i], other.0[i]) }))
    }

    #[inline(always)]
    fn finite_or_zero(self) -> Self {
        // SAFETY: proved. |x| < Inf does not hold for NaN.
        unsafe {
            let inf = vdupq_n_f32(f32::INFINITY);
            let finite = |x| vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(x), vcaltq_f32(x, inf)));
            Self(four(|i| finite(self.0[i])))
        }
    }

    #[inline(always)]
    fn widen(self) -> F64s {
        let [a, b, c, d] = self.0;
        // SAFETY: proved.
        unsafe {
            let low = |x| vcvt_f64_f32(vget_low_f32(x));
            let high = |x| vcvt_high_f64_f32(x);
            F64s([low(a), high(a), low(b), high(b), low(c), high(c), low(d), high(d)])
        }
    }
}

impl Doubles<Neon> for F64s {
    #[inline(always)]
    fn splat(_: Neon, value: f64) -> Self {
        // SAFETY: proved.
        unsafe { Self([vdupq_n_f64(value); 8]) }
    }

    #[inline(always)]
    fn load(_: Neon, values: &[f64; 16]) -> Self {
        // SAFETY: proved; the array has the 128 bytes that are loaded.
        unsafe { Self(eight(|i| vld1q_f64(values.as_ptr().add(2 * i)))) }
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: proved.
        Self(eight(|i| unsafe { vaddq_f64(self.0[i], other.0[i]) }))
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        // SAFETY: proved.
        Self(eight(|i| unsafe { vsubq_f64(self.0[i], other.0[i]) }))
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        // SAFETY: proved.
        Self(eight(|i| unsafe { vmulq_f64(self.0[i], other.0[i]) }))
    }

    #[inline(always)]
    fn min(self, other: Self) -> Self {
        // SAFETY: proved. Not the instruction for a minimum: it keeps NaN, and knows which zero is the smaller.
        Self(eight(|i| unsafe { vbslq_f64(vcltq_f64(self.0[i], other.0[i]), self.0[i], other.0[i]) }))
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        // SAFETY: proved. As for `min`.
        Self(eight(|i| unsafe { vbslq_f64(vcgtq_f64(self.0[i], other.0[i]), self.0[i], other.0[i]) }))
    }

    #[inline(always)]
    fn finite_or(self, other: Self) -> Self {
        // SAFETY: proved. |x| < Inf does not hold for NaN.
        unsafe {
            let inf = vdupq_n_f64(f64::INFINITY);
            Self(eight(|i| vbslq_f64(vcaltq_f64(self.0[i], inf), self.0[i], other.0[i])))
        }
    }

    #[inline(always)]
    fn lanes(self) -> [f64; 16] {
        let mut lanes = [0.0; 16];
        for (lanes, register) in lanes.as_chunks_mut::<2>().0.iter_mut().zip(self.0) {
            // SAFETY: proved; the chunk has the 16 bytes that are stored.
            unsafe { vst1q_f64(lanes.as_mut_ptr(), register) };
        }
        lanes
    }
}
