//! Archives and formats that are named, not opened.

use crate::audit::check::{Check, code};
use crate::audit::finding::Severity::{Note, Warning};
use crate::audit::finding::{Code, Finding, Findings};
use crate::audit::subject::Subject;
use crate::audit::zip::{Entry, directory, overlapping};
use crate::error::Result;
use crate::format::{Content, sniff};
use crate::source::{Source, read_exact_at};
use crate::text::escape_limited;

const ENTRIES: Code = code(
    "archive-entries",
    "An archive with names that lead out of it",
    Warning,
    "A zip archive holds names with `..` or absolute ones: unpacked without care they overwrite files elsewhere. Only its directory was read; nothing was extracted.",
);
const OVERLAP: Code = code(
    "archive-overlap",
    "An archive whose members share bytes",
    Warning,
    "Two entries of a zip archive's directory claim the same bytes, so that a small file unpacks to a huge one or says different things to different programs. No writer \
     of archives does that; Python's zipfile refuses such members since 3.12.2. Do not unpack it.",
);
const LAMBDA: Code = code(
    "keras-lambda",
    "A Keras model with a Lambda layer",
    Warning,
    "A Lambda layer holds Python code that runs when the model is loaded without `safe_mode`, and by-passes of that mode are known (CVE-2025-1550, CVE-2025-8747). Do not load \
     it outside a sandbox.",
);
const NOT_INSPECTED: Code = code(
    "not-inspected",
    "A file whose content was not inspected",
    Note,
    "Weights or code in a form that is named only: Keras, HDF5, ONNX, TensorFlow, archives. Nothing is said about what is in it.",
);

pub(super) const CHECK: Check = Check { name: "archives", codes: &[ENTRIES, OVERLAP, LAMBDA, NOT_INSPECTED], run };

/// Longest description of a Keras model that is looked into.
const MAX_DESCRIPTION: u64 = 16 << 20;

/// Endings of what is named only.
const NAMED: &[(&str, &str)] = &[
    ("h5", "HDF5 (Keras)"),
    ("hdf5", "HDF5 (Keras)"),
    ("keras", "Keras archive"),
    ("onnx", "ONNX"),
    ("nemo", "NeMo archive"),
    ("mar", "TorchServe archive"),
    ("tflite", "TensorFlow Lite"),
    ("pb", "TensorFlow graph"),
    ("msgpack", "Flax msgpack"),
    ("npz", "numpy archive"),
    ("mlmodel", "Core ML"),
    ("zip", "zip archive"),
    ("tar", "tar archive"),
    ("gz", "gzip archive"),
    ("tgz", "gzip archive"),
    ("bz2", "bzip2 archive"),
    ("xz", "xz archive"),
    ("zst", "zstd archive"),
    ("7z", "7-Zip archive"),
    ("rar", "rar archive"),
    ("whl", "Python package"),
    ("so", "program library"),
    ("dll", "program library"),
    ("exe", "program"),
];

/// Endings of what PyTorch saves as an archive, and of other pickles.
const OFTEN_ZIP: &[&str] = &["pt", "pth", "bin", "ckpt", "pkl", "pickle", "joblib", "dill"];

fn run(subject: &Subject<'_>, out: &mut Findings) {
    for (name, path) in subject.seen() {
        let extension = name.rsplit_once('.').map(|(_, e)| e.to_ascii_lowercase()).unwrap_or_default();
        let named = NAMED.iter().find(|(e, _)| *e == extension).map(|(_, what)| *what);
        let maybe = named.is_some() || OFTEN_ZIP.contains(&extension.as_str());
        if !maybe {
            continue;
        }
        subject.look(path, |source| {
            let is_zip = sniff(source)? == Content::Zip;
            let archive = if is_zip { directory(source)? } else { None };
            if let Some(entries) = archive {
                members(&name, &extension, source, &entries, out)?;
            } else if extension == "h5" && holds_lambda(source)? {
                out.push(Finding::new(&LAMBDA, "a Keras file with a Lambda layer, which holds code").file(&name));
            }
            Ok(())
        });
        if let Some(what) = named {
            out.push(Finding::new(&NOT_INSPECTED, format!("{what}: named only, its content was not inspected")).file(&name));
        }
    }
}

fn members(file: &str, extension: &str, source: &dyn Source, entries: &[Entry], out: &mut Findings) -> Result<()> {
    let leads_out = |name: &[u8]| {
        let text = String::from_utf8_lossy(name).replace('\\', "/");
        text.starts_with('/') || text.contains(':') || text.split('/').any(|part| part == "..")
    };
    let mut odd = entries.iter().filter(|e| leads_out(&e.name));
    if let Some(first) = odd.next() {
        let more = odd.count();
        let shown = escape_limited(&String::from_utf8_lossy(&first.name), 60);
        let message = format!("a zip archive with a name that leads out of it: `{shown}` (and {more} more); nothing was extracted");
        out.push(Finding::new(&ENTRIES, message).file(file));
    }
    if let Some(pair) = overlapping(entries) {
        let [first, second] = [pair.0, pair.1].map(|e| escape_limited(&String::from_utf8_lossy(&e.name), 60));
        let message = format!("a zip archive whose members `{first}` and `{second}` share bytes; nothing was extracted");
        out.push(Finding::new(&OVERLAP, message).file(file).help("do not unpack it"));
    }
    if extension == "keras" {
        let config = entries.iter().find(|e| e.name == b"config.json");
        if let Some((start, end)) = config.map(|e| e.stored(source)).transpose()?.flatten()
            && has_lambda(&head(source, start, end.min(start.saturating_add(MAX_DESCRIPTION)))?)
        {
            out.push(Finding::new(&LAMBDA, "a Keras archive with a Lambda layer, which holds code").file(file));
        }
    }
    Ok(())
}

fn has_lambda(bytes: &[u8]) -> bool {
    bytes.windows(8).any(|w| w == b"\"Lambda\"")
}

/// Whether the first MiBs of an HDF5 file, where Keras puts the model's description, name a Lambda layer.
fn holds_lambda(source: &dyn Source) -> Result<bool> {
    Ok(has_lambda(&head(source, 0, source.len().min(4 << 20))?))
}

fn head(source: &dyn Source, start: u64, end: u64) -> Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(end.saturating_sub(start)).unwrap_or(0)];
    read_exact_at(source, start, &mut bytes)?;
    Ok(bytes)
}
