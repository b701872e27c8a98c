//! HQQ 0.2.8: `W_q` packed along its first dimension, `scale` and `zero` one a group, and 16 small tensors of metadata.
//!
//! The weight is reshaped to [groups, group] (axis 1) or [group, groups] (axis 0) and packed along the first of these: 8 bits one
//! value a byte, 4 two, 2 and 1.58 four, 1 eight; 3 bits ten values an I32.

use crate::checkpoint::packed::claim::{Claim, Method};
use crate::checkpoint::packed::tensors::Tensors;
use crate::dtype::Dtype;
use crate::format::Shape;

pub(super) const METHOD: Method = Method { anchors: &[".W_q"], claim };

const METADATA: &[&str] = &[
    ".scale",
    ".zero",
    ".shape",
    ".axis",
    ".group_size",
    ".nbits",
    ".channel_wise",
    ".compute_dtype",
    ".encoded_state_dict",
    ".offload_meta",
    ".optimize",
    ".packing",
    ".quant_scale",
    ".quant_zero",
    ".round_zero",
    ".stores_quant_config",
    ".unpack_view_dtype",
    ".view_as_float",
    ".meta",
    ".zero_scale",
    ".meta_scale",
];

/// Values an I32 holds at 3 bits (`core/bitpack.py`).
const VALUES_3BIT: u64 = 10;

fn claim(all: &Tensors<'_>, index: usize, stem: &str) -> Option<Claim> {
    let packed = &all.views[index];
    let claim = Claim::new("hqq", "`.W_q` with `.scale` and `.zero`", index).with(all, stem, METADATA);
    let stored = all.small_integers(stem, ".shape").filter(|shape| shape.len() >= 2 && !shape.contains(&0)).map(Shape::from_vec);
    let hinted = || all.hints.shape(stem).map(|shape| Shape::from_slice(&shape));
    let Some(scale) = all.view(stem, ".scale") else {
        // Quantized scales keep their shape elsewhere; the stored shape is all there is.
        return Some(match stored {
            Some(shape) => claim.shaped(shape),
            None => claim,
        });
    };
    let (&[rows, columns], &[first, second]) = (packed.shape, scale.shape) else { return Some(claim) };
    let values = |bits: u64| match bits {
        3 => Some(VALUES_3BIT),
        1 | 2 | 4 | 8 => Some(8 / bits),
        _ => None,
    };
    let words_of = |length: u64, bits: u64| values(bits).map(|per| length.div_ceil(per));
    let is_word = packed.dtype == Dtype::I32;
    let widths: &[u64] = if is_word { &[3] } else { &[8, 4, 2, 1] };
    if second == 1 && first != 1 {
        // Axis 1: [groups, group]; the columns are the group.
        let count = first.checked_mul(columns)?;
        let bits = widths.iter().copied().find(|&bits| words_of(first, bits) == Some(rows))?;
        let shape = stored.or_else(hinted).filter(|shape| product(shape) == Some(count));
        return Some(finish(claim, shape, Some(count), bits, columns));
    }
    // Axis 0: [group, groups]; how many rows a byte stands for is in the metadata, the model's shape, or, at 3 bits, in the padding.
    let groups = second;
    let fits = |shape: &Shape| {
        let group = product(shape)?.checked_div(groups)?;
        widths.iter().copied().find(|&bits| words_of(group, bits) == Some(rows)).map(|bits| (group, bits))
    };
    for shape in [stored, hinted()].into_iter().flatten() {
        if product(&shape).is_some_and(|count| count % groups.max(1) == 0)
            && let Some((group, bits)) = fits(&shape)
        {
            let count = product(&shape);
            return Some(finish(claim, Some(shape), count, bits, group));
        }
    }
    if is_word {
        // Groups are multiples of 8 (HQQ refuses others), and ten values a word leave only one of them.
        let most = rows.checked_mul(VALUES_3BIT)?;
        let candidates = (most.saturating_sub(VALUES_3BIT) + 1)..=most;
        let mut groups_of_8 = candidates.filter(|group| group % 8 == 0);
        if let (Some(group), None) = (groups_of_8.next(), groups_of_8.next()) {
            return Some(finish(claim, None, group.checked_mul(groups), 3, group));
        }
    }
    if let Some(bits) = all.small_integers(stem, ".nbits").and_then(|values| values.first().copied())
        && let Some(per) = values(bits)
        && !is_word
    {
        let group = rows.checked_mul(per)?;
        return Some(finish(claim, None, group.checked_mul(groups), bits, group));
    }
    Some(claim)
}

fn product(shape: &Shape) -> Option<u64> {
    shape.iter().try_fold(1u64, |product, &d| product.checked_mul(d))
}

fn finish(claim: Claim, shape: Option<Shape>, count: Option<u64>, bits: u64, group: u64) -> Claim {
    let claim = Claim { logical: count, shape, ..claim }.group(Some(group));
    Claim { bits: u32::try_from(bits).ok(), ..claim }
}
