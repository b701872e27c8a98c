//! JSON files that Python's `json` reads (config.json and all that lies beside it), as a tree.
//!
//! Source: CPython 3.11, `Lib/json/decoder.py` and `Modules/_json.c`. Beyond RFC 8259 Python takes `NaN`, `Infinity` and
//! `-Infinity`, numbers that overflow to an infinity, halves of surrogate pairs, and of a key that stands twice the last value. It
//! refuses a byte order mark before the text, and whole numbers of more than 4,300 digits.

use serde_json::{Map, Number, Value};

use super::{JsonReader, JsonToken};
use crate::error::{Error, ErrorKind, Result};
use crate::format::reader::HeaderReader;
use crate::source::MemorySource;

/// The byte order mark of UTF-8, at which Python's `json` stops.
pub(crate) const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// `sys.int_info.default_max_str_digits`: a whole number of more digits is an error to Python.
const MAX_DIGITS: usize = 4300;

/// Reads the text of a file as Python does. Numbers that no [`Number`] holds stand as text, so that whoever wants a number finds
/// none and says so: `NaN`, `Infinity`, `-Infinity`, and the digits of a whole number beyond every float.
///
/// # Errors
/// [`ErrorKind::Malformed`] with the place in the text where Python would stop, [`ErrorKind::Limit`] for nesting deeper than
/// [`crate::format::limits::MAX_CONFIG_DEPTH`]. The error names no file.
pub(crate) fn python_json(bytes: &[u8]) -> Result<Value> {
    if bytes.starts_with(BYTE_ORDER_MARK) {
        return Err(Error::new(
            ErrorKind::Malformed,
            "not JSON: begins with a byte order mark (BOM), at which Python's json stops",
        )
        .at(0)
        .help("save the file without it"));
    }
    let source = MemorySource::new("", bytes.to_vec());
    let mut reader = JsonReader::python(HeaderReader::new(&source, 0, u64::MAX));
    reader.set_max_text(bytes.len() as u64);
    tree(&mut reader).map_err(|error| placed(&error, bytes))
}

/// A list or an object whose end has not come.
enum Open {
    List(Vec<Value>),
    /// With the key that waits for its value.
    Object(Map<String, Value>, String),
}

fn tree(reader: &mut JsonReader<'_>) -> Result<Value> {
    let mut open: Vec<Open> = Vec::new();
    let mut whole = Value::Null;
    loop {
        let value = match reader.next_token()? {
            JsonToken::End => return Ok(whole),
            JsonToken::BeginObject => {
                open.push(Open::Object(Map::new(), String::new()));
                continue;
            }
            JsonToken::BeginArray => {
                open.push(Open::List(Vec::new()));
                continue;
            }
            JsonToken::Key => {
                if let Some(Open::Object(_, key)) = open.last_mut() {
                    key.clear();
                    key.push_str(reader.text());
                }
                continue;
            }
            JsonToken::EndObject | JsonToken::EndArray => match open.pop() {
                Some(Open::Object(map, _)) => Value::Object(map),
                Some(Open::List(values)) => Value::Array(values),
                None => Value::Null,
            },
            JsonToken::String => Value::String(reader.text().to_owned()),
            JsonToken::Number => number(reader)?,
            JsonToken::Bool(flag) => Value::Bool(flag),
            JsonToken::Null => Value::Null,
        };
        match open.last_mut() {
            Some(Open::List(values)) => values.push(value),
            Some(Open::Object(map, key)) => {
                map.insert(std::mem::take(key), value);
            }
            None => whole = value,
        }
    }
}

/// A number as Python holds it: whole numbers have no bound of their own, the others are floats.
fn number(reader: &JsonReader<'_>) -> Result<Value> {
    let text = reader.text();
    if let Ok(n) = text.parse::<u64>() {
        return Ok(n.into());
    }
    if let Ok(n) = text.parse::<i64>() {
        return Ok(n.into());
    }
    let float = text.parse::<f64>().unwrap_or(f64::NAN);
    if let Some(n) = Number::from_f64(float) {
        return Ok(Value::Number(n));
    }
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.bytes().all(|b| b.is_ascii_digit()) {
        if digits.len() > MAX_DIGITS {
            return Err(reader.syntax(format!("a whole number of {} digits, more than Python reads", digits.len())));
        }
        return Ok(Value::String(text.to_owned()));
    }
    let name = match float {
        f64::INFINITY => "Infinity",
        f64::NEG_INFINITY => "-Infinity",
        _ => "NaN",
    };
    Ok(Value::String(name.to_owned()))
}

/// The error with its line and column, as editors count them.
fn placed(error: &Error, bytes: &[u8]) -> Error {
    let offset = error.offset().unwrap_or(0);
    let before = &bytes[..usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len())];
    let line_start = before.iter().rposition(|&b| b == b'\n').map_or(0, |end| end + 1);
    let line = before.iter().filter(|&&b| b == b'\n').count() + 1;
    let column = String::from_utf8_lossy(&before[line_start..]).chars().count() + 1;
    let what = error.message();
    let what = what.strip_prefix("no valid JSON: ").unwrap_or(what);
    Error::new(error.kind(), format!("not JSON: {what}, line {line} column {column}")).at(offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Python's own json read of some 400 texts; `scripts/make_python_json.py`.
    fn cases() -> Vec<(Vec<u8>, Value)> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/python_json.json");
        let file: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        let text = |case: &Value| case["text"].as_str().unwrap().as_bytes().chunks(2).map(byte).collect();
        file["cases"].as_array().unwrap().iter().map(|case| (text(case), case.clone())).collect()
    }

    /// Whether two trees say the same; numbers by their value, as the one may be written 1 and the other 1.0.
    fn same(a: &Value, b: &Value) -> bool {
        match (a, b) {
            (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
            (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
            (Value::Object(a), Value::Object(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|((k, a), (l, b))| k == l && same(a, b))
            }
            _ => a == b,
        }
    }

    #[test]
    fn reads_what_python_reads_and_nothing_else() {
        let (cases, mut exact, mut unplaced) = (cases(), 0, 0);
        for (text, case) in &cases {
            let shown = String::from_utf8_lossy(text);
            match (python_json(text), case.get("value")) {
                (Ok(read), Some(value)) => assert!(same(&read, value), "{shown:?}: {read} for {value}"),
                // The token that is at fault: where Python names a place inside it, this is its beginning.
                (Err(error), None) => match case["error"].as_u64() {
                    Some(place) => {
                        exact += usize::from(error.offset() == Some(place));
                        assert!(error.offset().is_some_and(|ours| ours <= place), "{shown:?}: {error}, Python stops at {place}");
                    }
                    None => unplaced += 1,
                },
                (Ok(read), None) => panic!("{shown:?}: read as {read}, Python stops"),
                (Err(error), Some(_)) => panic!("{shown:?}: {error}, Python reads it"),
            }
        }
        let values = cases.iter().filter(|(_, case)| case.get("value").is_some()).count();
        assert!(values > 40 && cases.len() > 300 && unplaced > 0, "{values} of {} cases are read", cases.len());
        assert!(exact * 3 > (cases.len() - values) * 2, "only {exact} errors name Python's own place");
    }

    #[test]
    fn errors_name_line_column_and_byte_of_the_text_as_it_is() {
        let error = |text: &str| python_json(text.as_bytes()).unwrap_err().to_string();
        let text = "{\"time_step_limit\": [0.0, Infinity, -Infinity],\n \"k\": \"é NaN \\ud800\", \"x\": ?}";
        assert_eq!(error(text), "not JSON: found `?` where a value belongs, line 2 column 28 (at byte 76)");
        assert_eq!(text.as_bytes()[76], b'?');
        assert!(error("\u{feff}{}").contains("byte order mark (BOM), at which Python's json stops (at byte 0)"));
        assert!(error(&"[".repeat(200)).contains("nested deeper than 128 levels, line 1 column 129"));
    }
}
