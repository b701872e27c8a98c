//! MLX and transformers' Metal scheme: `weight` U32 [O, I*b/32], `scales` [O, I/g], `biases` (`qbiases` in the Metal scheme); the
//! mxfp4, nvfp4 and mxfp8 modes have U8 scales and no biases. Measured on files of mlx-lm ([`crate::pins::MLX_LM`]) and
//! transformers ([`crate::pins::TRANSFORMERS_CODE`]).

use crate::checkpoint::packed::claim::{Claim, Method, with_row};
use crate::checkpoint::packed::tensors::Tensors;
use crate::dtype::Dtype;

pub(super) const METHOD: Method = Method { anchors: &[".scales"], claim };

/// Widths that MLX quantizes to (`mlx.core.quantize`).
const BITS: &[u64] = &[2, 3, 4, 5, 6, 8];

fn claim(all: &Tensors<'_>, scales: usize, stem: &str) -> Option<Claim> {
    let weight = all.find(stem, ".weight")?;
    let (packed, scale) = (&all.views[weight], &all.views[scales]);
    if packed.dtype != Dtype::U32 || packed.shape.len() != scale.shape.len() || packed.shape.len() < 2 {
        return None;
    }
    let metal = all.configured.is("metal") || all.find(stem, ".qbiases").is_some();
    let method = if metal { "metal" } else { "mlx" };
    let claim = Claim::new(method, "`.weight` U32 with `.scales`", weight).with(all, stem, &[".scales", ".biases", ".qbiases"]);
    let groups = *scale.shape.last()?;
    let bits_of_row = packed.shape.last()?.checked_mul(32)?;
    // Bits of one group's weights: bits x group.
    let per_group = bits_of_row.checked_div(groups).filter(|_| groups > 0 && bits_of_row % groups == 0);
    let Some(per_group) = per_group else { return Some(claim) };
    let modes: &[(u64, u64)] = &[(4, 32), (4, 16), (8, 32)];
    let found = if scale.dtype == Dtype::U8 {
        modes.iter().copied().find(|(bits, group)| bits * group == per_group)
    } else {
        let fits = |stated: &(u64, u64)| stated.0.checked_mul(stated.1) == Some(per_group);
        let stated = all.configured.of_module(stem).filter(fits);
        let stated = stated.or_else(|| all.configured.of_renamed_module(stem).filter(fits));
        let stated = stated.or_else(|| all.configured.of_model().filter(fits));
        let by_width = || {
            // A router keeps 8 bits where the configuration states others for the rest; the model's own width settles it.
            let [_, row] = all.hints.shape(stem)?;
            let bits = bits_of_row.checked_div(row).filter(|bits| BITS.contains(bits))?;
            Some((bits, per_group / bits))
        };
        // Overrides that are missing leave the group of the whole model, and the shapes the bits.
        let by_group = || {
            let group = all.configured.group()?;
            let bits = per_group.checked_div(group).filter(|bits| per_group % group == 0 && BITS.contains(bits))?;
            Some((bits, group))
        };
        stated.or_else(by_width).or_else(by_group)
    };
    match found {
        Some((bits, group)) if bits > 0 => {
            let row = bits_of_row / bits;
            Some(claim.shaped(with_row(packed.shape, row)).group(Some(group)).bits(u32::try_from(bits).ok()?))
        }
        _ => Some(claim),
    }
}
