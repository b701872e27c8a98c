//! Matrices of one value throughout, other than zero.

use crate::audit::check::{Check, code};
use crate::audit::finding::Severity::Warning;
use crate::audit::finding::{Code, Findings};
use crate::audit::subject::Subject;
use crate::checkpoint::Part;
use crate::units::grouped;

const CONSTANT: Code = code(
    "constant-matrix",
    "A matrix of one value throughout",
    Warning,
    "Every value of a weight matrix is the same, and not zero: weights that were filled in and never trained, or a conversion that wrote a default. Training never leaves a \
     matrix so. Vectors (norms of ones) and buffers are usual and not reported.",
);

pub(super) const CHECK: Check = Check { name: "constant_matrix", codes: &[CONSTANT], run };

fn run(subject: &Subject<'_>, out: &mut Findings) {
    let found = subject.scanned().filter(|(tensor, _, stats)| {
        let matrix = tensor.info.shape.iter().filter(|d| **d > 1).count() >= 2;
        matrix && tensor.part == Part::Weight && stats.constant() && !stats.all_zero()
    });
    out.push_many(found.map(|(tensor, _, stats)| {
        subject.about(&CONSTANT, &tensor, format!("all {} values are {:e}", grouped(stats.elements), stats.raw_min))
    }));
}
