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

    /// The same with those engines, where it names none and nothing is trained.
    #[must_use]
    pub fn with_default_engines(mut self, format: Option<Format>) -> Self {
        if self.engines.is_empty() && self.train.is_none() {
            self.engines = Self::default_engines(format);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::memory::kv_type::{KV_TYPES, KvType};

    #[test]
    fn every_cache_type_is_one_of_an_engine() {
        for t in KV_TYPES {
            assert!(ENGINES.iter().any(|engine| engine.cache_types().contains(t)), "{}", t.name());
            assert_eq!(KvType::parse(t.name()).unwrap(), *t);
        }
        for engine in ENGINES {
            assert!(engine.cache_types().iter().all(|t| KV_TYPES.contains(t)), "{}", engine.name());
            assert!(engine.small_cache().is_none_or(|t| engine.cache_types().contains(&t)), "{}", engine.name());
        }
    }
}
