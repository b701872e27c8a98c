//! Chat templates with constructs that reach out of the template, in every place they hide.

use serde_json::Value;

use super::super::Severity::{Note, Warning};
use super::super::finding::{Code, Finding, Findings};
use super::super::subject::Subject;
use super::{Check, code};
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
        if let Some(value) = text.json.as_ref().and_then(|json| json.get("chat_template")) {
            in_json(&text.name, value, &mut templates);
        }
    }
    for (file, container) in subject.containers() {
        for (key, value) in container.metadata.entries().iter().filter(|(key, _)| key.contains("chat_template")) {
            if let MetadataValue::Text { text, bytes } = value {
                let cut = *bytes > text.len() as u64 + 3;
                templates.push(Template { file, key: key.clone(), text, default: false, cut });
            }
        }
    }
    for template in &templates {
        if let Some((what, line)) = suspicious(template.text) {
            let message = format!("the chat_template holds {what}: `{}`", escape_limited(line.trim(), 80));
            out.push(Finding::new(&TEMPLATE, message).file(template.file).tensor(&template.key));
        } else if template.cut {
            let message = "the chat_template is longer than is kept; its end was not searched";
            out.push(Finding::new(&TEMPLATE, message).severity(Note).file(template.file).tensor(&template.key));
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

/// Words that have no place inside the braces of a chat template.
const WORDS: &[(&str, &str)] = &[
    ("cycler", "a Jinja object that leads to Python's globals"),
    ("joiner", "a Jinja object that leads to Python's globals"),
    ("lipsum", "a Jinja object that leads to Python's globals"),
    ("attr(", "access to attributes by name"),
    ("getattr", "access to attributes by name"),
    ("popen", "a call of the system"),
    ("subprocess", "a call of the system"),
    ("os.system", "a call of the system"),
    ("eval(", "a call of the interpreter"),
    ("exec(", "a call of the interpreter"),
    ("builtins", "Python internals"),
    ("url_for", "an object of a web framework"),
    ("get_flashed_messages", "an object of a web framework"),
    ("_TemplateReference", "Jinja internals"),
    ("\\x5f", "an escaped underscore"),
    ("\\u005f", "an escaped underscore"),
];

/// The first suspicious construct inside `{{ }}` or `{% %}`, with its text.
fn suspicious(template: &str) -> Option<(&'static str, &str)> {
    let mut rest = template;
    while let Some(start) = rest.find("{{").into_iter().chain(rest.find("{%")).min() {
        let body = &rest[start + 2..];
        let close = if rest[start..].starts_with("{{") { "}}" } else { "%}" };
        let end = body.find(close).unwrap_or(body.len());
        let inside = &body[..end];
        if let Some(what) = construct(inside, close == "%}") {
            return Some((what, inside));
        }
        rest = body.get(end..).unwrap_or_default();
    }
    None
}

fn construct(inside: &str, statement: bool) -> Option<&'static str> {
    if has_dunder(inside) {
        return Some("access to Python internals");
    }
    let keyword = inside.trim_start_matches(['-', '+', ' ', '\n', '\t', '\r']).split([' ', '\n', '\t']).next().unwrap_or_default();
    if statement && matches!(keyword, "import" | "include" | "extends" | "from") {
        return Some("a statement that loads another template");
    }
    WORDS.iter().find(|(word, _)| word_in(inside, word)).map(|(_, what)| *what)
}

/// A word that is not the middle of a longer one.
fn word_in(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
    })
}

/// `__name__` after a point or as a text.
fn has_dunder(text: &str) -> bool {
    text.match_indices("__").any(|(at, _)| {
        let before = text[..at].trim_end().chars().next_back();
        let name_len = text[at + 2..].bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
        let name = &text[at + 2..at + 2 + name_len];
        name.len() > 2 && name.ends_with("__") && matches!(before, None | Some('.' | '\'' | '"' | '[' | '(' | '|' | '~'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constructs_are_found_inside_the_braces_only() {
        for bad in [
            "{{ cycler.__init__.__globals__ }}",
            "{% set x = ''.__class__.__mro__ %}",
            "{{ ''|attr('x') }}",
            "{{ x['__cla' ~ 'ss__'] }}{{ lipsum }}",
            "{% include '/etc/passwd' %}",
            "{{ x['\\x5f\\x5fclass\\x5f\\x5f'] }}",
        ] {
            assert!(suspicious(bad).is_some(), "{bad}");
        }
        for good in [
            "{% for message in messages %}{{ message['content'] | trim }}{% endfor %}",
            "import os\n__init__ in plain text {{ bos_token }}",
            "{%- set ns = namespace(found=false) %}{{ raise_exception('no') }}{{ strftime_now('%d %b') }}",
            "{{ tools_in_user_message.attributes }}",
        ] {
            assert!(suspicious(good).is_none(), "{good}");
        }
    }
}
