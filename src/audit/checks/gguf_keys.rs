//! Keys that GGUF loaders need, and values that would lead them astray.

use crate::audit::check::{Check, code};
use crate::audit::finding::Severity::Warning;
use crate::audit::finding::{Code, Finding, Findings};
use crate::audit::subject::Subject;
use crate::checkpoint::is_imatrix;
use crate::families;
use crate::families::gguf_names::{LOADED_ARCHITECTURES, OTHER_ARCHITECTURES, PROJECTOR, WRITTEN_ARCHITECTURES};
use crate::format::{Container, Format, MetadataValue};
use crate::text::escape_limited;

const ARCHITECTURE: Code = code(
    "gguf-architecture",
    "No architecture, or one that nobody knows",
    Warning,
    "`general.architecture` is required: it chooses the code that runs the model and is the prefix of all other keys. It is missing, no text, or in no list of llama.cpp's and its relatives' architectures (a newer one may be).",
);
const KEY: Code = code(
    "gguf-missing-key",
    "A key that the loader needs is missing",
    Warning,
    "llama.cpp refuses the model without block count, context length, embedding length and head count of its architecture. Convert the model again.",
);
const VALUE: Code = code(
    "gguf-key-value",
    "A GGUF key with a value that cannot be",
    Warning,
    "A layer, head or context count out of any range. Loaders divide by it, allocate by it, or loop over it; llama.cpp stops at 512 layers.",
);
const TOKENIZER: Code = code(
    "gguf-tokenizer",
    "Tokenizer arrays that do not fit together",
    Warning,
    "Tokens, scores and token types must have one length and the element types that llama.cpp reads (text, f32, i32), and byte tokens must be two hexadecimal digits. Old loaders read beside such arrays.",
);

pub(super) const CHECK: Check = Check { name: "gguf_keys", codes: &[ARCHITECTURE, KEY, VALUE, TOKENIZER], run };

/// Keys below the architecture, the least and the most that makes sense.
const RANGES: &[(&str, u64, u64)] = &[
    ("block_count", 0, 10_000),
    ("context_length", 0, 1 << 40),
    ("embedding_length", 1, 1 << 24),
    ("attention.head_count", 1, 1 << 20),
    ("attention.head_count_kv", 0, 1 << 20),
    ("vocab_size", 1, 1 << 31),
    ("expert_count", 0, 1 << 16),
];

/// Keys that llama.cpp reads of nearly every text architecture.
const NEEDED: &[&str] = &["block_count", "context_length", "embedding_length", "attention.head_count"];

fn run(subject: &Subject<'_>, out: &mut Findings) {
    for (file, container) in subject.containers().filter(|(_, c)| c.format == Format::Gguf) {
        // Further parts of a set carry no model keys, and an importance matrix is of no model.
        if is_imatrix(container) || container.metadata.count("split.no").is_some_and(|n| n > 0) {
            continue;
        }
        let key = "general.architecture";
        match container.metadata.get(key) {
            Some(MetadataValue::Text { text, .. }) => {
                architecture(file, text, container, out);
            }
            found => {
                let why = if found.is_some() { "is no text" } else { "is missing" };
                out.push(
                    Finding::new(&ARCHITECTURE, format!("the required key {key} (the architecture) {why}")).file(file).tensor(key),
                );
            }
        }
        tokenizer(file, container, out);
    }
}

fn architecture(file: &str, arch: &str, container: &Container, out: &mut Findings) {
    let key = "general.architecture";
    let attends = families::attends(arch);
    let known = [LOADED_ARCHITECTURES, WRITTEN_ARCHITECTURES, OTHER_ARCHITECTURES].iter().any(|list| list.contains(&arch));
    if !known {
        let message = format!("the architecture `{}` is in no list of known ones", escape_limited(arch, 40));
        out.push(Finding::new(&ARCHITECTURE, message).file(file).tensor(key));
        return;
    }
    for &(name, least, most) in RANGES {
        let key = format!("{arch}.{name}");
        let Some(value) = container.metadata.get(&key) else { continue };
        let odd = match *value {
            MetadataValue::Unsigned(n) => n < least || n > most,
            MetadataValue::Signed(n) => u64::try_from(n).map_or(true, |n| n < least || n > most),
            MetadataValue::Numbers(_) | MetadataValue::Array { .. } => false,
            _ => true,
        };
        // Recurrent models state heads of 0.
        if odd && attends {
            let message = format!("{} is {}, out of the range {least} to {most}", escape_limited(&key, 60), shown(value));
            out.push(Finding::new(&VALUE, message).file(file).tensor(key));
        }
    }
    let has = |name: &str| container.tensors.iter().any(|t| container.name_bytes(t) == name.as_bytes());
    if arch != PROJECTOR && attends && has("token_embd.weight") && has("blk.0.attn_norm.weight") {
        let missing = NEEDED.iter().map(|name| format!("{arch}.{name}")).filter(|key| container.metadata.get(key).is_none());
        let missing: Vec<String> = missing.collect();
        if let Some(first) = missing.first() {
            let message = format!("keys that the loader needs are missing: {}", missing.join(", "));
            out.push(Finding::new(&KEY, message).file(file).tensor(first));
        }
    }
}

fn shown(value: &MetadataValue) -> String {
    match value {
        MetadataValue::Unsigned(n) => n.to_string(),
        MetadataValue::Signed(n) => n.to_string(),
        MetadataValue::Float(x) => x.to_string(),
        MetadataValue::Bool(b) => b.to_string(),
        _ => "no number".to_owned(),
    }
}

fn tokenizer(file: &str, container: &Container, out: &mut Findings) {
    let meta = &container.metadata;
    let Some(tokens) = meta.array_len("tokenizer.ggml.tokens") else { return };
    for key in ["tokenizer.ggml.scores", "tokenizer.ggml.token_type"] {
        if let Some(len) = meta.array_len(key).filter(|len| *len != tokens) {
            let message = format!("{key} has {len} entries; there are {tokens} tokens");
            out.push(Finding::new(&TOKENIZER, message).file(file).tensor(key));
        }
    }
    for (key, wanted) in
        [("tokenizer.ggml.tokens", "string"), ("tokenizer.ggml.scores", "f32"), ("tokenizer.ggml.token_type", "i32")]
    {
        if let Some(element) = meta.element_type(key).filter(|element| *element != wanted) {
            let message = format!("{key} has elements of type {element}; readers take them as {wanted}");
            out.push(Finding::new(&TOKENIZER, message).file(file).tensor(key));
        }
    }
    if let Some(token) = meta.bad_byte_token() {
        let message = format!("the byte token `{}` is no byte in two hexadecimal digits", escape_limited(token, 20));
        out.push(Finding::new(&TOKENIZER, message).file(file).tensor("tokenizer.ggml.tokens"));
    }
}
