//! Memory at training, per device: weights, gradients and optimizer states under a ZeRO stage, activations, logits, a teacher.

mod activations;
mod adapters;
mod distillation;
mod model;
mod recipe;
mod spread;
mod states;

pub use recipe::Recipe;

use serde::Serialize;

use super::parallel::Parallel;
use super::{Place, Term};
use crate::checkpoint::Role;
use crate::choice::Choice;
use crate::project::input::ProjectInput;
use crate::project::storage::Basis;
use model::{Dims, Weights};
use recipe::Kind;

/// What is computed again in the backward pass instead of being kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Recompute {
    /// Nothing.
    #[default]
    None,
    /// The attention core: scores and their softmax.
    Selective,
    /// Whole layers: only their inputs are kept.
    Full,
}

impl Choice for Recompute {
    const WHAT: &'static str = "way to recompute";
    const NAMES: &'static [(&'static str, Self, &'static str)] = &[
        ("none", Self::None, "Nothing"),
        ("selective", Self::Selective, "Attention scores"),
        ("full", Self::Full, "Whole layers"),
    ];
}

/// A training run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrainRequest {
    /// Optimizer and what is trained.
    pub recipe: Recipe,
    /// ZeRO stage, 0 to 3; FSDP shards as stage 3.
    pub zero: u8,
    /// Tokens of one sequence.
    pub seq: u64,
    /// Sequences of one micro-batch on one device.
    pub micro_batch: u64,
    /// What is recomputed.
    pub recompute: Recompute,
    /// Data-parallel devices; at least 1.
    pub dp: u64,
}

impl TrainRequest {
    /// One device, one sequence of 4,096 tokens, nothing sharded or recomputed.
    pub fn new(recipe: Recipe) -> Self {
        Self { recipe, zero: 0, seq: 4096, micro_batch: 1, recompute: Recompute::None, dp: 1 }
    }
}

/// One recipe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TrainingRow {
    /// Its canonical name.
    pub recipe: String,
    /// What each device holds: one entry per pipeline stage, as its tensor and data parallel devices are alike.
    pub devices: Vec<Place>,
    /// What a reader of the figures should know; escaped.
    pub notes: Vec<String>,
}

/// Projects a training run: one row, two for distillation. `fused` is whether attention scores are never stored.
pub(super) fn rows(input: &ProjectInput<'_>, asked: &TrainRequest, parallel: &Parallel, fused: bool) -> Vec<TrainingRow> {
    let asked = &TrainRequest { dp: asked.dp.max(1), seq: asked.seq.max(1), micro_batch: asked.micro_batch.max(1), ..*asked };
    if (parallel.tp, parallel.pp, parallel.ep) != (1, 1, 1) {
        return spread::rows(input, asked, parallel, fused);
    }
    let row = |recipe, place: Place, mut notes: Vec<String>| {
        let left_out: Vec<&str> = place.terms.iter().filter(|t| t.basis == Basis::Refused).map(|t| t.name).collect();
        if !left_out.is_empty() {
            notes.push(format!("the totals leave out: {}", left_out.join(", ")));
        }
        notes.push("temporary buffers of the optimizer's step and the allocator's losses are not counted".to_owned());
        TrainingRow { recipe, devices: vec![place], notes }
    };
    let mut notes = Vec::new();
    let mut terms = match asked.recipe.0 {
        Kind::Full(recipe) => states::terms(recipe, &Weights::of(input), asked),
        Kind::Lora(rank) => adapters::terms(input, rank, false, asked),
        Kind::Qlora(rank) => adapters::terms(input, rank, true, asked),
        Kind::Distill => {
            let students = distillation::rows(input, asked, fused);
            return students.into_iter().map(|(recipe, place, notes)| row(recipe, place, notes)).collect();
        }
    };
    if matches!(asked.recipe.0, Kind::Lora(_) | Kind::Qlora(_)) {
        notes.push("activations are those of full training: frozen weights need fewer, adapters add a few".to_owned());
    }
    terms.push(match Dims::of(input.model) {
        Ok(dims) => activations::activations(&dims, asked, fused, activations::Cut::whole(&dims)),
        Err(why) => Term::refused("activations", why),
    });
    terms.push(activations::logits(vocabulary(input), asked, 1, 1));
    terms.push(runtime());
    vec![row(asked.recipe.name(), Place::new(Some(device_name(asked)), terms), notes)]
}

fn runtime() -> Term {
    super::engine::gpu_runtime()
}

fn device_name(asked: &TrainRequest) -> String {
    if asked.dp == 1 { "device 0".to_owned() } else { format!("each of {} devices", asked.dp) }
}

/// Rows of the output head: the stored embedding or head, else as configured.
fn vocabulary(input: &ProjectInput<'_>) -> Option<u64> {
    let stored = |role| input.tensors.iter().find(|t| t.role == role && t.shape.len() == 2).and_then(|t| t.shape.first().copied());
    stored(Role::LmHead).or_else(|| stored(Role::Embedding)).or(input.model.vocab_size)
}
