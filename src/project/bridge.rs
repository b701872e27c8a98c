//! Where the bytes went: signed terms from the actual bytes to the projected ones, or from one checkpoint to another.
//!
//! The terms sum exactly to the target. What is kept is a term of 0 whose label states its bytes: it is why int8 is not half.

use std::collections::BTreeMap;

use serde::Serialize;

use super::input::{ProjectInput, ProjectTensor};
use super::plan::{Change, FileSize, OutTensor};
use crate::checkpoint::{Part, Role};
use crate::dtype::Dtype;
use crate::units::Bytes;

/// One step of the bridge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct BridgeTerm {
    /// What the bytes are, in words.
    pub label: String,
    /// Bytes that it adds (negative: saves). The first term is the actual size.
    pub bytes: i128,
}

/// What tensors are grouped by, in the order of the terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Group {
    Linears,
    Experts,
    Embeddings,
    LmHead,
    NormsAndBiases,
    Others,
    Buffers,
    Auxiliary,
}

impl Group {
    pub(crate) fn of(tensor: &ProjectTensor<'_>) -> Self {
        match (tensor.part, tensor.role) {
            (Part::Auxiliary, _) => Self::Auxiliary,
            (Part::Buffer, _) => Self::Buffers,
            (_, Role::Embedding | Role::PositionEmbedding) => Self::Embeddings,
            (_, Role::LmHead) if tensor.shape.len() > 1 => Self::LmHead,
            _ if tensor.shape.len() < 2 || tensor.role == Role::Norm => Self::NormsAndBiases,
            (_, Role::Expert) => Self::Experts,
            (_, Role::Attention | Role::Mlp | Role::SharedExpert | Role::Router | Role::Head | Role::Recurrent) => Self::Linears,
            _ => Self::Others,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Linears => "linears",
            Self::Experts => "experts",
            Self::Embeddings => "embeddings",
            Self::LmHead => "lm_head",
            Self::NormsAndBiases => "norms and biases",
            Self::Others => "other weights",
            Self::Buffers => "buffers",
            Self::Auxiliary => "scales and zero points",
        }
    }
}

/// What a converted tensor is made of: one tensor, several, a share of one, or nothing (computed).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) group: Group,
    /// Type as stored; `None` where it is computed.
    pub(crate) dtype: Option<Dtype>,
    /// Its share of the stored bytes, scales included.
    pub(crate) bytes: u64,
}

/// What the tensors of a conversion are made of, one row each, and what is not taken over.
#[derive(Debug, Clone, Default)]
pub struct Origins {
    pub(crate) rows: Vec<Origin>,
    pub(crate) left_out: Vec<(Group, u64)>,
}

/// What happened to a group, in the order of the terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Retyped(Dtype, Dtype),
    Fallback(Dtype, Dtype),
    Kept,
    Added(Dtype),
    Untied(Dtype),
    Removed,
}

#[derive(Default)]
struct Steps {
    terms: BTreeMap<(Group, Step), (i128, u64)>,
}

impl Steps {
    fn add(&mut self, group: Group, step: Step, delta: i128, held: u64) {
        let term = self.terms.entry((group, step)).or_default();
        term.0 += delta;
        term.1 = term.1.saturating_add(held);
    }

    fn into_terms(self, actual: u64) -> Vec<BridgeTerm> {
        let mut out = vec![BridgeTerm { label: "actual".to_owned(), bytes: i128::from(actual) }];
        let name = |d: Dtype| d.name().unwrap_or("unknown");
        out.extend(self.terms.into_iter().map(|((group, step), (bytes, held))| {
            let what = group.name();
            let label = match step {
                Step::Retyped(from, to) => format!("{what} {} to {}", name(from), name(to)),
                Step::Fallback(wanted, got) => {
                    format!("{what}: rows do not fill blocks of {}, stored as {}", name(wanted), name(got))
                }
                Step::Kept => format!("{what} kept ({})", Bytes(held).exact()),
                Step::Untied(dtype) => format!("{what} no longer the embedding, in {}", name(dtype)),
                Step::Added(dtype) => format!("{what} added in {}", name(dtype)),
                Step::Removed => format!("{what} left out"),
            };
            BridgeTerm { label, bytes }
        }));
        out
    }
}

fn push(terms: &mut Vec<BridgeTerm>, label: &str, bytes: i128) {
    if bytes != 0 {
        terms.push(BridgeTerm { label: label.to_owned(), bytes });
    }
}

/// Closes the sum: whatever is left is named, never hidden.
fn close(mut terms: Vec<BridgeTerm>, projected: u64) -> Vec<BridgeTerm> {
    let sum: i128 = terms.iter().map(|t| t.bytes).sum();
    push(&mut terms, "unaccounted", i128::from(projected) - sum);
    terms
}

/// From the files as they are to the projected ones.
pub fn to_plan(input: &ProjectInput<'_>, tensors: &[OutTensor<'_>], file: &FileSize) -> Vec<BridgeTerm> {
    let mut steps = Steps::default();
    let mut used = vec![false; input.tensors.len()];
    let mut unmatched: Vec<&OutTensor<'_>> = Vec::new();
    for out in tensors {
        let Some((i, source)) = out.source.and_then(|i| input.tensors.get(i as usize).map(|t| (i as usize, t))) else {
            if out.change == Change::Untied {
                steps.add(Group::LmHead, Step::Untied(out.dtype), i128::from(out.bytes), 0);
            } else if out.change == Change::Added {
                steps.add(Group::Auxiliary, Step::Added(out.dtype), i128::from(out.bytes), 0);
            } else {
                unmatched.push(out);
            }
            continue;
        };
        used[i] = true;
        let group = Group::of(source);
        let delta = i128::from(out.bytes) - i128::from(source.bytes);
        match out.change {
            Change::Fallback { wanted } if out.dtype != source.dtype => {
                // The rule's own step first, as if the rows did fill its blocks; what the fallback costs comes on top.
                let ideal = ideal(wanted, source.elements, out.bytes);
                steps.add(group, Step::Retyped(source.dtype, wanted), i128::from(ideal) - i128::from(source.bytes), 0);
                steps.add(group, Step::Fallback(wanted, out.dtype), i128::from(out.bytes) - i128::from(ideal), 0);
            }
            _ if out.dtype == source.dtype => steps.add(group, Step::Kept, delta, out.bytes),
            _ => steps.add(group, Step::Retyped(source.dtype, out.dtype), delta, 0),
        }
    }
    stacked(input, &unmatched, &mut used, &mut steps);
    for (tensor, _) in input.tensors.iter().zip(&used).filter(|(_, used)| !**used) {
        steps.add(Group::of(tensor), Step::Removed, -i128::from(tensor.bytes), 0);
    }
    finish(input, steps, file)
}

/// As [`to_plan`], for a conversion that renames, stacks and splits: `origins` has a row for each tensor.
pub(crate) fn to_conversion(
    input: &ProjectInput<'_>,
    origins: &Origins,
    tensors: &[OutTensor<'_>],
    file: &FileSize,
) -> Vec<BridgeTerm> {
    let mut steps = Steps::default();
    for (out, origin) in tensors.iter().zip(&origins.rows) {
        let delta = i128::from(out.bytes) - i128::from(origin.bytes);
        let Some(from) = origin.dtype else {
            steps.add(origin.group, Step::Added(out.dtype), delta, 0);
            continue;
        };
        match out.change {
            Change::Fallback { wanted } if out.dtype != from => {
                let ideal = ideal(wanted, out.shape.iter().fold(1u64, |n, &d| n.saturating_mul(d)), out.bytes);
                steps.add(origin.group, Step::Retyped(from, wanted), i128::from(ideal) - i128::from(origin.bytes), 0);
                steps.add(origin.group, Step::Fallback(wanted, out.dtype), i128::from(out.bytes) - i128::from(ideal), 0);
            }
            _ if out.dtype == from => steps.add(origin.group, Step::Kept, delta, out.bytes),
            _ => steps.add(origin.group, Step::Retyped(from, out.dtype), delta, 0),
        }
    }
    for (group, bytes) in &origins.left_out {
        steps.add(*group, Step::Removed, -i128::from(*bytes), 0);
    }
    finish(input, steps, file)
}

/// Bytes of the elements in a type, as if they filled its blocks.
fn ideal(wanted: Dtype, elements: u64, otherwise: u64) -> u64 {
    wanted.info().map_or(otherwise, |row| {
        let bytes = u128::from(elements) * u128::from(row.bytes_per_block) / u128::from(row.elements_per_block);
        u64::try_from(bytes).unwrap_or(u64::MAX)
    })
}

fn finish(input: &ProjectInput<'_>, steps: Steps, file: &FileSize) -> Vec<BridgeTerm> {
    let mut terms = steps.into_terms(input.file_bytes);
    let before = input.file_bytes.saturating_sub(input.tensor_bytes());
    let padding_before = before.saturating_sub(input.header_bytes);
    push(&mut terms, "header", i128::from(file.header) - i128::from(before - padding_before));
    push(&mut terms, "padding", i128::from(file.padding) - i128::from(padding_before));
    close(terms, file.likely)
}

/// Tensors made of several (stacked experts) against the experts they are made of.
fn stacked(input: &ProjectInput<'_>, unmatched: &[&OutTensor<'_>], used: &mut [bool], steps: &mut Steps) {
    let Some(out) = unmatched.first() else { return };
    let after: u64 = unmatched.iter().fold(0, |n, t| n.saturating_add(t.bytes));
    let mut before = 0u64;
    let mut from: Option<Dtype> = None;
    for (tensor, used) in input.tensors.iter().zip(used.iter_mut()).filter(|(t, used)| !**used && t.role == Role::Expert) {
        *used = true;
        before = before.saturating_add(tensor.bytes);
        from.get_or_insert(tensor.dtype);
    }
    let delta = i128::from(after) - i128::from(before);
    match from {
        Some(from) if from == out.dtype => steps.add(Group::Experts, Step::Kept, delta, after),
        Some(from) => steps.add(Group::Experts, Step::Retyped(from, out.dtype), delta, 0),
        None => steps.add(Group::Others, Step::Added(out.dtype), delta, 0),
    }
}

/// From one checkpoint to another: `a` is the first term, the terms sum to the file bytes of `b`. `matches` has every tensor of both
/// once, with its counterparts (none: it vanishes or appears).
pub(crate) fn between(a: &ProjectInput<'_>, b: &ProjectInput<'_>, matches: &[(&[usize], &[usize])]) -> Vec<BridgeTerm> {
    let mut steps = Steps::default();
    let sum = |side: &ProjectInput<'_>, indices: &[usize]| indices.iter().map(|&i| i128::from(side.tensors[i].bytes)).sum::<i128>();
    for (of_a, of_b) in matches {
        let (from, to) = (of_a.first().map(|&i| &a.tensors[i]), of_b.first().map(|&i| &b.tensors[i]));
        let delta = sum(b, of_b) - sum(a, of_a);
        match (from, to) {
            (Some(from), Some(to)) if from.dtype == to.dtype => {
                steps.add(Group::of(from), Step::Kept, delta, u64::try_from(sum(b, of_b)).unwrap_or(u64::MAX));
            }
            (Some(from), Some(to)) => steps.add(Group::of(from), Step::Retyped(from.dtype, to.dtype), delta, 0),
            (Some(from), None) => steps.add(Group::of(from), Step::Removed, delta, 0),
            (None, Some(to)) => steps.add(Group::of(to), Step::Added(to.dtype), delta, 0),
            (None, None) => {}
        }
    }
    let mut terms = steps.into_terms(a.file_bytes);
    let overhead = |x: &ProjectInput<'_>| x.file_bytes.saturating_sub(x.tensor_bytes());
    let padding = |x: &ProjectInput<'_>| overhead(x).saturating_sub(x.header_bytes);
    let header = |x: &ProjectInput<'_>| overhead(x) - padding(x);
    push(&mut terms, "header", i128::from(header(b)) - i128::from(header(a)));
    push(&mut terms, "padding", i128::from(padding(b)) - i128::from(padding(a)));
    close(terms, b.file_bytes)
}
