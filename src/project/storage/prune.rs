//! What pruned weights would take in each form, at the zeros that are there and at targets (formulas B).
//!
//! Per matrix of R rows and C columns with nnz non-zeros of w bytes: dense R x C x w, whatever the zeros; bitmask
//! nnz x w + R x ceil(C/8); CSR nnz x (w + index) + (R+1) x pointer; COO nnz x (w + 2 x index); 2:4 half the values and 2 bits for
//! each kept one. Everything that is no such matrix stays as it is.

use serde::Serialize;

use crate::checkpoint::{Part, Role};
use crate::error::{Error, ErrorKind, Result};
use crate::project::input::{ProjectInput, ProjectTensor};

/// What to prune.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum PruneSpec {
    /// The zeros that are there.
    Measured,
    /// This share of every linear layer.
    Share(f64),
    /// 2 of every 4 along a row of every linear layer.
    TwoOfFour,
}

impl PruneSpec {
    /// Reads `measured`, `0.5`, `50%`, `2:4`.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] for anything else.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        match text {
            "measured" => return Ok(Self::Measured),
            "2:4" => return Ok(Self::TwoOfFour),
            _ => {}
        }
        let share = match text.strip_suffix('%') {
            Some(percent) => percent.trim().parse::<f64>().ok().map(|p| p / 100.0),
            None => text.parse().ok(),
        };
        share.filter(|s| (0.0..=1.0).contains(s)).map(Self::Share).ok_or_else(|| {
            Error::new(ErrorKind::Usage, format!("`{}` is no pruning that is projected", crate::text::escape(text)))
                .help("write a share of zeros such as 0.5 or 50%, 2:4, or measured")
        })
    }

    /// As in reports.
    pub fn name(self) -> String {
        match self {
            Self::Measured => "measured".to_owned(),
            Self::Share(s) => format!("{s}"),
            Self::TwoOfFour => "2:4".to_owned(),
        }
    }
}

/// One form.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PrunedForm {
    /// `dense`, `bitmask`, `csr16`, `csr32`, `csr64`, `coo32`, `coo64`, `2:4`.
    pub form: &'static str,
    /// Bytes of all tensors in this form; `None` where it is not known or the form cannot hold them.
    pub bytes: Option<u64>,
    /// `bytes` / actual tensor bytes.
    pub ratio: Option<f64>,
    /// Who can load it.
    pub loadable_by: &'static str,
}

/// The checkpoint pruned in one way.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PrunedRow {
    /// As asked for.
    pub spec: String,
    /// Share of zeros asked for, in the matrices that are pruned.
    pub target_sparsity: Option<f64>,
    /// Share of exact zeros in the floating-point weights that were scanned; `None` without a scan.
    pub measured_sparsity: Option<f64>,
    /// The magnitude below which weights are dropped; `None` where it is not known.
    pub threshold: Option<f64>,
    /// Logical parameters afterwards: zeros still count.
    pub logical_params: u64,
    /// The forms.
    pub forms: Vec<PrunedForm>,
    /// What a reader of the figures should know; escaped.
    pub notes: Vec<String>,
}

const FORMS: &[(&str, &str)] = &[
    ("dense", "everything; a pruned dense file is as large as before"),
    ("bitmask", "compressed-tensors up to March 2026 (sparse-bitmask); no current library writes it"),
    ("csr16", "nothing off the shelf: 16-bit column indices"),
    ("csr32", "scipy"),
    ("csr64", "torch.sparse_csr; no model class loads it as a checkpoint"),
    ("coo32", "scipy"),
    ("coo64", "torch.sparse_coo; no model class loads it as a checkpoint"),
    ("2:4", "GPUs with 2:4 tensor cores, through torch semi-structured or older compressed-tensors and vLLM"),
];

/// One matrix of a tensor: stacked experts are several.
struct Matrix {
    count: u64,
    rows: u64,
    columns: u64,
    width: u64,
    bytes: u64,
    nnz: Option<u64>,
}

/// One row of the report. `zeros` is aligned with the tensors.
pub fn row(input: &ProjectInput<'_>, spec: &PruneSpec, zeros: Option<&[Option<u64>]>) -> PrunedRow {
    let zeros_of = |i: usize| zeros.and_then(|z| z.get(i).copied().flatten());
    let mut notes = vec!["a pruned dense file is as large as before: zeros are stored like any other value".to_owned()];
    let (mut seen, mut zero, mut missing) = (0u64, 0u64, 0u64);
    let mut matrices: Vec<Matrix> = Vec::new();
    let mut rest = 0u64;
    let mut quants = 0u64;
    for (i, t) in input.tensors.iter().enumerate() {
        let float_weight = t.part == Part::Weight && t.dtype.is_float();
        if float_weight {
            match zeros_of(i) {
                Some(z) => (seen, zero) = (seen.saturating_add(t.elements), zero.saturating_add(z)),
                None => missing += 1,
            }
        }
        quants += u64::from(t.part == Part::Weight && t.dtype.is_block_quant());
        let pruned = match spec {
            PruneSpec::Measured => t.shape.len() >= 2,
            _ => is_prunable(t),
        };
        match matrix(t).filter(|_| float_weight && pruned) {
            Some(mut m) => {
                m.nnz = match spec {
                    PruneSpec::Measured => zeros_of(i).map(|z| t.elements.saturating_sub(z)),
                    PruneSpec::Share(s) => Some(t.elements - rounded_share(t.elements, *s)),
                    PruneSpec::TwoOfFour if t.row_len() % 4 == 0 => Some(t.elements / 2),
                    PruneSpec::TwoOfFour => Some(t.elements),
                };
                matrices.push(m);
            }
            None => rest = rest.saturating_add(t.bytes),
        }
    }
    if quants > 0 {
        notes.push(format!("{quants} block-quantized tensors are left as they are: a stored code of 0 is no zero weight"));
    }
    if matches!(spec, PruneSpec::Measured) && missing > 0 {
        notes.push(format!("{missing} floating-point tensors have no count of zeros: not known without a full scan"));
    }
    match spec {
        PruneSpec::Measured => notes.push("every floating-point matrix in the form, embeddings too; the rest as it is".to_owned()),
        _ => notes.push("linear layers and experts are pruned; embeddings, lm_head, norms and biases stay".to_owned()),
    }
    let actual = input.tensor_bytes();
    let forms = FORMS
        .iter()
        .map(|&(form, loadable_by)| {
            let bytes = if matrices.is_empty() && form != "dense" { None } else { total(form, spec, &matrices, rest) };
            PrunedForm { form, bytes, ratio: bytes.filter(|_| actual > 0).map(|b| b as f64 / actual as f64), loadable_by }
        })
        .collect();
    if matrices.is_empty() {
        notes.push("no floating-point matrix to prune".to_owned());
    }
    if matches!(spec, PruneSpec::Measured) {
        notes.push("2:4 needs the pattern, which a count of zeros does not tell".to_owned());
    }
    PrunedRow {
        spec: spec.name(),
        target_sparsity: match spec {
            PruneSpec::Measured => None,
            PruneSpec::Share(s) => Some(*s),
            PruneSpec::TwoOfFour => Some(0.5),
        },
        measured_sparsity: (seen > 0 && missing == 0).then(|| zero as f64 / seen as f64),
        threshold: None,
        logical_params: input.logical_params(),
        forms,
        notes,
    }
}

/// Linear layers, as pruning tools (SparseGPT, Wanda) take them.
fn is_prunable(t: &ProjectTensor<'_>) -> bool {
    let role = matches!(t.role, Role::Attention | Role::Mlp | Role::Expert | Role::SharedExpert | Role::Recurrent | Role::Mtp);
    role && t.shape.len() >= 2
}

fn matrix(t: &ProjectTensor<'_>) -> Option<Matrix> {
    let info = t.dtype.info().filter(|i| i.elements_per_block == 1)?;
    let (&columns, outer) = t.shape.split_last()?;
    let (&rows, stack) = outer.split_last()?;
    let count = stack.iter().try_fold(1u64, |n, &d| n.checked_mul(d))?;
    // Dimensions that contradict the count of elements are a defect of the file: the tensor stays as it is.
    if count.checked_mul(rows)?.checked_mul(columns)? != t.elements {
        return None;
    }
    Some(Matrix { count, rows, columns, width: info.bytes_per_block, bytes: t.bytes, nnz: None })
}

fn total(form: &str, spec: &PruneSpec, matrices: &[Matrix], rest: u64) -> Option<u64> {
    let mut sum = u128::from(rest);
    for m in matrices {
        sum += if form == "dense" { u128::from(m.bytes) } else { in_form(form, spec, m)? };
    }
    u64::try_from(sum).ok()
}

fn in_form(form: &str, spec: &PruneSpec, m: &Matrix) -> Option<u128> {
    let nnz = m.nnz?;
    let wide = u128::from;
    let (rows, width) = (wide(m.rows) * wide(m.count), wide(m.width));
    // 32-bit pointers while the non-zeros of one matrix fit them; an upper bound where experts are stacked.
    let pointer = |wanted: u64| if wanted == 4 && nnz >= 1 << 31 { 8 } else { wanted };
    let csr = |index: u64, ptr: u64| wide(nnz) * (width + wide(index)) + (rows + wide(m.count)) * wide(ptr);
    match form {
        "bitmask" => Some(wide(nnz) * width + rows * wide(m.columns.div_ceil(8))),
        "csr16" => (m.columns <= 65_536).then(|| csr(2, pointer(4))),
        "csr32" => (m.columns <= 1 << 32).then(|| csr(4, pointer(4))),
        "csr64" => Some(csr(8, 8)),
        "coo32" => (m.columns.max(m.rows) <= 1 << 32).then(|| wide(nnz) * (width + 8)),
        "coo64" => Some(wide(nnz) * (width + 16)),
        "2:4" => match spec {
            PruneSpec::TwoOfFour if !m.columns.is_multiple_of(4) => Some(wide(m.bytes)),
            PruneSpec::TwoOfFour => Some(wide(nnz) * width + wide(nnz).div_ceil(4)),
            _ => None,
        },
        _ => None,
    }
}

/// round(n x share), exact for counts above 2^53 to the precision of the share.
pub(crate) fn rounded_share(n: u64, share: f64) -> u64 {
    // The share as a fraction of 10^15 keeps 0.9 from becoming 0.90000000000000002 of a large count.
    let parts = (share * 1e15).round() as u128;
    u64::try_from((u128::from(n) * parts + 500_000_000_000_000) / 1_000_000_000_000_000).unwrap_or(u64::MAX).min(n)
}

#[cfg(test)]
mod tests;
