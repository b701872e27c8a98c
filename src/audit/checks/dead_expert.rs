//! Experts that cannot answer.

use crate::audit::check::{Check, code};
use crate::audit::finding::Severity::Warning;
use crate::audit::finding::{Code, Findings};
use crate::audit::subject::Subject;
use crate::checkpoint::{Part, Role};

const DEAD: Code = code(
    "dead-expert",
    "An expert with a matrix of zeros",
    Warning,
    "A routed expert has a weight matrix that is all zero, while other experts have values there: whatever is routed to it comes out as nothing. The expert was pruned in place, or \
     its part of a merge or conversion was lost. Where every matrix of a model is zero, this is not said expert by expert.",
);

pub(super) const CHECK: Check = Check { name: "dead_expert", codes: &[DEAD], run };

/// Experts named in one finding.
const NAMED: usize = 8;

fn run(subject: &Subject<'_>, out: &mut Findings) {
    let experts = || subject.scanned().filter(|(tensor, ..)| tensor.naming.role == Role::Expert && tensor.part == Part::Weight);
    // Stored one by one: nothing to tell dead from living where all are zero.
    let living = experts().any(|(tensor, _, stats)| tensor.naming.expert.is_some() && !stats.all_zero());
    let single = experts().filter(|(tensor, _, stats)| {
        let matrix = tensor.info.shape.iter().filter(|d| **d > 1).count() >= 2;
        living && matrix && tensor.naming.expert.is_some() && stats.all_zero()
    });
    let single = single.map(|(tensor, ..)| {
        let layer = tensor.naming.layer.map_or_else(String::new, |layer| format!(" of layer {layer}"));
        let message = format!("expert {}{layer} is dead: all values of this matrix are zero", tensor.naming.expert.unwrap_or(0));
        subject.about(&DEAD, &tensor, message)
    });
    let stacked = experts().filter_map(|(tensor, found, stats)| {
        let dead: Vec<usize> = found.slices.iter().enumerate().filter(|(_, s)| s.all_zero()).map(|(i, _)| i).collect();
        (!dead.is_empty() && !stats.all_zero()).then(|| {
            let named: Vec<String> = dead.iter().take(NAMED).map(usize::to_string).collect();
            let more = if dead.len() > NAMED { ", ..." } else { "" };
            let message = format!("{} of {} experts are all zero: {}{more}", dead.len(), found.slices.len(), named.join(", "));
            subject.about(&DEAD, &tensor, message)
        })
    });
    out.push_many(single.chain(stacked));
}
