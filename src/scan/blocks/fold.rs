//! From the integers of a batch to the statistics: one set of floating-point steps for every kernel and instruction set.
//!
//! Unit `i` adds to lane `i % 8`, so that eight units take one step. What is not ordinary (a scale that is not finite, a zero
//! scale over codes that are not) is decoded and added value by value. Extremes: every unit leaves the bounds that its scale gives;
//! after a stretch of units the one with the highest bound is decoded, and then only those whose bound beats what was found.

use super::decoded::{self, LANES, tree};
use super::sums::{BATCH, Flat, Products};
use super::{Block, LONGEST};
use crate::scan::simd::Level;
use crate::scan::simd::memory::prefetch_range;
use crate::stats::{LeafStats, ScaleHealth};

/// Units between two searches for extremes: those of a leaf of 16,384 elements in blocks of 32.
pub(super) const STRETCH: usize = 512;

/// How units lie in the bytes of a batch, and how to decode one.
#[derive(Clone, Copy)]
pub(super) struct BatchLayout {
    /// The blocks' type.
    pub(super) block: &'static Block,
    /// Bytes of a block.
    pub(super) block_bytes: usize,
    /// Units of a block.
    pub(super) units: usize,
    /// Elements of a unit.
    pub(super) elements: usize,
}

impl BatchLayout {
    /// The layout of batches of a type.
    pub(super) fn new(block: &'static Block) -> Self {
        let units = block.scales.units();
        Self { block, block_bytes: block.bytes, units, elements: block.elements / units }
    }

    /// The block of unit `i`.
    #[inline(always)]
    pub(super) fn block_of<'a>(&self, bytes: &'a [u8], i: usize) -> &'a [u8] {
        &bytes[i / self.units * self.block_bytes..][..self.block_bytes]
    }

    /// Requests memory some way past some units.
    #[inline(always)]
    pub(super) fn prefetch(&self, bytes: &[u8], unit: usize, units: usize) {
        prefetch_range(bytes, unit * self.block_bytes, units * self.block_bytes);
    }

    /// The values of unit `i`, in `values`.
    #[inline(always)]
    fn decode<'a>(&self, level: Level, bytes: &[u8], i: usize, values: &'a mut [f32; LONGEST]) -> &'a [f32] {
        (self.block.decode)(level, self.block_of(bytes, i), values);
        &values[i % self.units * self.elements..][..self.elements]
    }

    /// Bytes of a whole batch.
    #[inline(always)]
    pub(super) fn batch_bytes(&self) -> usize {
        // One unit to a block, or four.
        let blocks = if self.units == 1 { BATCH } else { BATCH / 4 };
        blocks * self.block_bytes
    }

    /// Units in the bytes of a batch.
    #[inline(always)]
    fn count(&self, bytes: &[u8]) -> usize {
        // The last batch alone takes a division.
        if bytes.len() == self.batch_bytes() { BATCH } else { (bytes.len() / self.block_bytes * self.units).min(BATCH) }
    }
}

/// The statistics of a leaf so far.
#[repr(align(64))]
pub(super) struct Fold {
    pub(super) sum: [f64; LANES],
    pub(super) sum_sq: [f64; LANES],
    /// Zeros, negative zeros and zero scales of batches: kept in lanes up to the end, as adding lanes up takes as long as a batch.
    zeros: [u32; LANES],
    negative: [u32; LANES],
    pub(super) zero_scales: [u32; LANES],
    /// Bounds of the values of each unit since extremes were last sought; no bounds (low above high) where there is nothing to gain.
    pub(super) high: [f32; STRETCH],
    pub(super) low: [f32; STRETCH],
    /// Units since extremes were last sought.
    units: usize,
    /// Extremes so far; f32 as the values are.
    min: f32,
    max: f32,
    /// The values of the unit being decoded: kept here, so that they need not be zeroed each time.
    values: [f32; LONGEST],
    /// Counts; the sums of what was decoded.
    pub(super) stats: LeafStats,
}

impl Fold {
    /// An empty leaf.
    pub(super) fn new() -> Self {
        Fold {
            sum: [0.0; LANES],
            sum_sq: [0.0; LANES],
            zeros: [0; LANES],
            negative: [0; LANES],
            zero_scales: [0; LANES],
            high: [f32::NEG_INFINITY; STRETCH],
            low: [f32::INFINITY; STRETCH],
            units: 0,
            min: f32::INFINITY,
            max: f32::NEG_INFINITY,
            values: [0.0; LONGEST],
            stats: LeafStats::default(),
        }
    }

    /// The statistics. Scales are counted as the floats that the batches held, which for 4-bit floats are not those stored.
    pub(super) fn finish(&self) -> LeafStats {
        let mut stats = self.stats;
        stats.min = f64::from(self.min);
        stats.max = f64::from(self.max);
        stats.sum += tree(self.sum);
        stats.sum_sq += tree(self.sum_sq);
        let total = |lanes: [u32; LANES]| lanes.into_iter().map(u64::from).sum::<u64>();
        stats.zeros += total(self.zeros);
        stats.negative_zeros += total(self.negative);
        stats.scales.zero += total(self.zero_scales);
        stats
    }

    /// Takes in the number of units of a batch; gives it and the place of their bounds.
    #[inline(always)]
    pub(super) fn begin(&mut self, layout: &BatchLayout, bytes: &[u8]) -> (usize, usize) {
        let (count, first) = (layout.count(bytes), self.units.min(STRETCH - BATCH));
        self.stats.elements += (count * layout.elements) as u64;
        self.stats.scales.blocks += count as u64;
        self.units = first + count;
        (count, first)
    }

    /// All of a unit but the number of its elements, value by value.
    #[cold]
    #[inline(never)]
    pub(super) fn whole(&mut self, level: Level, layout: &BatchLayout, bytes: &[u8], i: usize) {
        let (mut unit, mut values) = (LeafStats::default(), [0.0; LONGEST]);
        decoded::add(layout.decode(level, bytes, i, &mut values), &mut unit);
        self.min = self.min.min(unit.min as f32);
        self.max = self.max.max(unit.max as f32);
        self.stats.zeros += unit.zeros;
        self.stats.negative_zeros += unit.negative_zeros;
        self.stats.nan += unit.nan;
        self.stats.pos_inf += unit.pos_inf;
        self.stats.neg_inf += unit.neg_inf;
        self.stats.sum += unit.sum;
        self.stats.sum_sq += unit.sum_sq;
        let mut scales = ScaleHealth::default();
        layout.block.scales.add(layout.block_of(bytes, i), &mut scales);
        self.stats.scales.nan += scales.nan;
        self.stats.scales.inf += scales.inf;
        self.stats.scales.zero += scales.zero;
    }

    /// Takes away the bounds of those units, from `first` on, whose bits are set: what has no value left must not win over all
    /// else being negative.
    #[inline(always)]
    fn no_bounds(&mut self, first: usize, mut units: u64) {
        while units != 0 {
            let i = first + units.trailing_zeros() as usize;
            (self.high[i], self.low[i]) = (f32::NEG_INFINITY, f32::INFINITY);
            units &= units - 1;
        }
    }

    /// The zeros of a unit, value by value.
    #[inline(always)]
    fn zeros(&mut self, level: Level, layout: &BatchLayout, bytes: &[u8], i: usize) {
        let mut values = [0.0; LONGEST];
        let (mut zeros, mut negative) = (0, 0);
        for v in layout.decode(level, bytes, i, &mut values) {
            zeros += u32::from(*v == 0.0);
            negative += u32::from(v.to_bits() == 0x8000_0000);
        }
        self.stats.zeros += u64::from(zeros);
        self.stats.negative_zeros += u64::from(negative);
    }

    /// The extremes of a unit of finite values.
    #[inline(always)]
    fn decode_extremes(&mut self, level: Level, layout: &BatchLayout, bytes: &[u8], i: usize) {
        let (mut min, mut max) = ([f32::INFINITY; 16], [f32::NEG_INFINITY; 16]);
        for values in layout.decode(level, bytes, i, &mut self.values).as_chunks::<16>().0 {
            // Two loops: out of one the compiler makes shuffles instead of minima and maxima.
            for (min, &v) in min.iter_mut().zip(values) {
                *min = if v < *min { v } else { *min };
            }
            for (max, &v) in max.iter_mut().zip(values) {
                *max = if v > *max { v } else { *max };
            }
        }
        // Adding 0.0 makes -0.0 +0.0: the sign of a zero extreme would tell the order of the elements.
        let (min, max) = (-largest(min.map(|v| -v)), largest(max));
        self.min = if min < self.min { min + 0.0 } else { self.min };
        self.max = if max > self.max { max + 0.0 } else { self.max };
    }
}

/// The largest of eight or sixteen numbers, none of them NaN.
#[inline(always)]
fn largest<const N: usize>(mut v: [f32; N]) -> f32 {
    let mut width = N / 2;
    while width > 0 {
        for lane in 0..width {
            v[lane] = if v[lane + width] > v[lane] { v[lane + width] } else { v[lane] };
        }
        width /= 2;
    }
    v[0]
}

/// The largest of chunks of sixteen numbers.
#[inline(always)]
fn most(values: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; 16];
    for chunk in values.as_chunks::<16>().0 {
        for (lane, &v) in lanes.iter_mut().zip(chunk) {
            *lane = if v > *lane { v } else { *lane };
        }
    }
    largest(lanes)
}

/// The smallest of them.
#[inline(always)]
fn least(values: &[f32]) -> f32 {
    let mut lanes = [f32::INFINITY; 16];
    for chunk in values.as_chunks::<16>().0 {
        for (lane, &v) in lanes.iter_mut().zip(chunk) {
            *lane = if v < *lane { v } else { *lane };
        }
    }
    -largest(lanes.map(|v| -v))
}

/// Where `value` is, sixteen places at a time.
#[inline(always)]
fn find(values: &[f32], value: f32) -> Option<usize> {
    let chunks = values.as_chunks::<16>().0;
    let chunk = chunks.iter().position(|chunk| chunk.iter().fold(false, |any, &v| any | (v == value)))?;
    chunks[chunk].iter().position(|&v| v == value).map(|lane| 16 * chunk + lane)
}

/// Finds the extremes of the units of a stretch.
#[inline(always)]
pub(super) fn extremes(level: Level, layout: &BatchLayout, bytes: &[u8], fold: &mut Fold) {
    let count = fold.units.min(STRETCH);
    fold.units = 0;
    let padded = count.next_multiple_of(16);
    fold.high[count..padded].fill(f32::NEG_INFINITY);
    fold.low[count..padded].fill(f32::INFINITY);
    // The most promising units first: each one decoded makes the others less so. Finding them costs a pass over the bounds.
    let rounds = if padded <= 256 { padded } else { 1 };
    for _ in 0..rounds {
        let (high, low) = (most(&fold.high[..padded]), least(&fold.low[..padded]));
        let (beats_max, beats_min) = (high > fold.max, low < fold.min);
        if !beats_max && !beats_min {
            return;
        }
        let highest = if beats_max { find(&fold.high[..padded], high) } else { None };
        let lowest = if beats_min { find(&fold.low[..padded], low) } else { None };
        if let Some(i) = highest {
            fold.decode_extremes(level, layout, bytes, i);
        }
        if let Some(i) = lowest.filter(|_| lowest != highest) {
            fold.decode_extremes(level, layout, bytes, i);
        }
        for i in [highest, lowest].into_iter().flatten() {
            (fold.high[i], fold.low[i]) = (f32::NEG_INFINITY, f32::INFINITY);
        }
    }
    // Then all that are better than what these gave. One question for sixteen: the compiler makes vectors of that, not of a mask.
    for at in (0..padded).step_by(16) {
        let (min, max) = (fold.min, fold.max);
        let (high, low) = (&fold.high.as_chunks::<16>().0[at / 16], &fold.low.as_chunks::<16>().0[at / 16]);
        let higher = high.iter().fold(false, |any, &h| any | (h > max));
        let lower = low.iter().fold(false, |any, &l| any | (l < min));
        if higher | lower {
            for i in at..at + 16 {
                if fold.high[i] > fold.max || fold.low[i] < fold.min {
                    fold.decode_extremes(level, layout, bytes, i);
                }
            }
        }
    }
}

/// Adds a batch of units of the form d x p. Memory is requested under way if they are `LONG`: for small blocks that costs more than
/// it gains.
#[inline(always)]
pub(super) fn products<const LONG: bool>(level: Level, layout: &BatchLayout, bytes: &[u8], batch: &mut Products, fold: &mut Fold) {
    let (count, first) = fold.begin(layout, bytes);
    let all = layout.elements as u32;
    for i in count..count.next_multiple_of(LANES) {
        batch.clear(i);
    }
    // What is not ordinary goes first and by itself: the sums of the rest then stay in registers.
    let padded = count.next_multiple_of(LANES);
    let odd = |d: f32, zeros: u32| !d.is_finite() | ((d == 0.0) & (zeros != all));
    let any = batch.d[..padded].iter().zip(&batch.zeros[..padded]).fold(false, |any, (&d, &zeros)| any | odd(d, zeros));
    let mut cleared = 0u64;
    if any {
        for i in 0..count {
            if odd(batch.d[i], batch.zeros[i]) {
                fold.whole(level, layout, bytes, i);
                batch.clear(i);
                cleared |= 1 << i;
            }
        }
    }
    let (mut sums, mut sums_sq) = (fold.sum, fold.sum_sq);
    let (mut zeros, mut negative, mut zero_scales) = (fold.zeros, fold.negative, fold.zero_scales);
    for at in (0..count).step_by(LANES) {
        if LONG {
            layout.prefetch(bytes, at, LANES);
        }
        let (scale, sum, sum_sq) = (eight(&batch.d, at), eight(&batch.sum, at), eight(&batch.sum_sq, at));
        let (none, below) = (eight(&batch.zeros, at), eight(&batch.negative, at));
        let (most, least) = (eight(&batch.high, at), eight(&batch.low, at));
        // One small loop for each figure: the compiler unrolls it and makes vectors of it. It leaves one large loop as it stands.
        let d = scale.map(f64::from);
        for lane in 0..LANES {
            sums[lane] += d[lane] * f64::from(sum[lane]);
        }
        for lane in 0..LANES {
            sums_sq[lane] += d[lane] * d[lane] * f64::from(sum_sq[lane]);
        }
        for lane in 0..LANES {
            zeros[lane] += none[lane];
        }
        for lane in 0..LANES {
            zero_scales[lane] += u32::from(scale[lane] == 0.0);
        }
        for lane in 0..LANES {
            negative[lane] += if scale[lane].is_sign_negative() { none[lane] - below[lane] } else { below[lane] };
        }
        let (mut high, mut low) = ([0.0; LANES], [0.0; LANES]);
        for lane in 0..LANES {
            let (a, b) = (scale[lane] * most[lane] as f32, scale[lane] * least[lane] as f32);
            high[lane] = if a > b { a } else { b };
            low[lane] = if a > b { b } else { a };
        }
        fold.high[first + at..][..LANES].copy_from_slice(&high);
        fold.low[first + at..][..LANES].copy_from_slice(&low);
    }
    fold.no_bounds(first, cleared);
    (fold.sum, fold.sum_sq) = (sums, sums_sq);
    (fold.zeros, fold.negative, fold.zero_scales) = (zeros, negative, zero_scales);
}

/// Eight elements.
#[inline(always)]
pub(super) fn eight<T>(values: &[T; BATCH], at: usize) -> &[T; LANES] {
    &values.as_chunks().0[at / LANES]
}

/// The integer from 0 to `most`, at most 31, that times `scale` could be `offset`: the rounded quotient. Adding 2^23 rounds to an
/// integer.
#[inline(always)]
pub(super) fn code_of(offset: f32, scale: f32, most: f32) -> f32 {
    let quotient = offset / scale;
    let bounded = if quotient > 0.0 { quotient } else { 0.0 };
    let bounded = if bounded < most { bounded } else { most };
    (bounded + 8_388_608.0) - 8_388_608.0
}

/// Adds a batch of units of the form d x q + m, where q runs from 0 to `most`.
#[inline(always)]
pub(super) fn flat(level: Level, layout: &BatchLayout, bytes: &[u8], batch: &mut Flat, most: f32, fold: &mut Fold) {
    let (count, first) = fold.begin(layout, bytes);
    let elements = layout.elements as f64;
    for i in count..count.next_multiple_of(LANES) {
        batch.clear(i);
    }
    let padded = count.next_multiple_of(LANES);
    // A value is 0 only where d x q is exactly -m.
    let zero = |d: f32, m: f32| d * code_of(-m, d, most) + m == 0.0;
    let odd = |d: f32, m: f32| !d.is_finite() | !m.is_finite() | zero(d, m);
    let any = batch.d[..padded].iter().zip(&batch.m[..padded]).fold(false, |any, (&d, &m)| any | odd(d, m));
    let mut cleared = 0u64;
    if any {
        for i in 0..count {
            let (d, m) = (batch.d[i], batch.m[i]);
            if !d.is_finite() || !m.is_finite() {
                fold.whole(level, layout, bytes, i);
                batch.clear(i);
                cleared |= 1 << i;
            } else if zero(d, m) {
                fold.zeros(level, layout, bytes, i);
            }
        }
    }
    let (mut sums, mut sums_sq) = (fold.sum, fold.sum_sq);
    let mut zero_scales = fold.zero_scales;
    for at in (0..count).step_by(LANES) {
        let (scale, offset) = (eight(&batch.d, at), eight(&batch.m, at));
        let (sum, sum_sq) = (eight(&batch.sum, at), eight(&batch.sum_sq, at));
        let (mut high, mut low) = ([0.0; LANES], [0.0; LANES]);
        for lane in 0..LANES {
            let (a, b) = (scale[lane] * most + offset[lane], offset[lane]);
            high[lane] = if a > b { a } else { b };
            low[lane] = if a > b { b } else { a };
        }
        for lane in 0..LANES {
            zero_scales[lane] += u32::from(scale[lane] == 0.0);
        }
        let (d, m, sum) = (scale.map(f64::from), offset.map(f64::from), sum.map(f64::from));
        for lane in 0..LANES {
            sums[lane] += d[lane] * sum[lane] + elements * m[lane];
        }
        for lane in 0..LANES {
            let (d, m) = (d[lane], m[lane]);
            let squares = d * d * f64::from(sum_sq[lane]) + 2.0 * (d * m * sum[lane]) + elements * (m * m);
            sums_sq[lane] += if squares > 0.0 { squares } else { 0.0 };
        }
        fold.high[first + at..][..LANES].copy_from_slice(&high);
        fold.low[first + at..][..LANES].copy_from_slice(&low);
    }
    fold.no_bounds(first, cleared);
    (fold.sum, fold.sum_sq, fold.zero_scales) = (sums, sums_sq, zero_scales);
}
