//! `X.weight` with `X.scale`: FP8 of DeepSeek's own files, its experts as two FP4 values a byte with one exponent for 32 of them
//! (DeepSeek-V4, `expert_dtype`), and int8. Source: `inference/convert.py` and `inference/model.py` of the DeepSeek models.

use crate::checkpoint::packed::claim::{Claim, Method, group_of, is_f8, with_row};
use crate::checkpoint::packed::tensors::Tensors;
use crate::dtype::Dtype;
use crate::format::Shape;

pub(super) const METHOD: Method = Method { anchors: &[".scale"], claim };

/// Weights of one exponent of the microscaling formats.
const BLOCK: u64 = 32;

fn claim(all: &Tensors<'_>, scale: usize, stem: &str) -> Option<Claim> {
    let weight = all.find(stem, ".weight")?;
    let (view, scale) = (&all.views[weight], &all.views[scale]);
    let method = |fallback| if all.configured.is("fp8") { "fp8" } else { fallback };
    let base = |name, evidence| {
        Claim::new(name, evidence, weight).with(all, stem, &[".scale", ".scale_2", ".zero_point", ".input_scale", ".weight_shape"])
    };
    let row = view.shape.last().copied().filter(|_| view.shape.len() > 1)?;
    let same = || Shape::from_slice(view.shape);
    if is_f8(view.dtype) {
        return Some(base(method("fp8"), "F8 weights with `.scale`").shaped(same()).bits(8));
    }
    let groups = scale.shape.last().copied().filter(|_| scale.shape.len() == view.shape.len());
    // Files of older tools keep the exponents as plain bytes.
    let exponents = matches!(scale.dtype, Dtype::F8_E8M0 | Dtype::U8);
    match view.dtype {
        Dtype::F4 => {
            Some(base(method("mxfp4"), "F4 weights with `.scale`").shaped(same()).bits(4).group(Some(BLOCK).filter(|_| exponents)))
        }
        Dtype::I8 | Dtype::U8 if exponents => {
            let pairs = row.checked_mul(2)?;
            let holds = |row: u64| groups.and_then(|g| g.checked_mul(BLOCK)) == Some(row);
            if holds(pairs) {
                let claim = base(method("mxfp4"), "`.weight` of two FP4 a byte with exponents in `.scale`");
                return Some(claim.shaped(with_row(view.shape, pairs)).bits(4).group(Some(BLOCK)));
            }
            let claim = base("int8", "one-byte `.weight` with exponents in `.scale`");
            // Neither a byte a weight nor two: what it holds is not known.
            Some(if holds(row) { claim.shaped(same()).bits(8).group(Some(BLOCK)) } else { claim })
        }
        Dtype::I8 if scale.dtype.is_float() && scale.elements < view.elements => {
            let along_row = groups.filter(|_| scale.shape.first() == view.shape.first()).and_then(|g| group_of(row, g));
            Some(base("int8", "I8 weights with `.scale`").shaped(same()).bits(8).group(along_row))
        }
        _ => None,
    }
}
