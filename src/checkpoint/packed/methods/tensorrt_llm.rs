//! TensorRT-LLM's own checkpoints: `weight` with `weights_scaling_factor` (FP8; packed weights of AWQ and NVFP4, whose layout is its
//! kernel's) or with `per_channel_scale` (weight-only, I8 [I, O], or [I, O/2] of two 4-bit weights). Source: TensorRT-LLM
//! `tensorrt_llm/quantization/layers.py`.

use smallvec::smallvec;

use crate::checkpoint::packed::claim::{Claim, Method, is_f8};
use crate::checkpoint::packed::tensors::Tensors;
use crate::dtype::Dtype;
use crate::format::Shape;

pub(super) const METHOD: Method = Method { anchors: &[".weights_scaling_factor", ".per_channel_scale"], claim };

const AUXILIARY: &[&str] = &[
    ".weights_scaling_factor",
    ".weights_scaling_factor_2",
    ".weights_block_scaling_factor",
    ".weights_global_scaling_factor",
    ".activation_scaling_factor",
    ".activation_global_scaling_factor",
    ".prequant_scaling_factor",
    ".per_channel_scale",
    ".alpha",
    ".zero",
];

fn claim(all: &Tensors<'_>, scale: usize, stem: &str) -> Option<Claim> {
    let weight = all.find(stem, ".weight")?;
    let (view, scale) = (&all.views[weight], &all.views[scale]);
    let claim = Claim::new("tensorrt-llm", "`.weight` with scaling factors", weight).with(all, stem, AUXILIARY);
    if is_f8(view.dtype) {
        return Some(claim.shaped(Shape::from_slice(view.shape)).bits(8));
    }
    if !matches!(view.dtype, Dtype::I8 | Dtype::U8) {
        return None;
    }
    let &[inputs, columns] = view.shape else { return Some(claim) };
    let outputs = scale.elements;
    Some(match () {
        () if !scale.name.ends_with(".per_channel_scale") => claim,
        () if columns == outputs => claim.shaped(smallvec![outputs, inputs]).bits(8),
        () if columns.checked_mul(2) == Some(outputs) => claim.shaped(smallvec![outputs, inputs]).bits(4),
        () => claim,
    })
}
