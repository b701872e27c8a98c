//! Figures of elements taken one by one, and the last steps of a leaf, which several kernels share.

use crate::stats::LeafStats;

/// Sums of values around a pivot.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sums {
    pub(super) sum: f64,
    pub(super) sum_sq: f64,
}

impl Sums {
    /// The sums of the finite ones among some values.
    pub(super) fn around(pivot: f64, values: impl Iterator<Item = f64>) -> Self {
        let mut sums = Self::default();
        for value in values.filter(|value| value.is_finite()) {
            let deviation = value - pivot;
            sums.sum += deviation;
            sums.sum_sq += deviation * deviation;
        }
        sums
    }

    /// Whether plain sums would lose digits of the standard deviation: the squares of the mean are more than four fifths of all
    /// squares. A constant leaf has no deviation to lose.
    pub(super) fn lose_digits(stats: &LeafStats) -> bool {
        let n = stats.finite() as f64;
        stats.min < stats.max && stats.sum * (stats.sum / n) > 0.8 * stats.sum_sq
    }
}

/// The sum of lanes, in a fixed order: halves onto each other.
pub(super) fn add_up(mut lanes: [f64; 16]) -> f64 {
    let mut half = 8;
    while half > 0 {
        for lane in 0..half {
            lanes[lane] += lanes[lane + half];
        }
        half /= 2;
    }
    lanes[0]
}

/// The figures of some values, one after the other, with plain sums.
pub(super) fn fold(values: impl Iterator<Item = f64>) -> LeafStats {
    let mut stats = LeafStats::default();
    for value in values {
        stats.counts.add(value, 1);
        if value.is_finite() {
            stats.min = stats.min.min(value);
            stats.max = stats.max.max(value);
            stats.sum += value;
            stats.sum_sq += value * value;
        }
    }
    stats
}
