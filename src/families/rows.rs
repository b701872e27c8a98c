//! Every family: a row each. To add one, write its row; what the row leaves out is as in [`PLAIN`].
//!
//! Sources: the configuration classes of transformers ([`crate::pins::TRANSFORMERS`]) for `model_types` and `cache`; llama.cpp
//! ([`crate::pins::LLAMA_CPP`]) for `gguf`, `gguf_cache`, `gguf_window`, `graph`, `conversions` and what the quantizer knows.

use super::cache::{GgufCache, GgufWindow, HfCache, WindowRule};
use super::converter::{CONVERSION, Conversion, KeyRule, Rename, Start, TensorRule, Vocabulary};
use super::family::{Activations, Declared, ExpertNames, Family, FfnWidth, KvHeads, Large, PLAIN};
use super::graph::{Act, DECODER, Decoder, Gating, Graph, HeadNorm, Norm, Order, Recurrent, Rope, SharedGate, Softcap};

const UNCHECKED: &str = "its cache rule has not been checked against an engine";
const INDEXER: &str = "its sparse attention keeps a second cache for the indexer, which is not modelled";

const GEMMA: Decoder = Decoder { scaled_embedding: true, scaled_queries: true, ..DECODER };

/// Every family, decoders first.
pub const FAMILIES: &[Family] = &[
    // Plain decoders.
    Family {
        model_types: &["llama"],
        gguf: Some("llama"),
        declared: &[("llama", Declared::Llama)],
        graph: Graph::Decoder(DECODER),
        conversions: &[Conversion {
            classes: &[
                "LLaMAForCausalLM",
                "LlamaForCausalLM",
                "MistralForCausalLM",
                "MixtralForCausalLM",
                "LlavaForConditionalGeneration",
                "LlamaModel",
            ],
            start: Start::Llama,
            tensor: TensorRule::Llama,
            keys: KeyRule::Llama,
            vocabulary: Vocabulary::Llama,
            headless: &["LlamaModel"],
            ..CONVERSION
        }],
        large: Large::At { layers: 80, grouped: true },
        activations: Activations::Measured,
        ..PLAIN
    },
    Family {
        model_types: &["mistral", "ministral", "ministral3"],
        gguf: Some("mistral3"),
        cache: HfCache::Window(WindowRule::Every),
        declared: &[("mistral", Declared::Mistral)],
        graph: Graph::Decoder(DECODER),
        conversions: &[Conversion {
            classes: &["Mistral3ForConditionalGeneration", "Ministral3ForCausalLM"],
            start: Start::Llama,
            tensor: TensorRule::Llama,
            keys: KeyRule::Mistral3,
            vocabulary: Vocabulary::Llama,
            handed_on: &["mistral4"],
            scaled_temperature: &["ministral3"],
            ..CONVERSION
        }],
        written_as: &[("mistral", "llama")],
        ..PLAIN
    },
    Family {
        model_types: &["mixtral"],
        cache: HfCache::Window(WindowRule::Every),
        gguf_cache: GgufCache::Absent,
        declared: &[("mixtral", Declared::Mixtral)],
        written_as: &[("mixtral", "llama")],
        expert_names: ExpertNames::BlockSparseMoe,
        ..PLAIN
    },
    Family {
        model_types: &["phimoe"],
        gguf: Some("phimoe"),
        cache: HfCache::Window(WindowRule::Every),
        conversions: &[Conversion {
            classes: &["PhiMoEForCausalLM"],
            start: Start::Phi3,
            tensor: TensorRule::PhiMoe,
            keys: KeyRule::PhiMoe,
            vocabulary: Vocabulary::Phi3,
            ..CONVERSION
        }],
        ..PLAIN
    },
    Family {
        model_types: &["qwen2"],
        gguf: Some("qwen2"),
        cache: HfCache::Window(WindowRule::FlaggedFrom),
        declared: &[("qwen2", Declared::Qwen2)],
        graph: Graph::Decoder(DECODER),
        conversions: &[Conversion {
            classes: &["Qwen2Model", "Qwen2ForCausalLM"],
            tensor: TensorRule::Qwen2,
            keys: KeyRule::Qwen,
            vocabulary: Vocabulary::Qwen,
            headless: &["Qwen2Model"],
            ..CONVERSION
        }],
        large: Large::At { layers: 80, grouped: false },
        activations: Activations::Measured,
        ..PLAIN
    },
    Family {
        model_types: &["qwen2_vl_text", "qwen2_5_vl_text", "qwen2_vl", "qwen2_5_vl"],
        gguf: Some("qwen2vl"),
        cache: HfCache::Window(WindowRule::FlaggedFrom),
        conversions: &[Conversion {
            classes: &["Qwen2VLModel", "Qwen2VLForConditionalGeneration", "Qwen2_5_VLForConditionalGeneration", "Qwen2_5OmniModel"],
            rename: Rename::Thinker,
            vocabulary: Vocabulary::Qwen,
            ..CONVERSION
        }],
        ..PLAIN
    },
    Family {
        model_types: &["qwen3"],
        gguf: Some("qwen3"),
        cache: HfCache::Window(WindowRule::FlaggedFrom),
        declared: &[("qwen3", Declared::Qwen3)],
        graph: Graph::Decoder(DECODER),
        conversions: &[Conversion {
            classes: &["Qwen3ForCausalLM", "Qwen3Model"],
            start: Start::Qwen3,
            keys: KeyRule::Qwen,
            vocabulary: Vocabulary::Qwen,
            ..CONVERSION
        }],
        activations: Activations::MeasuredWithHeadNorms,
        ..PLAIN
    },
    Family {
        model_types: &["qwen2_moe"],
        gguf: Some("qwen2moe"),
        cache: HfCache::Window(WindowRule::FlaggedAlternate),
        graph: Graph::Decoder(Decoder { normalized_experts: false, shared: SharedGate::Ratio, ..DECODER }),
        conversions: &[Conversion {
            classes: &["Qwen2MoeForCausalLM"],
            tensor: TensorRule::QwenMoe,
            keys: KeyRule::QwenMoe,
            ..CONVERSION
        }],
        ..PLAIN
    },
    Family {
        model_types: &["qwen3_moe"],
        gguf: Some("qwen3moe"),
        cache: HfCache::Window(WindowRule::FlaggedEvery),
        declared: &[("qwen3_moe", Declared::Qwen3Moe)],
        graph: Graph::Decoder(DECODER),
        conversions: &[Conversion {
            classes: &["Qwen3MoeForCausalLM"],
            tensor: TensorRule::QwenMoe,
            keys: KeyRule::QwenMoe,
            ..CONVERSION
        }],
        ..PLAIN
    },
    Family {
        model_types: &["qwen3_vl_text"],
        gguf: Some("qwen3vl"),
        conversions: &[Conversion {
            classes: &["Qwen3VLForConditionalGeneration"],
            rename: Rename::Thinker,
            start: Start::Qwen3,
            keys: KeyRule::Qwen3Vl,
            vocabulary: Vocabulary::Qwen,
            ..CONVERSION
        }],
        ..PLAIN
    },
    Family {
        model_types: &["qwen3_vl_moe_text"],
        gguf: Some("qwen3vlmoe"),
        conversions: &[Conversion {
            classes: &["Qwen3VLMoeForConditionalGeneration"],
            rename: Rename::Thinker,
            tensor: TensorRule::Qwen3VlMoe,
            keys: KeyRule::Qwen3VlMoe,
            ..CONVERSION
        }],
        ..PLAIN
    },
    Family {
        model_types: &["gemma"],
        gguf: Some("gemma"),
        declared: &[("gemma", Declared::Llama)],
        graph: Graph::Decoder(GEMMA),
        conversions: &[Conversion {
            classes: &["GemmaForCausalLM"],
            rename: Rename::WithoutHead,
            keys: KeyRule::Gemma,
            vocabulary: Vocabulary::Gemma1,
            ..CONVERSION
        }],
        ..PLAIN
    },
    Family {
        model_types: &["gemma2"],
        gguf: Some("gemma2"),
        cache: HfCache::Window(WindowRule::Pattern(2)),
        gguf_cache: GgufCache::Pattern(2),
        gguf_window: GgufWindow::OrElse(4096),
        declared: &[("gemma2", Declared::Gemma2)],
        graph: Graph::Decoder(Decoder { post_norms: true, softcap_scores: true, softcap_logits: Softcap::Always, ..GEMMA }),
        conversions: &[Conversion {
            classes: &["Gemma2ForCausalLM"],
            rename: Rename::WithoutHead,
            keys: KeyRule::Gemma2,
            vocabulary: Vocabulary::Gemma,
            ..CONVERSION
        }],
        ..PLAIN
    },
    Family {
        model_types: &["gemma3", "gemma3_text"],
        gguf: Some("gemma3"),
        cache: HfCache::Window(WindowRule::Pattern(6)),
        gguf_cache: GgufCache::Pattern(6),
        gguf_window: GgufWindow::NoneWithout,
        declared: &[("gemma3_text", Declared::Gemma3)],
        graph: Graph::Decoder(Decoder { softcap_logits: Softcap::WithKey, post_norms: true, ..GEMMA }),
        conversions: &[Conversion {
            classes: &["Gemma3ForCausalLM", "Gemma3ForConditionalGeneration"],
            tensor: TensorRule::Gemma3,
            keys: KeyRule::Gemma3,
            vocabulary: Vocabulary::Gemma3,
            ..CONVERSION
        }],
        ..PLAIN
    },
    Family {
        model_types: &["gpt_oss"],
        gguf: Some("gpt-oss"),
        cache: HfCache::Window(WindowRule::Pattern(2)),
        gguf_cache: GgufCache::Pattern(2),
        gguf_window: GgufWindow::Required,
        declared: &[("gpt_oss", Declared::GptOss)],
        graph: Graph::Decoder(Decoder {
            ffn_norm: "post_attention_norm",
            gating: Gating::After,
            normalized_experts: false,
            sinks: true,
            picks_in_block: false,
            ..DECODER
        }),
        conversions: &[Conversion {
            classes: &["GptOssForCausalLM"],
            rename: Rename::GptOss,
            tensor: TensorRule::GptOss,
            keys: KeyRule::GptOss,
            keeps_mxfp4: true,
            ..CONVERSION
        }],
        ..PLAIN
    },
    Family {
        model_types: &["phi"],
        gguf: Some("phi2"),
        graph: Graph::Decoder(Decoder { norm: Norm::Layer, order: Order::AttentionFirst, scaled_queries: true, ..DECODER }),
        conversions: &[Conversion { classes: &["PhiForCausalLM"], keys: KeyRule::Phi2, ..CONVERSION }],
        ..PLAIN
    },
    // llama.cpp runs phi3 with a pattern of 1: no layer keeps a window.
    Family {
        model_types: &["phi3", "phi4_multimodal"],
        gguf: Some("phi3"),
        cache: HfCache::Window(WindowRule::Every),
        declared: &[("phi3", Declared::Phi3)],
        graph: Graph::Decoder(Decoder { scaled_queries: true, act: Act::Halves, residual_first: (false, true), ..DECODER }),
        conversions: &[Conversion {
            classes: &["Phi3ForCausalLM"],
            start: Start::Phi3,
            keys: KeyRule::Phi3,
            vocabulary: Vocabulary::Phi3,
            ..CONVERSION
        }],
        ..PLAIN
    },
    Family {
        model_types: &["starcoder2"],
        gguf: Some("starcoder2"),
        cache: HfCache::Window(WindowRule::Every),
        graph: Graph::Decoder(Decoder { norm: Norm::Layer, ..DECODER }),
        conversions: &[Conversion { classes: &["Starcoder2ForCausalLM"], ..CONVERSION }],
        ..PLAIN
    },
    Family {
        model_types: &["gpt2"],
        gguf: Some("gpt2"),
        ffn: FfnWidth::TimesHidden(4),
        declared: &[("gpt2", Declared::Gpt2)],
        graph: Graph::Decoder(Decoder { norm: Norm::Layer, rope: Rope::None, learned_positions: true, ..DECODER }),
        conversions: &[Conversion { classes: &["GPT2LMHeadModel"], tensor: TensorRule::Gpt2, keys: KeyRule::Gpt2, ..CONVERSION }],
        transposed_linears: true,
        activations: Activations::OfGpt,
        heads_share_hidden: &["gpt2"],
        mlx_blocks_in_model: true,
        ..PLAIN
    },
    Family {
        model_types: &["gpt_bigcode"],
        gguf: Some("starcoder"),
        kv_heads: KvHeads::MultiQuery,
        ffn: FfnWidth::TimesHidden(4),
        conversions: &[Conversion { classes: &["GPTBigCodeForCausalLM"], keys: KeyRule::Starcoder, ..CONVERSION }],
        ..PLAIN
    },
    Family {
        model_types: &["gpt_neox"],
        gguf: Some("gptneox"),
        graph: Graph::Decoder(Decoder { parallel_by_key: true, norm: Norm::Layer, ..DECODER }),
        conversions: &[Conversion {
            classes: &["GPTNeoXForCausalLM"],
            tensor: TensorRule::GptNeox,
            keys: KeyRule::GptNeox,
            ..CONVERSION
        }],
        activations: Activations::OfGpt,
        heads_share_hidden: &["gpt_neox"],
        ..PLAIN
    },
    Family {
        model_types: &["gptj"],
        gguf: Some("gptj"),
        ffn: FfnWidth::TimesHidden(4),
        activations: Activations::OfGpt,
        heads_share_hidden: &["gptj"],
        ..PLAIN
    },
    Family { model_types: &["codegen"], ffn: FfnWidth::TimesHidden(4), ..PLAIN },
    Family {
        model_types: &["falcon", "RefinedWeb", "RefinedWebModel"],
        gguf: Some("falcon"),
        kv_heads: KvHeads::GroupedOrSingle,
        ffn: FfnWidth::TimesHidden(4),
        graph: Graph::Decoder(Decoder { norm: Norm::Layer, order: Order::SideBySide, ..DECODER }),
        conversions: &[Conversion {
            classes: &["FalconForCausalLM", "RWForCausalLM"],
            tensor: TensorRule::Falcon,
            keys: KeyRule::Falcon,
            ..CONVERSION
        }],
        own_mixture: true,
        ..PLAIN
    },
    Family {
        model_types: &["bloom"],
        gguf: Some("bloom"),
        ffn: FfnWidth::TimesHidden(4),
        conversions: &[Conversion {
            classes: &["BloomForCausalLM", "BloomModel"],
            rename: Rename::Bloom,
            tensor: TensorRule::Bloom,
            keys: KeyRule::Bloom,
            ..CONVERSION
        }],
        activations: Activations::OfGpt,
        heads_share_hidden: &["bloom"],
        ..PLAIN
    },
    Family { model_types: &["mpt"], gguf: Some("mpt"), ffn: FfnWidth::Expansion(4), ..PLAIN },
    Family {
        model_types: &["opt"],
        gguf_cache: GgufCache::Absent,
        activations: Activations::OfGpt,
        heads_share_hidden: &["opt"],
        ..PLAIN
    },
    Family {
        model_types: &["stablelm"],
        gguf: Some("stablelm"),
        graph: Graph::Decoder(Decoder { parallel_without_ffn_norm: true, norm: Norm::Layer, ..DECODER }),
        conversions: &[Conversion {
            classes: &["StableLmForCausalLM", "StableLMEpochForCausalLM", "LlavaStableLMEpochForCausalLM"],
            tensor: TensorRule::Stablelm,
            keys: KeyRule::Stablelm,
            ..CONVERSION
        }],
        ..PLAIN
    },
    Family {
        model_types: &["olmo"],
        gguf: Some("olmo"),
        conversions: &[Conversion {
            classes: &["OlmoForCausalLM", "OLMoForCausalLM"],
            tensor: TensorRule::Olmo,
            keys: KeyRule::Olmo,
            ..CONVERSION
        }],
        large: Large::At { layers: 80, grouped: false },
        ..PLAIN
    },
    Family {
        model_types: &["olmoe"],
        gguf: Some("olmoe"),
        graph: Graph::Decoder(Decoder { normalized_experts: false, head_norm: HeadNorm::Flat, ..DECODER }),
        conversions: &[Conversion {
            classes: &["OlmoeForCausalLM"],
            tensor: TensorRule::Olmoe,
            keys: KeyRule::Olmoe,
            ..CONVERSION
        }],
        ..PLAIN
    },
    Family {
        model_types: &["olmo2"],
        gguf: Some("olmo2"),
        gguf_cache: GgufCache::Pattern(4),
        declared: &[("olmo2", Declared::Olmo2)],
        graph: Graph::Decoder(Decoder { post_norms: true, head_norm: HeadNorm::Flat, ..DECODER }),
        conversions: &[Conversion { classes: &["Olmo2ForCausalLM", "Olmo3ForCausalLM"], keys: KeyRule::Olmo2, ..CONVERSION }],
        ..PLAIN
    },
    Family { model_types: &["olmo3"], cache: HfCache::Window(WindowRule::Pattern(4)), gguf_cache: GgufCache::Absent, ..PLAIN },
    Family {
        model_types: &["granite"],
        gguf: Some("granite"),
        graph: Graph::Decoder(Decoder { rope_switch: true, ..DECODER }),
        conversions: &[Conversion {
            classes: &["GraniteForCausalLM"],
            start: Start::Llama,
            tensor: TensorRule::Llama,
            keys: KeyRule::Granite,
            vocabulary: Vocabulary::Llama,
            ..CONVERSION
        }],
        ..PLAIN
    },
    Family {
        model_types: &["granitemoe", "granitemoeshared"],
        gguf: Some("granitemoe"),
        graph: Graph::Decoder(Decoder { rope_switch: true, ..DECODER }),
        conversions: &[Conversion {
            classes: &["GraniteMoeForCausalLM", "GraniteMoeSharedForCausalLM"],
            start: Start::Llama,
            tensor: TensorRule::GraniteMoe,
            keys: KeyRule::GraniteMoe,
            vocabulary: Vocabulary::Llama,
            ..CONVERSION
        }],
        ..PLAIN
    },
    Family {
        model_types: &["cohere"],
        gguf: Some("command-r"),
        graph: Graph::Decoder(Decoder { norm: Norm::Layer, order: Order::InputFirst, ..DECODER }),
        conversions: &[Conversion { classes: &["CohereForCausalLM"], keys: KeyRule::Cohere, ..CONVERSION }],
        ..PLAIN
    },
    Family {
        model_types: &["cohere2"],
        gguf: Some("cohere2"),
        cache: HfCache::Window(WindowRule::Pattern(4)),
        gguf_cache: GgufCache::Pattern(4),
        gguf_window: GgufWindow::Required,
        graph: Graph::Decoder(Decoder { norm: Norm::Layer, order: Order::InputFirst, rope: Rope::Windowed, ..DECODER }),
        conversions: &[Conversion {
            classes: &["Cohere2ForCausalLM"],
            tensor: TensorRule::Cohere2,
            keys: KeyRule::Cohere2,
            ..CONVERSION
        }],
        ..PLAIN
    },
    Family {
        model_types: &["glm", "glm4"],
        gguf: Some("glm4"),
        graph: Graph::Decoder(Decoder { post_norms: true, act: Act::Halves, ..DECODER }),
        conversions: &[Conversion {
            classes: &["Glm4ForCausalLM"],
            keys: KeyRule::Glm4,
            vocabulary: Vocabulary::Glm4,
            ..CONVERSION
        }],
        ..PLAIN
    },
    Family {
        model_types: &["glm4_moe"],
        gguf: Some("glm4moe"),
        conversions: &[Conversion {
            classes: &["Glm4MoeForCausalLM"],
            tensor: TensorRule::Routed,
            keys: KeyRule::Glm4Moe,
            vocabulary: Vocabulary::Glm,
            predicts_further: true,
            ..CONVERSION
        }],
        ..PLAIN
    },
    Family { model_types: &["chatglm"], gguf: Some("chatglm"), kv_heads: KvHeads::MultiQueryGroups, ..PLAIN },
    Family {
        model_types: &["nemotron"],
        gguf: Some("nemotron"),
        graph: Graph::Decoder(Decoder { norm: Norm::Layer, ..DECODER }),
        conversions: &[Conversion {
            classes: &["NemotronForCausalLM"],
            keys: KeyRule::Nemotron,
            vocabulary: Vocabulary::Nemotron,
            ..CONVERSION
        }],
        ..PLAIN
    },
    Family { model_types: &["persimmon"], gguf_cache: GgufCache::Absent, ..PLAIN },
    Family { model_types: &["dbrx"], gguf: Some("dbrx"), quantizes_routers: true, ..PLAIN },
    Family {
        model_types: &["exaone4"],
        gguf: Some("exaone4"),
        cache: HfCache::Window(WindowRule::Pattern(4)),
        gguf_cache: GgufCache::Pattern(4),
        gguf_window: GgufWindow::OnlyAt { layers: 64, otherwise: 4096 },
        graph: Graph::Decoder(Decoder { post_norms: true, rope: Rope::Windowed, ..DECODER }),
        conversions: &[Conversion { classes: &["Exaone4ForCausalLM"], start: Start::Llama, keys: KeyRule::Exaone4, ..CONVERSION }],
        ..PLAIN
    },
    Family {
        model_types: &["smollm3"],
        gguf: Some("smollm3"),
        graph: Graph::Decoder(Decoder { rope: Rope::ButEvery(4), ..DECODER }),
        conversions: &[Conversion {
            classes: &["SmolLM3ForCausalLM"],
            start: Start::Llama,
            tensor: TensorRule::Llama,
            keys: KeyRule::Llama,
            vocabulary: Vocabulary::Llama,
            ..CONVERSION
        }],
        ..PLAIN
    },
    Family {
        model_types: &["ernie4_5"],
        gguf: Some("ernie4_5"),
        graph: Graph::Decoder(DECODER),
        conversions: &[Conversion {
            classes: &["Ernie4_5_ForCausalLM", "Ernie4_5ForCausalLM"],
            rename: Rename::Ernie,
            vocabulary: Vocabulary::Ernie,
            ..CONVERSION
        }],
        ..PLAIN
    },
    Family {
        model_types: &["seed_oss"],
        gguf: Some("seed_oss"),
        graph: Graph::Decoder(Decoder { ffn_norm: "post_attention_norm", ..DECODER }),
        conversions: &[Conversion { classes: &["SeedOssForCausalLM"], ..CONVERSION }],
        ..PLAIN
    },
    Family { model_types: &["minimax_m2"], gguf: Some("minimax-m2"), ..PLAIN },
    Family { model_types: &["cwm"], cache: HfCache::Window(WindowRule::FullFirst(4)), gguf_cache: GgufCache::Absent, ..PLAIN },
    Family { model_types: &["internlm2", "internlm3"], gguf: Some("internlm2"), graph: Graph::Decoder(DECODER), ..PLAIN },
    Family { model_types: &["baichuan"], gguf: Some("baichuan"), ..PLAIN },
    Family { model_types: &["xverse"], gguf: Some("xverse"), graph: Graph::Decoder(DECODER), ..PLAIN },
    Family {
        model_types: &["orion"],
        gguf: Some("orion"),
        graph: Graph::Decoder(Decoder { norm: Norm::Layer, ..DECODER }),
        ..PLAIN
    },
    // Latent attention.
    Family {
        model_types: &["deepseek_v2", "deepseek_v3", "kimi_k2"],
        gguf: Some("deepseek2"),
        cache: HfCache::Mla,
        gguf_cache: GgufCache::Mla,
        declared: &[("deepseek_v3", Declared::DeepseekV3)],
        graph: Graph::DeepSeek2,
        conversions: &[Conversion {
            classes: &["DeepseekV2ForCausalLM", "DeepseekV3ForCausalLM"],
            tensor: TensorRule::Deepseek2,
            keys: KeyRule::Deepseek2,
            ..CONVERSION
        }],
        ..PLAIN
    },
    // GLM-4.7-Flash.
    Family { model_types: &["glm4_moe_lite"], cache: HfCache::Mla, ..PLAIN },
    Family {
        model_types: &["minicpm3"],
        gguf: Some("minicpm3"),
        cache: HfCache::MlaValuesShareHidden,
        gguf_cache: GgufCache::Mla,
        ..PLAIN
    },
    Family {
        model_types: &["deepseek_v32"],
        gguf: Some("deepseek32"),
        cache: HfCache::NotUnderstood(INDEXER),
        gguf_cache: GgufCache::NotUnderstood(INDEXER),
        ..PLAIN
    },
    Family {
        model_types: &["glm_moe_dsa"],
        gguf: Some("glm-dsa"),
        cache: HfCache::NotUnderstood(INDEXER),
        gguf_cache: GgufCache::NotUnderstood(INDEXER),
        ..PLAIN
    },
    Family {
        model_types: &["deepseek_v4"],
        gguf: Some("deepseek4"),
        cache: HfCache::NotUnderstood(INDEXER),
        gguf_cache: GgufCache::NotUnderstood(INDEXER),
        ..PLAIN
    },
    // Windows in llama.cpp only.
    Family { gguf: Some("plamo3"), cache: HfCache::NotUnderstood(UNCHECKED), gguf_cache: GgufCache::Pattern(8), ..PLAIN },
    Family { gguf: Some("afmoe"), cache: HfCache::NotUnderstood(UNCHECKED), gguf_cache: GgufCache::Pattern(4), ..PLAIN },
    Family { gguf: Some("mellum"), cache: HfCache::NotUnderstood(UNCHECKED), gguf_cache: GgufCache::Pattern(4), ..PLAIN },
    Family {
        gguf: Some("cohere2moe"),
        cache: HfCache::NotUnderstood(UNCHECKED),
        gguf_cache: GgufCache::FullFirst(4),
        gguf_window: GgufWindow::Required,
        ..PLAIN
    },
    Family {
        gguf: Some("smallthinker"),
        cache: HfCache::NotUnderstood(UNCHECKED),
        gguf_cache: GgufCache::FullFirst(4),
        gguf_window: GgufWindow::Replaced(4096),
        ..PLAIN
    },
    Family { gguf: Some("laguna"), cache: HfCache::NotUnderstood(UNCHECKED), gguf_cache: GgufCache::FullFirst(4), ..PLAIN },
    // Chunks and shared layers.
    Family {
        model_types: &["llama4", "llama4_text"],
        gguf: Some("llama4"),
        cache: HfCache::ChunkedByRope,
        gguf_cache: GgufCache::Chunked(4),
        gguf_window: GgufWindow::Always(8192),
        graph: Graph::Decoder(Decoder {
            weighted_inputs: true,
            rope: Rope::Windowed,
            head_norm: HeadNorm::Bare,
            normalized_experts: false,
            ..DECODER
        }),
        ..PLAIN
    },
    Family {
        model_types: &["gemma3n", "gemma3n_text"],
        gguf: Some("gemma3n"),
        cache: HfCache::SharedTail,
        gguf_cache: GgufCache::SharedTail(5),
        gguf_window: GgufWindow::Required,
        ..PLAIN
    },
    // States of fixed size.
    Family {
        model_types: &["mamba", "falcon_mamba"],
        gguf: Some("mamba"),
        cache: HfCache::Mamba,
        gguf_cache: GgufCache::Recurrent,
        graph: Graph::Mamba,
        conversions: &[Conversion {
            classes: &["MambaForCausalLM", "MambaLMHeadModel", "FalconMambaForCausalLM"],
            tensor: TensorRule::Mamba,
            keys: KeyRule::Mamba,
            vocabulary: Vocabulary::Mamba,
            raw_config: true,
            normalized_states: &["falcon_mamba"],
            ..CONVERSION
        }],
        ..PLAIN
    },
    Family {
        model_types: &["mamba2"],
        gguf: Some("mamba2"),
        cache: HfCache::Mamba2,
        gguf_cache: GgufCache::Recurrent,
        graph: Graph::Mamba2,
        conversions: &[Conversion {
            classes: &["Mamba2ForCausalLM"],
            rename: Rename::Mamba2,
            tensor: TensorRule::Mamba2,
            keys: KeyRule::Mamba2,
            vocabulary: Vocabulary::Mamba2,
            raw_config: true,
            ..CONVERSION
        }],
        ..PLAIN
    },
    Family {
        model_types: &["jamba"],
        gguf: Some("jamba"),
        cache: HfCache::Jamba,
        gguf_cache: GgufCache::HybridByHeads,
        graph: Graph::Decoder(Decoder {
            recurrent: Recurrent::Mamba1,
            rope: Rope::None,
            normalized_experts: false,
            residual_first: (true, true),
            ..DECODER
        }),
        ..PLAIN
    },
    Family {
        model_types: &["granitemoehybrid", "bamba"],
        gguf: Some("granitehybrid"),
        cache: HfCache::Mamba2Hybrid,
        gguf_cache: GgufCache::HybridByHeads,
        graph: Graph::Decoder(Decoder { rope_switch: true, recurrent: Recurrent::Mamba2, ..DECODER }),
        ..PLAIN
    },
    Family {
        model_types: &["falcon_h1"],
        gguf: Some("falcon-h1"),
        cache: HfCache::Mamba2Parallel,
        gguf_cache: GgufCache::Parallel,
        graph: Graph::FalconH1,
        ..PLAIN
    },
    Family {
        model_types: &["qwen3_next"],
        gguf: Some("qwen3next"),
        cache: HfCache::GatedDelta,
        gguf_cache: GgufCache::Interval(4),
        graph: Graph::Qwen3Next,
        ..PLAIN
    },
    Family {
        model_types: &["nemotron_h"],
        gguf: Some("nemotron_h"),
        cache: HfCache::NemotronH,
        gguf_cache: GgufCache::HybridOrMlp,
        graph: Graph::NemotronH,
        ..PLAIN
    },
    Family { gguf: Some("nemotron_h_moe"), cache: HfCache::NemotronH, gguf_cache: GgufCache::HybridOrMlp, ..PLAIN },
    Family {
        model_types: &["rwkv", "rwkv5", "rwkv6"],
        gguf: Some("rwkv6"),
        cache: HfCache::NotUnderstood(UNCHECKED),
        gguf_cache: GgufCache::Recurrent,
        ..PLAIN
    },
    Family {
        model_types: &["rwkv7"],
        gguf: Some("rwkv7"),
        cache: HfCache::NotUnderstood(UNCHECKED),
        gguf_cache: GgufCache::Recurrent,
        ..PLAIN
    },
    Family { gguf: Some("arwkv7"), cache: HfCache::NotUnderstood(UNCHECKED), gguf_cache: GgufCache::Recurrent, ..PLAIN },
    Family { gguf: Some("rwkv6qwen2"), cache: HfCache::NotUnderstood(UNCHECKED), gguf_cache: GgufCache::Recurrent, ..PLAIN },
    Family {
        model_types: &["lfm2"],
        gguf: Some("lfm2"),
        cache: HfCache::NotUnderstood(UNCHECKED),
        gguf_cache: GgufCache::HybridWindowed,
        graph: Graph::Decoder(Decoder { recurrent: Recurrent::ShortConvolution, residual_first: (true, true), ..DECODER }),
        ..PLAIN
    },
    Family {
        model_types: &["lfm2_moe"],
        gguf: Some("lfm2moe"),
        cache: HfCache::NotUnderstood(UNCHECKED),
        gguf_cache: GgufCache::HybridWindowed,
        graph: Graph::Decoder(Decoder { recurrent: Recurrent::ShortConvolution, residual_first: (true, true), ..DECODER }),
        ..PLAIN
    },
    Family {
        model_types: &["kimi_linear"],
        gguf: Some("kimi-linear"),
        cache: HfCache::NotUnderstood(UNCHECKED),
        gguf_cache: GgufCache::HybridByHeads,
        ..PLAIN
    },
    Family { gguf: Some("plamo2"), cache: HfCache::NotUnderstood(UNCHECKED), gguf_cache: GgufCache::HybridByHeads, ..PLAIN },
    Family {
        model_types: &["qwen3_5"],
        gguf: Some("qwen35"),
        cache: HfCache::NotUnderstood(UNCHECKED),
        gguf_cache: GgufCache::Interval(4),
        ..PLAIN
    },
    Family {
        model_types: &["qwen3_5_moe"],
        gguf: Some("qwen35moe"),
        cache: HfCache::NotUnderstood(UNCHECKED),
        gguf_cache: GgufCache::Interval(4),
        ..PLAIN
    },
    Family {
        model_types: &["recurrent_gemma", "zamba", "zamba2", "minimax", "xlstm", "olmo_hybrid"],
        cache: HfCache::NotUnderstood(UNCHECKED),
        gguf_cache: GgufCache::Absent,
        ..PLAIN
    },
    // Decoders of llama.cpp whose every layer keeps every token; their config.json is not checked.
    Family { gguf: Some("apertus"), cache: HfCache::NotUnderstood(UNCHECKED), ..PLAIN },
    Family {
        gguf: Some("arcee"),
        cache: HfCache::NotUnderstood(UNCHECKED),
        graph: Graph::Decoder(DECODER),
        conversions: &[Conversion {
            classes: &["ArceeForCausalLM"],
            start: Start::Llama,
            tensor: TensorRule::Llama,
            keys: KeyRule::Arcee,
            vocabulary: Vocabulary::Llama,
            ..CONVERSION
        }],
        ..PLAIN
    },
    Family { gguf: Some("arctic"), cache: HfCache::NotUnderstood(UNCHECKED), ..PLAIN },
    Family { gguf: Some("bailingmoe"), cache: HfCache::NotUnderstood(UNCHECKED), ..PLAIN },
    Family { gguf: Some("bailingmoe2"), cache: HfCache::NotUnderstood(UNCHECKED), ..PLAIN },
    Family { gguf: Some("bitnet"), cache: HfCache::NotUnderstood(UNCHECKED), ..PLAIN },
    Family { gguf: Some("chameleon"), cache: HfCache::NotUnderstood(UNCHECKED), ..PLAIN },
    Family { gguf: Some("codeshell"), cache: HfCache::NotUnderstood(UNCHECKED), ..PLAIN },
    Family {
        gguf: Some("deepseek"),
        cache: HfCache::NotUnderstood(UNCHECKED),
        graph: Graph::Decoder(Decoder { normalized_experts: false, ..DECODER }),
        conversions: &[Conversion {
            classes: &["DeepseekForCausalLM"],
            tensor: TensorRule::Deepseek,
            keys: KeyRule::Deepseek,
            vocabulary: Vocabulary::Qwen,
            ..CONVERSION
        }],
        ..PLAIN
    },
    Family {
        gguf: Some("dots1"),
        cache: HfCache::NotUnderstood(UNCHECKED),
        conversions: &[Conversion {
            classes: &["Dots1ForCausalLM"],
            tensor: TensorRule::Routed,
            keys: KeyRule::Dots1,
            ..CONVERSION
        }],
        ..PLAIN
    },
    Family { gguf: Some("ernie4_5-moe"), cache: HfCache::NotUnderstood(UNCHECKED), ..PLAIN },
    Family { gguf: Some("exaone"), cache: HfCache::NotUnderstood(UNCHECKED), graph: Graph::Decoder(DECODER), ..PLAIN },
    Family { gguf: Some("grok"), cache: HfCache::NotUnderstood(UNCHECKED), ..PLAIN },
    Family { gguf: Some("grovemoe"), cache: HfCache::NotUnderstood(UNCHECKED), ..PLAIN },
    Family { gguf: Some("hunyuan-dense"), cache: HfCache::NotUnderstood(UNCHECKED), ..PLAIN },
    Family { gguf: Some("hunyuan-moe"), cache: HfCache::NotUnderstood(UNCHECKED), ..PLAIN },
    Family { gguf: Some("jais"), cache: HfCache::NotUnderstood(UNCHECKED), ..PLAIN },
    Family {
        gguf: Some("jais2"),
        cache: HfCache::NotUnderstood(UNCHECKED),
        large: Large::At { layers: 68, grouped: false },
        ..PLAIN
    },
    Family { gguf: Some("maincoder"), cache: HfCache::NotUnderstood(UNCHECKED), ..PLAIN },
    Family { gguf: Some("minicpm"), cache: HfCache::NotUnderstood(UNCHECKED), graph: Graph::Decoder(DECODER), ..PLAIN },
    Family { gguf: Some("openelm"), cache: HfCache::NotUnderstood(UNCHECKED), ..PLAIN },
    Family { gguf: Some("paddleocr"), cache: HfCache::NotUnderstood(UNCHECKED), ..PLAIN },
    Family { gguf: Some("pangu-embedded"), cache: HfCache::NotUnderstood(UNCHECKED), ..PLAIN },
    Family { gguf: Some("plamo"), cache: HfCache::NotUnderstood(UNCHECKED), ..PLAIN },
    Family { gguf: Some("qwen"), cache: HfCache::NotUnderstood(UNCHECKED), graph: Graph::Decoder(DECODER), ..PLAIN },
    Family { gguf: Some("refact"), cache: HfCache::NotUnderstood(UNCHECKED), ..PLAIN },
    Family {
        model_types: &["gemma4", "gemma4_text"],
        gguf: Some("gemma4"),
        cache: HfCache::NotUnderstood(UNCHECKED),
        gguf_cache: GgufCache::NotUnderstood(UNCHECKED),
        ..PLAIN
    },
    Family {
        model_types: &["gpt_neo"],
        cache: HfCache::NotUnderstood("its local attention layers are not modelled"),
        gguf_cache: GgufCache::Absent,
        ffn: FfnWidth::TimesHidden(4),
        activations: Activations::OfGpt,
        heads_share_hidden: &["gpt_neo"],
        ..PLAIN
    },
    // Encoder and decoder.
    Family {
        model_types: &["t5", "mt5", "umt5"],
        gguf: Some("t5"),
        cache: HfCache::T5,
        graph: Graph::PositionBias,
        conversions: &[Conversion {
            classes: &[
                "T5WithLMHeadModel",
                "T5ForConditionalGeneration",
                "MT5ForConditionalGeneration",
                "UMT5ForConditionalGeneration",
            ],
            tensor: TensorRule::T5,
            keys: KeyRule::T5,
            vocabulary: Vocabulary::T5,
            ..CONVERSION
        }],
        ..PLAIN
    },
    Family {
        model_types: &["whisper", "bart", "mbart", "m2m_100", "marian", "pegasus"],
        cache: HfCache::EncoderDecoder,
        gguf_cache: GgufCache::Absent,
        ..PLAIN
    },
    // Encoders.
    Family {
        model_types: &[
            "bert",
            "roberta",
            "xlm-roberta",
            "xlm-roberta-xl",
            "camembert",
            "distilbert",
            "electra",
            "albert",
            "mpnet",
            "deberta",
            "deberta-v2",
            "mobilebert",
            "squeezebert",
            "esm",
            "layoutlm",
            "layoutlmv3",
        ],
        gguf: Some("bert"),
        cache: HfCache::Encoder,
        gguf_cache: GgufCache::Encoder,
        declared: &[("bert", Declared::Bert)],
        conversions: &[
            Conversion {
                classes: &["BertModel", "BertForMaskedLM", "BertForSequenceClassification"],
                rename: Rename::Bert,
                tensor: TensorRule::Bert,
                keys: KeyRule::Bert,
                vocabulary: Vocabulary::Bert,
                ..CONVERSION
            },
            Conversion {
                classes: &["DistilBertModel", "DistilBertForMaskedLM", "DistilBertForSequenceClassification"],
                rename: Rename::Distil,
                tensor: TensorRule::Bert,
                keys: KeyRule::DistilBert,
                vocabulary: Vocabulary::Bert,
                ..CONVERSION
            },
            Conversion {
                classes: &["RobertaModel", "RobertaForSequenceClassification"],
                rename: Rename::Roberta,
                tensor: TensorRule::Roberta,
                keys: KeyRule::Bert,
                vocabulary: Vocabulary::Roberta,
                ..CONVERSION
            },
        ],
        heads_share_hidden: &["bert", "roberta", "xlm-roberta", "camembert", "electra", "distilbert", "mpnet", "deberta-v2"],
        ..PLAIN
    },
    Family {
        model_types: &["nomic_bert"],
        gguf: Some("nomic-bert"),
        cache: HfCache::Encoder,
        gguf_cache: GgufCache::Encoder,
        conversions: &[Conversion {
            classes: &["NomicBertModel"],
            rename: Rename::Bert,
            start: Start::Nomic,
            keys: KeyRule::Bert,
            vocabulary: Vocabulary::Bert,
            raw_config: true,
            ..CONVERSION
        }],
        ..PLAIN
    },
    Family { gguf: Some("nomic-bert-moe"), cache: HfCache::Encoder, gguf_cache: GgufCache::Encoder, ..PLAIN },
    Family { gguf: Some("jina-bert-v2"), cache: HfCache::Encoder, gguf_cache: GgufCache::Encoder, ..PLAIN },
    Family { gguf: Some("jina-bert-v3"), cache: HfCache::Encoder, gguf_cache: GgufCache::Encoder, ..PLAIN },
    Family {
        model_types: &["modernbert"],
        gguf: Some("modern-bert"),
        cache: HfCache::Encoder,
        gguf_cache: GgufCache::Encoder,
        conversions: &[Conversion {
            classes: &["ModernBertModel", "ModernBertForMaskedLM", "ModernBertForSequenceClassification"],
            rename: Rename::ModernBert,
            tensor: TensorRule::Bert,
            keys: KeyRule::ModernBert,
            vocabulary: Vocabulary::ModernBert,
            ..CONVERSION
        }],
        ..PLAIN
    },
    Family { gguf: Some("neo-bert"), cache: HfCache::Encoder, gguf_cache: GgufCache::Encoder, ..PLAIN },
    Family { model_types: &["eurobert"], gguf: Some("eurobert"), cache: HfCache::Encoder, gguf_cache: GgufCache::Encoder, ..PLAIN },
    Family {
        gguf: Some("gemma-embedding"),
        cache: HfCache::Encoder,
        gguf_cache: GgufCache::Encoder,
        conversions: &[Conversion {
            classes: &["Gemma3TextModel"],
            tensor: TensorRule::Gemma3,
            keys: KeyRule::GemmaEmbedding,
            vocabulary: Vocabulary::Gemma3,
            ..CONVERSION
        }],
        ..PLAIN
    },
    Family {
        gguf: Some("t5encoder"),
        cache: HfCache::Encoder,
        gguf_cache: GgufCache::Encoder,
        graph: Graph::PositionBias,
        conversions: &[Conversion {
            classes: &["T5EncoderModel"],
            tensor: TensorRule::T5,
            keys: KeyRule::T5Encoder,
            vocabulary: Vocabulary::T5,
            ..CONVERSION
        }],
        ..PLAIN
    },
    Family { gguf: Some("dream"), cache: HfCache::Encoder, gguf_cache: GgufCache::Encoder, ..PLAIN },
    Family { gguf: Some("llada"), cache: HfCache::Encoder, gguf_cache: GgufCache::Encoder, ..PLAIN },
    Family { gguf: Some("llada-moe"), cache: HfCache::Encoder, gguf_cache: GgufCache::Encoder, ..PLAIN },
    Family {
        model_types: &[
            "clip",
            "clip_text_model",
            "clip_vision_model",
            "chinese_clip",
            "siglip",
            "siglip2",
            "siglip_vision_model",
            "siglip_text_model",
            "vit",
            "deit",
            "beit",
            "dinov2",
            "swin",
            "swinv2",
            "convnext",
            "resnet",
            "wav2vec2",
            "hubert",
            "wavlm",
        ],
        gguf: Some("clip"),
        cache: HfCache::Encoder,
        gguf_cache: GgufCache::Encoder,
        ..PLAIN
    },
    // Families of which only single traits matter.
    Family {
        gguf: Some("deci"),
        cache: HfCache::NotUnderstood(UNCHECKED),
        gguf_cache: GgufCache::NotUnderstood(UNCHECKED),
        large: Large::At { layers: 80, grouped: false },
        ..PLAIN
    },
    Family {
        gguf: Some("glm5-next"),
        cache: HfCache::NotUnderstood(UNCHECKED),
        gguf_cache: GgufCache::NotUnderstood(UNCHECKED),
        own_list_of_kept: true,
        ..PLAIN
    },
    Family {
        gguf: Some("bailingmoe3"),
        cache: HfCache::NotUnderstood(UNCHECKED),
        gguf_cache: GgufCache::NotUnderstood(UNCHECKED),
        experts_by_name: true,
        ..PLAIN
    },
    Family {
        model_types: &["openai-gpt", "imagegpt", "decision_transformer"],
        cache: HfCache::NotUnderstood(UNCHECKED),
        gguf_cache: GgufCache::Absent,
        transposed_linears: true,
        ..PLAIN
    },
];
