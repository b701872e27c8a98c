//! The scales inside ggml blocks.

use super::super::Severity::{Note, Warning};
use super::super::finding::{Code, Finding, Findings};
use super::super::subject::Subject;
use super::{Check, code};
use crate::units::grouped;

const BROKEN: Code = code(
    "broken-block-scale",
    "A block scale that is NaN or infinite",
    Warning,
    "A scale inside a quantized block is NaN or infinite, so every weight of the block is. Quantizing a model whose values leave the range of F16, or damaged bytes, do that. \
     llama.cpp refuses such files when it validates tensors.",
);
const ZERO: Code = code(
    "zero-block-scale",
    "Block scales that are zero",
    Note,
    "Blocks with a scale of zero decode to zeros. Rows that were never trained (unused tokens) and pruned weights come out so; many of them in a matrix that should be dense hint at \
     values below the smallest scale that F16 holds.",
);

pub(super) const CHECK: Check = Check { name: "block_scales", codes: &[BROKEN, ZERO], run };

fn run(subject: &Subject<'_>, out: &mut Findings) {
    let scanned = subject.scanned();
    let (mut broken, mut zero): (Vec<Finding>, Vec<Finding>) = Default::default();
    for (tensor, _, stats) in &scanned {
        let scales = stats.scales;
        let of = grouped(scales.blocks);
        if scales.is_sick() {
            let message =
                format!("of {of} blocks {} have a scale that is NaN, {} an infinite one", grouped(scales.nan), grouped(scales.inf));
            broken.push(subject.about(&BROKEN, tensor, message));
        }
        // All of them: the tensor is all zero, which is said elsewhere.
        if scales.zero > 0 && !stats.all_zero() {
            zero.push(subject.about(&ZERO, tensor, format!("{} of {of} block scales are zero", grouped(scales.zero))));
        }
    }
    out.push_many(broken);
    out.push_many(zero);
}
