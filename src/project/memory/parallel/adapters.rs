//! Adapters of low rank beside matrices that are cut.
//!
//! Sources: PEFT `tuners/lora/tp_layer.py` (Megatron layers: B is cut with the outputs of its matrix, A with the inputs, the other one is whole on every
//! rank; vLLM `lora/layers` does the same); NeMo and Megatron-Bridge `ParallelLinearAdapter`, which cut the other one as well.

use super::convention::{Convention, Parallel, Rank};
use super::rule::{self, RankCut};
use super::slice::part_of;
use super::stages::{self, stage_of};
use crate::checkpoint::Role;
use crate::project::input::ProjectInput;

/// Parameters of adapters of rank `r` on the linear layers of attention and dense feed-forward that one rank holds: least, with both
/// matrices cut, and most, with one of them whole.
pub(in crate::project::memory) fn adapters(
    input: &ProjectInput<'_>,
    r: u64,
    parallel: &Parallel,
    by: &Convention,
    rank: &Rank,
) -> (u64, u64) {
    let model = input.model;
    let ends = stages::bounds(model, parallel.pp, by.dealing).unwrap_or_else(|_| vec![(0, u64::MAX)]);
    let tp = parallel.tp;
    let heads = model.heads.unwrap_or(tp).max(1);
    let kv_heads = model.kv_heads.unwrap_or(heads).max(1);
    let kv_rank = (kv_heads / tp).max(1);
    let (mut low, mut high) = (0u64, 0u64);
    for t in input.tensors.iter().filter(|t| matches!(t.role, Role::Attention | Role::Mlp | Role::SharedExpert)) {
        let [out, inner] = *t.logical_shape.as_ref().unwrap_or(&t.shape).as_slice() else { continue };
        if stage_of(t, &ends) as u64 != rank.stage {
            continue;
        }
        let cut = |n: u64| part_of(n, 1, tp);
        // A has `inner` columns, B `out` rows.
        let (least, most) = match rule::of(t) {
            RankCut::Column => (cut(inner).saturating_add(cut(out)), inner.saturating_add(cut(out))),
            RankCut::Row => (cut(inner).saturating_add(cut(out)), cut(inner).saturating_add(out)),
            RankCut::Kv => {
                let out = part_of(out, kv_rank, kv_heads);
                (cut(inner).saturating_add(out), inner.saturating_add(out))
            }
            RankCut::Qkv => {
                let out = part_of(out, heads / tp + 2 * kv_rank, heads + 2 * kv_heads);
                (cut(inner).saturating_add(out), inner.saturating_add(out))
            }
            RankCut::Unknown => (cut(inner).saturating_add(cut(out)), inner.saturating_add(out)),
            RankCut::Whole | RankCut::Vocabulary | RankCut::Expert => (inner.saturating_add(out), inner.saturating_add(out)),
        };
        low = low.saturating_add(r.saturating_mul(least));
        high = high.saturating_add(r.saturating_mul(most));
    }
    (low, high)
}
