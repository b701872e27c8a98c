//! Every engine, a folder each.

pub(super) mod llama_cpp;
mod transformers;
mod vllm;

use super::engine::Engine;
use super::request::MemoryRequest;
use crate::format::Format;

/// Every engine. To add one: a folder here and a line.
pub const ENGINES: &[&dyn Engine] = &[&llama_cpp::LlamaCpp, &vllm::Vllm, &transformers::Transformers];

/// The engine of a name.
pub fn find(name: &str) -> Option<&'static dyn Engine> {
    ENGINES.iter().copied().find(|e| e.name().eq_ignore_ascii_case(name.trim()))
}

impl MemoryRequest {
    /// The engines that read a format as it is.
    pub fn default_engines(format: Option<Format>) -> Vec<String> {
        let gguf = format == Some(Format::Gguf);
        ENGINES.iter().filter(|engine| engine.reads_gguf() == gguf).map(|engine| engine.name().to_owned()).collect()
    }
}
