//! The weights of one device.

use super::cache;
use super::convention::{Convention, Padding, Parallel, Rank};
use super::rule::{self, RankCut};
use super::sizes::padded_vocabulary;
use super::stages::{self, stage_of};
use crate::checkpoint::{KvLayer, Part, Role};
use crate::project::input::{ProjectInput, ProjectTensor};
use crate::project::memory::terms::Term;
use crate::project::plan::Basis;

/// What part of the model a device runs, for buffers that depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelPart {
    /// Number of tensor parallel ranks.
    pub tp: u64,
    /// Whether it is one device for all.
    pub whole: bool,
    /// Whether the input embedding is here.
    pub first: bool,
    /// Whether the output head is here.
    pub last: bool,
}

impl ModelPart {
    /// The part of a device that runs the whole model.
    pub fn whole() -> Self {
        Self { tp: 1, whole: true, first: true, last: true }
    }
}

/// What one device holds of a model that is spread.
#[derive(Debug, Clone)]
pub struct Slice {
    /// `device 3 (stage 1, tensor rank 1)`.
    pub name: String,
    /// Term of its weights.
    pub weights: Term,
    /// Rows of the vocabulary that no token has.
    pub padding: Option<Term>,
    /// What it caches, or why that is not known.
    pub layers: Result<Vec<KvLayer>, String>,
    /// The part of the model that it runs.
    pub part: ModelPart,
    /// Kinds of weights that other ranks hold as well.
    pub replicated: Vec<&'static str>,
}

/// What a rank holds of what is counted: bytes or parameters.
#[derive(Debug, Clone, Default)]
pub(in crate::project::memory) struct RankTotals {
    /// Least amount, without routed experts.
    pub(in crate::project::memory) low: u64,
    /// Most amount, without routed experts.
    pub(in crate::project::memory) high: u64,
    /// Amount of the routed experts.
    pub(in crate::project::memory) experts: u64,
    /// Amount of padding rows of the vocabulary.
    pub(in crate::project::memory) padding: u64,
    /// The parts as they are held, experts left out.
    pub(in crate::project::memory) parts: Vec<u64>,
    pub(in crate::project::memory) replicated: Vec<&'static str>,
}

pub(super) fn part_of(amount: u64, share: u64, of: u64) -> u64 {
    let scaled = (u128::from(amount) * u128::from(share)).div_ceil(u128::from(of.max(1)));
    u64::try_from(scaled).unwrap_or(u64::MAX)
}

/// What one rank holds, counted by `size`.
pub(in crate::project::memory) fn measure(
    input: &ProjectInput<'_>,
    parallel: &Parallel,
    convention: &Convention,
    rank: &Rank,
    size: &dyn Fn(&ProjectTensor<'_>) -> u64,
) -> RankTotals {
    let model = input.model;
    let ends = stages::bounds(model, parallel.pp, convention.dealing).unwrap_or_else(|_| vec![(0, u64::MAX)]);
    let (tp, last) = (parallel.tp, rank.stage as usize + 1 == ends.len());
    let tied = model.tied_embeddings == Some(true) && input.tensors.iter().all(|t| t.role != Role::LmHead || size(t) == 0);
    let heads = model.heads.unwrap_or(tp).max(1);
    let mut held = RankTotals::default();
    let mut all_experts = 0u64;
    for (place, t) in input.tensors.iter().enumerate() {
        let copied = tied && last && ends.len() > 1 && rule::of(t) == RankCut::Vocabulary && t.role == Role::Embedding;
        let here = match convention.embedding_on_host {
            true if is_input(t) => false,
            true if is_everywhere(t) => true,
            _ => stage_of(t, &ends) as u64 == rank.stage,
        };
        if !(here || copied) || input.gguf.as_ref().is_some_and(|g| g.is_beside(place)) {
            continue;
        }
        let amount = size(t);
        let kv_heads = model.kv_heads.unwrap_or(heads).max(1);
        let kv_rank = (kv_heads / tp).max(1);
        let cut = part_of(amount, 1, tp);
        let rule = if t.name.contains("_exps.") { RankCut::Expert } else { rule::of(t) };
        let (low, high) = match rule {
            RankCut::Expert => {
                all_experts = all_experts.saturating_add(amount);
                continue;
            }
            _ if tp == 1 && rule != RankCut::Vocabulary => (amount, amount),
            RankCut::Whole => (amount, amount),
            RankCut::Column if rule::column_is_cut(t, tp) => (cut, cut),
            RankCut::Row if rule::row_is_cut(t) => (cut, cut),
            RankCut::Column | RankCut::Row => (amount, amount),
            RankCut::Kv => same(part_of(amount, kv_rank, kv_heads)),
            RankCut::Qkv => same(part_of(amount, heads / tp + 2 * kv_rank, heads + 2 * kv_heads)),
            RankCut::Vocabulary if convention.keeps_embedding_whole() && t.role == Role::Embedding => (amount, amount),
            RankCut::Vocabulary => {
                let (rows, padding) = vocabulary(t, convention.padding(), tp, rank.tensor);
                let stored = t.shape.first().copied().unwrap_or(1);
                held.padding = held.padding.saturating_add(part_of(amount, padding, stored));
                same(part_of(amount, rows, stored))
            }
            RankCut::Unknown => (cut, amount),
        };
        let name = match (rule, t.part) {
            (RankCut::Whole, _) => t.role.name(),
            (RankCut::Kv | RankCut::Qkv, _) if tp > kv_heads => "key/value heads",
            (RankCut::Vocabulary, _) if copied || convention.keeps_embedding_whole() => "embedding",
            _ => "",
        };
        if !name.is_empty() && (tp > 1 || copied) && !held.replicated.contains(&name) {
            held.replicated.push(name);
        }
        held.low = held.low.saturating_add(low);
        held.high = held.high.saturating_add(high);
        held.parts.push(high);
    }
    held.experts = experts(model.experts.unwrap_or(0), all_experts, parallel, convention, rank);
    held
}

/// Whether llama.cpp reads it from host memory (`LLM_TENSOR_LAYER_INPUT` in `llama-arch.cpp`).
pub(in crate::project::memory) fn is_input(t: &ProjectTensor<'_>) -> bool {
    t.layer.is_none() && matches!(t.role, Role::Embedding | Role::PositionEmbedding)
}

/// Whether every layer of llama.cpp refers to it, so that each device has a copy (`TENSOR_DUPLICATED`).
fn is_everywhere(t: &ProjectTensor<'_>) -> bool {
    matches!(&*t.name, "rope_freqs.weight" | "rope_factors_long.weight" | "rope_factors_short.weight")
}

fn same(n: u64) -> (u64, u64) {
    (n, n)
}

/// Rows of the vocabulary with tokens, and without, of one rank.
fn vocabulary(t: &ProjectTensor<'_>, padding: Padding, ranks: u64, rank: u64) -> (u64, u64) {
    let rows = t.shape.first().copied().unwrap_or(1);
    let each = padded_vocabulary(rows, padding, ranks).div_ceil(ranks);
    let real = rows.saturating_sub(rank.saturating_mul(each)).min(each);
    (real, if t.shape.len() > 1 && t.part == Part::Weight { each - real } else { 0 })
}

/// Routed experts of a rank: whole ones under expert parallel, where the first ranks take a remainder; else each cut.
fn experts(count: u64, all: u64, parallel: &Parallel, convention: &Convention, rank: &Rank) -> u64 {
    let (ep, over) = (parallel.ep, convention.experts_over_replicas);
    if ep > 1 && count > 0 {
        let place = if over { rank.replica * parallel.tp + rank.tensor } else { rank.replica % ep };
        let here = count / ep + u64::from(place < count % ep);
        let whole = part_of(all, here, count);
        return if over { whole } else { part_of(whole, 1, parallel.tp) };
    }
    part_of(all, 1, if over { parallel.tp.saturating_mul(parallel.dp) } else { parallel.tp })
}

pub(super) fn of(input: &ProjectInput<'_>, parallel: &Parallel, convention: &Convention, rank: Rank, index: usize) -> Slice {
    let size = |t: &ProjectTensor<'_>| {
        let on_host = convention.embedding_on_host
            && t.layer.is_some_and(|l| u64::from(l) < convention.host_expert_layers)
            && t.name.contains("_exps.");
        if on_host { 0 } else { t.bytes.checked_next_multiple_of(convention.alignment.max(1)).unwrap_or(u64::MAX) }
    };
    let held = measure(input, parallel, convention, &rank, &size);
    let (low, high) = (held.low.saturating_add(held.experts), held.high.saturating_add(held.experts));
    let last = rank.stage + 1 == parallel.pp;
    let whole = match (held.replicated.is_empty(), parallel.pp > 1) {
        (false, _) => format!("; whole: {}", held.replicated.join(", ")),
        _ => String::new(),
    };
    let layers = input.model.layers.map_or_else(String::new, |n| {
        let (from, to) = (rank.layers.0, rank.layers.1.min(n));
        if from < to { format!("layers {from} to {} of {n}, ", to - 1) } else { format!("none of {n} layers, ") }
    });
    let experts = if held.experts > 0 { format!(", of which {} B of routed experts", held.experts) } else { String::new() };
    let formula = format!("{layers}stored bytes / tp {} as {} cuts them{experts}{whole}", parallel.tp, convention.name);
    let weights = if low != high {
        Term::range("weights", low, high, format!("{formula}; parts whose cut is not known count from cut to whole"))
    } else {
        let basis = if input.is_packed() { Basis::Estimate } else { Basis::Exact };
        Term::known("weights", low, basis, formula)
    };
    let padding = (held.padding > 0).then(|| {
        let text = "rows that no token has: the vocabulary is padded so that it divides over the ranks".to_owned();
        Term::known("vocabulary_padding", held.padding, Basis::Exact, text)
    });
    let mut place = Vec::new();
    for (what, size, at) in
        [("replica", parallel.dp, rank.replica), ("stage", parallel.pp, rank.stage), ("tensor rank", parallel.tp, rank.tensor)]
    {
        if size > 1 {
            place.push(format!("{what} {at}"));
        }
    }
    Slice {
        name: format!("device {index} ({})", place.join(", ")),
        weights,
        padding,
        layers: cache::layers(input.model, parallel.pp, &rank, parallel.tp),
        part: ModelPart { tp: parallel.tp, whole: false, first: rank.stage == 0, last },
        replicated: held.replicated,
    }
}
