//! Legacy sparse formats of compressed-tensors, removed from the library in March 2026: bitmasks and marlin-24. Read from its source;
//! no file was written here.

use crate::checkpoint::packed::claim::{Claim, Method};
use crate::checkpoint::packed::tensors::Tensors;
use crate::dtype::Dtype;
use crate::format::Shape;

pub(super) const BITMASK: Method = Method { anchors: &[".bitmask"], claim: bitmask };
pub(super) const MARLIN_24: Method = Method { anchors: &[".weight_packed"], claim: marlin_24 };

/// `compressed` holds the values that are not zero, `bitmask` U8 [O, ceil(I/8)] says where; logical parameters are all weights,
/// zeros included, as in a dense file.
fn bitmask(all: &Tensors<'_>, mask: usize, stem: &str) -> Option<Claim> {
    let weight = all.find(stem, ".compressed")?;
    let claim = Claim::new("compressed-tensors", "`.compressed` with `.bitmask` (sparse)", weight).with(
        all,
        stem,
        &[".bitmask", ".shape", ".row_offsets"],
    );
    let &[rows, bytes] = all.views[mask].shape else { return Some(claim) };
    let stored = all.small_integers(stem, ".shape").filter(|shape| shape.len() == 2);
    let row = match stored {
        Some(shape) => shape[1],
        // 2:4 keeps half of each row.
        None => match all.views[weight].shape {
            &[_, kept] if kept.checked_mul(2).map(|row| row.div_ceil(8)) == Some(bytes) => kept * 2,
            _ => match all.hints.shape(stem.strip_suffix(".weight").unwrap_or(stem)) {
                Some([o, i]) if o == rows && i.div_ceil(8) == bytes => i,
                _ => return Some(claim),
            },
        },
    };
    Some(claim.shaped(Shape::from_slice(&[rows, row])))
}

/// `meta` I16 holds two bits for each kept value, and half of the values are kept: one bit a weight.
fn marlin_24(all: &Tensors<'_>, index: usize, stem: &str) -> Option<Claim> {
    let meta = all.view(stem, ".meta").filter(|meta| meta.dtype == Dtype::I16)?;
    let claim = Claim::new("compressed-tensors", "`.weight_packed` with `.meta` (marlin-24)", index).with(
        all,
        stem,
        &[".meta", ".scale_packed", ".weight_scale", ".weight_shape"],
    );
    let count = meta.bytes.checked_mul(8)?;
    let bits = all.views[index].bytes.checked_mul(8)?.checked_div(count / 2)?;
    Some(Claim { logical: Some(count), ..claim }.bits(u32::try_from(bits).ok()?))
}
