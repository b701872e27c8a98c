//! Buffers that are no weights: they take bytes and stored elements, and are left out of logical parameters.

use super::segments::{Segments, index};
use crate::dtype::{Dtype, DtypeKind};

/// Last pieces that name a buffer whatever its module. Each can be made again from the configuration alone, so none is a weight:
/// index ranges (`position_ids`, `token_type_ids`, `relative_position_index`), rotary tables (`inv_freq`, `cos_cached`,
/// `sin_cached`), the number that stands for minus infinity in old GPT-2 and GPT-NeoX (`masked_bias`), and the step counter of a
/// batch norm (`num_batches_tracked`). A batch norm's `running_mean` and `running_var` are learned from data and change the
/// output: they stay weights, as does a router's `e_score_correction_bias`.
const LEAVES: &[&str] = &[
    "position_ids",
    "inv_freq",
    "original_inv_freq",
    "masked_bias",
    "num_batches_tracked",
    "token_type_ids",
    "relative_position_index",
    "relative_coords_table",
    "cos_cached",
    "sin_cached",
];

/// Whether the name alone gives a buffer away.
pub(super) fn named_so(segments: &Segments<'_>) -> bool {
    match segments.all() {
        // Meta's consolidated Llama files: the rotary table of the whole model.
        ["rope", "freqs"] | ["freqs_cis"] => true,
        [.., leaf] => LEAVES.contains(leaf),
        [] => false,
    }
}

/// GGUF tensors that the converter computes from the configuration (llama.cpp's `convert_hf_to_gguf.py`): the factors of llama3 rotary
/// scaling and the long and short factors of Phi-3. They have no counterpart among the weights of the source model.
pub(super) const GGUF: &[&str] = &["rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight"];

/// Tables of EAGLE-3 draft models: which token of the target each of the draft's stands for, and which of the target's the draft has.
const VOCABULARY_MAPS: &[&str] = &["d2t", "t2d"];

/// Whether a tensor is a buffer, by its name, dtype and shape. Masks are F32, F16, U8 or BOOL by the age of the file.
///
/// Beside the names that settle it alone, this knows the causal mask that old GPT-2, GPT-Neo and GPT-NeoX files carry as `attn.bias` or
/// `attention.bias`: `[1, 1, n, n]`, of any dtype. A bias of that name with another shape is a weight.
pub fn is_buffer(name: &str, dtype: Dtype, shape: &[u64]) -> bool {
    if GGUF.iter().any(|buffer| name.strip_suffix(buffer).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))) {
        return true;
    }
    let segments = Segments::of(name);
    named_so(&segments) || is_causal_mask(&segments, shape) || is_vocabulary_map(&segments, dtype, shape)
}

fn is_vocabulary_map(segments: &Segments<'_>, dtype: Dtype, shape: &[u64]) -> bool {
    let named = matches!(segments.all(), [.., leaf] if VOCABULARY_MAPS.contains(leaf));
    named && shape.len() == 1 && (dtype == Dtype::BOOL || dtype.info().is_some_and(|row| matches!(row.kind, DtypeKind::Integer)))
}

fn is_causal_mask(segments: &Segments<'_>, shape: &[u64]) -> bool {
    let in_a_block = segments.all().iter().any(|piece| index(piece).is_some());
    let named = matches!(segments.all(), [.., "attn" | "attention" | "self_attention", "bias"]);
    in_a_block && named && matches!(shape, [1, 1, rows, columns] if rows == columns && *rows > 1)
}
