//! The row of every tensor, made from the outcome whenever rows are walked over: a checkpoint may have a million.

use super::full::FullRow;
use super::remarks::remarks_on;
use super::{ScanBody, StatsRow, TensorStatsRow, scales};
use crate::checkpoint::{Checkpoint, Tensor};
use crate::report::page::Walked;
use crate::report::show::stated_shape;
use crate::scan::full::FullOutcome;
use crate::scan::{ScanOutcome, TensorOutcome};

impl<'a> ScanBody<'a> {
    /// The same with a row for every tensor. What is given is what [`ScanBody::of`] was given; the rows are made from it when they
    /// are written.
    #[must_use]
    pub fn with_tensors(
        self,
        checkpoint: &'a Checkpoint,
        outcome: &'a ScanOutcome,
        full: Option<&'a FullOutcome>,
        order: &'a [Vec<usize>],
    ) -> Self {
        let rows = Walked::new(move |row| {
            for (f, (file, order)) in outcome.files.iter().zip(order).enumerate() {
                for (t, (found, &place)) in file.tensors.iter().zip(order).enumerate() {
                    let Some(tensor) = checkpoint.tensor(place) else { continue };
                    let of_full = full.and_then(|full| full.of(f, t).map(|stats| Box::new(FullRow::of(stats, full.cast))));
                    row(tensor_row(checkpoint, &tensor, found, of_full));
                }
            }
        });
        Self { tensors: Some(rows), ..self }
    }
}

fn tensor_row(checkpoint: &Checkpoint, tensor: &Tensor<'_>, found: &TensorOutcome, full: Option<Box<FullRow>>) -> TensorStatsRow {
    let mut remarks = Vec::new();
    if let Some(stats) = &found.stats {
        remarks_on(tensor, stats, &found.slices, &mut |code, _, _| remarks.push(code));
    }
    TensorStatsRow {
        name: tensor.name().into_owned(),
        dtype: tensor.dtype_name().to_owned(),
        shape: stated_shape(tensor.container.format, &tensor.info.shape),
        file: checkpoint.files[tensor.file].name.clone(),
        role: tensor.naming.role.name(),
        scanned: found.stats.is_some(),
        why: found.skipped.map(|skip| skip.word()),
        scales: found.stats.and_then(|stats| scales(stats.scales)),
        remarks,
        stats: found.stats.as_ref().map(StatsRow::of),
        full,
    }
}
