//! What a pruning comes to: one row of the report.

use serde::Serialize;

use super::dims::Dims;
use super::magnitude::Magnitude;
use crate::project::row::QuantizedRow;

/// Size of the pruned checkpoint in one storage form.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PrunedForm {
    /// `dense`, `bitmask`, `csr16`, `csr32`, `csr64`, `coo32`, `coo64`, `bsr32`, `bsr64`, or a pattern such as `2:4`.
    pub form: &'static str,
    /// Bytes of all tensors in this form; `None` where it is not known or the form cannot hold them.
    pub bytes: Option<u64>,
    /// `bytes` / actual tensor bytes.
    pub ratio: Option<f64>,
    /// The share of zeros above which it is smaller than dense, for the type that most of the pruned bytes have.
    pub break_even_sparsity: Option<f64>,
    /// Programs that can load the form.
    pub loadable_by: &'static str,
}

/// The checkpoint pruned in one way.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PrunedRow {
    /// The pruning as the user wrote it.
    pub spec: String,
    /// Share of zeros asked for, in the matrices that are pruned.
    pub target_sparsity: Option<f64>,
    /// Share of exact zeros in the floating-point weights that were scanned; `None` without a scan.
    pub measured_sparsity: Option<f64>,
    /// The magnitude up to which weights are dropped when all have one threshold; `None` where it is not known.
    pub threshold: Option<f64>,
    /// Logical parameters afterwards: zeros still count. `None` for a cut that is refused.
    pub logical_params: Option<u64>,
    /// Sizes in each storage form.
    pub forms: Vec<PrunedForm>,
    /// What one threshold for all and a threshold for each tensor would do, where magnitudes were scanned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub magnitude: Option<Magnitude>,
    /// The smaller model, where parts are cut away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub structure: Option<Structure>,
    /// Remarks on the figures for the reader, already escaped.
    pub notes: Vec<String>,
}

/// Tensors that change alike; numbers in their names stand as `*`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ShapeChange {
    /// The name, escaped.
    pub name: String,
    /// Tensors of this name and shape before.
    pub tensors_before: u64,
    /// Number of tensors that remain.
    pub tensors: u64,
    /// Dimensions before, outermost first.
    pub before: Vec<u64>,
    /// Dimensions after the cut.
    pub shape: Vec<u64>,
}

/// The model that a cut leaves.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Structure {
    /// Dimensions before the cut.
    pub before: Dims,
    /// Dimensions after the cut.
    pub after: Dims,
    /// Number of tensors after the cut.
    pub tensors: u64,
    /// Bytes of one safetensors file.
    pub file_bytes: u64,
    /// Elements that a token adds to the KV cache now, inside every window; `None` where it is not known.
    pub kv_elements_per_token_before: Option<u64>,
    /// The same afterwards.
    pub kv_elements_per_token: Option<u64>,
    /// The tensors, those of like names and shapes together.
    pub shapes: Vec<ShapeChange>,
    /// The smaller model under the schemes asked for; ratios are to the checkpoint as it is.
    pub quantized: Vec<QuantizedRow>,
}
