//! What a type asks of a tensor: rows that fill its blocks, an importance matrix, a decoder for what is stored.

use super::target::QuantTarget;
use crate::dtype::Dtype;

/// The type that a row of this length can be stored in; `None` where the program stops.
pub(super) fn fallback(wanted: Dtype, row: u64) -> Option<Dtype> {
    let fills = |dtype: Dtype| dtype.info().is_some_and(|info| row.is_multiple_of(info.elements_per_block));
    if fills(wanted) {
        return Some(wanted);
    }
    let replacement = match wanted {
        Dtype::IQ1_S
        | Dtype::IQ1_M
        | Dtype::IQ2_XXS
        | Dtype::IQ2_XS
        | Dtype::IQ2_S
        | Dtype::IQ3_XXS
        | Dtype::IQ3_S
        | Dtype::IQ4_XS => Dtype::IQ4_NL,
        Dtype::Q2_K | Dtype::Q3_K | Dtype::TQ1_0 | Dtype::TQ2_0 | Dtype::Q2_0 => Dtype::Q4_0,
        Dtype::Q4_K => Dtype::Q5_0,
        Dtype::Q5_K => Dtype::Q5_1,
        Dtype::Q6_K => Dtype::Q8_0,
        Dtype::Q1_0 => return None,
        other => other,
    };
    Some(if fills(replacement) { replacement } else { Dtype::F16 })
}

/// Types that are refused without an importance matrix, embeddings and output apart.
pub(super) fn needs_imatrix(name: &str, dtype: Dtype, target: QuantTarget) -> bool {
    if name == "token_embd.weight" || name == "output.weight" {
        return false;
    }
    match dtype {
        Dtype::IQ1_S | Dtype::IQ1_M | Dtype::IQ2_XXS | Dtype::IQ2_XS | Dtype::IQ2_S | Dtype::IQ3_XXS => true,
        Dtype::Q2_K => target == QuantTarget::Q2KS,
        _ => false,
    }
}

/// Whether ggml can turn a stored type into floats.
pub(super) fn can_decode(dtype: Dtype) -> bool {
    use Dtype::*;
    !matches!(dtype, I8 | I16 | I32 | I64 | F64 | Q8_1 | Q8_K)
}
