//! A graph in the making: its settings, and the steps that all families have in common.

use crate::checkpoint::KvLayer;
use crate::project::memory::engines::llama_cpp::graph::{Graph, Id, Purpose, Type};
use crate::project::memory::engines::llama_cpp::sheet::Sheet;

/// What the context was made with, after llama.cpp's rounding.
#[derive(Debug, Clone, Copy)]
pub(in crate::project::memory::engines::llama_cpp) struct Setup {
    /// Tokens of a physical batch, a multiple of `seqs`.
    pub(in crate::project::memory::engines::llama_cpp) tokens: u64,
    /// Number of sequences.
    pub(in crate::project::memory::engines::llama_cpp) seqs: u64,
    /// Number of rows that give logits.
    pub(in crate::project::memory::engines::llama_cpp) outputs: u64,
    /// Whether flash attention is on.
    pub(in crate::project::memory::engines::llama_cpp) flash: bool,
    /// Number of caches side by side.
    pub(in crate::project::memory::engines::llama_cpp) streams: u64,
    /// Cells of a cache that keeps every token.
    pub(in crate::project::memory::engines::llama_cpp) cells: u64,
    /// Cells of a cache that keeps a window.
    pub(in crate::project::memory::engines::llama_cpp) windowed_cells: u64,
    /// Type in which keys are cached.
    pub(in crate::project::memory::engines::llama_cpp) type_k: Type,
    /// Type in which values are cached.
    pub(in crate::project::memory::engines::llama_cpp) type_v: Type,
    /// Whether cached keys are a block quant.
    pub(in crate::project::memory::engines::llama_cpp) quantized_k: bool,
    /// Whether cached values are a block quant.
    pub(in crate::project::memory::engines::llama_cpp) quantized_v: bool,
}

impl Setup {
    /// Tokens of one sequence in a batch.
    pub(super) fn seq_tokens(&self) -> u64 {
        self.tokens / self.seqs.max(1)
    }
}

/// A graph in the making.
pub(super) struct Builder<'a> {
    pub(super) g: Graph,
    pub(super) sheet: &'a Sheet<'a>,
    pub(super) setup: Setup,
}

impl<'a> Builder<'a> {
    /// An empty graph of a model.
    pub(super) fn new(sheet: &'a Sheet<'a>, setup: Setup) -> Self {
        Self { g: Graph::default(), sheet, setup }
    }

    /// # Errors
    /// Why the graph cannot be trusted.
    pub(super) fn finish(self) -> Result<Graph, String> {
        match self.g.broken() {
            Some(reason) => Err(reason.to_owned()),
            None => Ok(self.g),
        }
    }

    /// The name of a tensor of a block.
    pub(super) fn name(layer: u64, name: &str) -> String {
        format!("blk.{layer}.{name}")
    }

    pub(super) fn has(&self, layer: u64, name: &str) -> bool {
        self.sheet.shape(&Self::name(layer, name)).is_some()
    }

    /// A weight of a block that may be absent.
    pub(super) fn maybe(&mut self, layer: u64, name: &str) -> Option<Id> {
        let ne = self.sheet.shape(&Self::name(layer, name))?;
        Some(self.g.external(Type::F32, ne))
    }

    /// # Errors
    /// The name of the tensor that is missing.
    pub(super) fn weight(&mut self, layer: u64, name: &str) -> Result<Id, String> {
        self.maybe(layer, name).ok_or_else(|| format!("tensor `{}` is missing", Self::name(layer, name)))
    }

    /// # Errors
    /// The name of the tensor that is missing.
    pub(super) fn global(&mut self, name: &str) -> Result<Id, String> {
        let ne = self.sheet.shape(name).ok_or_else(|| format!("tensor `{name}` is missing"))?;
        Ok(self.g.external(Type::F32, ne))
    }

    /// `build_lora_mm` by names: the product, its scale (NVFP4) and its bias, where they are there.
    pub(super) fn linear(&mut self, layer: u64, name: &str, x: Id) -> Result<Id, String> {
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
    pub(super) fn kind(&self, at: u64) -> Result<KvLayer, String> {
        self.sheet.kind(at).copied().ok_or_else(|| format!("the cache of layer {at} is not known"))
    }

    /// `build_inp_embd`: rows of the embedding, or embeddings given instead.
    pub(super) fn embedding(&mut self) -> Result<Id, String> {
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

    /// Positions of the tokens (`build_inp_pos`).
    pub(super) fn positions(&mut self) -> Id {
        self.g.input(Type::I32, [self.setup.tokens, 1, 1, 1])
    }

    /// Which rows give logits (`build_inp_out_ids`).
    pub(super) fn output_ids(&mut self) -> Id {
        self.g.input(Type::I32, [self.setup.outputs, 1, 1, 1])
    }

    /// The output rows of a tensor.
    pub(super) fn pick(&mut self, x: Id, ids: Id) -> Id {
        self.g.get_rows(x, ids)
    }

    /// The output head: the last norm is kept as the embedding, the product as the logits. With `softcap`, the logits are bounded.
    pub(super) fn head(&mut self, normed: Id, softcap: bool) -> Result<(), String> {
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
