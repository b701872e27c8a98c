//! The rows of a comparison: one a tensor, and their sums by kind.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Serialize;

use super::Match;
use crate::project::bridge::Group;
use crate::project::{ProjectInput, ProjectTensor};

/// What became of a tensor, as far as headers tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Of the same type and shape; the values were not compared.
    SameHeader,
    /// Of another type or shape, stacked or split.
    OtherHeader,
    /// In A only.
    OnlyA,
    /// In B only.
    OnlyB,
}

/// One tensor, or several that are one on the other side. Names are those of the checkpoints, not copies: there are many, and long ones.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DiffRow<'a> {
    /// What became of it.
    pub status: Status,
    /// Name in A; the first of several.
    pub name: Option<Cow<'a, str>>,
    /// Name in B; the first of several.
    pub name_b: Option<Cow<'a, str>>,
    /// How many tensors it is in A.
    pub parts_a: u64,
    /// How many tensors it is in B.
    pub parts_b: u64,
    /// Element type in A.
    pub dtype_a: Option<&'static str>,
    /// Element type in B.
    pub dtype_b: Option<&'static str>,
    /// Dimensions in A, outermost first.
    pub shape_a: Option<Vec<u64>>,
    /// Dimensions in B, outermost first.
    pub shape_b: Option<Vec<u64>>,
    /// Bytes in A.
    pub bytes_a: u64,
    /// Bytes in B.
    pub bytes_b: u64,
    /// Not measured: headers hold no values.
    pub relative_l2: Option<f64>,
    /// Not measured.
    pub cosine: Option<f64>,
    /// Not measured.
    pub max_abs: Option<f64>,
    /// Not measured.
    pub sqnr_db: Option<f64>,
}

impl<'a> DiffRow<'a> {
    fn of(a: &ProjectInput<'a>, b: &ProjectInput<'a>, m: &Match) -> Self {
        let (first_a, first_b) = (m.a.first().map(|&i| &a.tensors[i]), m.b.first().map(|&i| &b.tensors[i]));
        let shape = |t: Option<&ProjectTensor<'_>>| t.map(|t| t.shape.to_vec());
        Self {
            status: status(a, b, m),
            name: first_a.map(|t| t.name.clone()),
            name_b: first_b.map(|t| t.name.clone()),
            parts_a: m.a.len() as u64,
            parts_b: m.b.len() as u64,
            dtype_a: first_a.map(dtype),
            dtype_b: first_b.map(dtype),
            shape_a: shape(first_a),
            shape_b: shape(first_b),
            bytes_a: bytes(a, &m.a),
            bytes_b: bytes(b, &m.b),
            relative_l2: None,
            cosine: None,
            max_abs: None,
            sqnr_db: None,
        }
    }

    /// Whether both sides have it in other dimensions, outer ones of 1 apart, and neither packs nor stacks it.
    pub fn reshaped(&self) -> bool {
        let trim = |shape: &Option<Vec<u64>>| -> Vec<u64> { shape.iter().flatten().copied().skip_while(|&d| d == 1).collect() };
        let both = self.shape_a.is_some() && self.shape_b.is_some() && self.parts_a == 1 && self.parts_b == 1;
        both && trim(&self.shape_a) != trim(&self.shape_b)
    }
}

fn dtype(tensor: &ProjectTensor<'_>) -> &'static str {
    tensor.dtype.name().unwrap_or("unknown")
}

fn bytes(side: &ProjectInput<'_>, indices: &[usize]) -> u64 {
    indices.iter().fold(0, |n, &i| n.saturating_add(side.tensors[i].bytes))
}

fn status(a: &ProjectInput<'_>, b: &ProjectInput<'_>, m: &Match) -> Status {
    match (m.a.as_slice(), m.b.as_slice()) {
        (_, []) => Status::OnlyA,
        ([], _) => Status::OnlyB,
        ([i], [j]) if a.tensors[*i].dtype == b.tensors[*j].dtype && a.tensors[*i].shape == b.tensors[*j].shape => {
            Status::SameHeader
        }
        _ => Status::OtherHeader,
    }
}

/// How the tensors compare, and the rows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DiffTensors<'a> {
    /// Matches of the same type and shape; their values may differ.
    pub same_header: u64,
    /// Matches of another type or shape, stacked or split.
    pub other_header: u64,
    /// Matches of equal values; `None` because headers hold no values.
    pub identical: Option<u64>,
    /// Matches of other values; `None` because headers hold no values.
    pub changed: Option<u64>,
    /// Tensors that only A has.
    pub only_a: u64,
    /// Tensors that only B has.
    pub only_b: u64,
    /// One row a match; those of the same type and shape where all were asked for.
    pub rows: Vec<DiffRow<'a>>,
}

impl<'a> DiffTensors<'a> {
    pub(super) fn of(a: &ProjectInput<'a>, b: &ProjectInput<'a>, matches: &[Match], all: bool) -> Self {
        let count = |wanted: Status| matches.iter().filter(|m| status(a, b, m) == wanted).count() as u64;
        let listed = |m: &&Match| all || status(a, b, m) != Status::SameHeader;
        Self {
            same_header: count(Status::SameHeader),
            other_header: count(Status::OtherHeader),
            identical: None,
            changed: None,
            only_a: count(Status::OnlyA),
            only_b: count(Status::OnlyB),
            rows: matches.iter().filter(listed).map(|m| DiffRow::of(a, b, m)).collect(),
        }
    }
}

/// A kind of tensor and its types on both sides.
type Way = (&'static str, Option<&'static str>, Option<&'static str>);

/// All tensors of one kind that went the same way.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KindRow {
    /// Linears, embeddings, norms and biases, ...
    pub kind: &'static str,
    /// Element type in A; null where A has no such tensor.
    pub dtype_a: Option<&'static str>,
    /// Element type in B; null where B has no such tensor.
    pub dtype_b: Option<&'static str>,
    /// Tensors in A.
    pub tensors_a: u64,
    /// Tensors in B.
    pub tensors_b: u64,
    /// Their bytes in A.
    pub bytes_a: u64,
    /// Their bytes in B.
    pub bytes_b: u64,
}

impl KindRow {
    pub(super) fn of(a: &ProjectInput<'_>, b: &ProjectInput<'_>, matches: &[Match]) -> Vec<Self> {
        let mut sums: BTreeMap<Way, [u64; 4]> = BTreeMap::new();
        for m in matches {
            let (first_a, first_b) = (m.a.first().map(|&i| &a.tensors[i]), m.b.first().map(|&i| &b.tensors[i]));
            let Some(one) = first_a.or(first_b) else { continue };
            let sum = sums.entry((Group::of(one).name(), first_a.map(dtype), first_b.map(dtype))).or_default();
            let add = [m.a.len() as u64, m.b.len() as u64, bytes(a, &m.a), bytes(b, &m.b)];
            sum.iter_mut().zip(add).for_each(|(n, more)| *n = n.saturating_add(more));
        }
        let row = |((kind, dtype_a, dtype_b), [tensors_a, tensors_b, bytes_a, bytes_b]): (Way, [u64; 4])| Self {
            kind,
            dtype_a,
            dtype_b,
            tensors_a,
            tensors_b,
            bytes_a,
            bytes_b,
        };
        let mut rows: Vec<Self> = sums.into_iter().map(row).collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.bytes_a.max(row.bytes_b)));
        rows
    }
}
