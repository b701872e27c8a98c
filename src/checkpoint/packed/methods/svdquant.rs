//! SVDQuant of nunchaku: `qweight` I8 [O, I/2] of two 4-bit weights with `wscales` [I/group, O] (int4 in groups of 64, NVFP4 in groups of
//! 16), factors that smooth the inputs, and a branch of low rank (`proj_down` and `proj_up`, once `lora_down` and `lora_up`), whose
//! weights are weights. Its norms' linear layers are `qweight` I32 [O/4, I/2] with `wscales` and `wzeros`. Source: nunchaku
//! `models/linear.py` (`SVDQW4A4Linear`, `AWQW4A16Linear`).

use smallvec::smallvec;

use crate::checkpoint::packed::claim::{Claim, Method, group_of};
use crate::checkpoint::packed::tensors::Tensors;
use crate::dtype::Dtype;

pub(super) const METHOD: Method = Method { anchors: &[".wscales"], claim };

const AUXILIARY: &[&str] =
    &[".wscales", ".wcscales", ".wtscale", ".wzeros", ".smooth_factor", ".smooth_factor_orig", ".smooth", ".smooth_orig"];

fn claim(all: &Tensors<'_>, scales: usize, stem: &str) -> Option<Claim> {
    let weight = all.find(stem, ".qweight")?;
    let packed = &all.views[weight];
    let claim = Claim::new("svdquant", "`.qweight` with `.wscales`", weight).with(all, stem, AUXILIARY);
    let (&[rows, columns], &[groups, outputs]) = (packed.shape, all.views[scales].shape) else { return Some(claim) };
    let inputs = columns.checked_mul(2)?;
    let rows = match packed.dtype {
        Dtype::I8 | Dtype::U8 => rows,
        Dtype::I32 => rows.checked_mul(4)?,
        _ => return Some(claim),
    };
    // Scales of another shape belong to a form that is not known.
    if outputs != rows || groups == 0 || !inputs.is_multiple_of(groups) {
        return Some(claim);
    }
    Some(claim.shaped(smallvec![rows, inputs]).bits(4).group(group_of(inputs, groups)))
}
