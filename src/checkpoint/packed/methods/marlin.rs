//! Marlin's own layout and QQQ: `B` I32 [I/16, O x 16 x bits / 32] with `s` [groups, O], or `s_channel` [1, O] and `s_group`. Source:
//! marlin `marlin/__init__.py` (`Layer`), QQQ `gptq/qlinear/qlinear_marlin.py`.

use smallvec::smallvec;

use crate::checkpoint::packed::claim::{Claim, Method, group_of};
use crate::checkpoint::packed::tensors::Tensors;
use crate::dtype::Dtype;

pub(super) const METHOD: Method = Method { anchors: &[".B"], claim };

fn claim(all: &Tensors<'_>, index: usize, stem: &str) -> Option<Claim> {
    let packed = &all.views[index];
    let scales = all.view(stem, ".s").or_else(|| all.view(stem, ".s_channel"))?;
    let (&[rows, columns], &[groups, outputs]) = (packed.shape, scales.shape) else { return None };
    if packed.dtype != Dtype::I32 || outputs == 0 {
        return None;
    }
    let aux = &[".s", ".s_channel", ".s_group", ".workspace", ".reduce_buffer"];
    let claim = Claim::new("marlin", "`.B` I32 with `.s`", index).with(all, stem, aux);
    let (inputs, bits) = (rows.checked_mul(16)?, columns.checked_mul(2)?);
    if !bits.is_multiple_of(outputs) || !matches!(bits / outputs, 4 | 8) {
        return Some(claim);
    }
    Some(claim.shaped(smallvec![outputs, inputs]).bits(u32::try_from(bits / outputs).ok()?).group(group_of(inputs, groups)))
}
