//! Instruction sets: the only place of the scan that detects features, and the only one with `unsafe`.
//!
//! A token proves that the processor has a set of features: only detection makes one. [`Level`] holds the tokens of what a scan uses.
//! Kernels run on it in one of two ways:
//!
//! - A kernel over [`Token`] is written once and compiled for every instruction set ([`Level::run`]). Vectors can only be made with a
//!   token, so whoever holds one holds the proof. All sets have the same logical lanes (32 integers, 16 floats) and none fuses a
//!   multiply with an add, so the digits are the same.
//! - A block quant has a kernel in plain code and others written with intrinsics ([`dispatch!`](dispatch::dispatch)). All of them give
//!   the same integers, and the floating-point steps are the same expressions in the same order, so the digits are the same too.

mod avx2;
mod avx512;
pub(super) mod dispatch;
pub(super) mod features;
pub(super) mod memory;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;

use std::sync::OnceLock;

use crate::choice::Choice;
use crate::error::{Error, ErrorKind, Result};
use crate::stats::LeafStats;

pub(super) use portable::f16_to_f32;

/// Vector instructions, by choice of the caller. Figures are the same with all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Simd {
    /// The best that this processor has.
    #[default]
    Auto,
    /// Plain code as compiled for the target (SSE2 on x86-64; on aarch64 the compiler may use NEON).
    Portable,
    /// AVX2 with F16C, BMI1, BMI2, LZCNT and POPCNT (x86-64).
    Avx2,
    /// AVX-512 F, BW, DQ and VL (x86-64). The kernels of block quants take VNNI too: on a processor without it, block quants run on
    /// AVX2 and all other types on AVX-512.
    Avx512,
    /// NEON (aarch64).
    Neon,
}

impl Choice for Simd {
    const WHAT: &'static str = "set of vector instructions";
    const NAMES: &'static [(&'static str, Self, &'static str)] = &[
        ("auto", Self::Auto, "The best this processor has"),
        ("portable", Self::Portable, "Plain code"),
        ("avx2", Self::Avx2, "AVX2"),
        ("avx512", Self::Avx512, "AVX-512"),
        ("neon", Self::Neon, "NEON"),
    ];
}

/// The instructions that a scan uses, with the proof that this processor has them.
#[derive(Debug, Clone, Copy)]
pub(super) enum Level {
    /// Plain code.
    Portable(portable::Portable),
    /// AVX2 for every type.
    #[cfg(target_arch = "x86_64")]
    Avx2(avx2::Avx2),
    /// AVX-512 without VNNI: AVX2 for block quants, AVX-512 for every other type.
    #[cfg(target_arch = "x86_64")]
    Avx512(avx512::Avx512),
    /// AVX-512 for every type.
    #[cfg(target_arch = "x86_64")]
    Avx512Vnni(avx512::Avx512, avx512::Vnni),
    /// NEON for every type.
    #[cfg(target_arch = "aarch64")]
    Neon(neon::Neon),
}

impl Level {
    /// The level for what the caller chose.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] when this processor lacks the instructions.
    pub(super) fn choose(simd: Simd) -> Result<Self> {
        #[cfg(target_arch = "x86_64")]
        {
            if matches!(simd, Simd::Auto | Simd::Avx512)
                && let Some(token) = avx512::Avx512::detect()
            {
                return Ok(match avx512::Vnni::detect() {
                    Some(vnni) => Self::Avx512Vnni(token, vnni),
                    None => Self::Avx512(token),
                });
            }
            if matches!(simd, Simd::Auto | Simd::Avx2)
                && let Some(token) = avx2::Avx2::detect()
            {
                return Ok(Self::Avx2(token));
            }
        }
        #[cfg(target_arch = "aarch64")]
        if matches!(simd, Simd::Auto | Simd::Neon)
            && let Some(token) = neon::Neon::detect()
        {
            return Ok(Self::Neon(token));
        }
        match simd {
            Simd::Auto | Simd::Portable => Ok(Self::Portable(portable::Portable)),
            Simd::Avx2 => Err(Error::new(ErrorKind::Usage, "this processor has no AVX2")),
            Simd::Avx512 => Err(Error::new(ErrorKind::Usage, "this processor has no AVX-512 (F, BW, DQ, VL)")),
            Simd::Neon => Err(Error::new(ErrorKind::Usage, "this processor has no NEON")),
        }
    }

    /// The best level of this processor, detected once.
    pub(super) fn best() -> Self {
        static BEST: OnceLock<Level> = OnceLock::new();
        *BEST.get_or_init(|| Self::choose(Simd::Auto).unwrap_or(Self::Portable(portable::Portable)))
    }

    /// Every level that this processor has, for tests that compare them.
    #[cfg(test)]
    pub(super) fn all() -> Vec<Self> {
        let chosen = [Simd::Portable, Simd::Avx2, Simd::Avx512, Simd::Neon].into_iter().filter_map(|simd| Self::choose(simd).ok());
        #[cfg(target_arch = "x86_64")]
        let chosen = chosen.chain(avx512::Avx512::detect().map(Self::Avx512));
        chosen.collect()
    }

    /// Runs a kernel with these instructions.
    #[inline]
    pub(super) fn run(self, kernel: impl VectorKernel) -> LeafStats {
        match self {
            Self::Portable(token) => token.run(kernel),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(token) => token.run(kernel),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(token) | Self::Avx512Vnni(token, _) => token.run(kernel),
            #[cfg(target_arch = "aarch64")]
            Self::Neon(token) => token.run(kernel),
        }
    }
}

/// A kernel with its bytes. `call` and all that it calls must be `#[inline(always)]` to be compiled for the token's
/// instructions.
pub(super) trait VectorKernel {
    fn call<S: Token>(self, token: S) -> LeafStats;
}

/// Proof that the processor has a set of instructions, and the vectors made with it.
pub(super) trait Token: Copy {
    /// 32 integers of 16 bits.
    type Halves: Ints<Self>;
    /// 32 integers of 32 bits.
    type Words: Ints<Self>;
    /// 16 floats of 32 bits.
    type Floats: Floats<Self>;
    /// 16 floats of 64 bits.
    type Doubles: Doubles<Self>;

    fn run(self, kernel: impl VectorKernel) -> LeafStats;

    /// Requests the line of memory `at` bytes after the start of `bytes`, which may lie outside them.
    fn prefetch(self, bytes: &[u8], at: usize);

    /// 32 BF16 values: those at even places, those at odd places.
    fn bf16(self, bits: Self::Halves) -> (Self::Floats, Self::Floats);

    /// 32 F16 values: the first 16, the last 16.
    fn f16(self, bits: Self::Halves) -> (Self::Floats, Self::Floats);

    /// 32 F32 values: the first 16, the last 16.
    fn f32(self, bits: Self::Words) -> (Self::Floats, Self::Floats);
}

/// 32 integers. Values are passed as u32 and cut to their width.
pub(super) trait Ints<S>: Copy {
    /// Bytes of one vector.
    const BYTES: usize;

    fn splat(token: S, value: u32) -> Self;
    /// Loads [`Ints::BYTES`] bytes from `at`, little-endian, from any address.
    fn load(token: S, bytes: &[u8], at: usize) -> Self;
    fn and(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn max_signed(self, other: Self) -> Self;
    fn min_unsigned(self, other: Self) -> Self;
    fn max_unsigned(self, other: Self) -> Self;
    /// `self` plus 1 in each lane where `a` equals `b`.
    fn count_equal(self, a: Self, b: Self) -> Self;
    /// `self` plus 1 in each lane where `a > b`, signed.
    fn count_greater(self, a: Self, b: Self) -> Self;
    /// `self` where `a <= b` (unsigned), `other` elsewhere.
    fn where_at_most(self, a: Self, b: Self, other: Self) -> Self;
    /// Whether `self > other`, signed, in any lane.
    fn any_greater(self, other: Self) -> bool;
    /// Whether `self < other`, unsigned, in any lane.
    fn any_below(self, other: Self) -> bool;
    /// The lanes, widened without sign.
    fn lanes(self) -> [u32; 32];
}

/// 16 floats of 32 bits.
pub(super) trait Floats<S: Token>: Copy {
    fn splat(token: S, value: f32) -> Self;
    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    /// 0 in place of NaN and infinities.
    fn finite_or_zero(self) -> Self;
    fn widen(self) -> S::Doubles;
}

/// 16 floats of 64 bits.
pub(super) trait Doubles<S>: Copy {
    fn splat(token: S, value: f64) -> Self;
    fn load(token: S, values: &[f64; 16]) -> Self;
    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    /// The smaller one; `other` if either is NaN or both are zero.
    fn min(self, other: Self) -> Self;
    /// The larger one; `other` if either is NaN or both are zero.
    fn max(self, other: Self) -> Self;
    /// `other` in place of NaN and infinities.
    fn finite_or(self, other: Self) -> Self;
    fn lanes(self) -> [f64; 16];
}
