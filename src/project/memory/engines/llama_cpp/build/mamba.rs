//! State space layers, alone and beside attention.
//!
//! Source: `models/{mamba,mamba-base,falcon-h1,nemotron-h}.cpp`.

use super::attention::Extras;
use super::builder::Builder;
use crate::checkpoint::KvKind;
use crate::families::graph::{Act, Norm};
use crate::project::memory::engines::llama_cpp::graph::{Id, Purpose, Type};

/// `llm_graph_input_rs`: which states are read and written.
#[derive(Debug, Clone, Copy)]
pub(super) struct StateInputs {
    main: Id,
    extra: Id,
}

/// Sizes of a state space layer.
#[derive(Debug, Clone, Copy)]
struct Sizes {
    conv: u64,
    inner: u64,
    state: u64,
    groups: u64,
    heads: u64,
}

/// `second`: Mamba-2 in every layer, else Mamba-1.
pub(super) fn mamba(b: &mut Builder<'_>, second: bool) -> Result<(), String> {
    let mut x = b.embedding()?;
    let states = b.state_inputs();
    let output_ids = b.output_ids();
    let layers = b.sheet.layers;
    for layer in 0..layers {
        b.g.now(Purpose::Residual);
        let normed = b.norm(layer, "attn_norm", x, Norm::Rms);
        let mut out = if second { b.mamba2_layer(layer, normed, states)? } else { b.mamba1_layer(layer, normed, states)? };
        b.g.now(Purpose::Residual);
        if layer + 1 == layers {
            out = b.pick(out, output_ids);
            x = b.pick(x, output_ids);
        }
        x = b.g.in_place(&[out, x]);
    }
    let normed = b.output_norm(x, Norm::Rms)?;
    b.head(normed, false)
}

pub(super) fn falcon_h1(b: &mut Builder<'_>) -> Result<(), String> {
    let mut x = b.embedding()?;
    let positions = b.positions();
    let states = b.state_inputs();
    let inputs = b.attention_inputs(false);
    let output_ids = b.output_ids();
    let layers = b.sheet.layers;
    for layer in 0..layers {
        // Attention and state of a layer follow each other.
        let kind = b.kind(2 * layer)?;
        b.g.now(Purpose::Residual);
        let normed = b.norm(layer, "attn_norm", x, Norm::Rms);
        let heads = b.sheet.need_at("attention.head_count", layer)?;
        let (q, k, v) = b.qkv(layer, normed, heads, &kind, false)?;
        let q = b.rope(q, positions, None);
        let k = b.rope(k, positions, None);
        let extras = Extras { output: Some("attn_output"), ..Extras::default() };
        let attended = b.attend(layer, &inputs, &kind, q, Some((k, v)), extras)?;
        b.g.now(Purpose::Residual);
        let normed = b.norm(layer, "attn_norm", x, Norm::Rms);
        let state = b.mamba2_layer(layer, normed, states)?;
        b.g.now(Purpose::Residual);
        let sum = b.g.in_place(&[attended, state]);
        let mut middle = b.g.in_place(&[sum, x]);
        if layer + 1 == layers {
            middle = b.pick(middle, output_ids);
        }
        let normed = b.norm(layer, "ffn_norm", middle, Norm::Rms);
        let out = b.feed_forward(layer, "", normed, Act::Unit)?;
        b.g.now(Purpose::Residual);
        x = b.g.in_place(&[out, middle]);
    }
    let normed = b.output_norm(x, Norm::Rms)?;
    b.head(normed, false)
}

/// A layer is one thing only: a state, attention or a feed-forward.
pub(super) fn nemotron_h(b: &mut Builder<'_>) -> Result<(), String> {
    let mut x = b.embedding()?;
    let states = b.state_inputs();
    let inputs = b.attention_inputs(false);
    let output_ids = b.output_ids();
    for layer in 0..b.sheet.layers {
        let kind = b.kind(layer)?;
        b.g.now(Purpose::Residual);
        let normed = b.norm(layer, "attn_norm", x, Norm::Rms);
        let out = match kind.kind {
            KvKind::Recurrent => b.mamba2_layer(layer, normed, states)?,
            KvKind::None if b.has(layer, "ffn_gate_inp.weight") => {
                return Err("the experts of Nemotron-H are not laid out".to_owned());
            }
            KvKind::None => b.feed_forward(layer, "", normed, Act::Unit)?,
            _ => {
                let heads = b.sheet.need_at("attention.head_count", layer)?;
                let (q, k, v) = b.qkv(layer, normed, heads, &kind, false)?;
                let extras = Extras { output: Some("attn_output"), ..Extras::default() };
                b.attend(layer, &inputs, &kind, q, Some((k, v)), extras)?
            }
        };
        b.g.now(Purpose::Residual);
        x = b.g.in_place(&[out, x]);
    }
    // The norm of every token is kept; output rows are picked from it.
    let normed = b.output_norm(x, Norm::Rms)?;
    b.g.keep(normed);
    let picked = b.pick(normed, output_ids);
    b.head(picked, false)
}

impl Builder<'_> {
    /// `build_rs_inp`.
    pub(super) fn state_inputs(&mut self) -> StateInputs {
        let seqs = self.setup.seqs;
        let all = self.g.input(Type::I32, [seqs, 1, 1, 1]);
        let main = self.g.view(all, [seqs, 1, 1, 1], [4, 4 * seqs, 4 * seqs, 4 * seqs]);
        let extra = self.g.view(all, [0, 1, 1, 1], [4, 0, 0, 0]);
        StateInputs { main, extra }
    }

    /// `build_rs`: `read` takes the states of the sequences out of `all`; states that nothing changes are copied back.
    pub(super) fn states(&mut self, all: Id, inputs: StateInputs, read: impl FnOnce(&mut Self, Id, Id) -> Id) -> Id {
        let out = read(self, all, inputs.main);
        self.g.expand(out);
        let extra = self.g.get_rows(all, inputs.extra);
        let ne = self.g.ne(all);
        let to = self.g.view(all, [ne[0], 0, 1, 1], [4, 4 * ne[0], 0, 0]);
        let copied = self.g.copy_into(extra, to);
        self.g.expand(copied);
        out
    }

    /// A cache of states, one a sequence.
    pub(super) fn state_cache(&mut self, elements: u64) -> Id {
        self.g.external(Type::F32, [elements, self.setup.seqs, 1, 1])
    }

    /// Copies the newest columns back into the cache.
    pub(super) fn keep_newest(&mut self, all: Id, joined: Id, columns: u64, channels: u64) {
        let nb = self.g.nb(joined);
        let newest = self.g.view(joined, [columns, channels, self.setup.seqs, 1], nb);
        let copied = self.g.copy_into(newest, all);
        self.g.expand(copied);
    }

    fn sizes(&self) -> Result<Sizes, String> {
        let sizes = Sizes {
            conv: self.sheet.need("ssm.conv_kernel")?,
            inner: self.sheet.need("ssm.inner_size")?,
            state: self.sheet.need("ssm.state_size")?,
            groups: self.sheet.count("ssm.group_count").unwrap_or(0),
            heads: self.sheet.need("ssm.time_step_rank")?,
        };
        if sizes.conv == 0 || sizes.heads == 0 {
            return Err("the `ssm` keys are out of range".to_owned());
        }
        Ok(sizes)
    }

    /// `build_mamba_layer`.
    pub(super) fn mamba1_layer(&mut self, layer: u64, x: Id, states: StateInputs) -> Result<Id, String> {
        self.g.now(Purpose::State);
        let Sizes { conv, inner, state, heads: rank, .. } = self.sizes()?;
        let (seqs, tokens) = (self.setup.seqs, self.setup.seq_tokens());
        // The states are read before the new tokens are projected.
        let kept = (conv - 1).saturating_mul(inner);
        let all = self.state_cache(kept);
        let last = self.states(all, states, |b, all, ids| b.g.get_rows(all, ids));
        let last = self.g.reshape(last, [conv - 1, inner, seqs, 1]);
        let width = self.g.ne(x)[0];
        let x = self.g.reshape(x, [width, tokens, seqs, 1]);
        let xz = self.linear(layer, "ssm_in", x)?;
        let nb = self.g.nb(xz);
        let x = self.g.view(xz, [inner, tokens, seqs, 1], nb);
        let z = self.g.view(xz, [inner, tokens, seqs, 1], nb);
        let turned = self.g.transpose(x);
        let joined = self.g.concat(last, turned, 0);
        self.keep_newest(all, joined, conv - 1, inner);
        let kernel = self.weight(layer, "ssm_conv1d.weight")?;
        let y = self.g.fresh(Type::F32, [inner, tokens, seqs, 1], &[joined, kernel]);
        let bias = self.weight(layer, "ssm_conv1d.bias")?;
        let y = self.g.in_place(&[y, bias]);
        let x = self.g.in_place(&[y]);
        let db = self.linear(layer, "ssm_x", x)?;
        let nb = self.g.nb(db);
        let mut dt = self.g.view(db, [rank, tokens, seqs, 1], nb);
        let mut b = self.g.view(db, [state, 1, tokens, seqs], [4, 4 * state, nb[1], nb[2]]);
        let mut c = self.g.view(db, [state, 1, tokens, seqs], [4, 4 * state, nb[1], nb[2]]);
        let norms = self.sheet.number("ssm.dt_b_c_rms").is_some_and(|n| n != 0.0);
        if norms || self.has(layer, "ssm_dt_norm.weight") {
            dt = self.norm(layer, "ssm_dt_norm", dt, Norm::Rms);
            b = self.norm(layer, "ssm_b_norm", b, Norm::Rms);
            c = self.norm(layer, "ssm_c_norm", c, Norm::Rms);
        } else {
            dt = self.g.cont(dt);
        }
        let dt = self.linear(layer, "ssm_dt", dt)?;
        let flat = x;
        let x = self.g.reshape(x, [1, inner, tokens, seqs]);
        let y = self.scan(layer, states, [state, 1, inner], [x, dt, b, c])?;
        let ne = [inner, tokens, seqs, 1];
        let y = self.g.view(y, ne, [4, 4 * inner, 4 * inner * tokens, 4 * inner * tokens * seqs]);
        let d = self.weight(layer, "ssm_d")?;
        let skip = self.g.in_place(&[flat, d]);
        let y = self.g.in_place(&[y, skip]);
        let z = self.g.cont(z);
        let y = self.g.glu(z, Some(y));
        let out = self.linear(layer, "ssm_out", y)?;
        let width = self.g.ne(out)[0];
        Ok(self.g.reshape(out, [width, tokens * seqs, 1, 1]))
    }

    /// `ggml_ssm_scan`: outputs and new states in one tensor; the new states are copied back.
    fn scan(&mut self, layer: u64, states: StateInputs, dims: [u64; 3], [x, dt, b, c]: [Id; 4]) -> Result<Id, String> {
        let one = dims.iter().fold(1u64, |n, &d| n.saturating_mul(d));
        let all = self.state_cache(one);
        let a = self.weight(layer, "ssm_a")?;
        let seqs = self.setup.seqs;
        let y = self.states(all, states, |s, all, ids| {
            let shaped = s.g.reshape(all, [dims[0], dims[1], dims[2], seqs]);
            let n = s.g.elements(x).saturating_add(one.saturating_mul(seqs));
            s.g.fresh(Type::F32, [n, 1, 1, 1], &[shaped, x, dt, a, b, c, ids])
        });
        let n = one.saturating_mul(seqs);
        let new = self.g.view(y, [n, 1, 1, 1], [4, 4 * n, 4 * n, 4 * n]);
        let to = self.g.view(all, [n, 1, 1, 1], [4, 4 * n, 4 * n, 4 * n]);
        let copied = self.g.copy_into(new, to);
        self.g.expand(copied);
        Ok(y)
    }

    /// `build_mamba2_layer`.
    pub(super) fn mamba2_layer(&mut self, layer: u64, x: Id, states: StateInputs) -> Result<Id, String> {
        self.g.now(Purpose::State);
        let Sizes { conv, inner, state, groups, heads } = self.sizes()?;
        let (seqs, tokens) = (self.setup.seqs, self.setup.seq_tokens());
        if inner % heads != 0 || groups == 0 || inner % groups != 0 {
            return Err(format!("an inner size of {inner} does not divide into {heads} heads and {groups} groups"));
        }
        let (head, channels) = (inner / heads, inner + 2 * groups * state);
        let kept = (conv - 1).saturating_mul(channels);
        let all = self.state_cache(kept);
        let last = self.states(all, states, |b, all, ids| b.g.get_rows(all, ids));
        let last = self.g.reshape(last, [conv - 1, channels, seqs, 1]);
        let projected = self.linear(layer, "ssm_in", x)?;
        let width = self.g.ne(projected)[0];
        let projected = self.g.reshape(projected, [width, tokens, seqs, 1]);
        let nb = self.g.nb(projected);
        let z = self.g.view(projected, [head, heads, tokens, seqs], [4, 4 * head, nb[1], nb[2]]);
        let xbc = self.g.view(projected, [channels, tokens, seqs, 1], nb);
        let dt = self.g.view(projected, [heads, tokens, seqs, 1], nb);
        let turned = self.g.transpose(xbc);
        let joined = self.g.concat(last, turned, 0);
        self.keep_newest(all, joined, conv - 1, channels);
        let kernel = self.weight(layer, "ssm_conv1d.weight")?;
        let mut xbc = self.g.fresh(Type::F32, [channels, tokens, seqs, 1], &[joined, kernel]);
        if let Some(bias) = self.maybe(layer, "ssm_conv1d.bias") {
            xbc = self.g.in_place(&[xbc, bias]);
        }
        let xbc = self.g.in_place(&[xbc]);
        let nb = self.g.nb(xbc);
        let x = self.g.view(xbc, [head, heads, tokens, seqs], [4, 4 * head, nb[1], nb[2]]);
        let b = self.g.view(xbc, [state, groups, tokens, seqs], [4, 4 * state, nb[1], nb[2]]);
        let c = self.g.view(xbc, [state, groups, tokens, seqs], [4, 4 * state, nb[1], nb[2]]);
        let dt = self.g.cont(dt);
        let bias = self.weight(layer, "ssm_dt.bias")?;
        let dt = self.g.in_place(&[dt, bias]);
        let y = self.scan(layer, states, [state, head, heads], [x, dt, b, c])?;
        let nb = self.g.nb(x);
        let y = self.g.view(y, [head, heads, tokens, seqs], [4, nb[1], heads * nb[1], tokens * heads * nb[1]]);
        let d = self.weight(layer, "ssm_d")?;
        let skip = self.g.in_place(&[x, d]);
        let y = self.g.in_place(&[y, skip]);
        let z = self.g.cont(z);
        let mut y = self.g.glu(z, Some(y));
        if self.has(layer, "ssm_norm.weight") {
            y = self.g.reshape(y, [inner / groups, groups, tokens, seqs]);
            y = self.norm(layer, "ssm_norm", y, Norm::Rms);
        }
        let y = self.g.reshape(y, [inner, tokens * seqs, 1, 1]);
        self.linear(layer, "ssm_out", y)
    }
}
