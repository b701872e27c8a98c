//! What the configuration classes of transformers fill in where a config.json is silent or says null.

use serde_json::{Map, Value, json};

use super::generated::{class_defaults, converter_defaults};

/// What a key stands for when nothing is given.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ClassDefault {
    /// A number.
    Number(f64),
    /// True or false.
    Flag(bool),
    /// A text.
    Text(&'static str),
    /// An object, as JSON text.
    Json(&'static str),
    /// The key is there and null.
    Null,
    /// The value of another key.
    Of(&'static str),
    /// The value of one key divided by that of another, rounded down.
    Quotient(&'static str, &'static str),
}

/// A configuration class.
#[derive(Debug)]
pub struct Class {
    /// Its `model_type`.
    pub model_type: &'static str,
    /// The `model_type` of its nested text configuration, where the file does not name one.
    pub text: Option<&'static str>,
    /// Keys that are missing.
    pub missing: &'static [(&'static str, ClassDefault)],
    /// Keys that are null where the class has something else for it.
    pub null: &'static [(&'static str, ClassDefault)],
}

/// The classes of one version of transformers.
#[derive(Debug, Clone, Copy)]
pub struct Classes {
    common: &'static [(&'static str, ClassDefault)],
    classes: &'static [Class],
}

/// The classes that the rules for transformers and vLLM go by; only keys that these rules read.
pub const CURRENT: Classes = Classes { common: class_defaults::COMMON, classes: class_defaults::CLASSES };

/// The classes of the version that llama.cpp's converter pins; only keys that the converter reads.
pub const CONVERTER: Classes = Classes { common: converter_defaults::COMMON, classes: converter_defaults::CLASSES };

impl Classes {
    /// The class of a `model_type`.
    pub fn class(self, model_type: &str) -> Option<&'static Class> {
        let at = self.classes.binary_search_by(|class| class.model_type.cmp(model_type)).ok()?;
        self.classes.get(at)
    }

    /// A configuration with what its class fills in; of an unknown class, the file as it is.
    pub fn fill(self, raw: &Map<String, Value>) -> Map<String, Value> {
        let mut map = raw.clone();
        let kind = raw.get("model_type").and_then(Value::as_str).unwrap_or_default();
        let Some(class) = self.class(kind) else { return map };
        let missing = || class.missing.iter().chain(self.common);
        for (key, default) in missing() {
            if let Some(value) = default.literal() {
                map.entry((*key).to_owned()).or_insert(value);
            }
        }
        // What follows other keys comes after those are there.
        let absent = class.missing.iter().filter(|(key, _)| !raw.contains_key(*key));
        let null = class.null.iter().filter(|(key, _)| raw.get(*key).is_some_and(Value::is_null));
        for (key, default) in absent.chain(null) {
            if let Some(value) = default.literal().or_else(|| default.followed(&map)) {
                map.insert((*key).to_owned(), value);
            }
        }
        map
    }
}

impl ClassDefault {
    /// The value, where it stands by itself.
    fn literal(self) -> Option<Value> {
        match self {
            Self::Number(n) if n.fract() == 0.0 && n.abs() < 9e15 => Some(json!(n as i64)),
            Self::Number(n) => Some(json!(n)),
            Self::Flag(flag) => Some(json!(flag)),
            Self::Text(text) => Some(json!(text)),
            Self::Json(text) => serde_json::from_str(text).ok(),
            Self::Null => Some(Value::Null),
            Self::Of(_) | Self::Quotient(..) => None,
        }
    }

    /// The value, where it follows keys of the configuration.
    fn followed(self, map: &Map<String, Value>) -> Option<Value> {
        match self {
            Self::Of(other) => map.get(other).cloned(),
            Self::Quotient(a, b) => {
                let count = |key: &str| map.get(key).and_then(Value::as_u64);
                count(a)?.checked_div(count(b)?).map(Value::from)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(classes: Classes, text: &str) -> Map<String, Value> {
        let Ok(Value::Object(raw)) = serde_json::from_str(text) else { unreachable!("the test gives an object") };
        classes.fill(&raw)
    }

    #[test]
    fn classes_are_sorted_so_that_each_is_found() {
        for classes in [CURRENT, CONVERTER] {
            assert!(classes.classes.windows(2).all(|pair| pair[0].model_type < pair[1].model_type));
            assert!(classes.classes.iter().all(|one| classes.class(one.model_type).is_some()));
        }
        assert!(CURRENT.class("no-such-class").is_none());
    }

    #[test]
    fn what_follows_other_keys_follows_the_given_ones() {
        let map = filled(CONVERTER, r#"{"model_type": "llama", "hidden_size": 96, "num_attention_heads": 6}"#);
        assert_eq!((&map["head_dim"], &map["num_key_value_heads"]), (&json!(16), &json!(6)));
        let map = filled(CONVERTER, r#"{"model_type": "mistral", "num_attention_heads": 6, "num_key_value_heads": null}"#);
        assert_eq!(map["num_key_value_heads"], json!(6), "null stands for as many as there are heads");
        let map = filled(CONVERTER, r#"{"model_type": "mistral", "num_attention_heads": 6}"#);
        assert_eq!(map["num_key_value_heads"], json!(8));
        let map = filled(CONVERTER, r#"{"model_type": "gpt_oss"}"#);
        assert_eq!(map["rope_scaling"]["factor"], json!(32.0));
    }

    #[test]
    fn an_unknown_class_leaves_the_file_as_it_is() {
        let map = filled(CURRENT, r#"{"model_type": "unheard_of", "hidden_size": 8}"#);
        assert_eq!(map.len(), 2);
    }
}
