//! transformers: the cache that `generate` fills, and the activations of its steps.

mod cache;

use crate::checkpoint::{KvLayer, ModelConfig};
use crate::project::input::ProjectInput;
use crate::project::memory::engine::Engine;
use crate::project::memory::kv_type::KvType;
use crate::project::memory::parallel::{Convention, Cutting, Dealing, ModelPart, Padding};
use crate::project::memory::request::Settings;
use crate::project::memory::terms::{KvFigure, Term, gpu_runtime};
use crate::project::memory::torch::activations::{self, Step};
use crate::project::memory::torch::states::recurrent;
use crate::project::memory::torch::stored_weights;

pub(super) struct Transformers;

impl Engine for Transformers {
    fn name(&self) -> &'static str {
        "transformers"
    }

    fn version(&self) -> &'static str {
        "5.23"
    }

    /// Those that models have: it caches in the type of the model.
    fn cache_types(&self) -> &'static [KvType] {
        &[KvType::F32, KvType::F16, KvType::BF16]
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
        cache::kv(layers, settings)
    }

    fn state(&self, layers: &[KvLayer], settings: &Settings) -> Result<Option<KvFigure>, String> {
        recurrent(layers, settings, 2)
    }

    fn others(&self, input: &ProjectInput<'_>, settings: &Settings, part: &ModelPart) -> Vec<Term> {
        let seqs = settings.seqs;
        let step =
            Step { least: seqs, most: seqs.saturating_mul(settings.ctx), text: "from one of each sequence to whole prompts" };
        let mut terms = vec![activations::compute(input, settings, part, step)];
        terms.extend(activations::logits(input, part, seqs, seqs));
        terms.push(gpu_runtime());
        terms
    }
}
