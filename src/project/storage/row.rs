//! Rows of the report on quantization.

use std::collections::BTreeMap;

use serde::Serialize;

use super::bridge::{self, BridgeTerm, Origins};
use super::narrowest;
use super::plan::{Basis, OutTensor, Plan, PlanResult};
use crate::format::Format;
use crate::project::input::ProjectInput;
use crate::units::{BitsPerWeight, Bytes, Params};

/// What is there now.
#[derive(Debug, Clone, PartialEq, Serialize)]
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
        Self {
            tensor_bytes,
            file_bytes: input.file_bytes,
            bits_per_weight: BitsPerWeight::of(Bytes(tensor_bytes), Params(input.logical_params())).map(|b| b.0),
        }
    }
}

/// Tensors of one type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct TypeRow {
    /// How many.
    pub tensors: u64,
    /// Their bytes, without padding.
    pub bytes: u64,
}

/// The checkpoint under one scheme.
#[derive(Debug, Clone, PartialEq, Serialize)]
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
    /// Number of files.
    pub files: Option<u64>,
    /// 8 x tensor bytes / logical parameters of the source.
    pub bits_per_weight: Option<f64>,
    /// Projected tensor bytes / actual tensor bytes.
    pub ratio: Option<f64>,
    /// Tensors and bytes per element type.
    pub types: BTreeMap<&'static str, TypeRow>,
    /// From the actual file bytes to the projected ones; the terms sum to `file_bytes`.
    pub bridge: Vec<BridgeTerm>,
    /// Why the tensor bytes are more than the parameters in the narrowest type: terms that sum to `tensor_bytes`; empty where all
    /// is in one type.
    pub beyond_narrowest: Vec<BridgeTerm>,
    /// What a reader of the figures should know; escaped.
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
            types: BTreeMap::new(),
            bridge: Vec::new(),
            beyond_narrowest: Vec::new(),
            notes: vec![reason],
        }
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
        Self {
            scheme: scheme.to_owned(),
            container: Some(container.name()),
            basis: plan.basis,
            tensor_bytes: Some(tensor_bytes),
            tensor_bytes_low: plan.tensor_range.map(|r| r.0),
            tensor_bytes_high: plan.tensor_range.map(|r| r.1),
            file_bytes: plan.file.map(|f| f.likely),
            file_bytes_low: plan.file.and_then(|f| f.range).map(|r| r.0),
            file_bytes_high: plan.file.and_then(|f| f.range).map(|r| r.1),
            files: plan.file.map(|f| f.files),
            bits_per_weight: BitsPerWeight::of(Bytes(tensor_bytes), Params(input.logical_params())).map(|b| b.0),
            ratio: (actual > 0).then(|| tensor_bytes as f64 / actual as f64),
            types: types(&plan.tensors),
            bridge: match (plan.file, origins) {
                (Some(file), Some(origins)) => bridge::to_conversion(input, origins, &plan.tensors, &file),
                (Some(file), None) => bridge::to_plan(input, &plan.tensors, &file),
                (None, _) => Vec::new(),
            },
            beyond_narrowest: match origins {
                Some(_) => narrowest::of_conversion(&plan.tensors),
                None => narrowest::of_plan(input, &plan.tensors),
            },
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
