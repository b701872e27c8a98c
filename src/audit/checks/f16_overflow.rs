//! Values that F16 has no room for.

use crate::audit::check::{Check, code};
use crate::audit::finding::Severity::Note;
use crate::audit::finding::{Code, Findings};
use crate::audit::subject::Subject;
use crate::checkpoint::Part;
use crate::dtype::Dtype;

const OVERFLOW: Code = code(
    "f16-overflow",
    "Weights beyond the range of F16",
    Note,
    "An F32, F64 or BF16 tensor holds values that become infinite in F16, whose largest number is 65504: loading the model in half precision, or converting it, breaks it. `weigh scan \
     --cast f16` counts them. BF16 holds them.",
);

pub(super) const CHECK: Check = Check { name: "f16_overflow", codes: &[OVERFLOW], run };

/// Half-way between the largest F16, 65504, and the next step: from here on, rounding to nearest gives infinity (IEEE 754-2019).
const INFINITE_FROM: f64 = 65520.0;

fn run(subject: &Subject<'_>, out: &mut Findings) {
    let found = subject.scanned().filter_map(|(tensor, _, stats)| {
        let wide = matches!(tensor.info.dtype, Dtype::F32 | Dtype::F64 | Dtype::BF16);
        let most = stats.abs_max().filter(|most| *most >= INFINITE_FROM)?;
        // Masks hold the lowest number of their type on purpose.
        (wide && tensor.part != Part::Buffer)
            .then(|| subject.about(&OVERFLOW, &tensor, format!("the largest magnitude is {most:e}; F16 ends at 65504")))
    });
    out.push_many(found);
}
