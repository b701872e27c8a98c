//! Gated delta nets beside full attention.
//!
//! Source: `models/{qwen3next,delta-net-base}.cpp`, with the fused operation (`fused_gdn_ch`, on by default).

use super::attention::{AttentionInputs, Extras};
use super::builder::Builder;
use super::mamba::StateInputs;
use crate::checkpoint::{KvKind, KvLayer};
use crate::families::graph::{Act, Gating, Norm, SharedGate};
use crate::project::memory::engines::llama_cpp::graph::{Id, Purpose, Type};

pub(super) fn qwen3next(b: &mut Builder<'_>) -> Result<(), String> {
    let mut x = b.embedding()?;
    let states = b.state_inputs();
    let inputs = b.attention_inputs(false);
    let positions = b.positions();
    let output_ids = b.output_ids();
    for layer in 0..b.sheet.layers {
        let kind = b.kind(layer)?;
        b.g.now(Purpose::Residual);
        let residual = x;
        let normed = b.norm(layer, "attn_norm", x, Norm::Rms);
        b.g.expand(normed);
        let attended = if kind.kind == KvKind::Recurrent {
            b.delta_net(layer, normed, states)?
        } else {
            gated_attention(b, layer, normed, positions, &inputs, &kind)?
        };
        b.g.now(Purpose::Residual);
        let middle = b.g.in_place(&[attended, residual]);
        let normed = b.norm(layer, "post_attention_norm", middle, Norm::Rms);
        let out = if b.has(layer, "ffn_gate_inp.weight") {
            let routing = b.routing(Gating::Before, true);
            let routed = b.experts(layer, normed, routing)?;
            b.with_shared(layer, normed, routed, SharedGate::Sigmoid)?
        } else {
            b.feed_forward(layer, "", normed, Act::Unit)?
        };
        b.g.now(Purpose::Residual);
        x = b.g.in_place(&[out, middle]);
    }
    // The norm of every token is kept; output rows are picked from it.
    let normed = b.output_norm(x, Norm::Rms)?;
    b.g.keep(normed);
    let picked = b.pick(normed, output_ids);
    b.head(picked, false)
}

/// Attention whose query projection also gives a gate.
fn gated_attention(
    b: &mut Builder<'_>,
    layer: u64,
    x: Id,
    positions: Id,
    inputs: &AttentionInputs,
    kind: &KvLayer,
) -> Result<Id, String> {
    b.g.now(Purpose::Attention);
    let tokens = b.setup.tokens;
    let heads = b.sheet.need_at("attention.head_count", layer)?;
    let (dim, kv) = (kind.head_dim_k, kind.kv_heads);
    let both = b.linear(layer, "attn_q", x)?;
    let k = b.linear(layer, "attn_k", x)?;
    let v = b.linear(layer, "attn_v", x)?;
    let both = b.g.reshape(both, [2 * dim, heads, tokens, 1]);
    let nb = b.g.nb(both);
    let q = b.g.view(both, [dim, heads, tokens, 1], nb);
    let gate = b.g.view(both, [dim, heads, tokens, 1], nb);
    let k = b.g.reshape(k, [dim, kv, tokens, 1]);
    let v = b.g.reshape(v, [kind.head_dim_v, kv, tokens, 1]);
    let q = b.norm(layer, "attn_q_norm", q, Norm::Rms);
    let k = b.norm(layer, "attn_k_norm", k, Norm::Rms);
    let q = b.rope(q, positions, None);
    let k = b.rope(k, positions, None);
    let out = b.attend(layer, inputs, kind, q, Some((k, v)), Extras::default())?;
    let gate = b.g.cont_as(gate, [dim * heads, tokens, 1, 1]);
    let gate = b.g.in_place(&[gate]);
    let out = b.g.in_place(&[out, gate]);
    b.linear(layer, "attn_output", out)
}

impl Builder<'_> {
    /// `build_qkvz`: queries, keys and values in one tensor, and the gate of the output.
    fn mixed_qkvz(&mut self, layer: u64, x: Id, dims: [u64; 4]) -> Result<(Id, Id), String> {
        let [dk, dv, hk, hv] = dims;
        let (seqs, tokens) = (self.setup.seqs, self.setup.seq_tokens());
        if self.has(layer, "attn_qkv.weight") {
            let mixed = self.linear(layer, "attn_qkv", x)?;
            let width = self.g.ne(mixed)[0];
            let mixed = self.g.reshape(mixed, [width, tokens, seqs, 1]);
            return Ok((mixed, self.linear(layer, "attn_gate", x)?));
        }
        let all = self.linear(layer, "ssm_in", x)?;
        let per = hv / hk;
        let all = self.g.reshape(all, [2 * dk + 2 * dv * per, hk, tokens, seqs]);
        let nb = self.g.nb(all);
        let mut part = |d: u64| self.g.view(all, [d, hk, tokens, seqs], nb);
        let (q, k, v, z) = (part(dk), part(dk), part(dv * per), part(dv * per));
        let z = self.g.cont(z);
        let mut flat = |x: Id, d: u64| self.g.cont_as(x, [d, tokens, seqs, 1]);
        let (q, k, v) = (flat(q, dk * hk), flat(k, dk * hk), flat(v, dv * hv));
        let mixed = self.g.concat(q, k, 0);
        Ok((self.g.concat(mixed, v, 0), z))
    }

    /// `build_layer_attn_linear`.
    fn delta_net(&mut self, layer: u64, x: Id, states: StateInputs) -> Result<Id, String> {
        self.g.now(Purpose::State);
        let (inner, dk) = (self.sheet.need("ssm.inner_size")?, self.sheet.need("ssm.state_size")?);
        let (hk, hv) = (self.sheet.need("ssm.group_count")?, self.sheet.need("ssm.time_step_rank")?);
        let conv = self.sheet.need("ssm.conv_kernel")?;
        if hk == 0 || hv % hk != 0 || hv == 0 || inner % hv != 0 || conv == 0 || inner / hv != dk {
            return Err("the `ssm` keys are out of range".to_owned());
        }
        let dv = inner / hv;
        let (seqs, tokens) = (self.setup.seqs, self.setup.seq_tokens());
        let (mixed, z) = self.mixed_qkvz(layer, x, [dk, dv, hk, hv])?;
        let ba = self.linear(layer, "ssm_ba", x)?;
        let per = hv / hk;
        let ba = self.g.reshape(ba, [2 * per, hk, tokens, seqs]);
        let nb = self.g.nb(ba);
        let beta = self.g.view(ba, [per, hk, tokens, seqs], nb);
        let alpha = self.g.view(ba, [per, hk, tokens, seqs], nb);
        let beta = self.g.cont(beta);
        let beta = self.g.in_place(&[beta]);
        let alpha = self.g.cont_as(alpha, [hv, tokens, seqs, 1]);
        let bias = self.weight(layer, "ssm_dt.bias")?;
        let alpha = self.g.in_place(&[alpha, bias]);
        let alpha = self.g.in_place(&[alpha]);
        let a = self.weight(layer, "ssm_a")?;
        let gate = self.g.in_place(&[alpha, a]);
        let beta = self.g.reshape(beta, [1, hv, tokens, seqs]);
        let gate = self.g.reshape(gate, [1, hv, tokens, seqs]);

        let channels = inner + 2 * hk * dk;
        let kept = (conv - 1).saturating_mul(channels);
        let all = self.state_cache(kept);
        let last = self.states(all, states, |b, all, ids| b.g.get_rows(all, ids));
        let last = self.g.reshape(last, [conv - 1, channels, seqs, 1]);
        let turned = self.g.transpose(mixed);
        let joined = self.g.concat(last, turned, 0);
        self.keep_newest(all, joined, conv - 1, channels);

        let one = dv.saturating_mul(dv).saturating_mul(hv);
        let cache = self.state_cache(one);
        let state = self.states(cache, states, |b, all, ids| b.g.get_rows(all, ids));
        let state = self.g.reshape(state, [dv, dv, hv, seqs]);
        let kernel = self.weight(layer, "ssm_conv1d.weight")?;
        let y = self.g.fresh(Type::F32, [channels, tokens, seqs, 1], &[joined, kernel]);
        let y = self.g.in_place(&[y]);
        let row = 4 * (2 * dk * hk + dv * hv);
        let mut part = |d: u64, h: u64| self.g.view(y, [d, h, tokens, seqs], [4, 4 * d, row, row.saturating_mul(tokens)]);
        let (q, k, v) = (part(dk, hk), part(dk, hk), part(dv, hv));
        let mut unit = |x: Id| {
            let x = self.g.in_place(&[x]);
            self.g.in_place(&[x])
        };
        let (mut q, mut k) = (unit(q), unit(k));
        if hk != hv {
            let mut spread = |x: Id| {
                let x = self.g.reshape(x, [dk, 1, hk, tokens * seqs]);
                self.g.repeat(x, [dk, per, hk, tokens * seqs])
            };
            let (wide_q, wide_k) = (spread(q), spread(k));
            q = self.g.reshape(wide_q, [dk, hv, tokens, seqs]);
            k = self.g.reshape(wide_k, [dk, hv, tokens, seqs]);
        }
        let ne = [dv * hv, tokens * seqs + dv * seqs, 1, 1];
        let out = self.g.fresh(Type::F32, ne, &[q, k, v, gate, beta, state]);
        let plane = 4 * dv * hv;
        let result = self.g.view(out, [dv, hv, tokens, seqs], [4, 4 * dv, plane, plane * tokens]);
        let new = self.g.view(out, [dv, dv, hv, seqs], [4, 4 * dv, 4 * dv * dv, 4 * one]);
        let to = self.g.view(cache, [one, seqs, 1, 1], [4, 4 * one, 4 * one * seqs, 4 * one * seqs]);
        let copied = self.g.copy_into(new, to);
        self.g.expand(copied);

        let z = self.g.reshape(z, [dv, hv, tokens, seqs]);
        let normed = self.norm(layer, "ssm_norm", result, Norm::Rms);
        let z = self.g.in_place(&[z]);
        let out = self.g.in_place(&[normed, z]);
        let out = self.g.reshape(out, [dv * hv, tokens, seqs, 1]);
        let out = self.linear(layer, "ssm_out", out)?;
        let width = self.g.ne(out)[0];
        Ok(self.g.reshape(out, [width, tokens * seqs, 1, 1]))
    }
}
