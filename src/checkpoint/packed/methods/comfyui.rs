//! FP8 as ComfyUI saves it: `weight` F8 with `scale_weight`, and `scale_input` for its inputs (`comfy/ops.py`, `scaled_fp8_ops`). Files
//! of its later form spell the scale `weight_scale` and are read as such.

use crate::checkpoint::packed::claim::{Claim, Method, is_f8};
use crate::checkpoint::packed::tensors::Tensors;
use crate::format::Shape;

pub(super) const METHOD: Method = Method { anchors: &[".scale_weight"], claim };

fn claim(all: &Tensors<'_>, _: usize, stem: &str) -> Option<Claim> {
    let weight = all.find(stem, ".weight")?;
    let view = &all.views[weight];
    let claim = Claim::new("fp8", "F8 weights with `scale_weight`", weight).with(all, stem, &[".scale_weight", ".scale_input"]);
    is_f8(view.dtype).then(|| claim.shaped(Shape::from_slice(view.shape)).bits(8))
}
