//! How one tensor is cut over tensor parallel ranks, by what it is for and where it stands in its module.

use crate::checkpoint::{Part, Role};
use crate::project::input::ProjectTensor;

/// How a tensor is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// Every rank has all of it.
    Whole,
    /// Its outputs are cut.
    Column,
    /// Its inputs are cut; what it adds to the outputs is on every rank.
    Row,
    /// Heads of keys or values.
    Kv,
    /// Heads of queries, keys and values in one.
    Qkv,
    /// Rows of the vocabulary are cut.
    Vocabulary,
    /// It is a routed expert, whose cut depends on expert parallel.
    Expert,
    /// Not known: between whole and cut.
    Unknown,
}

const COLUMN: &[&str] = &[
    "q_proj",
    "q_b_proj",
    "kv_b_proj",
    "q_lin",
    "wq",
    "gate_proj",
    "up_proj",
    "gate_up_proj",
    "fc1",
    "c_fc",
    "fc_in",
    "w1",
    "w3",
    "dense_h_to_4h",
    "lin1",
    "wi",
    "wi_0",
    "wi_1",
    "sinks",
];
const ROW: &[&str] =
    &["o_proj", "out_proj", "out_lin", "wo", "down_proj", "fc2", "fc_out", "w2", "dense_4h_to_h", "lin2", "c_proj", "dense"];
const KV: &[&str] = &["k_proj", "v_proj", "k_lin", "v_lin", "wk", "wv"];
const QKV: &[&str] = &["qkv_proj", "query_key_value", "Wqkv", "c_attn"];
/// Of latent attention: what comes before the heads.
const BEFORE_HEADS: &[&str] = &["q_a_proj", "kv_a_proj_with_mqa"];
const TOKENS: &[&str] = &[
    "embed_tokens",
    "wte",
    "word_embeddings",
    "tok_embeddings",
    "embed_in",
    "token_embedding",
    "token_embd",
    "embed_out",
    "lm_head",
];

/// The rule of a weight.
pub(super) fn of(t: &ProjectTensor<'_>) -> Rule {
    let is = |table: &[&str]| t.name.split('.').any(|piece| table.contains(&piece));
    match t.role {
        Role::Norm | Role::Router | Role::PositionEmbedding | Role::Buffer => Rule::Whole,
        Role::Expert => Rule::Expert,
        Role::Embedding | Role::LmHead if is(TOKENS) || t.name == "output.weight" => Rule::Vocabulary,
        Role::Attention if is(BEFORE_HEADS) => Rule::Whole,
        Role::Attention if is(KV) => Rule::Kv,
        Role::Attention if is(QKV) => Rule::Qkv,
        Role::Attention | Role::Mlp | Role::SharedExpert if is(ROW) => Rule::Row,
        Role::Attention | Role::Mlp | Role::SharedExpert if is(COLUMN) => Rule::Column,
        _ => Rule::Unknown,
    }
}

/// Whether a tensor of a module whose inputs are cut is cut too: the weight and scales of groups of inputs, not a bias and not
/// one scale an output.
pub(super) fn row_is_cut(t: &ProjectTensor<'_>) -> bool {
    match (t.part, t.shape.as_slice()) {
        (Part::Auxiliary, [_]) => t.name.ends_with("g_idx"),
        (Part::Auxiliary, [.., columns]) => *columns > 1,
        (_, shape) => shape.len() > 1,
    }
}

/// Whether bookkeeping of a module whose outputs are cut is cut too: what there is one of for each output or group.
pub(super) fn column_is_cut(t: &ProjectTensor<'_>, ranks: u64) -> bool {
    t.part != Part::Auxiliary || (t.elements >= ranks.saturating_mul(8) && !t.name.ends_with("g_idx"))
}
