//! The values of scale tensors.

use crate::audit::check::{Check, code};
use crate::audit::finding::Severity::Warning;
use crate::audit::finding::{Code, Findings};
use crate::audit::subject::Subject;
use crate::checkpoint::{Part, Tensor};
use crate::dtype::Dtype;
use crate::stats::TensorStats;
use crate::units::grouped;

const RANGE: Code = code(
    "scale-out-of-range",
    "A scale that cannot be right",
    Warning,
    "A scale tensor of a quantization holds NaN, infinities, or nothing but zeros; or it holds negative scales in a method whose scales are magnitudes. Every weight under such a \
     scale decodes to nothing, to NaN or with the wrong sign. Single zeros are usual: rows of zeros have them.",
);

pub(super) const CHECK: Check = Check { name: "scale_out_of_range", codes: &[RANGE], run };

/// Last pieces of the names of scales, in the packed formats that are known.
const SCALES: &[&str] = &[
    "scales",
    "scale",
    "weight_scale",
    "weight_scale_inv",
    "weight_scale_2",
    "weight_global_scale",
    "absmax",
    "SCB",
    "_scale",
    "k_scale",
    "v_scale",
];

/// MLX scales have a sign (mlx 0.32, `quantize`), and HQQ's may have; the others are magnitudes.
const SIGNED: &[&str] = &["mlx", "hqq"];

/// OCP Microscaling Formats 1.0: the scale type E8M0, stored as U8 by most tools, has NaN as its highest code.
const E8M0_NAN: f64 = 255.0;

fn run(subject: &Subject<'_>, out: &mut Findings) {
    let method = subject.checkpoint.and_then(|c| c.quantization.as_ref()).map_or("", |q| q.method.as_str());
    let scales = subject.scanned().filter(|(tensor, ..)| tensor.part == Part::Auxiliary && is_scale(&tensor.name()));
    out.push_many(scales.filter_map(|(tensor, _, stats)| Some(subject.about(&RANGE, &tensor, wrong(&tensor, stats, method)?))));
}

fn is_scale(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    SCALES.contains(&last) || last.ends_with("_scales") || last.ends_with("_weight_scale")
}

/// What is wrong with a scale, if anything is.
fn wrong(tensor: &Tensor<'_>, stats: &TensorStats, method: &str) -> Option<String> {
    let of = grouped(stats.elements);
    if stats.non_finite() > 0 {
        let infinite = grouped(stats.pos_inf + stats.neg_inf);
        return Some(format!("of {of} scales {} are NaN, {infinite} infinite", grouped(stats.nan)));
    }
    // A code of double quantization, not a scale; in MX formats a power of two.
    if tensor.info.dtype == Dtype::U8 {
        let name = tensor.name();
        let power = name.ends_with("_scales") || name.ends_with("weight_scale");
        return (power && stats.raw_max == E8M0_NAN).then(|| format!("among {of} E8M0 scales is the code 255, which is NaN"));
    }
    if stats.all_zero() {
        return Some(format!("all {of} scales are zero"));
    }
    let signed = SIGNED.contains(&method) || !tensor.info.dtype.is_float();
    (stats.raw_min < 0.0 && !signed).then(|| format!("among {of} scales are negative ones, down to {:e}", stats.raw_min))
}
