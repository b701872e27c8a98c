//! Names and metadata that would fool a terminal, a person, or a program that takes them for something else.

use crate::audit::check::{Check, code};
use crate::audit::finding::Severity::Warning;
use crate::audit::finding::{Code, Finding, Findings};
use crate::audit::subject::Subject;
use crate::format::{Container, Format, MetadataValue};
use crate::text::escape_limited;

const NAME: Code = code(
    "hostile-name",
    "A name no framework writes",
    Warning,
    "A tensor, key or file name with control sequences, text-direction or invisible characters, look-alike letters, markup, spreadsheet formulas, path pieces, \
     or of no or absurd length. Such names attack whatever prints them. This tool shows them escaped; others may not.",
);
const TEXT: Code = code(
    "hostile-metadata",
    "Metadata with control sequences",
    Warning,
    "A metadata text with terminal control sequences or characters that reorder or hide text. It attacks whatever prints it. This tool shows it escaped.",
);
const CASE: Code = code(
    "case-collision",
    "File names that differ in case only",
    Warning,
    "On a file system that does not tell upper from lower case (macOS, Windows) one of the two files replaces the other.",
);

pub(super) const CHECK: Check = Check { name: "hostile_names", codes: &[NAME, TEXT, CASE], run };

/// Longest tensor name of any published checkpoint, doubled twice.
const LONG: usize = 1024;
/// Combining marks on one letter; scripts that use them have up to four.
const MARKS: usize = 8;

fn run(subject: &Subject<'_>, out: &mut Findings) {
    for (file, container) in subject.containers() {
        tensor_names(file, container, out);
        metadata(file, container, out);
    }
    let mut folded = std::collections::HashMap::new();
    for file in subject.listed() {
        if let Some(why) =
            text_oddity(&file.name).or_else(|| file.name.contains(['\n', '\r', '\t']).then_some("control characters"))
        {
            let message = format!("the file name holds {why}: `{}`", escape_limited(&file.name, 80));
            out.push(Finding::new(&NAME, message).file(&file.name));
        }
        if let Some(other) = folded.insert(file.name.to_lowercase(), &file.name) {
            let message = format!("differs from `{}` in upper and lower case only", escape_limited(other, 80));
            out.push(Finding::new(&CASE, message).file(&file.name));
        }
    }
}

fn tensor_names(file: &str, container: &Container, out: &mut Findings) {
    let odd = container.tensors.iter().filter_map(|tensor| {
        let bytes = container.name_bytes(tensor);
        if !bytes.is_empty()
            && bytes.len() <= LONG
            && bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
        {
            // Nearly every name; `..` is no way out of anything here, but a name of it alone is.
            return None;
        }
        let name = container.name(tensor);
        name_oddity(&name).map(|why| {
            let message = format!("the tensor name {why}: `{}`", escape_limited(&name, 60));
            Finding::new(&NAME, message).file(file).tensor(name)
        })
    });
    out.push_many(odd);
    if container.format == Format::Gguf {
        cut_names(file, container, out);
    }
}

/// Names that C readers, which stop at a NUL, take for one.
fn cut_names(file: &str, container: &Container, out: &mut Findings) {
    let with_nul = container.tensors.iter().filter(|t| container.name_bytes(t).contains(&0));
    out.push_many(with_nul.map(|t| {
        let message = "the tensor name holds a NUL, at which readers in C end it: two such names may be one to them";
        Finding::new(&NAME, message).file(file).tensor(container.name(t))
    }));
}

fn metadata(file: &str, container: &Container, out: &mut Findings) {
    let keys = container.metadata.entries().iter().filter_map(|(key, value)| {
        let plain = |b: u8| b.is_ascii_graphic() || b == b' ';
        let why_key = if key.bytes().all(plain) { None } else { text_oddity(key).or(Some("characters outside ASCII")) };
        if let Some(why) = why_key.filter(|_| container.format == Format::Gguf || text_oddity(key).is_some()) {
            let message = format!("the metadata key `{}` holds {why}", escape_limited(key, 60));
            return Some(Finding::new(&NAME, message).file(file).tensor(key));
        }
        if container.format == Format::Gguf && key.len() > 65_535 {
            let message = format!("a metadata key of {} bytes; the specification allows 65,535", key.len());
            return Some(Finding::new(&NAME, message).file(file).tensor(key));
        }
        let MetadataValue::Text { text, .. } = value else { return None };
        let why = text_oddity(text)?;
        let message = format!("the metadata text of `{}` holds {why}: `{}`", escape_limited(key, 40), escape_limited(text, 60));
        Some(Finding::new(&TEXT, message).file(file).tensor(key))
    });
    out.push_many(keys);
}

/// What is odd about a tensor name.
fn name_oddity(name: &str) -> Option<String> {
    if name.is_empty() {
        return Some("is empty".into());
    }
    if name.len() > LONG {
        return Some(format!("is {} bytes long", name.len()));
    }
    if let Some(what) = text_oddity(name) {
        return Some(format!("holds {what}"));
    }
    let holds = if name.contains(['\n', '\r', '\t']) {
        "control characters"
    } else if name
        .chars()
        .any(|c| matches!(c, '\u{00AD}' | '\u{200B}' | '\u{200C}' | '\u{2060}' | '\u{FEFF}' | '\u{2028}' | '\u{2029}'))
    {
        "invisible characters"
    } else if name.chars().any(|c| matches!(u32::from(c), 0xFDD0..=0xFDEF) || u32::from(c) & 0xFFFE == 0xFFFE) {
        "code points that are no characters"
    } else if mixes_scripts(name) {
        "look-alike letters of another alphabet"
    } else if longest_run_of_marks(name) > MARKS {
        "a pile of combining marks"
    } else if name.contains(['<', '>', '"', '\'', '`', '|', '\\']) || name.contains("](") {
        "characters that HTML, Markdown or shells act on"
    } else if name.starts_with(['=', '+', '@']) {
        "the beginning of a spreadsheet formula"
    } else if name.starts_with('/') || name.split('/').any(|part| part == "..") {
        "pieces of a path"
    } else if name.bytes().zip(name.bytes().skip(1)).any(|(a, b)| a == b'%' && b.is_ascii_alphabetic()) {
        "a format directive"
    } else {
        return None;
    };
    Some(format!("holds {holds}"))
}

/// What any text from a file must not hold. Line breaks are allowed: templates and licences have them.
fn text_oddity(text: &str) -> Option<&'static str> {
    if text.bytes().all(|b| (0x20..0x7f).contains(&b)) {
        return None;
    }
    text.chars().find_map(|c| match c {
        '\n' | '\r' | '\t' => None,
        '\u{1b}' | '\u{80}'..='\u{9f}' => Some("terminal control sequences"),
        c if c.is_control() => Some("control characters"),
        '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' => Some("characters that reorder text"),
        '\u{E0000}'..='\u{E007F}' => Some("invisible tag characters"),
        _ => None,
    })
}

/// Latin letters beside Cyrillic or Greek ones in one word.
fn mixes_scripts(name: &str) -> bool {
    name.split(|c: char| !c.is_alphabetic()).any(|word| {
        let latin = word.chars().any(|c| c.is_ascii_alphabetic());
        latin && word.chars().any(|c| matches!(c, '\u{0370}'..='\u{03FF}' | '\u{0400}'..='\u{052F}'))
    })
}

fn longest_run_of_marks(name: &str) -> usize {
    let (mut run, mut longest) = (0usize, 0usize);
    for c in name.chars() {
        run = if matches!(c, '\u{0300}'..='\u{036F}' | '\u{1AB0}'..='\u{1AFF}' | '\u{20D0}'..='\u{20FF}') { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    longest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_frameworks_write_are_not_odd() {
        for name in [
            "model.layers.0.self_attn.q_proj.weight",
            "encoder/layer_0/attention/kernel:0",
            "层.0.权重",
            "onnx::MatMul_123",
            "net.0 (copy)",
            "👩\u{200d}👩\u{200d}👧",
            "café.weight",
        ] {
            assert_eq!(name_oddity(name), None, "{name}");
        }
        for name in ["", "a\u{1b}[2J", "l\u{430}yer", "=1+1", "../../x", "a%n", "<b>", "w\u{202e}x"] {
            assert!(name_oddity(name).is_some(), "{name:?}");
        }
    }
}
