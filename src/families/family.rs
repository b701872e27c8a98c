//! A family: the columns of its row.

use super::cache::{GgufCache, GgufWindow, HfCache};
use super::converter::Conversion;
use super::graph::Graph;

/// One family of models.
#[derive(Debug, Clone, Copy)]
pub struct Family {
    /// Values of `model_type`.
    pub model_types: &'static [&'static str],
    /// Value of `general.architecture`.
    pub gguf: Option<&'static str>,
    /// How layers cache, from config.json.
    pub cache: HfCache,
    /// How layers cache in llama.cpp, from GGUF keys.
    pub gguf_cache: GgufCache,
    /// What llama.cpp makes of the key of the window.
    pub gguf_window: GgufWindow,
    /// Where the number of key/value heads stands in config.json.
    pub kv_heads: KvHeads,
    /// The width of the feed-forward part where config.json does not state it.
    pub ffn: FfnWidth,
    /// Model types of this row whose tensors follow from their config.json alone.
    pub declared: &'static [(&'static str, Declared)],
    /// llama.cpp's graph.
    pub graph: Graph,
    /// How llama.cpp's converter writes the family's classes.
    pub conversions: &'static [Conversion],
    /// When `llama-quantize` takes the model for one of 70B.
    pub large: Large,
    /// `llama-quantize` has a mixture of its own for it: the output head in Q8_0, attention outputs without further bits (Falcon).
    pub own_mixture: bool,
    /// `llama-quantize` has a list of its own of tensors that it leaves as they are.
    pub own_list_of_kept: bool,
    /// `llama-quantize` tells experts by their name, not by three dimensions.
    pub experts_by_name: bool,
    /// Model types whose GGUF architecture is another row's, since the converter writes their class as that one.
    pub written_as: &'static [(&'static str, &'static str)],
    /// The converter stores routers in the outtype (`tensor_force_quant`), not in F32.
    pub quantizes_routers: bool,
    /// Linear layers are stored as [in, out].
    pub transposed_linears: bool,
    /// The names of routed experts in published files, where transformers holds them under others.
    pub expert_names: ExpertNames,
    /// Model types whose class has no width of a head of its own: it is hidden size / heads, and key/value heads are the query heads.
    pub heads_share_hidden: &'static [&'static str],
    /// mlx-lm's class holds its blocks in `model`.
    pub mlx_blocks_in_model: bool,
    /// What training keeps of a block.
    pub activations: Activations,
}

/// What most rows have; a row says what differs.
pub const PLAIN: Family = Family {
    model_types: &[],
    gguf: None,
    cache: HfCache::Full,
    gguf_cache: GgufCache::Full,
    gguf_window: GgufWindow::Key,
    kv_heads: KvHeads::Stated,
    ffn: FfnWidth::Stated,
    declared: &[],
    graph: Graph::Unknown,
    conversions: &[],
    large: Large::Never,
    own_mixture: false,
    own_list_of_kept: false,
    experts_by_name: false,
    written_as: &[],
    quantizes_routers: false,
    transposed_linears: false,
    expert_names: ExpertNames::AsHeld,
    heads_share_hidden: &[],
    mlx_blocks_in_model: false,
    activations: Activations::Others,
};

/// Where the number of key/value heads stands in config.json.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KvHeads {
    /// Under a key; missing, as many as attention heads.
    Stated,
    /// Falcon: under a key in the new decoder architecture; in the old one a single head unless `multi_query` is false.
    GroupedOrSingle,
    /// A single head unless `multi_query` is false.
    MultiQuery,
    /// ChatGLM: `multi_query_group_num` where `multi_query_attention` is true.
    MultiQueryGroups,
}

/// The width of the feed-forward part where config.json does not state it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FfnWidth {
    /// Not known.
    Stated,
    /// So many times the hidden size.
    TimesHidden(u64),
    /// `expansion_ratio` times the hidden size; missing, so many times.
    Expansion(u64),
}

/// When `llama-quantize` takes a model for one of 70B, whose values and outputs get more bits. A LLaMA 65B without grouped heads is none,
/// Qwen2.5-72B is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Large {
    /// Never.
    Never,
    /// With so many layers.
    At {
        /// How many layers.
        layers: u64,
        /// Only with fewer key/value heads than heads.
        grouped: bool,
    },
}

/// The names of routed experts in published files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpertNames {
    /// As transformers holds them.
    AsHeld,
    /// `block_sparse_moe.experts.N.w1`, `w2`, `w3`, for `mlp.experts.N.gate_proj`, `down_proj`, `up_proj`.
    BlockSparseMoe,
}

/// What training keeps of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activations {
    /// As measured for this family.
    Measured,
    /// The same, with norms of the queries and keys of each head.
    MeasuredWithHeadNorms,
    /// As GPT-2 has it: layer norms, biases, one activation function.
    OfGpt,
    /// As others of its shape.
    Others,
}

/// Tensors that follow from a config.json, by the family that has them so.
#[expect(missing_docs, reason = "each word is the family whose tensors are listed so")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Declared {
    Llama,
    Mistral,
    Qwen2,
    Qwen3,
    Gemma2,
    Gemma3,
    Phi3,
    Olmo2,
    Mixtral,
    Qwen3Moe,
    DeepseekV3,
    GptOss,
    Gpt2,
    Bert,
}
