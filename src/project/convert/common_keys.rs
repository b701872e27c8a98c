//! Keys that families share: the common ones of `TextModel`, rope scaling, pooling, and the widths that short lists begin with.

use serde_json::{Map, Value};

use super::hparams::{Hparams, whole};
use super::keys::Keys;
use super::stop::Stop;
use crate::checkpoint::HfFolder;
use crate::checkpoint::sidecar::Pooling;
use crate::families::config_keys::ConverterPart::{Mamba2, Phi, Shared};
use crate::families::config_keys::{
    CONTEXT, EXPERTS, EXPERTS_USED, FFN_SIZE, HEADS, HIDDEN_SIZE, KV_HEADS, LAYER_NORM_EPS, RMS_NORM_EPS, SSM_EXPAND, SSM_HEAD_DIM,
    SSM_INNER,
};
use crate::families::converter;

/// What the functions that write a family's keys read.
pub(super) struct Given<'g> {
    pub(super) family: &'static converter::Conversion,
    pub(super) hparams: &'g mut Hparams,
    pub(super) folder: &'g HfFolder,
    pub(super) blocks: u64,
}

/// Keys that most families have, each when the settings have it.
pub(super) fn base(keys: &mut Keys, given: &mut Given<'_>) -> Result<(), Stop> {
    let h = &*given.hparams;
    keys.blocks(given.blocks);
    if let Some(n) = h.some(CONTEXT.asked_by(Shared)) {
        keys.model_count("context_length", whole(n));
    }
    if let Some(n) = h.some(HIDDEN_SIZE.asked_by(Shared)) {
        keys.model_count("embedding_length", whole(n));
    }
    if let Some(n) = h.some(FFN_SIZE.asked_by(Shared)) {
        keys.model_count("feed_forward_length", whole(n));
    }
    if let Some(n) = h.some(HEADS.asked_by(Shared)).and_then(whole) {
        keys.heads(n);
    }
    if let Some(n) = h.some(KV_HEADS.asked_by(Shared)).and_then(whole) {
        keys.kv_heads(n);
    }
    if h.some(&["is_causal"]).and_then(Value::as_bool) == Some(false) {
        keys.model_flag("attention.causal", false);
    }
    rope(keys, h)?;
    if h.some(RMS_NORM_EPS.names).is_some() {
        keys.model_number("attention.layer_norm_rms_epsilon");
    }
    if h.some(LAYER_NORM_EPS.names).is_some() {
        keys.model_number("attention.layer_norm_epsilon");
    }
    if let Some(n) = h.some(EXPERTS.asked_by(Shared)).and_then(whole) {
        keys.experts(n);
    }
    if let Some(n) = h.some(EXPERTS_USED.asked_by(Shared)) {
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
            _ => return Err(Stop::new("an expert gating function that the converter does not know")),
        }
    }
    if let Some(n) = h.some(&["head_dim"]) {
        key_and_value(keys, whole(n), whole(n));
    }
    keys.number("general.file_type");
    Ok(())
}

pub(super) fn key_and_value(keys: &mut Keys, key: Option<u64>, value: Option<u64>) {
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

/// Takes a share of a width, truncated as by Python's `int`.
pub(super) fn share_of(n: u64, share: f64) -> u64 {
    (share * n as f64) as u64
}

fn inner<'r>(rope: &'r Map<String, Value>, key: &str) -> Option<&'r Map<String, Value>> {
    rope.get(key).and_then(Value::as_object)
}

fn rope(keys: &mut Keys, h: &Hparams) -> Result<(), Stop> {
    let global = inner(&h.rope, "full_attention").unwrap_or(&h.rope);
    let has = |key: &str| global.get(key).is_some_and(|v| !v.is_null());
    match global.get("rope_type").and_then(Value::as_str) {
        Some("linear") if has("factor") => {
            keys.model_text("rope.scaling.type", "linear");
            keys.model_number("rope.scaling.factor");
        }
        Some("yarn") if has("factor") => {
            if !global.contains_key("original_max_position_embeddings") {
                return Err(Stop::new("rope_scaling has no original_max_position_embeddings: the converter stops"));
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

pub(super) fn pooling(keys: &mut Keys, folder: &HfFolder) -> Result<(), Stop> {
    match folder.pooling {
        Some(Pooling::Other) => Err(Stop::new("only mean, cls and last-token pooling are converted")),
        Some(_) => {
            keys.model_number("pooling_type");
            Ok(())
        }
        None => Ok(()),
    }
}

/// Context, width of the model, width of its feed-forward layers; `None` for what is not known.
pub(super) type Widths = [Option<u64>; 3];

/// Writes the keys of a family that does not use the common ones: sizes, and the given numbers.
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

/// Reads context, width and feed-forward width under their usual keys.
pub(super) fn plain_widths(h: &Hparams) -> Widths {
    ["max_position_embeddings", "hidden_size", "intermediate_size"].map(|key| h.count(key))
}

/// Computes the rotary dimensions of Phi, a share of each head.
pub(super) fn phi_rope_dims(h: &Hparams) -> Result<u64, Stop> {
    let (hidden, heads) = (h.need(HIDDEN_SIZE.asked_by(Phi))?, h.need(HEADS.asked_by(Phi))?);
    let share = h.rope.get("partial_rotary_factor").and_then(Value::as_f64).unwrap_or(1.0);
    share_of(hidden, share).checked_div(heads).ok_or_else(|| Stop::new("num_attention_heads is 0"))
}

/// Lists the labels of a classifier; the two placeholders of transformers are left out.
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

/// Whether a key holds a number other than 0.
pub(super) fn is_set(h: &Hparams, key: &str) -> bool {
    h.some(&[key]).and_then(Value::as_f64).is_some_and(|n| n != 0.0)
}

pub(super) fn numbers(keys: &mut Keys, names: &[&str]) {
    names.iter().for_each(|name| keys.model_number(name));
}

/// Writes for each layer whether its attention slides; without a list, all but every fourth do.
pub(super) fn sliding_pattern(keys: &mut Keys, given: &Given<'_>) {
    let types = given.hparams.some(&["layer_types"]).and_then(Value::as_array);
    let flags: Vec<bool> = match types {
        Some(types) => types.iter().map(|kind| kind.as_str() == Some("sliding_attention")).collect(),
        None => (0..given.blocks.min(MOST_LAYERS)).map(|i| (i + 1) % 4 != 0).collect(),
    };
    keys.model_flags("attention.sliding_window_pattern", &flags);
}

/// Bound on the number of layers, above that of any model.
const MOST_LAYERS: u64 = 1 << 20;

/// Multiplies a width by four: the feed-forward width of older families.
pub(super) fn four_times(width: Option<u64>) -> Option<u64> {
    width.and_then(|n| n.checked_mul(4))
}

/// Reads a number; where it is missing or 0, returns the converter's own default.
pub(super) fn number_or(h: &Hparams, names: &[&str], own: u64) -> u64 {
    h.some(names).and_then(whole).filter(|&n| n > 0).unwrap_or(own)
}

/// Reads the inner width of a Mamba 2 layer, and checks it as the converter does.
pub(super) fn mamba2_inner(h: &Hparams) -> Result<u64, Stop> {
    let width = h.need(HIDDEN_SIZE.asked_by(Mamba2))?;
    let expand = h.some(SSM_EXPAND.asked_by(Mamba2)).and_then(whole).filter(|&n| n > 0).unwrap_or(2);
    let given = h.some(SSM_INNER.asked_by(Mamba2)).and_then(whole).filter(|&n| n > 0);
    let inner = expand.saturating_mul(width);
    let head = h.some(SSM_HEAD_DIM.asked_by(Mamba2)).and_then(whole).filter(|&n| n > 0).unwrap_or(64);
    if given.is_some_and(|n| n != inner) || !inner.is_multiple_of(head) {
        return Err(Stop::new("the inner width does not fit expand and head_dim, which the converter refuses"));
    }
    Ok(inner)
}
