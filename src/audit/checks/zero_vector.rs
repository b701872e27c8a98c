//! Short vectors of zeros.

use crate::audit::check::{Check, code};
use crate::audit::finding::Severity::Note;
use crate::audit::finding::{Code, Findings};
use crate::audit::subject::Subject;
use crate::audit::tensors::is_long;
use crate::checkpoint::Part;
use crate::units::grouped;

const BIAS: Code = code(
    "zero-vector",
    "A vector of zeros",
    Note,
    "Every value of a bias or another short vector is zero. Published models have such: a pooler that was never trained (all-MiniLM-L6-v2), biases that a conversion added. It \
     changes nothing, and could be left out. A norm whose scale is zero would silence its layer.",
);

pub(super) const CHECK: Check = Check { name: "zero_vector", codes: &[BIAS], run };

fn run(subject: &Subject<'_>, out: &mut Findings) {
    let found = subject.scanned().filter(|(tensor, _, stats)| {
        tensor.part == Part::Weight
            && tensor.info.dtype.is_float()
            && stats.elements > 1
            && stats.all_zero()
            && !is_long(tensor, stats)
    });
    out.push_many(
        found.map(|(tensor, _, stats)| subject.about(&BIAS, &tensor, format!("all {} values are zero", grouped(stats.elements)))),
    );
}
