//! Reads the weights for the thresholds that `weigh project --prune ... --scan` asks for.

use weighbridge::checkpoint::Checkpoint;
use weighbridge::error::Result;
use weighbridge::project::ProjectInput;
use weighbridge::project::prune::{PruneSpec, prunable};
use weighbridge::scan::full::{MAX_SHARES, cutoff_bytes_to_read, cutoffs};
use weighbridge::scan::{ScanOptions, Selection};
use weighbridge::stats::magnitude::Cutoffs;

use crate::interrupt;
use crate::outcome::Outcome;
use crate::output::warn;
use crate::progress::Bar;

/// Thresholds at the shares among `specs`, of the tensors that would be pruned; none where no share is asked for or the user stopped it.
///
/// # Errors
/// When a file cannot be read.
pub(crate) fn read(
    checkpoint: &Checkpoint,
    input: &ProjectInput<'_>,
    specs: &[PruneSpec],
    progress: bool,
) -> Result<(Option<Cutoffs>, Outcome)> {
    let mut shares: Vec<f64> = Vec::new();
    for spec in specs {
        match spec {
            PruneSpec::Share(share) if *share > 0.0 && !shares.contains(share) => shares.push(*share),
            _ => {}
        }
    }
    if shares.len() > MAX_SHARES {
        warn(&format!("magnitudes are looked at for the first {MAX_SHARES} shares only"));
        shares.truncate(MAX_SHARES);
    }
    if shares.is_empty() {
        return Ok((None, Outcome::Done));
    }
    if checkpoint.is_sliced() {
        warn("thresholds are not looked for: each file is one rank's slice of the weights");
        return Ok((None, Outcome::Incomplete));
    }
    let selection = Selection::of(checkpoint, &|_| true);
    let wanted = prunable(input);
    let wanted: Vec<Vec<bool>> =
        selection.order.iter().map(|order| order.iter().map(|&index| wanted.get(index) == Some(&true)).collect()).collect();
    interrupt::listen();
    let bar = Bar::new(cutoff_bytes_to_read(&selection.files, &wanted), progress);
    let outcome = cutoffs(&selection.files, &wanted, &shares, &ScanOptions::default(), &bar);
    bar.finish();
    let Some(outcome) = outcome? else {
        warn("interrupted: thresholds are not known");
        return Ok((None, Outcome::Interrupted));
    };
    let mut tensors = vec![None; checkpoint.tensors().len()];
    for (found, order) in outcome.files.into_iter().zip(&selection.order) {
        for (found, &index) in found.into_iter().zip(order) {
            tensors[index] = found;
        }
    }
    Ok((Some(Cutoffs { shares, global: outcome.global, tensors }), Outcome::Done))
}
