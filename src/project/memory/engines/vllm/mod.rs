//! vLLM: paged cache, windows by what one step may schedule, layers of several kinds in groups that share pages.
//!
//! Source: `vllm/v1/kv_cache_interface.py` (page = block x heads x (K + V) x bytes per layer; a window keeps W - 1 + scheduled
//! tokens in one block more than they fill), `vllm/v1/core/kv_cache_utils.py` (groups); block of 16 tokens.

use crate::checkpoint::{KvKind, KvLayer};
use crate::project::input::ProjectInput;
use crate::project::memory::engine::Engine;
use crate::project::memory::limits::{Share, Takes};
use crate::project::memory::parallel::{Convention, Cutting, Dealing, ModelPart, Padding};
use crate::project::memory::request::Settings;
use crate::project::memory::terms::{KvFigure, Term, gpu_runtime, product};
use crate::project::memory::torch::activations::{self, Step};
use crate::project::memory::torch::states::{encoder_tokens, recurrent};
use crate::project::memory::torch::stored_weights;
use crate::project::storage::Basis;

pub(super) struct Vllm;

const BLOCK: u64 = 16;

/// `max_num_seqs` of a default configuration: the warm-up samples for so many.
const SEQUENCES: u64 = 256;

/// The cache of one run of layers.
struct Run {
    layers: u64,
    /// Bytes of one token in one layer.
    token: u64,
    /// Blocks of a sequence that has settled, and those that one step may hold.
    low: u64,
    high: u64,
}

impl Engine for Vllm {
    fn name(&self) -> &'static str {
        "vllm"
    }

    fn version(&self) -> &'static str {
        "v1 engine, 2026"
    }

    /// `--kv-cache-dtype`.
    fn cache_types(&self) -> &'static [&'static str] {
        &["f16", "bf16", "fp8"]
    }

    fn ctx_means(&self) -> &'static str {
        "ctx is per sequence; the cache is what these sequences fill, not what vLLM reserves (gpu_memory_utilization)"
    }

    /// `gpu_memory_utilization` of `config/cache.py` in 0.33.0; older versions had 0.9.
    fn takes(&self) -> Takes {
        Takes { share: Some(Share::of_millionths(920_000)), rule: "vLLM's gpu_memory_utilization; --gpu-utilization F", reserve: 0 }
    }

    fn weights(&self, input: &ProjectInput<'_>, _: &Settings) -> Term {
        stored_weights(input, self.name())
    }

    fn convention(&self, _: &Settings) -> Convention {
        Convention {
            name: self.name(),
            dealing: Dealing::BeforeLast,
            cutting: Ok(Cutting { vocabulary: Padding::To(64), repeats_kv_heads: true, cuts_embedding: true }),
            experts_over_replicas: true,
            no_experts: None,
            embedding_on_host: false,
            host_expert_layers: 0,
            alignment: 1,
        }
    }

    fn kv(&self, layers: &[KvLayer], settings: &Settings) -> Result<KvFigure, String> {
        if settings.kv_k != settings.kv_v {
            return Err("vLLM caches keys and values in one type".to_owned());
        }
        let block = block_of(layers, settings)?;
        let runs = layers.iter().filter_map(|layer| run(layer, settings, block).transpose()).collect::<Result<Vec<_>, _>>()?;
        let (low, high) = (runs.iter(), grouped(&runs));
        let low = low.fold(0u128, |n, r| n.saturating_add(product(&[r.low, BLOCK, r.token, r.layers, settings.seqs])));
        let high =
            high.iter().fold(0u128, |n, (r, layers)| n.saturating_add(product(&[r.high, block, r.token, *layers, settings.seqs])));
        let texts: Vec<String> = runs
            .iter()
            .map(|r| {
                let blocks = if r.low == r.high { r.low.to_string() } else { format!("{} to {}", r.low, r.high) };
                let block = if block == BLOCK { BLOCK.to_string() } else { format!("{BLOCK} to {block}") };
                let (layers, token, seqs) = (r.layers, r.token, settings.seqs);
                format!("{layers} layers x {blocks} blocks of {block} x {token} B x {seqs} sequences")
            })
            .collect();
        let fits = |n: u128| u64::try_from(n).map_err(|_| "too large".to_owned());
        let (bytes, high) = (fits(low)?, fits(high.max(low))?);
        let basis = if bytes == high { Basis::Exact } else { Basis::Range };
        let groups = if runs.len() > 1 { "; groups of layers share pages and may pad" } else { "" };
        Ok(KvFigure { bytes, high, basis, formula: format!("{}{groups} (kv_cache_interface.py)", texts.join(" + ")) })
    }

    fn state(&self, layers: &[KvLayer], settings: &Settings) -> Result<Option<KvFigure>, String> {
        recurrent(layers, settings, 1)
    }

    fn others(&self, input: &ProjectInput<'_>, settings: &Settings, share: &ModelPart) -> Vec<Term> {
        let tokens = settings.batch;
        let step = Step { least: tokens, most: tokens, text: "--batch, vLLM's max_num_batched_tokens" };
        let mut terms = vec![activations::compute(input, settings, share, step)];
        terms.extend(activations::logits(input, share, settings.seqs, settings.seqs.max(SEQUENCES)));
        terms.push(gpu_runtime());
        terms
    }
}

/// Tokens of a block: 16; beside recurrent layers as many as make a page no smaller than a layer's state.
fn block_of(layers: &[KvLayer], settings: &Settings) -> Result<u64, String> {
    let state = |l: &KvLayer| l.state.map(|s| s.conv.saturating_mul(2).saturating_add(s.recurrent.saturating_mul(4)));
    let Some(state) = layers.iter().filter(|l| l.kind == KvKind::Recurrent).filter_map(state).max() else { return Ok(BLOCK) };
    let mut narrowest: Option<u64> = None;
    for layer in layers.iter().filter(|l| l.kind != KvKind::Recurrent) {
        let token = token(layer, settings)?;
        narrowest = narrowest.into_iter().chain((token > 0).then_some(token)).min();
    }
    Ok(narrowest.map_or(BLOCK, |token| state.div_ceil(token).max(1).checked_next_multiple_of(BLOCK).unwrap_or(u64::MAX)))
}

fn token(layer: &KvLayer, settings: &Settings) -> Result<u64, String> {
    let width = match layer.kind {
        // One latent vector per token, no value of its own.
        KvKind::Mla => layer.head_dim_k,
        _ => layer.head_dim_k.saturating_add(layer.head_dim_v),
    };
    layer.kv_heads.checked_mul(width).and_then(|n| settings.kv_k.bytes(n)).ok_or_else(|| "too large".to_owned())
}

fn run(layer: &KvLayer, settings: &Settings, block: u64) -> Result<Option<Run>, String> {
    let limit = settings.ctx.max(1);
    let (low, high) = match layer.kind {
        KvKind::Full | KvKind::Mla => (limit.div_ceil(BLOCK), limit.div_ceil(block)),
        KvKind::Sliding => {
            let window = layer.window.ok_or("a windowed layer without a window")?;
            let tokens = window.saturating_sub(1).saturating_add(settings.batch).min(limit);
            (window.min(limit).div_ceil(BLOCK), tokens.div_ceil(block) + 1)
        }
        KvKind::Chunked => {
            let window = layer.window.ok_or("a chunked layer without a chunk")?;
            let tokens = window.saturating_add(settings.batch).min(limit);
            (window.min(limit).div_ceil(BLOCK), tokens.div_ceil(block))
        }
        KvKind::Cross => {
            let (least, most) = encoder_tokens(layer, settings);
            (least.div_ceil(BLOCK), most.div_ceil(block))
        }
        KvKind::Shared | KvKind::None | KvKind::Recurrent => return Ok(None),
    };
    Ok(Some(Run { layers: layer.layers, token: token(layer, settings)?, low, high }))
}

/// Layers of each run, padding included: groups of as many layers as the smallest kind has, or the largest where that is less than a
/// quarter more (`_get_kv_cache_groups_uniform_page_size`).
fn grouped(runs: &[Run]) -> Vec<(&Run, u64)> {
    let least = runs.iter().map(|r| r.layers).min().unwrap_or(1).max(1);
    let most = runs.iter().map(|r| r.layers).max().unwrap_or(1);
    let size = if most.saturating_mul(4) < least.saturating_mul(5) { most } else { least };
    runs.iter().map(|run| (run, run.layers.checked_next_multiple_of(size.max(1)).unwrap_or(u64::MAX))).collect()
}
