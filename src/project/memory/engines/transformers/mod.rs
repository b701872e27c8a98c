//! transformers: the dynamic cache, one tensor per layer that grows by a token.
//!
//! Source: transformers 5.23 `cache_utils.py`; a windowed layer keeps the window (formulas D: min(S, W)).

use crate::checkpoint::{KvKind, KvLayer, ModelConfig};
use crate::project::input::ProjectInput;
use crate::project::memory::engine::Engine;
use crate::project::memory::parallel::{Convention, Cutting, Dealing, ModelPart, Padding};
use crate::project::memory::request::Settings;
use crate::project::memory::terms::{KvFigure, Term, gpu_runtime, product};
use crate::project::memory::torch::activations::{self, Step};
use crate::project::memory::torch::states::{encoder_tokens, recurrent};
use crate::project::memory::torch::stored_weights;
use crate::project::storage::Basis;

pub(super) struct Transformers;

impl Engine for Transformers {
    fn name(&self) -> &'static str {
        "transformers"
    }

    fn version(&self) -> &'static str {
        "5.23"
    }

    /// It caches in the type of the model.
    fn cache_types(&self) -> &'static [&'static str] {
        &["f32", "f16", "bf16"]
    }

    fn ctx_means(&self) -> &'static str {
        "ctx is per sequence"
    }

    fn weights(&self, input: &ProjectInput<'_>, _: &Settings) -> Term {
        stored_weights(input, self.name())
    }

    fn convention(&self, _: &Settings) -> Convention {
        Convention {
            name: self.name(),
            dealing: Dealing::First,
            cutting: Ok(Cutting { vocabulary: Padding::None, repeats_kv_heads: false, cuts_embedding: false }),
            experts_over_replicas: false,
            no_experts: Some("its expert parallel plans are not projected; ep 1 is valid"),
            embedding_on_host: false,
            host_expert_layers: 0,
            alignment: 1,
        }
    }

    fn layers(&self, model: &ModelConfig, layers: &[KvLayer]) -> Vec<KvLayer> {
        // `FalconAttention._split_heads` broadcasts keys and values to the shape of the queries, and `forward` caches that.
        let group = match (model.spreads_kv, model.heads, model.kv_heads) {
            (true, Some(heads), Some(kv_heads)) if kv_heads > 0 => (heads / kv_heads).max(1),
            _ => 1,
        };
        layers.iter().map(|layer| KvLayer { kv_heads: layer.kv_heads.saturating_mul(group), ..*layer }).collect()
    }

    fn kv(&self, layers: &[KvLayer], settings: &Settings) -> Result<KvFigure, String> {
        if settings.kv_k != settings.kv_v {
            return Err("transformers caches keys and values in one type".to_owned());
        }
        let (mut low, mut high) = (0u128, 0u128);
        let mut texts = Vec::new();
        let mut basis = Basis::Exact;
        for layer in layers {
            let (least, most) = match layer.kind {
                KvKind::Full | KvKind::Mla => (settings.ctx, settings.ctx),
                KvKind::Sliding | KvKind::Chunked => {
                    let window = layer.window.ok_or("a windowed layer without a window")?;
                    // The newest token of a full window may or may not be kept between steps.
                    basis = Basis::Estimate;
                    (settings.ctx.min(window), settings.ctx.min(window))
                }
                KvKind::Cross => encoder_tokens(layer, settings),
                KvKind::Shared | KvKind::None | KvKind::Recurrent => continue,
            };
            let width = match layer.kind {
                KvKind::Mla => layer.head_dim_k,
                _ => layer.head_dim_k.saturating_add(layer.head_dim_v),
            };
            let token = layer.kv_heads.checked_mul(width).and_then(|n| settings.kv_k.bytes(n)).ok_or("too large")?;
            let of = |kept| product(&[kept, token, layer.layers, settings.seqs]);
            (low, high) = (low.saturating_add(of(least)), high.saturating_add(of(most)));
            let kept = if least == most { least.to_string() } else { format!("{least} to {most}") };
            let (layers, seqs) = (layer.layers, settings.seqs);
            texts.push(format!("{layers} layers x {kept} tokens x {token} B x {seqs} sequences"));
        }
        let fits = |n: u128| u64::try_from(n).map_err(|_| "too large".to_owned());
        let (bytes, high) = (fits(low)?, fits(high)?);
        let basis = if bytes == high { basis } else { Basis::Range };
        Ok(KvFigure { bytes, high, basis, formula: format!("{} (cache_utils.py)", texts.join(" + ")) })
    }

    fn state(&self, layers: &[KvLayer], settings: &Settings) -> Result<Option<KvFigure>, String> {
        recurrent(layers, settings, 2)
    }

    fn others(&self, input: &ProjectInput<'_>, settings: &Settings, share: &ModelPart) -> Vec<Term> {
        let seqs = settings.seqs;
        let step =
            Step { least: seqs, most: seqs.saturating_mul(settings.ctx), text: "from one of each sequence to whole prompts" };
        let mut terms = vec![activations::compute(input, settings, share, step)];
        terms.extend(activations::logits(input, share, seqs, seqs));
        terms.push(gpu_runtime());
        terms
    }
}
