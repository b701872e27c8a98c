//! Multi-head latent attention.
//!
//! Source: `models/deepseek2.cpp`; with `attention.key_length_mla` the compressed vector is what is cached, without it keys and values are.

use super::attention::{AttentionInputs, Extras};
use super::builder::Builder;
use crate::checkpoint::KvLayer;
use crate::families::graph::{Act, Gating, Norm, SharedGate};
use crate::project::memory::engines::llama_cpp::graph::{Id, Purpose};

/// Widths of a head, the latent vector and its rotary part.
#[derive(Clone, Copy)]
struct Widths {
    key: u64,
    value: u64,
    rope: u64,
    rank: u64,
    heads: u64,
    latent: bool,
}

pub(super) fn deepseek2(b: &mut Builder<'_>) -> Result<(), String> {
    let latent = b.sheet.count("attention.key_length_mla").is_some();
    let suffix = if latent { "_mla" } else { "" };
    let widths = Widths {
        key: b.sheet.need(&format!("attention.key_length{suffix}"))?,
        value: b.sheet.need(&format!("attention.value_length{suffix}"))?,
        rope: b.sheet.need("rope.dimension_count")?,
        rank: b.sheet.need("attention.kv_lora_rank")?,
        heads: b.sheet.need("attention.head_count")?,
        latent,
    };
    if widths.rope > widths.key {
        return Err(format!("the rotary part {} is wider than the head {}", widths.rope, widths.key));
    }
    let normalized = b.sheet.number("expert_weights_norm").is_some_and(|n| n != 0.0);
    let mut x = b.embedding()?;
    let positions = b.positions();
    let inputs = b.attention_inputs(latent);
    let output_ids = b.output_ids();
    let (layers, dense) = (b.sheet.layers, b.sheet.count("leading_dense_block_count").unwrap_or(0));
    for layer in 0..layers {
        let kind = b.kind(layer)?;
        b.g.now(Purpose::Residual);
        let mut residual = x;
        let normed = b.norm(layer, "attn_norm", x, Norm::Rms);
        let mut attended = attention(b, layer, normed, positions, &inputs, &kind, widths)?;
        b.g.now(Purpose::Residual);
        if layer + 1 == layers {
            attended = b.pick(attended, output_ids);
            residual = b.pick(residual, output_ids);
        }
        let middle = b.g.in_place(&[attended, residual]);
        let normed = b.norm(layer, "ffn_norm", middle, Norm::Rms);
        let out = if layer < dense {
            b.feed_forward(layer, "", normed, Act::Unit)?
        } else {
            let routing = b.routing(Gating::Before, normalized);
            let routed = b.experts(layer, normed, routing)?;
            b.with_shared(layer, normed, routed, SharedGate::Sigmoid)?
        };
        b.g.now(Purpose::Residual);
        x = b.g.in_place(&[out, middle]);
    }
    let normed = b.output_norm(x, Norm::Rms)?;
    b.head(normed, false)
}

fn attention(
    b: &mut Builder<'_>,
    layer: u64,
    x: Id,
    positions: Id,
    inputs: &AttentionInputs,
    kind: &KvLayer,
    w: Widths,
) -> Result<Id, String> {
    b.g.now(Purpose::Attention);
    let tokens = b.setup.tokens;
    let q = if b.has(layer, "attn_q.weight") {
        b.linear(layer, "attn_q", x)?
    } else {
        let low = b.linear(layer, "attn_q_a", x)?;
        let low = b.norm(layer, "attn_q_a_norm", low, Norm::Rms);
        b.linear(layer, "attn_q_b", low)?
    };
    let q = b.g.reshape(q, [w.key, w.heads, tokens, 1]);
    let both = b.linear(layer, "attn_kv_a_mqa", x)?;
    let row = 4 * (w.rank + w.rope);
    let all = row.saturating_mul(tokens);
    let compressed = b.g.view(both, [w.rank, tokens, 1, 1], [4, row, all, all]);
    let k_pe = b.g.view(both, [w.rope, 1, tokens, 1], [4, row, row, all]);
    let k_pe = b.rope(k_pe, positions, None);
    let compressed = b.norm(layer, "attn_kv_a_norm", compressed, Norm::Rms);
    let extras = Extras { output: Some("attn_output"), ..Extras::default() };
    let nope = w.key - w.rope;
    if w.latent {
        let nb = b.g.nb(q);
        let q_nope = b.g.view(q, [nope, w.heads, tokens, 1], nb);
        let q_pe = b.g.view(q, [w.rope, w.heads, tokens, 1], nb);
        let q_pe = b.rope(q_pe, positions, None);
        let q_nope = b.g.permute(q_nope, [0, 2, 1, 3]);
        let up = b.weight(layer, "attn_k_b.weight")?;
        let absorbed = b.g.mul_mat(up, q_nope);
        let absorbed = b.g.permute(absorbed, [0, 2, 1, 3]);
        let q = b.g.concat(absorbed, q_pe, 0);
        let compressed = b.g.reshape(compressed, [w.rank, 1, tokens, 1]);
        let k = b.g.concat(compressed, k_pe, 0);
        let v_mla = Some(b.weight(layer, "attn_v_b.weight")?);
        return b.attend(layer, inputs, kind, q, Some((k, compressed)), Extras { v_mla, ..extras });
    }
    let kv = b.linear(layer, "attn_kv_b", compressed)?;
    let head = 4 * (nope + w.value);
    let (plane, all) = (head * w.heads, (head * w.heads).saturating_mul(tokens));
    let k_nope = b.g.view(kv, [nope, w.heads, tokens, 1], [4, head, plane, all]);
    let v = b.g.view(kv, [w.value, w.heads, tokens, 1], [4, head, plane, all]);
    let v = b.g.cont(v);
    let q = b.rope(q, positions, None);
    let k_pe = b.g.repeat(k_pe, [w.rope, w.heads, tokens, 1]);
    let k = b.g.concat(k_nope, k_pe, 0);
    b.attend(layer, inputs, kind, q, Some((k, v)), extras)
}
