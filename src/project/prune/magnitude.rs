//! What a rule of magnitude pruning causes: its threshold, and how unevenly it thins the matrices.
//!
//! The global rule has one threshold for all matrices (`torch.nn.utils.prune.global_unstructured`), the per-tensor rule one for each
//! (as Wanda and SparseGPT take magnitudes). Stacked experts are one tensor.

use serde::Serialize;

use crate::project::input::ProjectInput;
use crate::stats::magnitude::{Cutoff, Cutoffs};
use crate::text::escape_limited;

/// Share of a matrix beyond which nothing of use is left.
const EMPTIED: f64 = 0.99;
/// Characters of a name that is shown.
const NAME: usize = 80;

/// Both rules at one share.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Magnitude {
    /// Tensors that are pruned.
    pub tensors: u64,
    /// Their finite weights; shares are of these.
    pub weights: u64,
    /// One threshold for all.
    pub global: GlobalRule,
    /// A threshold for each.
    pub per_tensor: PerTensorRule,
}

/// One threshold for all weights.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct GlobalRule {
    /// Weights of this magnitude and below become zero.
    pub threshold: f64,
    /// Share of the weights that do: the target, or a little more where many weights have the same magnitude.
    pub sparsity: f64,
    /// Share by tensor.
    pub tensor_sparsity: Spread,
    /// The tensor that loses the smallest share; escaped.
    pub least_pruned: String,
    /// The tensor that loses the largest share; escaped.
    pub most_pruned: String,
    /// Tensors that lose more than 99 %.
    pub emptied: u64,
}

/// A threshold for each tensor.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PerTensorRule {
    /// Thresholds by tensor.
    pub threshold: Spread,
    /// Share of all weights that become zero.
    pub sparsity: f64,
    /// Share by tensor: above the target only where many weights have the same magnitude.
    pub tensor_sparsity: Spread,
}

/// How a figure spreads over tensors, each counting once.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Spread {
    /// Smallest value.
    pub min: f64,
    /// The middle one; of an even number the lower of the two.
    pub median: f64,
    /// Largest value.
    pub max: f64,
    /// Standard deviation (divided by the number of tensors).
    pub std: f64,
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_unstable_by(f64::total_cmp);
        let (&min, &max) = (values.first()?, values.last()?);
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let variance = values.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n;
        Some(Self { min, median: values[(values.len() - 1) / 2], max, std: variance.sqrt() })
    }
}

/// The rules at a share; `None` where it was not measured, or no weight is finite.
pub(super) fn of(input: &ProjectInput<'_>, cutoffs: &Cutoffs, share: f64) -> Option<Magnitude> {
    let at = cutoffs.shares.iter().position(|s| *s == share)?;
    let global: Cutoff = *cutoffs.global.as_ref()?.get(at)?;
    let (mut weights, mut own_dropped) = (0u64, 0u64);
    let (mut names, mut by_global, mut thresholds, mut own_shares) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (tensor, found) in input.tensors.iter().zip(&cutoffs.tensors) {
        let Some(found) = found.as_ref().filter(|found| found.finite > 0) else { continue };
        let (own, dropped) = (found.own.as_ref()?.get(at)?, *found.by_global.get(at)?);
        let share = |n: u64| n as f64 / found.finite as f64;
        weights = weights.saturating_add(found.finite);
        own_dropped = own_dropped.saturating_add(own.dropped);
        names.push(&tensor.name);
        by_global.push(share(dropped));
        thresholds.push(own.threshold);
        own_shares.push(share(own.dropped));
    }
    let order = |a: &(usize, &f64), b: &(usize, &f64)| a.1.total_cmp(b.1).then(b.0.cmp(&a.0));
    let name = |found: Option<(usize, &f64)>| found.map(|(i, _)| escape_limited(names[i], NAME));
    let of_all = |n: u64| n as f64 / weights.max(1) as f64;
    Some(Magnitude {
        tensors: names.len() as u64,
        weights,
        global: GlobalRule {
            threshold: global.threshold,
            sparsity: of_all(global.dropped),
            least_pruned: name(by_global.iter().enumerate().min_by(|a, b| a.1.total_cmp(b.1)))?,
            most_pruned: name(by_global.iter().enumerate().max_by(order))?,
            emptied: by_global.iter().filter(|share| **share > EMPTIED).count() as u64,
            tensor_sparsity: Spread::of(by_global)?,
        },
        per_tensor: PerTensorRule {
            threshold: Spread::of(thresholds)?,
            sparsity: of_all(own_dropped),
            tensor_sparsity: Spread::of(own_shares)?,
        },
    })
}
