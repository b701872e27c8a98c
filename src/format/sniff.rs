//! What a file is, by its first bytes, so that a pointer, a web page or a pickle is named instead of called corrupt.

use super::{FORMATS, Format};
use crate::error::{Error, ErrorKind, Result};
use crate::source::Source;
use crate::text::escape_limited;

/// What the first bytes of a file are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A format that is read.
    Checkpoint(Format),
    /// No bytes at all.
    Empty,
    /// A git-lfs pointer: the text that stands in for a file that was not fetched.
    LfsPointer {
        /// Length of the real file, as the pointer promises.
        size: Option<u64>,
        /// Its hash, as the pointer promises.
        sha256: Option<String>,
    },
    /// A web page, mostly the error page of a failed download.
    Html,
    /// A zip archive: what `torch.save` writes since 1.6.
    Zip,
    /// A bare pickle: what `torch.save` wrote before.
    Pickle,
    /// A ggml file from before GGUF.
    OldGgml,
    /// A well-known file type that is no checkpoint: its name.
    Other(&'static str),
    /// JSON text.
    Json,
    /// Nothing known.
    Unknown,
}

/// Longest LFS pointer: the specification bounds it at 1024 bytes.
const POINTER_BYTES: usize = 1024;

/// Looks at the first bytes.
///
/// # Errors
/// Only I/O errors.
pub fn sniff(source: &dyn Source) -> Result<Content> {
    let mut head = [0; POINTER_BYTES];
    let n = source.read_at(0, &mut head)?;
    Ok(content_of(&head[..n], source))
}

fn content_of(head: &[u8], source: &dyn Source) -> Content {
    if head.is_empty() {
        return Content::Empty;
    }
    if let Some(pointer) = lfs_pointer(head) {
        return pointer;
    }
    if let Some(row) = FORMATS.iter().find(|row| (row.recognises)(head)) {
        return Content::Checkpoint(row.format);
    }
    let text = head.trim_ascii_start();
    let starts = |word: &[u8]| text.len() >= word.len() && text[..word.len()].eq_ignore_ascii_case(word);
    if starts(b"<!doctype") || starts(b"<html") || starts(b"<?xml") || starts(b"<head") {
        return Content::Html;
    }
    match head {
        [b'P', b'K', 3 | 5, ..] => return Content::Zip,
        // Protocol 2 to 5 with the next opcode a frame, a dict, a list, a global, ... or torch's magic number (a long, 0x8a).
        [0x80, 2..=5, 0x95 | 0x8a | b'}' | b']' | b'(' | b'c' | b'X' | 0x8c | b'K' | b'N' | b'J' | b'M' | b'C', ..] => {
            return Content::Pickle;
        }
        _ => {}
    }
    if [b"lmgg", b"tjgg", b"fmgg", b"algg", b"ggml", b"ggjt", b"ggmf", b"ggla"].iter().any(|magic| head.starts_with(*magic)) {
        return Content::OldGgml;
    }
    const KNOWN: &[(&[u8], &str)] = &[
        (b"\x89HDF\r\n\x1a\n", "an HDF5 file (Keras)"),
        (b"\x1f\x8b", "a gzip archive"),
        (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
        (b"\xfd7zXZ\0", "an xz archive"),
        (b"\x28\xb5\x2f\xfd", "a zstd archive"),
        (b"BZh", "a bzip2 archive"),
        (b"\x93NUMPY", "a numpy array"),
        (b"TFL3", "a TensorFlow Lite model"),
        (b"\x7fELF", "an ELF binary"),
        (b"MZ", "a Windows binary"),
        (b"\x89PNG", "a PNG picture"),
        (b"\xff\xd8\xff", "a JPEG picture"),
        (b"%PDF", "a PDF"),
    ];
    if let Some((_, name)) = KNOWN.iter().find(|(magic, _)| head.starts_with(magic)) {
        return Content::Other(name);
    }
    // An error page in JSON under a checkpoint's name; a header length is no text.
    let is_text = head.iter().take(16).all(|b| b.is_ascii_graphic() || b.is_ascii_whitespace());
    if is_text && matches!(text.first(), Some(b'{' | b'[')) {
        return Content::Json;
    }
    let extension = source.path().extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
    if let Some(row) = FORMATS.iter().find(|row| row.extensions.contains(&extension.as_str())) {
        // Damaged beyond recognition, but named so: the format's reader says what is wrong with it.
        return Content::Checkpoint(row.format);
    }
    if looks_like_json(text) { Content::Json } else { Content::Unknown }
}

/// An opening bracket and something that may stand behind it in JSON; `[package]` is another language.
fn looks_like_json(text: &[u8]) -> bool {
    let inside = |rest: &[u8]| rest.trim_ascii_start().first().copied();
    match text {
        [b'{', rest @ ..] => matches!(inside(rest), Some(b'"' | b'}')),
        [b'[', rest @ ..] => matches!(inside(rest), Some(b'"' | b'{' | b'[' | b']' | b'0'..=b'9' | b'-')),
        _ => false,
    }
}

fn lfs_pointer(head: &[u8]) -> Option<Content> {
    let text = head.strip_prefix(b"version https://git-lfs.github.com/spec/v1")?;
    let text = String::from_utf8_lossy(text);
    let field = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)).map(str::trim);
    Some(Content::LfsPointer {
        size: field("size ").and_then(|s| s.parse().ok()),
        sha256: field("oid sha256:").filter(|s| s.len() == 64 && s.bytes().all(|b| b.is_ascii_hexdigit())).map(str::to_owned),
    })
}

/// The error for a file that is no checkpoint: what it is, and what to do.
pub(crate) fn not_a_checkpoint(source: &dyn Source, content: &Content) -> Error {
    let wrong = |message: String, help: &str| Error::new(ErrorKind::WrongContent, message).with_path(source.path()).help(help);
    let len = source.len();
    match content {
        Content::Empty => wrong("the file is empty (0 bytes)".into(), "the download did not start or was cut: fetch it again"),
        Content::LfsPointer { size, sha256 } => {
            let size = size.map_or_else(|| "a file".to_owned(), |n| format!("a file of {n} bytes"));
            let hash = sha256.as_ref().map_or_else(String::new, |h| format!(" with sha256 {}", escape_limited(h, 64)));
            wrong(
                format!("a git-lfs pointer ({len} bytes) that stands for {size}{hash}; the weights themselves are not here"),
                "run `git lfs pull`, or download the file itself",
            )
        }
        Content::Html => wrong(
            "an HTML or XML page, not a checkpoint".into(),
            "the download returned a web page (an error, a login or a licence form): fetch it again with access",
        ),
        Content::Zip => wrong(
            "a zip archive, which is how PyTorch saves pickles (.bin, .pt)".into(),
            "pickles are never read, as loading one can run code; convert it to safetensors in a place you trust",
        ),
        Content::Pickle => wrong(
            "a Python pickle (an old PyTorch checkpoint)".into(),
            "pickles are never read, as loading one can run code; convert it to safetensors in a place you trust",
        ),
        Content::OldGgml => wrong("a ggml file from before GGUF".into(), "convert it to GGUF with llama.cpp's conversion scripts"),
        Content::Other(name) => {
            wrong(format!("{name}, not a checkpoint"), "give a .safetensors or .gguf file, a shard index or a repo folder")
        }
        Content::Json => wrong(
            "JSON text, not a checkpoint".into(),
            "a shard index is named *.safetensors.index.json; otherwise give the folder that holds this file",
        ),
        Content::Checkpoint(_) | Content::Unknown => wrong(
            "neither safetensors nor GGUF (unknown first bytes)".into(),
            "give a .safetensors or .gguf file, a shard index or a repo folder",
        ),
    }
}
