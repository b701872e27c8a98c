//! llama.cpp: cells and streams, caches and states, the compute buffer of its graph.
//!
//! Source: llama.cpp commit 0c1e570 (2026-10-01); each file names its sources.

mod build;
mod cells;
mod compute;
mod graph;
mod kv_cache;
mod sheet;

use super::{Engine, KvFigure};
use crate::checkpoint::KvLayer;
use crate::format::Format;
use crate::project::input::ProjectInput;
use crate::project::memory::Term;
use crate::project::memory::request::Settings;
use crate::project::storage::Basis;
use sheet::Sheet;

pub(super) struct LlamaCpp;

impl Engine for LlamaCpp {
    fn name(&self) -> &'static str {
        "llama.cpp"
    }

    fn version(&self) -> &'static str {
        "commit 0c1e570 (2026-10-01)"
    }

    fn ctx_means(&self) -> &'static str {
        "ctx is the total over all sequences, as llama.cpp's -c"
    }

    fn weights(&self, input: &ProjectInput<'_>) -> Term {
        let padded =
            input.tensors.iter().fold(0u64, |n, t| n.saturating_add(t.bytes.checked_next_multiple_of(32).unwrap_or(u64::MAX)));
        if input.format == Some(Format::Gguf) {
            let text = "tensor bytes, each padded to 32; mapped from the file, a repacked copy (default on CPUs) not counted";
            Term::known("weights", padded, Basis::Exact, text.to_owned())
        } else {
            let text = "stored bytes; llama.cpp needs a GGUF, whose size `project --to gguf:...` tells";
            Term::known("weights", padded, Basis::Estimate, text.to_owned())
        }
    }

    fn kv(&self, layers: &[KvLayer], settings: &Settings) -> Result<KvFigure, String> {
        kv_cache::kv_cache(layers, settings)
    }

    fn state(&self, layers: &[KvLayer], settings: &Settings) -> Result<Option<KvFigure>, String> {
        kv_cache::recurrent_state(layers, settings)
    }

    fn others(&self, input: &ProjectInput<'_>, settings: &Settings) -> Vec<Term> {
        vec![compute::term(&Sheet::of(input), settings)]
    }
}
