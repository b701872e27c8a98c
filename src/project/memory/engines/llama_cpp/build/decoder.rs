//! Decoders of one shape: norm, attention or state, residual, norm, feed-forward or experts, residual.

use super::attention::{AttentionInputs, Extras};
use super::builder::Builder;
use super::mamba::StateInputs;
use crate::checkpoint::{KvKind, KvLayer};
use crate::families::graph::{Act, Decoder, HeadNorm, Norm, Order, Recurrent, Rope, SharedGate, Softcap};
use crate::project::memory::engines::llama_cpp::graph::{Id, Purpose, Type};

/// What every layer reads.
struct Inputs {
    positions: Id,
    attention: AttentionInputs,
    states: StateInputs,
    /// Temperature of the queries of layers without rotary positions (Llama 4).
    temperature: Option<Id>,
}

pub(super) fn build(b: &mut Builder<'_>, family: &Decoder) -> Result<(), String> {
    let family = &of_keys(b, *family);
    if family.parallel_without_ffn_norm && !b.has(0, "ffn_norm.weight") {
        return Err("the graph of a StableLM without a second norm is not known".to_owned());
    }
    let mut x = b.embedding()?;
    if family.scaled_embedding {
        b.g.now(Purpose::Residual);
        x = b.g.in_place(&[x]);
    }
    let inputs = Inputs {
        positions: b.positions(),
        states: b.state_inputs(),
        attention: b.attention_inputs(false),
        temperature: (family.head_norm == HeadNorm::Bare).then(|| b.g.input(Type::F32, [1, 1, b.setup.tokens, 1])),
    };
    let output_ids = b.output_ids();
    if family.learned_positions {
        b.g.now(Purpose::Residual);
        let table = b.global("position_embd.weight")?;
        let rows = b.g.get_rows(table, inputs.positions);
        x = b.g.in_place(&[x, rows]);
    }
    let layers = b.sheet.layers;
    for layer in 0..layers {
        let pick = (layer + 1 == layers && family.picks_in_block).then_some(output_ids);
        x = match family.order {
            Order::Sequential => b.block(layer, x, family, &inputs, pick)?,
            _ => b.parallel_block(layer, x, family, &inputs, pick)?,
        };
    }
    if !family.picks_in_block {
        // Every token's state is kept for draft heads; output rows are picked from it.
        b.g.keep(x);
        x = b.pick(x, output_ids);
    }
    let normed = b.output_norm(x, family.norm)?;
    b.head(normed, family.softcap_logits == Softcap::Always)
}

/// What a file's keys change in its family.
fn of_keys(b: &Builder<'_>, mut family: Decoder) -> Decoder {
    let set = |key: &str| b.sheet.number(key).is_some_and(|n| n != 0.0);
    if family.softcap_logits == Softcap::WithKey {
        family.softcap_logits = if set("final_logit_softcapping") { Softcap::Always } else { Softcap::Never };
    }
    // Granite uses this key as a switch for rotary positions.
    if family.rope_switch && b.sheet.number("rope.scaling.finetuned") == Some(0.0) {
        family.rope = Rope::None;
    }
    if family.parallel_by_key && set("use_parallel_residual") {
        family.order = Order::InputFirst;
    }
    family
}

impl Builder<'_> {
    /// Attention or state, then feed-forward; output rows are picked in between in the last layer.
    fn block(&mut self, layer: u64, x: Id, family: &Decoder, inputs: &Inputs, pick: Option<Id>) -> Result<Id, String> {
        let kind = self.kind(layer)?;
        self.g.now(Purpose::Residual);
        let mut residual = x;
        let normed = self.norm_if_there(layer, "attn_norm", x, family.norm);
        let mut x = match (kind.kind, family.recurrent) {
            (KvKind::Recurrent, Recurrent::Mamba1) => self.mamba1_layer(layer, normed, inputs.states)?,
            (KvKind::Recurrent, Recurrent::Mamba2) => self.mamba2_layer(layer, normed, inputs.states)?,
            (KvKind::Recurrent, Recurrent::ShortConvolution) => self.short_convolution(layer, normed, inputs.states)?,
            (KvKind::Recurrent, Recurrent::None) => return Err("a layer with a state in a family without".to_owned()),
            _ => self.attention(layer, normed, &kind, family, inputs)?,
        };
        self.g.now(Purpose::Residual);
        if let Some(ids) = pick {
            x = self.pick(x, ids);
            residual = self.pick(residual, ids);
        }
        if family.post_norms {
            x = self.norm(layer, "post_attention_norm", x, family.norm);
        }
        let middle = self.add_residual(x, residual, family.residual_first.0);
        let normed = self.norm_if_there(layer, family.ffn_norm, middle, family.norm);
        let mut out = self.mix(layer, normed, family)?;
        self.g.now(Purpose::Residual);
        if family.post_norms {
            out = self.norm(layer, "post_ffw_norm", out, family.norm);
        }
        Ok(self.add_residual(out, middle, family.residual_first.1))
    }

    /// Attention and feed-forward of the same input.
    fn parallel_block(&mut self, layer: u64, x: Id, family: &Decoder, inputs: &Inputs, pick: Option<Id>) -> Result<Id, String> {
        let kind = self.kind(layer)?;
        self.g.now(Purpose::Residual);
        let mut x = x;
        let mut normed = self.norm(layer, "attn_norm", x, family.norm);
        let second = self.has(layer, "attn_norm_2.weight");
        let source = if second { self.norm(layer, "attn_norm_2", x, family.norm) } else { normed };
        let mut attended = self.attention(layer, source, &kind, family, inputs)?;
        self.g.now(Purpose::Residual);
        let own_norm = self.has(layer, "ffn_norm.weight");
        if let Some(ids) = pick {
            attended = self.pick(attended, ids);
            x = self.pick(x, ids);
            if !own_norm {
                normed = self.pick(normed, ids);
            }
        }
        if own_norm {
            normed = self.norm(layer, "ffn_norm", x, family.norm);
        }
        let out = self.feed_forward(layer, "", normed, family.act)?;
        self.g.now(Purpose::Residual);
        let (first, last) = match family.order {
            Order::AttentionFirst => ([attended, out], x),
            Order::InputFirst => ([out, x], attended),
            _ => ([out, attended], x),
        };
        let sum = self.g.in_place(&first);
        Ok(self.g.in_place(&[sum, last]))
    }

    /// Adds the residual, scaled where the keys say so (Granite).
    fn add_residual(&mut self, x: Id, residual: Id, residual_first: bool) -> Id {
        let scaled = self.sheet.number("residual_scale").is_some_and(|n| n != 0.0);
        let x = if scaled { self.g.in_place(&[x]) } else { x };
        self.g.in_place(&if residual_first { [residual, x] } else { [x, residual] })
    }

    fn norm_if_there(&mut self, layer: u64, name: &str, x: Id, norm: Norm) -> Id {
        if self.has(layer, &format!("{name}.weight")) { self.norm(layer, name, x, norm) } else { x }
    }

    /// Experts where there is a router, else the feed-forward.
    fn mix(&mut self, layer: u64, x: Id, family: &Decoder) -> Result<Id, String> {
        if !self.has(layer, "ffn_gate_inp.weight") {
            return self.feed_forward(layer, "", x, family.act);
        }
        let mut routing = self.routing(family.gating, family.normalized_experts);
        routing.weighted_inputs = family.weighted_inputs;
        let routed = self.experts(layer, x, routing)?;
        self.with_shared(layer, x, routed, family.shared)
    }

    fn attention(&mut self, layer: u64, x: Id, kind: &KvLayer, family: &Decoder, inputs: &Inputs) -> Result<Id, String> {
        let heads = self.sheet.need_at("attention.head_count", layer)?;
        let windows = self.sheet.kinds.iter().any(|k| matches!(k.kind, KvKind::Sliding | KvKind::Chunked));
        let rope = match family.rope {
            Rope::All => true,
            Rope::None => false,
            Rope::Windowed => !windows || kind.kind != KvKind::Full,
            Rope::ButEvery(n) => !(layer + 1).is_multiple_of(n),
        };
        let factors = self.rope_factors(layer);
        let (q, k, v) = self.qkv(layer, x, heads, kind, family.head_norm == HeadNorm::Flat)?;
        let mut one = |x: Id, name: &str| {
            let normed = family.head_norm == HeadNorm::Heads && self.has(layer, &format!("{name}.weight"));
            let x = if normed { self.norm(layer, name, x, family.norm) } else { x };
            if rope { self.rope(x, inputs.positions, factors) } else { x }
        };
        let (mut q, mut k) = (one(q, "attn_q_norm"), one(k, "attn_k_norm"));
        // Of Llama 4's sizes the one with 128 experts has no norms.
        let bare = family.head_norm == HeadNorm::Bare;
        if bare && rope && self.sheet.count("expert_count") != Some(128) {
            (q, k) = (self.g.in_place(&[q]), self.g.in_place(&[k]));
        }
        if let (Some(temperature), false) = (inputs.temperature, rope) {
            q = self.g.in_place(&[q, temperature]);
        }
        if family.scaled_queries {
            q = self.g.in_place(&[q]);
        }
        let extras =
            Extras { output: Some("attn_output"), sinks: family.sinks, softcap: family.softcap_scores, ..Extras::default() };
        self.attend(layer, &inputs.attention, kind, q, Some((k, v)), extras)
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
    pub(super) fn with_shared(&mut self, layer: u64, x: Id, routed: Id, gate: SharedGate) -> Result<Id, String> {
        if gate == SharedGate::Absent || !self.has(layer, "ffn_up_shexp.weight") {
            return Ok(routed);
        }
        let gated = self.has(layer, "ffn_gate_inp_shexp.weight");
        if gate == SharedGate::Ratio && gated {
            let open = self.linear(layer, "ffn_gate_inp_shexp", x)?;
            let acted = self.g.in_place(&[open]);
            let ratio = self.g.in_place(&[acted, open]);
            let shared = self.feed_forward(layer, "_shexp", x, Act::Unit)?;
            let shared = self.g.in_place(&[shared, ratio]);
            return Ok(self.g.in_place(&[routed, shared]));
        }
        let mut shared = self.feed_forward(layer, "_shexp", x, Act::Unit)?;
        if gated {
            let open = self.linear(layer, "ffn_gate_inp_shexp", x)?;
            let open = self.g.in_place(&[open]);
            shared = self.g.in_place(&[shared, open]);
        }
        Ok(self.g.in_place(&[routed, shared]))
    }
}
