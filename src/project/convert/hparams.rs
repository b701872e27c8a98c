//! The model's settings as the converter sees them: config.json with the defaults of its class, the text part laid over the rest.
//!
//! Source: `AutoConfig.from_pretrained(...).to_dict()` of transformers 4.57.6, which the converter pins: a key that the file lacks
//! can still be there.

use serde_json::{Map, Value, json};

use crate::families::defaults::CONVERTER;

/// Settings of the model, by the names of config.json.
#[derive(Debug, Clone)]
pub(super) struct Hparams {
    map: Map<String, Value>,
    /// The rope settings, with what stands outside them moved in.
    pub(super) rope: Map<String, Value>,
}

/// Keys under which the text part of a multimodal model stands, in the order in which later ones win.
const TEXT_PARTS: [&str; 5] = ["text_config", "llm_config", "lm_config", "language_config", "lfm"];

impl Hparams {
    /// Of a config.json; `raw` leaves the defaults of the class out, as one family has it.
    pub(super) fn new(config: &Map<String, Value>, raw: bool) -> Self {
        // A class stops at a quantization_config that is null, and then the file is taken as it is.
        let raw = raw || config.get("quantization_config").is_some_and(Value::is_null);
        let fill = |map: &Map<String, Value>| if raw { map.clone() } else { CONVERTER.fill(map) };
        let mut map = fill(config);
        let object = |key: &str| config.get(key).and_then(Value::as_object);
        let mut text = TEXT_PARTS.iter().filter_map(|key| object(key)).next_back();
        if let Some(thinker) = object("thinker_config").and_then(|t| t.get("text_config")).and_then(Value::as_object) {
            text = Some(thinker);
        }
        if let Some(text) = text {
            let mut text = text.clone();
            let kind = config.get("model_type").and_then(Value::as_str);
            if text.get("model_type").is_none()
                && let Some(inner) = kind.and_then(|kind| CONVERTER.class(kind)?.text)
            {
                text.insert("model_type".to_owned(), json!(inner));
            }
            for (key, value) in fill(&text) {
                // A sub-config has no architectures of its own unless the file says so.
                if key != "architectures" || !value.is_null() {
                    map.insert(key, value);
                }
            }
        }
        let rope = rope(&map);
        Self { map, rope }
    }

    /// The architecture that the converter goes by.
    pub(super) fn architecture(&self) -> Option<&str> {
        self.map.get("architectures")?.as_array()?.first()?.as_str()
    }

    /// Returns the `model_type`.
    pub(super) fn model_type(&self) -> Option<&str> {
        self.map.get("model_type")?.as_str()
    }

    /// The first of these keys that is there, null or not.
    pub(super) fn find(&self, keys: &[&str]) -> Option<&Value> {
        keys.iter().find_map(|key| self.map.get(*key))
    }

    /// As [`Self::find`], with null for nothing.
    pub(super) fn some(&self, keys: &[&str]) -> Option<&Value> {
        self.find(keys).filter(|v| !v.is_null())
    }

    /// Reads a whole number under a key.
    pub(super) fn count(&self, key: &str) -> Option<u64> {
        whole(self.map.get(key)?)
    }

    /// A number that is there, or the reason why the converter stops.
    pub(super) fn need(&self, keys: &[&str]) -> Result<u64, String> {
        self.some(keys).and_then(whole).ok_or_else(|| format!("config.json has no `{}`: the converter stops", keys[0]))
    }

    pub(super) fn set(&mut self, key: &str, value: Value) {
        self.map.insert(key.to_owned(), value);
    }
}

/// Reads a whole number, `8.0` included.
pub(super) fn whole(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_f64().filter(|f| *f >= 0.0 && f.fract() == 0.0 && *f < 9e15).map(|f| f as u64))
}

fn rope(map: &Map<String, Value>) -> Map<String, Value> {
    let given = map.get("rope_parameters").or_else(|| map.get("rope_scaling")).and_then(Value::as_object);
    let mut rope = given.cloned().unwrap_or_default();
    if rope.contains_key("full_attention") || rope.contains_key("sliding_attention") {
        return rope;
    }
    let first = |keys: &[&str]| keys.iter().find_map(|k| map.get(*k)).filter(|v| !v.is_null()).cloned();
    let local = ["local_rope_theta", "rope_local_theta", "rope_theta_local", "swa_rope_theta", "rope_local_base_freq"];
    if let Some(theta) = first(&local) {
        rope.insert("sliding_attention".to_owned(), json!({ "rope_theta": theta }));
    }
    let global = ["global_rope_theta", "rope_global_theta", "rope_theta_global", "rope_theta", "rotary_emb_base"];
    let kind = rope.get("type").filter(|v| !v.is_null()).cloned();
    let moved = [
        ("rope_theta", first(&global)),
        ("rope_type", kind),
        ("partial_rotary_factor", first(&["partial_rotary_factor", "rope_pct", "rope_percent"])),
        ("original_max_position_embeddings", first(&["original_max_position_embeddings"])),
    ];
    for (key, value) in moved {
        if let Some(value) = value {
            rope.entry(key.to_owned()).or_insert(value);
        }
    }
    rope
}
