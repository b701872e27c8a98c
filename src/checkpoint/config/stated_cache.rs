//! What a configuration asks for of the cache: the type in which an engine that heeds it keeps keys and values.

use serde_json::Value;

use crate::families::config_keys::{QUANTIZATION, text_part};

/// What the quantization of a checkpoint says of its cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatedCache {
    /// The method that says so: `modelopt`, `compressed-tensors`.
    pub method: String,
    /// The file it stands in.
    pub file: String,
    /// The key it stands under: `kv_cache_scheme` or `kv_cache_quant_algo`.
    pub key: &'static str,
    /// What is said.
    pub scheme: CacheScheme,
}

/// A way to keep keys and values, as configurations state it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CacheScheme {
    /// By name: `FP8`, `NVFP4`.
    Named(String),
    /// By its figures.
    Figures {
        /// `num_bits`.
        bits: Option<u64>,
        /// Whether `type` is `float`.
        float: bool,
        /// Whether scales are worked out at run time.
        dynamic: Option<bool>,
    },
}

impl StatedCache {
    /// What the quantization of a config.json says, at its top or in its text part.
    pub(super) fn of(config: &Value) -> Option<Self> {
        let top = config.as_object()?;
        let key = QUANTIZATION.name();
        let section = top.get(key).or_else(|| text_part(top).get(key))?.as_object()?;
        let method = section.get("quant_method").and_then(Value::as_str).unwrap_or_default().to_owned();
        // ModelOpt's file in one piece keeps them one deeper.
        let inner = section.get("quantization").and_then(Value::as_object);
        for key in ["kv_cache_scheme", "kv_cache_quant_algo"] {
            let found = inner.and_then(|map| map.get(key)).into_iter().chain(section.get(key)).find(|value| !value.is_null());
            let scheme = match found {
                Some(Value::String(name)) if !name.is_empty() => CacheScheme::Named(name.clone()),
                Some(Value::Object(map)) if !map.is_empty() => CacheScheme::Figures {
                    bits: map.get("num_bits").and_then(Value::as_u64),
                    float: map.get("type").and_then(Value::as_str) == Some("float"),
                    dynamic: map.get("dynamic").and_then(Value::as_bool),
                },
                _ => continue,
            };
            return Some(Self { method, file: "config.json".to_owned(), key, scheme });
        }
        None
    }
}
