//! Weights of a byte or less with a scale beside them: compressed-tensors int8 and FP8, MXFP8, block and tensor FP8, ModelOpt
//! (FP8, NVFP4), fbgemm, and plain int8 files whose tools have no name of their own.

use crate::checkpoint::packed::TensorView;
use crate::checkpoint::packed::claim::{Claim, Method, group_of, is_f8, with_row};
use crate::checkpoint::packed::tensors::Tensors;
use crate::dtype::Dtype;
use crate::format::Shape;

/// `X.weight_scale_inv`, and `X_scale_inv` of stacked experts.
pub(super) const BLOCK_FP8: Method = Method { anchors: &["_scale_inv"], claim: block_fp8 };
/// `X.weight_scale`, and `X_scale` of stacked experts.
pub(super) const SCALED: Method = Method { anchors: &["_scale"], claim: scaled };
/// `X.qweight` with `X.scale` of the same rank.
pub(super) const COMPANION: Method = Method { anchors: &[".qweight"], claim: companion };

const AUXILIARY: &[&str] =
    &["_scale", "_scale_inv", "_scale_2", "_zero_point", "_global_scale", "_shape", "_g_idx", "_scale_inv_2"];
const OF_MODULE: &[&str] =
    &["input_scale", "input_global_scale", "input_zero_point", "output_scale", "activation_scale", "input_scale_ub", "comfy_quant"];

/// The claim of a weight and everything that stands beside it.
fn base(all: &Tensors<'_>, method: &'static str, evidence: &'static str, weight: usize, stem: &str) -> Claim {
    let claim = Claim::new(method, evidence, weight).with(all, stem, AUXILIARY);
    match stem.strip_suffix("weight") {
        Some(module) => claim.with(all, module, OF_MODULE),
        None => claim,
    }
}

fn block_fp8(all: &Tensors<'_>, _: usize, stem: &str) -> Option<Claim> {
    let weight = all.find(stem, "")?;
    let view = &all.views[weight];
    // transformers leaves weights in BF16 that the block does not divide, and writes a scale all the same.
    if !is_f8(view.dtype) {
        return None;
    }
    Some(base(all, "fp8", "F8 weights with `weight_scale_inv`", weight, stem).shaped(Shape::from_slice(view.shape)).bits(8))
}

/// The method a configuration names for files of this form; `fallback` where it names none.
fn named(all: &Tensors<'_>, fallback: &'static str) -> &'static str {
    const NAMES: &[&str] = &["compressed-tensors", "modelopt", "fbgemm_fp8", "quark", "fp8", "mxfp8", "mxfp4", "bitnet"];
    NAMES.iter().copied().find(|name| all.configured.is(name)).unwrap_or(fallback)
}

fn scaled(all: &Tensors<'_>, scale: usize, stem: &str) -> Option<Claim> {
    let weight = all.find(stem, "")?;
    let (view, scale) = (&all.views[weight], &all.views[scale]);
    let exponents = matches!(scale.dtype, Dtype::U8 | Dtype::F8_E8M0);
    let row = view.shape.last().copied().unwrap_or(1);
    let same = || Shape::from_slice(view.shape);
    if is_f8(view.dtype) {
        if exponents && scale.shape.last().and_then(|groups| groups.checked_mul(32)) == Some(row) {
            let claim = base(all, named(all, "mxfp8"), "F8 weights with one-byte exponents in `weight_scale`", weight, stem);
            return Some(claim.shaped(same()).bits(8).group(Some(32)));
        }
        return Some(base(all, named(all, "fp8"), "F8 weights with `weight_scale`", weight, stem).shaped(same()).bits(8));
    }
    match view.dtype {
        Dtype::I8 => {
            let claim = base(all, named(all, "int8"), "I8 weights with `weight_scale`", weight, stem).shaped(same()).bits(8);
            Some(claim.group(group_along_row(view, scale)))
        }
        Dtype::U8 => packed_bytes(all, weight, stem, view, scale, exponents),
        Dtype::F4 => Some(base(all, named(all, "mxfp4"), "F4 weights with `weight_scale`", weight, stem).shaped(same()).bits(4)),
        _ => None,
    }
}

/// Two 4-bit floats a byte (ModelOpt's NVFP4, MXFP4), or four ternary weights (BitNet, packed along the rows).
fn packed_bytes(
    all: &Tensors<'_>,
    weight: usize,
    stem: &str,
    view: &TensorView<'_>,
    scale: &TensorView<'_>,
    exponents: bool,
) -> Option<Claim> {
    let row = view.shape.last()?.checked_mul(2)?;
    let groups = scale.shape.last().copied().filter(|_| scale.shape.len() == view.shape.len());
    if scale.dtype == Dtype::F8_E4M3 && groups.and_then(|g| g.checked_mul(16)) == Some(row) {
        let claim = base(
            all,
            named(all, "modelopt"),
            "`.weight` U8 with F8_E4M3 `.weight_scale` and `.weight_scale_2` (NVFP4)",
            weight,
            stem,
        );
        return Some(claim.shaped(with_row(view.shape, row)).bits(4).group(Some(16)));
    }
    if exponents && groups.and_then(|g| g.checked_mul(32)) == Some(row) {
        let claim = base(all, named(all, "mxfp4"), "`.weight` U8 with one-byte exponents in `.weight_scale`", weight, stem);
        return Some(claim.shaped(with_row(view.shape, row)).bits(4).group(Some(32)));
    }
    if all.configured.is("bitnet") {
        let mut shape = Shape::from_slice(view.shape);
        let first = shape.first_mut()?;
        *first = first.checked_mul(4)?;
        return Some(base(all, "bitnet", "`.weight` U8 with `.weight_scale`, and config.json", weight, stem).shaped(shape).bits(2));
    }
    None
}

fn group_along_row(view: &TensorView<'_>, scale: &TensorView<'_>) -> Option<u64> {
    let (row, groups) = (view.shape.last().copied()?, scale.shape.last().copied()?);
    // A scale of another height is a scale of two-dimensional blocks.
    (scale.shape.len() == view.shape.len() && scale.shape.first() == view.shape.first()).then(|| group_of(row, groups)).flatten()
}

/// A byte a weight in `X.qweight`, its scales in `X.scale` (fracast: one a row, or one a tensor).
fn companion(all: &Tensors<'_>, index: usize, stem: &str) -> Option<Claim> {
    let view = &all.views[index];
    let scale = all.view(stem, ".scale")?;
    if !matches!(view.dtype, Dtype::I8 | Dtype::U8) || !scale.dtype.is_float() || scale.elements > view.elements {
        return None;
    }
    let claim = Claim::new("int8", "one-byte `.qweight` with a floating-point `.scale`", index).with(
        all,
        stem,
        &[".scale", ".zero_point", ".zero"],
    );
    Some(claim.shaped(Shape::from_slice(view.shape)).bits(8).group(group_along_row(view, scale)))
}
