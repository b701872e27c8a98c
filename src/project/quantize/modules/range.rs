//! Between which sizes a plan lies whose choice of modules is not known.

use super::{Choice, Walk};
use crate::project::plan::Plan;
use crate::project::quantize::context::Context;
use crate::project::quantize::packing::Packing;

/// Names are part of the header, and a class that was not seen may be written under others: so many bytes more or less for each
/// tensor (`model.language_model.` is the longest beginning that transformers adds or drops).
const NAME: u64 = 21;

/// The plan with the sizes that it has if the tool takes every tensor in doubt, and if it takes none.
pub(super) fn widened<'a, P: Packing>(packing: &P, context: &Context<'_, 'a>, mut plan: Plan<'a>) -> Plan<'a> {
    let bytes = |plan: &Plan<'_>| plan.tensors.iter().fold(0u64, |n, t| n.saturating_add(t.bytes));
    let (mut low, mut high) = plan.tensor_range.unwrap_or((bytes(&plan), bytes(&plan)));
    let file = |plan: &Plan<'_>| plan.file.map(|f| f.range.unwrap_or((f.likely, f.likely)));
    let mut files = file(&plan);
    let mut most = plan.tensors.len();
    for choice in [Choice::Least, Choice::Most] {
        let Ok((other, _)) = Walk::new(packing, context, choice).run(context) else { continue };
        let range = other.tensor_range.unwrap_or((bytes(&other), bytes(&other)));
        (low, high) = (low.min(range.0), high.max(range.1));
        most = most.max(other.tensors.len());
        files = files.zip(file(&other)).map(|(a, b)| (a.0.min(b.0), a.1.max(b.1)));
    }
    let slack = NAME.saturating_mul(most as u64);
    if low < high {
        plan.tensor_range = Some((low, high));
    }
    if let (Some(file), Some((low, high))) = (&mut plan.file, files) {
        file.range = Some((low.saturating_sub(slack), high.saturating_add(slack)));
    }
    plan
}
