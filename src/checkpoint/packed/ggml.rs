//! GGUF: block quants are their own dtypes, so every element is a weight.

use super::{AUXILIARY, Interpretation, Quantization, TensorView, plain};
use crate::dtype::Dtype;

pub(super) fn interpret(tensors: &[TensorView<'_>]) -> Interpretation {
    let mut out = Interpretation { parts: tensors.iter().map(plain).collect(), ..Interpretation::default() };
    for (tensor, meaning) in tensors.iter().zip(&mut out.parts) {
        if tensor.dtype.is_block_quant() {
            meaning.packed = true;
            meaning.bits = nominal_bits(tensor.dtype);
        }
    }
    // NVFP4 keeps the second scale of a weight in a tensor of its own: `blk.0.ffn_up.scale`, and that of the input beside it.
    if tensors.iter().any(|tensor| tensor.dtype == Dtype::NVFP4) {
        for (tensor, meaning) in tensors.iter().zip(&mut out.parts) {
            if tensor.name.ends_with(".scale") || tensor.name.ends_with(".input_scale") {
                *meaning = AUXILIARY;
            }
        }
    }
    out.quantization = quantization(tensors.iter().map(|tensor| tensor.dtype));
    out
}

/// What the types of a file's tensors say of how it is quantized.
pub(in crate::checkpoint) fn quantization(dtypes: impl Iterator<Item = Dtype>) -> Option<Quantization> {
    let mut types: Vec<(Dtype, u64)> = Vec::new();
    for dtype in dtypes.filter(|dtype| dtype.is_block_quant()) {
        match types.iter_mut().find(|(known, _)| *known == dtype) {
            Some((_, count)) => *count += 1,
            None => types.push((dtype, 1)),
        }
    }
    if types.is_empty() {
        return None;
    }
    types.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
    let single = match types.as_slice() {
        [(dtype, _)] => Some(*dtype),
        _ => None,
    };
    let shown: Vec<String> = types.iter().map(|(dtype, count)| format!("{} {count}", dtype.name().unwrap_or("?"))).collect();
    Some(Quantization {
        method: "ggml".to_owned(),
        bits: single.and_then(nominal_bits),
        group_size: single.and_then(Dtype::info).map(|row| row.elements_per_block),
        evidence: format!("block-quantized tensors: {}", shown.join(", ")),
    })
}

/// The digit in the name of a type: Q4_K has 4 bits a weight beside its scales. TQ1_0 packs five ternary weights in a byte and
/// has no whole number.
fn nominal_bits(dtype: Dtype) -> Option<u32> {
    if dtype == Dtype::TQ1_0 {
        return None;
    }
    dtype.name()?.chars().find_map(|c| c.to_digit(10))
}
