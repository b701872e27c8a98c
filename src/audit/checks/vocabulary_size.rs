//! Embedding rows against the vocabulary: configured size, tokenizer, special tokens.

use serde_json::Value;

use crate::audit::check::{Check, code};
use crate::audit::finding::Severity::{self, Note, Warning};
use crate::audit::finding::{Code, Finding, Findings};
use crate::audit::subject::Subject;
use crate::audit::tensors::main_tensors;
use crate::checkpoint::{Checkpoint, Role, Vocabulary, read_vocabulary};
use crate::error::ErrorKind;
use crate::format::Format;

const SIZE: Code = code(
    "vocabulary-size",
    "Embedding rows and vocabulary disagree",
    Warning,
    "The embedding has not as many rows as the configuration states, or the tokenizer knows token ids that have no row. Loaders refuse the weights, or read beside them at \
     the first such token. Added tokens alone beyond the last row are a note: some models ship tokens they never use.",
);
const SPECIAL: Code = code(
    "special-token-id",
    "A special token beyond the vocabulary",
    Warning,
    "A bos, eos, pad or unknown token id is not below the number of tokens. Generation never stops, or fails at the first use of the token.",
);

pub(super) const CHECK: Check = Check { name: "vocabulary_size", codes: &[SIZE, SPECIAL], run };

const EMBEDDINGS: &[&str] = &[
    "embed_tokens.weight",
    "wte.weight",
    "word_embeddings.weight",
    "embed_in.weight",
    "tok_embeddings.weight",
    "token_embd.weight",
    "shared.weight",
];

const SPECIALS: &[&str] = &["bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id"];

fn run(subject: &Subject<'_>, out: &mut Findings) {
    let Some(checkpoint) = subject.checkpoint else { return };
    let Some((rows, file, name)) = embedding(checkpoint) else { return };
    if checkpoint.format() == Some(Format::Gguf) {
        return gguf(checkpoint, rows, &file, &name, out);
    }
    if let Some(stated) = checkpoint.model.vocab_size.filter(|v| *v != rows) {
        let message = format!("the embedding has {rows} rows; the configuration states vocab_size {stated}");
        // Too few rows are read beyond their end; one more than stated is what classes with a start token of their own have.
        let severity = if rows < stated {
            Severity::Error
        } else if rows == stated.saturating_add(1) {
            Note
        } else {
            Warning
        };
        out.push(Finding::new(&SIZE, message).severity(severity).file(&file).tensor(&name));
    }
    for text in subject.texts.iter().filter(|t| matches!(t.name.as_str(), "config.json" | "generation_config.json")) {
        let Some(Value::Object(map)) = &text.json else { continue };
        for key in SPECIALS {
            let ids = match map.get(*key) {
                Some(Value::Array(list)) => list.iter().filter_map(Value::as_u64).collect(),
                Some(value) => value.as_u64().into_iter().collect::<Vec<u64>>(),
                None => continue,
            };
            if let Some(id) = ids.into_iter().find(|id| *id >= rows) {
                let message = format!("`{key}` is {id}, but the embedding has {rows} rows");
                out.push(Finding::new(&SPECIAL, message).file(&text.name).tensor(*key));
            }
        }
    }
    if let Some(found) = subject.listed().iter().find(|f| f.name == "tokenizer.json") {
        match read_vocabulary(found) {
            Ok(vocabulary) => tokenizer(&vocabulary, rows, out),
            Err(error) if matches!(error.kind(), ErrorKind::Io | ErrorKind::Changed) => subject.failed(error),
            Err(error) => {
                let message = format!("the vocabulary cannot be read: {}", error.message());
                out.push(Finding::new(&super::config_json::UNREADABLE, message).file("tokenizer.json").offset(error.offset()));
            }
        }
    }
}

fn tokenizer(vocabulary: &Vocabulary, rows: u64, out: &mut Findings) {
    let base = vocabulary.largest_id.filter(|id| *id >= rows);
    let added = vocabulary.largest_added_id.filter(|id| *id >= rows);
    let finding = match (base, added) {
        (Some(id), _) => Finding::new(&SIZE, format!("token ids go up to {id}, but the embedding has {rows} rows")),
        (None, Some(id)) => {
            Finding::new(&SIZE, format!("added tokens have ids up to {id}, but the embedding has {rows} rows")).severity(Note)
        }
        (None, None) => return,
    };
    out.push(finding.file("tokenizer.json"));
}

/// Rows, file and name of the input embedding, where there is exactly one and it is not packed.
fn embedding(checkpoint: &Checkpoint) -> Option<(u64, String, String)> {
    let mut found = main_tensors(checkpoint).filter(|t| {
        t.naming.role == Role::Embedding
            && t.info.shape.len() == 2
            && t.logical_params == t.info.elements
            && EMBEDDINGS.iter().any(|end| t.name().ends_with(end))
    });
    let first = found.next()?;
    if found.next().is_some() {
        return None;
    }
    Some((*first.info.shape.first()?, checkpoint.files[first.file].name.clone(), first.name().into_owned()))
}

fn gguf(checkpoint: &Checkpoint, rows: u64, file: &str, name: &str, out: &mut Findings) {
    for container in checkpoint.selected_files().into_iter().map(|i| &checkpoint.files[i].container) {
        let meta = &container.metadata;
        let Some(tokens) = meta.array_len("tokenizer.ggml.tokens") else { continue };
        if tokens != rows {
            let message = format!("the embedding has {rows} rows; the vocabulary has {tokens} tokens");
            out.push(Finding::new(&SIZE, message).file(file).tensor(name));
        }
        for key in ["bos", "eos", "unknown", "padding", "seperator", "eot", "eom"] {
            let key = format!("tokenizer.ggml.{key}_token_id");
            // Converters write -1 as u32 for "none".
            if let Some(id) = meta.count(&key).filter(|id| *id >= tokens && *id != u64::from(u32::MAX)) {
                let message = format!("`{key}` is {id}, but there are {tokens} tokens");
                out.push(Finding::new(&SPECIAL, message).file(file).tensor(key));
            }
        }
    }
}
