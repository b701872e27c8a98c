//! Bodies as sections of words and tables: what a person reads, in the order in which it matters.

mod audit;
mod diff;
mod fit;
mod full;
mod ls;
mod memory;
mod project;
mod pruned;
mod scan;
mod show;
mod whole;

pub use audit::{audit, explanation, explanations, findings};
pub use diff::diff;
pub use ls::{ls, manifest};
pub use memory::memory;
pub use project::{copies, data, likely_bridge, project};
pub use scan::scan;
pub use show::{Grouping, cautions, errors, show};
pub use whole::{whole_of_headers, whole_of_values};

use super::cell::Cell;

/// How much is said around the figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// Within the whole report: what a reader needs at a glance.
    Brief,
    /// In a command of its own: everything.
    Full,
}

/// Rows listed before the tail is folded into one.
pub const LISTED: usize = 12;

/// Splits rows (biggest first) into those listed and the folded tail: how many are folded.
pub(super) fn fold<T>(rows: &[T], listed: usize) -> (&[T], &[T]) {
    // Folding a single row would save nothing.
    if rows.len() <= listed + 1 { (rows, &[]) } else { rows.split_at(listed) }
}

/// The name of a folded tail.
pub(super) fn others(n: usize) -> Cell {
    Cell::Text(format!("[{n} others]"))
}
