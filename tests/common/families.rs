// The folders of `fixtures/families`, made again from their records: files as they were, weights as headers with a stated length.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

/// The records, by name.
pub(crate) fn records() -> Vec<(String, Value)> {
    let mut records: Vec<(String, Value)> = std::fs::read_dir(root().join("records"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap())
        })
        .collect();
    records.sort_by(|a, b| a.0.cmp(&b.0));
    records
}

fn root() -> PathBuf {
    // The records of a run of the script that are not yet kept can be tried too.
    std::env::var_os("WEIGH_FAMILIES")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/families"), PathBuf::from)
}

/// Makes the folder of a record; gives its path.
pub(crate) fn recreate(name: &str, record: &Value, into: &Path) -> PathBuf {
    let folder = into.join(name);
    std::fs::create_dir_all(&folder).unwrap();
    if let Some(kind) = record["tokenizer"].as_str() {
        for entry in std::fs::read_dir(root().join("tokenizers").join(kind)).unwrap() {
            let path = entry.unwrap().path();
            let file = path.file_name().unwrap().to_str().unwrap();
            if record["without"].as_array().is_none_or(|w| w.iter().all(|name| name != file)) {
                std::fs::copy(&path, folder.join(file)).unwrap();
            }
        }
    }
    for (name, content) in record["files"].as_object().unwrap() {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        match content {
            Value::String(text) => std::fs::write(path, text).unwrap(),
            value => std::fs::write(path, value.to_string()).unwrap(),
        }
    }
    for (name, source) in record["sources"].as_object().unwrap() {
        write_head(&folder.join(name), source);
    }
    folder
}

/// A safetensors file without its data.
fn write_head(path: &Path, source: &Value) {
    let mut header = Map::new();
    if !source["metadata"].is_null() {
        header.insert("__metadata__".to_owned(), source["metadata"].clone());
    }
    let mut at = 0;
    for row in source["tensors"].as_array().unwrap() {
        let width = match row[1].as_str().unwrap() {
            "I64" => 8,
            "F32" | "I32" => 4,
            "F16" | "BF16" => 2,
            "F8_E4M3" | "I8" | "U8" => 1,
            other => panic!("{other}"),
        };
        let end = at + row[2].as_array().unwrap().iter().fold(width, |n, d| n * d.as_u64().unwrap());
        let info = serde_json::json!({"dtype": row[1], "shape": row[2], "data_offsets": [at, end]});
        header.insert(row[0].as_str().unwrap().to_owned(), info);
        at = end;
    }
    let mut text = Value::Object(header).to_string().into_bytes();
    text.resize(text.len().next_multiple_of(8), b' ');
    let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
    bytes.extend(text);
    std::fs::write(path, &bytes).unwrap();
    std::fs::OpenOptions::new().write(true).open(path).unwrap().set_len(bytes.len() as u64 + at).unwrap();
}
