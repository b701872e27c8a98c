//! Weights in a folder that are not read: named with their bytes, never loaded.

use super::UnreadFile;
use super::boundary::FoundFile;
use crate::error::{Error, ErrorKind, Result};
use crate::format::{Content, FORMATS, sniff};

/// Whether a file's ending says that one of our readers reads it.
pub(super) fn is_weight_file(name: &str) -> bool {
    let extension = name.rsplit_once('.').map(|(_, e)| e.to_ascii_lowercase()).unwrap_or_default();
    FORMATS.iter().any(|row| row.extensions.contains(&extension.as_str()))
}

/// Endings of other weight files, and why they are not read.
const OTHERS: &[(&str, &str)] = &[
    ("pt", "PyTorch pickle: loading it can run code"),
    ("pth", "PyTorch pickle: loading it can run code"),
    ("ckpt", "PyTorch pickle: loading it can run code"),
    ("pkl", "pickle: loading it can run code"),
    ("pickle", "pickle: loading it can run code"),
    ("joblib", "pickle: loading it can run code"),
    ("h5", "HDF5 (Keras)"),
    ("keras", "Keras archive"),
    ("distcp", "piece of a PyTorch distributed checkpoint: loading it can run code"),
    ("pt2", "PyTorch export archive"),
    ("onnx", "ONNX"),
    ("onnx_data", "ONNX external data"),
    ("msgpack", "Flax msgpack"),
    ("tflite", "TensorFlow Lite"),
    ("pb", "TensorFlow graph"),
    ("ot", "tch/rust-bert pickle"),
    ("npz", "numpy archive"),
    ("nemo", "NeMo archive"),
    ("mar", "TorchServe archive"),
    ("mlmodel", "Core ML"),
    ("engine", "TensorRT engine"),
    ("ggml", "ggml from before GGUF"),
];

/// Names that are told by more than their ending, as they end, and why they are not read.
const NAMES: &[(&str, &str)] =
    &[(".onnx.data", "ONNX external data"), ("/.metadata", "index of a PyTorch distributed checkpoint: loading it can run code")];

/// Whether a file's ending says that it holds weights in a form that is not read.
pub(super) fn is_other_weight_file(name: &str) -> bool {
    let extension = name.rsplit_once('.').map(|(_, e)| e.to_ascii_lowercase()).unwrap_or_default();
    OTHERS.iter().any(|(other, _)| *other == extension) || NAMES.iter().any(|(end, _)| name.ends_with(end))
}

/// The weight files among `files` that are not read, in name order. Partial downloads are problems.
pub(super) fn unread_weights(files: &[FoundFile], problems: &mut Vec<Error>) -> Vec<UnreadFile> {
    let mut unread = Vec::new();
    for file in files {
        let extension = file.name.rsplit_once('.').map(|(_, e)| e.to_ascii_lowercase()).unwrap_or_default();
        let reason = match extension.as_str() {
            "incomplete" | "part" | "crdownload" | "aria2" => {
                problems.push(
                    Error::new(
                        ErrorKind::PartialDownload,
                        format!("a partial (.incomplete) download ({} bytes so far)", file.bytes),
                    )
                    .with_path(&file.path)
                    .help("finish the download"),
                );
                continue;
            }
            // The ending says nothing: tokenizers and training arguments are .bin too.
            "bin" => match pickle_reason(file) {
                Ok(reason) => reason,
                Err(error) => {
                    problems.push(error);
                    continue;
                }
            },
            _ => {
                let place = format!("/{}", file.name.to_ascii_lowercase());
                let named = NAMES.iter().find(|(end, _)| place.ends_with(end));
                named.or_else(|| OTHERS.iter().find(|(e, _)| *e == extension)).map(|(_, reason)| *reason)
            }
        };
        if let Some(reason) = reason {
            unread.push(UnreadFile { name: file.name.clone(), bytes: file.bytes, reason: reason.to_owned() });
        }
    }
    unread
}

fn pickle_reason(file: &FoundFile) -> Result<Option<&'static str>> {
    let source = file.open()?;
    Ok(match source.read_whole(|source| sniff(source))? {
        Content::Zip | Content::Pickle => Some("PyTorch pickle: loading it can run code"),
        Content::LfsPointer { .. } => Some("git-lfs pointer: the file itself was not fetched"),
        Content::OldGgml => Some("ggml from before GGUF"),
        _ => None,
    })
}
