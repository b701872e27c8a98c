//! What a memory projection is asked for.

use super::budget::Budget;
use super::engines::llama_cpp::options::LlamaCppOptions;
use super::kv_type::KvType;
use super::limits::Limits;
use super::parallel::Parallel;
use super::training::TrainRequest;
use crate::project::input::ProjectInput;

/// What is asked for; `None` takes the default.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MemoryRequest {
    /// Names of the engines to project.
    pub engines: Vec<String>,
    /// Context in tokens: total for llama.cpp, per sequence for the others.
    pub ctx: Option<u64>,
    /// Sequences at once; where none are asked for, as many as the engine starts with: 1, or 4 for llama.cpp's server.
    pub seqs: Option<u64>,
    /// Types in which keys and values are cached; by default 16-bit floats, or what the checkpoint asks for where an engine heeds it.
    pub kv_type: Option<(KvType, KvType)>,
    /// Logical batch, in tokens; 2048 by default.
    pub batch: Option<u64>,
    /// Physical batch, in tokens; 512 by default.
    pub ubatch: Option<u64>,
    /// Whether flash attention is on; by default it is.
    pub flash_attention: Option<bool>,
    /// Options of llama.cpp alone.
    pub llama_cpp: LlamaCppOptions,
    /// Devices: how the model is spread over them.
    pub parallel: Parallel,
    /// Training to project as well.
    pub train: Option<TrainRequest>,
    /// Budgets that runs and training are judged against.
    pub fit: Vec<Budget>,
    /// What may be used of them.
    pub limits: Limits,
}

impl MemoryRequest {
    /// What every engine starts from: the defaults filled in, one sequence where no number was asked for.
    pub(super) fn settled(&self, input: &ProjectInput<'_>) -> Settings {
        // A modest context that every current model has; the model's own maximum where it is smaller.
        let modest = input.model.context_length.map_or(MODEST_CTX, |n| n.min(MODEST_CTX));
        let (kv_k, kv_v) = self.kv_type.unwrap_or((KvType::F16, KvType::F16));
        Settings {
            ctx: self.ctx.unwrap_or(modest),
            seqs: self.seqs.unwrap_or(1).max(1),
            kv_k,
            kv_v,
            batch: self.batch.unwrap_or(2048).max(1),
            ubatch: self.ubatch.unwrap_or(512).max(1),
            flash_attention: self.flash_attention.unwrap_or(true),
            parallel: self.parallel,
            llama_cpp: self.llama_cpp.settled(self.seqs),
        }
    }
}

/// Tokens of the context where none is asked for.
const MODEST_CTX: u64 = 4096;

/// The settings of a run, with every default filled in.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Context in tokens; see [`MemoryRequest::ctx`].
    pub ctx: u64,
    /// Number of sequences at once.
    pub seqs: u64,
    /// Type in which keys are cached.
    pub kv_k: KvType,
    /// Type in which values are cached.
    pub kv_v: KvType,
    /// Logical batch, in tokens.
    pub batch: u64,
    /// Physical batch, in tokens.
    pub ubatch: u64,
    /// Whether flash attention is on.
    pub flash_attention: bool,
    /// How the model is spread over devices.
    pub parallel: Parallel,
    /// Options of llama.cpp alone.
    pub llama_cpp: LlamaCppOptions,
}
