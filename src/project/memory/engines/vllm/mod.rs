//! vLLM: a paged cache, the activations of its warm-up, and the share of a device that it takes.

mod cache;
mod stated_cache;

use crate::checkpoint::KvLayer;
use crate::checkpoint::config::StatedCache;
use crate::project::input::ProjectInput;
use crate::project::memory::engine::Engine;
use crate::project::memory::kv_type::KvType;
use crate::project::memory::limits::{Share, Takes};
use crate::project::memory::parallel::{Convention, Cutting, Dealing, ModelPart, Padding};
use crate::project::memory::request::Settings;
use crate::project::memory::terms::{KvFigure, Term, gpu_runtime};
use crate::project::memory::torch::activations::{self, Step};
use crate::project::memory::torch::states::recurrent;
use crate::project::memory::torch::stored_weights;

pub(super) struct Vllm;

/// Sequences that the warm-up samples for (`max_num_seqs` of a default configuration).
const SEQUENCES: u64 = 256;

impl Engine for Vllm {
    fn name(&self) -> &'static str {
        "vllm"
    }

    fn version(&self) -> &'static str {
        crate::pins::VLLM
    }

    /// The types of `--kv-cache-dtype`.
    fn cache_types(&self) -> &'static [KvType] {
        &[KvType::F16, KvType::BF16, KvType::FP8, KvType::NVFP4]
    }

    fn stated_cache(&self, stated: &StatedCache) -> Result<Option<KvType>, String> {
        stated_cache::of(stated)
    }

    fn small_cache(&self) -> Option<KvType> {
        Some(KvType::FP8)
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
        cache::kv(layers, settings)
    }

    fn state(&self, layers: &[KvLayer], settings: &Settings) -> Result<Option<KvFigure>, String> {
        recurrent(layers, settings, 1)
    }

    fn others(&self, input: &ProjectInput<'_>, settings: &Settings, part: &ModelPart) -> Vec<Term> {
        let tokens = settings.batch;
        let step = Step { least: tokens, most: tokens, text: "--batch, vLLM's max_num_batched_tokens" };
        let mut terms = vec![activations::compute(input, settings, part, step)];
        terms.extend(activations::logits(input, part, settings.seqs, settings.seqs.max(SEQUENCES)));
        terms.push(gpu_runtime());
        terms
    }
}
