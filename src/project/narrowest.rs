//! Why a quantized checkpoint is larger than its parameters times the bits of its narrowest type: terms that sum to the tensor
//! bytes.

use std::collections::BTreeMap;

use super::bridge::{BridgeTerm, Group, Origins};
use super::input::{ProjectInput, ProjectTensor};
use super::plan::{Change, OutTensor};
use crate::checkpoint::Part;
use crate::dtype::Dtype;
use crate::units::grouped;

/// One stored tensor: what it is, its logical parameters, its bytes, and why it has its type.
struct Stored {
    part: Part,
    params: u64,
    bytes: u64,
    cause: Cause,
}

/// Why a checkpoint is larger than its narrowest type alone.
#[derive(Debug, Default)]
pub(super) struct Narrowest {
    /// Sum to the tensor bytes; empty where all is in one type.
    pub(super) terms: Vec<BridgeTerm>,
    /// Sum to the term of what is kept in wider types: what it is, and in which type.
    pub(super) wider: Vec<BridgeTerm>,
}

/// What a wider type is told apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Cause {
    group: Group,
    dtype: Dtype,
    /// What the rule wanted where the rows do not fill its blocks.
    wanted: Option<Dtype>,
}

impl Cause {
    fn of(group: Group, out: &OutTensor<'_>) -> Self {
        let wanted = if let Change::Fallback { wanted } = out.change { Some(wanted) } else { None };
        Self { group, dtype: out.dtype, wanted }
    }

    fn label(self, params: u64) -> String {
        let name = |dtype: Dtype| dtype.name().unwrap_or("an unknown type");
        let why = self.wanted.map_or_else(String::new, |wanted| format!(" (rows do not fill {} blocks)", name(wanted)));
        format!("{} of {} in {}{why}", grouped(params), self.group.name(), name(self.dtype))
    }
}

/// Causes told apart; the smaller ones are one term.
const CAUSES: usize = 5;

/// A type that holds less than this share of the parameters is an exception, not what the checkpoint is quantized to.
const LEAST_SHARE: f64 = 0.1;

/// The terms for a checkpoint as it is.
pub(super) fn of_input(input: &ProjectInput<'_>) -> Narrowest {
    let cause = |t: &ProjectTensor<'_>| Cause { group: Group::of(t), dtype: t.dtype, wanted: None };
    let stored = |t: &ProjectTensor<'_>| Stored { part: t.part, params: t.logical_params, bytes: t.bytes, cause: cause(t) };
    terms(input.tensors.iter().map(stored).collect())
}

/// The terms for a projected one.
pub(super) fn of_plan(input: &ProjectInput<'_>, tensors: &[OutTensor<'_>]) -> Narrowest {
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
        let (part, params, group) = match (t.change, source) {
            (Change::Added, _) => (Part::Auxiliary, 0, Group::Auxiliary),
            (_, Some(source)) => (source.part, source.logical_params, Group::of(source)),
            (_, None) => {
                let share = u128::from(left) * u128::from(t.bytes) / u128::from(stacks.max(1));
                (Part::Weight, u64::try_from(share).unwrap_or(u64::MAX), Group::Experts)
            }
        };
        Stored { part, params, bytes: t.bytes, cause: Cause::of(group, t) }
    };
    let mut found = terms(tensors.iter().filter(|t| t.change != Change::Untied).map(stored).collect());
    // A head of its own holds no parameter that the embedding does not hold.
    let untied: i128 = tensors.iter().filter(|t| t.change == Change::Untied).map(|t| i128::from(t.bytes)).sum();
    if untied > 0 && !found.terms.is_empty() {
        found.terms.push(BridgeTerm { label: "an output head that was the embedding".to_owned(), bytes: untied });
    }
    found
}

/// The terms for a conversion, whose tensors are all weights of their own shape; `origins` has a row for each.
pub(super) fn of_conversion(origins: &Origins, tensors: &[OutTensor<'_>]) -> Narrowest {
    let stored = |(i, t): (usize, &OutTensor<'_>)| {
        let group = origins.rows.get(i).map_or(Group::Others, |row| row.group);
        Stored { part: Part::Weight, params: elements(t), bytes: t.bytes, cause: Cause::of(group, t) }
    };
    terms(tensors.iter().enumerate().map(stored).collect())
}

fn elements(tensor: &OutTensor<'_>) -> u64 {
    tensor.shape.iter().fold(1, |n, &d| n.saturating_mul(d))
}

fn terms(tensors: Vec<Stored>) -> Narrowest {
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
        return Narrowest::default();
    };
    let ideal = i128::try_from(u128::from(params) * narrow / 512).unwrap_or(i128::MAX);
    let sum = |part: Part| -> i128 { tensors.iter().filter(|t| t.part == part).map(|t| i128::from(t.bytes)).sum() };
    let wide = weights().filter(|t| width(t) > narrow).fold(0u64, |n, t| n.saturating_add(t.params));
    let mut causes: BTreeMap<Cause, (u64, i128)> = BTreeMap::new();
    for tensor in weights().filter(|t| width(t) != narrow) {
        let at_narrow = i128::try_from(u128::from(tensor.params) * narrow / 512).unwrap_or(i128::MAX);
        let cause = causes.entry(tensor.cause).or_default();
        cause.0 = cause.0.saturating_add(tensor.params);
        cause.1 += i128::from(tensor.bytes) - at_narrow;
    }
    let mut terms =
        vec![BridgeTerm { label: format!("{} parameters at {} bits each", grouped(params), narrow as f64 / 64.0), bytes: ideal }];
    let beyond = sum(Part::Weight) - ideal;
    terms.extend([
        BridgeTerm { label: format!("{} of them are kept in wider types", grouped(wide)), bytes: beyond },
        BridgeTerm { label: "scales and zero points".to_owned(), bytes: sum(Part::Auxiliary) },
        BridgeTerm { label: "buffers".to_owned(), bytes: sum(Part::Buffer) },
    ]);
    terms.retain(|term| term.bytes != 0);
    Narrowest { terms, wider: wider(causes, beyond) }
}

/// A term for each of the largest causes; the rest, and what rounding to whole bytes leaves, is the last one.
fn wider(causes: BTreeMap<Cause, (u64, i128)>, total: i128) -> Vec<BridgeTerm> {
    let mut causes: Vec<(Cause, (u64, i128))> = causes.into_iter().collect();
    causes.sort_by_key(|(_, (_, bytes))| std::cmp::Reverse(bytes.abs()));
    let told = if causes.len() > CAUSES { CAUSES - 1 } else { causes.len() };
    let rest = causes.split_off(told);
    let params = rest.iter().fold(0u64, |n, (_, (params, _))| n.saturating_add(*params));
    let mut terms: Vec<BridgeTerm> =
        causes.into_iter().map(|(cause, (params, bytes))| BridgeTerm { label: cause.label(params), bytes }).collect();
    let left = total - terms.iter().map(|t| t.bytes).sum::<i128>();
    match terms.last_mut() {
        Some(last) if rest.is_empty() => last.bytes += left,
        _ if params > 0 || left != 0 => {
            terms.push(BridgeTerm { label: format!("{} in other types", grouped(params)), bytes: left });
        }
        _ => {}
    }
    terms
}
