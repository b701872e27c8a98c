//! Architectures as rows: which names they go by, how their layers cache, what a missing key stands for.
//!
//! Sources: the configuration classes of transformers 5.23.0 (`models/*/configuration_*.py`) for `model_types`, `layout`, `tied` and
//! `defaults`; llama.cpp commit 0c1e570 for `gguf` and `gguf_layout`.

/// Which layers keep a window only, in Hugging Face configurations. A `layer_types` list in the configuration goes before any rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WindowRule {
    /// All layers, where `sliding_window` is set.
    Every,
    /// Layers from `max_window_layers` on, where `use_sliding_window` is true.
    FlaggedFrom,
    /// All layers, where `use_sliding_window` is true.
    FlaggedEvery,
    /// Every second layer below `max_window_layers`, where `use_sliding_window` is true.
    FlaggedAlternate,
    /// Layer `i` unless `(i + 1) mod n = 0`; `sliding_window_pattern` overrides `n`.
    Pattern(u64),
    /// Layer `i` unless `i mod n = 0`; `window_pattern` overrides `n`.
    FullFirst(u64),
}

/// How the layers of a Hugging Face family cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Every layer keeps every token.
    Full,
    /// Some layers keep a window.
    Window(WindowRule),
    /// Multi-head latent attention.
    Mla,
    /// Llama 4: attention in chunks where a layer has rotary positions.
    ChunkedByRope,
    /// Gemma 3n: the last layers use the cache of earlier ones.
    SharedTail,
    /// No cache: encoders and vision models.
    Encoder,
    /// T5: decoder self-attention and cross-attention, head width of its own.
    T5,
    /// Whisper, BART: `decoder_layers`, `decoder_attention_heads`.
    EncoderDecoder,
    /// Mamba-1 in every layer.
    Mamba,
    /// Mamba-2 in every layer.
    Mamba2,
    /// Jamba: attention every `attn_layer_period` layers, Mamba-1 elsewhere.
    Jamba,
    /// Granite 4, Bamba: attention where the layer list says so, Mamba-2 elsewhere.
    Mamba2Hybrid,
    /// Falcon-H1: attention and Mamba-2 in every layer.
    Mamba2Parallel,
    /// Qwen3-Next: gated delta net, with full attention every `full_attention_interval` layers.
    GatedDelta,
    /// Nemotron-H: a layer is Mamba-2, attention or feed-forward, as a pattern string or list says.
    NemotronH,
    /// Known, but its cache is not understood: the reason.
    NotUnderstood(&'static str),
}

/// How the layers of a GGUF architecture cache in llama.cpp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GgufLayout {
    /// Every layer keeps every token, whatever window the keys name.
    Full,
    /// Layer `i` keeps a window when `i mod n < n - 1`, where a window is set.
    Pattern(u64),
    /// Layer `i` keeps a window when `i mod n != 0`.
    FullFirst(u64),
    /// Attention in chunks in layers with `i mod n < n - 1`.
    Chunked(u64),
    /// Latent attention where the `_mla` keys are there, full attention of expanded keys and values elsewhere.
    Mla,
    /// Windows as [`Self::Pattern`], and the last `attention.shared_kv_layers` layers use the cache of earlier ones.
    SharedTail(u64),
    /// No cache.
    Encoder,
    /// A state in every layer.
    Recurrent,
    /// A state where `attention.head_count_kv` of the layer is 0, attention elsewhere.
    HybridByHeads,
    /// As [`Self::HybridByHeads`]; a layer with a feed-forward width has neither.
    HybridOrMlp,
    /// Attention and a state in every layer.
    Parallel,
    /// A state unless `(i + 1) mod full_attention_interval = 0`.
    Interval(u64),
    /// Known, but its cache is not understood: the reason.
    NotUnderstood(&'static str),
    /// Not a GGUF architecture.
    Absent,
}

/// One family.
#[derive(Debug, Clone, Copy)]
pub struct Architecture {
    /// Values of `model_type`.
    pub model_types: &'static [&'static str],
    /// Values of `general.architecture`.
    pub gguf: &'static [&'static str],
    /// How layers cache, from config.json.
    pub layout: Layout,
    /// How layers cache, from GGUF keys.
    pub gguf_layout: GgufLayout,
    /// What a missing `tie_word_embeddings` stands for.
    pub tied: bool,
    /// What missing keys stand for, where the class gives them a value of its own.
    pub defaults: &'static [(&'static str, u64)],
}

const fn row(
    model_types: &'static [&'static str],
    gguf: &'static [&'static str],
    layout: Layout,
    gguf_layout: GgufLayout,
) -> Architecture {
    Architecture { model_types, gguf, layout, gguf_layout, tied: false, defaults: &[] }
}

impl Architecture {
    const fn tied(mut self) -> Self {
        self.tied = true;
        self
    }

    const fn defaults(mut self, defaults: &'static [(&'static str, u64)]) -> Self {
        self.defaults = defaults;
        self
    }
}

use GgufLayout as G;
use Layout as L;
use WindowRule as W;

const UNCHECKED: &str = "its cache rule has not been checked against an engine";
const INDEXER: &str = "its sparse attention keeps a second cache for the indexer, which is not modelled";

/// Defaults of a nested `text_config` that says only what differs from its class.
const LLAMA: &[(&str, u64)] = &[
    ("hidden_size", 4096),
    ("intermediate_size", 11008),
    ("num_hidden_layers", 32),
    ("num_attention_heads", 32),
    ("vocab_size", 32000),
    ("max_position_embeddings", 2048),
];
const MISTRAL: &[(&str, u64)] = &[
    ("hidden_size", 4096),
    ("intermediate_size", 14336),
    ("num_hidden_layers", 32),
    ("num_attention_heads", 32),
    ("num_key_value_heads", 8),
    ("vocab_size", 32000),
    ("sliding_window", 4096),
];
const GEMMA2: &[(&str, u64)] = &[
    ("hidden_size", 2304),
    ("intermediate_size", 9216),
    ("num_hidden_layers", 26),
    ("num_attention_heads", 8),
    ("num_key_value_heads", 4),
    ("head_dim", 256),
    ("vocab_size", 256_000),
    ("max_position_embeddings", 8192),
    ("sliding_window", 4096),
];
const GEMMA3: &[(&str, u64)] = &[
    ("hidden_size", 2304),
    ("intermediate_size", 9216),
    ("num_hidden_layers", 26),
    ("num_attention_heads", 8),
    ("num_key_value_heads", 4),
    ("head_dim", 256),
    ("vocab_size", 262_208),
    ("max_position_embeddings", 131_072),
    ("sliding_window", 4096),
];

/// Every family, decoders first.
pub const ARCHITECTURES: &[Architecture] = &[
    // Plain decoders.
    row(&["llama"], &["llama"], L::Full, G::Full).defaults(LLAMA),
    row(&["mistral", "ministral", "ministral3"], &["mistral3"], L::Window(W::Every), G::Full).defaults(MISTRAL),
    row(&["mixtral", "phimoe"], &["phimoe"], L::Window(W::Every), G::Full),
    row(
        &["qwen2", "qwen2_vl_text", "qwen2_5_vl_text", "qwen2_vl", "qwen2_5_vl"],
        &["qwen2", "qwen2vl"],
        L::Window(W::FlaggedFrom),
        G::Full,
    )
    .defaults(&[("sliding_window", 4096), ("max_window_layers", 28)]),
    row(&["qwen3"], &["qwen3"], L::Window(W::FlaggedFrom), G::Full).defaults(&[
        ("head_dim", 128),
        ("sliding_window", 4096),
        ("max_window_layers", 28),
    ]),
    row(&["qwen2_moe"], &["qwen2moe"], L::Window(W::FlaggedAlternate), G::Full)
        .defaults(&[("sliding_window", 4096), ("max_window_layers", 28)]),
    row(&["qwen3_moe"], &["qwen3moe"], L::Window(W::FlaggedEvery), G::Full).defaults(&[("sliding_window", 4096)]),
    row(&["qwen3_vl_text", "qwen3_vl_moe_text"], &["qwen3vl", "qwen3vlmoe"], L::Full, G::Full).defaults(&[("head_dim", 128)]),
    row(&["gemma"], &["gemma"], L::Full, G::Full).tied().defaults(&[("head_dim", 256)]),
    row(&["gemma2"], &["gemma2"], L::Window(W::Pattern(2)), G::Pattern(2)).tied().defaults(GEMMA2),
    row(&["gemma3", "gemma3_text"], &["gemma3"], L::Window(W::Pattern(6)), G::Pattern(6)).tied().defaults(GEMMA3),
    row(&["gpt_oss"], &["gpt-oss"], L::Window(W::Pattern(2)), G::Pattern(2)).defaults(&[("head_dim", 64), ("sliding_window", 128)]),
    row(&["phi"], &["phi2"], L::Full, G::Full),
    // llama.cpp runs phi3 with a pattern of 1: no layer keeps a window.
    row(&["phi3", "phi4_multimodal"], &["phi3"], L::Window(W::Every), G::Full),
    row(&["starcoder2"], &["starcoder2"], L::Window(W::Every), G::Full).tied(),
    row(&["gpt2"], &["gpt2"], L::Full, G::Full).tied(),
    row(&["gpt_bigcode"], &["starcoder"], L::Full, G::Full).tied(),
    row(&["gpt_neox"], &["gptneox"], L::Full, G::Full),
    row(&["gptj", "codegen"], &["gptj"], L::Full, G::Full),
    row(&["falcon", "RefinedWeb", "RefinedWebModel"], &["falcon"], L::Full, G::Full).tied(),
    row(&["bloom"], &["bloom"], L::Full, G::Full).tied(),
    row(&["mpt"], &["mpt"], L::Full, G::Full).tied(),
    row(&["opt"], &[], L::Full, G::Absent).tied(),
    row(&["stablelm"], &["stablelm"], L::Full, G::Full),
    row(&["olmo", "olmoe"], &["olmo", "olmoe"], L::Full, G::Full),
    row(&["olmo2"], &["olmo2"], L::Full, G::Pattern(4)),
    row(&["olmo3"], &[], L::Window(W::Pattern(4)), G::Absent).defaults(&[("sliding_window", 4096)]),
    row(&["granite", "granitemoe", "granitemoeshared"], &["granite", "granitemoe"], L::Full, G::Full),
    row(&["cohere"], &["command-r"], L::Full, G::Full).tied(),
    row(&["cohere2"], &["cohere2"], L::Window(W::Pattern(4)), G::Pattern(4)).tied().defaults(&[("sliding_window", 4096)]),
    row(&["glm", "glm4"], &["glm4"], L::Full, G::Full).defaults(&[("head_dim", 128)]),
    row(&["glm4_moe"], &["glm4moe"], L::Full, G::Full),
    row(&["chatglm"], &["chatglm"], L::Full, G::Full),
    row(&["nemotron"], &["nemotron"], L::Full, G::Full),
    row(&["persimmon"], &[], L::Full, G::Absent),
    row(&["dbrx"], &["dbrx"], L::Full, G::Full),
    row(&["exaone4"], &["exaone4"], L::Window(W::Pattern(4)), G::Pattern(4)).defaults(&[("sliding_window", 4096)]),
    row(&["smollm3"], &["smollm3"], L::Full, G::Full).tied(),
    row(&["ernie4_5", "seed_oss"], &["ernie4_5", "seed_oss"], L::Full, G::Full).defaults(&[("head_dim", 128)]),
    row(&["minimax_m2"], &["minimax-m2"], L::Full, G::Full).defaults(&[("head_dim", 128)]),
    row(&["cwm"], &[], L::Window(W::FullFirst(4)), G::Absent).defaults(&[("sliding_window", 8192)]),
    row(
        &["internlm2", "internlm3", "baichuan", "xverse", "orion"],
        &["internlm2", "baichuan", "xverse", "orion"],
        L::Full,
        G::Full,
    ),
    // Latent attention.
    row(&["deepseek_v2", "deepseek_v3", "kimi_k2", "minicpm3"], &["deepseek2", "minicpm3"], L::Mla, G::Mla),
    row(
        &["deepseek_v32", "deepseek_v4", "glm_moe_dsa"],
        &["deepseek32", "glm-dsa", "deepseek4"],
        L::NotUnderstood(INDEXER),
        G::NotUnderstood(INDEXER),
    ),
    // Windows in llama.cpp only.
    row(&[], &["plamo3"], L::NotUnderstood(UNCHECKED), G::Pattern(8)),
    row(&[], &["afmoe", "mellum"], L::NotUnderstood(UNCHECKED), G::Pattern(4)),
    row(&[], &["cohere2moe", "smallthinker", "laguna"], L::NotUnderstood(UNCHECKED), G::FullFirst(4)),
    // Chunks and shared layers.
    row(&["llama4", "llama4_text"], &["llama4"], L::ChunkedByRope, G::Chunked(4)).defaults(&[
        ("head_dim", 128),
        ("attention_chunk_size", 8192),
        ("no_rope_layer_interval", 4),
    ]),
    row(&["gemma3n", "gemma3n_text"], &["gemma3n"], L::SharedTail, G::SharedTail(5)).tied().defaults(&[
        ("num_attention_heads", 8),
        ("num_key_value_heads", 2),
        ("head_dim", 256),
        ("sliding_window", 512),
        ("num_kv_shared_layers", 15),
    ]),
    // States of fixed size.
    row(&["mamba", "falcon_mamba"], &["mamba"], L::Mamba, G::Recurrent).tied(),
    row(&["mamba2"], &["mamba2"], L::Mamba2, G::Recurrent),
    row(&["jamba"], &["jamba"], L::Jamba, G::HybridByHeads),
    row(&["granitemoehybrid", "bamba"], &["granitehybrid"], L::Mamba2Hybrid, G::HybridByHeads),
    row(&["falcon_h1"], &["falcon-h1"], L::Mamba2Parallel, G::Parallel),
    row(&["qwen3_next"], &["qwen3next"], L::GatedDelta, G::Interval(4))
        .defaults(&[("full_attention_interval", 4), ("head_dim", 256)]),
    row(&["nemotron_h"], &["nemotron_h", "nemotron_h_moe"], L::NemotronH, G::HybridOrMlp).defaults(&[("head_dim", 128)]),
    row(
        &["rwkv", "rwkv5", "rwkv6", "rwkv7"],
        &["rwkv6", "rwkv7", "arwkv7", "rwkv6qwen2"],
        L::NotUnderstood(UNCHECKED),
        G::Recurrent,
    ),
    row(
        &["lfm2", "lfm2_moe", "kimi_linear"],
        &["lfm2", "lfm2moe", "kimi-linear", "plamo2"],
        L::NotUnderstood(UNCHECKED),
        G::HybridByHeads,
    ),
    row(&["qwen3_5", "qwen3_5_moe"], &["qwen35", "qwen35moe"], L::NotUnderstood(UNCHECKED), G::Interval(4)),
    row(&["recurrent_gemma", "zamba", "zamba2", "minimax", "xlstm", "olmo_hybrid"], &[], L::NotUnderstood(UNCHECKED), G::Absent),
    // Decoders of llama.cpp whose every layer keeps every token; their config.json is not checked.
    row(
        &[],
        &[
            "apertus",
            "arcee",
            "arctic",
            "bailingmoe",
            "bailingmoe2",
            "bitnet",
            "chameleon",
            "codeshell",
            "deepseek",
            "dots1",
            "ernie4_5-moe",
            "exaone",
            "grok",
            "grovemoe",
            "hunyuan-dense",
            "hunyuan-moe",
            "jais",
            "jais2",
            "maincoder",
            "minicpm",
            "openelm",
            "paddleocr",
            "pangu-embedded",
            "plamo",
            "qwen",
            "refact",
        ],
        L::NotUnderstood(UNCHECKED),
        G::Full,
    ),
    row(&["gemma4", "gemma4_text"], &["gemma4"], L::NotUnderstood(UNCHECKED), G::NotUnderstood(UNCHECKED)).tied(),
    row(&["gpt_neo"], &[], L::NotUnderstood("its local attention layers are not modelled"), G::Absent).tied(),
    // Encoder and decoder.
    row(&["t5", "mt5", "umt5"], &["t5"], L::T5, G::Full).tied(),
    row(&["whisper", "bart", "mbart", "m2m_100", "marian", "pegasus"], &[], L::EncoderDecoder, G::Absent).tied(),
    // Encoders.
    row(
        &[
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
            "nomic_bert",
            "modernbert",
            "mobilebert",
            "squeezebert",
            "esm",
            "layoutlm",
            "layoutlmv3",
            "eurobert",
        ],
        &[
            "bert",
            "nomic-bert",
            "nomic-bert-moe",
            "jina-bert-v2",
            "jina-bert-v3",
            "modern-bert",
            "neo-bert",
            "eurobert",
            "gemma-embedding",
            "t5encoder",
            // Diffusion language models.
            "dream",
            "llada",
            "llada-moe",
        ],
        L::Encoder,
        G::Encoder,
    )
    .tied(),
    row(
        &[
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
        &["clip"],
        L::Encoder,
        G::Encoder,
    ),
];

/// The row of a `model_type`.
pub(super) fn by_model_type(name: &str) -> Option<&'static Architecture> {
    ARCHITECTURES.iter().find(|row| row.model_types.contains(&name))
}

/// The row of a `general.architecture`.
pub(super) fn by_gguf(name: &str) -> Option<&'static Architecture> {
    ARCHITECTURES.iter().find(|row| row.gguf.contains(&name))
}
