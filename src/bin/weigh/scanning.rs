//! Scans under a progress bar, with Ctrl-C listened to.

use weighbridge::checkpoint::Checkpoint;
use weighbridge::error::Result;
use weighbridge::observe::Observer;
use weighbridge::report::scan::ScanBody;
use weighbridge::scan::full::{self, CastTarget, FullOutcome};
use weighbridge::scan::{self, Comparisons, ScanOptions, ScanOutcome, Selection};

use crate::interrupt;
use crate::opened::outcome_of;
use crate::outcome::Outcome;
use crate::output::warn;
use crate::progress::Bar;

/// Runs the base pass.
///
/// # Errors
/// When the scan cannot start.
pub(crate) fn watch(selection: &Selection, options: &ScanOptions, progress: bool) -> Result<ScanOutcome> {
    interrupt::listen();
    let bar = Bar::new(selection.bytes, progress);
    let outcome = scan::scan(&selection.files, options, &bar);
    bar.finish();
    outcome
}

/// As [`watch`], with the full pass after the base pass.
///
/// # Errors
/// When the scan cannot start.
pub(crate) fn watch_full(
    checkpoint: &Checkpoint,
    selection: &Selection,
    options: &ScanOptions,
    cast: Option<CastTarget>,
    progress: bool,
) -> Result<(ScanOutcome, FullOutcome)> {
    interrupt::listen();
    let bar = Bar::new(full::bytes_of_both(selection, options), progress);
    let outcomes = full::scan_both(checkpoint, selection, options, cast, &bar);
    bar.finish();
    outcomes
}

/// The body of a scan without a row per tensor, with what comparing values after it tells.
pub(crate) fn body(
    checkpoint: &Checkpoint,
    selection: &Selection,
    outcome: &ScanOutcome,
    full: Option<&FullOutcome>,
) -> ScanBody<'static> {
    let compared = Comparisons::after(checkpoint, selection, outcome, full.is_some(), &Interruptible);
    if let Some(error) = &compared.tie_error {
        warn(&error.to_string());
    }
    ScanBody::of(checkpoint, outcome, full, &selection.order).with_comparisons(checkpoint, selection, &compared)
}

/// Listens to Ctrl-C and shows nothing.
struct Interruptible;

impl Observer for Interruptible {
    fn advance(&self, _: u64) {}

    fn cancelled(&self) -> bool {
        interrupt::asked()
    }
}

/// How a scan ended; an interruption is said on stderr.
pub(crate) fn outcome_of_scan(checkpoint: &Checkpoint, outcome: &ScanOutcome) -> Outcome {
    if outcome.interrupted {
        warn("interrupted: the figures are of what was read until then");
    }
    outcome_of_reading(outcome).max(outcome_of(checkpoint))
}

/// How the reading of values ended.
pub(crate) fn outcome_of_reading(outcome: &ScanOutcome) -> Outcome {
    if outcome.interrupted {
        Outcome::Interrupted
    } else if outcome.files.iter().any(|f| f.error.is_some()) {
        Outcome::Incomplete
    } else {
        Outcome::Done
    }
}
