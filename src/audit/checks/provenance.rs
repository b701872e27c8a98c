//! Where the model says it comes from, and under which licence.

use crate::audit::check::{Check, code};
use crate::audit::finding::Severity::Note;
use crate::audit::finding::{Code, Finding, Findings};
use crate::audit::subject::Subject;
use crate::format::Format;
use crate::text::escape_limited;

const LICENCE: Code = code(
    "licence",
    "The licence that is stated",
    Note,
    "The licence as the model card's front matter, a GGUF key, or a licence file states it, or that none is stated. It was not checked against anything.",
);
const BASE: Code = code(
    "base-model",
    "The model it was made from",
    Note,
    "The base model that the card's front matter or the GGUF keys name. Its licence applies too.",
);

pub(super) const CHECK: Check = Check { name: "provenance", codes: &[LICENCE, BASE], run };

fn run(subject: &Subject<'_>, out: &mut Findings) {
    let gguf = subject.containers().find(|(_, c)| c.format == Format::Gguf);
    let key = |key: &str| gguf.and_then(|(file, c)| Some((file.to_owned(), c.metadata.text(key)?.to_owned())));
    let card = subject.texts.iter().find(|t| t.name.eq_ignore_ascii_case("readme.md"));
    let front = card.and_then(|card| Some((card.name.clone(), front_matter(&card.text)?)));
    let stated = |name: &str| front.as_ref().and_then(|(file, front)| Some((file.clone(), field(front, name)?)));
    if let Some((file, licence)) = stated("license").or_else(|| key("general.license")) {
        let more = stated("license_name").map_or_else(String::new, |(_, n)| format!(" ({})", escape_limited(&n, 60)));
        out.push(Finding::new(&LICENCE, format!("licence: {}{more}", escape_limited(&licence, 60))).file(file));
    } else if subject.is_folder() {
        let file = subject.listed().iter().find(|f| {
            let base = f.name.to_ascii_lowercase();
            base.starts_with("license") || base.starts_with("licence")
        });
        out.push(match file {
            Some(file) => Finding::new(&LICENCE, "a licence file, without a licence in the model card").file(&file.name),
            None => Finding::new(&LICENCE, "no licence is stated"),
        });
    }
    if let Some((file, base)) = stated("base_model").or_else(|| key("general.base_model.0.name")) {
        out.push(Finding::new(&BASE, format!("base model: {}", escape_limited(&base, 120))).file(file));
    }
}

/// The block between two lines of `---` at the start of a card.
fn front_matter(text: &str) -> Option<&str> {
    let rest = text.trim_start_matches('\u{feff}').strip_prefix("---")?;
    let rest = rest.strip_prefix("\r\n").or_else(|| rest.strip_prefix('\n'))?;
    rest.find("\n---").map(|end| &rest[..end])
}

/// The value of a top-level field: text, or a list with its entries joined. As much YAML as cards use here.
fn field(front: &str, name: &str) -> Option<String> {
    let mut lines = front.lines();
    let clean = |text: &str| text.trim().trim_matches(['"', '\'', '[', ']']).trim().to_owned();
    while let Some(line) = lines.next() {
        let Some(value) = line.strip_prefix(name).and_then(|rest| rest.strip_prefix(':')) else { continue };
        if !value.trim().is_empty() {
            return Some(clean(value)).filter(|v| !v.is_empty());
        }
        let entries: Vec<String> = lines.by_ref().map_while(|l| l.trim_start().strip_prefix("- ")).map(clean).collect();
        return (!entries.is_empty()).then(|| entries.join(", "));
    }
    None
}
