//! A model spread over several devices: what each rank of a tensor, pipeline, expert and data parallel run holds.
//!
//! Sources: vLLM `distributed/utils.py` (`get_pp_indices`), `model_executor/layers/{linear,vocab_parallel_embedding}.py` and
//! `config/model.py` (KV heads of a rank: `max(1, heads / tp)`), its pages on data and expert parallel deployment; Megatron-LM
//! `theoretical_memory_usage.py`; transformers 5 `base_model_tp_plan`; llama.cpp `llama-model.cpp` (`load_tensors`).

mod adapters;
mod cache;
mod convention;
mod rule;
mod sizes;
mod slice;
mod stages;

pub(super) use adapters::adapters;
pub(super) use convention::Rank;
pub use convention::{Convention, Cutting, Dealing, Padding, Parallel};
pub use slice::{ModelPart, Slice};
pub(super) use slice::{is_input, measure};

use crate::project::input::ProjectInput;

/// What each device holds, in the order replica, stage, tensor rank.
///
/// # Errors
/// Which size is not valid, and which would be.
pub(super) fn slices(input: &ProjectInput<'_>, parallel: &Parallel, convention: &Convention) -> Result<Vec<Slice>, String> {
    let ranks = ranks(input, parallel, convention)?;
    Ok(ranks.into_iter().enumerate().map(|(index, rank)| slice::of(input, parallel, convention, rank, index)).collect())
}

/// The places of the devices, in the order replica, stage, tensor rank.
///
/// # Errors
/// As [`slices`].
pub(super) fn ranks(input: &ProjectInput<'_>, parallel: &Parallel, convention: &Convention) -> Result<Vec<Rank>, String> {
    parallel.devices()?;
    sizes::check(input, parallel, convention)?;
    let stages = stages::bounds(input.model, parallel.pp, convention.dealing)?;
    let mut ranks = Vec::new();
    for replica in 0..parallel.dp {
        for (stage, layers) in stages.iter().enumerate() {
            ranks.extend((0..parallel.tp).map(|tensor| Rank { replica, stage: stage as u64, tensor, layers: *layers }));
        }
    }
    Ok(ranks)
}

/// A line about the run: its sizes, and what is whole on several devices.
pub(super) fn summary(parallel: &Parallel, slices: &[Slice]) -> String {
    let sizes = [("tensor", parallel.tp), ("pipeline", parallel.pp), ("expert", parallel.ep), ("data", parallel.dp)];
    let sizes: Vec<String> = sizes.iter().filter(|(_, n)| *n > 1).map(|(name, n)| format!("{name} parallel {n}")).collect();
    let mut replicated: Vec<&str> = Vec::new();
    for what in slices.iter().flat_map(|s| &s.replicated) {
        if !replicated.contains(what) {
            replicated.push(what);
        }
    }
    let whole =
        if replicated.is_empty() { String::new() } else { format!("; whole on several devices: {}", replicated.join(", ")) };
    format!("{} devices: {}{whole}", slices.len(), sizes.join(", "))
}
