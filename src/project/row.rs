//! Rows of the report on quantization.

use std::collections::BTreeMap;

use serde::Serialize;

use super::bridge::{self, BridgeTerm, Origins};
use super::input::ProjectInput;
use super::narrowest;
use super::plan::{Basis, Change, OutTensor, Plan, PlanResult};
use crate::format::Format;
use crate::units::bits_per_weight;

/// What is there now.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Actual {
    /// Bytes of the tensors.
    pub tensor_bytes: u64,
    /// Bytes of the files.
    pub file_bytes: u64,
    /// 8 x tensor bytes / logical parameters; `None` without parameters.
    pub bits_per_weight: Option<f64>,
}

impl Actual {
    /// Of the tensors and files given.
    pub fn of(input: &ProjectInput<'_>) -> Self {
        let tensor_bytes = input.tensor_bytes();
        Self { tensor_bytes, file_bytes: input.file_bytes, bits_per_weight: bits_per_weight(tensor_bytes, input.logical_params()) }
    }
}

/// Tensors of one type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct TypeRow {
    /// Number of tensors.
    pub tensors: u64,
    /// Their bytes, without padding.
    pub bytes: u64,
}

/// Tensors whose rows do not fill the blocks of the type that the rule wanted, and so are stored in another.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct FellBack {
    /// Number of tensors.
    pub tensors: u64,
    /// Their share of the tensors that are block-quantized or were to be.
    pub share: f64,
}

impl FellBack {
    fn of(tensors: &[OutTensor<'_>]) -> Option<Self> {
        let fell = |t: &&OutTensor<'_>| matches!(t.change, Change::Fallback { .. });
        let count = tensors.iter().filter(fell).count();
        let wanted = tensors.iter().filter(|t| t.dtype.is_block_quant() || fell(t)).count();
        (count > 0).then(|| Self { tensors: count as u64, share: count as f64 / wanted as f64 })
    }
}

/// The checkpoint under one scheme.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct QuantizedRow {
    /// Canonical name of the scheme; what was asked for where it is unknown.
    pub scheme: String,
    /// The format it is stored in.
    pub container: Option<&'static str>,
    /// How far the figures can be trusted.
    pub basis: Basis,
    /// Bytes of the tensors.
    pub tensor_bytes: Option<u64>,
    /// Lowest bytes of the tensors, where they are a range.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tensor_bytes_low: Option<u64>,
    /// Highest bytes of the tensors, where they are a range.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tensor_bytes_high: Option<u64>,
    /// Bytes of the files.
    pub file_bytes: Option<u64>,
    /// Lowest size of the files, where it is a range.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_bytes_low: Option<u64>,
    /// Highest size of the files, where it is a range.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_bytes_high: Option<u64>,
    /// Number of files that are written.
    pub files: Option<u64>,
    /// 8 x tensor bytes / logical parameters of the source.
    pub bits_per_weight: Option<f64>,
    /// Projected tensor bytes / actual tensor bytes.
    pub ratio: Option<f64>,
    /// Tensors that could not be stored as the rule wanted; `None` where none fell back or nothing is projected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fell_back: Option<FellBack>,
    /// Whether the files are no larger than the budget asked about; `None` without a budget or a size.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fits: Option<bool>,
    /// Tensors and bytes per element type.
    pub types: BTreeMap<&'static str, TypeRow>,
    /// From the actual file bytes to the projected ones; the terms sum to `file_bytes`.
    pub bridge: Vec<BridgeTerm>,
    /// Why the tensor bytes are more than the parameters in the narrowest type: terms that sum to `tensor_bytes`; empty where all
    /// is in one type.
    pub beyond_narrowest: Vec<BridgeTerm>,
    /// What is kept in wider types, by what it is and why: terms that sum to that term of `beyond_narrowest`.
    pub wider_types: Vec<BridgeTerm>,
    /// Remarks on the figures for the reader, already escaped.
    pub notes: Vec<String>,
}

impl QuantizedRow {
    pub(crate) fn refused(scheme: &str, container: Option<Format>, reason: String) -> Self {
        Self {
            scheme: scheme.to_owned(),
            container: container.map(Format::name),
            basis: Basis::Refused,
            tensor_bytes: None,
            tensor_bytes_low: None,
            tensor_bytes_high: None,
            file_bytes: None,
            file_bytes_low: None,
            file_bytes_high: None,
            files: None,
            bits_per_weight: None,
            ratio: None,
            fell_back: None,
            fits: None,
            types: BTreeMap::new(),
            bridge: Vec::new(),
            beyond_narrowest: Vec::new(),
            wider_types: Vec::new(),
            notes: vec![reason],
        }
    }

    /// Holds the size of the files, its highest where it is a range, against a budget in bytes.
    pub(crate) fn against(mut self, budget: Option<u64>) -> Self {
        self.fits = budget.and_then(|budget| Some(self.file_bytes_high.or(self.file_bytes)? <= budget));
        self
    }

    /// `origins` where the plan is a conversion's.
    pub(crate) fn of(
        input: &ProjectInput<'_>,
        scheme: &str,
        container: Format,
        result: PlanResult<'_>,
        origins: Option<&Origins>,
    ) -> Self {
        match result {
            Ok(plan) => Self::planned(input, scheme, container, plan, origins),
            Err(refusal) => {
                let mut row = Self::refused(scheme, Some(container), refusal.reason);
                row.types = refusal.would_be.map(|tensors| types(&tensors)).unwrap_or_default();
                row
            }
        }
    }

    fn planned(input: &ProjectInput<'_>, scheme: &str, container: Format, plan: Plan<'_>, origins: Option<&Origins>) -> Self {
        let tensor_bytes = plan.tensors.iter().fold(0u64, |n, t| n.saturating_add(t.bytes));
        let actual = input.tensor_bytes();
        let beyond = match origins {
            Some(origins) => narrowest::of_conversion(origins, &plan.tensors),
            None => narrowest::of_plan(input, &plan.tensors),
        };
        // Nothing that has bounds is exact.
        let bounds = plan.tensor_range.is_some() || plan.file.is_some_and(|file| file.range.is_some());
        let basis = if plan.basis == Basis::Exact && bounds { Basis::Range } else { plan.basis };
        Self {
            scheme: scheme.to_owned(),
            container: Some(container.name()),
            basis,
            tensor_bytes: Some(tensor_bytes),
            tensor_bytes_low: plan.tensor_range.map(|r| r.0),
            tensor_bytes_high: plan.tensor_range.map(|r| r.1),
            file_bytes: plan.file.map(|f| f.likely),
            file_bytes_low: plan.file.and_then(|f| f.range).map(|r| r.0),
            file_bytes_high: plan.file.and_then(|f| f.range).map(|r| r.1),
            files: plan.file.map(|f| f.files),
            bits_per_weight: bits_per_weight(tensor_bytes, input.logical_params()),
            ratio: (actual > 0).then(|| tensor_bytes as f64 / actual as f64),
            fell_back: FellBack::of(&plan.tensors),
            fits: None,
            types: types(&plan.tensors),
            bridge: match (plan.file, origins) {
                (Some(file), Some(origins)) => bridge::to_conversion(input, origins, &plan.tensors, &file),
                (Some(file), None) => bridge::to_plan(input, &plan.tensors, &file),
                (None, _) => Vec::new(),
            },
            beyond_narrowest: beyond.terms,
            wider_types: beyond.wider,
            notes: plan.notes,
        }
    }
}

fn types(tensors: &[OutTensor<'_>]) -> BTreeMap<&'static str, TypeRow> {
    let mut rows: BTreeMap<&'static str, TypeRow> = BTreeMap::new();
    for tensor in tensors {
        let row = rows.entry(tensor.dtype.name().unwrap_or("unknown")).or_default();
        row.tensors += 1;
        row.bytes = row.bytes.saturating_add(tensor.bytes);
    }
    rows
}
