//! The compute buffer of a family whose graph is not known: bounds from what every decoder has.

use super::cells::Cells;
use super::sheet::vocabulary;
use crate::checkpoint::{KvKind, KvLayers};
use crate::families;
use crate::families::graph::Graph;
use crate::format::Format;
use crate::project::input::ProjectInput;
use crate::project::memory::request::Settings;
use crate::project::memory::terms::Term;

/// Logits and the kept norm are the least; the most adds the widest feed-forward, attention and masks of a layer, each of which ggml
/// reuses for the next, and a quarter for what a family has besides.
pub(super) fn term(input: &ProjectInput<'_>, settings: &Settings, reason: &str) -> Term {
    let facts = || {
        let model = input.model;
        let KvLayers::Known(layers) = &model.kv else { return None };
        let row = model.architecture.as_deref().and_then(families::by_gguf);
        let unlike = row.is_some_and(|row| matches!(row.graph, Graph::PositionBias));
        if input.format != Some(Format::Gguf) || unlike {
            return None;
        }
        let width = model.hidden_size?;
        let heads = model.heads.unwrap_or(0);
        let rows =
            input.tensors.iter().filter(|t| t.name.contains("ffn_up") || t.name.contains("ffn_gate.") || t.name.contains("ssm_in"));
        let wide = rows.filter_map(|t| t.shape.len().checked_sub(2).map(|i| t.shape[i])).max().unwrap_or(0);
        let attention = layers
            .iter()
            .map(|l| {
                heads
                    .saturating_mul(l.head_dim_k)
                    .saturating_add(l.kv_heads.saturating_mul(l.head_dim_k.saturating_add(l.head_dim_v)))
            })
            .max()
            .unwrap_or(0);
        let windows = layers.iter().any(|l| matches!(l.kind, KvKind::Sliding | KvKind::Chunked));
        Some((width, heads, wide, attention, windows, vocabulary(input), model.experts_used.unwrap_or(1).max(1)))
    };
    let (Ok(cells), Some((width, heads, wide, attention, windows, vocabulary, used))) = (Cells::of(settings), facts()) else {
        return Term::refused("compute_buffer", reason.to_owned());
    };
    let tokens = cells.tokens().max(1);
    let f32s = |n: u64| n.saturating_mul(4);
    let logits = f32s(vocabulary.saturating_mul(cells.outputs(settings.llama_cpp.server)));
    let stream = f32s(width.saturating_mul(tokens));
    let mask = cells.full.saturating_mul(tokens).saturating_mul(if settings.flash_attention { 2 } else { 4 });
    let mask = mask.saturating_mul(1 + u64::from(windows));
    let scores = if settings.flash_attention { 0 } else { f32s(cells.full.saturating_mul(tokens).saturating_mul(heads)) };
    let feed_forward = f32s(tokens.saturating_mul(wide.saturating_mul(3).saturating_mul(used)));
    let attention = f32s(attention.saturating_mul(2).saturating_mul(tokens)).saturating_add(scores);
    let low = logits.saturating_add(stream).max(feed_forward / 2).max(scores);
    let layer = stream.saturating_mul(4 + used).saturating_add(mask).saturating_add(feed_forward.max(attention));
    let high = logits.saturating_add(stream.saturating_mul(2)).max(layer.saturating_add(layer / 4)).max(low);
    let text = format!(
        "{reason}; from {tokens} tokens: logits {logits} B, residual stream {stream} B, masks {mask} B, attention {attention} B, feed-forward {feed_forward} B"
    );
    Term::range("compute_buffer", low, high, text)
}
