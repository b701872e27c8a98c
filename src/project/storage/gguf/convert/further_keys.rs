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
    if let Some(clamp) = given.hparams.some(&["clip_qkv"]) {
        keys.model_float("attention.clamp_kqv", clamp.as_f64());
    }
    Ok(())
}

/// One truth value a layer: which of them slide; without a list, all but every fourth.
fn pattern(keys: &mut Keys, given: &Given<'_>) {
    let types = given.hparams.some(&["layer_types"]).and_then(Value::as_array);
    let flags: Vec<bool> = match types {
        Some(types) => types.iter().map(|kind| kind.as_str() == Some("sliding_attention")).collect(),
        None => (0..given.blocks.min(MOST_LAYERS)).map(|i| (i + 1) % 4 != 0).collect(),
    };
    keys.model_flags("attention.sliding_window_pattern", &flags);
}

/// More layers than any model has.
const MOST_LAYERS: u64 = 1 << 20;

pub(super) fn olmo2(keys: &mut Keys, given: &mut Given<'_>) -> Done {
    mk::base(keys, given)?;
    match given.hparams.find(&["sliding_window"]) {
        None => {}
        Some(Value::Null) => return Err("sliding_window is null: the converter stops".to_owned()),
        Some(window) => {
            keys.model_count("attention.sliding_window", whole(window));
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
    let Some(share) = h.rope.get("partial_rotary_factor").and_then(Value::as_f64) else {
        return Err("config.json has no `partial_rotary_factor`: the converter stops".to_owned());
    };
    let heads = h.need(&["num_attention_heads"])?;
    mk::own(keys, given.blocks, heads, mk::plain_widths(h), &["attention.layer_norm_epsilon"]);
    let dim = h.count("hidden_size").and_then(|n| n.checked_div(heads));
    keys.model_count("rope.dimension_count", dim.map(|n| mk::share_of(n, share)));
    keys.kv_heads(h.need(&["num_key_value_heads"])?);
    keys.model_flag("use_parallel_residual", h.find(&["use_parallel_residual"]).and_then(Value::as_bool).unwrap_or(true));
    Ok(())
}

/// Four times a width: the feed-forward layers of older families.
fn four_times(width: Option<u64>) -> Option<u64> {
    width.and_then(|n| n.checked_mul(4))
}

pub(super) fn bloom(keys: &mut Keys, given: &mut Given<'_>) -> Done {
    let heads = given.hparams.need(&["n_head", "num_attention_heads"])?;
    let width = given.hparams.find(&["hidden_size", "n_embed"]).and_then(whole);
    let context = given.hparams.find(&["seq_length"]).map_or(width, whole);
    mk::own(keys, given.blocks, heads, [context, width, four_times(width)], &["attention.layer_norm_epsilon"]);
    keys.kv_heads(heads);
    Ok(())
}

pub(super) fn starcoder(keys: &mut Keys, given: &mut Given<'_>) -> Done {
    let h = &*given.hparams;
    let widths = [h.count("n_positions"), h.count("n_embd"), four_times(h.count("n_embd"))];
    mk::own(keys, given.blocks, h.need(&["n_head"])?, widths, &["attention.layer_norm_epsilon"]);
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
            keys.model_float(name, given.hparams.some(&[key]).and_then(Value::as_f64));
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
    if let Some(longest) = given.hparams.some(&["model_max_length"]).cloned() {
        given.hparams.set("max_position_embeddings", longest);
    }
    mk::base(keys, given)?;
    keys.model_float("logit_scale", given.hparams.some(&["logit_scale"]).and_then(Value::as_f64));
    keys.model_text("rope.scaling.type", "none");
    Ok(())
}

pub(super) fn cohere2(keys: &mut Keys, given: &mut Given<'_>) -> Done {
    cohere(keys, given)?;
    let h = &*given.hparams;
    let Some(share) = h.some(&["rotary_pct"]) else {
        return Err("config.json has no `rotary_pct`: the converter stops".to_owned());
    };
    let dim = h.count("hidden_size").zip(h.count("num_attention_heads")).and_then(|(n, heads)| n.checked_div(heads));
    keys.model_count("attention.sliding_window", h.count("sliding_window"));
    keys.model_count("vocab_size", h.count("vocab_size"));
    keys.model_count("rope.dimension_count", dim.zip(share.as_f64()).map(|(n, share)| mk::share_of(n, share)));
    Ok(())
}

pub(super) fn glm4(keys: &mut Keys, given: &mut Given<'_>) -> Done {
    mk::base(keys, given)?;
    let share = given.hparams.rope.get("partial_rotary_factor").map_or(Some(0.5), Value::as_f64);
    let dim = mk::head_dim(given.hparams);
    keys.model_count("rope.dimension_count", dim.zip(share).map(|(n, share)| mk::share_of(n, share)));
    Ok(())
}

pub(super) fn glm4_moe(keys: &mut Keys, given: &mut Given<'_>) -> Done {
    glm4(keys, given)?;
    let rows = [
        ("moe_intermediate_size", "expert_feed_forward_length"),
        ("n_shared_experts", "expert_shared_count"),
        ("first_k_dense_replace", "leading_dense_block_count"),
        ("num_nextn_predict_layers", "nextn_predict_layers"),
    ];
    for (key, name) in rows {
        if let Some(n) = given.hparams.some(&[key]) {
            keys.model_count(name, whole(n));
        }
    }
    keys.model_number("expert_gating_func");
    if let Some(scale) = given.hparams.some(&["routed_scaling_factor"]) {
        keys.model_float("expert_weights_scale", scale.as_f64());
    }
    if let Some(flag) = given.hparams.some(&["norm_topk_prob"]) {
        keys.model_flag("expert_weights_norm", flag.as_bool() == Some(true));
    }
    Ok(())
}

pub(super) fn dots1(keys: &mut Keys, given: &mut Given<'_>) -> Done {
    mk::qwen_moe(keys, given)?;
    keys.experts(given.hparams.need(&["n_routed_experts"])?);
    let h = &*given.hparams;
    keys.model_count("leading_dense_block_count", Some(h.need(&["first_k_dense_replace"])?));
    keys.model_count("expert_shared_count", Some(h.need(&["n_shared_experts"])?));
    keys.model_float("expert_weights_scale", h.some(&["routed_scaling_factor"]).and_then(Value::as_f64));
    keys.model_flag("expert_weights_norm", h.some(&["norm_topk_prob"]).and_then(Value::as_bool) == Some(true));
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
    keys.model_count("expert_used_count", Some(given.hparams.need(&["num_experts_per_tok", "num_experts_per_token"])?));
    keys.experts(given.hparams.need(&["num_local_experts", "num_experts"])?);
    Ok(())
}

pub(super) fn exaone4(keys: &mut Keys, given: &mut Given<'_>) -> Done {
    mk::base(keys, given)?;
    keys.model_count("vocab_size", given.hparams.count("vocab_size"));
    if let Some(window) = given.hparams.some(&["sliding_window"]) {
        keys.model_count("attention.sliding_window", whole(window));
        pattern(keys, given);
    }
    Ok(())
}

pub(super) fn nemotron(keys: &mut Keys, given: &mut Given<'_>) -> Done {
    mk::base(keys, given)?;
    let h = &*given.hparams;
    keys.model_count("vocab_size", h.count("vocab_size"));
    keys.model_number("attention.layer_norm_epsilon");
    keys.model_count("rope.dimension_count", mk::phi_rope_dims(h).ok());
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
    keys.model_count("attention.sliding_window", given.folder.config.get("sliding_window").and_then(whole));
    mk::pooling(keys, given.folder)
}

pub(super) fn distil_bert(keys: &mut Keys, given: &mut Given<'_>) -> Done {
    mk::bert(keys, given)?;
    keys.model_number("attention.layer_norm_epsilon");
    Ok(())
}

pub(super) fn modern_bert(keys: &mut Keys, given: &mut Given<'_>) -> Done {
    mk::bert(keys, given)?;
    keys.model_count("attention.sliding_window", Some(given.hparams.need(&["local_attention"])?));
    if let Some(n) = given.hparams.some(&["global_attn_every_n_layers"]) {
        keys.model_count("attention.sliding_window_pattern", whole(n));
    }
    keys.model_text("rope.scaling.type", "none");
    keys.model_count("vocab_size", given.hparams.count("vocab_size"));
    if let Some(name) = given.hparams.some(&["hidden_activation"]).and_then(Value::as_str) {
        keys.model_text("hidden_activation", name);
    }
    Ok(())
}

/// A number that is there and not 0, else the converter's own.
fn or(h: &Hparams, names: &[&str], own: u64) -> u64 {
    h.some(names).and_then(whole).filter(|&n| n > 0).unwrap_or(own)
}

pub(super) fn mamba(keys: &mut Keys, given: &mut Given<'_>) -> Done {
    let h = &*given.hparams;
    let width = h.need(&["hidden_size", "d_model"])?;
    let inner = h.find(&["intermediate_size", "d_inner"]).and_then(whole).filter(|&n| n > 0).unwrap_or(2 * width);
    if inner != 2 * width {
        return Err("the inner width is not twice the model's, which the converter refuses".to_owned());
    }
    // Any value serves those who take the default.
    mk::own(keys, given.blocks, 0, [Some(1 << 20), Some(width), Some(0)], &["attention.layer_norm_rms_epsilon"]);
    let sizes = [
        ("ssm.conv_kernel", or(h, &["conv_kernel", "d_conv"], 4)),
        ("ssm.inner_size", inner),
        ("ssm.state_size", or(h, &["state_size", "d_state"], 16)),
        ("ssm.time_step_rank", or(h, &["time_step_rank", "dt_rank"], width.div_ceil(16))),
    ];
    for (name, n) in sizes {
        keys.model_count(name, Some(n));
    }
    keys.model_flag("ssm.dt_b_c_rms", h.some(&["model_type"]).and_then(Value::as_str) == Some("falcon_mamba"));
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
    let h = &*given.hparams;
    let inner = mamba2_inner(h)?;
    let width = h.some(&["hidden_size", "d_model", "dim"]).and_then(whole);
    mk::own(keys, given.blocks, 0, [Some(1 << 20), width, Some(0)], &["attention.layer_norm_rms_epsilon"]);
    let sizes = [
        ("ssm.conv_kernel", or(h, &["conv_kernel", "d_conv"], 4)),
        ("ssm.inner_size", inner),
        ("ssm.state_size", or(h, &["state_size", "d_state"], 128)),
        ("ssm.time_step_rank", inner / or(h, &["mamba_d_head", "head_dim"], 64)),
        ("ssm.group_count", or(h, &["n_groups"], 1)),
    ];
    for (name, n) in sizes {
        keys.model_count(name, Some(n));
    }
    Ok(())
}
