//! Archives and formats that are named, not opened.

use super::super::Severity::{Note, Warning};
use super::super::finding::{Code, Finding, Findings};
use super::super::subject::Subject;
use super::{Check, code};
use crate::error::{Error, ErrorKind, Result};
use crate::format::{Content, sniff};
use crate::source::{FileSource, Source, read_exact_at};
use crate::text::escape_limited;

const ENTRIES: Code = code(
    "archive-entries",
    "An archive with names that lead out of it",
    Warning,
    "A zip archive holds names with `..` or absolute ones: unpacked without care they overwrite files elsewhere. Only its directory was read; nothing was extracted.",
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

pub(super) const CHECK: Check = Check { name: "archives", codes: &[ENTRIES, LAMBDA, NOT_INSPECTED], run };

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

/// One entry of a zip directory.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) name: Vec<u8>,
    pub(super) size: u64,
    pub(super) packed: u64,
    method: u16,
    offset: u64,
}

/// The directory of a zip archive.
#[derive(Debug, Clone, Default)]
pub(super) struct Archive {
    pub(super) entries: Vec<Entry>,
}

/// The end record and the longest comment.
const TAIL: u64 = 22 + 65_535;
/// Most bytes of a directory that are read: half a million entries of PyTorch's.
const MAX_DIRECTORY: u64 = 32 << 20;
/// Longest stored member that is looked into.
const MAX_MEMBER: u64 = 16 << 20;

/// Reads the central directory of a zip archive, bounded; never a member.
pub(super) fn read_archive(source: &dyn Source) -> Result<Archive> {
    let bad = || Error::new(ErrorKind::Malformed, "no readable zip directory").with_path(source.path());
    let len = source.len();
    let tail_len = len.min(TAIL);
    let mut tail = vec![0; usize::try_from(tail_len).map_err(|_| bad())?];
    read_exact_at(source, len - tail_len, &mut tail)?;
    let end = tail.windows(4).rposition(|w| w == b"PK\x05\x06").ok_or_else(bad)?;
    let u32_at = |at: usize| tail.get(at..at + 4).and_then(|b| b.try_into().ok()).map(u32::from_le_bytes).ok_or_else(bad);
    let (size, start) = (u64::from(u32_at(end + 12)?), u64::from(u32_at(end + 16)?));
    if size > MAX_DIRECTORY || start.checked_add(size).is_none_or(|e| e > len) {
        return Err(bad());
    }
    let mut directory = vec![0; usize::try_from(size).map_err(|_| bad())?];
    read_exact_at(source, start, &mut directory)?;
    Ok(Archive { entries: entries(&directory) })
}

fn entries(mut bytes: &[u8]) -> Vec<Entry> {
    let mut out = Vec::new();
    while bytes.len() >= 46 && bytes.starts_with(b"PK\x01\x02") {
        let u16_at = |at: usize| usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]));
        let u32_at = |at: usize| u64::from(u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]));
        let (name, extra, comment) = (u16_at(28), u16_at(30), u16_at(32));
        let Some(name_bytes) = bytes.get(46..46 + name) else { break };
        out.push(Entry {
            name: name_bytes.to_vec(),
            size: u32_at(24),
            packed: u32_at(20),
            method: u16::from_le_bytes([bytes[10], bytes[11]]),
            offset: u32_at(42),
        });
        let Some(rest) = bytes.get(46 + name + extra + comment..) else { break };
        bytes = rest;
    }
    out
}

/// The bytes of a stored (not compressed) member.
fn stored(source: &dyn Source, entry: &Entry) -> Option<Vec<u8>> {
    if entry.method != 0 || entry.size > MAX_MEMBER {
        return None;
    }
    let mut head = [0; 30];
    read_exact_at(source, entry.offset, &mut head).ok()?;
    let skip = u64::from(u16::from_le_bytes([head[26], head[27]])) + u64::from(u16::from_le_bytes([head[28], head[29]]));
    let mut bytes = vec![0; usize::try_from(entry.size).ok()?];
    read_exact_at(source, entry.offset.checked_add(30 + skip)?, &mut bytes).ok()?;
    Some(bytes)
}

fn run(subject: &Subject<'_>, out: &mut Findings) {
    for file in subject.listed() {
        let extension = file.name.rsplit_once('.').map(|(_, e)| e.to_ascii_lowercase()).unwrap_or_default();
        let named = NAMED.iter().find(|(e, _)| *e == extension).map(|(_, what)| *what);
        let maybe = named.is_some() || matches!(extension.as_str(), "pt" | "pth" | "bin" | "ckpt");
        let Some(source) = maybe.then(|| FileSource::open(&file.path).ok()).flatten() else { continue };
        let zip = matches!(sniff(&source), Ok(Content::Zip));
        if let (true, Ok(archive)) = (zip, read_archive(&source)) {
            members(&file.name, &extension, &source, &archive, out);
        } else if extension == "h5" && holds_lambda(&source) {
            out.push(Finding::new(&LAMBDA, "a Keras file with a Lambda layer, which holds code").file(&file.name));
        }
        if let Some(what) = named {
            out.push(Finding::new(&NOT_INSPECTED, format!("{what}: named only, its content was not inspected")).file(&file.name));
        }
    }
}

fn members(file: &str, extension: &str, source: &dyn Source, archive: &Archive, out: &mut Findings) {
    let leads_out = |name: &[u8]| {
        let text = String::from_utf8_lossy(name).replace('\\', "/");
        text.starts_with('/') || text.contains(':') || text.split('/').any(|part| part == "..")
    };
    let mut odd = archive.entries.iter().filter(|e| leads_out(&e.name));
    if let Some(first) = odd.next() {
        let more = odd.count();
        let shown = escape_limited(&String::from_utf8_lossy(&first.name), 60);
        let message = format!("a zip archive with a name that leads out of it: `{shown}` (and {more} more); nothing was extracted");
        out.push(Finding::new(&ENTRIES, message).file(file));
    }
    if extension == "keras" {
        let config = archive.entries.iter().find(|e| e.name == b"config.json").and_then(|e| stored(source, e));
        if config.is_some_and(|bytes| has_lambda(&bytes)) {
            out.push(Finding::new(&LAMBDA, "a Keras archive with a Lambda layer, which holds code").file(file));
        }
    }
}

fn has_lambda(bytes: &[u8]) -> bool {
    bytes.windows(8).any(|w| w == b"\"Lambda\"")
}

/// Whether the first MiBs of an HDF5 file, where Keras puts the model's description, name a Lambda layer.
fn holds_lambda(source: &dyn Source) -> bool {
    let mut bytes = vec![0; usize::try_from(source.len().min(4 << 20)).unwrap_or(0)];
    read_exact_at(source, 0, &mut bytes).is_ok() && has_lambda(&bytes)
}
