//! The figures that a projection is made of: a term with its basis and formula, and the terms of one place.

use serde::Serialize;

use crate::project::plan::Basis;

/// One part of the memory of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Term {
    /// `weights`, `kv_cache`, `recurrent_state`, `compute_buffer`, `output_buffer`, `runtime`, ...
    pub name: &'static str,
    /// Least bytes; `None` where it is refused.
    pub low: Option<u64>,
    /// Most bytes; `None` where it is refused.
    pub high: Option<u64>,
    /// How far the figure can be trusted.
    pub basis: Basis,
    /// The formula with this model's figures, or the reason of the refusal.
    pub formula: String,
}

impl Term {
    pub(crate) fn known(name: &'static str, bytes: u64, basis: Basis, formula: String) -> Self {
        Self { name, low: Some(bytes), high: Some(bytes), basis, formula }
    }

    pub(crate) fn range(name: &'static str, low: u64, high: u64, formula: String) -> Self {
        Self { name, low: Some(low), high: Some(high), basis: Basis::Range, formula }
    }

    /// Whether it is made of the tensors' bytes alone.
    pub(crate) fn is_weights(&self) -> bool {
        matches!(self.name, "weights" | "expert_weights" | "embedding_weights")
    }

    pub(crate) fn refused(name: &'static str, reason: impl Into<String>) -> Self {
        Self { name, low: None, high: None, basis: Basis::Refused, formula: reason.into() }
    }
}

/// The terms of one place, a device or the host, with their sum.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Place {
    /// `device 0`; `None` for the host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Terms of what it holds.
    pub terms: Vec<Term>,
    /// Sum of the known lows.
    pub low: u64,
    /// Sum of the highs; `None` when a term is refused.
    pub high: Option<u64>,
}

impl Place {
    pub(crate) fn new(name: Option<String>, terms: Vec<Term>) -> Self {
        let low = terms.iter().filter_map(|t| t.low).fold(0u64, u64::saturating_add);
        let high = terms.iter().map(|t| t.high).try_fold(0u64, |sum, high| Some(sum.saturating_add(high?)));
        Self { name, terms, low, high }
    }
}

/// A KV cache, or the state of recurrent layers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KvFigure {
    /// Least bytes.
    pub bytes: u64,
    /// Most bytes.
    pub high: u64,
    /// How far the figure can be trusted.
    pub basis: Basis,
    /// The formula with this model's figures.
    pub formula: String,
}

impl KvFigure {
    /// The term of the figure.
    pub(super) fn term(self, name: &'static str) -> Term {
        Term { name, low: Some(self.bytes), high: Some(self.high), basis: self.basis, formula: self.formula }
    }
}

/// A cache or a state summed over runs of layers, with the formula.
#[derive(Debug, Default)]
pub(super) struct Sum {
    low: u128,
    high: u128,
    texts: Vec<String>,
}

impl Sum {
    /// Adds the least and the most bytes of a run of layers.
    pub(super) fn add(&mut self, low: u128, high: u128, text: String) {
        self.low = self.low.saturating_add(low);
        self.high = self.high.saturating_add(high);
        self.texts.push(text);
    }

    /// Whether nothing was added.
    pub(super) fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// The figure, of this basis where least and most are the same. `source` follows the formula.
    ///
    /// # Errors
    /// Where it does not fit 64 bits.
    pub(super) fn figure(self, basis: Basis, source: &str) -> Result<KvFigure, String> {
        let fits = |n: u128| u64::try_from(n).map_err(|_| "too large".to_owned());
        let (bytes, high) = (fits(self.low)?, fits(self.high.max(self.low))?);
        let basis = if bytes == high { basis } else { Basis::Range };
        Ok(KvFigure { bytes, high, basis, formula: format!("{}{source}", self.texts.join(" + ")) })
    }
}

/// A product that stays at its bound instead of overflowing: configurations come from files.
pub(super) fn product(factors: &[u64]) -> u128 {
    factors.iter().fold(1u128, |n, &f| n.saturating_mul(u128::from(f)))
}

/// The runtime of a GPU process: context, allocator and graphs, of which public logs show 0.5 to 1.5 GiB a device.
pub(super) fn gpu_runtime() -> Term {
    const GIB: u64 = 1 << 30;
    let text = "0.5 to 1.5 GiB per device: context, allocator and graphs as seen in public logs, not measured".to_owned();
    Term::range("runtime", GIB / 2, GIB + GIB / 2, text)
}
