//! How one tensor is cut over tensor parallel ranks, by what it is for and where it stands in its module.

use crate::checkpoint::{Part, Role};
use crate::families::modules;
use crate::project::input::ProjectTensor;

pub(super) use crate::families::modules::RankCut;

/// How a weight is cut.
pub(super) fn of(t: &ProjectTensor<'_>) -> RankCut {
    let is = |cut| t.name.split('.').any(|piece| modules::of(piece).is_some_and(|word| word.cut == Some(cut)));
    match t.role {
        Role::Norm | Role::Router | Role::PositionEmbedding | Role::Buffer => RankCut::Whole,
        Role::Expert => RankCut::Expert,
        Role::Embedding | Role::LmHead if is(RankCut::Vocabulary) || t.name == "output.weight" => RankCut::Vocabulary,
        // Of latent attention: what comes before the heads.
        Role::Attention if is(RankCut::Whole) => RankCut::Whole,
        Role::Attention if is(RankCut::Kv) => RankCut::Kv,
        Role::Attention if is(RankCut::Qkv) => RankCut::Qkv,
        Role::Attention | Role::Mlp | Role::SharedExpert if is(RankCut::Row) => RankCut::Row,
        Role::Attention | Role::Mlp | Role::SharedExpert if is(RankCut::Column) => RankCut::Column,
        _ => RankCut::Unknown,
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
