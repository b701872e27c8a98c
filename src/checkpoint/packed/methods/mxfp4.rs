//! gpt-oss: experts as `*_blocks` U8 [E, O, I/32, 16] with `*_scales` U8 [E, O, I/32].

use crate::checkpoint::packed::claim::{Claim, Method};
use crate::checkpoint::packed::tensors::Tensors;
use crate::dtype::Dtype;
use crate::format::Shape;

pub(super) const METHOD: Method = Method { anchors: &["_blocks"], claim };

fn claim(all: &Tensors<'_>, index: usize, stem: &str) -> Option<Claim> {
    let blocks = &all.views[index];
    let scales = all.view(stem, "_scales")?;
    let (&block, outer) = blocks.shape.split_last()?;
    if blocks.dtype != Dtype::U8 || !matches!(scales.dtype, Dtype::U8 | Dtype::F8_E8M0) || block != 16 || outer != scales.shape {
        return None;
    }
    let (&groups, lead) = outer.split_last()?;
    let mut shape = Shape::from_slice(lead);
    shape.push(groups.checked_mul(32)?);
    let claim = Claim::new("mxfp4", "`_blocks` and `_scales` U8", index).with(all, stem, &["_scales"]);
    Some(claim.shaped(shape).bits(4).group(Some(32)))
}
