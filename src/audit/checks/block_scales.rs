//! The scales inside ggml blocks.

use crate::audit::check::{Check, code};
use crate::audit::finding::Severity::{Note, Warning};
use crate::audit::finding::{Code, Findings};
use crate::audit::subject::Subject;
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
    let broken = subject.scanned().filter(|(_, _, stats)| stats.scales.has_nan_or_inf()).map(|(tensor, _, stats)| {
        let (of, nan, inf) = (grouped(stats.scales.blocks), grouped(stats.scales.nan), grouped(stats.scales.inf));
        subject.about(&BROKEN, &tensor, format!("of {of} blocks {nan} have a scale that is NaN, {inf} an infinite one"))
    });
    out.push_many(broken);
    // All of them: the tensor is all zero, which is said elsewhere.
    let zero = subject.scanned().filter(|(_, _, stats)| stats.scales.zero > 0 && !stats.all_zero());
    out.push_many(zero.map(|(tensor, _, stats)| {
        let (of, zero) = (grouped(stats.scales.blocks), grouped(stats.scales.zero));
        subject.about(&ZERO, &tensor, format!("{zero} of {of} block scales are zero"))
    }));
}
