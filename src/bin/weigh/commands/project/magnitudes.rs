//! The look at magnitudes that `weigh project --prune ... --scan` takes.

use weighbridge::checkpoint::Checkpoint;
use weighbridge::error::Result;
use weighbridge::project::ProjectInput;
use weighbridge::project::prune::{PruneSpec, prunable};
use weighbridge::scan::ScanOptions;
use weighbridge::scan::full::{MAX_SHARES, cutoff_bytes_to_read, cutoffs};
use weighbridge::stats::magnitude::Cutoffs;

use crate::commands::End;
use crate::commands::scan::select;
use crate::interrupt;
use crate::output::complain;
use crate::progress::Bar;

/// Thresholds at the shares among `specs`, of the tensors that would be pruned; none where no share is asked for or the user stopped it.
///
/// # Errors
/// When a file cannot be read.
pub(super) fn read(
    checkpoint: &Checkpoint,
    input: &ProjectInput<'_>,
    specs: &[PruneSpec],
    progress: bool,
) -> Result<(Option<Cutoffs>, End)> {
    let mut shares: Vec<f64> = Vec::new();
    for spec in specs {
        match spec {
            PruneSpec::Share(share) if *share > 0.0 && !shares.contains(share) => shares.push(*share),
            _ => {}
        }
    }
    if shares.len() > MAX_SHARES {
        complain(&format!("magnitudes are looked at for the first {MAX_SHARES} shares only"));
        shares.truncate(MAX_SHARES);
    }
    if shares.is_empty() {
        return Ok((None, End::Done));
    }
    if checkpoint.is_sliced() {
        complain("thresholds are not looked for: each file is one rank's slice of the weights");
        return Ok((None, End::Incomplete));
    }
    let selection = select(checkpoint, None)?;
    let wanted = prunable(input);
    let wanted: Vec<Vec<bool>> =
        selection.order.iter().map(|order| order.iter().map(|&index| wanted.get(index) == Some(&true)).collect()).collect();
    interrupt::listen();
    let bar = Bar::new(cutoff_bytes_to_read(&selection.files, &wanted), progress);
    let outcome = cutoffs(&selection.files, &wanted, &shares, &ScanOptions::default(), &bar);
    bar.finish();
    let Some(outcome) = outcome? else {
        complain("interrupted: thresholds are not known");
        return Ok((None, End::Interrupted));
    };
    let mut tensors = vec![None; checkpoint.tensors().len()];
    for (found, order) in outcome.files.into_iter().zip(&selection.order) {
        for (found, &index) in found.into_iter().zip(order) {
            tensors[index] = found;
        }
    }
    Ok((Some(Cutoffs { shares, global: outcome.global, tensors }), End::Done))
}
