//! How llama.cpp rounds what it is asked for: context, streams, batches, outputs.
//!
//! Source: the constructor of `llama_context` (`llama-context.cpp`) and `llama_kv_cache_iswa` of llama.cpp
//! ([`crate::pins::LLAMA_CPP`]).

use crate::project::memory::request::Settings;

/// The most sequences that llama.cpp takes (`LLAMA_MAX_SEQ` of `llama-cparams.h`).
pub(super) const MAX_SEQS: u64 = 256;

/// Cells, streams and batches of a context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cells {
    /// Cells per stream of a layer that keeps every token.
    pub(super) full: u64,
    /// Number of caches side by side.
    pub(super) streams: u64,
    /// `n_batch` after rounding.
    pub(super) batch: u64,
    /// `n_ubatch` after rounding.
    pub(super) ubatch: u64,
    /// Number of sequences.
    pub(super) seqs: u64,
    unified: bool,
    swa_full: bool,
}

pub(super) fn pad256(n: u64) -> u64 {
    n.checked_next_multiple_of(256).unwrap_or(u64::MAX)
}

impl Cells {
    /// One cache of all tokens, or one per sequence, each padded up.
    ///
    /// # Errors
    /// What llama.cpp says.
    pub(super) fn of(settings: &Settings) -> Result<Self, String> {
        if settings.seqs > MAX_SEQS {
            return Err(format!("n_seq_max must be <= {MAX_SEQS}"));
        }
        if settings.ctx.max(settings.batch).max(settings.ubatch) > u64::from(u32::MAX) {
            return Err("a context or batch of more than 32 bits".to_owned());
        }
        let asked = settings.ctx.max(1);
        let batch = settings.batch.min(asked);
        let ubatch = settings.ubatch.min(batch);
        let n_ctx = pad256(asked);
        let (full, streams) =
            if settings.llama_cpp.kv_unified { (n_ctx, 1) } else { (pad256(n_ctx / settings.seqs), settings.seqs) };
        Ok(Self {
            full,
            streams,
            batch,
            ubatch,
            seqs: settings.seqs,
            unified: settings.llama_cpp.kv_unified,
            swa_full: settings.llama_cpp.swa_full,
        })
    }

    /// Cells of a windowed layer: not the bare window.
    pub(super) fn windowed(&self, window: u64) -> u64 {
        if self.swa_full {
            return self.full;
        }
        let sequences = if self.unified { self.seqs } else { 1 };
        pad256(self.full.min(window.saturating_mul(sequences).saturating_add(self.ubatch)))
    }

    /// Tokens of the largest batch that is reserved for, before it is made a multiple of the sequences.
    pub(super) fn tokens(&self) -> u64 {
        self.full.saturating_mul(self.streams).min(self.ubatch)
    }

    /// Rows that give logits: all of a batch in the completion and bench programs, one a sequence in the server.
    pub(super) fn outputs(&self, server: bool) -> u64 {
        self.tokens().min(if server { self.seqs } else { self.batch }).max(1)
    }
}
