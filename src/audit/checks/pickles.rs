//! Files that can run code when they are loaded, and the names that they would import.

use std::collections::HashSet;

use super::archives::NOT_INSPECTED;
use crate::audit::check::{Check, code};
use crate::audit::finding::Severity::{Error as Bad, Note, Warning};
use crate::audit::finding::{Code, Finding, Findings};
use crate::audit::pickle::{Import, Imports, Verdict, judge};
use crate::audit::pickled::{Found, Look, Promise};
use crate::audit::subject::{Subject, is_plain_text};
use crate::error::Result;
use crate::format::{Content, limits, sniff};
use crate::source::{FileSource, Source};
use crate::text::escape_limited;
use crate::units::grouped;

const PICKLE: Code = code(
    "pickle",
    "A file that can run code when it is loaded",
    Warning,
    "A Python pickle, found by its content, its ending, or an index of PyTorch weights that names it: PyTorch checkpoints (.bin, .pt, .ckpt), training arguments, tokenizers, \
     joblib files, numpy arrays of objects. Loading it runs whatever it says. It was not unpickled, and what it would do was not judged: a scanner that finds nothing in a \
     pickle proves nothing. Use the safetensors files, or convert it in a place you trust.",
);
const IMPORTS: Code = code(
    "pickle-imports",
    "What a pickle imports",
    Note,
    "The names that the opcodes of a pickle import (GLOBAL, INST, STACK_GLOBAL), read off without running anything. A pickle of tensors names functions of torch or numpy that \
     rebuild them, and containers. That a name is well known does not mean that it is harmless with the arguments it is given.",
);
const UNKNOWN: Code = code(
    "pickle-unknown-import",
    "A pickle that imports more than tensors need",
    Warning,
    "The pickle names functions or classes that are not among those with which tensors, arrays and plain values are rebuilt: of the program that wrote it, mostly. Loading it imports \
     them and calls them with arguments of the file's choice; `torch.load` with `weights_only=True`, the default since 2.6, refuses it. Know whose code it is before you load it.",
);
const DANGEROUS: Code = code(
    "pickle-dangerous-import",
    "A pickle that imports what harmful pickles use",
    Bad,
    "The pickle names a function or module that can run commands or code, reach the network, open files or load a further pickle, as the lists of picklescan, modelscan and fickling \
     have them; or one of Python's own library, or one that by its name loads or runs something, or one that is reached through attributes of something harmless; or it works out the \
     name while it is loaded. Checkpoints have no need of these. Do not load the file; report it to where it came from.",
);
const NOT_FOLLOWED: Code = code(
    "pickle-not-followed",
    "A pickle whose imports are not all known",
    Warning,
    "The pickle is cut short, compressed, larger than is followed, holds something that is no opcode (joblib puts raw arrays into the stream), or works out the name of an \
     import instead of writing it down. Loaders run what stands before such a place all the same. What was found until there is listed.",
);

pub(super) const CHECK: Check = Check { name: "pickles", codes: &[PICKLE, IMPORTS, UNKNOWN, DANGEROUS, NOT_FOLLOWED], run };

/// Imports that are named in one message.
const SHOWN: usize = 20;

fn run(subject: &Subject<'_>, out: &mut Findings) {
    let read: HashSet<_> = subject.files().iter().map(|f| f.path.as_path()).collect();
    for (name, path) in subject.seen() {
        let promise = Promise::of(&name, subject.is_indexed(&name));
        // What the readers took for a checkpoint under another name is looked at for what else it is.
        if promise != Promise::Checkpoint || !read.contains(path) {
            subject.look(path, |source| pickle(source, &name, promise, out));
            if is_plain_text(&name)
                && let Some(Some(bytes)) = subject.look(path, |source| text_bytes(source))
            {
                subject.saw_text(&name, bytes);
            }
        }
    }
}

/// Bytes of a file that is a text: all of it is read. `None` for what holds anything else, or is longer than any text.
fn text_bytes(source: &dyn Source) -> Result<Option<u64>> {
    let mut buffer = vec![0; 64 << 10];
    let (mut at, mut left) = (0u64, Vec::new());
    let end = source.len();
    if end > limits::MAX_TOKENIZER {
        return Ok(None);
    }
    while at < end {
        let wanted = buffer.len().min(usize::try_from(end - at).unwrap_or(usize::MAX));
        let read = source.read_at(at, &mut buffer[..wanted])?;
        if read == 0 {
            break;
        }
        at += read as u64;
        left.extend_from_slice(&buffer[..read]);
        // A character may be cut at the end of what was read.
        let whole = match std::str::from_utf8(&left) {
            Ok(_) => left.len(),
            Err(e) if e.error_len().is_none() && at < source.len() => e.valid_up_to(),
            Err(_) => return Ok(None),
        };
        if left[..whole].contains(&0) {
            return Ok(None);
        }
        left.drain(..whole);
    }
    Ok(Some(at))
}

/// Looks whether a file is a pickle, or an archive with pickles, and what they import.
fn pickle(source: &FileSource, file: &str, promise: Promise, out: &mut Findings) -> Result<()> {
    let mut look = Look::new(file, promise, source.len());
    let found = look.file(source)?;
    let how = match (found, promise) {
        (Found::Pickle(how), _) => how,
        (Found::Nothing, Promise::Checkpoint | Promise::Open | Promise::Text) => return Ok(()),
        (Found::Nothing, Promise::Maybe) => {
            if sniff(source)? == Content::Unknown && look.is_weights_by_name() {
                let message = "raw numbers or an unknown format: no unpickler gets past its first bytes, and nothing is said about what is in it";
                out.push(Finding::new(&NOT_INSPECTED, message).file(file));
            }
            return Ok(());
        }
        (Found::Opaque(_), Promise::Checkpoint | Promise::Text) if !look.is_weights_by_name() => return Ok(()),
        (Found::Opaque(why), Promise::Open | Promise::Maybe) if !look.is_weights_by_name() => {
            let finding = Finding::new(&NOT_INSPECTED, format!("{why}: nothing is said about what is in it")).file(file);
            // Loaders may unpickle what has such an ending.
            out.push(if promise == Promise::Maybe { finding.severity(Warning) } else { finding });
            return Ok(());
        }
        (Found::Opaque(why), _) => {
            look.not_followed.push((why, None));
            "a pickle by its name".to_owned()
        }
        (Found::Nothing, Promise::Indexed) => {
            "named by an index of PyTorch weights, and neither a pickle nor an archive that is understood".to_owned()
        }
        (Found::Nothing, Promise::Pickle) => "a pickle by its name".to_owned(),
    };
    let message = format!("{how}: loading it can run code; it was not unpickled ({} bytes)", grouped(source.len()));
    out.push(Finding::new(&PICKLE, message).file(file).help("use safetensors, or convert it in a place you trust"));
    for (which, imports) in &look.pickles {
        tell(file, which, imports, out);
    }
    for (message, at) in look.not_followed {
        not_followed(file, message, at, out);
    }
    Ok(())
}

/// What was found of the imports of one pickle.
fn tell(file: &str, which: &str, found: &Imports, out: &mut Findings) {
    let full = |i: &Import| escape_limited(&format!("{}.{}", i.module, i.name), 80);
    let dangerous = |message: String, at: u64| Finding::new(&DANGEROUS, message).file(file).offset(Some(at)).help("do not load it");
    let bad = found.list.iter().filter_map(|import| match judge(import) {
        Verdict::Harmful(what) => Some(dangerous(format!("{which} imports `{}`, which {what}", full(import)), import.offset)),
        _ => None,
    });
    out.push_many(bad.collect::<Vec<_>>());
    if let Some(at) = found.computed {
        out.push(dangerous(format!("{which} works out the name of an import while it is loaded, which hides what it is"), at));
    }
    let listed = |imports: &[&Import]| {
        let names: Vec<String> = imports.iter().take(SHOWN).map(|i| full(i)).collect();
        let more = imports.len() - names.len();
        format!("{}{}", names.join(", "), if more > 0 { format!(" and {more} more") } else { String::new() })
    };
    let unknown: Vec<&Import> = found.list.iter().filter(|import| judge(import) == Verdict::Unknown).collect();
    if let Some(first) = unknown.first() {
        let message = format!("{which} imports {} that tensors do not need: {}", count(unknown.len()), listed(&unknown));
        out.push(
            Finding::new(&UNKNOWN, message).file(file).offset(Some(first.offset)).help("know whose code it is before you load it"),
        );
    }
    let all: Vec<&Import> = found.list.iter().collect();
    if !all.is_empty() {
        out.push(Finding::new(&IMPORTS, format!("{which} imports {}: {}", count(all.len()), listed(&all))).file(file));
    }
    if let Some((why, at)) = &found.incomplete {
        not_followed(file, format!("{which} was followed only in part: {why}"), Some(*at), out);
    }
}

/// A number of names, in words.
fn count(names: usize) -> String {
    if names == 1 { "1 name".to_owned() } else { format!("{names} names") }
}

fn not_followed(file: &str, message: String, at: Option<u64>, out: &mut Findings) {
    out.push(Finding::new(&NOT_FOLLOWED, message).file(file).offset(at));
}
