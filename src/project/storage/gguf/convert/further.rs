//! Further families: rows like those of `family`, most of them decoders of the llama scheme.

use super::family::{Family, PLAIN};
use super::further_keys as fk;
use super::further_tensors as ft;
use super::model_keys as mk;
use super::tensors;
use super::vocab::Path;

/// Rows of these families.
pub(super) const FURTHER: &[Family] = &[
    Family { architectures: &["OlmoForCausalLM", "OLMoForCausalLM"], arch: "olmo", tensor: ft::olmo, keys: fk::olmo, ..PLAIN },
    Family { architectures: &["Olmo2ForCausalLM", "Olmo3ForCausalLM"], arch: "olmo2", keys: fk::olmo2, ..PLAIN },
    Family { architectures: &["OlmoeForCausalLM"], arch: "olmoe", tensor: ft::olmoe, keys: fk::olmoe, ..PLAIN },
    Family { architectures: &["SeedOssForCausalLM"], arch: "seed_oss", ..PLAIN },
    Family {
        architectures: &["StableLmForCausalLM", "StableLMEpochForCausalLM", "LlavaStableLMEpochForCausalLM"],
        arch: "stablelm",
        tensor: ft::stablelm,
        keys: fk::stablelm,
        ..PLAIN
    },
    Family {
        architectures: &["BloomForCausalLM", "BloomModel"],
        arch: "bloom",
        rename: ft::bloom_name,
        tensor: ft::bloom,
        keys: fk::bloom,
        ..PLAIN
    },
    Family { architectures: &["GPTBigCodeForCausalLM"], arch: "starcoder", keys: fk::starcoder, ..PLAIN },
    Family {
        architectures: &["GraniteForCausalLM"],
        arch: "granite",
        start: tensors::llama_start,
        tensor: tensors::llama,
        keys: fk::granite,
        vocab: Path::Llama,
        ..PLAIN
    },
    Family {
        architectures: &["GraniteMoeForCausalLM", "GraniteMoeSharedForCausalLM"],
        arch: "granitemoe",
        start: tensors::llama_start,
        tensor: ft::granite_moe,
        keys: fk::granite_moe,
        vocab: Path::Llama,
        ..PLAIN
    },
    Family { architectures: &["CohereForCausalLM"], arch: "command-r", keys: fk::cohere, ..PLAIN },
    Family { architectures: &["Cohere2ForCausalLM"], arch: "cohere2", tensor: ft::cohere2, keys: fk::cohere2, ..PLAIN },
    Family { architectures: &["Glm4ForCausalLM"], arch: "glm4", keys: fk::glm4, vocab: Path::Glm4, ..PLAIN },
    Family {
        architectures: &["Glm4MoeForCausalLM"],
        arch: "glm4moe",
        predicts_further: true,
        tensor: ft::routed,
        keys: fk::glm4_moe,
        vocab: Path::Glm,
        ..PLAIN
    },
    Family { architectures: &["Dots1ForCausalLM"], arch: "dots1", tensor: ft::routed, keys: fk::dots1, ..PLAIN },
    Family {
        architectures: &["SmolLM3ForCausalLM"],
        arch: "smollm3",
        start: tensors::llama_start,
        tensor: tensors::llama,
        keys: mk::llama,
        vocab: Path::Llama,
        ..PLAIN
    },
    Family {
        architectures: &["ArceeForCausalLM"],
        arch: "arcee",
        start: tensors::llama_start,
        tensor: tensors::llama,
        keys: fk::arcee,
        vocab: Path::Llama,
        ..PLAIN
    },
    Family {
        architectures: &["Mistral3ForConditionalGeneration", "Ministral3ForCausalLM"],
        arch: "mistral3",
        start: tensors::llama_start,
        tensor: tensors::llama,
        keys: fk::mistral3,
        vocab: Path::Llama,
        ..PLAIN
    },
    Family {
        architectures: &["PhiMoEForCausalLM"],
        arch: "phimoe",
        start: tensors::phi3_start,
        tensor: ft::phi_moe,
        keys: fk::phi_moe,
        vocab: Path::Phi3,
        ..PLAIN
    },
    Family { architectures: &["Exaone4ForCausalLM"], arch: "exaone4", start: tensors::llama_start, keys: fk::exaone4, ..PLAIN },
    Family {
        architectures: &["Ernie4_5_ForCausalLM", "Ernie4_5ForCausalLM"],
        arch: "ernie4_5",
        rename: ft::ernie_name,
        vocab: Path::Ernie,
        ..PLAIN
    },
    Family { architectures: &["NemotronForCausalLM"], arch: "nemotron", keys: fk::nemotron, vocab: Path::Nemotron, ..PLAIN },
    Family {
        architectures: &[
            "Qwen2VLModel",
            "Qwen2VLForConditionalGeneration",
            "Qwen2_5_VLForConditionalGeneration",
            "Qwen2_5OmniModel",
        ],
        arch: "qwen2vl",
        rename: ft::thinker_name,
        vocab: Path::Qwen,
        ..PLAIN
    },
    Family {
        architectures: &["Qwen3VLForConditionalGeneration"],
        arch: "qwen3vl",
        rename: ft::thinker_name,
        start: tensors::qwen3_start,
        keys: fk::qwen3_vl,
        vocab: Path::Qwen,
        ..PLAIN
    },
    Family {
        architectures: &["Qwen3VLMoeForConditionalGeneration"],
        arch: "qwen3vlmoe",
        rename: ft::thinker_name,
        tensor: ft::qwen3_vl_moe,
        keys: fk::qwen3_vl_moe,
        ..PLAIN
    },
    Family {
        architectures: &["Gemma3TextModel"],
        arch: "gemma-embedding",
        tensor: tensors::gemma3,
        keys: fk::gemma_embedding,
        vocab: Path::Gemma3,
        ..PLAIN
    },
    Family {
        architectures: &["T5EncoderModel"],
        arch: "t5encoder",
        tensor: tensors::t5,
        keys: mk::t5_encoder,
        vocab: Path::T5,
        ..PLAIN
    },
    Family {
        architectures: &["DistilBertModel", "DistilBertForMaskedLM", "DistilBertForSequenceClassification"],
        arch: "bert",
        rename: ft::distil_name,
        tensor: tensors::bert,
        keys: fk::distil_bert,
        vocab: Path::Bert,
        ..PLAIN
    },
    Family {
        architectures: &["RobertaModel", "RobertaForSequenceClassification"],
        arch: "bert",
        rename: ft::roberta_name,
        tensor: ft::roberta,
        keys: mk::bert,
        vocab: Path::Roberta,
        ..PLAIN
    },
    Family {
        architectures: &["ModernBertModel", "ModernBertForMaskedLM", "ModernBertForSequenceClassification"],
        arch: "modern-bert",
        rename: ft::modern_bert_name,
        tensor: tensors::bert,
        keys: fk::modern_bert,
        vocab: Path::ModernBert,
        ..PLAIN
    },
    Family {
        architectures: &["Mamba2ForCausalLM"],
        arch: "mamba2",
        raw_config: true,
        rename: ft::mamba2_name,
        tensor: ft::mamba2,
        keys: fk::mamba2,
        vocab: Path::Mamba2,
        ..PLAIN
    },
];
