//! The figures of a tensor, of a slice of it, of a subtree of its leaves, or of many tensors together.

use std::ops::Deref;

use serde::{Deserialize, Serialize};

use super::{ElementCounts, LeafStats, Moments, ScaleHealth, exact};

/// Merged figures. ElementCounts are of elements as stored; extremes and moments are over finite values.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TensorStats {
    /// Elements by kind; they read as fields of these figures too.
    #[serde(flatten)]
    pub counts: ElementCounts,
    /// Smallest finite value; +Inf if there is none. [`TensorStats::min`] says it with an `Option`.
    #[serde(with = "exact")]
    pub raw_min: f64,
    /// Largest finite value; -Inf if there is none.
    #[serde(with = "exact")]
    pub raw_max: f64,
    /// Mean and spread.
    pub moments: Moments,
    /// Blocks with invalid or zero scales.
    pub scales: ScaleHealth,
}

impl Deref for TensorStats {
    type Target = ElementCounts;

    fn deref(&self) -> &ElementCounts {
        &self.counts
    }
}

impl Default for TensorStats {
    fn default() -> Self {
        Self::from(LeafStats::default())
    }
}

impl From<LeafStats> for TensorStats {
    fn from(leaf: LeafStats) -> Self {
        let n = leaf.finite();
        let moments = if leaf.min > leaf.max {
            Moments::default()
        } else if leaf.min == leaf.max {
            // A constant leaf has no spread, whatever its sums were rounded to.
            Moments { n, mean: leaf.min + 0.0, m2: 0.0 }
        } else {
            Moments::from_sums(n, leaf.sum, leaf.sum_sq, leaf.pivot)
        };
        Self {
            counts: leaf.counts,
            // Adding +0 makes one zero of the two, so that the sign does not depend on which was met first.
            raw_min: leaf.min + 0.0,
            raw_max: leaf.max + 0.0,
            moments,
            scales: leaf.scales,
        }
    }
}

impl TensorStats {
    /// Merges both; `self` is what lies earlier.
    #[must_use]
    pub fn merge(&self, later: &Self) -> Self {
        Self {
            counts: self.counts.merge(later.counts),
            raw_min: self.raw_min.min(later.raw_min),
            raw_max: self.raw_max.max(later.raw_max),
            moments: self.moments.merge(later.moments),
            scales: self.scales.merge(later.scales),
        }
    }

    /// The figures of many tensors in the order given (which fixes the last digits of the moments).
    pub fn total<'a>(tensors: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut fold = Pairwise::default();
        for tensor in tensors {
            fold.push(*tensor);
        }
        fold.finish()
    }

    /// Smallest finite value; `None` where there is none.
    pub fn min(&self) -> Option<f64> {
        (self.raw_min <= self.raw_max).then_some(self.raw_min)
    }

    /// Largest finite value; `None` where there is none.
    pub fn max(&self) -> Option<f64> {
        (self.raw_min <= self.raw_max).then_some(self.raw_max)
    }

    /// Largest magnitude of a finite value; `None` where there is none.
    pub fn abs_max(&self) -> Option<f64> {
        (self.raw_min <= self.raw_max).then_some(self.raw_min.abs().max(self.raw_max.abs()))
    }

    /// Mean of the finite values; `None` where there are none, or where it lies beyond f64.
    pub fn mean(&self) -> Option<f64> {
        self.known(self.moments.mean)
    }

    /// Population standard deviation of the finite values; `None` where there are none, or where a square lies beyond f64.
    pub fn std(&self) -> Option<f64> {
        self.known((self.moments.m2 / self.moments.n as f64).sqrt())
    }

    /// Euclidean norm of the finite values; `None` where there are none, or where a square lies beyond f64.
    pub fn l2(&self) -> Option<f64> {
        self.known(self.moments.sum_sq().sqrt())
    }

    /// Fraction of exact zeros; `None` for no elements.
    pub fn sparsity(&self) -> Option<f64> {
        (self.elements != 0).then(|| self.zeros as f64 / self.elements as f64)
    }

    /// Whether there are elements and every one is zero.
    pub fn all_zero(&self) -> bool {
        self.elements != 0 && self.zeros == self.elements
    }

    /// Whether there are elements, all are finite, and all have one value.
    pub fn constant(&self) -> bool {
        self.elements != 0 && self.non_finite() == 0 && self.raw_min == self.raw_max
    }

    fn known(&self, figure: f64) -> Option<f64> {
        (self.moments.n != 0 && figure.is_finite()).then_some(figure)
    }
}

/// Folds any number of figures in pairs, pairs of pairs and so on, keeping one entry for each power of two: rounding errors
/// grow with the logarithm of the count.
#[derive(Debug, Clone, Default)]
pub struct Pairwise {
    stack: Vec<(u32, TensorStats)>,
}

impl Pairwise {
    /// Adds the next figures.
    pub fn push(&mut self, stats: TensorStats) {
        let mut entry = (0, stats);
        while let Some((level, earlier)) = self.stack.pop() {
            if level != entry.0 {
                self.stack.push((level, earlier));
                break;
            }
            entry = (level + 1, earlier.merge(&entry.1));
        }
        self.stack.push(entry);
    }

    /// All of them together.
    pub fn finish(mut self) -> TensorStats {
        let Some((_, mut total)) = self.stack.pop() else { return TensorStats::default() };
        while let Some((_, earlier)) = self.stack.pop() {
            total = earlier.merge(&total);
        }
        total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_finite_has_no_figures() {
        let stats = TensorStats::from(LeafStats {
            counts: ElementCounts { elements: 3, nan: 2, neg_inf: 1, ..ElementCounts::default() },
            ..LeafStats::default()
        });
        assert_eq!((stats.min(), stats.mean(), stats.std(), stats.l2()), (None, None, None, None));
        assert_eq!(stats.sparsity(), Some(0.0));
        assert_eq!(TensorStats::default().sparsity(), None);
        assert!(!stats.constant() && !TensorStats::default().all_zero());
    }

    #[test]
    fn a_total_is_the_sum_of_its_tensors() {
        let counts = ElementCounts { elements: 4, ..ElementCounts::default() };
        let leaf = |x: f64| LeafStats { counts, min: x, max: x, sum: 4.0 * x, sum_sq: 4.0 * x * x, ..LeafStats::default() };
        let tensors: Vec<TensorStats> = (0..7).map(|i| leaf(f64::from(i)).into()).collect();
        let total = TensorStats::total(&tensors);
        assert_eq!((total.elements, total.mean(), total.std(), total.abs_max()), (28, Some(3.0), Some(2.0), Some(6.0)));
        assert!((total.l2().unwrap() - (4.0f64 * 91.0).sqrt()).abs() < 1e-12);
    }
}
