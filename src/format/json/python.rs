//! JSON files that Python's `json` reads (config.json and all that lies beside it), as a tree.
//!
//! Source: CPython ([`crate::pins::CPYTHON`]), `Lib/json/decoder.py` and `Modules/_json.c`. Beyond RFC 8259 Python takes `NaN`,
//! `Infinity` and `-Infinity`, numbers that overflow to an infinity, halves of surrogate pairs, and of a key that stands twice the
//! last value. It refuses a byte order mark before the text, and whole numbers of more than 4,300 digits.

use serde_json::{Map, Number, Value};

use super::charge::Charge;
use super::{JsonReader, JsonToken};
use crate::error::{Error, ErrorKind, Result};
use crate::format::Budget;
use crate::format::reader::HeaderReader;
use crate::source::MemorySource;

/// The byte order mark of UTF-8, at which Python's `json` stops.
pub(crate) const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// `sys.int_info.default_max_str_digits`: a whole number of more digits is an error to Python.
const MAX_DIGITS: usize = 4300;

/// Reads the text of a file as Python does, as a tree whose memory is drawn from `budget`. Numbers that no [`Number`] holds stand as text,
/// so that whoever wants a number finds none and says so: `NaN`, `Infinity`, `-Infinity`, and the digits of a whole number beyond
/// every float.
///
/// # Errors
/// [`ErrorKind::Malformed`] with the place in the text where Python would stop, or where it is nested deeper than
/// [`crate::format::limits::MAX_CONFIG_DEPTH`]; [`ErrorKind::Limit`] for a tree larger than [`crate::format::limits::MAX_JSON_TREE`] or than what
/// the budget has left. The error names no file.
pub(crate) fn python_json(bytes: &[u8], budget: &Budget) -> Result<Value> {
    read(bytes, budget, None)
}

/// As [`python_json`], of a text that may begin with a byte order mark, and whether it does.
///
/// # Errors
/// As [`python_json`].
pub(crate) fn python_json_past_mark(bytes: &[u8], budget: &Budget) -> Result<(Value, bool)> {
    let rest = bytes.strip_prefix(BYTE_ORDER_MARK);
    Ok((python_json(rest.unwrap_or(bytes), budget)?, rest.is_some()))
}

/// Reads a whole text and keeps the members of these names, at any depth, each with its name and in their order; what stands inside of one
/// that is kept is not listed again.
///
/// # Errors
/// As [`python_json`].
pub(crate) fn python_json_members(bytes: &[u8], names: &[&str], budget: &Budget) -> Result<Vec<(String, Value)>> {
    let mut found = Vec::new();
    read(bytes, budget, Some(Wanted { names, found: &mut found, next: None }))?;
    Ok(found)
}

/// The members that are kept where the whole is not.
struct Wanted<'w> {
    names: &'w [&'w str],
    found: &'w mut Vec<(String, Value)>,
    /// The name of the one whose value is read next, or now.
    next: Option<String>,
}

/// The one place where the text of such a file becomes a tree.
fn read(bytes: &[u8], budget: &Budget, wanted: Option<Wanted<'_>>) -> Result<Value> {
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
    let charge = Charge::new(budget);
    let read = tree(&mut reader, &charge, wanted);
    match read {
        Ok(value) => {
            charge.keep();
            Ok(value)
        }
        Err(error) => Err(charge.over().unwrap_or_else(|| placed(&error, bytes))),
    }
}

/// A list or an object whose end has not come.
enum Open {
    List(Vec<Value>),
    /// With the key that waits for its value.
    Object(Map<String, Value>, String),
    /// What is not kept.
    Skipped,
}

fn tree(reader: &mut JsonReader<'_>, charge: &Charge<'_>, mut wanted: Option<Wanted<'_>>) -> Result<Value> {
    let mut open: Vec<Open> = Vec::new();
    let mut whole = Value::Null;
    loop {
        // Whether what comes next is kept: part of what is, or what is asked for.
        let kept = match (open.last(), &wanted) {
            (Some(Open::List(_) | Open::Object(..)), _) | (_, None) => true,
            (_, Some(wanted)) => wanted.next.is_some(),
        };
        let value = match reader.next_token()? {
            JsonToken::End => return Ok(whole),
            JsonToken::BeginObject => {
                open.push(if kept { Open::Object(Map::new(), String::new()) } else { Open::Skipped });
                continue;
            }
            JsonToken::BeginArray => {
                open.push(if kept { Open::List(Vec::new()) } else { Open::Skipped });
                continue;
            }
            JsonToken::Key => {
                if let Some(Open::Object(map, key)) = open.last_mut() {
                    key.clear();
                    key.push_str(reader.text());
                    charge.text(key.len())?;
                    charge.entry(map.len())?;
                } else if let Some(wanted) = &mut wanted {
                    wanted.next = wanted.names.contains(&reader.text()).then(|| reader.text().to_owned());
                }
                continue;
            }
            JsonToken::EndObject | JsonToken::EndArray => match open.pop() {
                Some(Open::Object(map, _)) => Value::Object(map),
                Some(Open::List(mut values)) => {
                    values.shrink_to_fit();
                    Value::Array(values)
                }
                Some(Open::Skipped) | None => continue,
            },
            _ if !kept => continue,
            JsonToken::String => {
                charge.text(reader.text().len())?;
                Value::String(reader.text().to_owned())
            }
            JsonToken::Number => number(reader)?,
            JsonToken::Bool(flag) => Value::Bool(flag),
            JsonToken::Null => Value::Null,
        };
        match (open.last_mut(), &mut wanted) {
            (Some(Open::List(values)), _) => {
                charge.element(values.len())?;
                values.push(value);
            }
            (Some(Open::Object(map, key)), _) => {
                map.insert(std::mem::take(key), value);
            }
            (_, Some(wanted)) => {
                if let Some(name) = wanted.next.take() {
                    charge.element(wanted.found.len())?;
                    charge.text(name.len())?;
                    wanted.found.push((name, value));
                }
            }
            (_, None) => whole = value,
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
    Error::new(ErrorKind::Malformed, format!("not JSON: {what}, line {line} column {column}")).at(offset)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::limits::MAX_JSON_TREE;

    fn ample() -> Budget {
        Budget::new(4 * MAX_JSON_TREE)
    }

    fn python_json(bytes: &[u8]) -> Result<Value> {
        super::python_json(bytes, &ample())
    }

    /// What Python's own json read of some 400 texts; `scripts/truth/make_python_json.py`.
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

    #[test]
    fn members_are_taken_and_the_rest_is_still_checked() {
        let read = |text: &str| python_json_members(text.as_bytes(), &["a", "c"], &ample());
        let one = |name: &str, value: Value| (name.to_owned(), value);
        let [list, two, map] = [serde_json::json!([1]), serde_json::json!(2), serde_json::json!({"d": 3, "a": 1})];
        let expected = [one("a", list), one("c", two), one("c", map)];
        assert_eq!(read(r#"{"a": [1], "b": {"x": [{"c": 2, "e": [[], {}]}]}, "c": {"d": 3, "a": 1}}"#).unwrap(), expected);
        for text in ["[1, [2], {\"b\": 2}]", "1", "-1", "1.5", "null", "true", "\"a\""] {
            assert_eq!(read(text).unwrap(), [], "{text}");
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
            let error = super::python_json(unit(text).as_bytes(), &budget).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Limit, "{text}");
            assert!(error.message().contains("32 MiB"), "{}", error.message());
            assert!(budget.take(2 * MAX_JSON_TREE), "{text}");
        }
        let keys: String = (0..700_000).map(|i| format!("\"{i}\":0,")).collect();
        assert_eq!(super::python_json(format!("{{{keys}\"\":0}}").as_bytes(), &ample()).unwrap_err().kind(), ErrorKind::Limit);
        // Skipped members cost nothing.
        let text = format!("{{\"pad\":{},\"a\":1}}", unit("{\"\":0},"));
        assert_eq!(python_json_members(text.as_bytes(), &["a"], &ample()).unwrap(), [("a".to_owned(), 1.into())]);
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
        assert!(super::python_json(text.as_bytes(), &budget).is_ok());
        let error = super::python_json(text.as_bytes(), &budget).unwrap_err();
        assert!(error.kind() == ErrorKind::Limit && error.message().contains("together"), "{}", error.message());
        assert!(budget.take(MAX_JSON_TREE / 4));
    }
}
