//! Memory at training, per device: weights, gradients and optimizer states under a ZeRO stage, activations, logits, a teacher.

mod activations;
mod adapters;
mod distillation;
mod model;
mod recipe;
mod request;
mod spread;
mod states;

pub use recipe::Recipe;
pub use request::{Recompute, TrainRequest, TrainingRow};

use super::parallel::{self, Parallel};
use super::terms::{Place, Term, gpu_runtime};
use crate::project::input::ProjectInput;
use crate::project::plan::Basis;
use model::{Dims, Parameters, vocabulary};
use recipe::{Kind, States};

/// Projects a training run: one row, two for distillation. `fused` is whether attention scores are never stored.
pub(super) fn rows(input: &ProjectInput<'_>, asked: &TrainRequest, parallel: &Parallel, fused: bool) -> Vec<TrainingRow> {
    let asked = &TrainRequest { dp: asked.dp.max(1), seq: asked.seq.max(1), micro_batch: asked.micro_batch.max(1), ..*asked };
    if (parallel.tp, parallel.pp, parallel.ep) != (1, 1, 1) {
        return over_devices(input, asked, parallel, fused);
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
        Kind::Full(recipe) => states::terms(recipe, &Parameters::of(input), asked),
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
    terms.push(gpu_runtime());
    vec![row(asked.recipe.name(), Place::new(Some(asked.device_name()), terms), notes)]
}

/// The same over tensor, pipeline and expert parallel devices.
fn over_devices(input: &ProjectInput<'_>, asked: &TrainRequest, parallel: &Parallel, fused: bool) -> Vec<TrainingRow> {
    let parallel = &Parallel { dp: asked.dp, ..*parallel };
    let run = spread::SpreadRun { recipe: asked.recipe.name(), asked, parallel, fused, models: 1 };
    match asked.recipe.0 {
        Kind::Full(optimizer) if optimizer.states == States::Factored => {
            let reason =
                "no published rule for Adafactor's rows and columns of a matrix that is cut: --tp, --pp and --ep 1 are valid";
            vec![run.refused(reason.to_owned())]
        }
        Kind::Full(optimizer) => {
            vec![spread::row(input, &run, &|rank, _| states::terms(optimizer, &spread::held(input, parallel, rank), asked))]
        }
        Kind::Lora(r) => {
            let mut row = spread::row(input, &run, &|rank, _| {
                let adapters = parallel::adapters(input, r, parallel, &spread::MEGATRON, rank);
                adapters::spread_terms(spread::held(input, parallel, rank).params, adapters, r, asked)
            });
            row.notes.push(
                "adapters from both matrices cut (NeMo, Megatron-Bridge) to one of them whole on every tensor rank (PEFT); activations are those \
                 of full training"
                    .to_owned(),
            );
            vec![row]
        }
        Kind::Qlora(_) => {
            let reason = "no published rule for cutting a base in NF4: --tp, --pp and --ep 1 are valid, or lora";
            vec![run.refused(reason.to_owned())]
        }
        Kind::Distill => distillation::spread_rows(input, asked, parallel, fused),
    }
}
