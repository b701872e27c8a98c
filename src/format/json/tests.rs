//! The grammar beside serde_json, offsets, and bounds.

use super::*;
use crate::source::MemorySource;

/// All tokens, or the error's message.
fn tokens(text: &str) -> std::result::Result<Vec<String>, String> {
    let source = MemorySource::new("test", text.as_bytes().to_vec());
    let mut reader = JsonReader::new(HeaderReader::new(&source, 0, u64::MAX));
    let mut out = Vec::new();
    loop {
        match reader.next_token().map_err(|e| e.message().to_owned())? {
            JsonToken::End => return Ok(out),
            token @ (JsonToken::Key | JsonToken::String | JsonToken::Number) => out.push(format!("{token:?} {}", reader.text())),
            token => out.push(format!("{token:?}")),
        }
    }
}

#[test]
fn agrees_with_serde_json_on_what_is_json() {
    let cases = [
        "{}",
        "[]",
        " [ 1 , -2.5e+3 , \"a\\u00e9\\ud83d\\ude00\" , true , false , null ] ",
        "{\"a\":{\"b\":[]},\"c\":[{}]}",
        "0",
        "\"\"",
        "-0",
        "",
        "{",
        "[1,]",
        "{\"a\":1,}",
        "{,}",
        "[01]",
        "[1.]",
        "[.5]",
        "[+1]",
        "[1e]",
        "[-]",
        "{\"a\" 1}",
        "{a:1}",
        "[1 2]",
        "{} {}",
        "[\"\\x\"]",
        "[\"\\ud800\"]",
        "[\"\\udc00\"]",
        "[\"\\ud800\\u0041\"]",
        "[\"a\nb\"]",
        "[tru]",
        "[nul",
        "]",
        "[}",
        "{]",
        "{\"a\":}",
        "\u{feff}{}",
        "[1]//x",
        "{\"a\":1 \"b\":2}",
        "[,1]",
        "nullx",
        "[\"\\u12g4\"]",
    ];
    for case in cases {
        let reference = serde_json::from_str::<serde_json::Value>(case).is_ok();
        assert_eq!(tokens(case).is_ok(), reference, "{case:?}: {:?}", tokens(case));
    }
}

#[test]
fn escapes_are_decoded_and_offsets_kept() {
    let source = MemorySource::new("test", br#" {"k\n" : "\u00e9\ud83d\ude00"}"#.to_vec());
    let mut reader = JsonReader::new(HeaderReader::new(&source, 0, u64::MAX));
    assert_eq!(reader.next_token().unwrap(), JsonToken::BeginObject);
    assert_eq!(reader.next_token().unwrap(), JsonToken::Key);
    assert_eq!((reader.text(), reader.token_offset()), ("k\n", 2));
    assert_eq!(reader.next_token().unwrap(), JsonToken::String);
    assert_eq!((reader.text(), reader.token_offset()), ("é😀", 10));
}

#[test]
fn depth_is_bounded() {
    let deep = "[".repeat(MAX_JSON_DEPTH + 1);
    assert!(tokens(&deep).unwrap_err().contains("nested deeper"));
}

#[test]
fn a_window_boundary_inside_any_token_changes_nothing() {
    let long = "x".repeat(crate::format::limits::HEADER_WINDOW - 3);
    let text = format!("[\"{long}\",\"\\u00e9\",12345,true,null]");
    let got = tokens(&text).unwrap();
    assert_eq!(&got[2..6], ["String é", "Number 12345", "Bool(true)", "Null"]);
}
