//! FP8 as Mistral's own files have it: `weight` F8 with `qscale_weight`, and `qscale_act` for its inputs. Source: the loader of
//! vLLM ([`crate::pins::VLLM`], `models/mistral.py`, which renames both) and llama.cpp's converter.

use crate::checkpoint::packed::claim::{Claim, Method, is_f8};
use crate::checkpoint::packed::tensors::Tensors;
use crate::format::Shape;

pub(super) const METHOD: Method = Method { anchors: &[".qscale_weight"], claim };

fn claim(all: &Tensors<'_>, _: usize, stem: &str) -> Option<Claim> {
    let weight = all.find(stem, ".weight")?;
    let view = &all.views[weight];
    let claim = Claim::new("fp8", "F8 weights with `qscale_weight`", weight).with(all, stem, &[".qscale_weight", ".qscale_act"]);
    is_f8(view.dtype).then(|| claim.shaped(Shape::from_slice(view.shape)).bits(8))
}
