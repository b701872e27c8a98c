//! Training over tensor, pipeline and expert parallel devices, as Megatron-LM cuts a model.
//!
//! Source: Megatron-LM `theoretical_memory_usage.py` (cut, replicated and expert parameters apart; the states of experts sharded over
//! dp / ep); arXiv 2205.05198 for activations, with as many micro-batches in flight as there are stages from one on.

use super::activations::{self, Cut};
use super::model::{Dims, Parameters, trained, vocabulary};
use super::request::{TrainRequest, TrainingRow};
use crate::project::input::{ProjectInput, ProjectTensor};
use crate::project::memory::parallel::{self, Convention, Cutting, Dealing, Padding, Parallel, Rank};
use crate::project::memory::terms::{Place, Term, gpu_runtime};
use crate::project::plan::Basis;

pub(super) const MEGATRON: Convention = Convention {
    name: "Megatron-LM",
    dealing: Dealing::First,
    cutting: Ok(Cutting { vocabulary: Padding::PerRank(128), repeats_kv_heads: true, cuts_embedding: true }),
    experts_over_replicas: false,
    no_experts: None,
    embedding_on_host: false,
    host_expert_layers: 0,
    alignment: 1,
};

/// A run over several devices.
#[derive(Debug)]
pub(super) struct SpreadRun<'r> {
    /// Canonical name of the recipe.
    pub(super) recipe: String,
    pub(super) asked: &'r TrainRequest,
    pub(super) parallel: &'r Parallel,
    /// Whether attention scores are never stored.
    pub(super) fused: bool,
    /// Models that give logits: 2 for a teacher beside a student.
    pub(super) models: u64,
}

impl SpreadRun<'_> {
    pub(super) fn refused(&self, reason: String) -> TrainingRow {
        let place = Place::new(Some("device 0".to_owned()), vec![Term::refused("weights", reason)]);
        TrainingRow { recipe: self.recipe.clone(), devices: vec![place], notes: Vec::new() }
    }
}

/// The first tensor rank of a stage.
///
/// # Errors
/// Why the model is not cut so.
pub(super) fn rank(input: &ProjectInput<'_>, run: &SpreadRun<'_>, stage: usize) -> Result<Rank, String> {
    let ranks = parallel::ranks(input, run.parallel, &MEGATRON)?;
    let found = ranks.into_iter().find(|rank| rank.replica == 0 && rank.tensor == 0 && rank.stage as usize == stage);
    found.ok_or_else(|| "there is no such stage".to_owned())
}

/// One entry per stage: its first tensor rank, which holds as many rows of the vocabulary as any. `states` gives its weights, gradients
/// and optimizer states.
pub(super) fn row(input: &ProjectInput<'_>, run: &SpreadRun<'_>, states: &dyn Fn(&Rank, usize) -> Vec<Term>) -> TrainingRow {
    let (asked, parallel) = (run.asked, run.parallel);
    let ranks = match parallel::ranks(input, parallel, &MEGATRON) {
        Ok(ranks) => ranks,
        Err(reason) => return run.refused(reason),
    };
    let first = ranks.iter().filter(|rank| rank.replica == 0 && rank.tensor == 0);
    let devices: Vec<Place> = first
        .enumerate()
        .map(|(place, rank)| {
            let mut terms = states(rank, place);
            let last = rank.stage + 1 == parallel.pp;
            terms.push(match Dims::of(input.model) {
                Ok(dims) => {
                    let layers = rank.layers.1.min(dims.layers).saturating_sub(rank.layers.0);
                    let cut = Cut { tp: parallel.tp, layers, in_flight: parallel.pp - rank.stage };
                    activations::activations(&dims, asked, run.fused, cut)
                }
                Err(why) => Term::refused("activations", why),
            });
            if last {
                terms.push(activations::logits(vocabulary(input), asked, run.models, parallel.tp));
            }
            terms.push(gpu_runtime());
            let alike = parallel.tp.saturating_mul(parallel.dp);
            Place::new(Some(format!("stage {}, each of {alike} devices", rank.stage)), terms)
        })
        .collect();
    let mut notes = vec![format!(
        "tp {} x pp {} x dp {} devices, experts over {}, as Megatron-LM cuts them; norms and routers are whole on every rank",
        parallel.tp, parallel.pp, parallel.dp, parallel.ep
    )];
    if let Some(worst) = devices.iter().max_by_key(|d| (d.high, d.low)).and_then(|d| d.name.clone()) {
        notes.push(format!("most on {worst}"));
    }
    if devices.iter().flat_map(|d| &d.terms).any(|t| t.basis == Basis::Refused) {
        notes.push("the totals leave out: activations".to_owned());
    }
    TrainingRow { recipe: run.recipe.clone(), devices, notes }
}

/// The parameters of one rank, padding rows of the vocabulary included.
pub(super) fn held(input: &ProjectInput<'_>, parallel: &Parallel, rank: &Rank) -> Parameters {
    let counted: std::collections::HashSet<*const ProjectTensor<'_>> = trained(input).map(std::ptr::from_ref).collect();
    let size = |t: &ProjectTensor<'_>| if counted.contains(&std::ptr::from_ref(t)) { t.logical_params } else { 0 };
    let held = parallel::measure(input, parallel, &MEGATRON, rank, &size);
    let dense = held.high.saturating_add(held.padding);
    let mut tensors: Vec<(Vec<u64>, u64)> = held.parts.iter().map(|&n| (vec![n], n)).collect();
    tensors.extend([held.padding, held.experts].into_iter().filter(|&n| n > 0).map(|n| (vec![n], n)));
    Parameters {
        params: dense.saturating_add(held.experts),
        largest_module: held.parts.iter().copied().max().unwrap_or(0),
        tensors,
        experts: (held.experts > 0).then_some((held.experts, parallel.dp / parallel.ep.max(1))),
    }
}
