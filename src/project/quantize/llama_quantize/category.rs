//! What `llama-quantize` reads from a tensor's name.

/// Category of a tensor, by which the mixture decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Category {
    Output,
    Embedding,
    V,
    K,
    Q,
    O,
    Up,
    Gate,
    Down,
    Other,
}

impl Category {
    /// First match wins. MLA's `attn_k_b` and `attn_v_b`, low-rank parts and everything recurrent are `Other`.
    pub(super) fn of(name: &str) -> Self {
        let has = |part: &str| name.contains(part);
        match name {
            "output.weight" => Self::Output,
            "token_embd.weight" | "per_layer_token_embd.weight" => Self::Embedding,
            _ if has("attn_qkv.weight") || has("attn_kv_b.weight") || has("attn_v.weight") => Self::V,
            _ if has("attn_k.weight") => Self::K,
            _ if has("attn_q.weight") => Self::Q,
            _ if has("attn_output.weight") => Self::O,
            _ if has("ffn_up") => Self::Up,
            _ if has("ffn_gate") => Self::Gate,
            _ if has("ffn_down") => Self::Down,
            _ => Self::Other,
        }
    }
}

/// N of a name that starts with `blk.N.`.
pub(super) fn block(name: &str) -> Option<u64> {
    let (digits, _) = name.strip_prefix("blk.")?.split_once('.')?;
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

/// Parts of names that are never quantized.
const KEPT_PARTS: &[&str] = &[
    "_norm.weight",
    "ffn_gate_inp.weight",
    "ffn_gate_tid2eid.weight",
    "altup",
    "laurel",
    "per_layer_model_proj",
    "ssm_conv1d",
    "shortconv.conv.weight",
    "indexer.k_proj.weight",
    "indexer.q_proj.weight",
    "attn_rel_b.weight",
    ".position_embd",
    "sam.pos_embd",
    "sam.neck.",
    "sam.net_",
    ".rel_pos",
    ".patch_embd",
    ".patch_merger",
    "a.rvq.codebook",
    "mm.a.code_embd",
];

/// What follows `time_mix_` in the RWKV names that are never quantized.
const KEPT_TIME_MIX: &[&str] =
    &["first", "w0", "w1", "w2", "v0", "v1", "v2", "a0", "a1", "a2", "g1", "g2", "decay_w1", "decay_w2", "lerp_fused"];

/// Why no quantizing target touches a tensor; `None` where they may.
pub(super) fn why_kept(name: &str, dims: usize) -> Option<String> {
    if may_quantize(name, dims) {
        return None;
    }
    Some(if dims < 2 {
        "it has one dimension".to_owned()
    } else if !name.ends_with("weight") {
        "its name does not end in `weight`".to_owned()
    } else {
        let part = KEPT_PARTS.iter().find(|part| name.contains(*part)).copied().unwrap_or("a name of its own");
        format!("its name is on the list of those that are never quantized ({part})")
    })
}

/// Whether a quantizing target may touch a tensor of this name and number of dimensions (outer ones dropped).
pub(super) fn may_quantize(name: &str, dims: usize) -> bool {
    if dims < 2 || !name.ends_with("weight") || name == "position_embd.weight" || name == "token_types.weight" {
        return false;
    }
    if KEPT_PARTS.iter().any(|part| name.contains(part)) {
        return false;
    }
    let time_mix = |rest: &str| KEPT_TIME_MIX.iter().any(|kept| rest.strip_prefix(kept).is_some_and(|r| r.starts_with(".weight")));
    !name.split("time_mix_").skip(1).any(time_mix)
}
