//! What the configuration classes of transformers fill in where a config.json is silent or says null.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

/// What a key stands for when nothing is given.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum ClassDefault {
    /// The value of another key.
    Of((String,)),
    /// The value of one key divided by that of another, rounded down.
    Quotient((String, String)),
    /// A value that stands by itself.
    Literal(Value),
}

/// A configuration class.
#[derive(Debug, Clone, Deserialize)]
pub struct Class {
    /// The `model_type` of its nested text configuration, where the file does not name one.
    pub text: Option<String>,
    /// Keys that are missing.
    pub missing: BTreeMap<String, ClassDefault>,
    /// Keys that are null where the class has something else for it.
    pub null: BTreeMap<String, ClassDefault>,
}

/// The classes of one version of transformers: JSON, a class a line. What made it stands in the first line, what every class has in the
/// second, and then the classes in the order of their `model_type`. A row is read when it is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Classes(&'static str);

/// The classes that the rules for transformers and vLLM go by; only keys that these rules read.
pub const CURRENT: Classes = Classes(include_str!("generated/class_defaults.jsonl"));

/// The classes of the version that llama.cpp's converter pins; only keys that the converter reads.
pub const CONVERTER: Classes = Classes(include_str!("generated/converter_defaults.jsonl"));

/// How the row of a class begins.
const ROW: &str = "{\"model_type\": \"";

/// A line before the classes: what they have in common.
#[derive(Deserialize)]
struct Common {
    common: Map<String, Value>,
}

impl Classes {
    /// The class of a `model_type`.
    pub fn class(self, model_type: &str) -> Option<Class> {
        let (mut rows, name_of) = (self.rows(), |row: &'static str| row.strip_prefix(ROW)?.split_once('"'));
        while !rows.is_empty() {
            // A row around the middle, whole.
            let middle = rows.len() / 2;
            let start = rows.as_bytes()[..middle].iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
            let (row, after) = rows[start..].split_once('\n')?;
            match name_of(row)?.0.cmp(model_type) {
                std::cmp::Ordering::Equal => return serde_json::from_str(row).ok(),
                std::cmp::Ordering::Less => rows = after,
                std::cmp::Ordering::Greater => rows = &rows[..start],
            }
        }
        None
    }

    fn rows(self) -> &'static str {
        self.0.splitn(3, '\n').nth(2).unwrap_or_default()
    }

    fn common(self) -> Map<String, Value> {
        let line = self.0.lines().nth(1).unwrap_or_default();
        serde_json::from_str::<Common>(line).map(|line| line.common).unwrap_or_default()
    }

    /// A configuration with what its class fills in; of an unknown class, the file as it is.
    pub fn fill(self, raw: &Map<String, Value>) -> Map<String, Value> {
        let mut map = raw.clone();
        let kind = raw.get("model_type").and_then(Value::as_str).unwrap_or_default();
        let Some(class) = self.class(kind) else { return map };
        let literals = class.missing.iter().filter_map(|(key, default)| Some((key.clone(), default.literal()?)));
        for (key, value) in literals.chain(self.common()) {
            map.entry(key).or_insert(value);
        }
        // What follows other keys comes after those are there.
        let absent = class.missing.iter().filter(|(key, _)| !raw.contains_key(*key));
        let null = class.null.iter().filter(|(key, _)| raw.get(*key).is_some_and(Value::is_null));
        for (key, default) in absent.chain(null) {
            if let Some(value) = default.literal().or_else(|| default.followed(&map)) {
                map.insert(key.clone(), value);
            }
        }
        map
    }
}

impl ClassDefault {
    /// The value, where it stands by itself.
    fn literal(&self) -> Option<Value> {
        match self {
            Self::Literal(value) => Some(value.clone()),
            Self::Of(_) | Self::Quotient(_) => None,
        }
    }

    /// The value, where it follows keys of the configuration.
    fn followed(&self, map: &Map<String, Value>) -> Option<Value> {
        match self {
            Self::Of((other,)) => map.get(other).cloned(),
            Self::Quotient((a, b)) => {
                let count = |key: &str| map.get(key).and_then(Value::as_u64);
                count(a)?.checked_div(count(b)?).map(Value::from)
            }
            Self::Literal(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn filled(classes: Classes, text: &str) -> Map<String, Value> {
        let Ok(Value::Object(raw)) = serde_json::from_str(text) else { unreachable!("the test gives an object") };
        classes.fill(&raw)
    }

    #[test]
    fn each_row_is_read_and_found() {
        for classes in [CURRENT, CONVERTER] {
            assert!(classes.0.starts_with("{\"made_by\": ") && classes.0.ends_with("}\n"));
            let names: Vec<&str> =
                classes.rows().lines().filter_map(|row| Some(row.strip_prefix(ROW)?.split_once('"')?.0)).collect();
            assert_eq!(names.len(), classes.rows().lines().count());
            assert!(names.len() > 300 && names.windows(2).all(|pair| pair[0] < pair[1]));
            assert!(names.iter().all(|name| classes.class(name).is_some()));
            for stranger in ["", "Evolla", "llama_", "no-such-class", "zzz"] {
                assert!(classes.class(stranger).is_none(), "{stranger}");
            }
        }
        assert!(CONVERTER.common().contains_key("eos_token_id") && CURRENT.common().is_empty());
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
