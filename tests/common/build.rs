//! Small checkpoint files for the tests, written by hand so that they can be wrong.
#![allow(dead_code)]

use std::path::Path;

/// Name, dtype, shape, offsets.
pub(crate) type Entry<'a> = (&'a str, &'a str, &'a [u64], (u64, u64));

/// A safetensors file of the entries, written exactly as given.
pub(crate) fn safetensors(tensors: &[Entry<'_>], data: &[u8]) -> Vec<u8> {
    let entries: Vec<String> = tensors
        .iter()
        .map(|(name, dtype, shape, (begin, end))| {
            let name = serde_json::to_string(name).unwrap();
            format!("{name}:{{\"dtype\":\"{dtype}\",\"shape\":{shape:?},\"data_offsets\":[{begin},{end}]}}")
        })
        .collect();
    raw(&format!("{{{}}}", entries.join(",")), data)
}

/// Tensors one after another, all of one dtype with `size` bytes an element; data of ones.
pub(crate) fn packed(tensors: &[(&str, &str, &[u64])], size: u64) -> Vec<u8> {
    let mut at = 0;
    let placed: Vec<_> = tensors
        .iter()
        .map(|(name, dtype, shape)| {
            let begin = at;
            at += shape.iter().product::<u64>() * size;
            (*name, *dtype, *shape, (begin, at))
        })
        .collect();
    safetensors(&placed, &vec![1; at as usize])
}

/// A header, padded to 8 bytes, and data.
pub(crate) fn raw(header: &str, data: &[u8]) -> Vec<u8> {
    let mut header = header.to_owned();
    while !header.len().is_multiple_of(8) {
        header.push(' ');
    }
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend_from_slice(data);
    bytes
}

/// A GGUF value.
pub(crate) enum Value<'a> {
    U16(u16),
    U32(u32),
    I32(i32),
    Bool(u8),
    Text(&'a str),
    Bytes(&'a [u8]),
    Texts(&'a [&'a str]),
    Floats(usize),
}

fn string(out: &mut Vec<u8>, text: &[u8]) {
    out.extend_from_slice(&(text.len() as u64).to_le_bytes());
    out.extend_from_slice(text);
}

/// A GGUF file: keys, tensors (name, dimensions with the contiguous one first, type, offset), alignment, data.
pub(crate) fn gguf(keys: &[(&str, Value<'_>)], tensors: &[(&str, &[u64], u32, u64)], alignment: usize, data: &[u8]) -> Vec<u8> {
    let mut out = b"GGUF".to_vec();
    out.extend_from_slice(&3u32.to_le_bytes());
    out.extend_from_slice(&(tensors.len() as u64).to_le_bytes());
    out.extend_from_slice(&(keys.len() as u64).to_le_bytes());
    for (key, value) in keys {
        string(&mut out, key.as_bytes());
        let kind = |out: &mut Vec<u8>, kind: u32| out.extend_from_slice(&kind.to_le_bytes());
        match value {
            Value::U16(n) => {
                kind(&mut out, 2);
                out.extend_from_slice(&n.to_le_bytes());
            }
            Value::U32(n) => {
                kind(&mut out, 4);
                out.extend_from_slice(&n.to_le_bytes());
            }
            Value::I32(n) => {
                kind(&mut out, 5);
                out.extend_from_slice(&n.to_le_bytes());
            }
            Value::Bool(n) => {
                kind(&mut out, 7);
                out.push(*n);
            }
            Value::Text(text) => {
                kind(&mut out, 8);
                string(&mut out, text.as_bytes());
            }
            Value::Bytes(text) => {
                kind(&mut out, 8);
                string(&mut out, text);
            }
            Value::Texts(texts) => {
                kind(&mut out, 9);
                kind(&mut out, 8);
                out.extend_from_slice(&(texts.len() as u64).to_le_bytes());
                texts.iter().for_each(|t| string(&mut out, t.as_bytes()));
            }
            Value::Floats(n) => {
                kind(&mut out, 9);
                kind(&mut out, 6);
                out.extend_from_slice(&(*n as u64).to_le_bytes());
                out.resize(out.len() + 4 * n, 0);
            }
        }
    }
    for (name, dims, dtype, offset) in tensors {
        string(&mut out, name.as_bytes());
        out.extend_from_slice(&(dims.len() as u32).to_le_bytes());
        dims.iter().for_each(|d| out.extend_from_slice(&d.to_le_bytes()));
        out.extend_from_slice(&dtype.to_le_bytes());
        out.extend_from_slice(&offset.to_le_bytes());
    }
    if !tensors.is_empty() {
        out.resize(out.len().next_multiple_of(alignment), 0);
    }
    out.extend_from_slice(data);
    out
}

/// Writes a file, with the folders above it.
pub(crate) fn put(folder: &Path, name: &str, bytes: impl AsRef<[u8]>) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}
