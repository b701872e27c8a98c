//! Count, mean and sum of squared deviations, and how two of them become one.

use serde::{Deserialize, Serialize};

use super::exact;

/// Mean and spread of the finite values seen. +Inf stands for a figure that lies beyond f64.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Moments {
    /// Finite values.
    pub n: u64,
    /// Their mean; 0 where there are none.
    #[serde(with = "exact")]
    pub mean: f64,
    /// Sum of squared deviations from that mean.
    #[serde(with = "exact")]
    pub m2: f64,
}

impl Moments {
    /// Makes moments of a count, a sum and a sum of squares, both taken of `value - pivot`. A pivot near the mean keeps the digits that
    /// a plain sum of squares loses when the mean is large beside the spread; 0 gives the plain sums.
    pub fn from_sums(n: u64, sum: f64, sum_sq: f64, pivot: f64) -> Self {
        if n == 0 {
            return Self::default();
        }
        let shift = sum / n as f64;
        Self { n, mean: within(pivot + shift), m2: within(sum_sq - sum * shift).max(0.0) }
    }

    /// Merges both by the pairwise update of Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing
    /// sample variances" (1979). Not commutative in the last digit: `self` is the part that lies earlier in the tensor.
    #[must_use]
    pub fn merge(self, later: Self) -> Self {
        if self.n == 0 {
            return later;
        }
        if later.n == 0 {
            return self;
        }
        let n = self.n.saturating_add(later.n);
        let weight = later.n as f64 / n as f64;
        let delta = later.mean - self.mean;
        let m2 = self.m2 + later.m2 + delta * delta * (self.n as f64 * weight);
        Self { n, mean: within(self.mean + delta * weight), m2: within(m2) }
    }

    /// Sum of squares of the values themselves.
    pub fn sum_sq(self) -> f64 {
        self.m2 + self.mean * self.mean * self.n as f64
    }
}

/// +Inf for everything that has left the range of f64, so that the same figures come out whatever NaN a processor makes.
fn within(figure: f64) -> f64 {
    if figure.is_finite() { figure } else { f64::INFINITY }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merging_equals_one_pass() {
        let values: Vec<f64> = (0..1000).map(|i| 1e6 + f64::from(i % 17)).collect();
        let of = |v: &[f64]| {
            let d = |p: i32| v.iter().map(|x| (x - 1e6).powi(p)).sum::<f64>();
            Moments::from_sums(v.len() as u64, d(1), d(2), 1e6)
        };
        let (whole, halves) = (of(&values), of(&values[..333]).merge(of(&values[333..])));
        assert_eq!(whole.n, halves.n);
        assert!((whole.mean - halves.mean).abs() < 1e-9);
        assert!((whole.m2 / halves.m2 - 1.0).abs() < 1e-12);
        assert_eq!(Moments::default().merge(whole), whole);
        assert_eq!(whole.merge(Moments::default()), whole);
    }
}
