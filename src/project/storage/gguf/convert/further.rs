//! Further families: rows like those of `family`, most of them decoders of the llama scheme.

use super::family::{Family, PLAIN, decoder};
use super::further_keys as fk;
use super::further_tensors as ft;
use super::model_keys as mk;
use super::names;
use super::tensors;
use super::vocab::Path;

/// Rows of these families.
pub(super) const FURTHER: &[Family] = &[
    Family {
        architectures: &["OlmoForCausalLM", "OLMoForCausalLM"],
        arch: "olmo",
        names: decoder("token_embd output attn_qkv attn_q attn_k attn_v attn_output ffn_gate ffn_down ffn_up"),
        tensor: ft::olmo,
        keys: fk::olmo,
        ..PLAIN
    },
    Family {
        architectures: &["Olmo2ForCausalLM", "Olmo3ForCausalLM"],
        arch: "olmo2",
        names: decoder(
            "token_embd output_norm output attn_qkv attn_q attn_k attn_v attn_output post_attention_norm attn_q_norm attn_k_norm post_ffw_norm ffn_gate ffn_down ffn_up",
        ),
        keys: fk::olmo2,
        ..PLAIN
    },
    Family {
        architectures: &["OlmoeForCausalLM"],
        arch: "olmoe",
        names: decoder(
            "token_embd output_norm output attn_output attn_qkv attn_q attn_k attn_v attn_norm attn_q_norm attn_k_norm ffn_norm ffn_gate_inp ffn_gate_exps ffn_up_exps ffn_down_exps",
        ),
        tensor: ft::olmoe,
        keys: fk::olmoe,
        ..PLAIN
    },
    Family {
        architectures: &["SeedOssForCausalLM"],
        arch: "seed_oss",
        names: decoder(
            "token_embd attn_norm attn_qkv attn_q attn_k attn_v attn_output post_attention_norm ffn_gate ffn_down ffn_up output_norm output",
        ),
        ..PLAIN
    },
    Family {
        architectures: &["StableLmForCausalLM", "StableLMEpochForCausalLM", "LlavaStableLMEpochForCausalLM"],
        arch: "stablelm",
        names: decoder(
            "token_embd output_norm output attn_norm attn_qkv attn_q attn_k attn_v attn_output ffn_norm ffn_gate ffn_down ffn_up attn_q_norm attn_k_norm",
        ),
        tensor: ft::stablelm,
        keys: fk::stablelm,
        ..PLAIN
    },
    Family {
        architectures: &["BloomForCausalLM", "BloomModel"],
        arch: "bloom",
        names: names::BLOOM,
        tensor: ft::bloom,
        keys: fk::bloom,
        ..PLAIN
    },
    Family { architectures: &["GPTBigCodeForCausalLM"], arch: "starcoder", keys: fk::starcoder, ..PLAIN },
    Family {
        architectures: &["GraniteForCausalLM"],
        arch: "granite",
        names: decoder(
            "token_embd output_norm output attn_norm attn_qkv attn_q attn_k attn_v attn_output ffn_norm ffn_gate ffn_down ffn_up",
        ),
        start: tensors::llama_start,
        tensor: tensors::llama,
        keys: fk::granite,
        vocab: Path::Llama,
        ..PLAIN
    },
    Family {
        architectures: &["GraniteMoeForCausalLM", "GraniteMoeSharedForCausalLM"],
        arch: "granitemoe",
        names: decoder(
            "token_embd output_norm output attn_norm attn_qkv attn_q attn_k attn_v attn_output ffn_norm ffn_gate_inp ffn_gate_exps ffn_down_exps ffn_up_exps ffn_gate_shexp ffn_up_shexp ffn_down_shexp",
        ),
        start: tensors::llama_start,
        tensor: ft::granite_moe,
        keys: fk::granite_moe,
        vocab: Path::Llama,
        ..PLAIN
    },
    Family {
        architectures: &["CohereForCausalLM"],
        arch: "command-r",
        names: decoder(
            "token_embd output_norm attn_norm attn_qkv attn_q attn_k attn_v attn_output ffn_gate ffn_down ffn_up attn_k_norm attn_q_norm",
        ),
        keys: fk::cohere,
        ..PLAIN
    },
    Family {
        architectures: &["Cohere2ForCausalLM"],
        arch: "cohere2",
        names: decoder("token_embd output_norm attn_norm attn_qkv attn_q attn_k attn_v attn_output ffn_gate ffn_down ffn_up"),
        tensor: ft::cohere2,
        keys: fk::cohere2,
        ..PLAIN
    },
    Family {
        architectures: &["Glm4ForCausalLM"],
        arch: "glm4",
        names: decoder(
            "token_embd output_norm output attn_norm attn_qkv attn_q attn_k attn_v attn_output ffn_norm ffn_down ffn_up post_attention_norm post_ffw_norm",
        ),
        rename: ft::glm4_name,
        keys: fk::glm4,
        vocab: Path::Glm4,
        ..PLAIN
    },
    Family {
        architectures: &["Glm4MoeForCausalLM"],
        arch: "glm4moe",
        names: decoder(
            "token_embd output_norm output attn_norm post_attention_norm attn_qkv attn_q attn_k attn_v attn_output attn_q_norm attn_k_norm ffn_gate ffn_down ffn_up ffn_gate_inp ffn_gate_exps ffn_down_exps ffn_up_exps ffn_gate_shexp ffn_down_shexp ffn_up_shexp exp_probs_b nextn.eh_proj nextn.embed_tokens nextn.enorm nextn.hnorm nextn.shared_head_head nextn.shared_head_norm",
        ),
        predicts_further: true,
        tensor: ft::routed,
        keys: fk::glm4_moe,
        vocab: Path::Glm,
        ..PLAIN
    },
    Family {
        architectures: &["Dots1ForCausalLM"],
        arch: "dots1",
        names: decoder(
            "token_embd output_norm output attn_norm attn_qkv attn_q attn_q_norm attn_k attn_k_norm attn_v attn_output exp_probs_b ffn_norm ffn_gate ffn_gate_exps ffn_gate_inp ffn_gate_shexp ffn_down ffn_down_exps ffn_down_shexp ffn_up ffn_up_exps ffn_up_shexp",
        ),
        tensor: ft::routed,
        keys: fk::dots1,
        ..PLAIN
    },
    Family {
        architectures: &["SmolLM3ForCausalLM"],
        arch: "smollm3",
        names: decoder(
            "token_embd output_norm output attn_norm attn_qkv attn_q attn_k attn_v attn_output ffn_norm ffn_gate ffn_down ffn_up",
        ),
        start: tensors::llama_start,
        tensor: tensors::llama,
        keys: mk::llama,
        vocab: Path::Llama,
        ..PLAIN
    },
    Family {
        architectures: &["ArceeForCausalLM"],
        arch: "arcee",
        names: decoder(
            "token_embd output_norm output attn_norm attn_qkv attn_q attn_k attn_v attn_output ffn_norm ffn_down ffn_up",
        ),
        start: tensors::llama_start,
        tensor: tensors::llama,
        keys: fk::arcee,
        vocab: Path::Llama,
        ..PLAIN
    },
    Family {
        architectures: &["Mistral3ForConditionalGeneration", "Ministral3ForCausalLM"],
        arch: "mistral3",
        names: decoder(
            "token_embd output_norm output attn_norm attn_qkv attn_q attn_k attn_v attn_output ffn_gate_inp ffn_norm ffn_gate ffn_down ffn_up ffn_gate_exps ffn_down_exps ffn_up_exps",
        ),
        start: tensors::llama_start,
        tensor: tensors::llama,
        keys: fk::mistral3,
        vocab: Path::Llama,
        ..PLAIN
    },
    Family {
        architectures: &["PhiMoEForCausalLM"],
        arch: "phimoe",
        names: decoder(
            "token_embd output_norm output attn_norm attn_qkv attn_q attn_k attn_v attn_output ffn_norm ffn_gate_inp ffn_gate_exps ffn_down_exps ffn_up_exps",
        ),
        start: tensors::phi3_start,
        tensor: ft::phi_moe,
        keys: fk::phi_moe,
        vocab: Path::Phi3,
        ..PLAIN
    },
    Family {
        architectures: &["Exaone4ForCausalLM"],
        arch: "exaone4",
        names: decoder(
            "token_embd output_norm output attn_qkv attn_q attn_q_norm attn_k attn_k_norm attn_v attn_output post_attention_norm ffn_gate ffn_down ffn_up post_ffw_norm",
        ),
        start: tensors::llama_start,
        keys: fk::exaone4,
        ..PLAIN
    },
    Family {
        architectures: &["Ernie4_5_ForCausalLM", "Ernie4_5ForCausalLM"],
        arch: "ernie4_5",
        names: decoder(
            "token_embd output_norm output attn_norm attn_qkv attn_q attn_k attn_v attn_output ffn_norm ffn_gate ffn_down ffn_up",
        ),
        rename: ft::ernie_name,
        vocab: Path::Ernie,
        ..PLAIN
    },
    Family {
        architectures: &["NemotronForCausalLM"],
        arch: "nemotron",
        names: decoder(
            "token_embd output_norm output attn_norm attn_qkv attn_q attn_k attn_v attn_output ffn_norm ffn_down ffn_up",
        ),
        keys: fk::nemotron,
        vocab: Path::Nemotron,
        ..PLAIN
    },
    Family {
        architectures: &[
            "Qwen2VLModel",
            "Qwen2VLForConditionalGeneration",
            "Qwen2_5_VLForConditionalGeneration",
            "Qwen2_5OmniModel",
        ],
        arch: "qwen2vl",
        names: decoder(
            "token_embd output_norm output attn_norm attn_qkv attn_q attn_k attn_v attn_output ffn_norm ffn_gate ffn_down ffn_up",
        ),
        rename: ft::thinker_name,
        vocab: Path::Qwen,
        ..PLAIN
    },
    Family {
        architectures: &["Qwen3VLForConditionalGeneration"],
        arch: "qwen3vl",
        names: decoder(
            "token_embd output_norm output attn_norm attn_qkv attn_q attn_q_norm attn_k attn_k_norm attn_v attn_output ffn_norm ffn_gate ffn_down ffn_up",
        ),
        rename: ft::thinker_name,
        start: tensors::qwen3_start,
        keys: fk::qwen3_vl,
        vocab: Path::Qwen,
        ..PLAIN
    },
    Family {
        architectures: &["Qwen3VLMoeForConditionalGeneration"],
        arch: "qwen3vlmoe",
        names: decoder(
            "token_embd output_norm output attn_norm attn_qkv attn_q attn_q_norm attn_k attn_k_norm attn_v attn_output ffn_norm ffn_gate_inp ffn_gate_exps ffn_down_exps ffn_up_exps",
        ),
        rename: ft::thinker_name,
        tensor: ft::qwen3_vl_moe,
        keys: fk::qwen3_vl_moe,
        ..PLAIN
    },
    Family {
        architectures: &["Gemma3TextModel"],
        arch: "gemma-embedding",
        names: decoder(
            "token_embd output output_norm attn_qkv attn_q attn_q_norm attn_k attn_k_norm attn_v attn_output ffn_gate ffn_down ffn_up attn_norm post_attention_norm ffn_norm post_ffw_norm",
        ),
        tensor: tensors::gemma3,
        keys: fk::gemma_embedding,
        vocab: Path::Gemma3,
        ..PLAIN
    },
    Family {
        architectures: &["T5EncoderModel"],
        arch: "t5encoder",
        names: names::T5_ENCODER,
        tensor: tensors::t5,
        keys: mk::t5_encoder,
        vocab: Path::T5,
        ..PLAIN
    },
    Family {
        architectures: &["DistilBertModel", "DistilBertForMaskedLM", "DistilBertForSequenceClassification"],
        arch: "bert",
        names: names::BERT,
        rename: ft::distil_name,
        tensor: tensors::bert,
        keys: fk::distil_bert,
        vocab: Path::Bert,
        ..PLAIN
    },
    Family {
        architectures: &["RobertaModel", "RobertaForSequenceClassification"],
        arch: "bert",
        names: names::BERT,
        rename: ft::roberta_name,
        tensor: ft::roberta,
        keys: mk::bert,
        vocab: Path::Roberta,
        ..PLAIN
    },
    Family {
        architectures: &["ModernBertModel", "ModernBertForMaskedLM", "ModernBertForSequenceClassification"],
        arch: "modern-bert",
        names: names::MODERN_BERT,
        rename: ft::modern_bert_name,
        tensor: tensors::bert,
        keys: fk::modern_bert,
        vocab: Path::ModernBert,
        ..PLAIN
    },
    Family {
        architectures: &["Mamba2ForCausalLM"],
        arch: "mamba2",
        names: names::MAMBA2,
        raw_config: true,
        rename: ft::mamba2_name,
        tensor: ft::mamba2,
        keys: fk::mamba2,
        vocab: Path::Mamba2,
        ..PLAIN
    },
];
