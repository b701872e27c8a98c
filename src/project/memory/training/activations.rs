//! Activations kept for the backward pass, and logits.
//!
//! Sources: the rule of Llama, Qwen2 and Qwen3 layers was measured with saved-tensor hooks (torch 2.15, transformers 5.23, bf16,
//! CPU, 12 shapes without residue); the GPT formula is Korthikanti et al. 2022 (arXiv 2205.05198), Table 2.

use super::model::Dims;
use super::request::{Recompute, TrainRequest};
use crate::families;
use crate::families::family::Activations;
use crate::project::memory::terms::Term;
use crate::project::plan::Basis;

/// Bytes per token of one layer: least, most, of these what tensor parallel ranks all keep, the formula.
struct PerLayer {
    low: u128,
    high: u128,
    kept: u128,
    rule: String,
}

impl PerLayer {
    /// On one of `t` ranks: everything cut with sequence parallelism, else what follows the cut matrices only (arXiv 2205.05198, 10 + 24 / t).
    fn over(self, t: u64) -> Self {
        if t == 1 {
            return self;
        }
        let ranks = u128::from(t);
        let high = self.kept + self.high.saturating_sub(self.kept).div_ceil(ranks);
        let rule = format!("({}) / {t} with sequence parallelism, else all but {} / {t}", self.rule, self.kept);
        Self { low: self.low / ranks, high, kept: self.kept, rule }
    }
}

/// The part of a model that one device trains.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cut {
    /// Tensor parallel ranks.
    pub(super) tp: u64,
    /// Layers of the stage.
    pub(super) layers: u64,
    /// Micro-batches whose activations are held at once: as many as there are stages from this one on (one forward, one backward).
    pub(super) in_flight: u64,
}

impl Cut {
    /// One device for the whole model.
    pub(super) fn whole(dims: &Dims) -> Self {
        Self { tp: 1, layers: dims.layers, in_flight: 1 }
    }
}

/// The activations of one micro-batch, or of those in flight in a pipeline.
pub(super) fn activations(dims: &Dims, asked: &TrainRequest, fused_attention: bool, cut: Cut) -> Term {
    // Recomputing the attention core leaves what a fused kernel leaves: no scores.
    let scores = !fused_attention && asked.recompute == Recompute::None;
    let PerLayer { low, high, rule, .. } = per_layer(dims, asked.seq, scores).over(cut.tp);
    let tokens = u128::from(asked.seq).saturating_mul(asked.micro_batch.into());
    let layers = u128::from(cut.layers).saturating_mul(cut.in_flight.into());
    let times = |per_token: u128, n: u128| tokens.saturating_mul(n).saturating_mul(per_token);
    let flight = if cut.in_flight > 1 { format!(" ({} micro-batches in flight)", cut.in_flight) } else { String::new() };
    let (low, high, formula) = if asked.recompute == Recompute::Full {
        let inputs = times(2 * u128::from(dims.hidden), layers);
        // While a layer is recomputed, all of its scores are live again unless the kernel is fused.
        let PerLayer { low, high, rule, .. } = per_layer(dims, asked.seq, !fused_attention).over(cut.tp);
        let text = format!("{tokens} tokens x ({layers} layer inputs{flight} x 2 x {} + one live layer: {rule})", dims.hidden);
        ((inputs / u128::from(cut.tp)).saturating_add(times(low, 1)), inputs.saturating_add(times(high, 1)), text)
    } else {
        (times(low, layers), times(high, layers), format!("{tokens} tokens x {layers} layers{flight} x ({rule})"))
    };
    let (low, high) = (u64::try_from(low).unwrap_or(u64::MAX), u64::try_from(high).unwrap_or(u64::MAX));
    if low == high {
        Term::known("activations", low, Basis::Estimate, formula)
    } else {
        Term::range("activations", low, high, formula)
    }
}

fn per_layer(d: &Dims, seq: u64, scores: bool) -> PerLayer {
    let family = d.family.to_lowercase();
    let known =
        families::by_model_type(&family).or_else(|| families::by_gguf(&family)).map_or(Activations::Others, |row| row.activations);
    let (llama, llama_text) = llama_like(d, seq, scores, known == Activations::MeasuredWithHeadNorms);
    let (gpt, gpt_text) = gpt(d, seq, scores);
    let hidden = u128::from(d.hidden);
    if matches!(known, Activations::Measured | Activations::MeasuredWithHeadNorms) {
        let rule = format!("{llama_text}, measured for this family in bf16 without dropout");
        return PerLayer { low: llama, high: llama, kept: 16 * hidden + 8, rule };
    }
    if known == Activations::OfGpt {
        let rule = format!("{gpt_text}, arXiv 2205.05198 Table 2, 16-bit with dropout");
        return PerLayer { low: gpt, high: gpt, kept: 10 * hidden, rule };
    }
    let rule = format!("between {llama_text}, measured for Llama layers, and {gpt_text}, arXiv 2205.05198 for GPT layers");
    PerLayer { low: llama.min(gpt), high: llama.max(gpt), kept: 16 * hidden + 8, rule }
}

/// 16 h + 4 qw + 4 kw + 8 i + 4 a + 8; scores kept: 6 a s instead of 4 a; QK norm: 6 (qw + kw) + 4 (a + kv) more.
fn llama_like(d: &Dims, seq: u64, scores: bool, qk_norm: bool) -> (u128, String) {
    let [h, i, a, kv, s] = [d.hidden, d.ffn, d.heads, d.kv_heads, seq].map(u128::from);
    let (qw, kw) = (a.saturating_mul(d.head_dim.into()), kv.saturating_mul(d.head_dim.into()));
    let (kept, kept_text) = if scores { (6 * a * s, format!("6 x {a} x {s}")) } else { (4 * a, format!("4 x {a}")) };
    let norm = if qk_norm { 6 * (qw + kw) + 4 * (a + kv) } else { 0 };
    let norm_text = if qk_norm { format!(" + 6 x ({qw} + {kw}) + 4 x ({a} + {kv})") } else { String::new() };
    let bytes = 16 * h + 4 * qw + 4 * kw + 8 * i + kept + 8 + norm;
    (bytes, format!("16 x {h} + 4 x {qw} + 4 x {kw} + 8 x {i} + {kept_text} + 8{norm_text}"))
}

/// h (34 + 5 a s / h); scores not kept: 34 h.
fn gpt(d: &Dims, seq: u64, scores: bool) -> (u128, String) {
    let [h, a, s] = [d.hidden, d.heads, seq].map(u128::from);
    if scores { (34 * h + 5 * a * s, format!("34 x {h} + 5 x {a} x {s}")) } else { (34 * h, format!("34 x {h}")) }
}

/// Logits for the loss: 16-bit, an fp32 copy, and possibly their gradient in fp32. `copies` is 2 for a teacher beside a student.
/// `ranks` is over how many the vocabulary is cut.
pub(super) fn logits(vocabulary: Option<u64>, asked: &TrainRequest, copies: u64, ranks: u64) -> Term {
    let Some(vocabulary) = vocabulary.map(|n| n.div_ceil(ranks)) else {
        return Term::refused("logits", "the vocabulary size is not known");
    };
    let tokens = asked.seq.saturating_mul(asked.micro_batch);
    let values = tokens.saturating_mul(vocabulary).saturating_mul(copies);
    let each = if copies == 1 { String::new() } else { format!("{copies} models x ") };
    let text =
        format!("{each}{tokens} tokens x {vocabulary} x (2 + 4 bytes, and 4 more for an fp32 gradient); less with a fused loss");
    Term::range("logits", values.saturating_mul(6), values.saturating_mul(10), text)
}
