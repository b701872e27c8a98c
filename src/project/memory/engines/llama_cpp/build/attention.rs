//! Attention: the inputs it reads, the cache it writes, the scores.

use super::builder::Builder;
use crate::checkpoint::{KvKind, KvLayer};
use crate::families::graph::Norm;
use crate::project::memory::engines::llama_cpp::graph::{Id, Purpose, Type};

/// `llm_graph_input_attn_kv`, of one cache.
#[derive(Debug, Clone, Copy)]
pub(super) struct CacheInputs {
    k_at: Id,
    v_at: Id,
    mask: Id,
    cells: u64,
    /// Rotations of quantized keys and values.
    k_rotation: Option<Id>,
    v_rotation: Option<Id>,
}

/// The caches of a model: the one of every token, and the one of windows.
#[derive(Debug, Clone, Copy)]
pub(super) struct AttentionInputs {
    full: CacheInputs,
    windowed: Option<CacheInputs>,
}

/// What a family's attention has besides queries, keys and values.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Extras<'n> {
    /// Name of the output projection; `None` where the caller applies it.
    pub(super) output: Option<&'n str>,
    /// One learned score a head.
    pub(super) sinks: bool,
    /// Scores are bounded by a tanh.
    pub(super) softcap: bool,
    /// Decompression of the latent values.
    pub(super) v_mla: Option<Id>,
}

impl Builder<'_> {
    /// `build_attn_inp_kv` and `build_attn_inp_kv_iswa`; with `latent` (`build_attn_inp_k`) there are no values to write.
    pub(super) fn attention_inputs(&mut self, latent: bool) -> AttentionInputs {
        let windowed = |k: &KvLayer| matches!(k.kind, KvKind::Sliding | KvKind::Chunked);
        let attends = |k: &&KvLayer| matches!(k.kind, KvKind::Full | KvKind::Sliding | KvKind::Chunked | KvKind::Mla);
        let kinds = self.sheet.kinds;
        let widest = kinds.iter().filter(attends).map(|k| k.kv_heads.saturating_mul(k.head_dim_v)).max().unwrap_or(0);
        let has_windows = kinds.iter().any(windowed);
        let full: Vec<&KvLayer> = kinds.iter().filter(attends).filter(|k| !windowed(k)).collect();
        let full = self.cache_inputs(self.setup.cells, &full, widest, latent);
        let windowed = has_windows.then(|| {
            let kinds: Vec<&KvLayer> = kinds.iter().filter(|k| windowed(k)).collect();
            self.cache_inputs(self.setup.windowed_cells, &kinds, widest, latent)
        });
        // The rotations are made after both caches' other inputs, which changes nothing: inputs are laid out as they are met.
        AttentionInputs { full, windowed }
    }

    fn cache_inputs(&mut self, cells: u64, kinds: &[&KvLayer], widest: u64, latent: bool) -> CacheInputs {
        let setup = self.setup;
        let k_at = self.g.input(Type::I64, [setup.tokens, 1, 1, 1]);
        let v_rows = if setup.flash || latent { setup.tokens } else { setup.tokens.saturating_mul(widest) };
        let v_at = self.g.input(Type::I64, [v_rows, 1, 1, 1]);
        let ty = if setup.flash { Type::F16 } else { Type::F32 };
        let mask = self.g.input(ty, [cells, setup.tokens / setup.streams, 1, setup.streams]);
        // Keys and values are rotated where they are quantized and all heads have one width, a multiple of 64.
        let one = |width: fn(&KvLayer) -> u64| {
            let first = kinds.first().map(|k| width(k))?;
            (first > 0 && first % 64 == 0 && kinds.iter().all(|k| width(k) == first)).then_some(first)
        };
        let k_rotation = one(|k| k.head_dim_k).filter(|_| setup.quantized_k).map(|width| {
            let mut n = 64;
            while width % (n * 2) == 0 {
                n *= 2;
            }
            self.g.input(Type::F32, [n, n, 1, 1])
        });
        let v_rotation =
            one(|k| k.head_dim_v).filter(|_| setup.quantized_v && !latent).map(|_| self.g.input(Type::F32, [64, 64, 1, 1]));
        CacheInputs { k_at, v_at, mask, cells, k_rotation, v_rotation }
    }

    /// `llama_mul_mat_hadamard`.
    fn rotate(&mut self, x: Id, rotation: Id) -> Id {
        let (n, ne) = (self.g.ne(rotation)[0], self.g.ne(x));
        let flat = [n, self.g.elements(x) / n, 1, 1];
        let y = if self.g.is_contiguous(x) { self.g.reshape(x, flat) } else { self.g.cont_as(x, flat) };
        let y = self.g.mul_mat(rotation, y);
        self.g.reshape(y, ne)
    }

    /// `build_qkv`: one fused product cut in three, or three products. Widths of a head, heads of queries and of keys and values.
    /// With `flat`, the norms of all heads at once come before they are told apart.
    pub(super) fn qkv(&mut self, layer: u64, x: Id, heads: u64, kind: &KvLayer, flat: bool) -> Result<(Id, Id, Id), String> {
        self.g.now(Purpose::Attention);
        let (dk, dv, kv, tokens) = (kind.head_dim_k, kind.head_dim_v, kind.kv_heads, self.setup.tokens);
        let clamp = self.sheet.number("attention.clamp_kqv").is_some_and(|n| n > 0.0);
        if self.has(layer, "attn_qkv.weight") {
            let mut qkv = self.linear(layer, "attn_qkv", x)?;
            if clamp {
                qkv = self.g.in_place(&[qkv]);
            }
            let row = self.g.nb(qkv)[1];
            let mut part = |d: u64, n: u64| self.g.view(qkv, [d, n, tokens, 1], [4, 4 * d, row, row.saturating_mul(tokens)]);
            return Ok((part(dk, heads), part(dk, kv), part(dv, kv)));
        }
        let mut one = |name: &str, d: u64, n: u64| {
            let mut y = self.linear(layer, name, x)?;
            if clamp {
                y = self.g.in_place(&[y]);
            }
            let norm = format!("{name}_norm");
            if flat && self.has(layer, &format!("{norm}.weight")) {
                y = self.norm(layer, &norm, y, Norm::Rms);
            }
            Ok::<_, String>(self.g.reshape(y, [d, n, tokens, 1]))
        };
        // The three products are made in this order; the graph takes them as they are needed.
        let q = one("attn_q", dk, heads)?;
        let k = one("attn_k", dk, kv)?;
        let v = one("attn_v", dv, kv)?;
        Ok((q, k, v))
    }

    /// `ggml_rope_ext`; `factors` is the name of a tensor that may be there.
    pub(super) fn rope(&mut self, x: Id, positions: Id, factors: Option<Id>) -> Id {
        match factors {
            Some(factors) => self.g.in_place(&[x, positions, factors]),
            None => self.g.in_place(&[x, positions]),
        }
    }

    /// `build_attn` with a cache: writes keys and values (`None` where the layer uses another's), reads the whole cache, attends.
    pub(super) fn attend(
        &mut self,
        layer: u64,
        inputs: &AttentionInputs,
        kind: &KvLayer,
        q: Id,
        kv: Option<(Id, Id)>,
        extras: Extras<'_>,
    ) -> Result<Id, String> {
        self.g.now(Purpose::Attention);
        let windowed = matches!(kind.kind, KvKind::Sliding | KvKind::Chunked);
        let cache = match inputs.windowed {
            Some(cache) if windowed => cache,
            _ => inputs.full,
        };
        let latent = kind.kind == KvKind::Mla;
        let (mut q, mut kv) = (q, kv);
        if let Some(rotation) = cache.k_rotation.filter(|_| !latent) {
            q = self.rotate(q, rotation);
            kv = kv.map(|(k, v)| (self.rotate(k, rotation), v));
        }
        if let Some(rotation) = cache.v_rotation {
            kv = kv.map(|(k, v)| (k, self.rotate(v, rotation)));
        }
        self.g.expand(q);
        if let Some((k, v)) = kv {
            // With windows, keys are taken first.
            let order = if inputs.windowed.is_some() { [k, v] } else { [v, k] };
            order.into_iter().for_each(|x| self.g.expand(x));
        }
        let setup = self.setup;
        let (dk, dv, heads) = (kind.head_dim_k, kind.head_dim_v, kind.kv_heads);
        let k_cache = self.g.external(setup.type_k, [dk * heads, cache.cells, setup.streams, 1]);
        let widest = self.v_width(dv * heads);
        let v_cache = self.g.external(setup.type_v, [widest, cache.cells, setup.streams, 1]);
        if let Some((k, v)) = kv {
            let written = self.write_k(k_cache, k, cache.k_at);
            self.g.expand(written);
            if !latent {
                let written = self.write_v(v_cache, v, cache.v_at);
                self.g.expand(written);
            }
        }
        let (row_k, cells) = (setup.type_k.row(dk * heads), cache.cells);
        let k =
            self.g.view(k_cache, [dk, heads, cells, setup.streams], [0, setup.type_k.row(dk), row_k, row_k.saturating_mul(cells)]);
        let v = if latent {
            let rank = kv.map_or(0, |(_, v)| self.g.ne(v)[0]);
            let nb = self.g.nb(k);
            self.g.view(k, [rank, heads, cells, setup.streams], nb)
        } else if setup.flash {
            let row = setup.type_v.row(widest);
            self.g.view(v_cache, [dv, heads, cells, setup.streams], [0, setup.type_v.row(dv), row, row.saturating_mul(cells)])
        } else {
            let column = setup.type_v.row(cells);
            let nb = [0, column.saturating_mul(dv), column, column.saturating_mul(widest)];
            self.g.view(v_cache, [cells, heads, dv, setup.streams], nb)
        };
        let mut out = self.scores(layer, q, k, v, cache.mask, &extras)?;
        if let Some(rotation) = cache.v_rotation {
            out = self.rotate(out, rotation);
        }
        match extras.output {
            Some(name) => self.linear(layer, name, out),
            None => Ok(out),
        }
    }

    /// Without flash attention the cache of values is as wide as the widest layer's.
    fn v_width(&self, own: u64) -> u64 {
        let all = self.sheet.kinds.iter().map(|k| k.kv_heads.saturating_mul(k.head_dim_v)).max().unwrap_or(0);
        if self.setup.flash { own } else { own.max(all) }
    }

    fn write_k(&mut self, cache: Id, k: Id, at: Id) -> Id {
        let (ne, nb) = (self.g.ne(k), self.g.nb(k));
        let rows =
            self.g.view(k, [ne[0] * ne[1], ne[2], 1, 1], [0, nb[2], nb[2].saturating_mul(ne[2]), nb[2].saturating_mul(ne[2])]);
        let cache = self.all_streams(cache);
        self.g.set_rows(cache, rows, at)
    }

    fn write_v(&mut self, cache: Id, v: Id, at: Id) -> Id {
        if self.setup.flash {
            return self.write_k(cache, v, at);
        }
        let (ne, nb) = (self.g.ne(v), self.g.nb(v));
        let width = ne[0] * ne[1];
        let rows = [width, ne[2], 1, 1];
        let mut v = if nb[2] == 4 * width { self.g.reshape(v, rows) } else { self.g.cont_as(v, rows) };
        let wide = self.g.ne(cache)[0];
        if width < wide {
            v = self.g.pad_rows(v, wide - width);
        }
        let (all, n) = (self.g.elements(cache), self.g.elements(v));
        let cache = self.g.reshape(cache, [1, all, 1, 1]);
        let v = self.g.reshape(v, [1, n, 1, 1]);
        self.g.set_rows(cache, v, at)
    }

    fn all_streams(&mut self, cache: Id) -> Id {
        let ne = self.g.ne(cache);
        if ne[2] > 1 { self.g.reshape(cache, [ne[0], ne[1] * ne[2], 1, 1]) } else { cache }
    }

    /// `build_attn_mha`.
    fn scores(&mut self, layer: u64, q: Id, k: Id, v: Id, mask: Id, extras: &Extras<'_>) -> Result<Id, String> {
        let streams = self.g.ne(k)[3];
        let transposed = self.g.nb(v)[1] > self.g.nb(v)[2];
        let (ne, nb) = (self.g.ne(q), self.g.nb(q));
        let per_stream = ne[2] / streams;
        let q = self.g.view(q, [ne[0], ne[1], per_stream, streams], [0, nb[1], nb[2], nb[2].saturating_mul(per_stream)]);
        let q = self.g.permute(q, [0, 2, 1, 3]);
        let mut k = self.g.permute(k, [0, 2, 1, 3]);
        let mut v = self.g.permute(v, [0, 2, 1, 3]);
        let sinks = if extras.sinks { Some(self.weight(layer, "attn_sinks.weight")?) } else { None };
        let out = if self.setup.flash {
            if transposed {
                v = self.g.transpose(v);
            }
            for x in [&mut k, &mut v] {
                if self.g.is_f32(*x) {
                    *x = self.g.cast(*x, Type::F16);
                }
            }
            let mut out = self.g.flash_attention(q, k, v, mask, sinks);
            if let Some(decompress) = extras.v_mla {
                out = self.g.permute(out, [0, 2, 1, 3]);
                out = self.g.mul_mat(decompress, out);
                out = self.g.permute(out, [0, 2, 1, 3]);
                out = self.g.cont(out);
            }
            let ne = self.g.ne(out);
            self.g.reshape(out, [ne[0].saturating_mul(ne[1]), ne[2] * ne[3], 1, 1])
        } else {
            self.g.now(Purpose::Scores);
            let mut kq = self.g.mul_mat(k, q);
            if extras.softcap {
                for _ in 0..3 {
                    kq = self.g.in_place(&[kq]);
                }
            }
            kq = match sinks {
                Some(sinks) => self.g.in_place(&[kq, mask, sinks]),
                None => self.g.in_place(&[kq, mask]),
            };
            self.g.now(Purpose::Attention);
            if !transposed {
                let turned = self.g.transpose(v);
                v = self.g.cont(turned);
            }
            let mut out = self.g.mul_mat(v, kq);
            if let Some(decompress) = extras.v_mla {
                out = self.g.mul_mat(decompress, out);
            }
            let turned = self.g.permute(out, [0, 2, 1, 3]);
            let ne = self.g.ne(turned);
            self.g.cont_as(turned, [ne[0].saturating_mul(ne[1]), ne[2] * ne[3], 1, 1])
        };
        self.g.expand(out);
        Ok(out)
    }
}
