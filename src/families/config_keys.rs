//! The one table of spellings: under which keys of a config.json a figure stands, and where the text part of a larger model stands.
//!
//! A row gives the spellings in the order in which facts are read, each with the model or library that writes it. llama.cpp's converter
//! ([`crate::pins::LLAMA_CPP_PYTHON`]) asks for fewer or others, in an order of its own and by class: those are columns of the row, named
//! by the code of the converter that asks.

use serde_json::{Map, Value};

/// One figure of a config.json, under all its spellings.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// The spellings that facts are read from, in the order in which they are tried.
    pub names: &'static [&'static str],
    /// Who writes each of them.
    pub whose: &'static [&'static str],
    /// What a part of the converter asks for, in its order.
    converter: &'static [(ConverterPart, &'static [&'static str])],
}

/// The code of llama.cpp's converter that asks for a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConverterPart {
    /// `TextModel.set_gguf_parameters`, and the count of blocks in `TextModel.__init__`.
    Shared,
    /// The permutation of query and key rows in the classes of the llama family.
    Permutation,
    /// Phi-2 and Phi-3.
    Phi,
    /// BLOOM.
    Bloom,
    /// Falcon.
    Falcon,
    /// Experts that a class stacks by itself.
    Stacked,
    /// Mamba.
    Mamba,
    /// Mamba 2.
    Mamba2,
}

impl Setting {
    /// The spelling that error messages name.
    pub fn name(&self) -> &'static str {
        self.names.first().copied().unwrap_or_default()
    }

    /// What a part of the converter asks for, in its order; the row's own spellings where it asks as facts are read.
    pub fn asked_by(&self, part: ConverterPart) -> &'static [&'static str] {
        self.converter.iter().find(|(asks, _)| *asks == part).map_or(self.names, |(_, names)| names)
    }

    /// Every spelling of the row, those that only the converter knows last.
    pub fn all_names(&self) -> impl Iterator<Item = &'static str> {
        let facts = self.names;
        let others = self.converter.iter().flat_map(|(_, names)| names.iter().copied());
        facts.iter().copied().chain(others.filter(move |name| !facts.contains(name)))
    }
}

/// Rows as a table: spellings with who writes them, then the converter's columns.
macro_rules! settings {
    ($($(#[$doc:meta])* $row:ident { $($name:literal: $whose:literal),+ $(,)? } $($part:ident [$($own:literal),+])*;)+) => {
        $($(#[$doc])* pub const $row: Setting = Setting {
            names: &[$($name),+],
            whose: &[$($whose),+],
            converter: &[$((ConverterPart::$part, &[$($own),+])),*],
        };)+
        /// Every row of the table.
        pub const SETTINGS: &[Setting] = &[$($row),+];
    };
}

settings! {
    /// Width of the residual stream.
    HIDDEN_SIZE { "hidden_size": "Hugging Face", "n_embd": "GPT-2", "d_model": "T5, BART, Mamba", "dim": "DistilBERT, Mistral's own",
                  "n_embed": "BLOOM" }
        Shared ["hidden_size", "n_embd", "dim"] Phi ["hidden_size", "n_embd"] Bloom ["hidden_size", "n_embed"]
        Mamba ["hidden_size", "d_model"] Mamba2 ["hidden_size", "d_model", "dim"];
    /// Transformer blocks.
    LAYERS { "num_hidden_layers": "Hugging Face", "n_layer": "GPT-2", "n_layers": "MPT, DistilBERT", "num_layers": "ChatGLM, T5" }
        Shared ["n_layers", "num_hidden_layers", "n_layer", "num_layers"];
    /// Decoder blocks of T5, whose other count is the encoder's.
    T5_DECODER_LAYERS { "num_decoder_layers": "T5", "num_layers": "T5, where both are alike" };
    /// Decoder blocks of encoder-decoder models.
    DECODER_LAYERS { "decoder_layers": "BART, Whisper", "num_hidden_layers": "BART" };
    /// Attention (query) heads.
    HEADS { "num_attention_heads": "Hugging Face", "n_head": "GPT-2", "n_heads": "MPT, DistilBERT", "num_heads": "T5",
            "decoder_attention_heads": "BART" }
        Shared ["num_attention_heads", "n_head", "n_heads"] Permutation ["n_heads", "num_attention_heads"]
        Phi ["num_attention_heads", "n_head"] Bloom ["n_head", "num_attention_heads"] Falcon ["num_attention_heads", "n_head"];
    /// Heads of the decoder of encoder-decoder models.
    DECODER_HEADS { "decoder_attention_heads": "BART, Whisper", "num_attention_heads": "BART" };
    /// Key/value heads.
    KV_HEADS { "num_key_value_heads": "Hugging Face", "num_kv_heads": "Falcon", "n_head_kv": "Falcon of 2023" }
        Shared ["num_key_value_heads", "n_kv_heads"] Permutation ["n_kv_heads", "num_key_value_heads"]
        Phi ["num_key_value_heads", "n_head_kv"] Falcon ["num_kv_heads", "n_head_kv"];
    /// Elements of one head.
    HEAD_DIM { "head_dim": "Hugging Face", "attention_head_dim": "Zamba 2", "kv_channels": "ChatGLM" };
    /// Width of the feed-forward block.
    FFN_SIZE { "intermediate_size": "Hugging Face", "n_inner": "GPT-2", "ffn_dim": "OPT", "d_ff": "T5", "hidden_dim": "DistilBERT",
               "ffn_hidden_size": "ChatGLM", "decoder_ffn_dim": "BART" }
        Shared ["prefix_dense_intermediate_size", "dense_intermediate_size", "intermediate_size", "n_inner", "hidden_dim"];
    /// Rows of the embedding.
    VOCAB_SIZE { "vocab_size": "Hugging Face", "padded_vocab_size": "ChatGLM" };
    /// Longest context the model was made for, in tokens.
    CONTEXT { "max_position_embeddings": "Hugging Face", "n_positions": "GPT-2", "max_seq_len": "MPT", "seq_length": "ChatGLM, BLOOM",
              "max_sequence_length": "OLMo", "max_target_positions": "Whisper", "n_ctx": "GPT-2" }
        Shared ["max_position_embeddings", "n_ctx", "n_positions", "max_length", "max_sequence_length", "model_max_length"]
        Phi ["n_positions", "max_position_embeddings"];
    /// Routed experts of a layer.
    EXPERTS { "num_local_experts": "Mixtral, gpt-oss", "num_experts": "Qwen MoE, OLMoE", "n_routed_experts": "DeepSeek, GLM",
              "moe_num_experts": "ERNIE 4.5, DBRX" }
        Shared ["num_local_experts", "num_experts", "n_routed_experts"] Stacked ["num_local_experts", "num_experts"];
    /// Routed experts that work on one token.
    EXPERTS_USED { "num_experts_per_tok": "Hugging Face", "experts_per_token": "gpt-oss", "num_experts_per_token": "Phi MoE",
                   "moe_topk": "Hunyuan", "moe_top_k": "DBRX", "moe_k": "ERNIE 4.5" }
        Shared ["num_experts_per_tok", "num_experts_per_token", "top_k_experts"]
        Stacked ["num_experts_per_tok", "num_experts_per_token"];
    /// Experts that always work.
    SHARED_EXPERTS { "n_shared_experts": "DeepSeek, GLM", "num_shared_experts": "Hunyuan, Llama 4" };
    /// Layers that predict tokens after the next.
    MTP_LAYERS { "num_nextn_predict_layers": "DeepSeek, GLM", "num_mtp_layers": "MiMo", "mtp_num_hidden_layers": "Qwen 3.5" };
    /// Dtype of the weights.
    DTYPE { "dtype": "transformers since 4.56", "torch_dtype": "Hugging Face" };
    /// The kind of each layer.
    LAYER_TYPES { "layer_types": "Hugging Face", "layers_block_type": "Bamba, Nemotron-H" };
    /// Groups of a state-space layer of Nemotron-H.
    SSM_GROUPS { "n_groups": "Mamba 2, Nemotron-H", "mamba_n_groups": "Bamba, Granite 4" };
    /// Width of the short convolution.
    CONV_KERNEL { "conv_kernel": "Mamba, Nemotron-H", "mamba_d_conv": "Bamba, Granite 4" }
        Mamba ["conv_kernel", "d_conv"] Mamba2 ["conv_kernel", "d_conv"];
    /// Size of a state.
    STATE_SIZE { "state_size": "Mamba" } Mamba ["state_size", "d_state"] Mamba2 ["state_size", "d_state"];
    /// Rank of the time step of Mamba.
    TIME_STEP_RANK { "time_step_rank": "Mamba" } Mamba ["time_step_rank", "dt_rank"];
    /// Inner width of a state-space layer over its outer one.
    SSM_EXPAND { "expand": "Mamba" } Mamba2 ["mamba_expand", "expand"];
    /// Inner width of a state-space layer.
    SSM_INNER { "intermediate_size": "Mamba" }
        Mamba ["intermediate_size", "d_inner"] Mamba2 ["mamba_d_ssm", "intermediate_size", "d_inner"];
    /// Elements of one head of a state-space layer.
    SSM_HEAD_DIM { "head_dim": "Mamba 2" } Mamba2 ["mamba_d_head", "head_dim"];
    /// The small number of root-mean-square norms.
    RMS_NORM_EPS { "rms_norm_eps": "Hugging Face", "norm_eps": "Mistral's own" };
    /// The small number of layer norms.
    LAYER_NORM_EPS { "layer_norm_eps": "Hugging Face", "layer_norm_epsilon": "GPT-2, BLOOM", "norm_epsilon": "Starcoder 2" };
    /// Base of rotary positions in layers with a window.
    ROPE_THETA_LOCAL { "local_rope_theta": "ModernBERT", "rope_local_theta": "the converter", "rope_theta_local": "the converter",
                       "swa_rope_theta": "the converter", "rope_local_base_freq": "Gemma 3" };
    /// Base of rotary positions.
    ROPE_THETA { "global_rope_theta": "ModernBERT", "rope_global_theta": "the converter", "rope_theta_global": "the converter",
                 "rope_theta": "Hugging Face", "rotary_emb_base": "GPT-NeoX, Nomic" };
    /// Share of a head that has rotary positions.
    ROTARY_SHARE { "partial_rotary_factor": "Hugging Face", "rope_pct": "StableLM", "rope_percent": "the converter" };
    /// How the model is quantized.
    QUANTIZATION { "quantization_config": "Hugging Face", "compression_config": "compressed-tensors of 2024",
                   "quantization": "MLX, Mistral's own" };
    /// Bits of a quantized weight.
    QUANTIZED_BITS { "bits": "GPTQ, MLX", "w_bit": "AWQ", "wbits": "GPTQ of 2023" };
    /// Weights that share a scale.
    QUANTIZED_GROUP { "group_size": "GPTQ, MLX", "q_group_size": "AWQ" };
}

/// A key under which the text part of a larger model stands.
#[derive(Debug, Clone, Copy)]
pub struct TextPart {
    /// The key.
    pub name: &'static str,
    /// Who writes it.
    pub whose: &'static str,
    /// Whether the converter lays what stands there over the rest. Of several the last one wins there; facts take the first.
    pub converter: bool,
}

const fn part(name: &'static str, whose: &'static str, converter: bool) -> TextPart {
    TextPart { name, whose, converter }
}

/// Keys of text parts, in the order in which they are tried.
pub const TEXT_PARTS: &[TextPart] = &[
    part("text_config", "Hugging Face", true),
    part("llm_config", "InternVL, Eagle 2", true),
    part("lm_config", "NVIDIA's radio models", true),
    part("language_config", "DeepSeek-VL2, Janus", true),
    part("lfm", "LFM2-Audio", true),
    // The converter takes the `text_config` inside it.
    part(THINKER, "Qwen 2.5 Omni", false),
    part("talker_config", "Qwen3-TTS", false),
];

/// The part of Qwen's omni models that writes text.
pub const THINKER: &str = "thinker_config";

/// Keys of parts that see and hear.
pub const TOWERS: &[&str] = &["vision_config", "audio_config"];

/// Deepest nesting that is followed: `thinker_config.text_config` is the deepest in use.
const DEEPEST: usize = 3;

/// The innermost text part of a config.json; the object itself where it has none.
///
/// A part is found under a key of [`TEXT_PARTS`]. Where none is there and the object states no layers of its own, the one object in it
/// that states layers, width and vocabulary is taken, whatever its key.
pub fn text_part(top: &Map<String, Value>) -> &Map<String, Value> {
    let mut text = top;
    for _ in 0..DEEPEST {
        let named = TEXT_PARTS.iter().find_map(|part| text.get(part.name).and_then(Value::as_object));
        match named.or_else(|| only_decoder(text)) {
            Some(inner) => text = inner,
            None => break,
        }
    }
    text
}

/// The one object that states what a language model cannot be without, in an object that does not.
fn only_decoder(map: &Map<String, Value>) -> Option<&Map<String, Value>> {
    let states = |map: &Map<String, Value>, setting: &Setting| setting.names.iter().any(|name| map.contains_key(*name));
    if states(map, &LAYERS) {
        return None;
    }
    let whole = |map: &Map<String, Value>| [LAYERS, HIDDEN_SIZE, VOCAB_SIZE].iter().all(|setting| states(map, setting));
    let mut found = map.values().filter_map(Value::as_object).filter(|inner| whole(inner));
    found.next().filter(|_| found.next().is_none())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_spelling_says_who_writes_it() {
        for row in SETTINGS {
            assert_eq!(row.names.len(), row.whose.len(), "{}", row.name());
            assert!(!row.name().is_empty() && row.whose.iter().all(|whose| !whose.is_empty()), "{}", row.name());
            let mut names: Vec<_> = row.all_names().collect();
            names.sort_unstable();
            assert!(names.windows(2).all(|pair| pair[0] != pair[1]) || row.converter.len() > 1, "{names:?}");
        }
    }

    #[test]
    fn a_part_that_is_not_asked_for_reads_as_facts_do() {
        assert_eq!(HIDDEN_SIZE.asked_by(ConverterPart::Bloom), ["hidden_size", "n_embed"]);
        assert_eq!(RMS_NORM_EPS.asked_by(ConverterPart::Shared), RMS_NORM_EPS.names);
    }

    fn inner(config: &Value) -> Option<u64> {
        text_part(config.as_object().unwrap()).get("num_hidden_layers")?.as_u64()
    }

    #[test]
    fn a_text_part_is_found_under_any_key() {
        let decoder = |layers: u64| json!({"num_hidden_layers": layers, "hidden_size": 64, "vocab_size": 256});
        assert_eq!(inner(&json!({"text_config": decoder(2)})), Some(2));
        assert_eq!(inner(&json!({"thinker_config": {"text_config": decoder(3)}, "talker_config": decoder(4)})), Some(3));
        assert_eq!(
            inner(&json!({"llama_config": decoder(5), "vision_config": {"num_hidden_layers": 9, "hidden_size": 8}})),
            Some(5)
        );
        assert_eq!(
            inner(&json!({"vlm": {"language_model_config": decoder(6)}})),
            None,
            "only what states layers itself is entered"
        );
        assert_eq!(inner(&json!({"a": decoder(5), "b": decoder(6)})), None, "two that could be it");
        let own = json!({"num_hidden_layers": 7, "assistant": decoder(1)});
        assert_eq!(inner(&own), Some(7), "a model with layers of its own is the model");
    }
}
