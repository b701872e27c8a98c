//! bitsandbytes 0.50: int8 (`weight` I8 and `SCB` F32 [O]) and 4-bit (`weight` of any storage type, its text in `quant_state`).

use serde_json::Value;

use crate::checkpoint::packed::claim::{Claim, Method};
use crate::checkpoint::packed::tensors::Tensors;
use crate::dtype::Dtype;
use crate::format::{Budget, Shape, python_json};

/// Memory for the tree of a quantization state, which has some ten values.
const STATE: u64 = 1 << 20;

pub(super) const INT8: Method = Method { anchors: &[".SCB"], claim: int8 };
pub(super) const FOUR_BIT: Method =
    Method { anchors: &[".quant_state.bitsandbytes__nf4", ".quant_state.bitsandbytes__fp4"], claim: four_bit };

fn int8(all: &Tensors<'_>, _: usize, stem: &str) -> Option<Claim> {
    let weight = all.find(stem, ".weight")?;
    if all.views[weight].dtype != Dtype::I8 {
        return None;
    }
    let claim = Claim::new("bitsandbytes", "`.SCB` beside an I8 `.weight`", weight).with(all, stem, &[".SCB", ".weight_format"]);
    Some(claim.shaped(Shape::from_slice(all.views[weight].shape)).bits(8))
}

/// Two weights a byte over the flattened tensor, so the bytes give the count. An odd count would be one less: the text of the
/// quant_state tells where it can be read.
fn four_bit(all: &Tensors<'_>, index: usize, stem: &str) -> Option<Claim> {
    let weight = all.find(stem, "")?;
    let claim = Claim::new("bitsandbytes", "`.quant_state.bitsandbytes__*` beside a packed weight", weight).with(
        all,
        stem,
        &[
            ".absmax",
            ".quant_map",
            ".nested_absmax",
            ".nested_quant_map",
            ".quant_state.bitsandbytes__nf4",
            ".quant_state.bitsandbytes__fp4",
        ],
    );
    let bytes = all.views[weight].bytes;
    let state = all.small(all.views[index].name, "").and_then(|text| python_json(&text, &Budget::new(STATE)).ok());
    let shape =
        state.as_ref().and_then(|state| state.get("shape")?.as_array()?.iter().map(Value::as_u64).collect::<Option<Shape>>());
    let claim =
        match shape.filter(|shape| shape.iter().try_fold(1u64, |p, &d| p.checked_mul(d)).is_some_and(|n| n.div_ceil(2) == bytes)) {
            Some(shape) => claim.shaped(shape),
            None => match all
                .hints
                .shape(stem.strip_suffix(".weight").unwrap_or(stem))
                .filter(|[o, i]| o.checked_mul(*i) == bytes.checked_mul(2))
            {
                Some(shape) => claim.shaped(Shape::from_slice(&shape)),
                None => Claim { logical: bytes.checked_mul(2), ..claim },
            },
        };
    let count = claim.logical?;
    let blocks = all.view(stem, ".absmax")?.elements;
    // Block sizes bitsandbytes offers (`functional.py`, quantize_4bit).
    let block = [32u64, 64, 128, 256, 512, 1024, 2048, 4096].into_iter().find(|size| count.div_ceil(*size) == blocks);
    Some(claim.bits(4).group(block))
}
