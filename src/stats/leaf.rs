//! What a kernel says of one leaf.

use std::ops::{Deref, DerefMut};

use serde::{Deserialize, Serialize};

use super::ElementCounts;

/// ElementCounts of the blocks of block quants whose stored scales are NaN, infinite or zero. All are 0 for dtypes without such scales.
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
    /// Elements by kind; they read as fields of these figures too.
    pub counts: ElementCounts,
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
            counts: ElementCounts::default(),
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            sum: 0.0,
            sum_sq: 0.0,
            pivot: 0.0,
            scales: ScaleHealth::default(),
        }
    }
}

impl Deref for LeafStats {
    type Target = ElementCounts;

    fn deref(&self) -> &ElementCounts {
        &self.counts
    }
}

impl DerefMut for LeafStats {
    fn deref_mut(&mut self) -> &mut ElementCounts {
        &mut self.counts
    }
}
