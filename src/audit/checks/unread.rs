//! What could not be read: every problem that opening met becomes a finding, with the code of the check it belongs to.

use super::{config_json, content, extent, index, links, missing};
use crate::audit::check::{Check, code};
use crate::audit::finding::Severity::{Error as Bad, Note, Warning};
use crate::audit::finding::{Code, Finding, Findings};
use crate::audit::subject::Subject;
use crate::checkpoint::is_shard_index;
use crate::error::{Error, ErrorKind};
use crate::format::{Content, sniff};

const UNREADABLE: Code = code(
    "unreadable",
    "A file cannot be read",
    Bad,
    "The operating system refused or failed the read (permissions, a failing disk, a vanished file). Nothing of the file was audited. \
     Check the permissions, or fetch the file again.",
);
const NOT_REGULAR: Code = code(
    "not-regular-file",
    "A FIFO, socket, device or directory in place of a file",
    Bad,
    "Something with the name of a checkpoint file is a FIFO, a socket, a device, a directory, or a link to what the kernel makes up. Reading it could \
     block or never end, so it was not opened. Repositories hold no such things: find out where it came from.",
);
const HEADER_INVALID: Code = code(
    "header-invalid",
    "The header breaks the rules of its format",
    Bad,
    "The header contradicts its format so that nothing of the file can be trusted. The message names the byte and what was expected. A \
     damaged download is the usual cause, a crafted file the other one. Fetch it again, and compare its hash.",
);
pub(super) const OVER_LIMIT: Code = code(
    "over-limit",
    "A bound of the reader was reached",
    Bad,
    "The file asks for more than is read of any file: nesting, name lengths, counts, the memory that a configuration takes as a tree of values. The bounds lie far \
     above all published checkpoints and keep memory and time bounded for crafted ones. What lies beyond a bound was not looked at, while a loader may read it: take it \
     for the hiding place that it can be. Of texts that no loader goes by it is a note.",
);
const UNSUPPORTED: Code = code(
    "unsupported-format",
    "A known variant that is not read",
    Bad,
    "A format version or byte order that is recognised but not read (GGUF version 1, big-endian GGUF). Today's loaders refuse it too. Convert \
     the model again.",
);

pub(super) const CHECK: Check =
    Check { name: "unread", codes: &[UNREADABLE, NOT_REGULAR, HEADER_INVALID, OVER_LIMIT, UNSUPPORTED], run };

/// Whether a problem means that something asked for could not be read, as opposed to being absent or left alone.
pub(crate) fn is_unreadable(error: &Error) -> bool {
    use ErrorKind::{BrokenLink, LinkLoop, MissingShard, OutsideFolder, PartialDownload};
    !matches!(error.kind(), MissingShard | OutsideFolder | PartialDownload | BrokenLink | LinkLoop)
        && !is_config(error)
        && !error.path().is_some_and(|p| p.is_dir() && error.kind() == ErrorKind::NotRegularFile)
}

fn run(subject: &Subject<'_>, out: &mut Findings) {
    for error in subject.problems() {
        tell(subject, error, out);
    }
    over_limits(subject, out);
}

/// Texts that were not looked at, or not to the end. What loaders go by could hide there, the rest is only named.
fn over_limits(subject: &Subject<'_>, out: &mut Findings) {
    for text in &subject.texts {
        let Some(limit) = &text.over_limit else { continue };
        let is_this =
            |error: &Error| error.kind() == ErrorKind::Limit && error.path().is_some_and(|p| subject.name_of(p) == text.name);
        if !subject.problems().any(is_this) {
            let severity = if text.is_configuration() { Bad } else { Note };
            out.push(Finding::new(&OVER_LIMIT, format!("not looked at to the end: {limit}")).file(&text.name).severity(severity));
        }
    }
}

/// What failed while the other checks looked into files.
pub(crate) fn failed_reads(subject: &Subject<'_>, out: &mut Findings) {
    for error in subject.failures() {
        tell(subject, &error, out);
    }
}

fn tell(subject: &Subject<'_>, error: &Error, out: &mut Findings) {
    let row = code_of(subject, error);
    let mut finding = Finding::new(&row, error.message()).offset(error.offset());
    if let Some(path) = error.path() {
        finding = finding.file(subject.name_of(path));
    }
    if let Some(tensor) = error.tensor() {
        finding = finding.tensor(tensor);
    }
    if let Some(advice) = error.advice() {
        finding = finding.help(advice);
    }
    if row == links::OUTSIDE && error.path().is_some_and(is_index) {
        // A link is left alone; an index that names a path outside cannot be loaded without following it.
        finding = finding.severity(Bad);
    }
    if row == missing::SHARD && error.path().is_some_and(|p| p.extension().is_some_and(|e| e == "safetensors") && p.is_file()) {
        // Told by file names alone: an index would settle it, and GGUF parts state it in their keys.
        finding = finding.severity(Warning);
    }
    out.push(finding);
}

fn is_index(path: &std::path::Path) -> bool {
    path.file_name().is_some_and(|name| is_shard_index(&name.to_string_lossy()))
}

/// Whether it is what a config.json says that is wrong, not the file itself.
fn is_config(error: &Error) -> bool {
    use ErrorKind::{Malformed, WrongContent};
    matches!(error.kind(), Malformed | WrongContent)
        && error.path().is_some_and(|p| p.file_name().is_some_and(|n| n == "config.json") && !p.is_dir())
}

fn code_of(subject: &Subject<'_>, error: &Error) -> Code {
    use ErrorKind::{
        BrokenLink, Limit, LinkLoop, Malformed, MissingShard, NotRegularFile, OutsideFolder, PartialDownload, Truncated,
        Unsupported, WrongContent,
    };
    if is_config(error) {
        let marked = |path: &std::path::Path| subject.texts.iter().any(|t| t.byte_order_mark && t.name == subject.name_of(path));
        if error.path().is_some_and(marked) {
            return index::BOM;
        }
        return Code { severity: Warning, ..config_json::UNREADABLE };
    }
    match error.kind() {
        WrongContent => wrong_content(subject, error),
        Malformed | Limit | Truncated if error.path().is_some_and(is_index) => index::INVALID,
        NotRegularFile => NOT_REGULAR,
        Truncated => extent::TRUNCATED,
        Malformed => HEADER_INVALID,
        Limit => OVER_LIMIT,
        Unsupported => UNSUPPORTED,
        MissingShard => missing::SHARD,
        OutsideFolder => links::OUTSIDE,
        BrokenLink => links::BROKEN,
        LinkLoop => links::LOOP,
        PartialDownload => content::PARTIAL,
        _ => UNREADABLE,
    }
}

/// What a file holds instead, by its first bytes.
fn wrong_content(subject: &Subject<'_>, error: &Error) -> Code {
    let Some(path) = error.path() else { return content::WRONG };
    if path.is_dir() {
        return missing::NOTHING;
    }
    match subject.look(path, |source| sniff(source)) {
        Some(Content::Empty) => content::EMPTY,
        Some(Content::LfsPointer { .. }) => content::LFS,
        Some(Content::Html) => content::HTML,
        Some(Content::Zip | Content::Pickle) => content::PICKLE,
        _ if is_index(path) => index::INVALID,
        _ => content::WRONG,
    }
}
