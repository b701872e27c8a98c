//! How layers cache: the words of the columns on config.json and on GGUF keys.

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
pub enum HfCache {
    /// Every layer keeps every token.
    Full,
    /// Some layers keep a window.
    Window(WindowRule),
    /// Multi-head latent attention.
    Mla,
    /// The same; values without a width of their own share the hidden size among the heads (MiniCPM3).
    MlaValuesShareHidden,
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
pub enum GgufCache {
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
    /// As [`Self::HybridByHeads`]; every layer that attends keeps the window, where one is set.
    HybridWindowed,
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

/// What llama.cpp's loader makes of `attention.sliding_window`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GgufWindow {
    /// The window; missing or 0, none.
    Key,
    /// This many tokens whatever the key says; none only where it says 0.
    Always(u64),
    /// The window; missing, this many tokens.
    OrElse(u64),
    /// As [`Self::OrElse`] in models with so many layers; none in others.
    OnlyAt {
        /// How many layers.
        layers: u64,
        /// Tokens where the key is missing.
        otherwise: u64,
    },
    /// This many tokens where the key is there and not 0.
    Replaced(u64),
    /// The window; the loader stops where it is missing.
    Required,
    /// The window; missing, none, although the family has one.
    NoneWithout,
}
