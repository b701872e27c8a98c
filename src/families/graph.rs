//! The graphs of llama.cpp: what decoders differ in. What the keys or tensors of a file decide is not here.
//!
//! Source: `models/*.cpp` of llama.cpp ([`crate::pins::LLAMA_CPP`]), by the names of the architectures.

/// The graph of a family.
#[derive(Debug, Clone, Copy)]
pub enum Graph {
    /// Not known.
    Unknown,
    /// Not known, and unlike that of any decoder: attention with a position bias, without flash attention (T5).
    PositionBias,
    /// A decoder of blocks that attend and feed forward.
    Decoder(Decoder),
    /// Latent attention.
    DeepSeek2,
    /// Mamba-1 in every layer.
    Mamba,
    /// Mamba-2 in every layer.
    Mamba2,
    /// Attention and Mamba-2 in every layer.
    FalconH1,
    /// Gated delta nets and attention.
    Qwen3Next,
    /// Mamba-2, attention or feed-forward.
    NemotronH,
}

/// Which norm a family has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Norm {
    /// Root mean square; ggml may compute it in place.
    Rms,
    /// Mean and variance; it never is.
    Layer,
}

/// How a feed-forward block acts between its products.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// A gate where `ffn_gate` is there, else one elementwise function.
    Unit,
    /// The product is twice as wide and gated by its own half.
    Halves,
}

/// How experts are chosen and weighted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gating {
    /// Softmax or sigmoid over all experts, then the best are taken.
    Before,
    /// The best are taken, then softmax over those.
    After,
}

/// Which layers have rotary positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rope {
    /// All.
    All,
    /// None.
    None,
    /// Those that keep a window; all, where none does.
    Windowed,
    /// All but every n-th.
    ButEvery(u64),
}

/// How attention and feed-forward follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// One after the other, each with a residual.
    Sequential,
    /// Side by side on one norm: feed-forward + attention, + input.
    SideBySide,
    /// The same, summed as attention + feed-forward, + input.
    AttentionFirst,
    /// The same, summed as feed-forward + input, + attention.
    InputFirst,
}

/// What runs in a layer that keeps a state instead of attending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recurrent {
    /// No layer does.
    None,
    /// Mamba-1.
    Mamba1,
    /// Mamba-2.
    Mamba2,
    /// Short convolutions.
    ShortConvolution,
}

/// How queries and keys are normed, where their norms are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadNorm {
    /// Head by head.
    Heads,
    /// All heads at once, before they are told apart.
    Flat,
    /// Without weights, after the rotary positions of layers that have them (Llama 4).
    Bare,
}

/// How the shared experts' gate acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SharedGate {
    /// No shared experts.
    Absent,
    /// A sigmoid, where there is a gate.
    Sigmoid,
    /// `silu(x) / x`, which is one (Qwen 2).
    Ratio,
}

/// Whether logits are capped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Softcap {
    /// They are not.
    Never,
    /// They are.
    Always,
    /// Where the key `final_logit_softcapping` is set.
    WithKey,
}

/// A decoder's traits.
#[derive(Debug, Clone, Copy)]
pub struct Decoder {
    /// How values are normed.
    pub norm: Norm,
    /// Which layers have rotary positions.
    pub rope: Rope,
    /// How attention and feed-forward follow each other.
    pub order: Order,
    /// What runs in layers that keep a state.
    pub recurrent: Recurrent,
    /// How queries and keys are normed.
    pub head_norm: HeadNorm,
    /// The embedding is scaled.
    pub scaled_embedding: bool,
    /// Positions have an embedding of their own.
    pub learned_positions: bool,
    /// Queries are scaled before the scores are made.
    pub scaled_queries: bool,
    /// The norm before the feed-forward; left out where it is not there.
    pub ffn_norm: &'static str,
    /// Norms after attention and after the feed-forward, before the residual is added.
    pub post_norms: bool,
    /// How the feed-forward is gated.
    pub act: Act,
    /// When the router chooses.
    pub gating: Gating,
    /// The weights of a token's experts are made to sum to one.
    pub normalized_experts: bool,
    /// How the shared experts' gate acts.
    pub shared: SharedGate,
    /// Attention has learned sinks.
    pub sinks: bool,
    /// Output rows are picked in the last block; else only before the head.
    pub picks_in_block: bool,
    /// The residual is the first summand after attention, and after the feed-forward.
    pub residual_first: (bool, bool),
    /// Scores are capped.
    pub softcap_scores: bool,
    /// Logits are capped.
    pub softcap_logits: Softcap,
    /// Experts see inputs that are weighted by the router already.
    pub weighted_inputs: bool,
    /// Without a norm before the feed-forward, both parts run side by side.
    pub parallel_without_ffn_norm: bool,
    /// The key `use_parallel_residual` chooses between side by side and one after the other.
    pub parallel_by_key: bool,
    /// The key `rope.scaling.finetuned` switches rotary positions off where it is false.
    pub rope_switch: bool,
}

/// Llama, Mistral, Mixtral, Qwen 2 and 3, InternLM 2: what differs is which tensors and keys are there.
pub const DECODER: Decoder = Decoder {
    norm: Norm::Rms,
    rope: Rope::All,
    order: Order::Sequential,
    recurrent: Recurrent::None,
    head_norm: HeadNorm::Heads,
    scaled_embedding: false,
    learned_positions: false,
    scaled_queries: false,
    ffn_norm: "ffn_norm",
    post_norms: false,
    act: Act::Unit,
    gating: Gating::Before,
    normalized_experts: true,
    shared: SharedGate::Sigmoid,
    sinks: false,
    picks_in_block: true,
    residual_first: (false, false),
    softcap_scores: false,
    softcap_logits: Softcap::Never,
    weighted_inputs: false,
    parallel_without_ffn_norm: false,
    parallel_by_key: false,
    rope_switch: false,
};
