//! GGUF files made again from the models of `fixtures/memory`: whole headers, and tensor data that takes no room on the disk.
#![allow(unreachable_pub, dead_code)]
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::Value;
use weighbridge::dtype::Dtype;
use weighbridge::units::Elements;

/// A file of `fixtures/memory`.
pub(crate) fn record(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/memory").join(name);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// A model of `models.json`, its tensors unfolded.
pub(crate) struct Model {
    pub keys: Vec<(String, Value)>,
    pub tensors: Vec<(String, u64, Vec<u64>)>,
}

impl Model {
    pub(crate) fn of(row: &Value) -> Self {
        let keys = row["keys"].as_object().unwrap().iter().map(|(k, v)| (k.clone(), v.clone())).collect();
        let mut tensors = Vec::new();
        for t in row["tensors"].as_array().unwrap() {
            let (name, kind) = (t[0].as_str().unwrap(), t[1].as_u64().unwrap());
            let shape: Vec<u64> = t[2].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).collect();
            let ranges = t[3].as_array().unwrap();
            if ranges.is_empty() {
                tensors.push((name.to_owned(), kind, shape.clone()));
            }
            for range in ranges {
                for block in range[0].as_u64().unwrap()..=range[1].as_u64().unwrap() {
                    tensors.push((name.replacen('*', &block.to_string(), 1), kind, shape.clone()));
                }
            }
        }
        Self { keys, tensors }
    }

    /// Sets a key, or takes it out with `null`.
    pub(crate) fn set(&mut self, key: &str, value: Value) {
        self.keys.retain(|(k, _)| k != key);
        if !value.is_null() {
            self.keys.push((key.to_owned(), value));
        }
    }

    /// Writes it, sparse.
    pub(crate) fn write(&self, path: &Path) {
        let mut out = b"GGUF".to_vec();
        out.extend(3u32.to_le_bytes());
        out.extend((self.tensors.len() as u64).to_le_bytes());
        out.extend((self.keys.len() as u64).to_le_bytes());
        for (key, value) in &self.keys {
            put_value(&mut out, key, value);
        }
        let mut offset = 0u64;
        for (name, kind, shape) in &self.tensors {
            put_text(&mut out, name);
            out.extend((shape.len() as u32).to_le_bytes());
            shape.iter().for_each(|n| out.extend(n.to_le_bytes()));
            out.extend((*kind as u32).to_le_bytes());
            out.extend(offset.to_le_bytes());
            let dtype = Dtype::ALL.iter().find(|d| d.info().unwrap().ggml_id == Some(*kind as u32)).unwrap();
            offset += dtype.bytes_of(Elements(shape.iter().product())).unwrap().0.next_multiple_of(32);
        }
        out.resize(out.len().next_multiple_of(32), 0);
        let mut file = File::create(path).unwrap();
        file.write_all(&out).unwrap();
        file.set_len(out.len() as u64 + offset).unwrap();
    }
}

/// Every model, as files in a folder.
pub(crate) fn models(folder: &Path) -> BTreeMap<String, PathBuf> {
    let record = record("models.json");
    let rows = record.as_object().unwrap();
    rows.iter()
        .map(|(name, row)| {
            let path = folder.join(format!("{name}.gguf"));
            Model::of(row).write(&path);
            (name.clone(), path)
        })
        .collect()
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

fn put_value(out: &mut Vec<u8>, key: &str, value: &Value) {
    if key == "tokens" {
        put_text(out, "tokenizer.ggml.tokens");
        out.extend(9u32.to_le_bytes());
        out.extend(8u32.to_le_bytes());
        let n = value.as_u64().unwrap();
        out.extend(n.to_le_bytes());
        out.resize(out.len() + 8 * n as usize, 0);
        return;
    }
    put_text(out, key);
    match value {
        Value::String(text) => {
            out.extend(8u32.to_le_bytes());
            put_text(out, text);
        }
        Value::Bool(flag) => out.extend([7, 0, 0, 0, u8::from(*flag)]),
        Value::Array(values) => {
            out.extend(9u32.to_le_bytes());
            // Truth values, whole numbers or floats.
            let kind =
                if values.iter().all(Value::is_boolean) { 7u32 } else { 12 - 8 * u32::from(values.iter().all(Value::is_u64)) };
            out.extend(kind.to_le_bytes());
            out.extend((values.len() as u64).to_le_bytes());
            for value in values {
                match value {
                    Value::Bool(flag) => out.push(u8::from(*flag)),
                    n if kind == 4 => out.extend((n.as_u64().unwrap() as u32).to_le_bytes()),
                    n => out.extend(n.as_f64().unwrap().to_le_bytes()),
                }
            }
        }
        Value::Number(n) if n.is_u64() => {
            out.extend(10u32.to_le_bytes());
            out.extend(n.as_u64().unwrap().to_le_bytes());
        }
        Value::Number(n) => {
            out.extend(12u32.to_le_bytes());
            out.extend(n.as_f64().unwrap().to_le_bytes());
        }
        other => panic!("{key}: {other}"),
    }
}
