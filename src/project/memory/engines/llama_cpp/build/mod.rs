//! The graphs that llama.cpp reserves its compute buffer for, built as its own sources build them.
//!
//! Source: `llama-graph.cpp` and `models/*.cpp` of llama.cpp commit 0c1e570. Names of steps are those of the sources; every graph was laid
//! out and compared with what that build reserved (`fixtures/memory`, `docs/memory-model.md`).

mod attention;
mod decoder;
mod delta_net;
mod experts;
mod feed_forward;
mod latent;
mod mamba;
mod norm;
mod short_convolution;

use super::graph::{Graph, Id, Purpose, Type};
use super::sheet::Sheet;
use crate::checkpoint::KvLayer;
use crate::families;
use crate::families::graph::Graph as Known;
use crate::families::graph::{DECODER, Decoder, Norm};

/// What the context was made with, after llama.cpp's rounding.
#[derive(Debug, Clone, Copy)]
pub(super) struct Setup {
    /// Tokens of a physical batch, a multiple of `seqs`.
    pub(super) tokens: u64,
    /// Sequences.
    pub(super) seqs: u64,
    /// Rows that give logits.
    pub(super) outputs: u64,
    /// Flash attention.
    pub(super) flash: bool,
    /// Caches side by side.
    pub(super) streams: u64,
    /// Cells of a cache that keeps every token.
    pub(super) cells: u64,
    /// Cells of a cache that keeps a window.
    pub(super) windowed_cells: u64,
    /// Type of cached keys.
    pub(super) type_k: Type,
    /// Type of cached values.
    pub(super) type_v: Type,
    /// Whether cached keys are a block quant.
    pub(super) quantized_k: bool,
    /// Whether cached values are a block quant.
    pub(super) quantized_v: bool,
}

impl Setup {
    /// Tokens of one sequence in a batch.
    fn seq_tokens(&self) -> u64 {
        self.tokens / self.seqs.max(1)
    }
}

/// A graph in the making.
pub(super) struct Builder<'a> {
    pub(super) g: Graph,
    sheet: &'a Sheet<'a>,
    setup: Setup,
}

/// The graph of a model.
///
/// # Errors
/// What is missing.
pub(super) fn graph(sheet: &Sheet<'_>, setup: Setup) -> Result<Graph, String> {
    let mut builder = Builder { g: Graph::default(), sheet, setup };
    match families::by_gguf(sheet.arch).map_or(Known::Unknown, |row| row.graph) {
        Known::Unknown => return Err(format!("the graph of `{}` is not known", crate::text::escape(sheet.arch))),
        Known::Decoder(traits) => decoder::build(&mut builder, &traits)?,
        Known::DeepSeek2 => latent::deepseek2(&mut builder)?,
        Known::Mamba => mamba::mamba(&mut builder, false)?,
        Known::Mamba2 => mamba::mamba(&mut builder, true)?,
        Known::FalconH1 => mamba::falcon_h1(&mut builder)?,
        Known::Qwen3Next => delta_net::qwen3next(&mut builder)?,
        Known::NemotronH => mamba::nemotron_h(&mut builder)?,
    }
    finished(builder)
}

/// A plain decoder's graph of the same tensors, for a family whose own is not known.
///
/// # Errors
/// What is missing.
pub(super) fn similar(sheet: &Sheet<'_>, setup: Setup) -> Result<Graph, String> {
    let norm = if sheet.shape("output_norm.bias").is_some() { Norm::Layer } else { Norm::Rms };
    let mut builder = Builder { g: Graph::default(), sheet, setup };
    // A block of which half is known to run otherwise is not similar.
    let parallel_without_ffn_norm = match families::by_gguf(sheet.arch).map(|row| row.graph) {
        Some(Known::Decoder(traits)) => traits.parallel_without_ffn_norm,
        _ => false,
    };
    decoder::build(&mut builder, &Decoder { norm, parallel_without_ffn_norm, ..DECODER })?;
    finished(builder)
}

fn finished(builder: Builder<'_>) -> Result<Graph, String> {
    match builder.g.broken() {
        Some(reason) => Err(reason.to_owned()),
        None => Ok(builder.g),
    }
}

impl Builder<'_> {
    /// The name of a tensor of a block.
    fn name(layer: u64, name: &str) -> String {
        format!("blk.{layer}.{name}")
    }

    fn has(&self, layer: u64, name: &str) -> bool {
        self.sheet.shape(&Self::name(layer, name)).is_some()
    }

    /// A weight of a block that may be absent.
    fn maybe(&mut self, layer: u64, name: &str) -> Option<Id> {
        let ne = self.sheet.shape(&Self::name(layer, name))?;
        Some(self.g.external(Type::F32, ne))
    }

    /// # Errors
    /// The name of the tensor that is missing.
    fn weight(&mut self, layer: u64, name: &str) -> Result<Id, String> {
        self.maybe(layer, name).ok_or_else(|| format!("tensor `{}` is missing", Self::name(layer, name)))
    }

    /// # Errors
    /// The name of the tensor that is missing.
    fn global(&mut self, name: &str) -> Result<Id, String> {
        let ne = self.sheet.shape(name).ok_or_else(|| format!("tensor `{name}` is missing"))?;
        Ok(self.g.external(Type::F32, ne))
    }

    /// `build_lora_mm` by names: the product, its scale (NVFP4) and its bias, where they are there.
    fn linear(&mut self, layer: u64, name: &str, x: Id) -> Result<Id, String> {
        let weight = self.weight(layer, &format!("{name}.weight"))?;
        let mut y = self.g.mul_mat(weight, x);
        if let Some(scale) = self.maybe(layer, &format!("{name}.scale")) {
            y = self.g.in_place(&[y, scale]);
        }
        if let Some(bias) = self.maybe(layer, &format!("{name}.bias")) {
            y = self.g.in_place(&[y, bias]);
        }
        Ok(y)
    }

    /// The cache of a layer that attends.
    fn kind(&self, at: u64) -> Result<KvLayer, String> {
        self.sheet.kind(at).copied().ok_or_else(|| format!("the cache of layer {at} is not known"))
    }

    /// `build_inp_embd`: rows of the embedding, or embeddings given instead.
    fn embedding(&mut self) -> Result<Id, String> {
        let tokens = self.g.input(Type::I32, [self.setup.tokens, 1, 1, 1]);
        let table = self.global("token_embd.weight")?;
        self.g.now(Purpose::Residual);
        let rows = self.g.get_rows(table, tokens);
        let width = self.g.ne(rows)[0];
        let given = self.g.input(Type::F32, [width, self.setup.tokens, 1, 1]);
        self.g.expand(rows);
        self.g.expand(given);
        let scaled = match self.sheet.number("embedding_scale") {
            Some(scale) if scale != 0.0 => self.g.in_place(&[rows]),
            _ => rows,
        };
        self.g.expand(scaled);
        Ok(scaled)
    }

    /// `build_inp_pos`.
    fn positions(&mut self) -> Id {
        self.g.input(Type::I32, [self.setup.tokens, 1, 1, 1])
    }

    /// `build_inp_out_ids`.
    fn output_ids(&mut self) -> Id {
        self.g.input(Type::I32, [self.setup.outputs, 1, 1, 1])
    }

    /// The output rows of a tensor.
    fn pick(&mut self, x: Id, ids: Id) -> Id {
        self.g.get_rows(x, ids)
    }

    /// The output head: the last norm is kept as the embedding, the product as the logits. With `softcap`, the logits are bounded.
    fn head(&mut self, normed: Id, softcap: bool) -> Result<(), String> {
        self.g.keep(normed);
        let name = if self.sheet.shape("output.weight").is_some() { "output.weight" } else { "token_embd.weight" };
        let weight = self.global(name)?;
        self.g.now(Purpose::Logits);
        let mut logits = self.g.mul_mat(weight, normed);
        if self.sheet.shape("output.bias").is_some() {
            let bias = self.global("output.bias")?;
            logits = self.g.in_place(&[logits, bias]);
        }
        // Granite and Cohere scale the logits.
        if self.sheet.number("logit_scale").is_some_and(|n| n != 0.0) {
            logits = self.g.in_place(&[logits]);
        }
        if softcap {
            for _ in 0..3 {
                logits = self.g.in_place(&[logits]);
            }
        }
        self.g.keep(logits);
        self.g.expand(logits);
        Ok(())
    }
}
