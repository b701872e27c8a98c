//! What a memory projection is asked for.

use super::engine::ENGINES;
use super::fit::{Budget, Limits};
use super::parallel::Parallel;
use super::training::TrainRequest;
use crate::choice::Choice;
use crate::dtype::Dtype;
use crate::error::{Error, ErrorKind, Result};
use crate::format::Format;
use crate::project::input::ProjectInput;
use crate::units::Elements;

/// Type of the cached keys or values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KvType {
    name: &'static str,
    dtype: Dtype,
}

/// Where nothing is asked for.
const DEFAULT_KV_TYPE: KvType = KvType { name: "f16", dtype: Dtype::F16 };

/// Every type that an engine caches in, as their options spell it; which engine has which, the engine says.
const KV_TYPES: &[KvType] = &[
    KvType { name: "f32", dtype: Dtype::F32 },
    DEFAULT_KV_TYPE,
    KvType { name: "bf16", dtype: Dtype::BF16 },
    KvType { name: "fp8", dtype: Dtype::F8_E4M3 },
    KvType { name: "q8_0", dtype: Dtype::Q8_0 },
    KvType { name: "q5_1", dtype: Dtype::Q5_1 },
    KvType { name: "q5_0", dtype: Dtype::Q5_0 },
    KvType { name: "q4_1", dtype: Dtype::Q4_1 },
    KvType { name: "q4_0", dtype: Dtype::Q4_0 },
    KvType { name: "iq4_nl", dtype: Dtype::IQ4_NL },
];

impl KvType {
    /// Reads `f16`, `q8_0`, ...
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] for an unknown type.
    pub fn parse(text: &str) -> Result<Self> {
        let name = text.trim().to_lowercase();
        let found = KV_TYPES.iter().copied().find(|t| t.name == name || (name == "fp8_e4m3" && t.name == "fp8"));
        found.ok_or_else(|| {
            let names: Vec<&str> = KV_TYPES.iter().map(|t| t.name).collect();
            Error::new(ErrorKind::Usage, format!("unknown cache type `{}`", crate::text::escape(text)))
                .help(format!("known: {}", names.join(", ")))
        })
    }

    /// Reads `K` or `K/V`.
    ///
    /// # Errors
    /// As [`KvType::parse`].
    pub fn parse_pair(text: &str) -> Result<(Self, Self)> {
        match text.split_once('/') {
            Some((k, v)) => Ok((Self::parse(k)?, Self::parse(v)?)),
            None => Self::parse(text).map(|t| (t, t)),
        }
    }

    /// As it is spelled.
    pub fn name(self) -> &'static str {
        self.name
    }

    /// Whether values come in blocks with a scale.
    pub fn is_quantized(self) -> bool {
        self.dtype.is_block_quant()
    }

    /// Elements of a block.
    pub fn block(self) -> u64 {
        self.dtype.info().map_or(1, |row| row.elements_per_block)
    }

    /// Bytes of `n` values; `None` when they do not fill whole blocks or do not fit 64 bits.
    pub fn bytes(self, n: u64) -> Option<u64> {
        Some(self.dtype.bytes_of(Elements(n))?.0)
    }
}

/// How llama.cpp loads weights (`--load-mode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LoadMode {
    /// The file is mapped.
    #[default]
    Mmap,
    /// The file is read.
    None,
}

impl Choice for LoadMode {
    const WHAT: &'static str = "way to load weights";
    const NAMES: &'static [(&'static str, Self, &'static str)] = &[("mmap", Self::Mmap, "Mapped"), ("none", Self::None, "Read")];
}

/// What is asked for; `None` takes the default.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MemoryRequest {
    /// Engines by name.
    pub engines: Vec<String>,
    /// Context in tokens: total for llama.cpp, per sequence for the others.
    pub ctx: Option<u64>,
    /// Sequences at once: 1; 4 for llama.cpp's server.
    pub seqs: Option<u64>,
    /// Types of the cached keys and values: f16 in llama.cpp, 16 bits elsewhere.
    pub kv_type: Option<(KvType, KvType)>,
    /// Logical batch: 2048 tokens.
    pub batch: Option<u64>,
    /// Physical batch: 512 tokens.
    pub ubatch: Option<u64>,
    /// Flash attention: on.
    pub flash_attention: Option<bool>,
    /// llama.cpp: one cache shared by all sequences.
    pub kv_unified: bool,
    /// llama.cpp: windowed layers keep every token.
    pub swa_full: bool,
    /// llama.cpp: as its server, not its completion program.
    pub server: bool,
    /// llama.cpp: weights are not repacked for the processor.
    pub no_repack: bool,
    /// llama.cpp: how the weights are loaded.
    pub load_mode: LoadMode,
    /// llama.cpp: layers, from the first on, whose routed experts stay in host memory.
    pub cpu_experts: u64,
    /// Devices: how the model is spread over them.
    pub parallel: Parallel,
    /// Training to project as well.
    pub train: Option<TrainRequest>,
    /// Budgets to compare with.
    pub fit: Vec<Budget>,
    /// What may be used of them.
    pub limits: Limits,
}

impl MemoryRequest {
    /// The engines that read a format as it is.
    pub fn default_engines(format: Option<Format>) -> Vec<String> {
        let gguf = format == Some(Format::Gguf);
        ENGINES.iter().filter(|engine| engine.reads_gguf() == gguf).map(|engine| engine.name().to_owned()).collect()
    }

    /// The same with those engines, where it names none and nothing is trained.
    #[must_use]
    pub fn with_default_engines(mut self, format: Option<Format>) -> Self {
        if self.engines.is_empty() && self.train.is_none() {
            self.engines = Self::default_engines(format);
        }
        self
    }

    pub(super) fn settled(&self, input: &ProjectInput<'_>) -> Settings {
        // A modest context that every current model has; the model's own maximum where it is smaller.
        let modest = input.model.context_length.map_or(MODEST_CTX, |n| n.min(MODEST_CTX));
        let (kv_k, kv_v) = self.kv_type.unwrap_or((DEFAULT_KV_TYPE, DEFAULT_KV_TYPE));
        // llama-server with automatic slots takes 4 and one shared cache.
        let auto_slots = self.server && self.seqs.is_none();
        Settings {
            ctx: self.ctx.unwrap_or(modest),
            seqs: self.seqs.unwrap_or(if auto_slots { 4 } else { 1 }).max(1),
            others_seqs: self.seqs.unwrap_or(1).max(1),
            kv_k,
            kv_v,
            batch: self.batch.unwrap_or(2048).max(1),
            ubatch: self.ubatch.unwrap_or(512).max(1),
            flash_attention: self.flash_attention.unwrap_or(true),
            kv_unified: self.kv_unified || auto_slots,
            swa_full: self.swa_full,
            server: self.server,
            repack: !self.no_repack,
            load_mode: self.load_mode,
            cpu_experts: self.cpu_experts,
            parallel: self.parallel,
        }
    }
}

const MODEST_CTX: u64 = 4096;

/// Everything settled.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Context in tokens; see [`MemoryRequest::ctx`].
    pub ctx: u64,
    /// Sequences in llama.cpp.
    pub seqs: u64,
    /// Sequences in the other engines.
    pub others_seqs: u64,
    /// Type of cached keys.
    pub kv_k: KvType,
    /// Type of cached values.
    pub kv_v: KvType,
    /// Logical batch.
    pub batch: u64,
    /// Physical batch.
    pub ubatch: u64,
    /// Flash attention.
    pub flash_attention: bool,
    /// One cache for all sequences.
    pub kv_unified: bool,
    /// Windowed layers keep every token.
    pub swa_full: bool,
    /// llama.cpp's server, which reserves logits for one row a sequence.
    pub server: bool,
    /// Weights are repacked where the processor has kernels for it.
    pub repack: bool,
    /// How the weights are loaded.
    pub load_mode: LoadMode,
    /// Layers whose routed experts stay in host memory.
    pub cpu_experts: u64,
    /// How the model is spread over devices.
    pub parallel: Parallel,
}
