//! What is wrong with or remarkable about a tensor by its values.

use super::{MAX_SLICES, Weight};
use crate::checkpoint::{Part, Tensor};
use crate::report::text::value;
use crate::stats::TensorStats;
use crate::units::grouped;

/// Says what is wrong with or remarkable about a tensor: a code, how much it matters, and the figures. An all-zero bias is
/// a remark (sane published models have them), an all-zero matrix a warning.
pub(super) fn remarks_on(
    tensor: &Tensor<'_>,
    stats: &TensorStats,
    slices: &[TensorStats],
    remark: &mut dyn FnMut(&'static str, Weight, String),
) {
    let matrix = tensor.info.shape.iter().filter(|&&d| d > 1).count() >= 2;
    let weight = tensor.part == Part::Weight;
    let which = |wrong: &dyn Fn(&TensorStats) -> bool| -> String {
        let hit: Vec<String> = slices.iter().enumerate().filter(|(_, s)| wrong(s)).map(|(i, _)| i.to_string()).collect();
        match hit.len() {
            0 => String::new(),
            n if n > MAX_SLICES => {
                format!(" (in {n} of {} experts, the first are {})", slices.len(), hit[..MAX_SLICES].join(", "))
            }
            _ => format!(" (experts {})", hit.join(", ")),
        }
    };
    if stats.nan > 0 {
        remark(
            "nan",
            Weight::Warning,
            format!("{} of {} values are NaN{}", grouped(stats.nan), grouped(stats.elements), which(&|s| s.nan > 0)),
        );
    }
    let inf = stats.pos_inf + stats.neg_inf;
    if inf > 0 {
        let at = which(&|s| s.pos_inf + s.neg_inf > 0);
        remark("inf", Weight::Warning, format!("{} of {} values are infinite{at}", grouped(inf), grouped(stats.elements)));
    }
    if stats.scales.nan + stats.scales.inf > 0 {
        let at = which(&|s| s.scales.nan + s.scales.inf > 0);
        let bad = grouped(stats.scales.nan + stats.scales.inf);
        remark(
            "bad-scales",
            Weight::Warning,
            format!("{bad} of {} block scales are NaN or infinite{at}", grouped(stats.scales.blocks)),
        );
    }
    let zero_slices = slices.iter().filter(|s| s.all_zero()).count();
    if stats.all_zero() && weight {
        let severity = if matrix { Weight::Warning } else { Weight::Note };
        remark("all-zero", severity, format!("all {} values are zero", grouped(stats.elements)));
    } else if zero_slices > 0 {
        remark("zero-expert", Weight::Warning, format!("{zero_slices} experts are all zero{}", which(&|s| s.all_zero())));
    } else if stats.constant() && weight && matrix && stats.elements > 1 {
        remark("constant", Weight::Warning, format!("all {} values are {}", grouped(stats.elements), value(stats.raw_min)));
    }
}
