//! Access to the keys of a config.json: aliases, nested text configs, class defaults; a value of the wrong kind is an error, not a
//! missing key.

use serde_json::{Map, Value};

use super::params_json;
use crate::families::config_keys::text_part;
use crate::text::escape_limited;

/// More layers than any model has; a larger figure is taken as damage.
pub(super) const MAX_LAYERS: u64 = 100_000;

/// The config of the text model, with what stands around it.
pub(super) struct Keys<'a> {
    /// The innermost text config, or the file's own object.
    pub(super) text: &'a Map<String, Value>,
    /// The file's own object.
    pub(super) top: &'a Map<String, Value>,
    /// The file they stand in.
    pub(super) file: &'static str,
    /// Whether `text` is not `top`.
    pub(super) nested: bool,
}

impl<'a> Keys<'a> {
    pub(super) fn of(top: &'a Map<String, Value>, file: &'static str) -> Self {
        let text = text_part(top);
        Self { text, top, file, nested: !std::ptr::eq(text, top) }
    }

    /// The value under the first of these names that is there and not null; the text config goes before the file's own object.
    pub(super) fn value(&self, names: &[&str]) -> Option<&'a Value> {
        let here = names.iter().find_map(|name| self.text.get(*name).filter(|v| !v.is_null()));
        here.or_else(|| if self.nested { names.iter().find_map(|name| self.top.get(*name).filter(|v| !v.is_null())) } else { None })
    }

    /// Whether a name is there in the text config, null or not.
    pub(super) fn has(&self, name: &str) -> bool {
        self.text.contains_key(name)
    }

    /// A whole number under the first of these names that is there. Only the text config is asked: a vision tower's or the
    /// wrapper's figures are others.
    pub(super) fn count(&self, names: &[&str]) -> Result<Option<u64>, String> {
        let found = names.iter().find_map(|name| self.text.get(*name).filter(|v| !v.is_null()).map(|v| (*name, v)));
        match found {
            None => Ok(None),
            Some((name, value)) => whole(value)
                .map(Some)
                .ok_or_else(|| format!("{} is no whole number: {}", self.key(name), escape_limited(&value.to_string(), 40))),
        }
    }

    /// As [`Self::count`], with a missing key as an error that names it.
    pub(super) fn need(&self, names: &[&str]) -> Result<u64, String> {
        self.count(names)?.ok_or_else(|| self.missing(names.first().copied().unwrap_or("")))
    }

    /// Names a key and its file, as the file spells it.
    pub(super) fn key(&self, name: &str) -> String {
        format!("key `{}` of {}", self.spelled(name), self.file)
    }

    /// Says that a key is missing.
    pub(super) fn missing(&self, name: &str) -> String {
        format!("key `{}` is missing in {}", self.spelled(name), self.file)
    }

    fn spelled<'n>(&self, name: &'n str) -> &'n str {
        if self.file == params_json::FILE { params_json::spelled(name) } else { name }
    }

    pub(super) fn flag(&self, name: &str) -> Option<bool> {
        self.text.get(name).and_then(Value::as_bool)
    }

    pub(super) fn text_of(&self, names: &[&str]) -> Option<&'a str> {
        self.value(names).and_then(Value::as_str)
    }

    /// An object under a name of the text config.
    pub(super) fn object(&self, name: &str) -> Option<&'a Map<String, Value>> {
        self.text.get(name).and_then(Value::as_object)
    }

    /// A list under a name of the text config; null and missing are `None`.
    pub(super) fn list(&self, name: &str) -> Result<Option<&'a [Value]>, String> {
        match self.text.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Array(values)) => Ok(Some(values)),
            Some(_) => Err(format!("{} is no list", self.key(name))),
        }
    }
}

/// A JSON number that is whole and not negative, `4096.0` included.
pub(super) fn whole(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| {
        let float = value.as_f64()?;
        // 2^53: beyond it a float is no exact count.
        (float >= 0.0 && float.fract() == 0.0 && float < 9_007_199_254_740_992.0).then_some(float as u64)
    })
}
