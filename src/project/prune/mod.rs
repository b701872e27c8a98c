//! What pruned weights would take in each form, at the zeros that are there and at targets.
//!
//! Per matrix of R rows and C columns with nnz non-zeros of w bytes: dense R x C x w, whatever the zeros; bitmask
//! nnz x w + R x ceil(C/8); CSR nnz x (w + index) + (R+1) x pointer; COO nnz x (w + 2 x index); N:M the kept values and
//! ceil(log2 M) bits for each. Everything that is no such matrix stays as it is. Cuts of layers, heads, channels or width make
//! smaller matrices instead ([`Cut`]).

mod axes;
mod cut;
mod dims;
mod forms;
mod magnitude;
mod row;
mod spec;
mod structured;

pub use cut::Cut;
pub use dims::Dims;
pub use forms::break_even;
pub use magnitude::{GlobalRule, Magnitude, PerTensorRule, Spread};
pub use row::{PrunedForm, PrunedRow, ShapeChange, Structure};
pub use spec::PruneSpec;

use super::input::{ProjectInput, ProjectTensor};
use super::quantize::Target;
use super::quantize::options::Options;
use crate::checkpoint::{Part, Role};
use crate::stats::magnitude::Cutoffs;
use forms::{BLOCK_FORMS, FORMS, Matrix, OTHER_PATTERN};

/// What a pruned row is made of beside the tensors.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'r> {
    /// Schemes that the smaller model of a cut is projected to.
    pub(super) targets: &'r [Target],
    /// How the quantizers are run.
    pub(super) options: Options,
    /// Exact zeros, aligned with the tensors.
    pub(super) zeros: Option<&'r [Option<u64>]>,
    /// Thresholds, aligned likewise.
    pub(super) cutoffs: Option<&'r Cutoffs>,
}

/// One row of the report, with the smaller model of a cut under the targets.
pub(super) fn row_under(input: &ProjectInput<'_>, spec: &PruneSpec, asked: &Asked<'_>) -> PrunedRow {
    if let PruneSpec::Structured(cut) = spec {
        return structured::row(input, *cut, asked.targets, asked.options);
    }
    let mut row = row(input, spec, asked.zeros);
    let share = match spec {
        PruneSpec::Share(share) => *share,
        PruneSpec::Pattern { .. } | PruneSpec::Block { .. } => {
            row.notes.push("patterns and blocks have no threshold: what goes is decided within each group".to_owned());
            return row;
        }
        _ => return row,
    };
    row.magnitude = asked.cutoffs.and_then(|cutoffs| magnitude::of(input, cutoffs, share));
    row.threshold = row.magnitude.as_ref().map(|magnitude| magnitude.global.threshold);
    if row.threshold.is_none() {
        row.notes.push(
            match asked.cutoffs {
                Some(_) => {
                    "the threshold is not known: no weight that would be pruned is finite, or too many shares were asked for"
                }
                None => "the threshold is not known: it needs the magnitudes, which --scan reads",
            }
            .to_owned(),
        );
    }
    row
}

/// Which tensors a share of zeros is taken from, aligned with the input: floating-point matrices of linear layers and experts.
pub fn prunable(input: &ProjectInput<'_>) -> Vec<bool> {
    input.tensors.iter().map(|t| t.part == Part::Weight && t.dtype.is_float() && is_prunable(t) && matrix(t).is_some()).collect()
}

/// One row of the report. `zeros` is aligned with the tensors.
pub fn row(input: &ProjectInput<'_>, spec: &PruneSpec, zeros: Option<&[Option<u64>]>) -> PrunedRow {
    if let PruneSpec::Structured(cut) = spec {
        return structured::row(input, *cut, &[], Options::default());
    }
    let zeros_of = |i: usize| zeros.and_then(|z| z.get(i).copied().flatten());
    let mut notes = vec!["a pruned dense file is as large as before: zeros are stored like any other value".to_owned()];
    let (mut seen, mut zero, mut missing) = (0u64, 0u64, 0u64);
    let mut matrices: Vec<Matrix> = Vec::new();
    let mut rest = 0u64;
    let (mut quants, mut undivided) = (0u64, 0u64);
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
                    PruneSpec::Pattern { keep, of } if t.row_len().is_multiple_of(*of) => Some(t.elements / of * keep),
                    PruneSpec::Block { rows, columns, share } => Some(match m.tiles(*rows, *columns) {
                        Some(tiles) => (tiles - rounded_share(tiles, *share)) * rows * columns,
                        None => t.elements,
                    }),
                    PruneSpec::Pattern { .. } | PruneSpec::Structured(_) => Some(t.elements),
                };
                undivided += u64::from(match spec {
                    PruneSpec::Pattern { of, .. } => !m.columns.is_multiple_of(*of),
                    PruneSpec::Block { rows, columns, .. } => m.tiles(*rows, *columns).is_none(),
                    _ => false,
                });
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
    let bits = widest_share(&matrices);
    let blocks = if matches!(spec, PruneSpec::Block { .. }) { BLOCK_FORMS } else { &[] };
    let forms = FORMS
        .iter()
        .chain(blocks)
        .map(|&(form, loadable_by)| {
            let pattern = spec.pattern_form();
            let (form, loadable_by) = if form == "2:4" && pattern != form { (pattern, OTHER_PATTERN) } else { (form, loadable_by) };
            let bytes = if matrices.is_empty() && form != "dense" { None } else { total(form, spec, &matrices, rest) };
            let ratio = bytes.filter(|_| actual > 0).map(|b| b as f64 / actual as f64);
            PrunedForm { form, bytes, ratio, break_even_sparsity: bits.and_then(|bits| break_even(form, bits)), loadable_by }
        })
        .collect();
    if undivided > 0 {
        notes.push(format!("{undivided} matrices do not divide into the pattern and stay dense"));
    }
    if matrices.is_empty() {
        notes.push("no floating-point matrix to prune".to_owned());
    }
    if matches!(spec, PruneSpec::Measured) {
        notes.push("2:4 needs the pattern, which a count of zeros does not tell".to_owned());
    }
    PrunedRow {
        spec: spec.name(),
        target_sparsity: spec.target(),
        measured_sparsity: (seen > 0 && missing == 0).then(|| zero as f64 / seen as f64),
        threshold: None,
        magnitude: None,
        logical_params: Some(input.logical_params()),
        forms,
        structure: None,
        notes,
    }
}

/// Linear layers, as pruning tools (SparseGPT, Wanda) take them.
fn is_prunable(t: &ProjectTensor<'_>) -> bool {
    let role = matches!(t.role, Role::Attention | Role::Mlp | Role::Expert | Role::SharedExpert | Role::Recurrent | Role::Mtp);
    // Biases of stacked experts have two dimensions.
    role && t.shape.len() >= 2 && !t.name.ends_with("bias")
}

/// Bits of a value in the type that most of the bytes have.
fn widest_share(matrices: &[Matrix]) -> Option<u64> {
    let mut by_width: Vec<(u64, u128)> = Vec::new();
    for m in matrices {
        match by_width.iter_mut().find(|(width, _)| *width == m.width) {
            Some((_, bytes)) => *bytes += u128::from(m.bytes),
            None => by_width.push((m.width, u128::from(m.bytes))),
        }
    }
    by_width.iter().max_by_key(|(_, bytes)| *bytes).map(|(width, _)| width.saturating_mul(8))
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
    Some(Matrix { count, rows, columns, width: info.bytes_per_block, bytes: t.bytes, elements: t.elements, nnz: None })
}

fn total(form: &str, spec: &PruneSpec, matrices: &[Matrix], rest: u64) -> Option<u64> {
    let mut sum = u128::from(rest);
    for m in matrices {
        sum += if form == "dense" { u128::from(m.bytes) } else { forms::bytes(form, spec, m)? };
    }
    u64::try_from(sum).ok()
}

/// round(n x share), exact for counts above 2^53 to the precision of the share.
pub(crate) fn rounded_share(n: u64, share: f64) -> u64 {
    // The share as a fraction of 10^15 keeps 0.9 from becoming 0.90000000000000002 of a large count.
    let parts = (share * 1e15).round() as u128;
    u64::try_from((u128::from(n) * parts + 500_000_000_000_000) / 1_000_000_000_000_000).unwrap_or(u64::MAX).min(n)
}

#[cfg(test)]
mod tests;
