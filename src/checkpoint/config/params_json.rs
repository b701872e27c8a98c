//! Mistral's own `params.json` as the keys of a config.json, by the rules of vLLM ([`crate::pins::VLLM`],
//! `transformers_utils/configs/mistral.py`); and the same of Meta's files, as far as they state figures of the model.

use serde_json::{Map, Value, json};

use super::{ModelConfig, from_configuration};
use crate::families::config_keys::{self, HEADS, KV_HEADS, LAYERS};
use crate::families::params_json::{CONTEXT, DENSE, EXPERTS, LATENT, META, ROUTED, SHARED, SPELLINGS, STATE_SPACE};

/// The name of the file.
pub(in crate::checkpoint) const FILE: &str = "params.json";

/// The spelling in params.json of a key of config.json.
pub(super) fn spelled(name: &str) -> &str {
    SPELLINGS.iter().find(|(_, theirs)| *theirs == name).map_or(name, |(own, _)| own)
}

/// What the file states, under the keys of a config.json, with remarks on what it leaves open; the reason where it does not describe a
/// language model.
pub(in crate::checkpoint) fn as_config(params: &Map<String, Value>) -> Result<(Map<String, Value>, Vec<String>), String> {
    for key in ["dim", "n_layers"] {
        if !params.get(key).is_some_and(Value::is_u64) {
            return Err(format!("has no `{key}`"));
        }
    }
    let mut notes = Vec::new();
    let mut config = Map::new();
    for (key, value) in params {
        let named = SPELLINGS.iter().find(|(own, _)| own == key).map_or(key.as_str(), |(_, theirs)| theirs);
        if !matches!(key.as_str(), "moe" | "quantization" | "vision_encoder" | "multimodal" | "model_type") {
            config.insert(named.to_owned(), value.clone());
        }
    }
    let object = |key: &str| params.get(key).and_then(Value::as_object).filter(|map| !map.is_empty());
    let heads = config.get(HEADS.name()).cloned();
    if let Some(heads) = heads.filter(|_| config.get(KV_HEADS.name()).is_none_or(Value::is_null)) {
        config.insert(KV_HEADS.name().to_owned(), heads);
    }
    // Meta's files: the width of the feed-forward block is computed, and the vocabulary may be left to the tokenizer (-1).
    let of_meta = params.contains_key("multiple_of") && !params.contains_key("hidden_dim");
    if !config.get("vocab_size").is_some_and(Value::is_u64) {
        config.remove("vocab_size");
    }
    config.entry("tie_word_embeddings").or_insert(json!(false));
    if !of_meta {
        let stated = config_keys::CONTEXT.names.iter().find_map(|key| params.get(*key).filter(|v| v.is_u64()));
        if stated.is_none() {
            notes.push(format!("params.json states no context: vLLM takes {CONTEXT} tokens"));
        }
        config.insert(config_keys::CONTEXT.name().to_owned(), stated.cloned().unwrap_or_else(|| json!(CONTEXT)));
    }
    window(&mut config)?;
    let latent = params.get("qk_nope_head_dim").and_then(Value::as_u64).is_some_and(|n| n > 0);
    let kind = match object("moe") {
        _ if params.get("model_type").and_then(Value::as_str) == Some(STATE_SPACE.0) => STATE_SPACE.1,
        _ if of_meta => META,
        Some(moe) => {
            let shares = moe.get("num_shared_experts").and_then(Value::as_u64).unwrap_or(0) > 0;
            let named = |theirs: &'static str| if shares || theirs != "n_routed_experts" { theirs } else { "num_local_experts" };
            for (own, theirs) in EXPERTS {
                if let Some(value) = moe.get(*own) {
                    config.insert(named(theirs).to_owned(), value.clone());
                }
            }
            if shares { SHARED } else { ROUTED }
        }
        None if latent => LATENT,
        None => DENSE,
    };
    let multimodal = object("multimodal");
    let part = |key: &str| multimodal.and_then(|map| map.get(key)).and_then(Value::as_object);
    let hears = part("whisper_model_args").and_then(|args| args.get("encoder_args")).and_then(Value::as_object);
    let sees = part("vision_encoder_args").or_else(|| object("vision_encoder"));
    let class = match (sees, hears) {
        (Some(_), _) => "PixtralForConditionalGeneration",
        (None, Some(encoder)) if encoder.get("causal").and_then(Value::as_bool) == Some(true) => "VoxtralRealtimeGeneration",
        (None, Some(_)) => "VoxtralForConditionalGeneration",
        (None, None) => kind.class,
    };
    for (key, tower) in [("vision_config", sees), ("audio_config", hears)] {
        if let Some(tower) = tower {
            config.insert(key.to_owned(), Value::Object(tower.clone()));
        }
    }
    if let Some(quantization) = object("quantization") {
        config.insert("quantization_config".to_owned(), Value::Object(quantized(quantization)));
    }
    config.insert("model_type".to_owned(), json!(kind.model_type));
    config.insert("architectures".to_owned(), json!([class]));
    Ok((config, notes))
}

/// Reads the facts of a Mistral params.json, as [`super::from_config_json`] does those of a config.json.
///
/// # Errors
/// What the file lacks to describe a language model.
pub fn from_params_json(params: &Map<String, Value>) -> Result<ModelConfig, String> {
    let (config, notes) = as_config(params)?;
    let mut model = from_configuration(&Value::Object(config), FILE);
    model.notes.extend(notes);
    Ok(model)
}

/// A window for all layers, or a list of them that repeats; a missing window is none, whatever the class of transformers has.
fn window(config: &mut Map<String, Value>) -> Result<(), String> {
    let layers = config.get(LAYERS.name()).and_then(Value::as_u64).unwrap_or(0);
    let layers = usize::try_from(layers).ok().filter(|&n| n as u64 <= super::keys::MAX_LAYERS).unwrap_or(0);
    match config.get("sliding_window").cloned() {
        Some(Value::Array(pattern)) if !pattern.is_empty() => {
            let mut sizes = pattern.iter().filter_map(Value::as_u64);
            let size = sizes.next();
            if sizes.any(|other| Some(other) != size) {
                return Err("has windows of several sizes in `sliding_window`, which vLLM refuses".to_owned());
            }
            let kind = |value: &Value| if value.is_null() { "full_attention" } else { "sliding_attention" };
            let kinds: Vec<&str> = pattern.iter().cycle().take(layers).map(kind).collect();
            config.insert("layer_types".to_owned(), json!(kinds));
            config.insert("sliding_window".to_owned(), json!(size));
        }
        Some(Value::Number(_)) => {}
        _ => {
            config.insert("sliding_window".to_owned(), Value::Null);
        }
    }
    Ok(())
}

/// The quantization as a config.json would state it: Mistral's own FP8 under the name of the method.
fn quantized(stated: &Map<String, Value>) -> Map<String, Value> {
    let mut out = stated.clone();
    if stated.get("qformat_weight").and_then(Value::as_str).is_some_and(|format| format.starts_with("fp8")) {
        out.entry("quant_method").or_insert(json!("fp8"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::config::{KvKind, KvLayers};

    fn read(params: Value) -> ModelConfig {
        from_params_json(params.as_object().unwrap()).unwrap()
    }

    fn kinds(model: &ModelConfig) -> Vec<(KvKind, u64, u64, Option<u64>)> {
        match &model.kv {
            KvLayers::Known(runs) => runs.iter().map(|run| (run.kind, run.layers, run.head_dim_k, run.window)).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn dense_models_with_and_without_windows() {
        let base =
            json!({"dim": 64, "n_layers": 4, "n_heads": 4, "n_kv_heads": 2, "head_dim": 32, "hidden_dim": 128, "vocab_size": 256});
        let with = |key: &str, value: Value| {
            let mut params = base.clone();
            params[key] = value;
            read(params)
        };
        let model = read(base.clone());
        assert_eq!(kinds(&model), [(KvKind::Full, 4, 32, None)]);
        assert_eq!((model.kv_heads, model.context_length, model.tied_embeddings), (Some(2), Some(128_000), Some(false)));
        assert_eq!(with("max_seq_len", json!(4096)).context_length, Some(4096));
        assert_eq!(kinds(&with("sliding_window", json!(16))), [(KvKind::Sliding, 4, 32, Some(16))]);
        let alternating = with("sliding_window", json!([16, null]));
        assert_eq!(kinds(&alternating), [(KvKind::Sliding, 2, 32, Some(16)), (KvKind::Full, 2, 32, None)]);
        assert_eq!(with("n_kv_heads", Value::Null).kv_heads, Some(4), "as many as there are heads");
        assert_eq!(with("tied_embeddings", json!(true)).tied_embeddings, Some(true));
        let seeing = with("vision_encoder", json!({"hidden_size": 8, "num_hidden_layers": 9}));
        assert_eq!((seeing.architecture.as_deref(), seeing.layers), (Some("PixtralForConditionalGeneration"), Some(4)));
        // Messages have the names of the file.
        match with("head_dim", json!("wide")).kv {
            KvLayers::Refused(why) => assert!(why.contains("`head_dim` of params.json"), "{why}"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn experts_with_and_without_shared_ones() {
        let mixtral = read(
            json!({"dim": 64, "n_layers": 2, "n_heads": 4, "n_kv_heads": 2, "head_dim": 16, "hidden_dim": 128, "vocab_size": 256,
            "moe": {"num_experts": 8, "num_experts_per_tok": 2}}),
        );
        assert_eq!(
            (mixtral.architecture.as_deref(), mixtral.experts, mixtral.experts_used),
            (Some("MixtralForCausalLM"), Some(8), Some(2))
        );
        assert_eq!(kinds(&mixtral), [(KvKind::Full, 2, 16, None)]);
        let large = read(
            json!({"dim": 64, "n_layers": 2, "n_heads": 4, "n_kv_heads": 4, "head_dim": 16, "hidden_dim": 128, "vocab_size": 256,
            "q_lora_rank": 32, "kv_lora_rank": 16, "qk_nope_head_dim": 8, "qk_rope_head_dim": 4, "v_head_dim": 8,
            "moe": {"num_experts": 8, "num_experts_per_tok": 2, "num_shared_experts": 1, "expert_hidden_dim": 32, "first_k_dense_replace": 1}}),
        );
        assert_eq!((large.experts, large.shared_experts, large.expert_ffn_size), (Some(8), Some(1), Some(32)));
        assert_eq!(kinds(&large), [(KvKind::Mla, 2, 20, None)]);
    }

    #[test]
    fn files_of_other_programs_are_refused_or_read_in_part() {
        for other in [json!({"lr": 0.1, "epochs": 3}), json!({"dim": 64}), json!({"dim": "64", "n_layers": 2})] {
            assert!(as_config(other.as_object().unwrap()).is_err(), "{other}");
        }
        let meta = read(json!({"dim": 64, "multiple_of": 256, "n_heads": 4, "n_layers": 2, "norm_eps": 1e-6, "vocab_size": -1}));
        assert_eq!((meta.family.as_deref(), meta.vocab_size, meta.context_length), (Some("llama"), None, None));
        assert_eq!(kinds(&meta), [(KvKind::Full, 2, 16, None)]);
    }
}
