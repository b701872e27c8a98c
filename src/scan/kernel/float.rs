//! F32, F16 and BF16.
//!
//! A leaf is read in superblocks of 1,024 elements, each in two passes over bytes that the first pass has brought into the
//! first-level cache. The first takes extremes from the raw bits as integers ([`raw_bits`](super::raw_bits)); that also tells whether any
//! value is zero, NaN,
//! infinite, so large that its square overflows f32, or so small that its square loses bits. Only then is it repeated in more detail.
//! The second sums values and squares in f32, each lane at most 32 values, and adds that to f64 lanes: the sum of squares is
//! right to `33 * 2^-24`, so the norm to 1e-6, in the worst case, and to some 1e-8 on weights.
//!
//! * NaN and infinities are masked, and so is what is below 2^-62 if there are values above 2^-30 (its squares are below 2^-64 of
//!   the rest).
//! * Superblocks with huge values, or with none but small ones, are scaled by a power of two so that squares stay normal.
//! * If there is nothing above 2^-90 they are summed in f64.
//!
//! Which of them depends on the values of the superblock alone, so digits do not depend on instructions or neighbours. If the
//! mean of a leaf is large beside its spread, so that the difference of the plain sums would lose digits, the leaf is
//! summed again around its mean.

use std::marker::PhantomData;

use crate::stats::LeafStats;

use super::super::simd::{Doubles, Floats, Ints, Level, Token, VectorKernel};
use super::raw_bits::{BitStats, MASKED, QUICK, ZEROS, vectors};
use super::scalar::{Sums, add_up};

/// Vectors in a superblock.
const VECTORS: usize = 32;

/// 2^-70: brings values up to the largest of f32 below 2^58.
const DOWN: f32 = f32::from_bits((127 - 70) << 23);

/// 2^-30 and 2^59: the means and magnitudes that [`around`] takes.
const AROUND: (f64, f64) = (1.0 / (1 << 30) as f64, (1u64 << 59) as f64);

/// 2^60: brings values up to 2^-30 below 2^30.
const UP: f32 = f32::from_bits((127 + 60) << 23);

/// A binary floating-point format of 16 or 32 bits. Magnitudes are given as bits without sign.
pub(super) trait FloatFormat: Sized {
    /// Bits of an element.
    const WIDTH: u32;
    /// All bits but the sign.
    const ABS: u32 = u32::MAX >> (33 - Self::WIDTH);
    /// +Inf; above it, without the sign, are the NaN.
    const INF: u32;
    /// 2^60, or the largest finite value of a format that does not reach it: squares up to here, and 32 of them, fit f32.
    const HUGE: u32;
    /// What counts beside values above `HUGE`: 2^8. Times [`DOWN`], squares from here on are normal.
    const LEAST_BESIDE_HUGE: u32;
    /// 2^-62, or the smallest value of a format that does not reach it: squares from here on are normal in f32.
    const TINY: u32;
    /// 2^-30: beside values above, those below `TINY` do not count. 0 for a format without values below `TINY`.
    const SMALL: u32;
    /// What counts where there are none above `SMALL`: 2^-122. Times [`UP`], squares from here on are normal.
    const LEAST_BESIDE_SMALL: u32;
    /// 2^-90: without values above, values count in f64, as their squares are not normal in f32 even times [`UP`].
    const SMALLEST: u32;

    type Bits<S: Token>: Ints<S>;

    /// Converts a vector to f32.
    fn floats<S: Token>(token: S, bits: Self::Bits<S>) -> (S::Floats, S::Floats);

    /// The value of one element, exactly.
    fn value(bits: u32) -> f64;

    /// The bits of a finite value next to a mean of finite values.
    fn near(mean: f64) -> u32;

    fn element(bytes: &[u8]) -> u32 {
        bytes.iter().rev().fold(0, |bits, byte| bits << 8 | u32::from(*byte))
    }
}

struct Bf16;
struct F16;
struct F32;

impl FloatFormat for Bf16 {
    const WIDTH: u32 = 16;
    const INF: u32 = 0x7f80;
    const HUGE: u32 = F32::HUGE >> 16;
    const LEAST_BESIDE_HUGE: u32 = F32::LEAST_BESIDE_HUGE >> 16;
    const TINY: u32 = F32::TINY >> 16;
    const SMALL: u32 = F32::SMALL >> 16;
    const LEAST_BESIDE_SMALL: u32 = F32::LEAST_BESIDE_SMALL >> 16;
    const SMALLEST: u32 = F32::SMALLEST >> 16;

    type Bits<S: Token> = S::Halves;

    #[inline(always)]
    fn floats<S: Token>(token: S, bits: S::Halves) -> (S::Floats, S::Floats) {
        token.bf16(bits)
    }

    #[inline(always)]
    fn value(bits: u32) -> f64 {
        f64::from(f32::from_bits(bits << 16))
    }

    fn near(mean: f64) -> u32 {
        // Towards zero: a rounded one could become infinite.
        (mean as f32).to_bits() >> 16
    }
}

impl FloatFormat for F16 {
    const WIDTH: u32 = 16;
    const INF: u32 = 0x7c00;
    const HUGE: u32 = Self::INF - 1;
    const LEAST_BESIDE_HUGE: u32 = 1;
    const TINY: u32 = 1;
    const SMALL: u32 = 0;
    const LEAST_BESIDE_SMALL: u32 = 1;
    const SMALLEST: u32 = 0;

    type Bits<S: Token> = S::Halves;

    #[inline(always)]
    fn floats<S: Token>(token: S, bits: S::Halves) -> (S::Floats, S::Floats) {
        token.f16(bits)
    }

    #[inline(always)]
    fn value(bits: u32) -> f64 {
        half::f16::from_bits(bits as u16).to_f64()
    }

    fn near(mean: f64) -> u32 {
        let largest = half::f16::MAX.to_f64();
        u32::from(half::f16::from_f64(mean.clamp(-largest, largest)).to_bits())
    }
}

impl FloatFormat for F32 {
    const WIDTH: u32 = 32;
    const INF: u32 = 0x7f80_0000;
    const HUGE: u32 = (127 + 60) << 23;
    const LEAST_BESIDE_HUGE: u32 = (127 + 8) << 23;
    const TINY: u32 = (127 - 62) << 23;
    const SMALL: u32 = (127 - 30) << 23;
    const LEAST_BESIDE_SMALL: u32 = (127 - 122) << 23;
    const SMALLEST: u32 = (127 - 90) << 23;

    type Bits<S: Token> = S::Words;

    #[inline(always)]
    fn floats<S: Token>(token: S, bits: S::Words) -> (S::Floats, S::Floats) {
        token.f32(bits)
    }

    #[inline(always)]
    fn value(bits: u32) -> f64 {
        f64::from(f32::from_bits(bits))
    }

    fn near(mean: f64) -> u32 {
        (mean as f32).to_bits()
    }
}

pub(super) fn f32(bytes: &[u8], level: Level) -> LeafStats {
    level.run(FloatLeaf::<F32>(bytes, PhantomData))
}

pub(super) fn f16(bytes: &[u8], level: Level) -> LeafStats {
    level.run(FloatLeaf::<F16>(bytes, PhantomData))
}

pub(super) fn bf16(bytes: &[u8], level: Level) -> LeafStats {
    level.run(FloatLeaf::<Bf16>(bytes, PhantomData))
}

struct FloatLeaf<'a, F>(&'a [u8], PhantomData<F>);

impl<F: FloatFormat> VectorKernel for FloatLeaf<'_, F> {
    #[inline(always)]
    fn call<S: Token>(self, token: S) -> LeafStats {
        leaf::<S, F>(token, self.0)
    }
}

/// Sums in lanes: of values, of squares.
type Pair<S> = (<S as Token>::Doubles, <S as Token>::Doubles);

/// How a superblock is brought into the range of f32: values of a magnitude from `least` on count, times `scale`.
#[derive(Clone, Copy)]
struct Window {
    least: u32,
    scale: f32,
}

#[inline(always)]
fn leaf<S: Token, F: FloatFormat>(token: S, bytes: &[u8]) -> LeafStats {
    let step = F::Bits::<S>::BYTES;
    let end = bytes.len() / step * step;
    let mut all = BitStats::none::<S, F>(token);
    let mut sums = (S::Doubles::splat(token, 0.0), S::Doubles::splat(token, 0.0));
    // The detail that the last superblock took, and the detail for the next one: what two in a row took. A tensor with zeros or NaN
    // everywhere takes one pass of that detail; where they are few, the quick pass notices. More detail tells all that less does.
    let (mut taken, mut detail) = (QUICK, QUICK);
    let mut from = 0;
    while from < end {
        let to = end.min(from + VECTORS * step);
        let mut seen = all;
        if detail == QUICK {
            seen = all.over::<S, F, QUICK>(token, bytes, from, to);
            if seen.beyond::<S, F>(token, F::INF - 1) {
                detail = MASKED;
            } else if seen.beyond::<S, F>(token, F::HUGE) || seen.least.any_below(F::Bits::<S>::splat(token, F::TINY.max(2) - 1)) {
                detail = ZEROS;
            }
        }
        if detail == ZEROS {
            seen = all.over::<S, F, ZEROS>(token, bytes, from, to);
            if seen.beyond::<S, F>(token, F::INF - 1) {
                detail = MASKED;
            }
        }
        if detail == MASKED {
            seen = all.over::<S, F, MASKED>(token, bytes, from, to);
        }
        let mut takes = QUICK;
        if detail == QUICK {
            sums = in_f32::<S, F>(token, bytes, from, to, sums);
        } else {
            let huge = seen.beyond::<S, F>(token, F::HUGE);
            let tiny = seen.least.any_below(F::Bits::<S>::splat(token, F::TINY - 1));
            sums = if huge {
                let window = Window { least: F::LEAST_BESIDE_HUGE, scale: DOWN };
                in_window::<S, F>(token, bytes, from, to, window, sums)
            } else if !tiny && detail == ZEROS {
                in_f32::<S, F>(token, bytes, from, to, sums)
            } else if detail == MASKED && !seen.beyond::<S, F>(token, 0) {
                sums // of zeros
            } else if !tiny || seen.beyond::<S, F>(token, F::SMALL) {
                in_window::<S, F>(token, bytes, from, to, Window { least: F::TINY, scale: 1.0 }, sums)
            } else if seen.beyond::<S, F>(token, F::SMALLEST) {
                in_window::<S, F>(token, bytes, from, to, Window { least: F::LEAST_BESIDE_SMALL, scale: UP }, sums)
            } else {
                in_f64::<S, F>(token, bytes, from, to, 0, sums)
            };
            if detail == MASKED && seen.has_more_odd(&all) {
                takes = MASKED;
            } else if tiny || huge || seen.zeros.any_greater(all.zeros) {
                takes = ZEROS;
            }
        }
        detail = takes.min(taken);
        taken = takes;
        all = all.and::<S>(seen);
        from = to;
    }
    finish::<S, F>(token, bytes, end, &all, sums)
}

/// Sums of the vectors in `from..to`, added to `sums`.
#[inline(always)]
fn in_f32<S: Token, F: FloatFormat>(token: S, bytes: &[u8], from: usize, to: usize, sums: Pair<S>) -> Pair<S> {
    let zero = S::Floats::splat(token, 0.0);
    let (mut sum_a, mut sum_b, mut sq_a, mut sq_b) = (zero, zero, zero, zero);
    vectors!(token, bytes, from..to, F::Bits<S>, Second, |bits| {
        let (a, b) = F::floats(token, bits);
        sum_a = sum_a.add(a);
        sum_b = sum_b.add(b);
        sq_a = sq_a.add(a.mul(a));
        sq_b = sq_b.add(b.mul(b));
    });
    (sums.0.add(sum_a.widen()).add(sum_b.widen()), sums.1.add(sq_a.widen()).add(sq_b.widen()))
}

/// Sums of the values in a window, added to `sums`. With a scale of 1 and nothing outside, the digits are those of [`in_f32`].
#[inline(always)]
fn in_window<S: Token, F: FloatFormat>(token: S, bytes: &[u8], from: usize, to: usize, window: Window, sums: Pair<S>) -> Pair<S> {
    let zero = S::Floats::splat(token, 0.0);
    let scale = S::Floats::splat(token, window.scale);
    let splat = |value| F::Bits::<S>::splat(token, value);
    let (abs, least, span, nothing) = (splat(F::ABS), splat(window.least), splat(F::INF - 1 - window.least), splat(0));
    let (mut sum_a, mut sum_b, mut sq_a, mut sq_b) = (zero, zero, zero, zero);
    vectors!(token, bytes, from..to, F::Bits<S>, Second, |bits| {
        // From `least` to the largest finite value in one unsigned comparison.
        let inside = bits.where_at_most(bits.and(abs).sub(least), span, nothing);
        let (a, b) = F::floats(token, inside);
        let (a, b) = (a.mul(scale), b.mul(scale));
        sum_a = sum_a.add(a);
        sum_b = sum_b.add(b);
        sq_a = sq_a.add(a.mul(a));
        sq_b = sq_b.add(b.mul(b));
    });
    // Powers of two: exact.
    let back = 1.0 / f64::from(window.scale);
    let (once, twice) = (S::Doubles::splat(token, back), S::Doubles::splat(token, back * back));
    (
        sums.0.add(sum_a.widen().mul(once)).add(sum_b.widen().mul(once)),
        sums.1.add(sq_a.widen().mul(twice)).add(sq_b.widen().mul(twice)),
    )
}

/// Sums of all finite values in f64 around a pivot, added to `sums`. The pivot is given as an element, which replaces elements that are
/// not finite.
#[inline(always)]
fn in_f64<S: Token, F: FloatFormat>(token: S, bytes: &[u8], from: usize, to: usize, pivot: u32, sums: Pair<S>) -> Pair<S> {
    let splat = |value| F::Bits::<S>::splat(token, value);
    let (abs, largest, stand_in) = (splat(F::ABS), splat(F::INF - 1), splat(pivot));
    let centre = S::Doubles::splat(token, F::value(pivot));
    let (mut sum, mut sq) = sums;
    vectors!(token, bytes, from..to, F::Bits<S>, Second, |bits| {
        let (a, b) = F::floats(token, bits.where_at_most(bits.and(abs), largest, stand_in));
        let (a, b) = (a.widen().sub(centre), b.widen().sub(centre));
        sum = sum.add(a.add(b));
        sq = sq.add(a.mul(a).add(b.mul(b)));
    });
    (sum, sq)
}

/// Sums of all finite values in f32 around a pivot. Differences are right to 2^-24 of themselves; a pivot of 2^-30 and more
/// keeps their squares normal, values up to 2^60 keep them in range.
#[inline(always)]
fn around<S: Token, F: FloatFormat, const MASKED: bool>(
    token: S,
    bytes: &[u8],
    from: usize,
    to: usize,
    pivot: f32,
    sums: Pair<S>,
) -> Pair<S> {
    let zero = S::Floats::splat(token, 0.0);
    let centre = S::Floats::splat(token, pivot);
    let (mut sum_a, mut sum_b, mut sq_a, mut sq_b) = (zero, zero, zero, zero);
    vectors!(token, bytes, from..to, F::Bits<S>, Second, |bits| {
        let (a, b) = F::floats(token, bits);
        let (mut a, mut b) = (a.sub(centre), b.sub(centre));
        if MASKED {
            (a, b) = (a.finite_or_zero(), b.finite_or_zero());
        }
        sum_a = sum_a.add(a);
        sum_b = sum_b.add(b);
        sq_a = sq_a.add(a.mul(a));
        sq_b = sq_b.add(b.mul(b));
    });
    (sums.0.add(sum_a.widen()).add(sum_b.widen()), sums.1.add(sq_a.widen()).add(sq_b.widen()))
}

/// Puts lanes and the elements after the last whole vector together.
#[inline(always)]
fn finish<S: Token, F: FloatFormat>(token: S, bytes: &[u8], end: usize, all: &BitStats<F::Bits<S>>, sums: Pair<S>) -> LeafStats {
    let count = |lanes: F::Bits<S>| lanes.lanes().iter().map(|lane| u64::from(*lane)).sum::<u64>();
    let width = F::WIDTH as usize / 8;
    let tail = || bytes[end..].chunks_exact(width).map(F::element).map(F::value);
    let mut stats = super::scalar::fold(tail());
    stats.elements = (bytes.len() / width) as u64;
    stats.zeros += count(all.zeros);
    stats.negative_zeros += count(all.negative_zeros);
    stats.nan += count(all.nan);
    stats.pos_inf += count(all.pos_inf);
    stats.neg_inf += count(all.neg_inf);
    if stats.finite() != 0
        && let Some((min, max)) = all.extremes::<S, F>()
    {
        stats.min = stats.min.min(F::value(min));
        stats.max = stats.max.max(F::value(max));
    }
    stats.sum += add_up(sums.0.lanes());
    stats.sum_sq += add_up(sums.1.lanes());
    if Sums::lose_digits(&stats) {
        let mean = (stats.sum / stats.finite() as f64).clamp(stats.min, stats.max);
        let abs_max = stats.max.abs().max(stats.min.abs());
        let mut sums = (S::Doubles::splat(token, 0.0), S::Doubles::splat(token, 0.0));
        if mean.abs() >= AROUND.0 && abs_max <= AROUND.1 {
            stats.pivot = f64::from(mean as f32);
            let mut from = 0;
            while from < end {
                let to = end.min(from + VECTORS * F::Bits::<S>::BYTES);
                sums = if stats.finite() == stats.elements {
                    around::<S, F, false>(token, bytes, from, to, mean as f32, sums)
                } else {
                    around::<S, F, true>(token, bytes, from, to, mean as f32, sums)
                };
                from = to;
            }
        } else {
            let pivot = F::near(mean);
            stats.pivot = F::value(pivot);
            sums = in_f64::<S, F>(token, bytes, 0, end, pivot, sums);
        }
        let tail = Sums::around(stats.pivot, tail());
        stats.sum = tail.sum + add_up(sums.0.lanes());
        stats.sum_sq = tail.sum_sq + add_up(sums.1.lanes());
    }
    stats
}
