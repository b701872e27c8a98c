//! Training over tensor, pipeline and expert parallel devices, as Megatron-LM cuts a model.
//!
//! Source: Megatron-LM `theoretical_memory_usage.py` (cut, replicated and expert parameters apart; the states of experts sharded over
//! dp / ep); arXiv 2205.05198 for activations, with as many micro-batches in flight as there are stages from one on.

use super::activations::{self, Cut};
use super::model::{Dims, Weights, trained};
use super::recipe::{Kind, States};
use super::{TrainRequest, TrainingRow, runtime, states, vocabulary};
use crate::project::input::{ProjectInput, ProjectTensor};
use crate::project::memory::parallel::{self, Convention, Cutting, Dealing, Parallel, Rank};
use crate::project::memory::{Place, Term};
use crate::project::storage::Basis;

const MEGATRON: Convention = Convention {
    name: "Megatron-LM",
    dealing: Dealing::First,
    cutting: Cutting::Megatron,
    experts_over_replicas: false,
    no_experts: None,
    embedding_on_host: false,
    alignment: 1,
};

/// One entry per stage: its first tensor rank, which holds as many rows of the vocabulary as any.
pub(super) fn row(input: &ProjectInput<'_>, asked: &TrainRequest, parallel: &Parallel, fused: bool) -> TrainingRow {
    let recipe = asked.recipe.name();
    let refused = |reason: String| {
        let place = Place::new(Some("device 0".to_owned()), vec![Term::refused("weights", reason)]);
        TrainingRow { recipe: recipe.clone(), devices: vec![place], notes: Vec::new() }
    };
    let Kind::Full(optimizer) = asked.recipe.0 else {
        return refused(format!("{recipe} is projected for data parallel devices only: --tp, --pp and --ep 1 are valid"));
    };
    if optimizer.states == States::Factored {
        return refused("the factored states of a cut matrix are not projected: --tp, --pp and --ep 1 are valid".to_owned());
    }
    let ranks = match parallel::ranks(input, &Parallel { dp: asked.dp, ..*parallel }, &MEGATRON) {
        Ok(ranks) => ranks,
        Err(reason) => return refused(reason),
    };
    let parallel = &Parallel { dp: asked.dp, ..*parallel };
    let first = ranks.iter().filter(|rank| rank.replica == 0 && rank.tensor == 0);
    let devices: Vec<Place> = first
        .map(|rank| {
            let mut terms = states::terms(optimizer, &held(input, parallel, rank), asked);
            let last = rank.stage + 1 == parallel.pp;
            terms.push(match Dims::of(input.model) {
                Ok(dims) => {
                    let layers = rank.layers.1.min(dims.layers).saturating_sub(rank.layers.0);
                    let cut = Cut { tp: parallel.tp, layers, in_flight: parallel.pp - rank.stage };
                    activations::activations(&dims, asked, fused, cut)
                }
                Err(why) => Term::refused("activations", why),
            });
            if last {
                terms.push(activations::logits(vocabulary(input), asked, 1, parallel.tp));
            }
            terms.push(runtime());
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
    TrainingRow { recipe, devices, notes }
}

/// The parameters of one rank, padding rows of the vocabulary included.
fn held(input: &ProjectInput<'_>, parallel: &Parallel, rank: &Rank) -> Weights {
    let counted: std::collections::HashSet<*const ProjectTensor<'_>> = trained(input).map(std::ptr::from_ref).collect();
    let size = |t: &ProjectTensor<'_>| if counted.contains(&std::ptr::from_ref(t)) { t.logical_params } else { 0 };
    let held = parallel::measure(input, parallel, &MEGATRON, rank, &size);
    let dense = held.high.saturating_add(held.padding);
    let mut tensors: Vec<(Vec<u64>, u64)> = held.parts.iter().map(|&n| (vec![n], n)).collect();
    tensors.extend([held.padding, held.experts].into_iter().filter(|&n| n > 0).map(|n| (vec![n], n)));
    Weights {
        params: dense.saturating_add(held.experts),
        largest_module: held.parts.iter().copied().max().unwrap_or(0),
        tensors,
        experts: (held.experts > 0).then_some((held.experts, parallel.dp / parallel.ep.max(1))),
    }
}
