//! From the integers of a batch to the statistics, for superblocks whose groups have minimums.

use super::SimdLevel;
use super::decoded::LANES;
use super::fold::{Fold, Layout, code_of};
use super::sums::Affine;
use crate::dtype::Dtype;

/// Superblocks that go side by side.
const WIDE: usize = 16;

/// What the scales of some superblocks say.
struct Bounds {
    high: [f32; WIDE],
    low: [f32; WIDE],
    /// A bit for each group that has a code which may decode to 0.
    zero: [u32; WIDE],
    /// Sum of the minimums (above bit 16: at most 16 x 63) and of their squares (below: at most 16 x 63^2).
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

/// The number of codes of group `g` that are `code`.
#[inline(always)]
fn count(dtype: Dtype, block: &[u8], g: usize, code: u8) -> u64 {
    let mut n = 0u8;
    match dtype {
        Dtype::Q4_K => {
            let shift = 4 * (g % 2);
            for &b in &block[16 + 32 * (g / 2)..][..32] {
                n += u8::from(b >> shift & 15 == code);
            }
        }
        Dtype::Q5_K => {
            let shift = 4 * (g % 2);
            for (&b, &h) in block[48 + 32 * (g / 2)..][..32].iter().zip(&block[16..48]) {
                n += u8::from((b >> shift & 15) | (h >> g & 1) << 4 == code);
            }
        }
        // Q2_K, the one with groups of 16.
        _ => {
            let shift = 2 * (g % 8 / 2);
            for &b in &block[16 + 32 * (g / 8) + 16 * (g % 2)..][..16] {
                n += u8::from(b >> shift & 3 == code);
            }
        }
    }
    u64::from(n)
}

/// Adds a batch of superblocks of 8 or 16 groups, codes from 0 to `most`.
#[inline(always)]
pub(in crate::scan) fn affine<const GROUPS: usize>(
    level: SimdLevel,
    layout: &Layout,
    bytes: &[u8],
    batch: &mut Affine,
    most: f32,
    fold: &mut Fold,
) {
    let (units, first) = fold.begin(layout, bytes);
    let per = (layout.elements / GROUPS) as f64;
    for i in units..units.next_multiple_of(WIDE) {
        batch.clear(i);
    }
    let (mut sums, mut sums_sq) = (fold.sum, fold.sum_sq);
    let mut zero_scales = [0u32; LANES];
    for at in (0..units).step_by(WIDE) {
        layout.fetch(bytes, at, WIDE);
        let mut bounds = Bounds { high: [f32::NEG_INFINITY; WIDE], low: [f32::INFINITY; WIDE], zero: [0; WIDE], mins: [0; WIDE] };
        let (d, dmin) = (wide(&batch.d, at), wide(&batch.dmin, at));
        for g in 0..GROUPS {
            group(&mut bounds, d, dmin, wide(&batch.scales[g / 4], at), wide(&batch.mins[g / 4], at), g, most);
        }
        let mut odd = false;
        let mut zero = 0;
        for lane in 0..WIDE {
            odd |= !d[lane].is_finite() | !dmin[lane].is_finite();
            zero |= bounds.zero[lane];
        }
        if odd || zero != 0 {
            for lane in 0..WIDE.min(units - at) {
                let i = at + lane;
                let (d, dmin) = (batch.d[i], batch.dmin[i]);
                if !d.is_finite() || !dmin.is_finite() {
                    fold.whole(level, layout, bytes, i);
                    (bounds.high[lane], bounds.low[lane]) = (f32::NEG_INFINITY, f32::INFINITY);
                    batch.clear(i);
                    continue;
                }
                let mut groups = bounds.zero[lane];
                while groups != 0 {
                    let g = groups.trailing_zeros() as usize;
                    groups &= groups - 1;
                    let byte = |words: &[u32]| f32::from(words[i].to_le_bytes()[g % 4]);
                    let (dl, ml) = (d * byte(&batch.scales[g / 4]), dmin * byte(&batch.mins[g / 4]));
                    let code = code_of(ml, dl, most);
                    // Under a zero scale every code is 0; otherwise no two codes are the same value.
                    let zeros = if dl == 0.0 { per as u64 } else { count(layout.dtype, layout.block(bytes, i), g, code as u8) };
                    fold.stats.zeros += zeros;
                    // -0 less +0 is -0; what else cancels is +0.
                    let negative = (dl * code).to_bits() == 0x8000_0000 && ml.to_bits() == 0;
                    fold.stats.negative_zeros += if negative { zeros } else { 0 };
                }
            }
        }
        // The place of these bounds is whole: a stretch is a multiple of what goes side by side.
        fold.high[first + at..][..WIDE].copy_from_slice(&bounds.high);
        fold.low[first + at..][..WIDE].copy_from_slice(&bounds.low);
        for half in [0, LANES] {
            for lane in 0..LANES {
                let i = at + half + lane;
                zero_scales[lane] += u32::from(batch.d[i] == 0.0);
                let packed = bounds.mins[half + lane];
                let (mins, mins_sq) = (f64::from((packed >> 16) as i32), f64::from((packed & 0xffff) as i32));
                let (d, dmin) = (f64::from(batch.d[i]), f64::from(batch.dmin[i]));
                let (sum, sum_sq, cross) = (f64::from(batch.sum[i]), f64::from(batch.sum_sq[i]), f64::from(batch.cross[i]));
                sums[lane] += d * sum - dmin * (per * mins);
                let squares = d * d * sum_sq - 2.0 * (d * dmin * cross) + dmin * dmin * (per * mins_sq);
                sums_sq[lane] += if squares > 0.0 { squares } else { 0.0 };
            }
        }
    }
    (fold.sum, fold.sum_sq) = (sums, sums_sq);
    fold.stats.scales.zero += u64::from(zero_scales.iter().sum::<u32>());
}
