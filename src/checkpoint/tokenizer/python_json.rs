//! JSON as Python writes it.

use serde_json::Value;

use crate::format::{Budget, read_json};

/// JSON as Python writes it, with `Infinity` and `NaN`: they are read as null.
pub(super) fn python_json(bytes: &[u8], budget: &Budget) -> Option<Value> {
    let text = std::str::from_utf8(bytes).ok()?;
    let mut plain = String::with_capacity(text.len());
    // Every other part lies inside a string, where an escaped quote does not end it.
    let (mut rest, mut inside) = (text, false);
    while !rest.is_empty() {
        let end = quote(rest, inside).unwrap_or(rest.len());
        let (part, after) = rest.split_at(end);
        if inside {
            plain.push_str(part);
        } else {
            plain.push_str(&part.replace("-Infinity", "null").replace("Infinity", "null").replace("NaN", "null"));
        }
        rest = after.strip_prefix('"').map_or("", |after| {
            plain.push('"');
            inside = !inside;
            after
        });
    }
    read_json(plain.as_bytes(), budget).ok()
}

/// Where the next quote stands that begins or ends a string.
fn quote(text: &str, inside: bool) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|byte| {
        let found = byte == b'"' && !escaped;
        escaped = inside && byte == b'\\' && !escaped;
        found
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_only_python_writes_are_null() {
        let python_json = |bytes| python_json(bytes, &Budget::new(10_000));
        let read = python_json(br#"{"a": [0.0, Infinity], "b \" NaN": -Infinity, "c": "Infinity \\", "d": NaN}"#).unwrap();
        assert_eq!(read, serde_json::json!({"a": [0.0, null], "b \" NaN": null, "c": "Infinity \\", "d": null}));
        assert_eq!(python_json(br#"{"a": Infinity"#), None);
        assert_eq!(python_json(b"\xff"), None);
    }
}
