//! What magnitude pruning would drop: the threshold of each tensor's own, one threshold for all, and how many weights each takes.
//!
//! A threshold at a share s is the smallest magnitude that at least that share of the finite weights does not exceed (the inverse
//! of the distribution function, `numpy.quantile(..., method="inverted_cdf")`); pruning drops every weight up to it. Weights of
//! the same magnitude go together, so slightly more than s may go.

/// One threshold.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Cutoff {
    /// The largest magnitude that is dropped.
    pub threshold: f64,
    /// Weights up to it.
    pub dropped: u64,
}

/// One tensor.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TensorCutoffs {
    /// Weights that are finite numbers; all shares are of these.
    pub finite: u64,
    /// Its own threshold at each share; `None` where no weight is finite.
    pub own: Option<Vec<Cutoff>>,
    /// How many of its weights the threshold for all drops, at each share.
    pub by_global: Vec<u64>,
}

/// All tensors that are pruned together.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Cutoffs {
    /// The shares requested, 0 to 1.
    pub shares: Vec<f64>,
    /// The threshold for all weights together, at each share; `None` where no weight is finite.
    pub global: Option<Vec<Cutoff>>,
    /// Aligned with the tensors of the caller; `None` for those that were not looked at.
    pub tensors: Vec<Option<TensorCutoffs>>,
}

/// How many of `n` weights, in order, the threshold at a share has up to and with itself: the least whole number of at least
/// n x share, 1 at least.
pub fn rank(n: u64, share: f64) -> u64 {
    // As a fraction of 10^15 a share of 0.1 is the tenth that was meant.
    let parts = (share.clamp(0.0, 1.0) * 1e15).round() as u128;
    u64::try_from((u128::from(n) * parts).div_ceil(1_000_000_000_000_000)).unwrap_or(u64::MAX).clamp(1, n.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_those_of_the_inverted_distribution() {
        let of = |n, share| rank(n, share);
        assert_eq!([of(10, 0.5), of(10, 0.1), of(10, 0.11), of(10, 0.0), of(10, 1.0), of(3, 0.5)], [5, 1, 2, 1, 10, 2]);
        assert_eq!((of(0, 0.5), of(u64::MAX, 1.0), of(30, 0.7)), (1, u64::MAX, 21));
    }
}
