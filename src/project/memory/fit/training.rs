//! Recipes of training against a budget: device by device, without an engine's conventions.

use super::row::{FitRow, Subject, room};
use super::search::reach;
use super::verdict::{Demand, judge};
use crate::project::input::ProjectInput;
use crate::project::memory::budget::Budget;
use crate::project::memory::limits::{Limits, Takes};
use crate::project::memory::parallel::Parallel;
use crate::project::memory::training::{self, Recompute, TrainRequest, TrainingRow};
use crate::units::Bytes;

/// The longest sequence of training that is searched for, in tokens, and the largest micro-batch, in sequences.
const TOKENS: u64 = 1 << 20;
const MICRO_BATCH: u64 = 1 << 12;

/// A training run as it was asked for.
pub(in crate::project::memory) struct TrainingRun<'r> {
    pub(in crate::project::memory) asked: &'r TrainRequest,
    pub(in crate::project::memory) parallel: &'r Parallel,
    /// Whether attention scores are never stored.
    pub(in crate::project::memory) fused: bool,
}

impl TrainingRun<'_> {
    /// The rows of another request: one for each recipe, two for distillation.
    fn rows(&self, input: &ProjectInput<'_>, asked: &TrainRequest) -> Vec<TrainingRow> {
        training::rows(input, asked, self.parallel, self.fused)
    }

    /// Devices that hold what one entry of a row does: its tensor and data parallel ranks.
    fn alike(&self) -> u64 {
        self.parallel.tp.saturating_mul(self.asked.dp.max(1))
    }
}

/// The place of a row among those of the same request, against one budget.
pub(in crate::project::memory) fn row(
    run: &TrainingRun<'_>,
    input: &ProjectInput<'_>,
    rows: &[TrainingRow],
    place: usize,
    budget: &Budget,
    limits: &Limits,
) -> Option<FitRow> {
    let now = rows.get(place)?;
    let (room, set_aside) = room(budget, &Takes::default(), limits);
    let demand = Demand::of_training(now, run.alike(), input);
    let mut row = FitRow::new(Subject::Recipe(now.recipe.clone()), input, budget, &demand, &room);
    let longest = input.model.context_length.unwrap_or(TOKENS).max(run.asked.seq);
    let verdict = |asked: TrainRequest| {
        let other = run.rows(input, &asked);
        let demand = other.get(place).map(|row| Demand::of_training(row, run.alike(), input));
        judge(&demand.unwrap_or_default(), &room).verdict
    };
    let tokens = reach(longest, 256, run.asked.seq, row.verdict, |seq| verdict(TrainRequest { seq, ..*run.asked }));
    (row.max_ctx, row.max_ctx_low, row.max_ctx_high) = (tokens.low, tokens.low, tokens.high);
    let batches =
        reach(MICRO_BATCH, 1, run.asked.micro_batch, row.verdict, |n| verdict(TrainRequest { micro_batch: n, ..*run.asked }));
    row.max_seqs = batches.low;
    row.biggest_lever = lever(run, input, place, &demand);
    if budget.devices.is_some_and(|n| n > demand.count()) {
        row.notes.push(format!(
            "on {} of the {} devices: --dp, --tp and --pp spread a run",
            demand.count(),
            budget.devices.unwrap_or_default()
        ));
    }
    row.notes.extend(set_aside);
    Some(row)
}

/// What would save most of the worst device: computing layers again, or sharding states, gradients and weights.
fn lever(run: &TrainingRun<'_>, input: &ProjectInput<'_>, place: usize, now: &Demand) -> Option<String> {
    let asked = run.asked;
    let needs = now.worst(false).high?;
    let others = [
        ("--recompute full", TrainRequest { recompute: Recompute::Full, ..*asked }, asked.recompute != Recompute::Full),
        ("--zero 3", TrainRequest { zero: 3, ..*asked }, asked.dp > 1 && asked.zero < 3),
    ];
    let saved = others.into_iter().filter(|(.., applies)| *applies).filter_map(|(flag, other, _)| {
        let rows = run.rows(input, &other);
        let then = Demand::of_training(rows.get(place)?, run.alike(), input).worst(false).high?;
        Some((needs.checked_sub(then).filter(|&n| n > 0)?, flag))
    });
    let (bytes, flag) = saved.reduce(|best, one| if one.0 > best.0 { one } else { best })?;
    Some(format!("{flag} saves {}", Bytes(bytes).binary()))
}
