//! The paged cache of vLLM: windows by what one step may schedule, layers of several kinds in groups that share pages.
//!
//! Source: `vllm/v1/kv_cache_interface.py` (page = block x heads x (K + V) x bytes per layer; a window keeps W - 1 + scheduled
//! tokens in one block more than they fill), `vllm/v1/core/kv_cache_utils.py` (groups); block of 16 tokens.

use crate::checkpoint::{KvKind, KvLayer};
use crate::project::memory::request::Settings;
use crate::project::memory::terms::{KvFigure, Sum, product};
use crate::project::memory::torch::states::encoder_tokens;
use crate::project::plan::Basis;

/// Tokens of a block (`block_size`).
const BLOCK: u64 = 16;

/// The cache of one run of layers.
struct PagedLayers {
    layers: u64,
    /// Bytes of one token in one layer.
    token: u64,
    /// Blocks of a sequence that has settled, and those that one step may hold.
    low: u64,
    high: u64,
}

/// The cache that these sequences fill.
///
/// # Errors
/// Why vLLM would refuse, or why it is not known.
pub(super) fn kv(layers: &[KvLayer], settings: &Settings) -> Result<KvFigure, String> {
    if settings.kv_k != settings.kv_v {
        return Err("vLLM caches keys and values in one type".to_owned());
    }
    let block = block_of(layers, settings)?;
    let runs = layers.iter().filter_map(|layer| run(layer, settings, block).transpose()).collect::<Result<Vec<_>, _>>()?;
    let mut sum = Sum::default();
    for (run, padded) in grouped(&runs) {
        let (layers, token, seqs) = (run.layers, run.token, settings.seqs);
        let blocks = if run.low == run.high { run.low.to_string() } else { format!("{} to {}", run.low, run.high) };
        let of = if block == BLOCK { BLOCK.to_string() } else { format!("{BLOCK} to {block}") };
        let text = format!("{layers} layers x {blocks} blocks of {of} x {token} B x {seqs} sequences");
        sum.add(product(&[run.low, BLOCK, token, layers, seqs]), product(&[run.high, block, token, padded, seqs]), text);
    }
    let groups = if runs.len() > 1 { "; groups of layers share pages and may pad" } else { "" };
    sum.figure(Basis::Exact, &format!("{groups} (kv_cache_interface.py)"))
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

/// Bytes of one token in one layer.
fn token(layer: &KvLayer, settings: &Settings) -> Result<u64, String> {
    let width = match layer.kind {
        // One latent vector per token, no value of its own.
        KvKind::Mla => layer.head_dim_k,
        _ => layer.head_dim_k.saturating_add(layer.head_dim_v),
    };
    layer.kv_heads.checked_mul(width).and_then(|n| settings.kv_k.bytes(n)).ok_or_else(|| "too large".to_owned())
}

/// The blocks of a run of layers; `None` where it caches nothing.
fn run(layer: &KvLayer, settings: &Settings, block: u64) -> Result<Option<PagedLayers>, String> {
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
    Ok(Some(PagedLayers { layers: layer.layers, token: token(layer, settings)?, low, high }))
}

/// Layers of each run, padding included: groups of as many layers as the smallest kind has, or the largest where that is less than a
/// quarter more (`_get_kv_cache_groups_uniform_page_size`).
fn grouped(runs: &[PagedLayers]) -> Vec<(&PagedLayers, u64)> {
    let least = runs.iter().map(|r| r.layers).min().unwrap_or(1).max(1);
    let most = runs.iter().map(|r| r.layers).max().unwrap_or(1);
    let size = if most.saturating_mul(4) < least.saturating_mul(5) { most } else { least };
    runs.iter().map(|run| (run, run.layers.checked_next_multiple_of(size.max(1)).unwrap_or(u64::MAX))).collect()
}
