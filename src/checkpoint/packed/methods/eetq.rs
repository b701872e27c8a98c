//! EETQ: `weight` I8 [I, O], turned round, with `weight_scales` [O]. Source: EETQ `modules/qlinear.py`.

use smallvec::smallvec;

use crate::checkpoint::packed::claim::{Claim, Method};
use crate::checkpoint::packed::tensors::Tensors;
use crate::dtype::Dtype;

pub(super) const METHOD: Method = Method { anchors: &[".weight_scales"], claim };

fn claim(all: &Tensors<'_>, scales: usize, stem: &str) -> Option<Claim> {
    let weight = all.find(stem, ".weight").or_else(|| all.find(stem, ".qweight"))?;
    let view = &all.views[weight];
    let &[inputs, outputs] = view.shape else { return None };
    if view.dtype != Dtype::I8 || all.views[scales].elements != outputs {
        return None;
    }
    let claim = Claim::new("eetq", "I8 weights with `.weight_scales`", weight).with(all, stem, &[".weight_scales"]);
    Some(claim.shaped(smallvec![outputs, inputs]).bits(8))
}
