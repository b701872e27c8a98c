//! GGUF tensor names (the name tables of gguf-py 0.19.0, `constants.py`).

use super::segments::index;
use super::{Naming, Role, buffer};
use crate::families::Table;

use Role::{
    Attention, Audio, Conv, Embedding, Expert, Head, LmHead, Mlp, Mtp, Norm, Other, PositionEmbedding, Projector, Recurrent,
    Router, SharedExpert, Vision,
};

/// Modules outside the blocks, without `.weight` or `.bias`. Sorted.
pub(super) static OUTSIDE: Table<Role> = Table::new(&[
    ("altup_proj", Other),
    ("altup_unembd_proj", Other),
    ("cls", Head),
    ("cls.output", Head),
    ("dec.output_norm", Norm),
    ("enc.output_norm", Norm),
    ("output", LmHead),
    ("output_norm", Norm),
    ("per_layer_model_proj", Embedding),
    ("per_layer_proj_norm", Norm),
    ("per_layer_token_embd", Embedding),
    ("position_embd", PositionEmbedding),
    ("token_embd", Embedding),
    ("token_embd_norm", Norm),
    ("token_types", PositionEmbedding),
]);

/// Modules of a block. Sorted. Where a name is missing, its beginning decides ([`STARTS`]).
pub(super) static IN_BLOCK: Table<Role> = Table::new(&[
    ("attn_gate", Attention),
    ("attn_rel_b", PositionEmbedding),
    ("attn_rot_embd", Role::Buffer),
    ("exp_probs_b", Router),
    ("ffn_down_exps", Expert),
    ("ffn_down_shexp", SharedExpert),
    ("ffn_gate_exps", Expert),
    ("ffn_gate_inp", Router),
    ("ffn_gate_inp_shexp", Router),
    ("ffn_gate_shexp", SharedExpert),
    ("ffn_gate_tid2eid", Router),
    ("ffn_gate_up_exps", Expert),
    ("ffn_up_exps", Expert),
    ("ffn_up_shexp", SharedExpert),
    ("inp_gate", Mlp),
    ("proj", Mlp),
]);

/// Beginnings of module names of a block, tried in this order after the norms.
const STARTS: &[(&str, Role)] = &[
    ("attn_", Attention),
    ("cross_attn_", Attention),
    ("indexer.", Attention),
    ("ffn_", Mlp),
    ("ssm_", Recurrent),
    ("time_mix_", Recurrent),
    ("channel_mix_", Mlp),
    ("shortconv.", Recurrent),
    ("convnext.", Conv),
    ("conv", Conv),
    ("nextn.", Mtp),
    ("altup_", Other),
    ("laurel_", Other),
];

pub(super) fn classify(name: &str) -> Naming {
    if buffer::GGUF.contains(&name) {
        return Naming::of(Role::Buffer);
    }
    // Parts of a multimodal projector file (mtmd) and its towers.
    if let Some(rest) = name.strip_prefix("v.") {
        return Naming { role: Vision, layer: block(rest).map(|(layer, _)| layer), expert: None };
    }
    if let Some(rest) = name.strip_prefix("a.") {
        return Naming { role: Audio, layer: block(rest).map(|(layer, _)| layer), expert: None };
    }
    if name.starts_with("mm.") || name.starts_with("resampler.") || name.starts_with("model.image_newline") {
        return Naming::of(Projector);
    }
    if name.starts_with("nextn.") || name.starts_with("mtp.") {
        return Naming::of(Mtp);
    }
    // Adapters keep the name of the weight they belong to (llama.cpp `convert_lora_to_gguf.py`).
    if name.ends_with(".lora_a") || name.ends_with(".lora_b") {
        let rest = name.strip_prefix("enc.").or_else(|| name.strip_prefix("dec.")).unwrap_or(name);
        return Naming { role: Role::Adapter, layer: block(rest).map(|(layer, _)| layer), expert: None };
    }
    let inner = name.strip_prefix("enc.").or_else(|| name.strip_prefix("dec.")).unwrap_or(name);
    if let Some((layer, rest)) = block(inner) {
        return Naming { role: in_block(module(rest)), layer: Some(layer), expert: None };
    }
    Naming::of(OUTSIDE.get(module(name)).unwrap_or(Other))
}

/// Splits `blk.N.rest`.
fn block(name: &str) -> Option<(u32, &str)> {
    let (number, rest) = name.strip_prefix("blk.")?.split_once('.')?;
    Some((index(number)?, rest))
}

/// The name without its last piece, where that is `weight`, `bias` or a scale of its own.
fn module(name: &str) -> &str {
    for leaf in [".weight", ".bias", ".scale", ".input_scale"] {
        if let Some(module) = name.strip_suffix(leaf) {
            return module;
        }
    }
    name
}

fn in_block(module: &str) -> Role {
    if let Some(role) = IN_BLOCK.get(module) {
        return role;
    }
    if module.starts_with("nextn.") {
        return Mtp;
    }
    // `attn_norm`, `attn_q_a_norm`, `ffn_norm_exps`, `post_ffw_norm_1`, `layer_output_norm`, `ssm_dt_norm`, `time_mix_ln`.
    if module.ends_with("_norm") || module.contains("_norm_") || module.ends_with("_ln") {
        return Norm;
    }
    // Old files have one tensor an expert: `ffn_gate.3`.
    if let Some((stem, number)) = module.rsplit_once('.')
        && stem.starts_with("ffn_")
        && index(number).is_some()
    {
        return Expert;
    }
    STARTS.iter().find(|(start, _)| module.starts_with(start)).map_or(Other, |&(_, role)| role)
}
