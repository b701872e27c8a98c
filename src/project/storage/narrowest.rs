//! Why a quantized checkpoint is larger than its parameters times the bits of its narrowest type: terms that sum to the tensor
//! bytes.

use super::bridge::BridgeTerm;
use super::plan::{Change, OutTensor};
use crate::checkpoint::Part;
use crate::project::input::ProjectInput;
use crate::units::grouped;

/// One stored tensor: what it is, its logical parameters, its bytes.
struct Stored {
    part: Part,
    params: u64,
    bytes: u64,
}

/// A type that holds less than this share of the parameters is an exception, not what the checkpoint is quantized to.
const LEAST_SHARE: f64 = 0.1;

/// The terms for a checkpoint as it is.
pub(super) fn of_input(input: &ProjectInput<'_>) -> Vec<BridgeTerm> {
    terms(input.tensors.iter().map(|t| Stored { part: t.part, params: t.logical_params, bytes: t.bytes }).collect())
}

/// The terms for a projected one.
pub(super) fn of_plan(input: &ProjectInput<'_>, tensors: &[OutTensor<'_>]) -> Vec<BridgeTerm> {
    // What is made of several tensors, as stacked experts, holds the parameters that no other tensor took over.
    let mut used = vec![false; input.tensors.len()];
    for i in tensors.iter().filter_map(|t| t.source) {
        if let Some(used) = used.get_mut(i as usize) {
            *used = true;
        }
    }
    let left =
        input.tensors.iter().zip(&used).filter(|(_, used)| !**used).fold(0u64, |n, (t, _)| n.saturating_add(t.logical_params));
    let is_stack = |t: &OutTensor<'_>| t.source.is_none() && !matches!(t.change, Change::Added | Change::Untied);
    let stacks = tensors.iter().filter(|t| is_stack(t)).fold(0u64, |n, t| n.saturating_add(t.bytes));
    let stored = |t: &OutTensor<'_>| {
        let source = t.source.and_then(|i| input.tensors.get(i as usize));
        match (t.change, source) {
            (Change::Added, _) => Stored { part: Part::Auxiliary, params: 0, bytes: t.bytes },
            (_, Some(source)) => Stored { part: source.part, params: source.logical_params, bytes: t.bytes },
            (_, None) => {
                let share = u128::from(left) * u128::from(t.bytes) / u128::from(stacks.max(1));
                Stored { part: Part::Weight, params: u64::try_from(share).unwrap_or(u64::MAX), bytes: t.bytes }
            }
        }
    };
    let mut terms = terms(tensors.iter().filter(|t| t.change != Change::Untied).map(stored).collect());
    // A head of its own holds no parameter that the embedding does not hold.
    let untied: i128 = tensors.iter().filter(|t| t.change == Change::Untied).map(|t| i128::from(t.bytes)).sum();
    if untied > 0 && !terms.is_empty() {
        terms.push(BridgeTerm { label: "an output head that was the embedding".to_owned(), bytes: untied });
    }
    terms
}

/// The terms for a conversion, whose tensors are all weights of their own shape.
pub(super) fn of_conversion(tensors: &[OutTensor<'_>]) -> Vec<BridgeTerm> {
    let elements = |t: &OutTensor<'_>| t.shape.iter().fold(1u64, |n, &d| n.saturating_mul(d));
    terms(tensors.iter().map(|t| Stored { part: Part::Weight, params: elements(t), bytes: t.bytes }).collect())
}

fn terms(tensors: Vec<Stored>) -> Vec<BridgeTerm> {
    let weights = || tensors.iter().filter(|t| t.part == Part::Weight && t.params > 0);
    let params = weights().fold(0u64, |n, t| n.saturating_add(t.params));
    // Bits per parameter in 64ths, so that widths are compared exactly.
    let width = |t: &Stored| u128::from(t.bytes) * 512 / u128::from(t.params);
    let mut widths: Vec<(u128, u64)> = Vec::new();
    for tensor in weights() {
        match widths.iter_mut().find(|(w, _)| *w == width(tensor)) {
            Some((_, n)) => *n = n.saturating_add(tensor.params),
            None => widths.push((width(tensor), tensor.params)),
        }
    }
    widths.sort_unstable();
    let narrow = widths.iter().find(|(_, n)| *n as f64 >= LEAST_SHARE * params as f64);
    let Some(&(narrow, _)) = narrow.filter(|_| widths.len() > 1 || tensors.iter().any(|t| t.part == Part::Auxiliary)) else {
        return Vec::new();
    };
    let ideal = i128::try_from(u128::from(params) * narrow / 512).unwrap_or(i128::MAX);
    let sum = |part: Part| -> i128 { tensors.iter().filter(|t| t.part == part).map(|t| i128::from(t.bytes)).sum() };
    let wider = weights().filter(|t| width(t) > narrow).fold(0u64, |n, t| n.saturating_add(t.params));
    let mut terms = vec![
        BridgeTerm { label: format!("{} parameters at {} bits each", grouped(params), narrow as f64 / 64.0), bytes: ideal },
        BridgeTerm { label: format!("{} of them are kept in wider types", grouped(wider)), bytes: sum(Part::Weight) - ideal },
        BridgeTerm { label: "scales and zero points".to_owned(), bytes: sum(Part::Auxiliary) },
        BridgeTerm { label: "buffers".to_owned(), bytes: sum(Part::Buffer) },
    ];
    terms.retain(|term| term.bytes != 0);
    terms
}
