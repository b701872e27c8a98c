//! Architecture facts, from `config.json` or from GGUF keys, in one form.
//!
//! A family that is in no row of [`FAMILIES`](crate::families::FAMILIES), a key that is missing and values that contradict each other refuse the cache
//! ([`KvLayers::Refused`]), naming the key; every other fact is still given.

mod active;
mod config_json;
mod config_kv;
mod gguf_keys;
mod gguf_state;
mod hybrid;
mod keys;
mod layers;
pub(in crate::checkpoint) mod params_json;
mod stated_cache;

use serde::Serialize;

pub use active::{ActiveParams, ParamCounts, active_params};
pub use config_json::from_config_json;
pub(in crate::checkpoint) use config_json::from_configuration;
pub use gguf_keys::from_gguf;
pub use params_json::from_params_json;
pub use stated_cache::{CacheScheme, StatedCache};

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
    /// Keys and values of the encoder's output, kept by each decoder layer: `window` tokens where the encoder's length is fixed.
    Cross,
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
            Self::Cross => "cross",
            Self::None => "none",
        }
    }
}

/// Elements that one recurrent layer keeps for one sequence, whatever its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateSize {
    /// The tail of the short convolution.
    pub conv: u64,
    /// The recurrent state itself.
    pub recurrent: u64,
}

/// A run of layers that cache alike. A layer that has both attention and a state (Falcon-H1) stands in two of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KvLayer {
    /// How they cache.
    pub kind: KvKind,
    /// How many layers.
    pub layers: u64,
    /// Key/value heads; 0 for kinds without keys and values.
    pub kv_heads: u64,
    /// Elements of one key head; of the latent vector with its rotary part in multi-head latent attention.
    pub head_dim_k: u64,
    /// Elements of one value head; 0 where the latent vector serves for both.
    pub head_dim_v: u64,
    /// Tokens kept, for windowed kinds.
    pub window: Option<u64>,
    /// What a recurrent layer keeps.
    pub state: Option<StateSize>,
}

impl KvLayer {
    /// Elements that each further token adds to these layers' cache while it is inside the window; 0 for recurrent, shared and cross layers.
    pub fn elements_per_token(&self) -> u64 {
        match self.kind {
            KvKind::Recurrent | KvKind::Shared | KvKind::Cross | KvKind::None => 0,
            _ => self.layers.saturating_mul(self.kv_heads).saturating_mul(self.head_dim_k.saturating_add(self.head_dim_v)),
        }
    }
}

/// The dimensions of multi-head latent attention. An engine that caches expanded keys and values instead of the latent vector
/// keeps `heads x (nope_dim + rope_dim + value_dim)` elements a token and layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MlaDims {
    /// Width of the latent vector.
    pub kv_lora_rank: u64,
    /// Rotary part, shared by all heads.
    pub rope_dim: u64,
    /// Non-rotary part of one key head.
    pub nope_dim: u64,
    /// Elements of one value head.
    pub value_dim: u64,
    /// Query heads.
    pub heads: u64,
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

/// Architecture facts. What is not known is `None`, never a guess. Serialises as `model` of the JSON, but for the notes.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct ModelConfig {
    /// Class or GGUF architecture: `LlamaForCausalLM`, `llama`.
    pub architecture: Option<String>,
    /// `model_type` of config.json; the architecture in GGUF.
    pub family: Option<String>,
    /// The model's own name, where metadata gives one.
    pub name: Option<String>,
    /// The file (`config.json`) or container the facts come from.
    pub origin: Option<String>,
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
    /// Experts that always run.
    #[serde(skip)]
    pub shared_experts: Option<u64>,
    /// Width of one routed expert, where it has a width of its own.
    #[serde(skip)]
    pub expert_ffn_size: Option<u64>,
    /// Multi-token prediction layers stored behind the others, not among `layers`.
    #[serde(skip)]
    pub mtp_layers: Option<u64>,
    /// Dimensions of multi-head latent attention.
    #[serde(skip)]
    pub mla: Option<MlaDims>,
    /// Whether the class spreads keys and values to all query heads before it caches them (Falcon's new decoder architecture); an
    /// engine with code of its own caches the heads that are stored.
    #[serde(skip)]
    pub spreads_kv: bool,
    /// Whether the configuration says that the output head shares the input embedding.
    pub tied_embeddings: Option<bool>,
    /// The dtype the configuration claims (`torch_dtype`, `dtype`).
    pub stated_dtype: Option<String>,
    /// What the configuration asks for of the cache.
    #[serde(skip)]
    pub stated_cache: Option<StatedCache>,
    /// What is cached per layer.
    #[serde(skip)]
    pub kv: KvLayers,
    /// The same, layer by layer in their order; from GGUF keys, a layer that has both attention and a state stands here twice.
    /// Empty where it is not known.
    #[serde(skip)]
    pub layer_kinds: Vec<KvLayer>,
    /// Remarks about contradictions and defaults; escaped.
    #[serde(skip)]
    pub notes: Vec<String>,
}

#[cfg(test)]
mod tests;
