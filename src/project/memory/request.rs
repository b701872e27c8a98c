//! What a memory projection is asked for.

use super::budget::Budget;
use super::engines::llama_cpp::options::LlamaCppOptions;
use super::kv_type::{DEFAULT_KV_TYPE, KvType};
use super::limits::Limits;
use super::parallel::Parallel;
use super::training::TrainRequest;
use crate::project::input::ProjectInput;

/// What is asked for; `None` takes the default.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MemoryRequest {
    /// Engines by name.
    pub engines: Vec<String>,
    /// Context in tokens: total for llama.cpp, per sequence for the others.
    pub ctx: Option<u64>,
    /// Sequences at once; where none are asked for, as many as the engine starts with: 1, or 4 for llama.cpp's server.
    pub seqs: Option<u64>,
    /// Types of the cached keys and values: f16 in llama.cpp, 16 bits elsewhere.
    pub kv_type: Option<(KvType, KvType)>,
    /// Logical batch: 2048 tokens.
    pub batch: Option<u64>,
    /// Physical batch: 512 tokens.
    pub ubatch: Option<u64>,
    /// Flash attention: on.
    pub flash_attention: Option<bool>,
    /// Options of llama.cpp alone.
    pub llama_cpp: LlamaCppOptions,
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
    /// What every engine starts from: the defaults filled in, one sequence where no number was asked for.
    pub(super) fn settled(&self, input: &ProjectInput<'_>) -> Settings {
        // A modest context that every current model has; the model's own maximum where it is smaller.
        let modest = input.model.context_length.map_or(MODEST_CTX, |n| n.min(MODEST_CTX));
        let (kv_k, kv_v) = self.kv_type.unwrap_or((DEFAULT_KV_TYPE, DEFAULT_KV_TYPE));
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

/// Everything settled.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Context in tokens; see [`MemoryRequest::ctx`].
    pub ctx: u64,
    /// Number of sequences at once.
    pub seqs: u64,
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
    /// How the model is spread over devices.
    pub parallel: Parallel,
    /// Options of llama.cpp alone.
    pub llama_cpp: LlamaCppOptions,
}
