//! Heads and head size against the shapes of q, k and v.

use crate::audit::check::{Check, code};
use crate::audit::finding::Severity::Warning;
use crate::audit::finding::{Code, Finding, Findings};
use crate::audit::subject::Subject;
use crate::audit::tensors::{decoder, main_tensors};
use crate::checkpoint::{Checkpoint, KvKind, KvLayers};
use crate::format::Format;

const SHAPE: Code = code(
    "attention-shape",
    "Attention shapes and configuration disagree",
    Warning,
    "The rows of a q, k or v projection are not heads x head size as configured, or its columns are not the hidden size. Loaders refuse the weights, or cut heads in the \
     wrong places. The configuration and the weights are not of one model.",
);

pub(super) const CHECK: Check = Check { name: "attention_shape", codes: &[SHAPE], run };

fn run(subject: &Subject<'_>, out: &mut Findings) {
    let Some(checkpoint) = subject.checkpoint else { return };
    // Slices of tensor-parallel ranks have shapes of their own, which is a finding by itself.
    if checkpoint.is_sliced() {
        return;
    }
    let model = &checkpoint.model;
    let KvLayers::Known(rows) = &model.kv else { return };
    let plain = |k: KvKind| matches!(k, KvKind::Full | KvKind::Sliding | KvKind::Chunked);
    let Some(first) = rows.first().copied() else { return };
    // Only where every layer is alike: families with several head sizes have rules of their own.
    let uniform = rows
        .iter()
        .all(|r| plain(r.kind) && (r.kv_heads, r.head_dim_k, r.head_dim_v) == (first.kv_heads, first.head_dim_k, first.head_dim_v));
    if !uniform || first.kv_heads == 0 {
        return;
    }
    let q = model.heads.and_then(|h| h.checked_mul(first.head_dim_k));
    let k = first.kv_heads.checked_mul(first.head_dim_k);
    let v = first.kv_heads.checked_mul(first.head_dim_v);
    // Towers, draft heads and talkers have heads of their own: only the decoder is what the configuration was read for.
    let Some(stack) = decoder(checkpoint) else { return };
    let beside = is_draft_head(checkpoint);
    let mut findings = Vec::new();
    for tensor in main_tensors(checkpoint) {
        let name = tensor.name();
        let Some((_, inside)) = stack.inside(&name) else { continue };
        if tensor.info.shape.len() != 2
            || !(tensor.info.dtype.is_float() || tensor.info.dtype.is_block_quant())
            // Packed weights have shapes of their own.
            || tensor.logical_params != tensor.info.elements
        {
            continue;
        }
        let gguf = tensor.container.format == Format::Gguf;
        let wanted = match () {
            () if inside == if gguf { "attn_q.weight" } else { "self_attn.q_proj.weight" } => q,
            () if inside == if gguf { "attn_k.weight" } else { "self_attn.k_proj.weight" } => k,
            () if inside == if gguf { "attn_v.weight" } else { "self_attn.v_proj.weight" } => v,
            () => continue,
        };
        let (Some(wanted), Some(&rows), Some(&columns)) = (wanted, tensor.info.shape.first(), tensor.info.shape.get(1)) else {
            continue;
        };
        // Some families gate the output of attention with a second half of q.
        let gated = wanted.checked_mul(2) == Some(rows) && inside.contains('q');
        let columns_fit = model.hidden_size.is_none_or(|h| h == columns || (beside && h.checked_mul(2) == Some(columns)));
        if (rows != wanted && !gated) || !columns_fit {
            let hidden = model.hidden_size.map_or_else(|| "?".to_owned(), |h| h.to_string());
            let message = format!(
                "the shape is {:?}; heads and head size as configured need {wanted} x {hidden}",
                tensor.info.shape.as_slice()
            );
            let file = checkpoint.files[tensor.file].name.clone();
            findings.push(Finding::new(&SHAPE, message).file(file).tensor(name));
        }
    }
    out.push_many(findings);
}

/// Whether the model is a draft head, whose first block takes the token's embedding beside the hidden state (EAGLE-3).
fn is_draft_head(checkpoint: &Checkpoint) -> bool {
    let named = |text: &Option<String>| text.as_deref().is_some_and(|text| text.to_ascii_lowercase().contains("eagle"));
    let model = &checkpoint.model;
    let joins = || checkpoint.tensors().any(|t| matches!(&*t.name(), "fc.weight" | "model.fc.weight"));
    named(&model.architecture) || named(&model.family) || joins()
}
