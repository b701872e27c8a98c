//! transformers: the dynamic cache, one tensor per layer that grows by a token.
//!
//! Source: transformers 5.23 `cache_utils.py`; a windowed layer keeps the window (formulas D: min(S, W)).

use super::{Engine, KvFigure, gpu_runtime, product, stored_weights};
use crate::checkpoint::{KvKind, KvLayer};
use crate::project::input::ProjectInput;
use crate::project::memory::Term;
use crate::project::memory::request::Settings;
use crate::project::storage::Basis;

pub(super) struct Transformers;

impl Engine for Transformers {
    fn name(&self) -> &'static str {
        "transformers"
    }

    fn version(&self) -> &'static str {
        "5.23"
    }

    fn ctx_means(&self) -> &'static str {
        "ctx is per sequence"
    }

    fn weights(&self, input: &ProjectInput<'_>, _: &Settings) -> Term {
        stored_weights(input, self.name())
    }

    fn kv(&self, layers: &[KvLayer], settings: &Settings) -> Result<KvFigure, String> {
        if settings.kv_k != settings.kv_v {
            return Err("transformers caches keys and values in one type".to_owned());
        }
        let mut sum = 0u128;
        let mut texts = Vec::new();
        let mut basis = Basis::Exact;
        for layer in layers {
            let kept = match layer.kind {
                KvKind::Full | KvKind::Mla => settings.ctx,
                KvKind::Sliding | KvKind::Chunked => {
                    let window = layer.window.ok_or("a windowed layer without a window")?;
                    // The newest token of a full window may or may not be kept between steps.
                    basis = Basis::Estimate;
                    settings.ctx.min(window)
                }
                KvKind::Shared | KvKind::None => continue,
                KvKind::Recurrent => return Err("recurrent state is not projected yet".to_owned()),
                KvKind::Cross => return Err("the cache of cross-attention is not projected yet".to_owned()),
            };
            let width = match layer.kind {
                KvKind::Mla => layer.head_dim_k,
                _ => layer.head_dim_k.saturating_add(layer.head_dim_v),
            };
            let token = layer.kv_heads.checked_mul(width).and_then(|n| settings.kv_k.bytes(n)).ok_or("too large")?;
            sum = sum.saturating_add(product(&[kept, token, layer.layers, settings.others_seqs]));
            texts.push(format!("{} layers x {kept} tokens x {token} B x {} sequences", layer.layers, settings.others_seqs));
        }
        let bytes = u64::try_from(sum).map_err(|_| "too large".to_owned())?;
        Ok(KvFigure { bytes, basis, formula: texts.join(" + ") })
    }

    fn others(&self, _: &ProjectInput<'_>, _: &Settings) -> Vec<Term> {
        vec![Term::refused("compute_buffer", "not estimated yet: activations and logits"), gpu_runtime()]
    }
}
