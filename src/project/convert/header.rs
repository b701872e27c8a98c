//! The header that the converter writes, as an engine reads it: for what depends on keys and shapes and not on the file's size.

use super::converted::{ConvertedModel, family_of, without_vocabulary};
use super::family::FamilyRules;
use super::hparams::Hparams;
use super::stop::Stop;
use super::vocab;
use crate::checkpoint::config::from_gguf;
use crate::checkpoint::{HfFolder, ModelConfig, names};
use crate::dtype::Dtype;
use crate::format::{Format, Metadata};
use crate::project::input::{GgufSource, ProjectInput, ProjectTensor, Provenance};
use crate::project::plan::Basis;

/// Keys that layers, caches and graphs are made of. One that is written with a number that is not known here is a refusal: a key
/// that seems to be missing would stand for its default.
const NEEDED: &[&str] = &[
    "attention.causal",
    "attention.clamp_kqv",
    "attention.head_count",
    "attention.head_count_kv",
    "attention.key_length",
    "attention.key_length_mla",
    "attention.kv_lora_rank",
    "attention.sliding_window",
    "attention.sliding_window_pattern",
    "attention.value_length",
    "attention.value_length_mla",
    "block_count",
    "decoder_block_count",
    "embedding_length",
    "embedding_scale",
    "expert_count",
    "expert_group_count",
    "expert_group_used_count",
    "expert_used_count",
    "expert_weights_norm",
    "expert_weights_scale",
    "final_logit_softcapping",
    "leading_dense_block_count",
    "logit_scale",
    "nextn_predict_layers",
    "residual_scale",
    "rope.dimension_count",
    "rope.scaling.finetuned",
    "ssm.conv_kernel",
    "ssm.dt_b_c_rms",
    "ssm.group_count",
    "ssm.inner_size",
    "ssm.state_size",
    "ssm.time_step_rank",
    "use_parallel_residual",
];

/// What an engine reads of a converted file.
#[derive(Debug)]
pub(crate) struct ConvertedHeader {
    tensors: Vec<ProjectTensor<'static>>,
    model: ModelConfig,
    gguf: GgufSource,
    /// The outtype, which the converter chooses itself.
    pub(crate) outtype: Dtype,
    /// An estimate where what is written depends on values or was not read.
    pub(crate) basis: Basis,
    /// Remarks on the figures for the reader, already escaped.
    pub(crate) notes: Vec<String>,
}

/// The header of a folder's conversion with the outtype `auto`. `None` for a family whose conversion is not known.
///
/// # Errors
/// Why the converter stops, or the key whose number is not known. A tokenizer at which it stops is a note: the graph does not depend
/// on it.
pub(crate) fn header(input: &ProjectInput<'_>, folder: &HfFolder) -> Option<Result<ConvertedHeader, String>> {
    let read = |(family, mut settings): (FamilyRules, Hparams)| {
        let mut conversion = without_vocabulary(input, folder, &family, &mut settings)?;
        if let Some(name) = conversion.keys.without_number(NEEDED) {
            return Err(Stop::new(format!("what the converter writes under `{}.{name}` is not known", conversion.arch)));
        }
        let metadata = conversion.keys.metadata();
        if let Err(reason) = vocab::add(&mut conversion.keys, family.row.vocabulary, folder, &mut settings) {
            conversion.notes.push(format!("the tokenizer is taken for one that can be converted ({reason})"));
        }
        ConvertedHeader::new(input, &conversion, &metadata)
    };
    Some(family_of(folder)?.and_then(read).map_err(|stop| stop.to_string()))
}

impl ConvertedHeader {
    fn new(input: &ProjectInput<'_>, conversion: &ConvertedModel, metadata: &Metadata) -> Result<Self, Stop> {
        let outtype = conversion.auto;
        let typed = conversion.typed(input, outtype).map_err(|refusal| refusal.reason)?;
        let mut tensors = typed.tensors;
        for t in &mut tensors {
            let naming = names::classify(&t.name, Format::Gguf);
            (t.role, t.layer) = (naming.role, naming.layer);
        }
        let mut model = from_gguf(metadata, &|name| tensors.iter().any(|t| t.name == name));
        let rows = tensors.iter().find(|t| t.name == "token_embd.weight").and_then(|t| t.shape.first().copied());
        let tokens = conversion.keys.tokens.or(rows);
        let mut notes = conversion.notes.clone();
        if let (Some(rows), Some(tokens)) = (rows, tokens)
            && rows != tokens
        {
            notes.push(format!("the tokenizer has {tokens} tokens, the embedding {rows} rows: llama.cpp refuses to load that"));
        }
        model.vocab_size = tokens.or(model.vocab_size).or(input.model.vocab_size);
        model.context_length = model.context_length.or(input.model.context_length);
        let gguf = GgufSource { vocabulary: tokens, ..GgufSource::new(metadata, conversion.keys.bytes(), 32) };
        Ok(Self { tensors, model, gguf, outtype, basis: conversion.basis, notes })
    }

    /// The converted file as a projection reads it.
    pub(crate) fn input(&self) -> ProjectInput<'_> {
        ProjectInput {
            format: Some(Format::Gguf),
            file_bytes: self.tensors.iter().fold(self.gguf.kv_bytes, |n, t| n.saturating_add(t.bytes)),
            header_bytes: self.gguf.kv_bytes,
            files: 1,
            model: &self.model,
            quantization: None,
            safetensors_metadata: None,
            gguf: Some(self.gguf.clone()),
            folder: None,
            provenance: Provenance::default(),
            tensors: self.tensors.clone(),
        }
    }
}
