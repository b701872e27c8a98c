//! Chat templates with constructs that reach out of the template, in every place they hide.

use serde_json::Value;

use super::unread::OVER_LIMIT;
use crate::audit::check::{Check, code};
use crate::audit::finding::Severity::{Note, Warning};
use crate::audit::finding::{Code, Finding, Findings};
use crate::audit::subject::Subject;
use crate::audit::template::suspicious;
use crate::format::MetadataValue;
use crate::text::escape_limited;

const TEMPLATE: Code = code(
    "chat-template",
    "A chat template with suspicious constructs",
    Warning,
    "A Jinja template that reaches for Python internals (`__class__`, `attr(`, `cycler`, `lipsum`, imports): rendered without a sandbox it runs code (CVE-2024-34359, \
     CVE-2026-5760). The template was searched, not rendered. The places are tokenizer and processor configurations, .jinja files, and GGUF keys.",
);
const DIFFERENT: Code = code(
    "chat-template-differs",
    "Two chat templates that differ",
    Note,
    "The repository holds more than one default chat template and they differ: which one is used depends on the program.",
);

pub(super) const CHECK: Check = Check { name: "chat_template", codes: &[TEMPLATE, DIFFERENT], run };

/// A template and where it stands.
struct Template<'a> {
    file: &'a str,
    key: String,
    text: &'a str,
    default: bool,
    cut: bool,
}

fn run(subject: &Subject<'_>, out: &mut Findings) {
    let mut templates = Vec::new();
    for text in &subject.texts {
        if text.base().ends_with(".jinja") || text.base().ends_with(".jinja2") {
            let default = text.name == "chat_template.jinja";
            templates.push(Template { file: &text.name, key: "chat_template".into(), text: &text.text, default, cut: false });
        }
        for (_, value) in text.members.iter().filter(|(name, _)| name == "chat_template") {
            in_json(&text.name, value, &mut templates);
        }
        if let Some((what, block)) = &text.raw_template {
            let message = format!("no JSON to us, and its text holds {what}: `{}`", escape_limited(block.trim(), 80));
            out.push(Finding::new(&TEMPLATE, message).file(&text.name));
        }
    }
    for (file, container) in subject.containers() {
        for (key, value) in container.metadata.entries().iter().filter(|(key, _)| key.contains("chat_template")) {
            match value {
                MetadataValue::Text { text, bytes } => {
                    let cut = *bytes > text.len() as u64 + 3;
                    templates.push(Template { file, key: key.clone(), text, default: false, cut });
                }
                MetadataValue::Array { element: "str" | "string", .. } if key == "tokenizer.chat_templates" => {}
                _ => {
                    let message = "the chat_template is stored as something else than a text; it was not searched";
                    out.push(Finding::new(&TEMPLATE, message).file(file).tensor(key));
                }
            }
        }
    }
    for template in &templates {
        if let Some((what, line)) = suspicious(template.text) {
            let message = format!("the chat_template holds {what}: `{}`", escape_limited(line.trim(), 80));
            out.push(Finding::new(&TEMPLATE, message).file(template.file).tensor(&template.key));
        } else if template.cut {
            let message = "the chat_template is longer than is kept; its end was not searched";
            out.push(Finding::new(&OVER_LIMIT, message).file(template.file).tensor(&template.key));
        }
    }
    let mut defaults = templates.iter().filter(|t| t.default);
    if let Some(first) = defaults.next()
        && let Some(other) = defaults.find(|t| t.text.trim() != first.text.trim())
    {
        let message = format!("its default chat template is not that of `{}`", escape_limited(first.file, 60));
        out.push(Finding::new(&DIFFERENT, message).file(other.file));
    }
}

/// A template, or a list (or map) of named ones.
fn in_json<'a>(file: &'a str, value: &'a Value, out: &mut Vec<Template<'a>>) {
    let mut add = |key: String, text: &'a str, default| out.push(Template { file, key, text, default, cut: false });
    match value {
        Value::String(text) => add("chat_template".into(), text, file == "tokenizer_config.json"),
        Value::Array(list) => {
            for entry in list {
                let name = entry.get("name").and_then(Value::as_str).unwrap_or("?");
                if let Some(text) = entry.get("template").and_then(Value::as_str) {
                    add(format!("chat_template[{name}]"), text, name == "default" && file == "tokenizer_config.json");
                }
            }
        }
        Value::Object(map) => {
            for (name, text) in map.iter().filter_map(|(k, v)| Some((k, v.as_str()?))) {
                add(format!("chat_template[{name}]"), text, false);
            }
        }
        _ => {}
    }
}
