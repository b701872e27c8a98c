//! Statistics over decoded values: the plain way, and the way of blocks whose scales are not ordinary numbers.

use crate::stats::LeafStats;

/// Sums run in this many lanes, element `i` in lane `i % LANES`, so that they vectorise in one fixed order.
pub(super) const LANES: usize = 8;

/// Adds the values of one block. Their number is a multiple of eight, as it is for every block quant.
#[inline(always)]
pub(super) fn add(values: &[f32], stats: &mut LeafStats) {
    let (mut zeros, mut negative_zeros, mut nan, mut pos_inf, mut neg_inf) = (0u32, 0u32, 0u32, 0u32, 0u32);
    let (mut min, mut max) = ([f32::INFINITY; LANES], [f32::NEG_INFINITY; LANES]);
    let (mut sum, mut sum_sq) = ([0f64; LANES], [0f64; LANES]);
    for eight in values.as_chunks::<LANES>().0 {
        for (l, &v) in eight.iter().enumerate() {
            zeros += u32::from(v == 0.0);
            negative_zeros += u32::from(v.to_bits() == 0x8000_0000);
            nan += u32::from(v.is_nan());
            pos_inf += u32::from(v == f32::INFINITY);
            neg_inf += u32::from(v == f32::NEG_INFINITY);
            let finite = v.is_finite();
            let (low, high) = if finite { (v, v) } else { (f32::INFINITY, f32::NEG_INFINITY) };
            min[l] = if low < min[l] { low } else { min[l] };
            max[l] = if high > max[l] { high } else { max[l] };
            let exact = f64::from(if finite { v } else { 0.0 });
            sum[l] += exact;
            sum_sq[l] += exact * exact;
        }
    }
    stats.elements += values.len() as u64;
    stats.zeros += u64::from(zeros);
    stats.negative_zeros += u64::from(negative_zeros);
    stats.nan += u64::from(nan);
    stats.pos_inf += u64::from(pos_inf);
    stats.neg_inf += u64::from(neg_inf);
    // Adding 0.0 makes -0.0 +0.0: the sign of a zero extreme would tell the order of the elements.
    stats.min = stats.min.min(f64::from(min.into_iter().fold(f32::INFINITY, f32::min)) + 0.0);
    stats.max = stats.max.max(f64::from(max.into_iter().fold(f32::NEG_INFINITY, f32::max)) + 0.0);
    stats.sum += tree(sum);
    stats.sum_sq += tree(sum_sq);
}

/// The sum of the lanes, in a fixed order.
#[inline(always)]
pub(super) fn tree(lanes: [f64; LANES]) -> f64 {
    let [a, b, c, d, e, f, g, h] = lanes;
    ((a + e) + (c + g)) + ((b + f) + (d + h))
}
