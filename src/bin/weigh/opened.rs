//! What every command opens by what a user typed, and says of the checkpoint that it opened.

use std::path::{Path, PathBuf};

use weighbridge::checkpoint::Checkpoint;
use weighbridge::error::Result;
use weighbridge::stores::{Environment, LocalModel, locate};

use weighbridge::units::grouped;

use crate::args::Common;
use crate::outcome::Outcome;
use crate::output::warn;

/// Where stores are, by the environment of this process.
pub(crate) fn environment() -> Environment {
    // A variable that is set to nothing is not set.
    let path = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = if cfg!(windows) { path("USERPROFILE") } else { path("HOME") };
    // Clients take `~` in their variables for the home of the user.
    let expanded = |name: &str| {
        let below = |value: &Path| value.strip_prefix("~").ok().map(Path::to_path_buf);
        path(name).map(|value| match (&home, below(&value)) {
            (Some(home), Some(below)) => home.join(below),
            _ => value,
        })
    };
    Environment {
        hf_hub_cache: expanded("HF_HUB_CACHE"),
        huggingface_hub_cache: expanded("HUGGINGFACE_HUB_CACHE"),
        hf_home: expanded("HF_HOME"),
        xdg_cache_home: expanded("XDG_CACHE_HOME"),
        ollama_models: path("OLLAMA_MODELS"),
        ollama_service: cfg!(target_os = "linux").then(|| PathBuf::from(Environment::OLLAMA_SERVICE)),
        llama_cache: path("LLAMA_CACHE"),
        home,
    }
}

/// The model that a user means by a path or a name.
///
/// # Errors
/// As [`locate`].
pub(crate) fn named(path: &Path, common: &Common) -> Result<LocalModel> {
    locate(path, common.store.as_deref(), &environment())
}

/// How a command ends that could read no more than this of a checkpoint.
pub(crate) fn outcome_of(checkpoint: &Checkpoint) -> Outcome {
    if checkpoint.is_read_whole() { Outcome::Done } else { Outcome::Incomplete }
}

/// Prints on stderr what could not be read, for outputs that a person does not read.
pub(crate) fn warn_of_problems(checkpoint: &Checkpoint) {
    for problem in &checkpoint.problems {
        warn(&problem.to_string());
    }
}

/// Says where the context came from that nobody asked for.
pub(crate) fn context_note(ctx: u64) -> String {
    format!("context {}: `num_ctx` of Ollama's manifest, as --ctx is not given", grouped(ctx))
}
