//! From the integers of a batch to the statistics: one set of floating-point steps for every kernel and instruction set.
//!
//! Unit `i` adds to lane `i % 8`, so that eight units take one step. What is not ordinary (a scale that is not finite, a zero
//! scale over codes that are not) is decoded and added value by value. Extremes: a unit is decoded only if the bound that its scale
//! gives could beat what has been seen, which is rare after the first few.

use super::decoded::{self, LANES, tree};
use super::sums::{Affine, BATCH, Flat, Products};
use super::{Decode, LONGEST, scales};
use crate::dtype::Dtype;
use crate::stats::leaf::{LeafStats, ScaleHealth};

/// How units lie in the bytes of a batch, and how to decode one.
#[derive(Clone, Copy)]
pub(in crate::scan) struct Layout {
    /// What the blocks are.
    pub(super) dtype: Dtype,
    /// Decodes a block.
    pub(super) decode: Decode,
    /// Bytes of a block.
    pub(super) block_bytes: usize,
    /// Units of a block.
    pub(super) units: usize,
    /// Elements of a unit.
    pub(super) elements: usize,
}

impl Layout {
    /// The block of unit `i` of a batch.
    #[inline(always)]
    fn block<'a>(&self, bytes: &'a [u8], i: usize) -> &'a [u8] {
        &bytes[i / self.units * self.block_bytes..][..self.block_bytes]
    }

    /// The statistics of unit `i` of a batch, value by value.
    #[inline(always)]
    fn decoded(&self, bytes: &[u8], i: usize) -> LeafStats {
        let mut values = [0.0; LONGEST];
        (self.decode)(self.block(bytes, i), &mut values);
        let mut stats = LeafStats::default();
        decoded::add(&values[i % self.units * self.elements..][..self.elements], &mut stats);
        stats
    }

    /// Units in the bytes of a batch.
    #[inline(always)]
    fn count(&self, bytes: &[u8]) -> usize {
        (bytes.len() / self.block_bytes * self.units).min(BATCH)
    }
}

/// The statistics of a leaf in the making.
pub(in crate::scan) struct Fold {
    /// Counts and extremes; the sums of what was decoded.
    stats: LeafStats,
    sum: [f64; LANES],
    sum_sq: [f64; LANES],
    /// Extremes so far; f32 as the values are.
    min: f32,
    max: f32,
}

impl Fold {
    pub(super) fn new() -> Self {
        Fold {
            stats: LeafStats::default(),
            sum: [0.0; LANES],
            sum_sq: [0.0; LANES],
            min: f32::INFINITY,
            max: f32::NEG_INFINITY,
        }
    }

    /// The statistics. The health of scales is that of the floats that the batches held: not that of 4-bit floats.
    pub(super) fn finish(mut self) -> LeafStats {
        self.stats.min = f64::from(self.min);
        self.stats.max = f64::from(self.max);
        self.stats.sum += tree(self.sum);
        self.stats.sum_sq += tree(self.sum_sq);
        self.stats
    }

    #[inline(always)]
    fn extremes(&mut self, unit: &LeafStats) {
        self.min = self.min.min(unit.min as f32);
        self.max = self.max.max(unit.max as f32);
    }

    #[inline(always)]
    fn zeros(&mut self, unit: &LeafStats) {
        self.stats.zeros += unit.zeros;
        self.stats.negative_zeros += unit.negative_zeros;
    }

    /// All of a decoded unit but its number of elements.
    #[cold]
    #[inline(never)]
    fn whole(&mut self, layout: &Layout, bytes: &[u8], i: usize) {
        let unit = layout.decoded(bytes, i);
        self.extremes(&unit);
        self.zeros(&unit);
        self.stats.nan += unit.nan;
        self.stats.pos_inf += unit.pos_inf;
        self.stats.neg_inf += unit.neg_inf;
        self.stats.sum += unit.sum;
        self.stats.sum_sq += unit.sum_sq;
        let mut health = ScaleHealth::default();
        scales::add(layout.dtype, layout.block(bytes, i), &mut health);
        self.stats.scales.nan += health.nan;
        self.stats.scales.inf += health.inf;
        self.stats.scales.zero += health.zero;
    }
}

/// Adds a batch of units of the form d x p.
#[inline(always)]
pub(in crate::scan) fn products(layout: &Layout, bytes: &[u8], batch: &mut Products, fold: &mut Fold) {
    let count = layout.count(bytes);
    fold.stats.elements += (count * layout.elements) as u64;
    fold.stats.scales.blocks += count as u64;
    let all = layout.elements as u32;
    for i in count..count.next_multiple_of(LANES) {
        batch.clear(i);
    }
    for at in (0..count).step_by(LANES) {
        let mut odd = false;
        for i in at..at + LANES {
            let d = batch.d[i];
            odd |= !d.is_finite() | ((d == 0.0) & (batch.zeros[i] != all));
        }
        if odd {
            for i in at..(at + LANES).min(count) {
                let d = batch.d[i];
                if !d.is_finite() || (d == 0.0 && batch.zeros[i] != all) {
                    fold.whole(layout, bytes, i);
                    batch.clear(i);
                }
            }
        }
        let (mut zeros, mut negative, mut zero_scales) = (0, 0, 0);
        let mut beats = false;
        for lane in 0..LANES {
            let i = at + lane;
            let (d, sum, sum_sq) = (f64::from(batch.d[i]), f64::from(batch.sum[i]), f64::from(batch.sum_sq[i]));
            fold.sum[lane] += d * sum;
            fold.sum_sq[lane] += d * d * sum_sq;
            zeros += batch.zeros[i];
            zero_scales += u32::from(batch.d[i] == 0.0);
            negative += if batch.d[i].is_sign_negative() { batch.zeros[i] - batch.negative[i] } else { batch.negative[i] };
            let (a, b) = (batch.d[i] * batch.high[i] as f32, batch.d[i] * batch.low[i] as f32);
            beats |= (a > fold.max) | (b > fold.max) | (a < fold.min) | (b < fold.min);
        }
        fold.stats.zeros += u64::from(zeros);
        fold.stats.negative_zeros += u64::from(negative);
        fold.stats.scales.zero += u64::from(zero_scales);
        if beats {
            for i in at..(at + LANES).min(count) {
                let (a, b) = (batch.d[i] * batch.high[i] as f32, batch.d[i] * batch.low[i] as f32);
                if a.max(b) > fold.max || a.min(b) < fold.min {
                    fold.extremes(&layout.decoded(bytes, i));
                }
            }
        }
    }
}

/// The integer from 0 to `most` that times `scale` could be `offset`: the rounded quotient. Adding 2^23 rounds to an integer.
#[inline(always)]
fn code_of(offset: f32, scale: f32, most: f32) -> f32 {
    let quotient = offset / scale;
    let bounded = if quotient > 0.0 { quotient } else { 0.0 };
    let bounded = if bounded < most { bounded } else { most };
    (bounded + 8_388_608.0) - 8_388_608.0
}

/// Adds a batch of units of the form d x q + m, where q runs from 0 to `most`.
#[inline(always)]
pub(in crate::scan) fn flat(layout: &Layout, bytes: &[u8], batch: &mut Flat, most: f32, fold: &mut Fold) {
    let count = layout.count(bytes);
    fold.stats.elements += (count * layout.elements) as u64;
    fold.stats.scales.blocks += count as u64;
    let elements = layout.elements as f64;
    for at in (0..count).step_by(LANES) {
        let mut odd = false;
        let mut beats = false;
        for i in at..at + LANES {
            let (d, m) = (batch.d[i], batch.m[i]);
            odd |= !d.is_finite() | !m.is_finite();
            // A value is 0 only where d x q is exactly -m.
            odd |= d * code_of(-m, d, most) + m == 0.0;
            let (a, b) = (d * most + m, m);
            beats |= (a > fold.max) | (b > fold.max) | (a < fold.min) | (b < fold.min);
        }
        let past = at + LANES > count;
        if odd | past {
            for i in at..at + LANES {
                let (d, m) = (batch.d[i], batch.m[i]);
                if i >= count {
                    batch.clear(i);
                } else if !d.is_finite() || !m.is_finite() {
                    fold.whole(layout, bytes, i);
                    batch.clear(i);
                } else if d * code_of(-m, d, most) + m == 0.0 {
                    fold.zeros(&layout.decoded(bytes, i));
                }
            }
        }
        let mut zero_scales = 0;
        for lane in 0..LANES {
            let i = at + lane;
            zero_scales += u32::from(batch.d[i] == 0.0);
            let (d, m) = (f64::from(batch.d[i]), f64::from(batch.m[i]));
            let (sum, sum_sq) = (f64::from(batch.sum[i]), f64::from(batch.sum_sq[i]));
            fold.sum[lane] += d * sum + elements * m;
            let squares = d * d * sum_sq + 2.0 * (d * m * sum) + elements * (m * m);
            fold.sum_sq[lane] += if squares > 0.0 { squares } else { 0.0 };
        }
        fold.stats.scales.zero += u64::from(zero_scales);
        if beats | odd {
            for i in at..(at + LANES).min(count) {
                let (a, b) = (batch.d[i] * most + batch.m[i], batch.m[i]);
                if a.max(b) > fold.max || a.min(b) < fold.min {
                    fold.extremes(&layout.decoded(bytes, i));
                }
            }
        }
    }
}

/// Adds a batch of superblocks of `groups` groups of `per` elements, codes from 0 to `most`.
#[inline(always)]
pub(in crate::scan) fn affine<const GROUPS: usize>(
    layout: &Layout,
    bytes: &[u8],
    batch: &mut Affine,
    most: f32,
    fold: &mut Fold,
) {
    let count = layout.count(bytes);
    fold.stats.elements += (count * layout.elements) as u64;
    fold.stats.scales.blocks += count as u64;
    let per = (layout.elements / GROUPS) as f64;
    for i in 0..count {
        let (d, dmin) = (batch.d[i], batch.dmin[i]);
        if !d.is_finite() || !dmin.is_finite() {
            fold.whole(layout, bytes, i);
            continue;
        }
        fold.stats.scales.zero += u64::from(d == 0.0);
        let (scales, mins) = (&batch.scales[i][..GROUPS], &batch.mins[i][..GROUPS]);
        let (mut zero, mut beats) = (false, false);
        let mut packed = 0u32;
        for (&scale, &min) in scales.iter().zip(mins) {
            let (dl, ml) = (d * f32::from(scale), dmin * f32::from(min));
            zero |= dl * code_of(ml, dl, most) == ml;
            let (a, b) = (dl * most - ml, -ml);
            beats |= (a > fold.max) | (b > fold.max) | (a < fold.min) | (b < fold.min);
            // Both sums in one: at most 16 x 63 above, at most 16 x 63^2 below.
            packed += u32::from(min) * u32::from(min) + (u32::from(min) << 16);
        }
        if zero | beats {
            let unit = layout.decoded(bytes, i);
            fold.extremes(&unit);
            fold.zeros(&unit);
        }
        let (mins, mins_sq) = (f64::from(packed >> 16), f64::from(packed & 0xffff));
        let (d, dmin) = (f64::from(d), f64::from(dmin));
        let (sum, sum_sq, cross) = (f64::from(batch.sum[i]), f64::from(batch.sum_sq[i]), f64::from(batch.cross[i]));
        fold.sum[i % LANES] += d * sum - dmin * (per * mins);
        let squares = d * d * sum_sq - 2.0 * (d * dmin * cross) + dmin * dmin * (per * mins_sq);
        fold.sum_sq[i % LANES] += if squares > 0.0 { squares } else { 0.0 };
    }
}
