//! The model's own keys of further families. Source: `set_gguf_parameters` of each class.

use serde_json::Value;

use super::hparams::{Hparams, whole};
use super::keys::Keys;
use super::model_keys::{self as mk, Done, Given};

/// Whether a key holds a number other than 0.
fn is_set(h: &Hparams, key: &str) -> bool {
    h.some(&[key]).and_then(Value::as_f64).is_some_and(|n| n != 0.0)
}

fn numbers(keys: &mut Keys, names: &[&str]) {
    names.iter().for_each(|name| keys.model_number(name));
}

pub(super) fn olmo(keys: &mut Keys, given: &mut Given<'_>) -> Done {
    mk::base(keys, given)?;
    keys.model_number("attention.layer_norm_epsilon");
    if given.hparams.some(&["clip_qkv"]).is_some() {
        keys.model_number("attention.clamp_kqv");
    }
    Ok(())
}

/// One truth value a layer: which of them slide.
fn pattern(keys: &mut Keys, given: &Given<'_>) {
    let types = given.hparams.some(&["layer_types"]).and_then(Value::as_array).map(|list| list.len() as u64);
    let layers = types.unwrap_or(given.blocks);
    keys.model_array("attention.sliding_window_pattern", layers, layers);
}

pub(super) fn olmo2(keys: &mut Keys, given: &mut Given<'_>) -> Done {
    mk::base(keys, given)?;
    match given.hparams.find(&["sliding_window"]) {
        None => {}
        Some(Value::Null) => return Err("sliding_window is null: the converter stops".to_owned()),
        Some(_) => {
            keys.model_number("attention.sliding_window");
            pattern(keys, given);
        }
    }
    Ok(())
}

pub(super) fn olmoe(keys: &mut Keys, given: &mut Given<'_>) -> Done {
    mk::base(keys, given)?;
    keys.model_number("attention.layer_norm_rms_epsilon");
    Ok(())
}

pub(super) fn stablelm(keys: &mut Keys, given: &mut Given<'_>) -> Done {
    let h = &*given.hparams;
    if h.rope.get("partial_rotary_factor").and_then(Value::as_f64).is_none() {
        return Err("config.json has no `partial_rotary_factor`: the converter stops".to_owned());
    }
    let names =
        ["context_length", "embedding_length", "feed_forward_length", "rope.dimension_count", "attention.layer_norm_epsilon"];
    mk::own(keys, given.blocks, h.need(&["num_attention_heads"])?, &names);
    keys.kv_heads(h.need(&["num_key_value_heads"])?);
    keys.model_flag("use_parallel_residual");
    Ok(())
}

const FOUR: [&str; 4] = ["context_length", "embedding_length", "feed_forward_length", "attention.layer_norm_epsilon"];

pub(super) fn bloom(keys: &mut Keys, given: &mut Given<'_>) -> Done {
    let heads = given.hparams.need(&["n_head", "num_attention_heads"])?;
    mk::own(keys, given.blocks, heads, &FOUR);
    keys.kv_heads(heads);
    Ok(())
}

pub(super) fn starcoder(keys: &mut Keys, given: &mut Given<'_>) -> Done {
    mk::own(keys, given.blocks, given.hparams.need(&["n_head"])?, &FOUR);
    keys.kv_heads(1);
    Ok(())
}

pub(super) fn granite(keys: &mut Keys, given: &mut Given<'_>) -> Done {
    given.hparams.set("head_dim", Value::Null);
    mk::llama(keys, given)?;
    let scales = [
        ("attention_multiplier", "attention.scale"),
        ("embedding_multiplier", "embedding_scale"),
        ("residual_multiplier", "residual_scale"),
        ("logits_scaling", "logit_scale"),
    ];
    for (key, name) in scales {
        if is_set(given.hparams, key) {
            keys.model_number(name);
        }
    }
    Ok(())
}

pub(super) fn granite_moe(keys: &mut Keys, given: &mut Given<'_>) -> Done {
    granite(keys, given)?;
    if is_set(given.hparams, "shared_intermediate_size") {
        keys.model_number("expert_shared_feed_forward_length");
    }
    Ok(())
}

pub(super) fn cohere(keys: &mut Keys, given: &mut Given<'_>) -> Done {
    mk::base(keys, given)?;
    keys.model_number("logit_scale");
    keys.model_text("rope.scaling.type", "none");
    Ok(())
}

pub(super) fn cohere2(keys: &mut Keys, given: &mut Given<'_>) -> Done {
    cohere(keys, given)?;
    if given.hparams.some(&["rotary_pct"]).is_none() {
        return Err("config.json has no `rotary_pct`: the converter stops".to_owned());
    }
    numbers(keys, &["attention.sliding_window", "vocab_size", "rope.dimension_count"]);
    Ok(())
}

pub(super) fn glm4(keys: &mut Keys, given: &mut Given<'_>) -> Done {
    mk::base(keys, given)?;
    keys.model_number("rope.dimension_count");
    Ok(())
}

pub(super) fn glm4_moe(keys: &mut Keys, given: &mut Given<'_>) -> Done {
    glm4(keys, given)?;
    let rows = [
        ("moe_intermediate_size", "expert_feed_forward_length"),
        ("n_shared_experts", "expert_shared_count"),
        ("first_k_dense_replace", "leading_dense_block_count"),
        ("routed_scaling_factor", "expert_weights_scale"),
        ("num_nextn_predict_layers", "nextn_predict_layers"),
    ];
    for (key, name) in rows {
        if given.hparams.some(&[key]).is_some() {
            keys.model_number(name);
        }
    }
    keys.model_number("expert_gating_func");
    if given.hparams.some(&["norm_topk_prob"]).is_some() {
        keys.model_flag("expert_weights_norm");
    }
    Ok(())
}

pub(super) fn dots1(keys: &mut Keys, given: &mut Given<'_>) -> Done {
    mk::qwen_moe(keys, given)?;
    keys.experts(given.hparams.need(&["n_routed_experts"])?);
    for key in ["first_k_dense_replace", "n_shared_experts"] {
        given.hparams.need(&[key])?;
    }
    numbers(keys, &["leading_dense_block_count", "expert_shared_count", "expert_weights_scale"]);
    keys.model_flag("expert_weights_norm");
    Ok(())
}

pub(super) fn arcee(keys: &mut Keys, given: &mut Given<'_>) -> Done {
    mk::llama(keys, given)?;
    mk::pooling(keys, given.folder)
}

pub(super) fn mistral3(keys: &mut Keys, given: &mut Given<'_>) -> Done {
    mk::llama(keys, given)?;
    match given.hparams.some(&["model_type"]).and_then(Value::as_str) {
        Some("mistral4") => Err("Mistral 4 is not modelled".to_owned()),
        Some("ministral3") => {
            let rope = &given.hparams.rope;
            let has = |key: &str| rope.get(key).is_some_and(|v| !v.is_null());
            let yarn = rope.get("rope_type").and_then(Value::as_str) == Some("yarn");
            if !yarn || !has("mscale_all_dim") || !has("llama_4_scaling_beta") {
                return Err("rope_parameters are not those of Ministral 3: the converter stops".to_owned());
            }
            numbers(keys, &["rope.scaling.yarn_log_multiplier", "attention.temperature_scale"]);
            Ok(())
        }
        _ => Ok(()),
    }
}

pub(super) fn phi_moe(keys: &mut Keys, given: &mut Given<'_>) -> Done {
    mk::phi3(keys, given)?;
    given.hparams.need(&["num_experts_per_tok", "num_experts_per_token"])?;
    keys.model_number("expert_used_count");
    keys.experts(given.hparams.need(&["num_local_experts", "num_experts"])?);
    Ok(())
}

pub(super) fn exaone4(keys: &mut Keys, given: &mut Given<'_>) -> Done {
    mk::base(keys, given)?;
    keys.model_number("vocab_size");
    if given.hparams.some(&["sliding_window"]).is_some() {
        keys.model_number("attention.sliding_window");
        pattern(keys, given);
    }
    Ok(())
}

pub(super) fn nemotron(keys: &mut Keys, given: &mut Given<'_>) -> Done {
    mk::base(keys, given)?;
    numbers(keys, &["vocab_size", "attention.layer_norm_epsilon", "rope.dimension_count"]);
    let h = &*given.hparams;
    let factor = is_set(h, "factor") || h.rope.get("factor").is_some_and(|v| !v.is_null());
    keys.model_text("rope.scaling.type", if factor { "linear" } else { "none" });
    if factor {
        keys.model_number("rope.scaling.factor");
    }
    Ok(())
}

pub(super) fn qwen3_vl(keys: &mut Keys, given: &mut Given<'_>) -> Done {
    mk::qwen(keys, given)?;
    keys.model_number("n_deepstack_layers");
    Ok(())
}

pub(super) fn qwen3_vl_moe(keys: &mut Keys, given: &mut Given<'_>) -> Done {
    mk::qwen_moe(keys, given)?;
    keys.model_number("n_deepstack_layers");
    Ok(())
}

pub(super) fn gemma_embedding(keys: &mut Keys, given: &mut Given<'_>) -> Done {
    mk::gemma3(keys, given)?;
    // The class's own value is not taken.
    if given.folder.config.get("sliding_window").is_none_or(Value::is_null) {
        return Err("config.json has no `sliding_window`: the converter stops".to_owned());
    }
    keys.model_number("attention.sliding_window");
    mk::pooling(keys, given.folder)
}

pub(super) fn distil_bert(keys: &mut Keys, given: &mut Given<'_>) -> Done {
    mk::bert(keys, given)?;
    keys.model_number("attention.layer_norm_epsilon");
    Ok(())
}

pub(super) fn modern_bert(keys: &mut Keys, given: &mut Given<'_>) -> Done {
    mk::bert(keys, given)?;
    given.hparams.need(&["local_attention"])?;
    keys.model_number("attention.sliding_window");
    if given.hparams.some(&["global_attn_every_n_layers"]).is_some() {
        keys.model_number("attention.sliding_window_pattern");
    }
    keys.model_text("rope.scaling.type", "none");
    keys.model_number("vocab_size");
    if let Some(name) = given.hparams.some(&["hidden_activation"]).and_then(Value::as_str) {
        keys.model_text("hidden_activation", name);
    }
    Ok(())
}

/// Width inside a layer of Mamba 2.
pub(super) fn mamba2_inner(h: &Hparams) -> Result<u64, String> {
    let width = h.need(&["hidden_size", "d_model", "dim"])?;
    let expand = h.some(&["mamba_expand", "expand"]).and_then(whole).filter(|&n| n > 0).unwrap_or(2);
    let given = h.some(&["mamba_d_ssm", "intermediate_size", "d_inner"]).and_then(whole).filter(|&n| n > 0);
    let inner = expand.saturating_mul(width);
    let head = h.some(&["mamba_d_head", "head_dim"]).and_then(whole).filter(|&n| n > 0).unwrap_or(64);
    if given.is_some_and(|n| n != inner) || !inner.is_multiple_of(head) {
        return Err("the inner width does not fit expand and head_dim, which the converter refuses".to_owned());
    }
    Ok(inner)
}

pub(super) fn mamba2(keys: &mut Keys, given: &mut Given<'_>) -> Done {
    mamba2_inner(given.hparams)?;
    let names = [
        "context_length",
        "embedding_length",
        "feed_forward_length",
        "ssm.conv_kernel",
        "ssm.inner_size",
        "ssm.state_size",
        "ssm.time_step_rank",
        "ssm.group_count",
        "attention.layer_norm_rms_epsilon",
    ];
    mk::own(keys, given.blocks, 0, &names);
    Ok(())
}
