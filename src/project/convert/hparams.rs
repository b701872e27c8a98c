//! The model's settings as the converter sees them: config.json with the defaults of its class, the text part laid over the rest.
//!
//! Source: `AutoConfig.from_pretrained(...).to_dict()` of transformers ([`crate::pins::CONVERTER_TRANSFORMERS`]), which the
//! converter pins: a key that the file lacks can still be there.

use super::stop::Stop;
use serde_json::{Map, Value, json};

use crate::families::config_keys::{ROPE_THETA, ROPE_THETA_LOCAL, ROTARY_SHARE, TEXT_PARTS, THINKER};
use crate::families::defaults::CONVERTER;

/// Settings of the model, by the names of config.json.
#[derive(Debug, Clone)]
pub(super) struct Hparams {
    map: Map<String, Value>,
    /// The rope settings, with what stands outside them moved in.
    pub(super) rope: Map<String, Value>,
}

impl Hparams {
    /// Of a config.json; `raw` leaves the defaults of the class out, as one family has it.
    pub(super) fn new(config: &Map<String, Value>, raw: bool) -> Self {
        // A class stops at a quantization_config that is null, and then the file is taken as it is.
        let raw = raw || config.get("quantization_config").is_some_and(Value::is_null);
        let fill = |map: &Map<String, Value>| if raw { map.clone() } else { CONVERTER.fill(map) };
        let mut map = fill(config);
        let object = |key: &str| config.get(key).and_then(Value::as_object);
        let mut text = TEXT_PARTS.iter().filter(|part| part.converter).filter_map(|part| object(part.name)).next_back();
        if let Some(thinker) = object(THINKER).and_then(|t| t.get(TEXT_PARTS[0].name)).and_then(Value::as_object) {
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
    pub(super) fn need(&self, keys: &[&str]) -> Result<u64, Stop> {
        self.some(keys).and_then(whole).ok_or_else(|| Stop::lacks(keys[0]))
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
    if let Some(theta) = first(ROPE_THETA_LOCAL.names) {
        rope.insert("sliding_attention".to_owned(), json!({ "rope_theta": theta }));
    }
    let kind = rope.get("type").filter(|v| !v.is_null()).cloned();
    let moved = [
        ("rope_theta", first(ROPE_THETA.names)),
        ("rope_type", kind),
        ("partial_rotary_factor", first(ROTARY_SHARE.names)),
        ("original_max_position_embeddings", first(&["original_max_position_embeddings"])),
    ];
    for (key, value) in moved {
        if let Some(value) = value {
            rope.entry(key.to_owned()).or_insert(value);
        }
    }
    rope
}
