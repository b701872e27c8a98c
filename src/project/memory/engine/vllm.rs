//! vLLM: paged cache, windows by what one step may schedule.
//!
//! Source: `vllm/v1/kv_cache_interface.py` (page = block x heads x (K + V) x bytes per layer; a window keeps W - 1 + scheduled
//! tokens in one block more than they fill); block of 16 tokens.

use super::{Engine, KvFigure, gpu_runtime, product, stored_weights};
use crate::checkpoint::{KvKind, KvLayer};
use crate::project::input::ProjectInput;
use crate::project::memory::Term;
use crate::project::memory::request::Settings;
use crate::project::storage::Basis;

pub(super) struct Vllm;

const BLOCK: u64 = 16;

impl Engine for Vllm {
    fn name(&self) -> &'static str {
        "vllm"
    }

    fn version(&self) -> &'static str {
        "v1 engine, 2026"
    }

    fn ctx_means(&self) -> &'static str {
        "ctx is per sequence; the cache is what these sequences fill, not what vLLM reserves (gpu_memory_utilization)"
    }

    fn weights(&self, input: &ProjectInput<'_>, _: &Settings) -> Term {
        stored_weights(input, self.name())
    }

    fn kv(&self, layers: &[KvLayer], settings: &Settings) -> Result<KvFigure, String> {
        if settings.kv_k != settings.kv_v {
            return Err("vLLM caches keys and values in one type".to_owned());
        }
        let mut sum = 0u128;
        let mut texts = Vec::new();
        let mut kinds = Vec::new();
        for layer in layers {
            let width = match layer.kind {
                // One latent vector per token, no value of its own.
                KvKind::Mla => layer.head_dim_k,
                _ => layer.head_dim_k.saturating_add(layer.head_dim_v),
            };
            let limit = settings.ctx.max(1);
            let blocks = match layer.kind {
                KvKind::Full | KvKind::Mla => limit.div_ceil(BLOCK),
                KvKind::Sliding => {
                    let window = layer.window.ok_or("a windowed layer without a window")?;
                    let tokens = window.saturating_sub(1).saturating_add(settings.batch).min(limit);
                    tokens.div_ceil(BLOCK) + 1
                }
                KvKind::Chunked => {
                    let window = layer.window.ok_or("a chunked layer without a chunk")?;
                    window.saturating_add(settings.batch).min(limit).div_ceil(BLOCK)
                }
                KvKind::Shared | KvKind::None => continue,
                KvKind::Recurrent => return Err("recurrent state is not projected yet".to_owned()),
                KvKind::Cross => return Err("the cache of cross-attention is not projected yet".to_owned()),
            };
            let token = layer.kv_heads.checked_mul(width).and_then(|n| settings.kv_k.bytes(n)).ok_or("too large")?;
            sum = sum.saturating_add(product(&[blocks, layer.layers, settings.others_seqs, BLOCK, token]));
            texts.push(format!(
                "{} layers x {blocks} blocks of {BLOCK} x {token} B x {} sequences",
                layer.layers, settings.others_seqs
            ));
            if !kinds.contains(&layer.kind) {
                kinds.push(layer.kind);
            }
        }
        let bytes = u64::try_from(sum).map_err(|_| "too large".to_owned())?;
        // With several kinds vLLM forms groups of equal page size, which may pad.
        let basis = if kinds.len() <= 1 { Basis::Exact } else { Basis::Estimate };
        Ok(KvFigure { bytes, basis, formula: texts.join(" + ") })
    }

    fn others(&self, _: &ProjectInput<'_>, _: &Settings) -> Vec<Term> {
        vec![Term::refused("compute_buffer", "not estimated yet: activations and logits"), gpu_runtime()]
    }
}
