//! The files that a look at a path may read, for callers that write files and must not write over them.

use std::path::{Path, PathBuf};

use super::folder;
use super::open::OpenOptions;
use super::plan::plan;

/// Files of these names are read beside weights, whatever folder these stand in: configurations, tokenizers, templates, the model card.
const BESIDE: &[&str] = &[
    "config.json",
    "params.json",
    "generation_config.json",
    "quantize_config.json",
    "hf_quant_config.json",
    "adapter_config.json",
    "model_index.json",
    "modules.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "tekken.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "tokenizer.model",
    "spiece.model",
    "chat_template.json",
    "chat_template.jinja",
    "README.md",
];

/// Endings of files that an audit reads anywhere in a folder.
const READ: [&str; 6] = ["json", "jinja", "jinja2", "model", "py", "bin"];

/// The files that any command may read where it is given a path: the path itself, the other shards of its set and their index, what lies
/// beside a file under a name that is looked for, and in a folder every file but those that nothing is made of (text, tables, pictures).
/// Nothing is opened but shard indexes. What cannot be listed is left out, for the command to say.
pub fn inputs(path: &Path) -> Vec<PathBuf> {
    let plan = std::fs::metadata(path).ok().and_then(|metadata| plan(path, &metadata, &OpenOptions::default()).ok());
    let mut inputs: Vec<PathBuf> = Vec::new();
    if let Some(plan) = plan {
        inputs.extend(plan.files.into_iter().chain(plan.listing.files).map(|file| file.path));
        inputs.extend(plan.indexes.into_iter().map(|index| index.path));
    }
    if path.is_dir() {
        let is_read = |path: &PathBuf| {
            let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
            let extension = name.rsplit_once('.').map(|(_, e)| e.to_ascii_lowercase()).unwrap_or_default();
            BESIDE.contains(&name.as_str())
                || READ.contains(&extension.as_str())
                || folder::is_weight_file(&name)
                || folder::is_other_weight_file(&name)
        };
        inputs.retain(is_read);
        // Says which snapshot of a hub cache is meant.
        inputs.push(path.join("refs").join("main"));
    } else {
        let folder = path.parent().unwrap_or(Path::new(""));
        inputs.extend(BESIDE.iter().map(|name| folder.join(name)));
        inputs.push(path.to_path_buf());
    }
    inputs.retain(|path| path.is_file());
    inputs
}
