//! What `weigh ls` is told.

use std::path::PathBuf;

use weighbridge::stores::InventoryOrder;

use super::choice;

/// `weigh ls`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  weigh ls\n  weigh ls ollama hub --sort name\n  weigh ls ./models --duplicates\n  weigh ls --format json\n\n\
                  Stores: hub (the Hugging Face cache), lm-studio, ollama, llama.cpp (its cache of before March 2026).\n\
                  They are found as their programs find them: HF_HUB_CACHE, HF_HOME, OLLAMA_MODELS, LLAMA_CACHE, or the home of the user.\n\
                  Only headers are read. COMPLETE is by the listing or manifest that a store keeps; `-` where there is none,\n\
                  `partial` where files were left out that nothing here needs."
)]
pub(crate) struct LsArgs {
    /// Names of stores, folders, files; every store when absent
    #[arg(value_name = "STORE|DIR|PATH")]
    pub(crate) places: Vec<PathBuf>,
    /// In which order
    #[arg(long, value_parser = choice::<InventoryOrder>(), default_value = "size", value_name = "ORDER")]
    pub(crate) sort: InventoryOrder,
    /// Only models that lie there more than once, with what that costs
    #[arg(long)]
    pub(crate) duplicates: bool,
}
