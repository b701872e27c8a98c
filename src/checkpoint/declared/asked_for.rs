//! The tensors that a checkpoint's own configuration or keys ask for, to hold against those that are there.

use serde_json::{Map, Value};

use super::{Declared, Row, plain, writer};
use crate::checkpoint::{Checkpoint, ModelConfig};
use crate::dtype::Dtype;
use crate::families::config_keys::CONTEXT;
use crate::families::family::Declared as Word;
use crate::families::{self, gguf_names};
use crate::format::{Format, Shape};

/// A tensor that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AskedFor {
    /// As the class or the converter names it, before a quantization renames it.
    pub(crate) name: String,
    /// The shape before packing, outermost first.
    pub(crate) shape: Shape,
}

/// What the configuration of a checkpoint, or the keys of its GGUF file, ask for; `None` where the tensors of the family are not known.
pub(crate) fn asked_for(checkpoint: &Checkpoint) -> Option<Vec<AskedFor>> {
    if let Some(config) = &checkpoint.config {
        let rows = plain(&config.value, &checkpoint.model).ok()?.rows;
        return Some(rows.into_iter().map(|row| AskedFor { name: row.name, shape: row.shape }).collect());
    }
    let is_gguf = checkpoint.tensors().next()?.container.format == Format::Gguf;
    if is_gguf { of_gguf(&checkpoint.model) } else { None }
}

/// The class's tensors under the names that the converter gives them.
fn of_gguf(model: &ModelConfig) -> Option<Vec<AskedFor>> {
    let architecture = model.architecture.as_deref()?;
    let (_, word) = *families::by_gguf(architecture)?.declared.first()?;
    // Mixtral's files have Llama's architecture.
    let word = if word == Word::Llama && model.experts.is_some() { Word::Mixtral } else { word };
    // What a class reads of its configuration by name, and what stands for it among the keys.
    let positions = model.context_length.map(Value::from).unwrap_or_default();
    let config: Map<String, Value> = CONTEXT.all_names().map(|key| (key.to_owned(), positions.clone())).collect();
    let mut declared = Declared { model, config: &config, dtype: Dtype::F32, rows: Vec::new() };
    writer(word)(&mut declared).ok()?;
    let blocks = model.layers?;
    let mut out: Vec<AskedFor> = Vec::with_capacity(declared.rows.len());
    for Row { name, shape, .. } in declared.rows {
        // Experts are stacked: one tensor stands for those of a block. Biases depend on the model.
        let name = without_expert(&name);
        let Some(name) = gguf_names::of_architecture(architecture, &name, blocks).filter(|name| !name.ends_with(".bias")) else {
            continue;
        };
        if out.last().is_none_or(|last| last.name != name) {
            out.push(AskedFor { name, shape });
        }
    }
    out.sort_by(|a, b| a.name.cmp(&b.name));
    out.dedup_by(|a, b| a.name == b.name);
    Some(out)
}

/// `block.experts.7.w1.weight` as `block.experts.w1.weight`.
fn without_expert(name: &str) -> String {
    let Some((before, after)) = name.split_once(".experts.") else { return name.to_owned() };
    match after.split_once('.') {
        Some((number, rest)) if number.bytes().all(|b| b.is_ascii_digit()) => format!("{before}.experts.{rest}"),
        _ => name.to_owned(),
    }
}
