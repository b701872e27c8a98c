//! Whether the configuration files are JSON with sensible figures.

use serde_json::{Map, Value};

use crate::audit::check::{Check, code};
use crate::audit::finding::Severity::{Note, Warning};
use crate::audit::finding::{Code, Finding, Findings};
use crate::audit::subject::Subject;
use crate::families;
use crate::families::config_keys::{
    CONTEXT, FFN_SIZE, HEAD_DIM, HEADS, HIDDEN_SIZE, KV_HEADS, LAYERS, Setting, TEXT_PARTS, TOWERS, VOCAB_SIZE,
};
use crate::text::escape_limited;

pub(super) const UNREADABLE: Code = code(
    "config-unreadable",
    "A configuration file that is no JSON",
    Warning,
    "The file is cut short, nested beyond reason, or otherwise no JSON that Python reads. Tensors are still counted; what depends on the configuration is not known. \
     Fetch the file again.",
);
const NOT_STRICT: Code = code(
    "config-not-strict",
    "A configuration file that only Python reads",
    Note,
    "The file holds NaN or Infinity as numbers, which Python's json writes and reads, and the standard forbids. transformers and what is built on it load the file; parsers of \
     Rust, Go, C++ and JavaScript stop at it.",
);
const VALUE: Code = code(
    "config-value",
    "A configuration value that cannot be",
    Warning,
    "A figure of the wrong type or out of any range (a negative width, 10^30 layers, heads of 0). Loaders fail at it, or allocate by it.",
);

pub(super) const CHECK: Check = Check { name: "config_json", codes: &[UNREADABLE, NOT_STRICT, VALUE], run };

/// Keys, the least and the most that makes sense, and whether a list (one figure a layer or stage) is used too.
const FIGURES: &[(Setting, u64, u64, bool)] = &[
    (HIDDEN_SIZE, 1, 1 << 24, false),
    (LAYERS, 1, 100_000, false),
    (HEADS, 1, 1 << 20, true),
    (KV_HEADS, 0, 1 << 20, true),
    // Latent attention states 0 where its heads have sizes of their own.
    (HEAD_DIM, 0, 1 << 20, true),
    (FFN_SIZE, 0, 1 << 28, true),
    (VOCAB_SIZE, 1, 1 << 31, true),
    (CONTEXT, 0, 1 << 40, true),
];

fn run(subject: &Subject<'_>, out: &mut Findings) {
    for text in subject.texts.iter().filter(|t| t.name.ends_with(".json")) {
        // The main configuration's failure is a problem of opening and stands there.
        let is_main =
            |path: &std::path::Path| path.file_name().is_some_and(|n| n == "config.json") && subject.name_of(path) == text.name;
        let told = text.base() == "config.json" && subject.problems().any(|p| p.path().is_some_and(is_main));
        if let Some(error) = text.error.as_ref().filter(|_| !told && text.is_configuration()) {
            let row = if text.byte_order_mark { &super::index::BOM } else { &UNREADABLE };
            out.push(Finding::new(row, error.clone()).file(&text.name));
        }
        if let Some(reason) = text.not_strict.as_ref().filter(|_| text.is_configuration()) {
            out.push(Finding::new(&NOT_STRICT, format!("Python reads it, strict JSON forbids it: {reason}")).file(&text.name));
        }
        if let (true, Some(Value::Object(top))) = (text.base() == "config.json", &text.json) {
            figures(&text.name, "", top, out);
            types(&text.name, top, out);
            for key in TEXT_PARTS.iter().map(|part| part.name).chain(TOWERS.iter().copied()) {
                if let Some(inner) = top.get(key).and_then(Value::as_object) {
                    figures(&text.name, &format!("{key}."), inner, out);
                }
            }
        }
    }
}

fn figures(file: &str, prefix: &str, map: &Map<String, Value>, out: &mut Findings) {
    // State-space models write heads of 0 where there are none.
    let attention = map.get("model_type").and_then(Value::as_str).is_none_or(families::attends);
    for (setting, key, least, most, list) in FIGURES
        .iter()
        .flat_map(|(setting, least, most, list)| setting.names.iter().map(move |key| (setting, *key, *least, *most, *list)))
    {
        let Some(value) = map.get(key).filter(|v| !v.is_null()) else { continue };
        // Parts of other models write lists under the spellings that language models seldom use.
        if (list || key != setting.name()) && value.is_array() {
            continue;
        }
        let least = if attention { least } else { 0 };
        let whole =
            value.as_u64().or_else(|| value.as_f64().filter(|x| x.fract() == 0.0 && *x >= 0.0 && *x < 1e18).map(|x| x as u64));
        if whole.is_none_or(|n| n < least || n > most) {
            let shown = escape_limited(&value.to_string(), 40);
            let message = format!("`{prefix}{key}` is {shown}, out of the range {least} to {most}");
            out.push(Finding::new(&VALUE, message).file(file).tensor(format!("{prefix}{key}")));
        }
    }
}

fn types(file: &str, top: &Map<String, Value>, out: &mut Findings) {
    type Rule = (&'static str, fn(&Value) -> bool, &'static str);
    let rules: [Rule; 5] = [
        ("torch_dtype", |v| v.is_string() || v.is_null(), "text"),
        ("dtype", |v| v.is_string() || v.is_null() || v.is_object(), "text"),
        ("quantization_config", |v| v.is_object() || v.is_null(), "an object"),
        ("architectures", |v| v.is_array() || v.is_null(), "a list"),
        ("model_type", |v| v.is_string() || v.is_null(), "text"),
    ];
    for (key, fits, wanted) in rules {
        if let Some(value) = top.get(key).filter(|v| !fits(v)) {
            let message = format!("`{key}` is {}, not {wanted}", escape_limited(&value.to_string(), 40));
            out.push(Finding::new(&VALUE, message).file(file).tensor(key));
        }
    }
}
