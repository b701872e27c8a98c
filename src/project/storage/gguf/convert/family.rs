//! A family as the converter writes it: the words of its row, and the functions that they name.

use super::further_keys as fk;
use super::further_tensors as ft;
use super::job::{Job, Loaded};
use super::keys::Keys;
use super::model_keys::{self as mk, Given};
use super::tensors;
use crate::families::by_class;
use crate::families::converter::{KeyRule, Rename, Start, TensorRule, Vocabulary};

/// One family of the converter.
#[derive(Clone, Copy)]
pub(super) struct Family {
    /// `general.architecture`.
    pub(super) arch: &'static str,
    /// The converter reads config.json as it is, without the class's defaults.
    pub(super) raw_config: bool,
    /// Layers that predict further tokens are written behind the others.
    pub(super) predicts_further: bool,
    /// Names under which tensors are read; `None` leaves one out.
    pub(super) rename: fn(&str) -> Option<String>,
    /// Tensors that are computed, and checks before any is read.
    pub(super) start: fn(&mut Job<'_>) -> Result<(), String>,
    /// What becomes of one tensor.
    pub(super) tensor: fn(&mut Job<'_>, &Loaded) -> Result<(), String>,
    /// Writes the keys.
    pub(super) keys: fn(&mut Keys, &mut Given<'_>) -> Result<(), String>,
    /// Where the vocabulary comes from.
    pub(super) vocabulary: Vocabulary,
}

/// The family of a class.
pub(super) fn of(class: &str) -> Option<Family> {
    let (row, conversion) = by_class(class)?;
    Some(Family {
        arch: row.gguf?,
        raw_config: conversion.raw_config,
        predicts_further: conversion.predicts_further,
        rename: rename(conversion.rename),
        start: start(conversion.start),
        tensor: tensor(conversion.tensor),
        keys: keys(conversion.keys),
        vocabulary: conversion.vocabulary,
    })
}

fn rename(rule: Rename) -> fn(&str) -> Option<String> {
    match rule {
        Rename::Same => tensors::same_name,
        Rename::Bert => tensors::bert_name,
        Rename::Bloom => ft::bloom_name,
        Rename::Distil => ft::distil_name,
        Rename::Ernie => ft::ernie_name,
        Rename::GptOss => tensors::gpt_oss_name,
        Rename::Mamba2 => ft::mamba2_name,
        Rename::ModernBert => ft::modern_bert_name,
        Rename::Roberta => ft::roberta_name,
        Rename::Thinker => ft::thinker_name,
        Rename::WithoutHead => tensors::without_head,
    }
}

fn start(rule: Start) -> fn(&mut Job<'_>) -> Result<(), String> {
    match rule {
        Start::Nothing => tensors::nothing,
        Start::Llama => tensors::llama_start,
        Start::Nomic => tensors::nomic_start,
        Start::Phi3 => tensors::phi3_start,
        Start::Qwen3 => tensors::qwen3_start,
    }
}

fn tensor(rule: TensorRule) -> fn(&mut Job<'_>, &Loaded) -> Result<(), String> {
    match rule {
        TensorRule::Plain => tensors::plain,
        TensorRule::Bert => tensors::bert,
        TensorRule::Bloom => ft::bloom,
        TensorRule::Cohere2 => ft::cohere2,
        TensorRule::Deepseek => tensors::deepseek,
        TensorRule::Deepseek2 => tensors::deepseek2,
        TensorRule::Falcon => tensors::falcon,
        TensorRule::Gemma3 => tensors::gemma3,
        TensorRule::Gpt2 => tensors::gpt2,
        TensorRule::GptNeox => tensors::gpt_neox,
        TensorRule::GptOss => tensors::gpt_oss,
        TensorRule::GraniteMoe => ft::granite_moe,
        TensorRule::Llama => tensors::llama,
        TensorRule::Mamba => tensors::mamba,
        TensorRule::Mamba2 => ft::mamba2,
        TensorRule::Olmo => ft::olmo,
        TensorRule::Olmoe => ft::olmoe,
        TensorRule::PhiMoe => ft::phi_moe,
        TensorRule::Qwen2 => tensors::qwen2,
        TensorRule::Qwen3VlMoe => ft::qwen3_vl_moe,
        TensorRule::QwenMoe => tensors::qwen_moe,
        TensorRule::Roberta => ft::roberta,
        TensorRule::Routed => ft::routed,
        TensorRule::Stablelm => ft::stablelm,
        TensorRule::T5 => tensors::t5,
    }
}

fn keys(rule: KeyRule) -> fn(&mut Keys, &mut Given<'_>) -> Result<(), String> {
    match rule {
        KeyRule::Base => mk::base,
        KeyRule::Arcee => fk::arcee,
        KeyRule::Bert => mk::bert,
        KeyRule::Bloom => fk::bloom,
        KeyRule::Cohere => fk::cohere,
        KeyRule::Cohere2 => fk::cohere2,
        KeyRule::Deepseek => mk::deepseek,
        KeyRule::Deepseek2 => mk::deepseek2,
        KeyRule::DistilBert => fk::distil_bert,
        KeyRule::Dots1 => fk::dots1,
        KeyRule::Exaone4 => fk::exaone4,
        KeyRule::Falcon => mk::falcon,
        KeyRule::Gemma => mk::gemma,
        KeyRule::Gemma2 => mk::gemma2,
        KeyRule::Gemma3 => mk::gemma3,
        KeyRule::GemmaEmbedding => fk::gemma_embedding,
        KeyRule::Glm4 => fk::glm4,
        KeyRule::Glm4Moe => fk::glm4_moe,
        KeyRule::Gpt2 => mk::gpt2,
        KeyRule::GptNeox => mk::gpt_neox,
        KeyRule::GptOss => mk::gpt_oss,
        KeyRule::Granite => fk::granite,
        KeyRule::GraniteMoe => fk::granite_moe,
        KeyRule::Llama => mk::llama,
        KeyRule::Mamba => fk::mamba,
        KeyRule::Mamba2 => fk::mamba2,
        KeyRule::Mistral3 => fk::mistral3,
        KeyRule::ModernBert => fk::modern_bert,
        KeyRule::Nemotron => fk::nemotron,
        KeyRule::Olmo => fk::olmo,
        KeyRule::Olmo2 => fk::olmo2,
        KeyRule::Olmoe => fk::olmoe,
        KeyRule::Phi2 => mk::phi2,
        KeyRule::Phi3 => mk::phi3,
        KeyRule::PhiMoe => fk::phi_moe,
        KeyRule::Qwen => mk::qwen,
        KeyRule::Qwen3Vl => fk::qwen3_vl,
        KeyRule::Qwen3VlMoe => fk::qwen3_vl_moe,
        KeyRule::QwenMoe => mk::qwen_moe,
        KeyRule::Stablelm => fk::stablelm,
        KeyRule::Starcoder => fk::starcoder,
        KeyRule::T5 => mk::t5,
        KeyRule::T5Encoder => mk::t5_encoder,
    }
}
