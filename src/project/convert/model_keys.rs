//! The model's own keys: a function a family. Source: `set_gguf_parameters` of each class.

use serde_json::Value;

use super::common_keys::{
    Given, base, four_times, head_dim, is_set, key_and_value, labels, mamba2_inner, number_or, numbers, own, phi_rope_dims,
    plain_widths, pooling, share_of, sliding_pattern,
};
use super::hparams::whole;
use super::keys::Keys;
use super::stop::Stop;
use crate::families::config_keys::ConverterPart::{Bloom, Falcon, Mamba, Mamba2, Phi, Shared, Stacked};
use crate::families::config_keys::{
    CONTEXT, CONV_KERNEL, EXPERTS, EXPERTS_USED, HEADS, HIDDEN_SIZE, KV_HEADS, SSM_HEAD_DIM, SSM_INNER, STATE_SIZE, TIME_STEP_RANK,
};

pub(super) fn llama(keys: &mut Keys, given: &mut Given<'_>) -> Result<(), Stop> {
    base(keys, given)?;
    keys.model_count("vocab_size", Some(given.hparams.need(&["vocab_size"])?));
    keys.model_count("rope.dimension_count", head_dim(given.hparams));
    Ok(())
}

pub(super) fn qwen(keys: &mut Keys, given: &mut Given<'_>) -> Result<(), Stop> {
    base(keys, given)?;
    pooling(keys, given.folder)
}

pub(super) fn qwen_moe(keys: &mut Keys, given: &mut Given<'_>) -> Result<(), Stop> {
    base(keys, given)?;
    if let Some(n) = given.hparams.some(&["moe_intermediate_size"]) {
        keys.model_count("expert_feed_forward_length", whole(n));
    }
    if given.hparams.some(&["shared_expert_intermediate_size"]).is_some() {
        keys.model_number("expert_shared_feed_forward_length");
    }
    Ok(())
}

pub(super) fn gemma(keys: &mut Keys, given: &mut Given<'_>) -> Result<(), Stop> {
    let h = &*given.hparams;
    let heads = h.need(&["num_attention_heads"])?;
    own(keys, given.blocks, heads, plain_widths(h), &["attention.layer_norm_rms_epsilon"]);
    keys.kv_heads(h.count("num_key_value_heads").unwrap_or(heads));
    key_and_value(keys, h.count("head_dim"), h.count("head_dim"));
    Ok(())
}

pub(super) fn gemma2(keys: &mut Keys, given: &mut Given<'_>) -> Result<(), Stop> {
    gemma(keys, given)?;
    for name in ["attn_logit_softcapping", "final_logit_softcapping"] {
        keys.model_float(name, given.hparams.some(&[name]).and_then(Value::as_f64));
    }
    keys.model_count("attention.sliding_window", given.hparams.count("sliding_window"));
    Ok(())
}

pub(super) fn gemma3(keys: &mut Keys, given: &mut Given<'_>) -> Result<(), Stop> {
    base(keys, given)?;
    let h = &*given.hparams;
    if h.some(&["attn_logit_softcapping"]).is_some() {
        return Err(Stop::new("attn_logit_softcapping is set, which the converter refuses"));
    }
    keys.heads(h.count("num_attention_heads").unwrap_or(8));
    keys.kv_heads(h.count("num_key_value_heads").unwrap_or(4));
    let head_dim = h.find(&["head_dim"]).map_or(Some(256), whole);
    key_and_value(keys, head_dim, head_dim);
    keys.model_count("context_length", h.find(&["max_position_embeddings"]).map_or(Some(131_072), whole));
    for name in ["attention.layer_norm_rms_epsilon", "rope.freq_base"] {
        keys.model_number(name);
    }
    if let Some(cap) = h.some(&["final_logit_softcapping"]).and_then(Value::as_f64).filter(|&cap| cap != 0.0) {
        keys.model_float("final_logit_softcapping", Some(cap));
    }
    if h.count("sliding_window_pattern") != Some(1) {
        keys.model_count("attention.sliding_window", h.count("sliding_window"));
    }
    Ok(())
}

pub(super) fn phi2(keys: &mut Keys, given: &mut Given<'_>) -> Result<(), Stop> {
    let h = &*given.hparams;
    let heads = h.need(HEADS.asked_by(Phi))?;
    let width = h.some(HIDDEN_SIZE.asked_by(Phi)).and_then(whole);
    let context = h.some(CONTEXT.asked_by(Phi)).and_then(whole);
    own(keys, given.blocks, heads, [context, width, width.and_then(|n| n.checked_mul(4))], &["attention.layer_norm_epsilon"]);
    keys.model_count("rope.dimension_count", phi_rope_dims(h).ok());
    keys.kv_heads(heads);
    keys.flag("tokenizer.ggml.add_bos_token");
    Ok(())
}

pub(super) fn phi3(keys: &mut Keys, given: &mut Given<'_>) -> Result<(), Stop> {
    let h = &*given.hparams;
    let heads = h.need(HEADS.asked_by(Phi))?;
    let width = h.some(HIDDEN_SIZE.asked_by(Phi)).and_then(whole);
    let context = h.some(CONTEXT.asked_by(Phi)).and_then(whole);
    let names = ["rope.scaling.original_context_length", "attention.layer_norm_rms_epsilon", "rope.freq_base"];
    own(keys, given.blocks, heads, [context, width, h.count("intermediate_size")], &names);
    keys.model_count("rope.dimension_count", phi_rope_dims(h).ok());
    // 0 where there is none: so Phi-4 is told apart.
    keys.model_count("attention.sliding_window", h.some(&["sliding_window"]).map_or(Some(0), whole));
    keys.kv_heads(h.need(KV_HEADS.asked_by(Phi))?);
    if h.rope.get("long_factor").and_then(Value::as_array).is_some_and(|f| !f.is_empty()) {
        keys.model_number("rope.scaling.attn_factor");
    }
    Ok(())
}

pub(super) fn gpt2(keys: &mut Keys, given: &mut Given<'_>) -> Result<(), Stop> {
    let h = &*given.hparams;
    // The class has no default for it.
    let context = h.need(&["n_ctx"])?;
    let width = h.count("n_embd");
    let widths = [Some(context), width, width.and_then(|n| n.checked_mul(4))];
    own(keys, given.blocks, h.need(&["n_head"])?, widths, &["attention.layer_norm_epsilon"]);
    Ok(())
}

pub(super) fn gpt_neox(keys: &mut Keys, given: &mut Given<'_>) -> Result<(), Stop> {
    let h = &*given.hparams;
    let heads = h.need(&["num_attention_heads"])?;
    own(keys, given.blocks, heads, plain_widths(h), &["attention.layer_norm_epsilon"]);
    let dim = h.count("hidden_size").and_then(|n| n.checked_div(heads));
    let share = h.some(&["rotary_pct"]).and_then(Value::as_f64);
    keys.model_count("rope.dimension_count", dim.zip(share).map(|(n, share)| share_of(n, share)));
    keys.model_flag("use_parallel_residual", h.find(&["use_parallel_residual"]).and_then(Value::as_bool).unwrap_or(true));
    // The one family without it.
    keys.remove("general.file_type");
    Ok(())
}

pub(super) fn falcon(keys: &mut Keys, given: &mut Given<'_>) -> Result<(), Stop> {
    let h = &*given.hparams;
    let width = h.count("hidden_size");
    // The context is not in config.json.
    let widths = [Some(2048), width, width.and_then(|n| n.checked_mul(4))];
    own(keys, given.blocks, h.need(HEADS.asked_by(Falcon))?, widths, &["attention.layer_norm_epsilon"]);
    keys.kv_heads(KV_HEADS.asked_by(Falcon).iter().find_map(|key| h.count(key)).unwrap_or(1));
    keys.model_text("tensor_data_layout", "jploski");
    Ok(())
}

pub(super) fn bert(keys: &mut Keys, given: &mut Given<'_>) -> Result<(), Stop> {
    base(keys, given)?;
    // RoBERTa takes its padding off and Nomic has a rule of its own; nothing is cached that would depend on it.
    if given.hparams.some(CONTEXT.asked_by(Shared)).is_some() {
        keys.model_count("context_length", None);
    }
    keys.model_flag("attention.causal", false);
    pooling(keys, given.folder)?;
    if given.hparams.some(&["classifier_pooling"]).is_some() {
        keys.model_number("classifier.pooling_type");
    }
    let labels = labels(given.hparams);
    keys.model_texts("classifier.output_labels", labels.iter().map(String::as_str));
    Ok(())
}

pub(super) fn t5_encoder(keys: &mut Keys, given: &mut Given<'_>) -> Result<(), Stop> {
    let names = ["attention.layer_norm_epsilon", "attention.relative_buckets_count", "attention.layer_norm_rms_epsilon"];
    let h = &*given.hparams;
    let context = h.some(&["n_positions"]).map_or(Some(512), whole);
    own(keys, given.blocks, h.need(&["num_heads"])?, [context, h.count("d_model"), h.count("d_ff")], &names);
    key_and_value(keys, h.count("d_kv"), h.count("d_kv"));
    Ok(())
}

pub(super) fn t5(keys: &mut Keys, given: &mut Given<'_>) -> Result<(), Stop> {
    t5_encoder(keys, given)?;
    if given.hparams.some(&["decoder_start_token_id"]).is_none() {
        return Err(Stop::lacks("decoder_start_token_id"));
    }
    if let Some(n) = given.hparams.some(&["num_decoder_layers"]) {
        keys.model_count("decoder_block_count", whole(n));
    }
    keys.model_number("decoder_start_token_id");
    Ok(())
}

pub(super) fn deepseek(keys: &mut Keys, given: &mut Given<'_>) -> Result<(), Stop> {
    base(keys, given)?;
    keys.model_text("rope.scaling.type", "none");
    let h = &*given.hparams;
    keys.model_count("rope.dimension_count", head_dim(h));
    keys.model_float("expert_weights_scale", Some(1.0));
    let counts = [
        ("leading_dense_block_count", "first_k_dense_replace"),
        ("vocab_size", "vocab_size"),
        ("expert_feed_forward_length", "moe_intermediate_size"),
        ("expert_shared_count", "n_shared_experts"),
    ];
    for (name, key) in counts {
        keys.model_count(name, h.count(key));
    }
    keys.experts(given.hparams.need(&["n_routed_experts"])?);
    Ok(())
}

pub(super) fn deepseek2(keys: &mut Keys, given: &mut Given<'_>) -> Result<(), Stop> {
    // Its attention is written with one key/value head.
    given.hparams.set("num_key_value_heads", 1.into());
    if given.hparams.find(&["rms_norm_eps"]).is_none() {
        given.hparams.set("rms_norm_eps", 1e-6.into());
    }
    base(keys, given)?;
    let h = &*given.hparams;
    let experts = h.some(&["n_routed_experts"]).and_then(whole);
    // Without experts every layer is dense.
    let all_dense = if experts.is_some() { Some(0) } else { h.count("num_hidden_layers") };
    let rank = h.find(&["kv_lora_rank"]).map_or(Some(512), whole);
    let sum = |a: Option<u64>, b: Option<u64>| a?.checked_add(b?);
    let (rope, nope) = (h.count("qk_rope_head_dim"), h.count("qk_nope_head_dim"));
    let counts = [
        ("leading_dense_block_count", h.some(&["first_k_dense_replace"]).map_or(all_dense, whole)),
        ("vocab_size", h.count("vocab_size")),
        ("attention.kv_lora_rank", rank),
        ("attention.key_length_mla", sum(nope, rope)),
        ("attention.value_length_mla", h.count("v_head_dim")),
        ("expert_feed_forward_length", h.some(&["moe_intermediate_size", "intermediate_size"]).and_then(whole)),
        ("expert_shared_count", h.find(&["n_shared_experts"]).map_or(Some(0), whole)),
        ("rope.dimension_count", rope),
    ];
    for (name, n) in counts {
        keys.model_count(name, n);
    }
    key_and_value(keys, sum(rank, rope), rank);
    if h.some(&["q_lora_rank"]).is_some() {
        keys.model_number("attention.q_lora_rank");
    }
    if let Some(n) = experts {
        keys.experts(n);
    }
    if let Some(scale) = h.some(&["routed_scaling_factor"]) {
        keys.model_float("expert_weights_scale", scale.as_f64());
    }
    if h.some(&["norm_topk_prob"]).and_then(Value::as_bool) == Some(true) {
        keys.model_flag("expert_weights_norm", true);
    }
    if h.rope.get("mscale_all_dim").is_some_and(|v| !v.is_null()) {
        keys.model_number("rope.scaling.yarn_log_multiplier");
    }
    Ok(())
}

pub(super) fn gpt_oss(keys: &mut Keys, given: &mut Given<'_>) -> Result<(), Stop> {
    base(keys, given)?;
    keys.model_count("attention.sliding_window", given.hparams.count("sliding_window"));
    keys.model_count("expert_feed_forward_length", given.hparams.count("intermediate_size"));
    Ok(())
}

pub(super) fn olmo(keys: &mut Keys, given: &mut Given<'_>) -> Result<(), Stop> {
    base(keys, given)?;
    keys.model_number("attention.layer_norm_epsilon");
    if let Some(clamp) = given.hparams.some(&["clip_qkv"]) {
        keys.model_float("attention.clamp_kqv", clamp.as_f64());
    }
    Ok(())
}

pub(super) fn olmo2(keys: &mut Keys, given: &mut Given<'_>) -> Result<(), Stop> {
    base(keys, given)?;
    match given.hparams.find(&["sliding_window"]) {
        None => {}
        Some(Value::Null) => return Err(Stop::new("sliding_window is null: the converter stops")),
        Some(window) => {
            keys.model_count("attention.sliding_window", whole(window));
            sliding_pattern(keys, given);
        }
    }
    Ok(())
}

pub(super) fn olmoe(keys: &mut Keys, given: &mut Given<'_>) -> Result<(), Stop> {
    base(keys, given)?;
    keys.model_number("attention.layer_norm_rms_epsilon");
    Ok(())
}

pub(super) fn stablelm(keys: &mut Keys, given: &mut Given<'_>) -> Result<(), Stop> {
    let h = &*given.hparams;
    let Some(share) = h.rope.get("partial_rotary_factor").and_then(Value::as_f64) else {
        return Err(Stop::lacks("partial_rotary_factor"));
    };
    let heads = h.need(&["num_attention_heads"])?;
    own(keys, given.blocks, heads, plain_widths(h), &["attention.layer_norm_epsilon"]);
    let dim = h.count("hidden_size").and_then(|n| n.checked_div(heads));
    keys.model_count("rope.dimension_count", dim.map(|n| share_of(n, share)));
    keys.kv_heads(h.need(&["num_key_value_heads"])?);
    keys.model_flag("use_parallel_residual", h.find(&["use_parallel_residual"]).and_then(Value::as_bool).unwrap_or(true));
    Ok(())
}

pub(super) fn bloom(keys: &mut Keys, given: &mut Given<'_>) -> Result<(), Stop> {
    let heads = given.hparams.need(HEADS.asked_by(Bloom))?;
    let width = given.hparams.find(HIDDEN_SIZE.asked_by(Bloom)).and_then(whole);
    let context = given.hparams.find(&["seq_length"]).map_or(width, whole);
    own(keys, given.blocks, heads, [context, width, four_times(width)], &["attention.layer_norm_epsilon"]);
    keys.kv_heads(heads);
    Ok(())
}

pub(super) fn starcoder(keys: &mut Keys, given: &mut Given<'_>) -> Result<(), Stop> {
    let h = &*given.hparams;
    let widths = [h.count("n_positions"), h.count("n_embd"), four_times(h.count("n_embd"))];
    own(keys, given.blocks, h.need(&["n_head"])?, widths, &["attention.layer_norm_epsilon"]);
    keys.kv_heads(1);
    Ok(())
}

pub(super) fn granite(keys: &mut Keys, given: &mut Given<'_>) -> Result<(), Stop> {
    given.hparams.set("head_dim", Value::Null);
    llama(keys, given)?;
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

pub(super) fn granite_moe(keys: &mut Keys, given: &mut Given<'_>) -> Result<(), Stop> {
    granite(keys, given)?;
    if is_set(given.hparams, "shared_intermediate_size") {
        keys.model_number("expert_shared_feed_forward_length");
    }
    Ok(())
}

pub(super) fn cohere(keys: &mut Keys, given: &mut Given<'_>) -> Result<(), Stop> {
    if let Some(longest) = given.hparams.some(&["model_max_length"]).cloned() {
        given.hparams.set("max_position_embeddings", longest);
    }
    base(keys, given)?;
    keys.model_float("logit_scale", given.hparams.some(&["logit_scale"]).and_then(Value::as_f64));
    keys.model_text("rope.scaling.type", "none");
    Ok(())
}

pub(super) fn cohere2(keys: &mut Keys, given: &mut Given<'_>) -> Result<(), Stop> {
    cohere(keys, given)?;
    let h = &*given.hparams;
    let Some(share) = h.some(&["rotary_pct"]) else {
        return Err(Stop::lacks("rotary_pct"));
    };
    let dim = h.count("hidden_size").zip(h.count("num_attention_heads")).and_then(|(n, heads)| n.checked_div(heads));
    keys.model_count("attention.sliding_window", h.count("sliding_window"));
    keys.model_count("vocab_size", h.count("vocab_size"));
    keys.model_count("rope.dimension_count", dim.zip(share.as_f64()).map(|(n, share)| share_of(n, share)));
    Ok(())
}

pub(super) fn glm4(keys: &mut Keys, given: &mut Given<'_>) -> Result<(), Stop> {
    base(keys, given)?;
    let share = given.hparams.rope.get("partial_rotary_factor").map_or(Some(0.5), Value::as_f64);
    let dim = head_dim(given.hparams);
    keys.model_count("rope.dimension_count", dim.zip(share).map(|(n, share)| share_of(n, share)));
    Ok(())
}

pub(super) fn glm4_moe(keys: &mut Keys, given: &mut Given<'_>) -> Result<(), Stop> {
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

pub(super) fn dots1(keys: &mut Keys, given: &mut Given<'_>) -> Result<(), Stop> {
    qwen_moe(keys, given)?;
    keys.experts(given.hparams.need(&["n_routed_experts"])?);
    let h = &*given.hparams;
    keys.model_count("leading_dense_block_count", Some(h.need(&["first_k_dense_replace"])?));
    keys.model_count("expert_shared_count", Some(h.need(&["n_shared_experts"])?));
    keys.model_float("expert_weights_scale", h.some(&["routed_scaling_factor"]).and_then(Value::as_f64));
    keys.model_flag("expert_weights_norm", h.some(&["norm_topk_prob"]).and_then(Value::as_bool) == Some(true));
    Ok(())
}

pub(super) fn arcee(keys: &mut Keys, given: &mut Given<'_>) -> Result<(), Stop> {
    llama(keys, given)?;
    pooling(keys, given.folder)
}

pub(super) fn mistral3(keys: &mut Keys, given: &mut Given<'_>) -> Result<(), Stop> {
    llama(keys, given)?;
    if given.hparams.model_type().is_some_and(|model_type| given.family.scaled_temperature.contains(&model_type)) {
        let rope = &given.hparams.rope;
        let has = |key: &str| rope.get(key).is_some_and(|v| !v.is_null());
        let yarn = rope.get("rope_type").and_then(Value::as_str) == Some("yarn");
        if !yarn || !has("mscale_all_dim") || !has("llama_4_scaling_beta") {
            return Err(Stop::new("rope_parameters are not those of Ministral 3: the converter stops"));
        }
        numbers(keys, &["rope.scaling.yarn_log_multiplier", "attention.temperature_scale"]);
    }
    Ok(())
}

pub(super) fn phi_moe(keys: &mut Keys, given: &mut Given<'_>) -> Result<(), Stop> {
    phi3(keys, given)?;
    keys.model_count("expert_used_count", Some(given.hparams.need(EXPERTS_USED.asked_by(Stacked))?));
    keys.experts(given.hparams.need(EXPERTS.asked_by(Stacked))?);
    Ok(())
}

pub(super) fn exaone4(keys: &mut Keys, given: &mut Given<'_>) -> Result<(), Stop> {
    base(keys, given)?;
    keys.model_count("vocab_size", given.hparams.count("vocab_size"));
    if let Some(window) = given.hparams.some(&["sliding_window"]) {
        keys.model_count("attention.sliding_window", whole(window));
        sliding_pattern(keys, given);
    }
    Ok(())
}

pub(super) fn nemotron(keys: &mut Keys, given: &mut Given<'_>) -> Result<(), Stop> {
    base(keys, given)?;
    let h = &*given.hparams;
    keys.model_count("vocab_size", h.count("vocab_size"));
    keys.model_number("attention.layer_norm_epsilon");
    keys.model_count("rope.dimension_count", phi_rope_dims(h).ok());
    let factor = is_set(h, "factor") || h.rope.get("factor").is_some_and(|v| !v.is_null());
    keys.model_text("rope.scaling.type", if factor { "linear" } else { "none" });
    if factor {
        keys.model_number("rope.scaling.factor");
    }
    Ok(())
}

pub(super) fn qwen3_vl(keys: &mut Keys, given: &mut Given<'_>) -> Result<(), Stop> {
    qwen(keys, given)?;
    keys.model_number("n_deepstack_layers");
    Ok(())
}

pub(super) fn qwen3_vl_moe(keys: &mut Keys, given: &mut Given<'_>) -> Result<(), Stop> {
    qwen_moe(keys, given)?;
    keys.model_number("n_deepstack_layers");
    Ok(())
}

pub(super) fn gemma_embedding(keys: &mut Keys, given: &mut Given<'_>) -> Result<(), Stop> {
    gemma3(keys, given)?;
    // The class's own value is not taken.
    if given.folder.config.get("sliding_window").is_none_or(Value::is_null) {
        return Err(Stop::lacks("sliding_window"));
    }
    keys.model_count("attention.sliding_window", given.folder.config.get("sliding_window").and_then(whole));
    pooling(keys, given.folder)
}

pub(super) fn distil_bert(keys: &mut Keys, given: &mut Given<'_>) -> Result<(), Stop> {
    bert(keys, given)?;
    keys.model_number("attention.layer_norm_epsilon");
    Ok(())
}

pub(super) fn modern_bert(keys: &mut Keys, given: &mut Given<'_>) -> Result<(), Stop> {
    bert(keys, given)?;
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

pub(super) fn mamba(keys: &mut Keys, given: &mut Given<'_>) -> Result<(), Stop> {
    let h = &*given.hparams;
    let width = h.need(HIDDEN_SIZE.asked_by(Mamba))?;
    let inner = h.find(SSM_INNER.asked_by(Mamba)).and_then(whole).filter(|&n| n > 0).unwrap_or(2 * width);
    if inner != 2 * width {
        return Err(Stop::new("the inner width is not twice the model's, which the converter refuses"));
    }
    // Any value serves those who take the default.
    own(keys, given.blocks, 0, [Some(1 << 20), Some(width), Some(0)], &["attention.layer_norm_rms_epsilon"]);
    let sizes = [
        ("ssm.conv_kernel", number_or(h, CONV_KERNEL.asked_by(Mamba), 4)),
        ("ssm.inner_size", inner),
        ("ssm.state_size", number_or(h, STATE_SIZE.asked_by(Mamba), 16)),
        ("ssm.time_step_rank", number_or(h, TIME_STEP_RANK.asked_by(Mamba), width.div_ceil(16))),
    ];
    for (name, n) in sizes {
        keys.model_count(name, Some(n));
    }
    keys.model_flag(
        "ssm.dt_b_c_rms",
        h.model_type().is_some_and(|model_type| given.family.normalized_states.contains(&model_type)),
    );
    Ok(())
}

pub(super) fn mamba2(keys: &mut Keys, given: &mut Given<'_>) -> Result<(), Stop> {
    let h = &*given.hparams;
    let inner = mamba2_inner(h)?;
    let width = h.some(HIDDEN_SIZE.asked_by(Mamba2)).and_then(whole);
    own(keys, given.blocks, 0, [Some(1 << 20), width, Some(0)], &["attention.layer_norm_rms_epsilon"]);
    let sizes = [
        ("ssm.conv_kernel", number_or(h, CONV_KERNEL.asked_by(Mamba), 4)),
        ("ssm.inner_size", inner),
        ("ssm.state_size", number_or(h, STATE_SIZE.asked_by(Mamba2), 128)),
        ("ssm.time_step_rank", inner / number_or(h, SSM_HEAD_DIM.asked_by(Mamba2), 64)),
        ("ssm.group_count", number_or(h, &["n_groups"], 1)),
    ];
    for (name, n) in sizes {
        keys.model_count(name, Some(n));
    }
    Ok(())
}
