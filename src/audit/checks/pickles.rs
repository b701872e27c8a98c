//! Files that can run code when they are loaded.

use super::super::Severity::Warning;
use super::super::finding::{Code, Finding, Findings};
use super::super::subject::Subject;
use super::archives::{Archive, read_archive};
use super::{Check, code};
use crate::checkpoint::FoundFile;
use crate::format::{Content, sniff};
use crate::source::FileSource;
use crate::units::grouped;

const PICKLE: Code = code(
    "pickle",
    "A file that can run code when it is loaded",
    Warning,
    "A Python pickle, found by its content or its ending: PyTorch checkpoints (.bin, .pt, .ckpt), training arguments, tokenizers, joblib files. Loading it runs whatever it \
     says. It was not unpickled, and what it would do was not judged: a scanner that finds nothing in a pickle proves nothing. Use the safetensors files, or convert it in a \
     place you trust.",
);

pub(super) const CHECK: Check = Check { name: "pickles", codes: &[PICKLE], run };

/// Endings that are pickles whatever their first bytes are (protocols 0 and 1 have no magic).
const ENDINGS: &[&str] = &["pkl", "pickle", "joblib", "pt", "pth", "ckpt", "dill"];

/// Endings of files that other checks read, or that hold no code; everything else is looked into.
const OTHERS: &[&str] = &[
    "safetensors",
    "gguf",
    "json",
    "md",
    "txt",
    "py",
    "jinja",
    "jinja2",
    "yaml",
    "yml",
    "png",
    "jpg",
    "jpeg",
    "gif",
    "svg",
    "html",
];

fn run(subject: &Subject<'_>, out: &mut Findings) {
    for file in subject.listed() {
        let extension = file.name.rsplit_once('.').map(|(_, e)| e.to_ascii_lowercase()).unwrap_or_default();
        if OTHERS.contains(&extension.as_str()) {
            continue;
        }
        if let Some(how) = pickle(file, &extension) {
            let message = format!("{how}: loading it can run code; it was not unpickled ({} bytes)", grouped(file.bytes));
            out.push(Finding::new(&PICKLE, message).file(&file.name).help("use safetensors, or convert it in a place you trust"));
        }
    }
}

/// How a file is known to be a pickle.
fn pickle(file: &FoundFile, extension: &str) -> Option<String> {
    let source = FileSource::open(&file.path).ok()?;
    match sniff(&source) {
        Ok(Content::Pickle) => Some("a pickle by its content".to_owned()),
        Ok(Content::Zip) => {
            let Ok(archive) = read_archive(&source) else {
                return ENDINGS.contains(&extension).then(|| "a zip archive of the kind PyTorch saves pickles in".to_owned());
            };
            let Archive { entries, .. } = &archive;
            let inside = entries.iter().find(|e| e.name.ends_with(b".pkl") || e.name.ends_with(b".pickle"))?;
            let ratio = inside.size / inside.packed.max(1);
            let bomb = if ratio > 100 { format!(", one that expands {ratio} times") } else { String::new() };
            Some(format!("a zip archive with a pickle in it{bomb}"))
        }
        Ok(Content::Empty | Content::LfsPointer { .. } | Content::Html) => None,
        _ => ENDINGS.contains(&extension).then(|| "a pickle by its name".to_owned()),
    }
}
