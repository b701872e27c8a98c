//! Memory that is really there, as far as it differs from what is reserved.

use serde::Serialize;

/// A range of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Span {
    /// Least bytes.
    pub low: u64,
    /// Most bytes.
    pub high: u64,
}

impl Span {
    /// A range of one figure.
    pub fn exact(bytes: u64) -> Self {
        Self { low: bytes, high: bytes }
    }

    /// The sum of two ranges.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self { low: self.low.saturating_add(other.low), high: self.high.saturating_add(other.high) }
    }
}

/// Resident memory of a run without a GPU: what `VmHWM` or `ps` shows, where the engine's terms are what it reserves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Resident {
    /// Memory of the process alone.
    pub private: Span,
    /// Pages of files: shared by processes that map the same file, and dropped when memory is short.
    pub page_cache: Span,
    /// Least bytes of both together.
    pub low: u64,
    /// Most bytes of both together.
    pub high: u64,
    /// Peak while the weights are loaded.
    pub peak_while_loading: Span,
    /// What it is made of.
    pub formula: String,
}
