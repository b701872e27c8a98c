//! compressed-tensors formats that pack: `pack-quantized` (I32), `nvfp4-pack-quantized`, `mxfp4-pack-quantized` and MXFP6 (U8).
//! The formats that keep a byte a weight are in `scaled.rs`. Measured on files of compressed-tensors 0.20.0.

use crate::checkpoint::packed::claim::{Claim, Method, group_of, with_row};
use crate::checkpoint::packed::tensors::Tensors;
use crate::dtype::Dtype;
use crate::format::Shape;

pub(super) const METHOD: Method = Method { anchors: &[".weight_packed"], claim };

const AUXILIARY: &[&str] = &[
    ".weight_scale",
    ".weight_zero_point",
    ".weight_shape",
    ".weight_g_idx",
    ".weight_global_scale",
    ".input_global_scale",
    ".input_scale",
    ".input_zero_point",
    ".output_scale",
];

fn claim(all: &Tensors<'_>, index: usize, stem: &str) -> Option<Claim> {
    let packed = &all.views[index];
    let scale = all.view(stem, ".weight_scale")?;
    let base = |evidence| Claim::new("compressed-tensors", evidence, index).with(all, stem, AUXILIARY);
    match packed.dtype {
        Dtype::U8 => {
            let (group, evidence) = match scale.dtype {
                Dtype::F8_E4M3 => (16, "`.weight_packed` U8 with F8_E4M3 `.weight_scale` (NVFP4)"),
                Dtype::U8 | Dtype::F8_E8M0 => (32, "`.weight_packed` U8 with one-byte exponents (MXFP4, MXFP6)"),
                _ => return None,
            };
            let row = scale.shape.last()?.checked_mul(group)?;
            let bits = packed.shape.last()?.checked_mul(8)? / row.max(1);
            if !matches!(bits, 4 | 6) {
                return None;
            }
            let claim = base(evidence).shaped(with_row(packed.shape, row)).group(Some(group));
            Some(claim.bits(u32::try_from(bits).ok()?))
        }
        Dtype::I32 => {
            let claim = base("`.weight_packed` I32 with `.weight_scale`");
            match row_and_bits(all, stem, packed.shape, scale.shape) {
                Some((shape, bits)) => {
                    let row = shape.last().copied().unwrap_or(0);
                    let group = group_of(row, scale.shape.last().copied().filter(|_| scale.shape.len() > 1).unwrap_or(1));
                    Some(claim.shaped(shape).group(group).bits(u32::try_from(bits).ok()?))
                }
                None => Some(claim),
            }
        }
        _ => None,
    }
}

/// Since 29 May 2026 values are packed densely; before that a word held floor(32 / b) values. Both agree where b divides 32.
fn fits(row: u64, bits: u64, words: u64) -> bool {
    let dense = row.checked_mul(bits).map(|b| b.div_ceil(32));
    dense == Some(words) || row.div_ceil((32 / bits).max(1)) == words
}

fn row_and_bits(all: &Tensors<'_>, stem: &str, packed: &[u64], scale: &[u64]) -> Option<(Shape, u64)> {
    let words = *packed.last()?;
    let widths = || (1..=8u64).filter(|bits| !matches!(bits, 7));
    // The stored shape settles the row, and the row the width.
    if let Some(stored) = all.small_integers(stem, ".weight_shape").filter(|shape| shape.len() == packed.len()) {
        let row = stored.last().copied().filter(|&row| row > 0);
        let stated = || all.configured.schemes().into_iter().map(|scheme| scheme.bits).filter(|bits| (1..=8).contains(bits));
        // A shape that its words cannot hold says nothing.
        let bits = row.and_then(|row| stated().chain(widths()).find(|bits| fits(row, *bits, words)));
        if let Some(bits) = bits.filter(|_| stored[..stored.len() - 1] == packed[..packed.len() - 1]) {
            return Some((Shape::from_vec(stored), bits));
        }
    }
    let groups = if scale.len() > 1 { *scale.last()? } else { 1 };
    let schemes = all.configured.schemes();
    let mut rows = schemes.iter().filter(|scheme| (1..=8).contains(&scheme.bits)).filter_map(|scheme| {
        let row = match scheme.group {
            Some(group) => groups.checked_mul(group)?,
            // One scale a row: the words give the row where they are full.
            None if groups == 1 => words.checked_mul(32)? / scheme.bits,
            None => return None,
        };
        fits(row, scheme.bits, words).then_some((row, scheme.bits))
    });
    let first = rows.next();
    let same = first.filter(|first| rows.all(|other| other == *first));
    if let Some((row, bits)) = same {
        return Some((with_row(packed, row), bits));
    }
    // Without a configuration: zero points are packed along the outputs and give the width.
    if let (Some(zero), Some(&outputs)) = (all.view(stem, ".weight_zero_point"), packed.first())
        && let Some(&zero_rows) = zero.shape.first()
        && zero.dtype == Dtype::I32
        && let Some(bits) = widths()
            .filter(|bits| 32 % bits == 0)
            .find(|bits| outputs.checked_mul(*bits).map(|b| b.div_ceil(32)) == Some(zero_rows))
    {
        return Some((with_row(packed, words.checked_mul(32)? / bits), bits));
    }
    // The configuration of the model knows its linear layers.
    let [_, row] = all.hints.shape(stem)?;
    let bits = widths().find(|bits| fits(row, *bits, words))?;
    Some((with_row(packed, row), bits))
}
