//! What decoders differ in, a row each.
//!
//! Source: `models/*.cpp` of the same names; what the keys or tensors of a file decide is not here.

use super::experts::Gating;
use super::feed_forward::Act;
use super::norm::Norm;

/// Which layers have rotary positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rope {
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
pub(super) enum Order {
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
pub(super) enum Recurrent {
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
pub(super) enum HeadNorm {
    /// Head by head.
    Heads,
    /// All heads at once, before they are told apart.
    Flat,
    /// Without weights, after the rotary positions of layers that have them (Llama 4).
    Bare,
}

/// How the shared experts' gate acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SharedGate {
    /// No shared experts.
    Absent,
    /// A sigmoid, where there is a gate.
    Sigmoid,
    /// `silu(x) / x`, which is one (Qwen 2).
    Ratio,
}

/// One family.
#[derive(Debug, Clone, Copy)]
pub(super) struct Family {
    pub(super) norm: Norm,
    pub(super) rope: Rope,
    pub(super) order: Order,
    pub(super) recurrent: Recurrent,
    pub(super) head_norm: HeadNorm,
    /// The embedding is scaled.
    pub(super) scaled_embedding: bool,
    /// Positions have an embedding of their own.
    pub(super) learned_positions: bool,
    /// Queries are scaled before the scores are made.
    pub(super) scaled_queries: bool,
    /// The norm before the feed-forward; left out where it is not there.
    pub(super) ffn_norm: &'static str,
    /// Norms after attention and after the feed-forward, before the residual is added.
    pub(super) post_norms: bool,
    pub(super) act: Act,
    pub(super) gating: Gating,
    pub(super) normalized_experts: bool,
    pub(super) shared: SharedGate,
    pub(super) sinks: bool,
    /// Output rows are picked in the last block; else only before the head.
    pub(super) picks_in_block: bool,
    /// The residual is the first summand after attention, and after the feed-forward.
    pub(super) residual_first: (bool, bool),
    pub(super) softcap_scores: bool,
    pub(super) softcap_logits: bool,
}

/// Llama, Mistral, Mixtral, Qwen 2 and 3, InternLM 2, Granite: what differs is which tensors and keys are there.
pub(super) const PLAIN: Family = Family {
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
    softcap_logits: false,
};

const GEMMA: Family = Family { scaled_embedding: true, scaled_queries: true, ..PLAIN };

/// Families by `general.architecture`.
pub(super) const FAMILIES: &[(&str, Family)] = &[
    ("llama", PLAIN),
    ("mistral3", PLAIN),
    ("qwen2", PLAIN),
    ("qwen3", PLAIN),
    ("qwen3moe", PLAIN),
    ("internlm2", PLAIN),
    ("qwen", PLAIN),
    ("ernie4_5", PLAIN),
    ("arcee", PLAIN),
    ("exaone", PLAIN),
    ("minicpm", PLAIN),
    ("xverse", PLAIN),
    ("seed_oss", Family { ffn_norm: "post_attention_norm", ..PLAIN }),
    ("deepseek", Family { normalized_experts: false, ..PLAIN }),
    ("glm4", Family { post_norms: true, act: Act::Halves, ..PLAIN }),
    ("granite", PLAIN),
    ("granitemoe", PLAIN),
    ("qwen2moe", Family { normalized_experts: false, shared: SharedGate::Ratio, ..PLAIN }),
    ("olmoe", Family { normalized_experts: false, head_norm: HeadNorm::Flat, ..PLAIN }),
    ("olmo2", Family { post_norms: true, head_norm: HeadNorm::Flat, ..PLAIN }),
    ("exaone4", Family { post_norms: true, rope: Rope::Windowed, ..PLAIN }),
    ("smollm3", Family { rope: Rope::ButEvery(4), ..PLAIN }),
    ("gemma", GEMMA),
    ("gemma2", Family { post_norms: true, softcap_scores: true, softcap_logits: true, ..GEMMA }),
    ("gemma3", Family { post_norms: true, ..GEMMA }),
    ("phi3", Family { scaled_queries: true, act: Act::Halves, residual_first: (false, true), ..PLAIN }),
    (
        "gpt-oss",
        Family {
            ffn_norm: "post_attention_norm",
            gating: Gating::After,
            normalized_experts: false,
            sinks: true,
            picks_in_block: false,
            ..PLAIN
        },
    ),
    ("llama4", Family { rope: Rope::Windowed, head_norm: HeadNorm::Bare, normalized_experts: false, ..PLAIN }),
    ("starcoder2", Family { norm: Norm::Layer, ..PLAIN }),
    ("orion", Family { norm: Norm::Layer, ..PLAIN }),
    ("nemotron", Family { norm: Norm::Layer, ..PLAIN }),
    ("stablelm", Family { norm: Norm::Layer, ..PLAIN }),
    ("gpt2", Family { norm: Norm::Layer, rope: Rope::None, learned_positions: true, ..PLAIN }),
    ("gptneox", Family { norm: Norm::Layer, ..PLAIN }),
    ("falcon", Family { norm: Norm::Layer, order: Order::SideBySide, ..PLAIN }),
    ("phi2", Family { norm: Norm::Layer, order: Order::AttentionFirst, scaled_queries: true, ..PLAIN }),
    ("command-r", Family { norm: Norm::Layer, order: Order::InputFirst, ..PLAIN }),
    ("cohere2", Family { norm: Norm::Layer, order: Order::InputFirst, rope: Rope::Windowed, ..PLAIN }),
    ("granitehybrid", Family { recurrent: Recurrent::Mamba2, ..PLAIN }),
    (
        "jamba",
        Family { recurrent: Recurrent::Mamba1, rope: Rope::None, normalized_experts: false, residual_first: (true, true), ..PLAIN },
    ),
    ("lfm2", Family { recurrent: Recurrent::ShortConvolution, residual_first: (true, true), ..PLAIN }),
    ("lfm2moe", Family { recurrent: Recurrent::ShortConvolution, residual_first: (true, true), ..PLAIN }),
];
