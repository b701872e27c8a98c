//! Repositories that bring code of their own.

use serde_json::Value;

use crate::audit::check::{Check, code};
use crate::audit::finding::Severity::Warning;
use crate::audit::finding::{Code, Finding, Findings};
use crate::audit::subject::Subject;
use crate::text::escape_limited;

const CODE: Code = code(
    "remote-code",
    "The model runs code of a repository",
    Warning,
    "An `auto_map` names Python classes that transformers runs when asked to trust remote code; `other/repo--module.Class` fetches the code from another repository, whose \
     owner can change it at any time. Read the files named, and pin the revision.",
);

pub(super) const CHECK: Check = Check { name: "remote_code", codes: &[CODE], run };

fn run(subject: &Subject<'_>, out: &mut Findings) {
    for text in &subject.texts {
        let Some(map) = text.json.as_ref().and_then(|json| json.get("auto_map")) else { continue };
        let mut targets = Vec::new();
        collect(map, &mut targets, 0);
        targets.sort();
        targets.dedup();
        let foreign: Vec<String> =
            targets.iter().filter_map(|t| t.split_once("--")).map(|(repo, _)| format!("`{}`", escape_limited(repo, 60))).collect();
        let shown: Vec<String> = targets.iter().take(6).map(|t| format!("`{}`", escape_limited(t, 60))).collect();
        let elsewhere = if foreign.is_empty() {
            String::new()
        } else {
            format!("; part of it comes from another repository: {}", foreign.join(", "))
        };
        let message = format!(
            "auto_map names code that runs when the model is loaded with trust in remote code: {}{elsewhere}",
            shown.join(", ")
        );
        out.push(Finding::new(&CODE, message).file(&text.name).tensor("auto_map").help("read the code and pin the revision"));
    }
}

/// Class references: texts, or lists of texts (a slow and a fast tokenizer).
fn collect(value: &Value, out: &mut Vec<String>, depth: usize) {
    match value {
        Value::String(text) => out.push(text.clone()),
        Value::Array(list) if depth < 4 => list.iter().for_each(|v| collect(v, out, depth + 1)),
        Value::Object(map) if depth < 4 => map.values().for_each(|v| collect(v, out, depth + 1)),
        _ => {}
    }
}
