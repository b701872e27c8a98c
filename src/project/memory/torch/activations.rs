//! Activations and logits of one step in the engines built on torch: a range around one layer's transient tensors.
//!
//! Source: the closed form of vLLM's warm-up (alvarobartt/hf-mem#67): the residual stream twice, and the widest of the projections and
//! of the feed-forward block of one layer, as the next layer uses the same memory. What kernels and the allocator keep besides is not
//! known to a formula: the upper end is twice the lower, and holds two layers' worth at once.

use crate::project::input::ProjectInput;
use crate::project::memory::parallel::ModelPart;
use crate::project::memory::request::Settings;
use crate::project::memory::terms::{Term, product};

/// Tokens of one step: least and most.
#[derive(Debug, Clone, Copy)]
pub(in crate::project::memory) struct Step {
    pub(in crate::project::memory) least: u64,
    pub(in crate::project::memory) most: u64,
    /// What decides it, for the formula.
    pub(in crate::project::memory) text: &'static str,
}

fn bounded(n: u128) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

/// The transient tensors of one step, 16-bit.
pub(in crate::project::memory) fn compute(input: &ProjectInput<'_>, settings: &Settings, part: &ModelPart, step: Step) -> Term {
    let model = input.model;
    let Some(hidden) = model.hidden_size else {
        return Term::refused("compute_buffer", "the width of the model is not known");
    };
    let experts = model.experts_used.zip(model.expert_ffn_size.or(model.ffn_size)).filter(|_| model.experts.is_some_and(|n| n > 0));
    // Gate and up side by side, then their product; of experts, each token's rows are gathered too.
    let dense = model.ffn_size.map(|ffn| product(&[3, ffn.div_ceil(part.tp)]));
    let routed = experts.map(|(used, width)| product(&[used, hidden.saturating_add(width.div_ceil(part.tp).saturating_mul(3))]));
    let Some(feed_forward) = routed.max(dense) else {
        return Term::refused("compute_buffer", "the width of the feed-forward block is not known");
    };
    let heads = model.heads.unwrap_or(0).saturating_add(model.kv_heads.unwrap_or(0).saturating_mul(2));
    let qkv = product(&[heads.div_ceil(part.tp), model.head_dim.unwrap_or(0)]);
    let widest = qkv.saturating_add(hidden.into()).max(feed_forward);
    let token = widest.saturating_add(2 * u128::from(hidden)).saturating_mul(2);
    let scores = if settings.flash_attention {
        0
    } else {
        // 16-bit scores and their 32-bit softmax.
        product(&[6, step.most, settings.ctx, model.heads.unwrap_or(0).div_ceil(part.tp)])
    };
    let low = bounded(token.saturating_mul(step.least.into()));
    let high = bounded(token.saturating_mul(step.most.into()).saturating_mul(2).saturating_add(scores)).max(low);
    let eager = if scores > 0 { format!(" + scores {} B", bounded(scores)) } else { String::new() };
    let text = format!(
        "{} to {} tokens ({}) x 2 B x (2 x {hidden} + the widest of a layer, {widest}), at most twice that{eager} (closed form of vLLM's warm-up, hf-mem#67): not measured",
        step.least, step.most, step.text
    );
    Term::range("compute_buffer", low, high, text)
}

/// Rows of logits: 16-bit at least; with a 32-bit copy, and another for the sampler, at most. Nothing where the head is elsewhere.
pub(in crate::project::memory) fn logits(input: &ProjectInput<'_>, part: &ModelPart, least: u64, most: u64) -> Option<Term> {
    let vocabulary = input.model.vocab_size.filter(|_| part.last)?;
    if matches!(input.model.kv, crate::checkpoint::KvLayers::NoCache(_)) {
        return None;
    }
    let (low, high) = (product(&[least, vocabulary, 2]), product(&[most, vocabulary, 10]));
    let text = format!(
        "{least} to {most} rows x {vocabulary} tokens x 2 to 10 B (16-bit; vLLM's sampler and transformers' generate make a 32-bit copy, and \
         samplers another): not measured"
    );
    Some(Term::range("logits", bounded(low), bounded(high), text))
}
