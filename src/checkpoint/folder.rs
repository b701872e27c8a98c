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
    ("trt", "TensorRT engine"),
    ("plan", "TensorRT engine"),
    ("uff", "TensorRT UFF"),
    ("ggml", "ggml from before GGUF"),
    ("ggjt", "ggml from before GGUF"),
    ("llamafile", "llamafile: a program with its weights inside"),
    ("npy", "numpy array"),
    ("torchscript", "TorchScript archive"),
    ("jit", "TorchScript archive"),
    ("ptl", "TorchScript archive"),
    ("pte", "ExecuTorch program"),
    ("pdparams", "PaddlePaddle pickle: loading it can run code"),
    ("pdiparams", "PaddlePaddle weights"),
    ("pdopt", "PaddlePaddle pickle: loading it can run code"),
    ("pdmodel", "PaddlePaddle model"),
    ("params", "MXNet weights"),
    ("caffemodel", "Caffe weights"),
    ("orbax", "Orbax checkpoint"),
    ("ocdbt", "Orbax checkpoint"),
    ("zarr", "Zarr array"),
    ("hdf5", "HDF5 (Keras)"),
    ("mnn", "MNN model"),
    ("rknn", "RKNN model"),
    ("hef", "Hailo model"),
    ("dlc", "Qualcomm model"),
    ("om", "Ascend model"),
    ("litertlm", "LiteRT-LM bundle"),
    ("task", "MediaPipe bundle"),
    ("nnue", "NNUE weights"),
];

/// Names that are told by more than their ending, as they end, and why they are not read.
const NAMES: &[(&str, &str)] = &[
    (".onnx.data", "ONNX external data"),
    (".onnx_data_", "ONNX external data"),
    ("/.metadata", "index of a PyTorch distributed checkpoint: loading it can run code"),
    (".mnn.weight", "MNN weights"),
];

/// Why a file is not read that is a piece, or a packed copy, of one that would be: `model.gguf.part1of2`, `model.gguf-split-a`,
/// `model.safetensors.zst`; or a piece of TensorFlow's.
fn piece(place: &str) -> Option<&'static str> {
    const PACKED: [&str; 8] = ["gz", "zst", "zip", "xz", "bz2", "7z", "tar", "lz4"];
    let base = place.rsplit('/').next().unwrap_or(place);
    for format in [".gguf", ".safetensors"] {
        let Some((_, rest)) = base.rsplit_once(format).filter(|(_, rest)| !rest.is_empty()) else { continue };
        let rest = rest.trim_start_matches(['.', '-', '_']);
        if PACKED.contains(&rest) {
            return Some("a packed copy of weights");
        }
        let counted = rest.strip_prefix("part").or_else(|| rest.strip_prefix("split")).or_else(|| rest.strip_prefix("chunk"));
        let cut = counted.is_some_and(|rest| !rest.is_empty()) || rest.bytes().all(|b| b.is_ascii_digit());
        // `split` of coreutils names its pieces `aa`, `ab`.
        if cut || (rest.len() == 2 && rest.starts_with('a') && rest.bytes().all(|b| b.is_ascii_lowercase())) {
            return Some("a piece of a file: join the pieces to have it read");
        }
    }
    let numbered = base.rsplit_once("-of-").is_some_and(|(_, count)| count.len() == 5 && count.bytes().all(|b| b.is_ascii_digit()));
    if base.contains(".data-") && numbered {
        return Some("TensorFlow weights");
    }
    let bundle = [".mlpackage/", ".mlmodelc/"].iter().any(|folder| place.contains(folder));
    (bundle && base.ends_with(".bin")).then_some("Core ML weights")
}

/// The reason of the names and endings alone.
fn reason_of(name: &str) -> Option<&'static str> {
    let place = format!("/{}", name.to_ascii_lowercase());
    let extension = place.rsplit_once('.').map(|(_, e)| e).unwrap_or_default();
    let named =
        NAMES.iter().find(|(end, _)| place.trim_end_matches(|c: char| c.is_ascii_digit()).ends_with(end) || place.ends_with(end));
    piece(&place).or_else(|| named.or_else(|| OTHERS.iter().find(|(e, _)| *e == extension)).map(|(_, reason)| *reason))
}

/// Bytes from which a `.bin` of unknown content is named: those of text tables and small states are not weights.
const LARGE: u64 = 1 << 20;

/// Whether a file's ending says that it holds weights in a form that is not read.
pub(super) fn is_other_weight_file(name: &str) -> bool {
    reason_of(name).is_some()
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
                Ok(reason) => {
                    let xml = format!("{}.xml", file.name.strip_suffix(".bin").unwrap_or(&file.name));
                    let beside = |name: &str| files.binary_search_by(|other| other.name.as_str().cmp(name)).is_ok();
                    let openvino = || beside(&xml).then_some("OpenVINO weights");
                    let large = || (file.bytes >= LARGE).then_some("binary file of a form that is not known");
                    reason.or_else(openvino).or_else(|| reason_of(&file.name)).or_else(large)
                }
                Err(error) => {
                    problems.push(error);
                    continue;
                }
            },
            _ => reason_of(&file.name),
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

#[cfg(test)]
mod tests {
    use super::is_other_weight_file;

    #[test]
    fn weights_that_are_not_read_are_known_by_their_names() {
        for name in [
            "onnx/model.onnx_data",
            "model.onnx.data",
            "model.onnx_data_1",
            "dcp/__0_0.distcp",
            ".metadata",
            "x/.metadata",
            "model.pt2",
            "rank0.engine",
            "model.plan",
            "arr.npy",
            "w.npz",
            "old.ggml",
            "m.llamafile",
            "big.gguf.part1of2",
            "big.gguf-split-a",
            "big.Q6_K.gguf.part-b",
            "big.gguf.001",
            "x.safetensors.ab",
            "model.safetensors.zst",
            "variables/variables.data-00000-of-00001",
            "m.mlpackage/Data/com.apple.CoreML/weights/weight.bin",
            "tf_model.h5",
            "flax_model.msgpack",
            "zero_pp_rank_0_mp_rank_00_model_states.pt",
        ] {
            assert!(is_other_weight_file(name), "{name}");
        }
        for name in [
            "README.md",
            "config.json",
            "model.safetensors.index.json",
            "tokenizer.model",
            "vocab.txt",
            "notes.metadata",
            "x.gguf.md",
        ] {
            assert!(!is_other_weight_file(name), "{name}");
        }
    }
}
