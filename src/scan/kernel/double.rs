//! F64 and the integers of 16 bits and more: decoded to f64 in blocks that stay in the first-level cache, then summed in f64.
//!
//! I64 and U64 are rounded to f64 first, which keeps their order; all else is exact up to the sums.

use std::marker::PhantomData;

use crate::stats::{ElementCounts, LeafStats};

use super::super::simd::{Doubles, Level, Token, VectorKernel};
use super::scalar::{Sums, add_up, fold};

/// Elements decoded at once: 4 KiB of f64.
const BLOCK: usize = 512;

/// Distance in bytes to the memory that is requested ahead.
const AHEAD: usize = 4096;

/// An element of `N` bytes that becomes an f64.
trait Element<const N: usize> {
    /// Whether there are NaN and infinities.
    const FLOAT: bool = false;

    fn decode(bytes: [u8; N]) -> f64;
}

macro_rules! elements {
    ($($name:ident $size:literal $type:ty;)*) => {$(
        pub(super) fn $name(bytes: &[u8], level: Level) -> LeafStats {
            level.run(NumberLeaf::<$type, $size>(bytes, PhantomData))
        }
    )*};
}

macro_rules! integers {
    ($($size:literal $type:ty;)*) => {$(
        impl Element<$size> for $type {
            #[inline(always)]
            fn decode(bytes: [u8; $size]) -> f64 {
                Self::from_le_bytes(bytes) as f64
            }
        }
    )*};
}

elements! { f64 8 f64; i64 8 i64; i32 4 i32; i16 2 i16; u64 8 u64; u32 4 u32; u16 2 u16; }
integers! { 8 i64; 4 i32; 2 i16; 8 u64; 4 u32; 2 u16; }

impl Element<8> for f64 {
    const FLOAT: bool = true;

    #[inline(always)]
    fn decode(bytes: [u8; 8]) -> f64 {
        Self::from_le_bytes(bytes)
    }
}

struct NumberLeaf<'a, E, const N: usize>(&'a [u8], PhantomData<E>);

impl<E: Element<N>, const N: usize> VectorKernel for NumberLeaf<'_, E, N> {
    #[inline(always)]
    fn call<S: Token>(self, token: S) -> LeafStats {
        leaf::<S, E, N>(token, self.0)
    }
}

#[inline(always)]
fn leaf<S: Token, E: Element<N>, const N: usize>(token: S, bytes: &[u8]) -> LeafStats {
    let elements = bytes.as_chunks::<N>().0;
    let (blocks, rest) = elements.as_chunks::<BLOCK>();
    let splat = |value| S::Doubles::splat(token, value);
    let (mut min, mut max) = (splat(f64::INFINITY), splat(f64::NEG_INFINITY));
    let (mut sum, mut sq) = (splat(0.0), splat(0.0));
    let mut counts = ElementCounts::default();
    let mut values = [0.0; BLOCK];
    for (index, block) in blocks.iter().enumerate() {
        decode::<S, E, N>(token, bytes, index, block, &mut values);
        count::<E, N>(&values, &mut counts);
        for sixteen in values.as_chunks::<16>().0 {
            let mut value = S::Doubles::load(token, sixteen);
            if E::FLOAT {
                min = value.finite_or(splat(f64::INFINITY)).min(min);
                max = value.finite_or(splat(f64::NEG_INFINITY)).max(max);
                value = value.finite_or(splat(0.0));
            } else {
                min = value.min(min);
                max = value.max(max);
            }
            sum = sum.add(value);
            sq = sq.add(value.mul(value));
        }
    }
    let rest = || rest.iter().map(|element| E::decode(*element));
    let tail = fold(rest());
    let mut stats = LeafStats {
        counts: ElementCounts { elements: elements.len() as u64, ..tail.counts.merge(counts) },
        // Adding 0 leaves one zero of two, whichever a processor has kept.
        min: min.lanes().into_iter().fold(tail.min, f64::min) + 0.0,
        max: max.lanes().into_iter().fold(tail.max, f64::max) + 0.0,
        sum: tail.sum + add_up(sum.lanes()),
        sum_sq: tail.sum_sq + add_up(sq.lanes()),
        ..LeafStats::default()
    };
    if Sums::lose_digits(&stats) {
        stats.pivot = stats.sum / stats.finite() as f64;
        let pivot = splat(stats.pivot);
        (sum, sq) = (splat(0.0), splat(0.0));
        for (index, block) in blocks.iter().enumerate() {
            decode::<S, E, N>(token, bytes, index, block, &mut values);
            for sixteen in values.as_chunks::<16>().0 {
                let mut value = S::Doubles::load(token, sixteen).sub(pivot);
                if E::FLOAT {
                    value = value.finite_or(splat(0.0));
                }
                sum = sum.add(value);
                sq = sq.add(value.mul(value));
            }
        }
        let tail = Sums::around(stats.pivot, rest());
        stats.sum = tail.sum + add_up(sum.lanes());
        stats.sum_sq = tail.sum_sq + add_up(sq.lanes());
    }
    stats
}

#[inline(always)]
fn decode<S: Token, E: Element<N>, const N: usize>(
    token: S,
    bytes: &[u8],
    index: usize,
    block: &[[u8; N]; BLOCK],
    values: &mut [f64; BLOCK],
) {
    let mut line = 0;
    while line < BLOCK * N {
        token.prefetch(bytes, index * BLOCK * N + AHEAD + line);
        line += 64;
    }
    for (value, element) in values.iter_mut().zip(block) {
        *value = E::decode(*element);
    }
}

/// Adds zeros, NaN and infinities of a block.
#[inline(always)]
fn count<E: Element<N>, const N: usize>(values: &[f64; BLOCK], counts: &mut ElementCounts) {
    const SIGN: u64 = 1 << 63;
    const INF: u64 = 0x7ff << 52;
    let zeros = values.iter().map(|value| u64::from(*value == 0.0)).sum::<u64>();
    counts.zeros += zeros;
    if !E::FLOAT {
        return;
    }
    if zeros != 0 {
        counts.negative_zeros += values.iter().map(|value| u64::from(value.to_bits() == SIGN)).sum::<u64>();
    }
    let odd = values.iter().map(|value| u64::from(value.to_bits() & INF == INF)).sum::<u64>();
    if odd != 0 {
        let pos_inf = values.iter().map(|value| u64::from(value.to_bits() == INF)).sum::<u64>();
        let neg_inf = values.iter().map(|value| u64::from(value.to_bits() == SIGN | INF)).sum::<u64>();
        counts.pos_inf += pos_inf;
        counts.neg_inf += neg_inf;
        counts.nan += odd - pos_inf - neg_inf;
    }
}
