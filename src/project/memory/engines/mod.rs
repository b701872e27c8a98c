//! Every engine, a folder each.

mod llama_cpp;
mod transformers;
mod vllm;

use super::engine::Engine;

/// Every engine. To add one: a folder here and a line.
pub const ENGINES: &[&dyn Engine] = &[&llama_cpp::LlamaCpp, &vllm::Vllm, &transformers::Transformers];

/// The engine of a name.
pub fn find(name: &str) -> Option<&'static dyn Engine> {
    ENGINES.iter().copied().find(|e| e.name().eq_ignore_ascii_case(name.trim()))
}
