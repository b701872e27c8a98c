//! From the integers of a batch to the statistics, for superblocks whose groups have minimums.

use super::decoded::LANES;
use super::fold::{BatchLayout, Fold, code_of, eight};
use super::sums::{Affine, BATCH};
use crate::dtype::Dtype;
use crate::scan::simd::Level;

/// Superblocks that go side by side.
const WIDE: usize = 16;

/// What the scales of a batch say.
struct GroupFacts {
    /// A bit for each group that has a code which may decode to 0.
    zero: [u32; BATCH],
    /// Sum of the minimums (above bit 16: at most 16 x 63) and of their squares (below: at most 16 x 63^2).
    mins: [u32; BATCH],
}

/// What the scales of some superblocks say.
struct Bounds {
    high: [f32; WIDE],
    low: [f32; WIDE],
    zero: [u32; WIDE],
    mins: [u32; WIDE],
}

/// Takes in group `g` of sixteen superblocks; `scales` and `mins` have it in byte `g % 4`.
#[inline(always)]
fn group(bounds: &mut Bounds, d: &[f32; WIDE], dmin: &[f32; WIDE], scales: &[u32; WIDE], mins: &[u32; WIDE], g: usize, most: f32) {
    let (shift, bit) = (8 * (g % 4), 1u32 << g);
    for lane in 0..WIDE {
        let (scale, min) = (scales[lane] >> shift & 0xff, mins[lane] >> shift & 0xff);
        // Signed, which vectorises better.
        let (dl, ml) = (d[lane] * scale as i32 as f32, dmin[lane] * min as i32 as f32);
        bounds.zero[lane] |= if dl * code_of(ml, dl, most) == ml { bit } else { 0 };
        let (a, b) = (dl * most - ml, -ml);
        let (high, low) = if a > b { (a, b) } else { (b, a) };
        bounds.high[lane] = if high > bounds.high[lane] { high } else { bounds.high[lane] };
        bounds.low[lane] = if low < bounds.low[lane] { low } else { bounds.low[lane] };
        bounds.mins[lane] += min * min + (min << 16);
    }
}

/// Sixteen elements.
#[inline(always)]
fn wide<T>(values: &[T], at: usize) -> &[T; WIDE] {
    &values[at..].as_chunks().0[0]
}

/// Codes 8 `word` to 8 `word` + 7 of group `g`, a byte each.
#[inline(always)]
fn codes(dtype: Dtype, block: &[u8], g: usize, word: usize) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let word = |at: usize| block[at + 8 * word..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    match dtype {
        Dtype::Q4_K => word(16 + 32 * (g / 2)) >> (4 * (g % 2)) & (15 * ONES),
        Dtype::Q5_K => (word(48 + 32 * (g / 2)) >> (4 * (g % 2)) & (15 * ONES)) | (word(16) >> g & ONES) << 4,
        // Q2_K, the one with groups of 16.
        _ => word(16 + 32 * (g / 8) + 16 * (g % 2)) >> (2 * (g % 8 / 2)) & (3 * ONES),
    }
}

/// The number of codes of group `g`, which has `per`, that are `code`.
#[inline(always)]
fn count(dtype: Dtype, block: &[u8], g: usize, per: usize, code: u8) -> u64 {
    let ones = u64::from_le_bytes([1; 8]);
    let mut others = 0;
    for word in 0..per / 8 {
        // Bytes below 32: adding 127 sets bit 7 of those that are not 0.
        let differs = codes(dtype, block, g, word) ^ (ones * u64::from(code));
        others += (differs + 127 * ones) >> 7 & ones;
    }
    per as u64 - (others.wrapping_mul(ones) >> 56)
}

/// Adds the zeros of group `g` of superblock `i`, which has a code that decodes to 0.
#[inline(always)]
fn add_zeros(layout: &BatchLayout, bytes: &[u8], batch: &Affine, i: usize, g: usize, per: usize, fold: &mut Fold) {
    let (d, dmin) = (batch.d[i], batch.dmin[i]);
    let byte = |words: &[[u32; BATCH]; 4]| f32::from((words[g / 4 % 4][i] >> (8 * (g % 4))) as u8);
    let (dl, ml) = (d * byte(&batch.scales), dmin * byte(&batch.mins));
    // Under a zero scale every code is 0; otherwise no two codes are the same value.
    let zeros =
        if dl == 0.0 { per as u64 } else { count(layout.block.dtype, layout.block_of(bytes, i), g, per, (ml / dl + 0.5) as u8) };
    fold.stats.zeros += zeros;
    // -0 less +0 is -0; what else cancels is +0.
    if d.is_sign_negative() && ml.to_bits() == 0 {
        fold.stats.negative_zeros += zeros;
    }
}

/// Adds a batch of superblocks of 8 or 16 groups, codes from 0 to `most`.
#[inline(always)]
pub(super) fn affine<const GROUPS: usize>(
    level: Level,
    layout: &BatchLayout,
    bytes: &[u8],
    batch: &mut Affine,
    most: f32,
    fold: &mut Fold,
) {
    let (units, first) = fold.begin(layout, bytes);
    let per = layout.elements / GROUPS;
    for i in units..units.next_multiple_of(WIDE) {
        batch.clear(i);
    }
    let mut scales = GroupFacts { zero: [0; BATCH], mins: [0; BATCH] };
    let (mut odd, mut zero) = ([0; WIDE], [0; WIDE]);
    for at in (0..units).step_by(WIDE) {
        layout.prefetch(bytes, at, WIDE);
        let mut bounds = Bounds { high: [f32::NEG_INFINITY; WIDE], low: [f32::INFINITY; WIDE], zero: [0; WIDE], mins: [0; WIDE] };
        let (d, dmin) = (wide(&batch.d, at), wide(&batch.dmin, at));
        for g in 0..GROUPS {
            group(&mut bounds, d, dmin, wide(&batch.scales[g / 4], at), wide(&batch.mins[g / 4], at), g, most);
        }
        for lane in 0..WIDE {
            odd[lane] |= u32::from(!d[lane].is_finite() | !dmin[lane].is_finite());
            zero[lane] |= bounds.zero[lane];
        }
        // The place of these bounds is whole: a stretch is a multiple of what goes side by side.
        fold.high[first + at..][..WIDE].copy_from_slice(&bounds.high);
        fold.low[first + at..][..WIDE].copy_from_slice(&bounds.low);
        scales.zero[at..at + WIDE].copy_from_slice(&bounds.zero);
        scales.mins[at..at + WIDE].copy_from_slice(&bounds.mins);
    }
    if odd != [0; WIDE] {
        for i in 0..units {
            if !batch.d[i].is_finite() || !batch.dmin[i].is_finite() {
                fold.whole(level, layout, bytes, i);
                (fold.high[first + i], fold.low[first + i]) = (f32::NEG_INFINITY, f32::INFINITY);
                scales.zero[i] = 0;
                batch.clear(i);
            }
        }
    }
    if zero != [0; WIDE] {
        // Many groups to a word: a loop over few bits ends where the processor does not expect it.
        for (word, flags) in scales.zero[..units].chunks(64 / GROUPS).enumerate() {
            let mut bits = flags.iter().rev().fold(0, |bits, &flags| bits << GROUPS | u64::from(flags));
            while bits != 0 {
                let at = 64 * word + bits.trailing_zeros() as usize;
                bits &= bits - 1;
                add_zeros(layout, bytes, batch, at / GROUPS, at % GROUPS, per, fold);
            }
        }
    }
    let per = per as f64;
    let (mut sums, mut sums_sq) = (fold.sum, fold.sum_sq);
    let mut zero_scales = fold.zero_scales;
    for at in (0..units).step_by(LANES) {
        let (scale, offset, mins) = (eight(&batch.d, at), eight(&batch.dmin, at), eight(&scales.mins, at));
        let (sum, sum_sq, cross) = (eight(&batch.sum, at), eight(&batch.sum_sq, at), eight(&batch.cross, at));
        for lane in 0..LANES {
            zero_scales[lane] += u32::from(scale[lane] == 0.0);
            let (mins, mins_sq) = (f64::from((mins[lane] >> 16) as i32), f64::from((mins[lane] & 0xffff) as i32));
            let (d, dmin) = (f64::from(scale[lane]), f64::from(offset[lane]));
            let (sum, sum_sq, cross) = (f64::from(sum[lane]), f64::from(sum_sq[lane]), f64::from(cross[lane]));
            sums[lane] += d * sum - dmin * (per * mins);
            let squares = d * d * sum_sq - 2.0 * (d * dmin * cross) + dmin * dmin * (per * mins_sq);
            sums_sq[lane] += if squares > 0.0 { squares } else { 0.0 };
        }
    }
    (fold.sum, fold.sum_sq, fold.zero_scales) = (sums, sums_sq, zero_scales);
}
