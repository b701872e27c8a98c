//! Archives and formats that are named, not opened.

use std::collections::HashSet;

use super::unread::OVER_LIMIT;
use crate::audit::archive::{Directory, Entry, directory, overlapping};
use crate::audit::check::{Check, code};
use crate::audit::finding::Severity::{Error as Bad, Note, Warning};
use crate::audit::finding::{Code, Finding, Findings};
use crate::audit::keras::Description;
use crate::audit::subject::Subject;
use crate::format::{Content, sniff};
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
const AMBIGUOUS: Code = code(
    "archive-ambiguous",
    "An archive that is another one to other programs",
    Bad,
    "The records at the end of a zip archive name different directories, so that one program finds other members in it than the next: a scanner is shown a harmless \
     archive, and the loader takes the other. No writer of archives does that. All the directories were looked at. Do not load it.",
);
const LAMBDA: Code = code(
    "keras-lambda",
    "A Keras model with a Lambda layer",
    Warning,
    "A Lambda layer holds Python code that runs when the model is loaded without `safe_mode`, and by-passes of that mode are known (CVE-2025-1550, CVE-2025-8747). Do not load \
     it outside a sandbox.",
);
const KERAS: Code = code(
    "keras-module",
    "A Keras model that names code of other modules",
    Warning,
    "The description of a Keras model names a class or function outside of Keras by its module; loading it without `safe_mode` imports that module and calls what is named, and \
     by-passes of that mode are known (CVE-2025-1550). Custom layers stand there too: know whose code it is. A module of Python's own library is an error.",
);
pub(super) const NOT_INSPECTED: Code = code(
    "not-inspected",
    "A file whose content was not inspected",
    Note,
    "Weights or code in a form that is named only: Keras, HDF5, ONNX, TensorFlow, archives. Nothing is said about what is in it.",
);

pub(super) const CHECK: Check =
    Check { name: "archives", codes: &[ENTRIES, OVERLAP, AMBIGUOUS, LAMBDA, KERAS, NOT_INSPECTED], run };

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

fn run(subject: &Subject<'_>, out: &mut Findings) {
    let read: HashSet<_> = subject.files().iter().map(|f| f.path.as_path()).collect();
    for (name, path) in subject.seen() {
        let extension = name.rsplit_once('.').map(|(_, e)| e.to_ascii_lowercase()).unwrap_or_default();
        let named = NAMED.iter().find(|(e, _)| *e == extension).map(|(_, what)| *what);
        if named.is_none() && read.contains(path) {
            continue;
        }
        let mut keras = None;
        subject.look(path, |source| {
            // Python finds an archive behind other bytes too; where a name promises one, so do we.
            let archive = if named.is_some() || sniff(source)? == Content::Zip { directory(source)? } else { None };
            if let Some(found) = &archive {
                members(&name, found, out);
            }
            match extension.as_str() {
                "keras" => keras = archive.map(|found| Description::of_archive(source, &found)).transpose()?.flatten(),
                "h5" | "hdf5" => keras = Some(Description::of_hdf5(source)?),
                _ => {}
            }
            Ok(())
        });
        let mut message = "named only, its content was not inspected";
        if let Some(description) = &keras {
            described(&name, description, out);
            message = "its description was searched, its weights were not inspected";
        }
        let Some(what) = named else { continue };
        let finding = Finding::new(&NOT_INSPECTED, format!("{what}: {message}")).file(&name);
        // Without its description nobody can tell whether a Keras archive holds code.
        out.push(if extension == "keras" && keras.is_none() { finding.severity(Warning) } else { finding });
    }
}

fn described(file: &str, description: &Description, out: &mut Findings) {
    if description.has_code {
        out.push(Finding::new(&LAMBDA, "a Keras model with a Lambda layer, which holds code").file(file));
    }
    if !description.foreign.is_empty() {
        let shown: Vec<String> = description
            .foreign
            .iter()
            .take(6)
            .map(|(module, name)| format!("`{}`", escape_limited(&format!("{module}.{name}"), 60)))
            .collect();
        let more = description.foreign.len() - shown.len();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let message = format!("its description names code outside of Keras: {}{more}", shown.join(", "));
        let finding = Finding::new(&KERAS, message).file(file).help("know whose code it is before you load it");
        out.push(if description.is_harmful() { finding.severity(Bad) } else { finding });
    }
}

fn members(file: &str, directory: &Directory, out: &mut Findings) {
    let entries = &directory.entries;
    let shown = |entry: &Entry| escape_limited(&String::from_utf8_lossy(&entry.name), 60);
    let mut odd = entries.iter().filter(|e| leads_out(&e.name));
    if let Some(first) = odd.next() {
        let more = odd.count();
        let first = shown(first);
        let message = format!("a zip archive with a name that leads out of it: `{first}` (and {more} more); nothing was extracted");
        out.push(Finding::new(&ENTRIES, message).file(file));
    }
    if let Some((first, second)) = overlapping(entries) {
        let (first, second) = (shown(first), shown(second));
        let message = format!("a zip archive whose members `{first}` and `{second}` share bytes; nothing was extracted");
        out.push(Finding::new(&OVERLAP, message).file(file).help("do not unpack it"));
    }
    if let Some(why) = &directory.ambiguous {
        let message = format!("programs find different archives in it: {why}");
        out.push(Finding::new(&AMBIGUOUS, message).file(file).help("do not load it"));
    }
    if let Some(why) = directory.incomplete.as_ref().filter(|_| directory.over_limit) {
        out.push(Finding::new(&OVER_LIMIT, format!("a zip archive, not looked at to the end: {why}")).file(file));
    }
}

fn leads_out(name: &[u8]) -> bool {
    let text = String::from_utf8_lossy(name).replace('\\', "/");
    text.starts_with('/') || text.contains(':') || text.split('/').any(|part| part == "..")
}
