//! Where stores are on a machine, as values that the caller reads of its environment.

use std::path::PathBuf;

/// The environment that stores are found by. The library reads none of it: a caller fills it, and what is `None` is not looked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment {
    /// The folder of the user.
    pub home: Option<PathBuf>,
    /// `HF_HUB_CACHE`.
    pub hf_hub_cache: Option<PathBuf>,
    /// `HUGGINGFACE_HUB_CACHE`, the older name of the same.
    pub huggingface_hub_cache: Option<PathBuf>,
    /// `HF_HOME`.
    pub hf_home: Option<PathBuf>,
    /// `XDG_CACHE_HOME`.
    pub xdg_cache_home: Option<PathBuf>,
    /// `OLLAMA_MODELS`.
    pub ollama_models: Option<PathBuf>,
    /// Where the service of Ollama keeps models that runs as a user of its own.
    pub ollama_service: Option<PathBuf>,
    /// `LLAMA_CACHE`.
    pub llama_cache: Option<PathBuf>,
}

impl Environment {
    /// Where Ollama's service for Linux keeps its models: its installer makes the user `ollama` with this folder as home.
    pub const OLLAMA_SERVICE: &str = "/usr/share/ollama/.ollama/models";

    /// A folder below that of the user.
    pub(super) fn at_home(&self, below: &str) -> Option<PathBuf> {
        self.home.as_ref().map(|home| home.join(below))
    }

    /// A folder below that of caches.
    pub(super) fn at_cache(&self, below: &str) -> Option<PathBuf> {
        self.xdg_cache_home.clone().or_else(|| self.at_home(".cache")).map(|cache| cache.join(below))
    }
}
