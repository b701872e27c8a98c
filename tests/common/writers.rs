//! Small checkpoints for the tests. Safetensors files are written by the reference library, GGUF files by hand from the
//! specification (version 3, alignment 32).

use std::path::Path;

use safetensors::tensor::{Dtype, TensorView, serialize};

/// Writes a safetensors file of F32 tensors, all ones; makes its folder.
pub(crate) fn safetensors(path: &Path, tensors: &[(&str, &[usize])]) {
    let data: Vec<Vec<u8>> = tensors.iter().map(|(_, shape)| ones(shape.iter().product())).collect();
    let views = tensors
        .iter()
        .zip(&data)
        .map(|((name, shape), data)| ((*name).to_owned(), TensorView::new(Dtype::F32, shape.to_vec(), data).unwrap()));
    put(path, &serialize(views, None).unwrap());
}

/// Writes a GGUF file of F32 tensors of one dimension, all ones; makes its folder.
pub(crate) fn gguf(path: &Path, keys: &[(&str, &str)], tensors: &[(&str, u64)]) {
    let mut bytes = b"GGUF".to_vec();
    bytes.extend(3u32.to_le_bytes());
    bytes.extend((tensors.len() as u64).to_le_bytes());
    bytes.extend((keys.len() as u64).to_le_bytes());
    for (key, value) in keys {
        text(&mut bytes, key);
        bytes.extend(8u32.to_le_bytes()); // a string
        text(&mut bytes, value);
    }
    let mut data = Vec::new();
    for (name, elements) in tensors {
        text(&mut bytes, name);
        bytes.extend(1u32.to_le_bytes()); // dimensions
        bytes.extend(elements.to_le_bytes());
        bytes.extend(0u32.to_le_bytes()); // F32
        bytes.extend((data.len() as u64).to_le_bytes());
        data.extend(ones(*elements as usize));
        data.resize(data.len().next_multiple_of(32), 0);
    }
    bytes.resize(bytes.len().next_multiple_of(32), 0);
    bytes.extend(data);
    put(path, &bytes);
}

/// Writes a file and makes its folder.
pub(crate) fn put(path: &Path, bytes: &[u8]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

fn ones(elements: usize) -> Vec<u8> {
    1f32.to_le_bytes().repeat(elements)
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}
