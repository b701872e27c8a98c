//! The families whose conversion is known. To add one: a row here, its names, its keys, and what it does to tensors.

use super::further::FURTHER;
use super::further_keys as fk;
use super::job::{Job, Loaded};
use super::keys::Keys;
use super::model_keys::{self as mk, Given};
use super::tensors;
use super::vocab::Path;

/// One family of the converter.
pub(super) struct Family {
    /// Classes of the converter's registry.
    pub(super) architectures: &'static [&'static str],
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
    pub(super) keys: fn(&mut Keys, &mut Given<'_>) -> Result<(), String>,
    pub(super) vocab: Path,
}

/// What most rows have; a row says what differs.
pub(super) const PLAIN: Family = Family {
    architectures: &[],
    arch: "",
    raw_config: false,
    predicts_further: false,
    rename: tensors::same_name,
    start: tensors::nothing,
    tensor: tensors::plain,
    keys: mk::base,
    vocab: Path::Gpt2,
};

/// Every family.
pub(super) const FAMILIES: &[Family] = &[
    Family {
        architectures: &[
            "LLaMAForCausalLM",
            "LlamaForCausalLM",
            "MistralForCausalLM",
            "MixtralForCausalLM",
            "LlavaForConditionalGeneration",
            "LlamaModel",
        ],
        arch: "llama",
        start: tensors::llama_start,
        tensor: tensors::llama,
        keys: mk::llama,
        vocab: Path::Llama,
        ..PLAIN
    },
    Family {
        architectures: &["Qwen2Model", "Qwen2ForCausalLM"],
        arch: "qwen2",
        tensor: tensors::qwen2,
        keys: mk::qwen,
        vocab: Path::Qwen,
        ..PLAIN
    },
    Family { architectures: &["Qwen2MoeForCausalLM"], arch: "qwen2moe", tensor: tensors::qwen_moe, keys: mk::qwen_moe, ..PLAIN },
    Family {
        architectures: &["Qwen3ForCausalLM", "Qwen3Model"],
        arch: "qwen3",
        start: tensors::qwen3_start,
        keys: mk::qwen,
        vocab: Path::Qwen,
        ..PLAIN
    },
    Family { architectures: &["Qwen3MoeForCausalLM"], arch: "qwen3moe", tensor: tensors::qwen_moe, keys: mk::qwen_moe, ..PLAIN },
    Family {
        architectures: &["GemmaForCausalLM"],
        arch: "gemma",
        rename: tensors::without_head,
        keys: mk::gemma,
        vocab: Path::Gemma1,
        ..PLAIN
    },
    Family {
        architectures: &["Gemma2ForCausalLM"],
        arch: "gemma2",
        rename: tensors::without_head,
        keys: mk::gemma2,
        vocab: Path::Gemma,
        ..PLAIN
    },
    Family {
        architectures: &["Gemma3ForCausalLM", "Gemma3ForConditionalGeneration"],
        arch: "gemma3",
        tensor: tensors::gemma3,
        keys: mk::gemma3,
        vocab: Path::Gemma3,
        ..PLAIN
    },
    Family { architectures: &["PhiForCausalLM"], arch: "phi2", keys: mk::phi2, ..PLAIN },
    Family {
        architectures: &["Phi3ForCausalLM"],
        arch: "phi3",
        start: tensors::phi3_start,
        keys: mk::phi3,
        vocab: Path::Phi3,
        ..PLAIN
    },
    Family { architectures: &["Starcoder2ForCausalLM"], arch: "starcoder2", ..PLAIN },
    Family { architectures: &["GPT2LMHeadModel"], arch: "gpt2", tensor: tensors::gpt2, keys: mk::gpt2, ..PLAIN },
    Family { architectures: &["GPTNeoXForCausalLM"], arch: "gptneox", tensor: tensors::gpt_neox, keys: mk::gpt_neox, ..PLAIN },
    Family {
        architectures: &["FalconForCausalLM", "RWForCausalLM"],
        arch: "falcon",
        tensor: tensors::falcon,
        keys: mk::falcon,
        ..PLAIN
    },
    Family {
        architectures: &["BertModel", "BertForMaskedLM", "BertForSequenceClassification"],
        arch: "bert",
        rename: tensors::bert_name,
        tensor: tensors::bert,
        keys: mk::bert,
        vocab: Path::Bert,
        ..PLAIN
    },
    Family {
        architectures: &["NomicBertModel"],
        arch: "nomic-bert",
        raw_config: true,
        rename: tensors::bert_name,
        start: tensors::nomic_start,
        keys: mk::bert,
        vocab: Path::Bert,
        ..PLAIN
    },
    Family {
        architectures: &["MambaForCausalLM", "MambaLMHeadModel", "FalconMambaForCausalLM"],
        arch: "mamba",
        raw_config: true,
        tensor: tensors::mamba,
        keys: fk::mamba,
        vocab: Path::Mamba,
        ..PLAIN
    },
    Family {
        architectures: &[
            "T5WithLMHeadModel",
            "T5ForConditionalGeneration",
            "MT5ForConditionalGeneration",
            "UMT5ForConditionalGeneration",
        ],
        arch: "t5",
        tensor: tensors::t5,
        keys: mk::t5,
        vocab: Path::T5,
        ..PLAIN
    },
    Family {
        architectures: &["DeepseekForCausalLM"],
        arch: "deepseek",
        tensor: tensors::deepseek,
        keys: mk::deepseek,
        vocab: Path::Qwen,
        ..PLAIN
    },
    Family {
        architectures: &["DeepseekV2ForCausalLM", "DeepseekV3ForCausalLM"],
        arch: "deepseek2",
        tensor: tensors::deepseek2,
        keys: mk::deepseek2,
        ..PLAIN
    },
    Family {
        architectures: &["GptOssForCausalLM"],
        arch: "gpt-oss",
        rename: tensors::gpt_oss_name,
        tensor: tensors::gpt_oss,
        keys: mk::gpt_oss,
        ..PLAIN
    },
];

/// The family of a class.
pub(super) fn of(architecture: &str) -> Option<&'static Family> {
    FAMILIES.iter().chain(FURTHER).find(|f| f.architectures.contains(&architecture))
}
