//! Projections of a part of a model: what is not here would be projected too, so every figure is a lower bound.

use super::plan::Basis;
use super::prune::PrunedRow;
use super::row::QuantizedRow;
use super::shard::ShardedRow;
use crate::checkpoint::Shortfall;

/// Says of every row that the weights are not whole, and takes back what only a whole can claim.
pub(super) fn mark(quantized: &mut [QuantizedRow], pruned: &mut [PrunedRow], sharded: &mut [ShardedRow], shortfall: &Shortfall) {
    let figures =
        if shortfall.sizes_known { "the figures are those that the headers promise" } else { "the figures are lower bounds" };
    let note = format!("{}: {figures}", shortfall.reason);
    for row in quantized.iter_mut().filter(|row| row.basis != Basis::Refused) {
        row.basis = Basis::Estimate;
        row.notes.insert(0, note.clone());
        // What is too large already stays so.
        row.fits = row.fits.filter(|fits| !fits);
        if !shortfall.sizes_known {
            at_least(row);
        }
    }
    pruned.iter_mut().for_each(|row| row.notes.insert(0, note.clone()));
    sharded.iter_mut().for_each(|row| row.notes.insert(0, note.clone()));
}

fn at_least(row: &mut QuantizedRow) {
    row.tensor_bytes_low = row.tensor_bytes_low.or(row.tensor_bytes);
    row.file_bytes_low = row.file_bytes_low.or(row.file_bytes);
    row.tensor_bytes_high = None;
    row.file_bytes_high = None;
}
