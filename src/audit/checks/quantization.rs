//! The quantization that is claimed, and every packed weight with its scale.

use std::collections::HashSet;

use crate::audit::check::{Check, code};
use crate::audit::finding::Severity::{Note, Warning};
use crate::audit::finding::{Code, Finding, Findings};
use crate::audit::subject::Subject;
use crate::audit::tensors::main_tensors;
use crate::checkpoint::Checkpoint;
use crate::dtype::Dtype;
use crate::format::Format;
use crate::text::escape_limited;

const CLAIM: Code = code(
    "quantization-claim",
    "The configuration claims a quantization that the tensors do not show",
    Warning,
    "config.json has a `quantization_config`, but no weight is packed that way. Loaders look for packed weights and fail, or quantize at load although the repository is not \
     as small as it says.",
);
const NO_SCALE: Code = code(
    "scale-missing",
    "A quantized weight without its scale",
    Warning,
    "A packed weight has no scale beside it while others have: it decodes to values off by orders of magnitude, and loaders fail or fill in 1. Where no weight of a file in FP8 \
     has one, the weights were cast without scales, which is a note.",
);
const NO_WEIGHT: Code = code(
    "scale-orphan",
    "A scale without its weight",
    Warning,
    "A scale tensor is there, and the weight it belongs to is not: a shard is of another save, or the weight was lost in a conversion.",
);

pub(super) const CHECK: Check = Check { name: "quantization", codes: &[CLAIM, NO_SCALE, NO_WEIGHT], run };

/// How a packed tensor ends, and how its scale ends (one of them).
const PAIRS: &[(&str, &[&str])] = &[
    (".qweight", &[".scales", ".scale", ".absmax"]),
    (".weight_packed", &[".weight_scale", ".weight_global_scale"]),
    ("_blocks", &["_scales"]),
];

/// Endings of scales that belong to a weight, and what the weight ends in.
const OWNED: &[(&str, &[&str])] = &[
    (".weight_scale_inv", &[".weight"]),
    (".weight_scale", &[".weight", ".weight_packed", ".qweight"]),
    (".scales", &[".qweight", ".weight", ".w_q"]),
    (".SCB", &[".weight"]),
    ("_scales", &["_blocks"]),
];

fn run(subject: &Subject<'_>, out: &mut Findings) {
    let Some(checkpoint) = subject.checkpoint else { return };
    if checkpoint.format() != Some(Format::Safetensors) || !checkpoint.problems.is_empty() {
        return;
    }
    claim(checkpoint, out);
    pairs(checkpoint, out);
}

fn claim(checkpoint: &Checkpoint, out: &mut Findings) {
    let stated = checkpoint.config_json().and_then(|c| c.get("quantization_config")).and_then(|q| q.as_object());
    let Some(stated) = stated.filter(|_| checkpoint.quantization.is_none()) else { return };
    if main_tensors(checkpoint).next().is_none() {
        return;
    }
    let method = stated.get("quant_method").and_then(|m| m.as_str()).unwrap_or("no method");
    let message = format!("a quantization ({}) is configured, but no tensor is packed", escape_limited(method, 40));
    out.push(Finding::new(&CLAIM, message).file(checkpoint.quantization_file().unwrap_or_default()).tensor("quantization_config"));
}

fn pairs(checkpoint: &Checkpoint, out: &mut Findings) {
    // Only names that end as one of a pair are kept: most end in `.weight` of a plain dtype.
    let float8 = |d: Dtype| matches!(d, Dtype::F8_E4M3 | Dtype::F8_E5M2 | Dtype::F8_E4M3FNUZ | Dtype::F8_E5M2FNUZ);
    let scale_like =
        |name: &str| name.ends_with("scales") || name.contains("scale") || name.ends_with(".SCB") || name.ends_with(".absmax");
    let any = main_tensors(checkpoint).any(|t| float8(t.info.dtype) || scale_like(&t.name()) || t.name().ends_with(".qweight"));
    if !any {
        return;
    }
    let names: HashSet<String> = main_tensors(checkpoint).map(|t| t.name().into_owned()).collect();
    let with = |stem: &str, ends: &[&str]| ends.iter().any(|end| names.contains(&format!("{stem}{end}")));
    // A weight is bare only where nothing in its module could be a scale: what is not understood may have one.
    let beside: HashSet<&str> = names.iter().filter(|n| scale_like(n)).filter_map(|n| Some(n.rsplit_once('.')?.0)).collect();
    let may_have_one = |stem: &str| beside.contains(stem) || beside.contains(format!("{stem}.weight").as_str());
    let (mut bare, mut scaled, mut orphans) = (Vec::new(), 0u64, Vec::new());
    for tensor in main_tensors(checkpoint) {
        let name = tensor.name();
        let file = || checkpoint.files[tensor.file].name.clone();
        if let Some((end, scales)) = PAIRS.iter().find(|(end, _)| name.ends_with(end)) {
            let stem = &name[..name.len() - end.len()];
            if tensor.packed.is_some() || with(stem, scales) || may_have_one(stem) {
                scaled += 1
            } else {
                bare.push((name.to_string(), file()))
            }
        } else if let Some(stem) =
            name.strip_suffix(".weight").filter(|_| float8(tensor.info.dtype) && tensor.info.shape.len() >= 2)
        {
            if tensor.packed.is_some() || may_have_one(stem) { scaled += 1 } else { bare.push((name.to_string(), file())) }
        } else if let Some((end, weights)) = OWNED.iter().find(|(end, _)| name.ends_with(end)) {
            let stem = &name[..name.len() - end.len()];
            if !with(stem, weights) && checkpoint.quantization.is_some() {
                orphans.push((name.to_string(), file()));
            }
        }
    }
    if scaled == 0 && !bare.is_empty() {
        let (name, file) = bare.swap_remove(0);
        let message = format!("{} weights are stored in fewer bits without any scale: they were cast", bare.len() + 1);
        out.push(Finding::new(&NO_SCALE, message).severity(Note).file(file).tensor(name));
    } else {
        out.push_many(
            bare.into_iter().map(|(n, f)| Finding::new(&NO_SCALE, "a quantized weight without its scale").file(f).tensor(n)),
        );
    }
    out.push_many(orphans.into_iter().map(|(n, f)| Finding::new(&NO_WEIGHT, "a scale without its weight").file(f).tensor(n)));
}
