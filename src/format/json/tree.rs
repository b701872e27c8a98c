//! Small JSON files (config.json and its like) as trees of values, in bounded memory.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::charge::Charge;
use crate::error::{Error, ErrorKind};
use crate::format::Budget;
use crate::text::escape_limited;

/// Reads a whole text; what its tree takes is drawn from the budget.
///
/// # Errors
/// [`ErrorKind::Malformed`] where it is no JSON; [`ErrorKind::Limit`] where the tree needs more memory than the budget has left, or
/// than [`crate::format::limits::MAX_JSON_TREE`]. Neither names a file.
pub(crate) fn read_json(text: &[u8], budget: &Budget) -> Result<Value, Error> {
    read(text, budget, None)
}

/// Reads a whole text and keeps these members of the object that it is, the others being skipped; `{}` of a text that is no object.
///
/// # Errors
/// As [`read_json`].
pub(crate) fn read_json_members(text: &[u8], names: &[&str], budget: &Budget) -> Result<Value, Error> {
    read(text, budget, Some(names))
}

/// The one place where the text of such a file becomes a tree.
fn read(text: &[u8], budget: &Budget, names: Option<&[&str]>) -> Result<Value, Error> {
    let charge = Charge::new(budget);
    let mut json = serde_json::Deserializer::from_slice(text);
    let read = match names {
        None => Tree(&charge).deserialize(&mut json),
        Some(names) => Members(&charge, names).deserialize(&mut json),
    };
    match read.and_then(|value| json.end().map(|()| value)) {
        Ok(value) => {
            charge.keep();
            Ok(value)
        }
        Err(e) => Err(charge
            .over()
            .unwrap_or_else(|| Error::new(ErrorKind::Malformed, format!("not JSON: {}", escape_limited(&e.to_string(), 120))))),
    }
}

/// A value and all below it.
struct Tree<'c>(&'c Charge<'c>);

impl<'de> DeserializeSeed<'de> for Tree<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Bool(flag))
    }

    fn visit_u64<E>(self, n: u64) -> Result<Value, E> {
        Ok(n.into())
    }

    fn visit_i64<E>(self, n: i64) -> Result<Value, E> {
        Ok(n.into())
    }

    fn visit_f64<E>(self, x: f64) -> Result<Value, E> {
        Ok(Number::from_f64(x).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Value, E> {
        self.0.text(text.len()).map_err(E::custom)?;
        Ok(Value::String(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(value) = seq.next_element_seed(Tree(self.0))? {
            self.0.element(list.len()).map_err(A::Error::custom)?;
            list.push(value);
        }
        list.shrink_to_fit();
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            self.0.text(key.len()).and_then(|()| self.0.entry(map.len())).map_err(A::Error::custom)?;
            map.insert(key, entries.next_value_seed(Tree(self.0))?);
        }
        Ok(Value::Object(map))
    }
}

/// Some members of an object.
struct Members<'c>(&'c Charge<'c>, &'c [&'c str]);

impl<'de> DeserializeSeed<'de> for Members<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Members<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Object(Map::new()))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Value, E> {
        Ok(Value::Object(Map::new()))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Value, E> {
        Ok(Value::Object(Map::new()))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Value, E> {
        Ok(Value::Object(Map::new()))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Value, E> {
        Ok(Value::Object(Map::new()))
    }

    fn visit_str<E>(self, _: &str) -> Result<Value, E> {
        Ok(Value::Object(Map::new()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Value::Object(Map::new()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<Cow<'de, str>>()? {
            if self.1.contains(&&*key) {
                self.0.text(key.len()).and_then(|()| self.0.entry(map.len())).map_err(A::Error::custom)?;
                map.insert(key.into_owned(), entries.next_value_seed(Tree(self.0))?);
            } else {
                entries.next_value::<IgnoredAny>()?;
            }
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::limits::MAX_JSON_TREE;

    fn ample() -> Budget {
        Budget::new(4 * MAX_JSON_TREE)
    }

    #[test]
    fn the_tree_is_that_of_serde_json() {
        for text in [
            r#"{"a": [1, -2, 3.5, "x\n", null, true, {"b": {}}, []], "a2": "é\ud83d\ude00"}"#,
            "[]",
            "3",
            "null",
            r#"{"k": 1, "k": 2}"#,
            "18446744073709551615",
        ] {
            assert_eq!(read_json(text.as_bytes(), &ample()).unwrap(), serde_json::from_str::<Value>(text).unwrap(), "{text}");
        }
        for text in ["", "{", "[1,]", "NaN", "1 2", "\u{feff}{}", r#"{"a": 1e999}"#] {
            assert_eq!(read_json(text.as_bytes(), &ample()).unwrap_err().kind(), ErrorKind::Malformed, "{text}");
        }
    }

    #[test]
    fn members_are_taken_and_the_rest_is_still_checked() {
        let read = |text: &str| read_json_members(text.as_bytes(), &["a", "c"], &ample());
        assert_eq!(read(r#"{"a": [1], "b": {"c": 2}, "c": {"d": 3}}"#).unwrap(), serde_json::json!({"a": [1], "c": {"d": 3}}));
        for text in ["[1, {\"a\": 2}]", "1", "-1", "1.5", "null", "true", "\"a\""] {
            assert_eq!(read(text).unwrap(), serde_json::json!({}), "{text}");
        }
        assert!(read(r#"{"a": 1, "b": [1,]}"#).is_err());
        assert!(read(r#"{"a": 1} x"#).is_err());
    }

    /// Texts that grow most as trees are given up early, and what they took is free again.
    #[test]
    fn trees_that_take_too_much_are_refused() {
        let unit = |text: &str| format!("[{}0]", text.repeat((15 << 20) / text.len()));
        let deep = r#"{"":"#.repeat(100) + "0" + &"}".repeat(100) + ",";
        for text in ["{\"\":0},", "0,", "[],", "[0],", "\"\",", "\"a\",", "{},", "\"0123456789abcdef\",", &deep] {
            let budget = Budget::new(2 * MAX_JSON_TREE);
            let error = read_json(unit(text).as_bytes(), &budget).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Limit, "{text}");
            assert!(error.message().contains("32 MiB"), "{}", error.message());
            assert!(budget.take(2 * MAX_JSON_TREE), "{text}");
        }
        let keys: String = (0..700_000).map(|i| format!("\"{i}\":0,")).collect();
        assert_eq!(read_json(format!("{{{keys}\"\":0}}").as_bytes(), &ample()).unwrap_err().kind(), ErrorKind::Limit);
        // Skipped members cost nothing.
        let text = format!("{{\"pad\":{},\"a\":1}}", unit("{\"\":0},"));
        assert_eq!(read_json_members(text.as_bytes(), &["a"], &ample()).unwrap(), serde_json::json!({"a": 1}));
    }

    /// The account is that of all texts, and what is read of published sizes fits in it.
    #[test]
    fn texts_add_up_and_published_sizes_fit() {
        // 30,000 quantized modules with four settings each: more than any published table.
        let rows: Vec<String> = (0..30_000)
            .map(|i| {
                format!(
                    r#""model.layers.{}.mlp.experts.{i}.up_proj":{{"bits":4,"group_size":128,"sym":true,"data_type":"int"}}"#,
                    i % 61
                )
            })
            .collect();
        let text = format!(r#"{{"quantization_config":{{"extra_config":{{{}}}}}}}"#, rows.join(","));
        let budget = Budget::new(MAX_JSON_TREE + MAX_JSON_TREE / 2);
        assert!(read_json(text.as_bytes(), &budget).is_ok());
        let error = read_json(text.as_bytes(), &budget).unwrap_err();
        assert!(error.kind() == ErrorKind::Limit && error.message().contains("together"), "{}", error.message());
        assert!(budget.take(MAX_JSON_TREE / 4));
    }
}
