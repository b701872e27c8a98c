//! The options of llama.cpp that no other engine has.

use serde::Serialize;

use crate::choice::Choice;

/// How llama.cpp loads weights (`--load-mode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LoadMode {
    /// The file is mapped into memory.
    #[default]
    Mmap,
    /// The file is read into memory.
    None,
}

impl Choice for LoadMode {
    const WHAT: &'static str = "way to load weights";
    const NAMES: &'static [(&'static str, Self, &'static str)] = &[("mmap", Self::Mmap, "Mapped"), ("none", Self::None, "Read")];
}

/// The options of llama.cpp, in the field names of the JSON report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct LlamaCppOptions {
    /// All sequences share one cache (`--kv-unified`).
    pub kv_unified: bool,
    /// Windowed layers keep every token (`--swa-full`).
    pub swa_full: bool,
    /// The program is the server, which reserves logits for one row a sequence, not the completion program.
    pub server: bool,
    /// Weights are repacked where the processor has kernels for it; `--no-repack` turns that off.
    pub repack: bool,
    /// How the weights are loaded.
    pub load_mode: LoadMode,
    /// Number of layers, from the first on, whose routed experts stay in host memory.
    pub cpu_experts: u64,
}

impl Default for LlamaCppOptions {
    fn default() -> Self {
        Self { kv_unified: false, swa_full: false, server: false, repack: true, load_mode: LoadMode::Mmap, cpu_experts: 0 }
    }
}

/// Sequences of llama-server where none are asked for.
pub(super) const AUTOMATIC_SLOTS: u64 = 4;

impl LlamaCppOptions {
    /// Whether llama-server chooses the number of its slots itself: no number of sequences was asked for.
    pub(super) fn has_automatic_slots(&self, asked_seqs: Option<u64>) -> bool {
        self.server && asked_seqs.is_none()
    }

    /// The options as the program takes them: with automatic slots, all share one cache.
    #[must_use]
    pub(in crate::project::memory) fn settled(self, asked_seqs: Option<u64>) -> Self {
        Self { kv_unified: self.kv_unified || self.has_automatic_slots(asked_seqs), ..self }
    }
}
