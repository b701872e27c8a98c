//! The model's own keys, by family. Source: `set_gguf_parameters` of each class, and `TextModel`'s for the common ones.

use serde_json::{Map, Value};

use super::hparams::{Hparams, whole};
use super::keys::Keys;
use crate::checkpoint::HfFolder;
use crate::checkpoint::sidecar::Pooling;

/// What a family's keys are made of.
pub(super) struct Given<'g> {
    pub(super) hparams: &'g mut Hparams,
    pub(super) folder: &'g HfFolder,
    pub(super) blocks: u64,
}

pub(super) type Done = Result<(), String>;

/// Names of the context.
const POSITIONS: &[&str] =
    &["max_position_embeddings", "n_ctx", "n_positions", "max_length", "max_sequence_length", "model_max_length"];

/// Keys that most families have, each when the settings have it.
pub(super) fn base(keys: &mut Keys, given: &mut Given<'_>) -> Done {
    let h = &*given.hparams;
    keys.blocks(given.blocks);
    if let Some(n) = h.some(POSITIONS) {
        keys.model_count("context_length", whole(n));
    }
    if let Some(n) = h.some(&["hidden_size", "n_embd", "dim"]) {
        keys.model_count("embedding_length", whole(n));
    }
    let ff = ["prefix_dense_intermediate_size", "dense_intermediate_size", "intermediate_size", "n_inner", "hidden_dim"];
    if let Some(n) = h.some(&ff) {
        keys.model_count("feed_forward_length", whole(n));
    }
    if let Some(n) = h.some(&["num_attention_heads", "n_head", "n_heads"]).and_then(whole) {
        keys.heads(n);
    }
    if let Some(n) = h.some(&["num_key_value_heads", "n_kv_heads"]).and_then(whole) {
        keys.kv_heads(n);
    }
    if h.some(&["is_causal"]).and_then(Value::as_bool) == Some(false) {
        keys.model_flag("attention.causal", false);
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
    if let Some(n) = h.some(&["num_experts_per_tok", "num_experts_per_token", "top_k_experts"]) {
        keys.model_count("expert_used_count", whole(n));
    }
    if let Some(n) = h.some(&["n_group"]) {
        keys.model_count("expert_group_count", whole(n));
    }
    if let Some(n) = h.some(&["topk_group"]) {
        keys.model_count("expert_group_used_count", whole(n));
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
    if let Some(n) = h.some(&["head_dim"]) {
        key_and_value(keys, whole(n), whole(n));
    }
    keys.number("general.file_type");
    Ok(())
}

fn key_and_value(keys: &mut Keys, key: Option<u64>, value: Option<u64>) {
    keys.model_count("attention.key_length", key);
    keys.model_count("attention.value_length", value);
}

/// `head_dim`, or the hidden size over the heads.
pub(super) fn head_dim(h: &Hparams) -> Option<u64> {
    match h.some(&["head_dim"]) {
        Some(n) => whole(n),
        None => h.count("hidden_size")?.checked_div(h.count("num_attention_heads")?),
    }
}

/// A share of a width, as Python's `int` cuts it.
pub(super) fn share_of(n: u64, share: f64) -> u64 {
    (share * n as f64) as u64
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
    keys.model_count("vocab_size", Some(given.hparams.need(&["vocab_size"])?));
    keys.model_count("rope.dimension_count", head_dim(given.hparams));
    Ok(())
}

pub(super) fn qwen(keys: &mut Keys, given: &mut Given<'_>) -> Done {
    base(keys, given)?;
    pooling(keys, given.folder)
}

pub(super) fn qwen_moe(keys: &mut Keys, given: &mut Given<'_>) -> Done {
    base(keys, given)?;
    if let Some(n) = given.hparams.some(&["moe_intermediate_size"]) {
        keys.model_count("expert_feed_forward_length", whole(n));
    }
    if given.hparams.some(&["shared_expert_intermediate_size"]).is_some() {
        keys.model_number("expert_shared_feed_forward_length");
    }
    Ok(())
}

/// Context, width of the model, width of its feed-forward layers; `None` for what is not known.
pub(super) type Widths = [Option<u64>; 3];

/// Keys of a model with its own short list.
pub(super) fn own(keys: &mut Keys, blocks: u64, heads: u64, widths: Widths, numbers: &[&str]) {
    keys.blocks(blocks);
    keys.heads(heads);
    for (name, n) in ["context_length", "embedding_length", "feed_forward_length"].into_iter().zip(widths) {
        keys.model_count(name, n);
    }
    for name in numbers {
        keys.model_number(name);
    }
    keys.number("general.file_type");
}

/// Widths under their usual keys.
pub(super) fn plain_widths(h: &Hparams) -> Widths {
    ["max_position_embeddings", "hidden_size", "intermediate_size"].map(|key| h.count(key))
}

pub(super) fn gemma(keys: &mut Keys, given: &mut Given<'_>) -> Done {
    let h = &*given.hparams;
    let heads = h.need(&["num_attention_heads"])?;
    own(keys, given.blocks, heads, plain_widths(h), &["attention.layer_norm_rms_epsilon"]);
    keys.kv_heads(h.count("num_key_value_heads").unwrap_or(heads));
    key_and_value(keys, h.count("head_dim"), h.count("head_dim"));
    Ok(())
}

pub(super) fn gemma2(keys: &mut Keys, given: &mut Given<'_>) -> Done {
    gemma(keys, given)?;
    for name in ["attn_logit_softcapping", "final_logit_softcapping"] {
        keys.model_float(name, given.hparams.some(&[name]).and_then(Value::as_f64));
    }
    keys.model_count("attention.sliding_window", given.hparams.count("sliding_window"));
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

pub(super) fn phi2(keys: &mut Keys, given: &mut Given<'_>) -> Done {
    let h = &*given.hparams;
    let heads = h.need(&["num_attention_heads", "n_head"])?;
    let width = h.some(&["hidden_size", "n_embd"]).and_then(whole);
    let context = h.some(&["n_positions", "max_position_embeddings"]).and_then(whole);
    own(keys, given.blocks, heads, [context, width, width.and_then(|n| n.checked_mul(4))], &["attention.layer_norm_epsilon"]);
    keys.model_count("rope.dimension_count", phi_rope_dims(h).ok());
    keys.kv_heads(heads);
    keys.flag("tokenizer.ggml.add_bos_token");
    Ok(())
}

/// Rope dimensions of phi: a share of each head.
pub(super) fn phi_rope_dims(h: &Hparams) -> Result<u64, String> {
    let (hidden, heads) = (h.need(&["hidden_size", "n_embd"])?, h.need(&["num_attention_heads", "n_head"])?);
    let share = h.rope.get("partial_rotary_factor").and_then(Value::as_f64).unwrap_or(1.0);
    share_of(hidden, share).checked_div(heads).ok_or_else(|| "num_attention_heads is 0".to_owned())
}

pub(super) fn phi3(keys: &mut Keys, given: &mut Given<'_>) -> Done {
    let h = &*given.hparams;
    let heads = h.need(&["num_attention_heads", "n_head"])?;
    let width = h.some(&["hidden_size", "n_embd"]).and_then(whole);
    let context = h.some(&["n_positions", "max_position_embeddings"]).and_then(whole);
    let names = ["rope.scaling.original_context_length", "attention.layer_norm_rms_epsilon", "rope.freq_base"];
    own(keys, given.blocks, heads, [context, width, h.count("intermediate_size")], &names);
    keys.model_count("rope.dimension_count", phi_rope_dims(h).ok());
    // 0 where there is none: so Phi-4 is told apart.
    keys.model_count("attention.sliding_window", h.some(&["sliding_window"]).map_or(Some(0), whole));
    keys.kv_heads(h.need(&["num_key_value_heads", "n_head_kv"])?);
    if h.rope.get("long_factor").and_then(Value::as_array).is_some_and(|f| !f.is_empty()) {
        keys.model_number("rope.scaling.attn_factor");
    }
    Ok(())
}

pub(super) fn gpt2(keys: &mut Keys, given: &mut Given<'_>) -> Done {
    let h = &*given.hparams;
    // The class has no default for it.
    let context = h.need(&["n_ctx"])?;
    let width = h.count("n_embd");
    let widths = [Some(context), width, width.and_then(|n| n.checked_mul(4))];
    own(keys, given.blocks, h.need(&["n_head"])?, widths, &["attention.layer_norm_epsilon"]);
    Ok(())
}

pub(super) fn gpt_neox(keys: &mut Keys, given: &mut Given<'_>) -> Done {
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

pub(super) fn falcon(keys: &mut Keys, given: &mut Given<'_>) -> Done {
    let h = &*given.hparams;
    let width = h.count("hidden_size");
    // The context is not in config.json.
    let widths = [Some(2048), width, width.and_then(|n| n.checked_mul(4))];
    own(keys, given.blocks, h.need(&["num_attention_heads", "n_head"])?, widths, &["attention.layer_norm_epsilon"]);
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
    // RoBERTa takes its padding off and Nomic has a rule of its own; nothing is cached that would depend on it.
    if given.hparams.some(POSITIONS).is_some() {
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

pub(super) fn t5_encoder(keys: &mut Keys, given: &mut Given<'_>) -> Done {
    let names = ["attention.layer_norm_epsilon", "attention.relative_buckets_count", "attention.layer_norm_rms_epsilon"];
    let h = &*given.hparams;
    let context = h.some(&["n_positions"]).map_or(Some(512), whole);
    own(keys, given.blocks, h.need(&["num_heads"])?, [context, h.count("d_model"), h.count("d_ff")], &names);
    key_and_value(keys, h.count("d_kv"), h.count("d_kv"));
    Ok(())
}

pub(super) fn t5(keys: &mut Keys, given: &mut Given<'_>) -> Done {
    t5_encoder(keys, given)?;
    if given.hparams.some(&["decoder_start_token_id"]).is_none() {
        return Err("config.json has no `decoder_start_token_id`: the converter stops".to_owned());
    }
    if let Some(n) = given.hparams.some(&["num_decoder_layers"]) {
        keys.model_count("decoder_block_count", whole(n));
    }
    keys.model_number("decoder_start_token_id");
    Ok(())
}

pub(super) fn deepseek(keys: &mut Keys, given: &mut Given<'_>) -> Done {
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

pub(super) fn deepseek2(keys: &mut Keys, given: &mut Given<'_>) -> Done {
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

pub(super) fn gpt_oss(keys: &mut Keys, given: &mut Given<'_>) -> Done {
    base(keys, given)?;
    keys.model_count("attention.sliding_window", given.hparams.count("sliding_window"));
    keys.model_count("expert_feed_forward_length", given.hparams.count("intermediate_size"));
    Ok(())
}
