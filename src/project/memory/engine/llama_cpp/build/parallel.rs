//! Decoders whose attention and feed-forward read the same norm and are added up.
//!
//! Source: `models/falcon.cpp`.

use super::Builder;
use super::attention::Extras;
use super::feed_forward::Act;
use super::norm::Norm;
use crate::project::memory::engine::llama_cpp::graph::Purpose;

pub(super) fn falcon(b: &mut Builder<'_>) -> Result<(), String> {
    let mut x = b.embedding()?;
    let positions = b.positions();
    let inputs = b.attention_inputs(false);
    let output_ids = b.output_ids();
    let layers = b.sheet.layers;
    for layer in 0..layers {
        let kind = b.kind(layer)?;
        b.g.now(Purpose::Residual);
        let mut normed = b.norm(layer, "attn_norm", x, Norm::Layer);
        let source = if b.has(layer, "attn_norm_2.weight") { b.norm(layer, "attn_norm_2", x, Norm::Layer) } else { normed };
        let heads = b.sheet.need_at("attention.head_count", layer)?;
        let (q, k, v) = b.qkv(layer, source, heads, &kind)?;
        let q = b.rope(q, positions, None);
        let k = b.rope(k, positions, None);
        let extras = Extras { output: Some("attn_output"), ..Extras::default() };
        let mut attended = b.attend(layer, &inputs, &kind, q, Some((k, v)), extras)?;
        b.g.now(Purpose::Residual);
        if layer + 1 == layers {
            attended = b.pick(attended, output_ids);
            x = b.pick(x, output_ids);
            normed = b.pick(normed, output_ids);
        }
        let out = b.feed_forward(layer, "", normed, Act::Unit)?;
        b.g.now(Purpose::Residual);
        let sum = b.g.in_place(&[out, attended]);
        x = b.g.in_place(&[sum, x]);
    }
    let normed = b.output_norm(x, Norm::Layer)?;
    b.head(normed, false)
}
