//! Architecture facts, from `config.json` or from GGUF keys, in one form.

/// How one kind of layer caches what it has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum KvKind {
    /// Every token is kept.
    Full,
    /// The last `window` tokens are kept.
    Sliding,
    /// Attention inside chunks of `window` tokens.
    Chunked,
    /// One latent vector per token (multi-head latent attention).
    Mla,
    /// A state of fixed size (Mamba, RWKV, linear attention).
    Recurrent,
    /// Uses the cache of another layer.
    Shared,
    /// Keeps nothing.
    None,
}

impl KvKind {
    /// Lower-case name as in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Sliding => "sliding",
            Self::Chunked => "chunked",
            Self::Mla => "mla",
            Self::Recurrent => "recurrent",
            Self::Shared => "shared",
            Self::None => "none",
        }
    }
}

/// A run of layers that cache alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KvLayer {
    /// How they cache.
    pub kind: KvKind,
    /// How many layers.
    pub layers: u64,
    /// Key/value heads.
    pub kv_heads: u64,
    /// Elements of one key head.
    pub head_dim_k: u64,
    /// Elements of one value head.
    pub head_dim_v: u64,
    /// Tokens kept, for windowed kinds.
    pub window: Option<u64>,
}

/// What is known of the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KvLayers {
    /// Every layer is understood; runs of like layers, most layers first.
    Known(Vec<KvLayer>),
    /// The model keeps no cache (encoder only).
    NoCache(String),
    /// Not understood: the reason, naming the missing or unknown key.
    Refused(String),
}

impl Default for KvLayers {
    fn default() -> Self {
        Self::Refused("no config.json and no GGUF keys to read the architecture from".to_owned())
    }
}

/// Architecture facts. What is not known is `None`, never a guess.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ModelConfig {
    /// The file (`config.json`) or container the facts come from.
    pub origin: Option<String>,
    /// Class or GGUF architecture: `LlamaForCausalLM`, `llama`.
    pub architecture: Option<String>,
    /// `model_type` of config.json; the architecture in GGUF.
    pub family: Option<String>,
    /// The model's own name, where metadata gives one.
    pub name: Option<String>,
    /// Transformer blocks.
    pub layers: Option<u64>,
    /// Width of the residual stream.
    pub hidden_size: Option<u64>,
    /// Attention (query) heads.
    pub heads: Option<u64>,
    /// Key/value heads.
    pub kv_heads: Option<u64>,
    /// Elements of one head.
    pub head_dim: Option<u64>,
    /// Width of the feed-forward block.
    pub ffn_size: Option<u64>,
    /// Vocabulary size as configured.
    pub vocab_size: Option<u64>,
    /// Longest context the model was made for, in tokens.
    pub context_length: Option<u64>,
    /// Routed experts per layer.
    pub experts: Option<u64>,
    /// Routed experts used per token.
    pub experts_used: Option<u64>,
    /// Whether the configuration says that the output head shares the input embedding.
    pub tied_embeddings: Option<bool>,
    /// The dtype the configuration claims (`torch_dtype`, `dtype`).
    pub stated_dtype: Option<String>,
    /// What is cached per layer.
    pub kv: KvLayers,
    /// Remarks about contradictions and defaults; escaped.
    pub notes: Vec<String>,
}
