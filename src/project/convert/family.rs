//! A family as the converter writes it: the words of its row, and the functions that they name.

use super::common_keys::{self, Given};
use super::conversion::{Conversion, Loaded};
use super::keys::Keys;
use super::{model_keys, source_names, tensors};
use crate::families::converter::{KeyRule, Rename, Start, TensorRule};
use crate::families::{self, by_class};

/// How the converter writes one family: the functions that its row names.
#[derive(Clone, Copy)]
pub(super) struct Family {
    /// `general.architecture`.
    pub(super) arch: &'static str,
    /// The other columns of its row.
    pub(super) row: &'static families::converter::Conversion,
    /// Names under which tensors are read; `None` leaves one out.
    pub(super) rename: fn(&str) -> Option<String>,
    /// Tensors that are computed, and checks before any is read.
    pub(super) start: fn(&mut Conversion<'_>) -> Result<(), String>,
    /// Writes what becomes of one tensor.
    pub(super) tensor: fn(&mut Conversion<'_>, &Loaded) -> Result<(), String>,
    /// Writes the model's own keys.
    pub(super) keys: fn(&mut Keys, &mut Given<'_>) -> Result<(), String>,
}

/// Finds the family of a class that config.json names.
pub(super) fn of(class: &str) -> Option<Family> {
    let (row, conversion) = by_class(class)?;
    Some(Family {
        arch: row.gguf?,
        row: conversion,
        rename: rename(conversion.rename),
        start: start(conversion.start),
        tensor: tensor(conversion.tensor),
        keys: keys(conversion.keys),
    })
}

fn rename(rule: Rename) -> fn(&str) -> Option<String> {
    match rule {
        Rename::Same => source_names::same_name,
        Rename::Bert => source_names::bert_name,
        Rename::Bloom => source_names::bloom_name,
        Rename::Distil => source_names::distil_name,
        Rename::Ernie => source_names::ernie_name,
        Rename::GptOss => source_names::gpt_oss_name,
        Rename::Mamba2 => source_names::mamba2_name,
        Rename::ModernBert => source_names::modern_bert_name,
        Rename::Roberta => source_names::roberta_name,
        Rename::Thinker => source_names::thinker_name,
        Rename::WithoutHead => source_names::without_head,
    }
}

fn start(rule: Start) -> fn(&mut Conversion<'_>) -> Result<(), String> {
    match rule {
        Start::Nothing => tensors::nothing,
        Start::Llama => tensors::llama_start,
        Start::Nomic => tensors::nomic_start,
        Start::Phi3 => tensors::phi3_start,
        Start::Qwen3 => tensors::qwen3_start,
    }
}

fn tensor(rule: TensorRule) -> fn(&mut Conversion<'_>, &Loaded) -> Result<(), String> {
    match rule {
        TensorRule::Plain => tensors::plain,
        TensorRule::Bert => tensors::bert,
        TensorRule::Bloom => tensors::bloom,
        TensorRule::Cohere2 => tensors::cohere2,
        TensorRule::Deepseek => tensors::deepseek,
        TensorRule::Deepseek2 => tensors::deepseek2,
        TensorRule::Falcon => tensors::falcon,
        TensorRule::Gemma3 => tensors::gemma3,
        TensorRule::Gpt2 => tensors::gpt2,
        TensorRule::GptNeox => tensors::gpt_neox,
        TensorRule::GptOss => tensors::gpt_oss,
        TensorRule::GraniteMoe => tensors::granite_moe,
        TensorRule::Llama => tensors::llama,
        TensorRule::Mamba => tensors::mamba,
        TensorRule::Mamba2 => tensors::mamba2,
        TensorRule::Olmo => tensors::olmo,
        TensorRule::Olmoe => tensors::olmoe,
        TensorRule::PhiMoe => tensors::phi_moe,
        TensorRule::Qwen2 => tensors::qwen2,
        TensorRule::Qwen3VlMoe => tensors::qwen3_vl_moe,
        TensorRule::QwenMoe => tensors::qwen_moe,
        TensorRule::Roberta => tensors::roberta,
        TensorRule::Routed => tensors::routed,
        TensorRule::Stablelm => tensors::stablelm,
        TensorRule::T5 => tensors::t5,
    }
}

fn keys(rule: KeyRule) -> fn(&mut Keys, &mut Given<'_>) -> Result<(), String> {
    match rule {
        KeyRule::Base => common_keys::base,
        KeyRule::Arcee => model_keys::arcee,
        KeyRule::Bert => model_keys::bert,
        KeyRule::Bloom => model_keys::bloom,
        KeyRule::Cohere => model_keys::cohere,
        KeyRule::Cohere2 => model_keys::cohere2,
        KeyRule::Deepseek => model_keys::deepseek,
        KeyRule::Deepseek2 => model_keys::deepseek2,
        KeyRule::DistilBert => model_keys::distil_bert,
        KeyRule::Dots1 => model_keys::dots1,
        KeyRule::Exaone4 => model_keys::exaone4,
        KeyRule::Falcon => model_keys::falcon,
        KeyRule::Gemma => model_keys::gemma,
        KeyRule::Gemma2 => model_keys::gemma2,
        KeyRule::Gemma3 => model_keys::gemma3,
        KeyRule::GemmaEmbedding => model_keys::gemma_embedding,
        KeyRule::Glm4 => model_keys::glm4,
        KeyRule::Glm4Moe => model_keys::glm4_moe,
        KeyRule::Gpt2 => model_keys::gpt2,
        KeyRule::GptNeox => model_keys::gpt_neox,
        KeyRule::GptOss => model_keys::gpt_oss,
        KeyRule::Granite => model_keys::granite,
        KeyRule::GraniteMoe => model_keys::granite_moe,
        KeyRule::Llama => model_keys::llama,
        KeyRule::Mamba => model_keys::mamba,
        KeyRule::Mamba2 => model_keys::mamba2,
        KeyRule::Mistral3 => model_keys::mistral3,
        KeyRule::ModernBert => model_keys::modern_bert,
        KeyRule::Nemotron => model_keys::nemotron,
        KeyRule::Olmo => model_keys::olmo,
        KeyRule::Olmo2 => model_keys::olmo2,
        KeyRule::Olmoe => model_keys::olmoe,
        KeyRule::Phi2 => model_keys::phi2,
        KeyRule::Phi3 => model_keys::phi3,
        KeyRule::PhiMoe => model_keys::phi_moe,
        KeyRule::Qwen => model_keys::qwen,
        KeyRule::Qwen3Vl => model_keys::qwen3_vl,
        KeyRule::Qwen3VlMoe => model_keys::qwen3_vl_moe,
        KeyRule::QwenMoe => model_keys::qwen_moe,
        KeyRule::Stablelm => model_keys::stablelm,
        KeyRule::Starcoder => model_keys::starcoder,
        KeyRule::T5 => model_keys::t5,
        KeyRule::T5Encoder => model_keys::t5_encoder,
    }
}
