//! A training run as it is asked for, and the row that answers it.

use crate::choice::Choice;
use serde::Serialize;

use super::recipe::Recipe;
use crate::project::memory::terms::Place;

/// What is computed again in the backward pass instead of being kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Recompute {
    /// Nothing: every activation is kept.
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

/// A training run that memory is projected for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrainRequest {
    /// Optimizer and what is trained.
    pub recipe: Recipe,
    /// ZeRO stage, 0 to 3; FSDP shards as stage 3.
    pub zero: u8,
    /// Number of tokens in one sequence.
    pub seq: u64,
    /// Sequences of one micro-batch on one device.
    pub micro_batch: u64,
    /// What the backward pass computes again.
    pub recompute: Recompute,
    /// Data-parallel devices; at least 1.
    pub dp: u64,
}

impl TrainRequest {
    /// One device, one sequence of 4,096 tokens, nothing sharded or recomputed.
    pub fn new(recipe: Recipe) -> Self {
        Self { recipe, zero: 0, seq: 4096, micro_batch: 1, recompute: Recompute::None, dp: 1 }
    }

    /// The name of the place that stands for every device of the run.
    pub(super) fn device_name(&self) -> String {
        if self.dp == 1 { "device 0".to_owned() } else { format!("each of {} devices", self.dp) }
    }
}

/// What one recipe takes on each device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TrainingRow {
    /// Canonical name of the recipe.
    pub recipe: String,
    /// What each device holds: one entry per pipeline stage, as its tensor and data parallel devices are alike.
    pub devices: Vec<Place>,
    /// Notes for the reader of the figures (already escaped).
    pub notes: Vec<String>,
}
