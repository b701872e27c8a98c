//! Decoders of one shape: norm, attention, residual, norm, feed-forward or experts, residual.
//!
//! Source: `models/{llama,mistral3,qwen2,qwen3,qwen3moe,gemma3,phi3,openai-moe}.cpp`.

use super::Builder;
use super::attention::Extras;
use super::experts::Gating;
use super::feed_forward::Act;
use super::norm::Norm;
use crate::project::memory::engine::llama_cpp::graph::{Id, Purpose};

/// What the families differ in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Family {
    pub(super) norm: Norm,
    /// The embedding is scaled.
    pub(super) scaled_embedding: bool,
    /// Queries are scaled before the scores are made.
    pub(super) scaled_queries: bool,
    /// The norm before the feed-forward.
    pub(super) ffn_norm: &'static str,
    /// Norms after attention and after the feed-forward, before the residual is added.
    pub(super) post_norms: bool,
    pub(super) act: Act,
    pub(super) gating: Gating,
    pub(super) normalized_experts: bool,
    pub(super) sinks: bool,
    /// Output rows are picked in the last block; else only before the head.
    pub(super) picks_in_block: bool,
    pub(super) softcap_scores: bool,
    pub(super) softcap_logits: bool,
    /// Queries and keys have rotary positions.
    pub(super) rope: bool,
    /// The residual branch is scaled before it is added (Granite, MiniCPM).
    pub(super) scaled_residual: bool,
    /// Logits are scaled.
    pub(super) scaled_logits: bool,
    /// Experts that always run, beside the routed ones; gated ones have a router of their own.
    pub(super) shared_experts: bool,
}

/// Llama's own.
pub(super) const PLAIN: Family = Family {
    norm: Norm::Rms,
    scaled_embedding: false,
    scaled_queries: false,
    ffn_norm: "ffn_norm",
    post_norms: false,
    act: Act::Unit,
    gating: Gating::Before,
    normalized_experts: true,
    sinks: false,
    picks_in_block: true,
    softcap_scores: false,
    softcap_logits: false,
    rope: true,
    scaled_residual: false,
    scaled_logits: false,
    shared_experts: false,
};

/// Llama, Mistral, Mixtral, Qwen 2 and 3: what differs is which tensors are there.
pub(super) fn plain(b: &mut Builder<'_>) -> Result<(), String> {
    b.decoder(&PLAIN)
}

pub(super) fn gemma3(b: &mut Builder<'_>) -> Result<(), String> {
    let softcap_logits = b.sheet.number("final_logit_softcapping").is_some_and(|n| n != 0.0);
    b.decoder(&Family { scaled_embedding: true, scaled_queries: true, post_norms: true, softcap_logits, ..PLAIN })
}

pub(super) fn phi3(b: &mut Builder<'_>) -> Result<(), String> {
    b.decoder(&Family { scaled_queries: true, act: Act::Halves, ..PLAIN })
}

pub(super) fn gpt_oss(b: &mut Builder<'_>) -> Result<(), String> {
    b.decoder(&Family {
        ffn_norm: "post_attention_norm",
        gating: Gating::After,
        normalized_experts: false,
        sinks: true,
        picks_in_block: false,
        ..PLAIN
    })
}

impl Builder<'_> {
    pub(super) fn decoder(&mut self, family: &Family) -> Result<(), String> {
        let mut x = self.embedding()?;
        if family.scaled_embedding {
            self.g.now(Purpose::Residual);
            x = self.g.in_place(&[x]);
        }
        let positions = self.positions();
        let inputs = self.attention_inputs(false);
        let output_ids = self.output_ids();
        let layers = self.sheet.layers;
        for layer in 0..layers {
            let last = layer + 1 == layers;
            let kind = self.kind(layer)?;
            self.g.now(Purpose::Residual);
            let mut residual = x;
            let normed = self.norm(layer, "attn_norm", x, family.norm);
            let heads = self.sheet.need_at("attention.head_count", layer)?;
            let (q, k, v) = self.qkv(layer, normed, heads, &kind)?;
            let factors = self.rope_factors(layer);
            // Norms of the heads stand where their weights are, before the rotary positions.
            let mut one = |x: Id, name: &str| {
                let x = if self.has(layer, &format!("{name}.weight")) { self.norm(layer, name, x, family.norm) } else { x };
                if family.rope { self.rope(x, positions, factors) } else { x }
            };
            let mut q = one(q, "attn_q_norm");
            let k = one(k, "attn_k_norm");
            if family.scaled_queries {
                q = self.g.in_place(&[q]);
            }
            let extras =
                Extras { output: Some("attn_output"), sinks: family.sinks, softcap: family.softcap_scores, ..Extras::default() };
            let mut x2 = self.attend(layer, &inputs, &kind, q, Some((k, v)), extras)?;
            self.g.now(Purpose::Residual);
            if last && family.picks_in_block {
                x2 = self.pick(x2, output_ids);
                residual = self.pick(residual, output_ids);
            }
            if family.post_norms {
                x2 = self.norm(layer, "post_attention_norm", x2, family.norm);
            }
            if family.scaled_residual {
                x2 = self.g.in_place(&[x2]);
            }
            let middle = self.g.in_place(&[x2, residual]);
            let normed = self.norm(layer, family.ffn_norm, middle, family.norm);
            let mut out = if self.has(layer, "ffn_gate_inp.weight") {
                let routing = self.routing(family.gating, family.normalized_experts);
                let routed = self.experts(layer, normed, routing)?;
                if family.shared_experts { self.with_shared(layer, normed, routed)? } else { routed }
            } else {
                self.feed_forward(layer, "", normed, family.act)?
            };
            self.g.now(Purpose::Residual);
            if family.post_norms {
                out = self.norm(layer, "post_ffw_norm", out, family.norm);
            }
            if family.scaled_residual {
                out = self.g.in_place(&[out]);
            }
            x = self.g.in_place(&[out, middle]);
        }
        if !family.picks_in_block {
            // Every token's state is kept for draft heads; output rows are picked from it.
            self.g.keep(x);
            x = self.pick(x, output_ids);
        }
        let normed = self.output_norm(x, family.norm)?;
        self.head(normed, family.softcap_logits)
    }

    /// Factors of the rotary frequencies: a model's or a layer's, where they are there.
    fn rope_factors(&mut self, layer: u64) -> Option<Id> {
        for name in [Self::name(layer, "rope_freqs.weight"), "rope_freqs.weight".to_owned(), "rope_factors_long.weight".to_owned()]
        {
            if self.sheet.shape(&name).is_some() {
                return self.global(&name).ok();
            }
        }
        None
    }

    /// Adds the experts that always run, behind their gate where they have one.
    pub(super) fn with_shared(&mut self, layer: u64, x: Id, routed: Id) -> Result<Id, String> {
        if !self.has(layer, "ffn_up_shexp.weight") {
            return Ok(routed);
        }
        let mut shared = self.feed_forward(layer, "_shexp", x, Act::Unit)?;
        if self.has(layer, "ffn_gate_inp_shexp.weight") {
            let gate = self.linear(layer, "ffn_gate_inp_shexp", x)?;
            let gate = self.g.in_place(&[gate]);
            shared = self.g.in_place(&[shared, gate]);
        }
        Ok(self.g.in_place(&[routed, shared]))
    }
}
