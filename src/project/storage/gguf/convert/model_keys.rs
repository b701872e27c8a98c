//! The model's own keys, by family. Source: `set_gguf_parameters` of each class, and `TextModel`'s for the common ones.

use serde_json::{Map, Value};

use super::hparams::{Hparams, whole};
use super::keys::Keys;
use crate::checkpoint::HfFolder;
use crate::checkpoint::tokenizer::Pooling;

/// What a family's keys are made of.
pub(super) struct Given<'g> {
    pub(super) hparams: &'g mut Hparams,
    pub(super) folder: &'g HfFolder,
    pub(super) blocks: u64,
}

pub(super) type Done = Result<(), String>;

/// Keys that most families have, each when the settings have it.
pub(super) fn base(keys: &mut Keys, given: &mut Given<'_>) -> Done {
    let h = &*given.hparams;
    keys.blocks(given.blocks);
    let positions = ["max_position_embeddings", "n_ctx", "n_positions", "max_length", "max_sequence_length", "model_max_length"];
    if h.some(&positions).is_some() {
        keys.model_number("context_length");
    }
    if h.some(&["hidden_size", "n_embd", "dim"]).is_some() {
        keys.model_number("embedding_length");
    }
    let ff = ["prefix_dense_intermediate_size", "dense_intermediate_size", "intermediate_size", "n_inner", "hidden_dim"];
    if h.some(&ff).is_some() {
        keys.model_number("feed_forward_length");
    }
    if let Some(n) = h.some(&["num_attention_heads", "n_head", "n_heads"]).and_then(whole) {
        keys.heads(n);
    }
    if let Some(n) = h.some(&["num_key_value_heads", "n_kv_heads"]).and_then(whole) {
        keys.kv_heads(n);
    }
    if h.some(&["is_causal"]).and_then(Value::as_bool) == Some(false) {
        keys.model_flag("attention.causal");
    }
    rope(keys, h)?;
    if h.some(&["rms_norm_eps", "norm_eps"]).is_some() {
        keys.model_number("attention.layer_norm_rms_epsilon");
    }
    if h.some(&["layer_norm_eps", "layer_norm_epsilon", "norm_epsilon"]).is_some() {
        keys.model_number("attention.layer_norm_epsilon");
    }
    if let Some(n) = h.some(&["num_local_experts", "num_experts", "n_routed_experts"]).and_then(whole) {
        keys.experts(n);
    }
    if h.some(&["num_experts_per_tok", "num_experts_per_token", "top_k_experts"]).is_some() {
        keys.model_number("expert_used_count");
    }
    if h.some(&["n_group"]).is_some() {
        keys.model_number("expert_group_count");
    }
    if h.some(&["topk_group"]).is_some() {
        keys.model_number("expert_group_used_count");
    }
    let score = [
        "score_function",
        "scoring_func",
        "score_func",
        "moe_router_activation",
        "moe_router_activation_func",
        "expert_selection_fn",
    ];
    if let Some(function) = h.some(&score) {
        match function.as_str() {
            Some("sigmoid" | "softmax" | "sqrtsoftplus") => keys.model_number("expert_gating_func"),
            _ => return Err("an expert gating function that the converter does not know".to_owned()),
        }
    }
    if h.some(&["head_dim"]).is_some() {
        key_and_value(keys);
    }
    keys.number("general.file_type");
    Ok(())
}

fn key_and_value(keys: &mut Keys) {
    keys.model_number("attention.key_length");
    keys.model_number("attention.value_length");
}

fn inner<'r>(rope: &'r Map<String, Value>, key: &str) -> Option<&'r Map<String, Value>> {
    rope.get(key).and_then(Value::as_object)
}

fn rope(keys: &mut Keys, h: &Hparams) -> Done {
    let global = inner(&h.rope, "full_attention").unwrap_or(&h.rope);
    let has = |key: &str| global.get(key).is_some_and(|v| !v.is_null());
    match global.get("rope_type").and_then(Value::as_str) {
        Some("linear") if has("factor") => {
            keys.model_text("rope.scaling.type", "linear");
            keys.model_number("rope.scaling.factor");
        }
        Some("yarn") if has("factor") => {
            if !global.contains_key("original_max_position_embeddings") {
                return Err("rope_scaling has no original_max_position_embeddings: the converter stops".to_owned());
            }
            keys.model_text("rope.scaling.type", "yarn");
            keys.model_number("rope.scaling.factor");
            keys.model_number("rope.scaling.original_context_length");
            if has("extrapolation_factor") {
                keys.model_number("rope.scaling.yarn_ext_factor");
            }
            if has("attention_factor") || (!global.contains_key("attention_factor") && has("attn_factor")) {
                keys.model_number("rope.scaling.yarn_attn_factor");
            }
            if has("beta_fast") {
                keys.model_number("rope.scaling.yarn_beta_fast");
            }
            if has("beta_slow") {
                keys.model_number("rope.scaling.yarn_beta_slow");
            }
        }
        Some("su" | "longrope") => keys.model_text("rope.scaling.type", "longrope"),
        _ => {}
    }
    if h.rope.get("mrope_section").is_some_and(Value::is_array) {
        keys.model_array4("rope.dimension_sections", 4);
    }
    if has("rope_theta") {
        keys.model_number("rope.freq_base");
    }
    if inner(&h.rope, "sliding_attention").and_then(|r| r.get("rope_theta")).is_some_and(|v| !v.is_null()) {
        keys.model_number("rope.freq_base_swa");
    }
    Ok(())
}

pub(super) fn pooling(keys: &mut Keys, folder: &HfFolder) -> Done {
    match folder.pooling {
        Some(Pooling::Other) => Err("only mean, cls and last-token pooling are converted".to_owned()),
        Some(_) => {
            keys.model_number("pooling_type");
            Ok(())
        }
        None => Ok(()),
    }
}

pub(super) fn llama(keys: &mut Keys, given: &mut Given<'_>) -> Done {
    base(keys, given)?;
    given.hparams.need(&["vocab_size"])?;
    keys.model_number("vocab_size");
    keys.model_number("rope.dimension_count");
    Ok(())
}

pub(super) fn qwen(keys: &mut Keys, given: &mut Given<'_>) -> Done {
    base(keys, given)?;
    pooling(keys, given.folder)
}

pub(super) fn qwen_moe(keys: &mut Keys, given: &mut Given<'_>) -> Done {
    base(keys, given)?;
    if given.hparams.some(&["moe_intermediate_size"]).is_some() {
        keys.model_number("expert_feed_forward_length");
    }
    if given.hparams.some(&["shared_expert_intermediate_size"]).is_some() {
        keys.model_number("expert_shared_feed_forward_length");
    }
    Ok(())
}

/// Keys of a model with its own short list.
pub(super) fn own(keys: &mut Keys, blocks: u64, heads: u64, numbers: &[&str]) {
    keys.blocks(blocks);
    keys.heads(heads);
    for name in numbers {
        keys.model_number(name);
    }
    keys.number("general.file_type");
}

pub(super) fn gemma(keys: &mut Keys, given: &mut Given<'_>) -> Done {
    let heads = given.hparams.need(&["num_attention_heads"])?;
    let names = ["context_length", "embedding_length", "feed_forward_length", "attention.layer_norm_rms_epsilon"];
    own(keys, given.blocks, heads, &names);
    keys.kv_heads(given.hparams.count("num_key_value_heads").unwrap_or(heads));
    key_and_value(keys);
    Ok(())
}

pub(super) fn gemma2(keys: &mut Keys, given: &mut Given<'_>) -> Done {
    gemma(keys, given)?;
    for name in ["attn_logit_softcapping", "final_logit_softcapping", "attention.sliding_window"] {
        keys.model_number(name);
    }
    Ok(())
}

pub(super) fn gemma3(keys: &mut Keys, given: &mut Given<'_>) -> Done {
    base(keys, given)?;
    let h = &*given.hparams;
    if h.some(&["attn_logit_softcapping"]).is_some() {
        return Err("attn_logit_softcapping is set, which the converter refuses".to_owned());
    }
    keys.heads(h.count("num_attention_heads").unwrap_or(8));
    keys.kv_heads(h.count("num_key_value_heads").unwrap_or(4));
    key_and_value(keys);
    for name in ["context_length", "attention.layer_norm_rms_epsilon", "rope.freq_base"] {
        keys.model_number(name);
    }
    if h.some(&["final_logit_softcapping"]).and_then(Value::as_f64).is_some_and(|v| v != 0.0) {
        keys.model_number("final_logit_softcapping");
    }
    if h.count("sliding_window_pattern") != Some(1) {
        keys.model_number("attention.sliding_window");
    }
    Ok(())
}

pub(super) fn phi2(keys: &mut Keys, given: &mut Given<'_>) -> Done {
    let heads = given.hparams.need(&["num_attention_heads", "n_head"])?;
    let names =
        ["context_length", "embedding_length", "feed_forward_length", "attention.layer_norm_epsilon", "rope.dimension_count"];
    own(keys, given.blocks, heads, &names);
    keys.kv_heads(heads);
    keys.flag("tokenizer.ggml.add_bos_token");
    Ok(())
}

/// Rope dimensions of phi: a share of each head.
pub(super) fn phi_rope_dims(h: &Hparams) -> Result<u64, String> {
    let (hidden, heads) = (h.need(&["hidden_size", "n_embd"])?, h.need(&["num_attention_heads", "n_head"])?);
    let share = h.rope.get("partial_rotary_factor").and_then(Value::as_f64).unwrap_or(1.0);
    ((share * hidden as f64) as u64).checked_div(heads).ok_or_else(|| "num_attention_heads is 0".to_owned())
}

pub(super) fn phi3(keys: &mut Keys, given: &mut Given<'_>) -> Done {
    let h = &*given.hparams;
    let heads = h.need(&["num_attention_heads", "n_head"])?;
    let names = [
        "context_length",
        "rope.scaling.original_context_length",
        "embedding_length",
        "feed_forward_length",
        "attention.layer_norm_rms_epsilon",
        "rope.dimension_count",
        "rope.freq_base",
        "attention.sliding_window",
    ];
    own(keys, given.blocks, heads, &names);
    keys.kv_heads(h.need(&["num_key_value_heads", "n_head_kv"])?);
    if h.rope.get("long_factor").and_then(Value::as_array).is_some_and(|f| !f.is_empty()) {
        keys.model_number("rope.scaling.attn_factor");
    }
    Ok(())
}

pub(super) fn gpt2(keys: &mut Keys, given: &mut Given<'_>) -> Done {
    let h = &*given.hparams;
    // The class has no default for it.
    h.need(&["n_ctx"])?;
    let names = ["context_length", "embedding_length", "feed_forward_length", "attention.layer_norm_epsilon"];
    own(keys, given.blocks, h.need(&["n_head"])?, &names);
    Ok(())
}

pub(super) fn gpt_neox(keys: &mut Keys, given: &mut Given<'_>) -> Done {
    let heads = given.hparams.need(&["num_attention_heads"])?;
    let names =
        ["context_length", "embedding_length", "feed_forward_length", "rope.dimension_count", "attention.layer_norm_epsilon"];
    own(keys, given.blocks, heads, &names);
    keys.model_flag("use_parallel_residual");
    // The one family without it.
    keys.remove("general.file_type");
    Ok(())
}

pub(super) fn falcon(keys: &mut Keys, given: &mut Given<'_>) -> Done {
    let h = &*given.hparams;
    let names = ["context_length", "embedding_length", "feed_forward_length", "attention.layer_norm_epsilon"];
    own(keys, given.blocks, h.need(&["num_attention_heads", "n_head"])?, &names);
    keys.kv_heads(h.some(&["num_kv_heads"]).and_then(whole).or(h.count("n_head_kv")).unwrap_or(1));
    keys.model_text("tensor_data_layout", "jploski");
    Ok(())
}

/// Labels of a classifier, two dummies left out.
pub(super) fn labels(h: &Hparams) -> Vec<String> {
    if let Some(map) = h.some(&["id2label"]).and_then(Value::as_object) {
        let names: Vec<String> = map.values().filter_map(|v| v.as_str().map(str::to_owned)).collect();
        let dummies = names.len() == 2 && map.get("0").and_then(Value::as_str) == Some("LABEL_0");
        return if dummies { Vec::new() } else { names };
    }
    match h.count("num_labels") {
        Some(n) if n != 2 && n < 1 << 20 => (0..n).map(|i| format!("LABEL_{i}")).collect(),
        _ => Vec::new(),
    }
}

pub(super) fn bert(keys: &mut Keys, given: &mut Given<'_>) -> Done {
    base(keys, given)?;
    keys.model_flag("attention.causal");
    pooling(keys, given.folder)?;
    if given.hparams.some(&["classifier_pooling"]).is_some() {
        keys.model_number("classifier.pooling_type");
    }
    let labels = labels(given.hparams);
    keys.model_texts("classifier.output_labels", labels.iter().map(String::as_str));
    Ok(())
}

pub(super) fn mamba(keys: &mut Keys, given: &mut Given<'_>) -> Done {
    let h = &*given.hparams;
    let width = h.need(&["hidden_size", "d_model"])?;
    let inner = h.find(&["intermediate_size", "d_inner"]).and_then(whole).filter(|&n| n > 0).unwrap_or(2 * width);
    if inner != 2 * width {
        return Err("the inner width is not twice the model's, which the converter refuses".to_owned());
    }
    let names = [
        "context_length",
        "embedding_length",
        "feed_forward_length",
        "ssm.conv_kernel",
        "ssm.inner_size",
        "ssm.state_size",
        "ssm.time_step_rank",
        "attention.layer_norm_rms_epsilon",
    ];
    own(keys, given.blocks, 0, &names);
    keys.model_flag("ssm.dt_b_c_rms");
    Ok(())
}

pub(super) fn t5_encoder(keys: &mut Keys, given: &mut Given<'_>) -> Done {
    let names = [
        "context_length",
        "embedding_length",
        "feed_forward_length",
        "attention.layer_norm_epsilon",
        "attention.relative_buckets_count",
        "attention.layer_norm_rms_epsilon",
    ];
    own(keys, given.blocks, given.hparams.need(&["num_heads"])?, &names);
    key_and_value(keys);
    Ok(())
}

pub(super) fn t5(keys: &mut Keys, given: &mut Given<'_>) -> Done {
    t5_encoder(keys, given)?;
    if given.hparams.some(&["decoder_start_token_id"]).is_none() {
        return Err("config.json has no `decoder_start_token_id`: the converter stops".to_owned());
    }
    if given.hparams.some(&["num_decoder_layers"]).is_some() {
        keys.model_number("decoder_block_count");
    }
    keys.model_number("decoder_start_token_id");
    Ok(())
}

pub(super) fn deepseek(keys: &mut Keys, given: &mut Given<'_>) -> Done {
    base(keys, given)?;
    keys.model_text("rope.scaling.type", "none");
    let names = [
        "rope.dimension_count",
        "leading_dense_block_count",
        "vocab_size",
        "expert_feed_forward_length",
        "expert_weights_scale",
        "expert_shared_count",
    ];
    for name in names {
        keys.model_number(name);
    }
    keys.experts(given.hparams.need(&["n_routed_experts"])?);
    Ok(())
}

pub(super) fn deepseek2(keys: &mut Keys, given: &mut Given<'_>) -> Done {
    // Its attention is written with one key/value head.
    given.hparams.set("num_key_value_heads", 1.into());
    if given.hparams.find(&["rms_norm_eps"]).is_none() {
        given.hparams.set("rms_norm_eps", 1e-6.into());
    }
    base(keys, given)?;
    let h = &*given.hparams;
    let names = [
        "leading_dense_block_count",
        "vocab_size",
        "attention.kv_lora_rank",
        "attention.key_length_mla",
        "attention.value_length_mla",
        "expert_feed_forward_length",
        "expert_shared_count",
        "rope.dimension_count",
    ];
    for name in names {
        keys.model_number(name);
    }
    key_and_value(keys);
    if h.some(&["q_lora_rank"]).is_some() {
        keys.model_number("attention.q_lora_rank");
    }
    if let Some(n) = h.some(&["n_routed_experts"]).and_then(whole) {
        keys.experts(n);
    }
    if h.some(&["routed_scaling_factor"]).is_some() {
        keys.model_number("expert_weights_scale");
    }
    if h.some(&["norm_topk_prob"]).and_then(Value::as_bool) == Some(true) {
        keys.model_flag("expert_weights_norm");
    }
    if h.rope.get("mscale_all_dim").is_some_and(|v| !v.is_null()) {
        keys.model_number("rope.scaling.yarn_log_multiplier");
    }
    Ok(())
}

pub(super) fn gpt_oss(keys: &mut Keys, given: &mut Given<'_>) -> Done {
    base(keys, given)?;
    keys.model_number("attention.sliding_window");
    keys.model_number("expert_feed_forward_length");
    Ok(())
}
