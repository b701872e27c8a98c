//! The base pass and the full pass over one selection.

use super::cast::CastTarget;
use super::geometry::Geometry;
use super::outcome::FullOutcome;
use super::{bytes_to_read, scan_full};
use crate::checkpoint::{Checkpoint, Role};
use crate::error::Result;
use crate::observe::Observer;
use crate::scan::{ScanOptions, ScanOutcome, Selection, scan};

/// Bytes that [`scan_both`] reads, as far as they are known beforehand.
pub fn bytes_of_both(selection: &Selection, options: &ScanOptions) -> u64 {
    selection.bytes.saturating_add(bytes_to_read(&selection.files, options.part))
}

/// Runs the base pass, then the full pass, and withdraws the figures of files that changed between or during them.
///
/// # Errors
/// As [`scan`](scan()) and [`scan_full`].
pub fn scan_both(
    checkpoint: &Checkpoint,
    selection: &Selection,
    options: &ScanOptions,
    cast: Option<CastTarget>,
    observer: &dyn Observer,
) -> Result<(ScanOutcome, FullOutcome)> {
    let tensors: Vec<_> = checkpoint.tensors().collect();
    let geometry: Vec<Vec<Option<Geometry>>> = selection
        .order
        .iter()
        .map(|order| order.iter().map(|&index| Geometry::of(checkpoint, &tensors[index])).collect())
        .collect();
    let roles: Vec<Vec<Role>> =
        selection.order.iter().map(|order| order.iter().map(|&index| tensors[index].naming.role).collect()).collect();
    let mut base = scan(&selection.files, options, observer)?;
    let mut full = scan_full(&selection.files, &geometry, &roles, options, cast, observer)?;
    full.reconcile(&mut base);
    Ok((base, full))
}
