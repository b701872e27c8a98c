//! F32, F16 and BF16.
//!
//! A leaf goes by in superblocks of 1,024 elements, each in two looks at bytes that the first look has brought into the
//! first-level cache. The first look takes zeros and extremes from the raw bits as integers; that also tells whether any value
//! is NaN, infinite, so large that its square overflows f32, or so small that its square loses bits. The second look sums
//! values and squares:
//!
//! * nearly always in f32, each lane at most 32 values, then added to f64 lanes: the sum of squares is right to
//!   `32 * 2^-24 / 2`, that is below 1e-6, in the worst case, and to some 1e-8 on weights;
//! * in f32 with the odd values masked, where there are NaN or infinities, or values below 2^-62 beside some above 2^-30 (what
//!   the small ones would add to the squares is below 2^-64 of the rest);
//! * in f64, where squares would leave f32.
//!
//! Which of them depends on the values of the superblock alone, so digits do not depend on instructions or neighbours. If the
//! mean of a leaf is large beside its spread, so that the difference of the plain sums would lose digits, the leaf is
//! summed again in f64 around its mean.

use std::marker::PhantomData;

use crate::stats::LeafStats;

use super::super::simd::{Doubles, Floats, Ints, Job, Level, Token};
use super::tail::{Sums, add_up};

/// Vectors in a superblock.
const VECTORS: usize = 32;

/// How far ahead bytes are asked for: 4 KiB was the best of the distances tried, by 15 to 70 % over none.
const AHEAD: usize = 4096;

/// A binary floating-point format of 16 or 32 bits.
trait Format: Sized {
    /// Bits of an element.
    const WIDTH: u32;
    /// All bits but the sign.
    const ABS: u32 = u32::MAX >> (33 - Self::WIDTH);
    /// +Inf; above it, without the sign, are the NaN.
    const INF: u32;
    /// 2^60, or the largest finite value of a format that does not reach it: squares up to here, and 32 of them, fit f32.
    const HUGE: u32;
    /// 2^-30, or 0 for a format without values below 2^-62.
    const SMALL: u32;
    /// 2^-62, or the smallest value of a format that does not reach it: squares from here on are normal in f32.
    const TINY: u32;

    type Bits<S: Token>: Ints<S>;

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

impl Format for Bf16 {
    const WIDTH: u32 = 16;
    const INF: u32 = 0x7f80;
    const HUGE: u32 = F32::HUGE >> 16;
    const SMALL: u32 = F32::SMALL >> 16;
    const TINY: u32 = F32::TINY >> 16;

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

impl Format for F16 {
    const WIDTH: u32 = 16;
    const INF: u32 = 0x7c00;
    const HUGE: u32 = Self::INF - 1;
    const SMALL: u32 = 0;
    const TINY: u32 = 1;

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

impl Format for F32 {
    const WIDTH: u32 = 32;
    const INF: u32 = 0x7f80_0000;
    const HUGE: u32 = (127 + 60) << 23;
    const SMALL: u32 = (127 - 30) << 23;
    const TINY: u32 = (127 - 62) << 23;

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
    level.run(Leaf::<F32>(bytes, PhantomData))
}

pub(super) fn f16(bytes: &[u8], level: Level) -> LeafStats {
    level.run(Leaf::<F16>(bytes, PhantomData))
}

pub(super) fn bf16(bytes: &[u8], level: Level) -> LeafStats {
    level.run(Leaf::<Bf16>(bytes, PhantomData))
}

struct Leaf<'a, F>(&'a [u8], PhantomData<F>);

impl<F: Format> Job for Leaf<'_, F> {
    #[inline(always)]
    fn call<S: Token>(self, token: S) -> LeafStats {
        leaf::<S, F>(token, self.0)
    }
}

/// What the integers tell of some vectors.
#[derive(Clone, Copy)]
struct Look<B> {
    /// Keys of the extremes; of finite values only if masked.
    min: B,
    max: B,
    /// The smallest magnitude above zero, less one.
    tiny: B,
    zeros: B,
    negative_zeros: B,
    nan: B,
    pos_inf: B,
    neg_inf: B,
}

impl<B: Copy> Look<B> {
    #[inline(always)]
    fn none<S: Token, F: Format<Bits<S> = B>>(token: S) -> Self
    where
        B: Ints<S>,
    {
        let zero = B::splat(token, 0);
        Self {
            min: B::splat(token, F::ABS),
            max: B::splat(token, !F::ABS),
            tiny: B::splat(token, u32::MAX),
            zeros: zero,
            negative_zeros: zero,
            nan: zero,
            pos_inf: zero,
            neg_inf: zero,
        }
    }

    /// Looks at the vectors in `from..to`, going on with the counts of `self`. Extremes begin anew.
    #[inline(always)]
    fn over<S: Token, F: Format<Bits<S> = B>, const MASKED: bool>(self, token: S, bytes: &[u8], from: usize, to: usize) -> Self
    where
        B: Ints<S>,
    {
        let mut look = Self { zeros: self.zeros, negative_zeros: self.negative_zeros, ..Self::none::<S, F>(token) };
        if MASKED {
            look = Self { nan: self.nan, pos_inf: self.pos_inf, neg_inf: self.neg_inf, ..look };
        }
        let splat = |value| B::splat(token, value);
        let (abs, one, none, sign, inf) = (splat(F::ABS), splat(1), splat(u32::MAX), splat(!F::ABS), splat(F::INF));
        let mut at = from;
        while at < to {
            prefetch::<S, B>(token, bytes, at);
            let bits = B::load(token, bytes, at);
            let key = bits.float_key();
            let magnitude = bits.and(abs);
            if MASKED {
                let largest = splat(F::INF - 1);
                look.min = look.min.min_signed(key.where_at_most(magnitude, largest, abs));
                look.max = look.max.max_signed(key.where_at_most(magnitude, largest, sign));
                look.nan = look.nan.count_greater(magnitude, inf);
                look.pos_inf = look.pos_inf.count_equal(bits, inf);
                look.neg_inf = look.neg_inf.count_equal(bits, splat(!F::ABS | F::INF));
            } else {
                look.min = look.min.min_signed(key);
                look.max = look.max.max_signed(key);
            }
            let less_one = magnitude.sub(one);
            look.tiny = look.tiny.min_unsigned(less_one);
            look.zeros = look.zeros.count_equal(less_one, none);
            look.negative_zeros = look.negative_zeros.count_equal(bits, sign);
            at += B::BYTES;
        }
        look
    }

    /// Whether a value lies beyond `limit` (as bits without sign) on either side.
    #[inline(always)]
    fn beyond<S: Token>(&self, token: S, limit: u32) -> bool
    where
        B: Ints<S>,
    {
        self.max.any_greater(B::splat(token, limit)) || B::splat(token, !limit).any_greater(self.min)
    }

    #[inline(always)]
    fn has_tiny<S: Token, F: Format<Bits<S> = B>>(&self, token: S) -> bool
    where
        B: Ints<S>,
    {
        self.tiny.any_below(B::splat(token, F::TINY - 1))
    }
}

#[inline(always)]
fn prefetch<S: Token, B: Ints<S>>(token: S, bytes: &[u8], at: usize) {
    let mut line = 0;
    while line < B::BYTES {
        token.prefetch(bytes, at + AHEAD + line);
        line += 64;
    }
}

#[inline(always)]
fn leaf<S: Token, F: Format>(token: S, bytes: &[u8]) -> LeafStats {
    let step = F::Bits::<S>::BYTES;
    let end = bytes.len() / step * step;
    let mut all = Look::none::<S, F>(token);
    let mut sums = (S::Doubles::splat(token, 0.0), S::Doubles::splat(token, 0.0));
    let mut odd = false;
    let mut from = 0;
    while from < end {
        let to = end.min(from + VECTORS * step);
        let mut look;
        // A tensor that has odd values tends to have them everywhere; the masked look tells the same of clean ones.
        if !odd {
            look = all.over::<S, F, false>(token, bytes, from, to);
            odd = look.beyond(token, F::HUGE) || look.has_tiny::<S, F>(token);
            if !odd {
                look = Look { nan: all.nan, pos_inf: all.pos_inf, neg_inf: all.neg_inf, ..look };
                sums = in_f32::<S, F, false>(token, bytes, from, to, sums);
            }
        } else {
            look = Look::none::<S, F>(token);
        }
        if odd {
            look = all.over::<S, F, true>(token, bytes, from, to);
            let tiny = look.has_tiny::<S, F>(token);
            let huge = look.beyond(token, F::HUGE);
            if huge || (tiny && !look.beyond(token, F::SMALL)) {
                sums = in_f64::<S, F>(token, bytes, from, to, 0, sums);
            } else if look.max.any_greater(F::Bits::<S>::splat(token, !F::ABS)) {
                sums = in_f32::<S, F, true>(token, bytes, from, to, sums);
            }
        }
        all = Look { min: all.min.min_signed(look.min), max: all.max.max_signed(look.max), ..look };
        from = to;
    }
    finish::<S, F>(token, bytes, end, &all, sums)
}

/// Sums of the vectors in `from..to`, added to `sums`.
#[inline(always)]
fn in_f32<S: Token, F: Format, const MASKED: bool>(
    token: S,
    bytes: &[u8],
    from: usize,
    to: usize,
    sums: (S::Doubles, S::Doubles),
) -> (S::Doubles, S::Doubles) {
    let zero = S::Floats::zero(token);
    let splat = |value| F::Bits::<S>::splat(token, value);
    let (mut sum_a, mut sum_b, mut sq_a, mut sq_b) = (zero, zero, zero, zero);
    let mut at = from;
    while at < to {
        let mut bits = F::Bits::<S>::load(token, bytes, at);
        if MASKED {
            // From TINY to the largest finite value in one unsigned comparison.
            let above = bits.and(splat(F::ABS)).sub(splat(F::TINY));
            bits = bits.where_at_most(above, splat(F::INF - 1 - F::TINY), splat(0));
        }
        let (a, b) = F::floats(token, bits);
        sum_a = sum_a.add(a);
        sum_b = sum_b.add(b);
        sq_a = sq_a.add(a.mul(a));
        sq_b = sq_b.add(b.mul(b));
        at += F::Bits::<S>::BYTES;
    }
    (sums.0.add(sum_a.widen()).add(sum_b.widen()), sums.1.add(sq_a.widen()).add(sq_b.widen()))
}

/// The same in f64 around a pivot, which is given as an element so that it can stand in for NaN and infinities.
#[inline(always)]
fn in_f64<S: Token, F: Format>(
    token: S,
    bytes: &[u8],
    from: usize,
    to: usize,
    pivot: u32,
    sums: (S::Doubles, S::Doubles),
) -> (S::Doubles, S::Doubles) {
    let splat = |value| F::Bits::<S>::splat(token, value);
    let centre = S::Doubles::splat(token, F::value(pivot));
    let (mut sum, mut sq) = sums;
    let mut at = from;
    while at < to {
        prefetch::<S, F::Bits<S>>(token, bytes, at);
        let bits = F::Bits::<S>::load(token, bytes, at);
        let finite = bits.where_at_most(bits.and(splat(F::ABS)), splat(F::INF - 1), splat(pivot));
        let (a, b) = F::floats(token, finite);
        let (a, b) = (a.widen().sub(centre), b.widen().sub(centre));
        sum = sum.add(a.add(b));
        sq = sq.add(a.mul(a).add(b.mul(b)));
        at += F::Bits::<S>::BYTES;
    }
    (sum, sq)
}

/// Puts lanes and the elements after the last whole vector together.
#[inline(always)]
fn finish<S: Token, F: Format>(
    token: S,
    bytes: &[u8],
    end: usize,
    all: &Look<F::Bits<S>>,
    sums: (S::Doubles, S::Doubles),
) -> LeafStats {
    let count = |lanes: F::Bits<S>| lanes.lanes().iter().map(|lane| u64::from(*lane)).sum::<u64>();
    let width = F::WIDTH as usize / 8;
    let tail = || bytes[end..].chunks_exact(width).map(F::element).map(F::value);
    let mut stats = super::tail::fold(tail());
    stats.elements = (bytes.len() / width) as u64;
    stats.zeros += count(all.zeros);
    stats.negative_zeros += count(all.negative_zeros);
    stats.nan += count(all.nan);
    stats.pos_inf += count(all.pos_inf);
    stats.neg_inf += count(all.neg_inf);
    let signed = |lane: u32| (lane << (32 - F::WIDTH)) as i32 >> (32 - F::WIDTH);
    let min = all.min.lanes().into_iter().map(signed).min().unwrap_or(i32::MAX);
    let max = all.max.lanes().into_iter().map(signed).max().unwrap_or(i32::MIN);
    if min <= max {
        stats.min = stats.min.min(unkey::<F>(min));
        stats.max = stats.max.max(unkey::<F>(max));
    }
    stats.sum += add_up(sums.0.lanes());
    stats.sum_sq += add_up(sums.1.lanes());
    if Sums::lose_digits(&stats) {
        let pivot = F::near(stats.sum / stats.finite() as f64);
        let none = (S::Doubles::splat(token, 0.0), S::Doubles::splat(token, 0.0));
        let sums = in_f64::<S, F>(token, bytes, 0, end, pivot, none);
        stats.pivot = F::value(pivot);
        let tail = Sums::around(stats.pivot, tail());
        stats.sum = tail.sum + add_up(sums.0.lanes());
        stats.sum_sq = tail.sum_sq + add_up(sums.1.lanes());
    }
    stats
}

fn unkey<F: Format>(key: i32) -> f64 {
    let bits = key ^ ((key >> 31) & F::ABS as i32);
    F::value(bits as u32 & (F::ABS << 1 | 1))
}
