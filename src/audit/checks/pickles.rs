//! Files that can run code when they are loaded, and the names that they would import.

use crate::audit::check::{Check, code};
use crate::audit::finding::Severity::{Error as Bad, Note, Warning};
use crate::audit::finding::{Code, Finding, Findings};
use crate::audit::pickle::{Allowance, Import, Imports, danger, imports};
use crate::audit::subject::Subject;
use crate::audit::zip::directory;
use crate::error::Result;
use crate::format::{Content, sniff};
use crate::source::{FileSource, Source};
use crate::text::escape_limited;
use crate::units::grouped;

const PICKLE: Code = code(
    "pickle",
    "A file that can run code when it is loaded",
    Warning,
    "A Python pickle, found by its content or its ending: PyTorch checkpoints (.bin, .pt, .ckpt), training arguments, tokenizers, joblib files. Loading it runs whatever it \
     says. It was not unpickled, and what it would do was not judged: a scanner that finds nothing in a pickle proves nothing. Use the safetensors files, or convert it in a \
     place you trust.",
);
const IMPORTS: Code = code(
    "pickle-imports",
    "What a pickle imports",
    Note,
    "The names that the opcodes of a pickle import (GLOBAL, INST, STACK_GLOBAL), read off without running anything. A pickle of tensors names functions of torch or numpy that \
     rebuild them, and containers. That a name is well known does not mean that it is harmless with the arguments it is given.",
);
const DANGEROUS: Code = code(
    "pickle-dangerous-import",
    "A pickle that imports what harmful pickles use",
    Bad,
    "The pickle names a function or module that can run commands or code, reach the network, open files or load a further pickle, as the lists of picklescan, modelscan and fickling \
     have them. Checkpoints have no need of these. Do not load the file; report it to where it came from.",
);
const NOT_FOLLOWED: Code = code(
    "pickle-not-followed",
    "A pickle whose imports are not all known",
    Warning,
    "The pickle is cut short, compressed, larger than is followed, holds something that is no opcode (joblib puts raw arrays into the stream), or works out the name of an \
     import instead of writing it down. Loaders run what stands before such a place all the same. What was found until there is listed.",
);

pub(super) const CHECK: Check = Check { name: "pickles", codes: &[PICKLE, IMPORTS, DANGEROUS, NOT_FOLLOWED], run };

/// Endings that are pickles whatever their first bytes are (protocols 0 and 1 have no magic).
const ENDINGS: &[&str] = &["pkl", "pickle", "joblib", "pt", "pth", "ckpt", "dill"];

/// Endings of files that hold no code; everything else that is not read as a checkpoint is looked into.
const OTHERS: &[&str] = &["json", "md", "txt", "py", "jinja", "jinja2", "yaml", "yml", "png", "jpg", "jpeg", "gif", "svg", "html"];

/// Members of an archive that are followed; PyTorch's hold one pickle, or two.
const MAX_MEMBERS: usize = 64;
/// Imports that are named in one message.
const SHOWN: usize = 20;

fn run(subject: &Subject<'_>, out: &mut Findings) {
    let read: std::collections::HashSet<_> = subject.files().iter().map(|f| f.path.as_path()).collect();
    for (name, path) in subject.seen() {
        let extension = name.rsplit_once('.').map(|(_, e)| e.to_ascii_lowercase()).unwrap_or_default();
        if !read.contains(path) && !OTHERS.contains(&extension.as_str()) {
            subject.look(path, |source| pickle(source, &name, &extension, out));
        }
    }
}

/// Looks whether a file is a pickle, or an archive with pickles, and what they import.
fn pickle(source: &FileSource, file: &str, extension: &str, out: &mut Findings) -> Result<()> {
    let named = ENDINGS.contains(&extension);
    let content = sniff(source)?;
    let mut members = Vec::new();
    let how = match content {
        Content::Pickle => "a pickle by its content".to_owned(),
        Content::Zip => match directory(source)? {
            None if named => "a zip archive of the kind PyTorch saves pickles in".to_owned(),
            None => return Ok(()),
            Some(entries) => {
                members.extend(entries.into_iter().filter(|e| e.name.ends_with(b".pkl") || e.name.ends_with(b".pickle")));
                let Some(worst) = members.iter().map(|e| e.size / e.packed.max(1)).max() else { return Ok(()) };
                let bomb = if worst > 100 { format!(", one that expands {worst} times") } else { String::new() };
                format!("a zip archive with a pickle in it{bomb}")
            }
        },
        Content::Empty | Content::LfsPointer { .. } | Content::Html => return Ok(()),
        _ if named => "a pickle by its name".to_owned(),
        _ => return Ok(()),
    };
    let message = format!("{how}: loading it can run code; it was not unpickled ({} bytes)", grouped(source.len()));
    out.push(Finding::new(&PICKLE, message).file(file).help("use safetensors, or convert it in a place you trust"));
    let mut allowance = Allowance::of(source.len());
    if content != Content::Zip {
        tell(file, "it", &imports(source, 0, source.len(), &mut allowance)?, out);
        return Ok(());
    }
    let mut followed = 0;
    for entry in members.iter().take(MAX_MEMBERS) {
        if allowance.is_exhausted() {
            break;
        }
        followed += 1;
        let member = format!("its `{}`", escape_limited(&String::from_utf8_lossy(&entry.name), 60));
        match entry.stored(source)? {
            Some((start, end)) => tell(file, &member, &imports(source, start, end, &mut allowance)?, out),
            None => not_followed(file, format!("{member} is compressed or encrypted, or not where the archive says"), None, out),
        }
    }
    let more = members.len() - followed;
    if more > 0 {
        not_followed(
            file,
            format!("{more} more pickles in the archive are not followed: the bound of one file is reached"),
            None,
            out,
        );
    }
    Ok(())
}

/// What was found of the imports of one pickle.
fn tell(file: &str, which: &str, found: &Imports, out: &mut Findings) {
    let full = |i: &Import| escape_limited(&format!("{}.{}", i.module, i.name), 80);
    let bad = found.list.iter().filter_map(|import| {
        let what = danger(&import.module, &import.name)?;
        let message = format!("{which} imports `{}`, which {what}", full(import));
        Some(Finding::new(&DANGEROUS, message).file(file).offset(Some(import.offset)).help("do not load it"))
    });
    out.push_many(bad.collect::<Vec<_>>());
    if !found.list.is_empty() {
        let names: Vec<String> = found.list.iter().take(SHOWN).map(full).collect();
        let more = found.list.len() - names.len();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let message = format!("{which} imports {} names: {}{more}", found.list.len(), names.join(", "));
        out.push(Finding::new(&IMPORTS, message).file(file));
    }
    if let Some((why, at)) = &found.incomplete {
        not_followed(file, format!("{which} was followed only in part: {why}"), Some(*at), out);
    }
}

fn not_followed(file: &str, message: String, at: Option<u64>, out: &mut Findings) {
    out.push(Finding::new(&NOT_FOLLOWED, message).file(file).offset(at));
}
