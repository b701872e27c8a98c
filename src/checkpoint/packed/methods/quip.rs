//! QuIP# (`Qidxs`) and QTIP (`trellis` of two dimensions): the signs `SU` and `SV` are as long as the inputs and the outputs. Source:
//! quip-sharp `lib/linear/quantized_linear.py`, qtip `lib/linear/quantized_linear.py`.

use smallvec::smallvec;

use crate::checkpoint::packed::claim::{Claim, Method};
use crate::checkpoint::packed::tensors::Tensors;

pub(super) const METHOD: Method = Method { anchors: &[".Qidxs", ".trellis"], claim };

const AUXILIARY: &[&str] =
    &[".SU", ".SV", ".Wscale", ".codebook_id", ".fuse_scales", ".scaleWH", ".tlut", ".rcp", ".tp_rank", ".ocs_dupe_inds"];

fn claim(all: &Tensors<'_>, index: usize, stem: &str) -> Option<Claim> {
    let [inputs, outputs] = [".SU", ".SV"].map(|signs| all.view(stem, signs).map(|view| view.elements));
    let method = if all.views[index].name.ends_with(".Qidxs") { "quip" } else { "qtip" };
    let claim = Claim::new(method, "packed indices with `.SU` and `.SV`", index).with(all, stem, AUXILIARY);
    Some(claim.shaped(smallvec![outputs?, inputs?]))
}
