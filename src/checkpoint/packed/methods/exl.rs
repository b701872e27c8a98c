//! ExLlama: EXL3 `trellis` I16 [I/16, O/16, 16 K]; EXL2 `q_weight` I32 [.., O] with rows of mixed width.
//! Source: exllamav3 `modules/quant/exl3*.py`, exllamav2 0.3.2 `conversion/qparams.py`; no file was written here (they need CUDA).

use smallvec::smallvec;

use crate::checkpoint::packed::claim::{Claim, Method};
use crate::checkpoint::packed::tensors::Tensors;

pub(super) const EXL3: Method = Method { anchors: &[".trellis"], claim: exl3 };
pub(super) const EXL2: Method = Method { anchors: &[".q_weight"], claim: exl2 };

fn exl3(all: &Tensors<'_>, index: usize, stem: &str) -> Option<Claim> {
    let &[inputs, outputs, words] = all.views[index].shape else { return None };
    let claim = Claim::new("exl3", "`.trellis`", index).with(
        all,
        stem,
        &[".suh", ".svh", ".su", ".sv", ".mcg", ".mul1", ".mcg_mult", ".mul1_mult"],
    );
    let shaped = claim.shaped(smallvec![outputs.checked_mul(16)?, inputs.checked_mul(16)?]);
    Some(if words % 16 == 0 { shaped.bits(u32::try_from(words / 16).ok()?) } else { shaped })
}

fn exl2(all: &Tensors<'_>, index: usize, stem: &str) -> Option<Claim> {
    let claim = Claim::new("exl2", "`.q_weight` with `.q_groups`", index).with(
        all,
        stem,
        &[".q_scale", ".q_scale_max", ".q_groups", ".q_invperm", ".q_perm", ".q_group_map"],
    );
    all.find(stem, ".q_groups")?;
    let outputs = all.views[index].shape.last().copied()?;
    let inputs = all.view(stem, ".q_invperm").or_else(|| all.view(stem, ".q_perm")).map(|perm| perm.elements);
    Some(match inputs {
        Some(inputs) => claim.shaped(smallvec![outputs, inputs]),
        None => claim,
    })
}
