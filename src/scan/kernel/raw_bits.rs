//! Extremes, zeros, NaN and infinities of floats, found on their raw bits as integers.

use super::super::simd::{Ints, Token};
use super::float::FloatFormat;

/// Detail of a pass: extremes and the smallest magnitude.
pub(super) const QUICK: u8 = 0;
/// Detail of a pass: also zeros, and the smallest magnitude above zero.
pub(super) const ZEROS: u8 = 1;
/// Detail of a pass: also NaN and infinities, which are left out of the extremes.
pub(super) const MASKED: u8 = 2;

/// Distance in bytes to the memory that is requested ahead: 4 KiB was the best of those tried.
pub(super) const AHEAD: usize = 4096;

/// Vectors to a round of [`vectors`].
pub(super) const ROUND: usize = 4;

/// The two passes over a superblock: each requests one half of the memory ahead.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Pass {
    First,
    Second,
}

/// Runs a block for each vector of a range, in order: an unrolled loop. A round takes four vectors, so that counting, bounds checks and
/// requests for memory are paid once for four. It is a macro because a closure may not be compiled for the token's instructions.
macro_rules! vectors {
    ($token:ident, $bytes:ident, $from:ident..$to:ident, $bits_type:ty, $pass:ident, |$bits:ident| $body:block) => {{
        use $crate::scan::kernel::raw_bits::{AHEAD, Pass, ROUND};
        const LINE: usize = 64;
        let size = <$bits_type as Ints<S>>::BYTES;
        let half = if Pass::$pass == Pass::Second { ($to - $from) / 2 } else { 0 };
        let (mut at, mut ahead) = ($from, $from + AHEAD + half);
        while $to - at >= ROUND * size {
            let round = &$bytes[at..at + ROUND * size];
            for line in 0..ROUND * size / 2 / LINE {
                $token.prefetch($bytes, ahead + line * LINE);
            }
            for vector in 0..ROUND {
                let $bits = <$bits_type as Ints<S>>::load($token, round, vector * size);
                $body
            }
            at += ROUND * size;
            ahead += ROUND * size / 2;
        }
        while at < $to {
            $token.prefetch($bytes, ahead);
            let $bits = <$bits_type as Ints<S>>::load($token, $bytes, at);
            $body
            at += size;
            ahead += size / 2;
        }
    }};
}
pub(super) use vectors;

/// Figures of some vectors, lane by lane.
///
/// The bits of floats, as signed integers, are in order as long as they have no sign; as unsigned integers, those with a sign
/// are the largest, and in reverse order. So one signed maximum finds the largest value if any is without sign, and one
/// unsigned maximum the lowest if any has a sign. If all have the same sign, the other extreme is the smallest magnitude.
#[derive(Clone, Copy)]
pub(super) struct BitStats<B> {
    /// Signed maximum of the bits.
    pub(super) largest: B,
    /// Unsigned maximum of the bits.
    pub(super) lowest: B,
    /// The smallest magnitude above zero, less one. 0 if a pass of detail [`QUICK`] meets a zero.
    pub(super) least: B,
    pub(super) zeros: B,
    pub(super) negative_zeros: B,
    pub(super) nan: B,
    pub(super) pos_inf: B,
    pub(super) neg_inf: B,
}

impl<B: Copy> BitStats<B> {
    /// The figures of no vectors.
    #[inline(always)]
    pub(super) fn none<S: Token, F: FloatFormat<Bits<S> = B>>(token: S) -> Self
    where
        B: Ints<S>,
    {
        let zero = B::splat(token, 0);
        Self {
            largest: B::splat(token, !F::ABS),
            lowest: zero,
            least: B::splat(token, u32::MAX),
            zeros: zero,
            negative_zeros: zero,
            nan: zero,
            pos_inf: zero,
            neg_inf: zero,
        }
    }

    /// Adds the vectors of `from..to` to the counts of `self`; extremes begin anew.
    #[inline(always)]
    pub(super) fn over<S: Token, F: FloatFormat<Bits<S> = B>, const DETAIL: u8>(
        self,
        token: S,
        bytes: &[u8],
        from: usize,
        to: usize,
    ) -> Self
    where
        B: Ints<S>,
    {
        let fresh = Self::none::<S, F>(token);
        let mut stats = Self { largest: fresh.largest, lowest: fresh.lowest, least: fresh.least, ..self };
        let splat = |value| B::splat(token, value);
        let (abs, sign) = (splat(F::ABS), splat(!F::ABS));
        vectors!(token, bytes, from..to, B, First, |bits| {
            let magnitude = bits.and(abs);
            if DETAIL == MASKED {
                let (finite, inf) = (splat(F::INF - 1), splat(F::INF));
                stats.largest = stats.largest.max_signed(bits.where_at_most(magnitude, finite, sign));
                stats.lowest = stats.lowest.max_unsigned(bits.where_at_most(magnitude, finite, splat(0)));
                stats.nan = stats.nan.count_greater(magnitude, inf);
                stats.pos_inf = stats.pos_inf.count_equal(bits, inf);
                stats.neg_inf = stats.neg_inf.count_equal(bits, splat(!F::ABS | F::INF));
            } else {
                stats.largest = stats.largest.max_signed(bits);
                stats.lowest = stats.lowest.max_unsigned(bits);
            }
            if DETAIL == QUICK {
                stats.least = stats.least.min_unsigned(magnitude);
            } else {
                stats.least = stats.least.min_unsigned(magnitude.sub(splat(1)));
                stats.zeros = stats.zeros.count_equal(magnitude, splat(0));
                stats.negative_zeros = stats.negative_zeros.count_equal(bits, sign);
            }
        });
        if DETAIL == QUICK {
            // Saturating: 0 stays.
            stats.least = stats.least.sub(splat(1).min_unsigned(stats.least));
        }
        stats
    }

    /// Whether a value lies beyond a magnitude on either side.
    #[inline(always)]
    pub(super) fn beyond<S: Token, F: FloatFormat<Bits<S> = B>>(&self, token: S, limit: u32) -> bool
    where
        B: Ints<S>,
    {
        self.largest.any_greater(B::splat(token, limit)) || B::splat(token, !F::ABS | limit).any_below(self.lowest)
    }

    /// Whether more NaN or infinities were counted than before.
    #[inline(always)]
    pub(super) fn has_more_odd<S: Token>(&self, before: &Self) -> bool
    where
        B: Ints<S>,
    {
        self.nan.any_greater(before.nan) || self.pos_inf.any_greater(before.pos_inf) || self.neg_inf.any_greater(before.neg_inf)
    }

    /// Merges the extremes of both; the counts of `later` include those of `self`.
    #[inline(always)]
    pub(super) fn and<S: Token>(self, later: Self) -> Self
    where
        B: Ints<S>,
    {
        Self {
            largest: self.largest.max_signed(later.largest),
            lowest: self.lowest.max_unsigned(later.lowest),
            least: self.least.min_unsigned(later.least),
            ..later
        }
    }

    /// The bits of the lowest and the largest finite value; `None` if nothing is finite.
    #[inline(always)]
    pub(super) fn extremes<S: Token, F: FloatFormat<Bits<S> = B>>(&self) -> Option<(u32, u32)>
    where
        B: Ints<S>,
    {
        let sign = !F::ABS & (F::ABS << 1 | 1);
        let most = |lanes: B, flip: u32| lanes.lanes().into_iter().fold(0, |most, lane| most.max(lane ^ flip)) ^ flip;
        // Flipping the sign makes the signed order the unsigned one.
        let (lowest, largest) = (most(self.lowest, 0), most(self.largest, sign));
        let any_zero = self.zeros.lanes().iter().any(|count| *count != 0);
        let least = if any_zero { 0 } else { self.least.lanes().into_iter().min().unwrap_or(0).wrapping_add(1) };
        match (lowest & sign != 0, largest & sign == 0) {
            (true, true) => Some((lowest, largest)),
            (true, false) => Some((lowest, least | sign)),
            (false, true) => Some((least, largest)),
            (false, false) => None,
        }
    }
}
