//! What a kernel says of one leaf.

use serde::{Deserialize, Serialize};

/// Counts of the blocks of block quants whose stored scales are NaN, infinite or zero. All are 0 for dtypes without such scales.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ScaleHealth {
    /// Blocks seen.
    pub blocks: u64,
    /// Blocks with a NaN among their scales.
    pub nan: u64,
    /// Blocks with an infinite scale and no NaN.
    pub inf: u64,
    /// Blocks whose scales are all zero.
    pub zero: u64,
}

impl ScaleHealth {
    /// Adds the counts of both.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        Self {
            blocks: self.blocks.saturating_add(other.blocks),
            nan: self.nan.saturating_add(other.nan),
            inf: self.inf.saturating_add(other.inf),
            zero: self.zero.saturating_add(other.zero),
        }
    }

    /// Whether any scale is invalid: NaN or infinite.
    pub fn has_nan_or_inf(self) -> bool {
        self.nan != 0 || self.inf != 0
    }
}

/// The figures of one leaf as a kernel has them: counts, extremes and sums.
///
/// Moments are over finite values. A dtype without an order (C64) leaves `min > max`, and then has no moments either.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LeafStats {
    /// Elements seen.
    pub elements: u64,
    /// Elements that decode to +0 or -0.
    pub zeros: u64,
    /// Those of them that are -0.
    pub negative_zeros: u64,
    /// NaN elements.
    pub nan: u64,
    /// Elements that are +Inf.
    pub pos_inf: u64,
    /// Elements that are -Inf.
    pub neg_inf: u64,
    /// Smallest finite value; +Inf if there is none.
    pub min: f64,
    /// Largest finite value; -Inf if there is none.
    pub max: f64,
    /// Sum of `value - pivot` over finite values.
    pub sum: f64,
    /// Sum of `(value - pivot)^2` over finite values.
    pub sum_sq: f64,
    /// What the sums are centred on: 0 for plain sums. A kernel gives another pivot where the mean is so large beside the
    /// spread that plain sums would lose the standard deviation.
    pub pivot: f64,
    /// Blocks with invalid or zero scales.
    pub scales: ScaleHealth,
}

impl Default for LeafStats {
    fn default() -> Self {
        Self {
            elements: 0,
            zeros: 0,
            negative_zeros: 0,
            nan: 0,
            pos_inf: 0,
            neg_inf: 0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            sum: 0.0,
            sum_sq: 0.0,
            pivot: 0.0,
            scales: ScaleHealth::default(),
        }
    }
}

impl LeafStats {
    /// Elements that are neither NaN nor infinite.
    pub fn finite(&self) -> u64 {
        self.elements - self.nan - self.pos_inf - self.neg_inf
    }
}
