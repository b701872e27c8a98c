//! llama.cpp: rounding to 256 cells, streams, windows, cache types.
//!
//! Source: llama.cpp commit 0c1e570 (2026-10-01), `llama-context.cpp`, `llama-kv-cache.cpp`, `llama-kv-cache-iswa.cpp`; every row of
//! `fixtures/memory` was printed by that build.

use super::{Engine, KvFigure, layers_text, product};
use crate::checkpoint::{KvKind, KvLayer};
use crate::format::Format;
use crate::project::input::ProjectInput;
use crate::project::memory::Term;
use crate::project::memory::request::Settings;
use crate::project::storage::Basis;

pub(super) struct LlamaCpp;

/// Cells and streams of a context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cells {
    /// Cells per stream of a layer that keeps every token.
    pub(super) full: u64,
    /// Caches side by side.
    pub(super) streams: u64,
    /// `n_ubatch` after rounding.
    pub(super) ubatch: u64,
}

fn pad256(n: u64) -> u64 {
    n.checked_next_multiple_of(256).unwrap_or(u64::MAX)
}

impl Cells {
    /// As `llama_context` rounds: one cache of all tokens, or one per sequence, each padded up.
    pub(super) fn of(settings: &Settings) -> Self {
        let n_ctx = pad256(settings.ctx.max(1));
        let (full, streams) = if settings.kv_unified { (n_ctx, 1) } else { (pad256(n_ctx / settings.seqs), settings.seqs) };
        let total = full.saturating_mul(streams);
        let batch = settings.batch.min(total);
        Self { full, streams, ubatch: settings.ubatch.min(batch) }
    }

    /// Cells of a windowed layer: not the bare window.
    pub(super) fn windowed(&self, window: u64, settings: &Settings) -> u64 {
        if settings.swa_full {
            return self.full;
        }
        let sequences = if settings.kv_unified { settings.seqs } else { 1 };
        pad256(self.full.min(window.saturating_mul(sequences).saturating_add(self.ubatch)))
    }
}

impl Engine for LlamaCpp {
    fn name(&self) -> &'static str {
        "llama.cpp"
    }

    fn version(&self) -> &'static str {
        "commit 0c1e570 (2026-10-01)"
    }

    fn ctx_means(&self) -> &'static str {
        "ctx is the total over all sequences, as llama.cpp's -c"
    }

    fn weights(&self, input: &ProjectInput<'_>) -> Term {
        let padded =
            input.tensors.iter().fold(0u64, |n, t| n.saturating_add(t.bytes.checked_next_multiple_of(32).unwrap_or(u64::MAX)));
        if input.format == Some(Format::Gguf) {
            let text = "tensor bytes, each padded to 32; mapped from the file, a repacked copy (default on CPUs) not counted";
            Term::known("weights", padded, Basis::Exact, text.to_owned())
        } else {
            let text = "stored bytes; llama.cpp needs a GGUF, whose size `project --to gguf:...` tells";
            Term::known("weights", padded, Basis::Estimate, text.to_owned())
        }
    }

    fn kv(&self, layers: &[KvLayer], settings: &Settings) -> Result<KvFigure, String> {
        let (k, v) = (settings.kv_k, settings.kv_v);
        let mla = layers.iter().any(|l| l.kind == KvKind::Mla);
        if v.is_quantized() && !settings.flash_attention {
            return Err("quantized V cache requires flash_attn to be enabled".to_owned());
        }
        if mla && k != v {
            return Err(format!("model does not support different K ({}) and V ({}) cache types", k.name(), v.name()));
        }
        let cells = Cells::of(settings);
        // Without flash attention V is stored transposed, and every layer takes the widest one's room.
        let widest = layers.iter().map(|l| l.kv_heads.saturating_mul(l.head_dim_v)).max().unwrap_or(0);
        let mut sum = 0u128;
        let mut texts = Vec::new();
        for layer in layers {
            let kept = match layer.kind {
                KvKind::Full | KvKind::Mla => cells.full,
                KvKind::Sliding | KvKind::Chunked => {
                    let window = layer.window.ok_or("a windowed layer without a window")?;
                    cells.windowed(window, settings)
                }
                KvKind::Shared | KvKind::None => continue,
                KvKind::Recurrent => return Err("recurrent state is not projected yet".to_owned()),
                KvKind::Cross => return Err("the cache of cross-attention is not projected yet".to_owned()),
            };
            for (which, t, head) in [("K", k, layer.head_dim_k), ("V", v, layer.head_dim_v)] {
                if head % t.block() != 0 {
                    let (name, block) = (t.name(), t.block());
                    return Err(format!("{which} cache type {name} with block size {block} does not divide a head of {head}"));
                }
            }
            let wide_k = layer.kv_heads.checked_mul(layer.head_dim_k).and_then(|n| k.bytes(n)).ok_or("too large")?;
            let wide_v = match (layer.kind, settings.flash_attention) {
                (KvKind::Mla, _) => 0,
                (_, true) => layer.kv_heads.checked_mul(layer.head_dim_v).and_then(|n| v.bytes(n)).ok_or("too large")?,
                (_, false) => v.bytes(widest).ok_or("too large")?,
            };
            sum = sum.saturating_add(product(&[kept, cells.streams, layer.layers, wide_k.saturating_add(wide_v)]));
            texts.push(format!("{} layers x {kept} cells x {} streams x ({wide_k} + {wide_v}) B", layer.layers, cells.streams));
        }
        let bytes = u64::try_from(sum).map_err(|_| "too large".to_owned())?;
        if texts.is_empty() {
            texts.push(layers.iter().map(layers_text).collect::<Vec<_>>().join(" + "));
        }
        Ok(KvFigure { bytes, basis: Basis::Exact, formula: texts.join(" + ") })
    }

    fn others(&self, _: &ProjectInput<'_>, _: &Settings) -> Vec<Term> {
        vec![Term::refused("compute_buffer", "not estimated yet")]
    }
}
