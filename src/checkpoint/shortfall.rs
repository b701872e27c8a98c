//! Whether the weights that were read are all of a model's: figures of a part are no figures of the whole.

use std::path::Path;

use super::declared;
use super::discover::ShardName;
use super::folder::is_weight_file;
use super::splits::Split;
use super::{Checkpoint, Part};
use crate::error::{Error, ErrorKind};
use crate::text::escape_limited;
use crate::units::grouped;

/// Why a checkpoint's weights are not all here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shortfall {
    /// What is missing; escaped.
    pub reason: String,
    /// Whether the headers state the sizes all the same, as those of a file that is cut short do. Else sums are of what is here, and
    /// the whole has at least that.
    pub sizes_known: bool,
}

impl Shortfall {
    fn of_part(reason: String) -> Self {
        Self { reason, sizes_known: false }
    }
}

impl Checkpoint {
    /// Why the selected weights are not all of the model's: none were read, a shard is missing or unreadable, a file is cut short,
    /// tensors are empty, the base of an adapter is elsewhere, or config.json declares far more. `None` where nothing speaks against
    /// them.
    pub fn shortfall(&self) -> Option<Shortfall> {
        nothing(self)
            .or_else(|| missing(self))
            .or_else(|| alone(self))
            .or_else(|| cut(self))
            .or_else(|| hollow(self))
            .or_else(|| beside(self))
            .or_else(|| fewer(self))
    }
}

impl Checkpoint {
    /// Whether files of the selected weights are known to be elsewhere or cut short, so that tensors are not here by that.
    pub(crate) fn is_part(&self) -> bool {
        missing(self).or_else(|| alone(self)).or_else(|| cut(self)).is_some()
    }
}

fn nothing(checkpoint: &Checkpoint) -> Option<Shortfall> {
    if checkpoint.tensor_bytes() > 0 {
        return None;
    }
    let bytes = checkpoint.unread.iter().fold(0u64, |n, f| n.saturating_add(f.bytes));
    Some(Shortfall::of_part(match checkpoint.unread.as_slice() {
        [] => "no weights were read".to_owned(),
        [one] => {
            format!("no weights were read: {} ({} bytes) is of a kind that is not", escape_limited(&one.name, 80), grouped(bytes))
        }
        several => format!("no weights were read: {} files ({} bytes) are of kinds that are not", several.len(), grouped(bytes)),
    }))
}

/// Shards that are promised and not there, and weight files that could not be read.
fn missing(checkpoint: &Checkpoint) -> Option<Shortfall> {
    let problem = checkpoint.problems.iter().find(|problem| concerns(checkpoint, problem))?;
    let name = problem.path().and_then(Path::file_name).map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    Some(Shortfall::of_part(format!("the weights are not whole: {}: {}", escape_limited(&name, 80), problem.message())))
}

/// Whether a problem takes something from the selected weights.
fn concerns(checkpoint: &Checkpoint, problem: &Error) -> bool {
    let Some(path) = problem.path() else { return false };
    let Some(base) = path.file_name().map(|n| n.to_string_lossy().into_owned()) else { return false };
    let base = match problem.kind() {
        // `model-00001-of-00002.safetensors.incomplete` stands for the file without that ending.
        ErrorKind::PartialDownload => base.rsplit_once('.').map_or(base.as_str(), |(stem, _)| stem).to_owned(),
        _ => base,
    };
    if !is_weight_file(&base) {
        return false;
    }
    // A shard of another set, beside a set that was selected in its place.
    let Some(shard) = ShardName::parse(&base) else { return true };
    let selected: Vec<&Path> = checkpoint.selected_files().into_iter().map(|i| checkpoint.files[i].path.as_path()).collect();
    let mut beside = selected.iter().filter(|file| file.parent() == path.parent()).peekable();
    let is_same = |file: &&Path| {
        let name = file.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        ShardName::parse(&name).is_some_and(|other| other.same_set(&shard))
    };
    beside.peek().is_none() || beside.any(is_same)
}

/// Parts of a split GGUF, or one shard asked for by itself.
fn alone(checkpoint: &Checkpoint) -> Option<Shortfall> {
    let selected = checkpoint.components.iter().flat_map(|c| &c.weight_sets).filter(|set| set.selected);
    if let Some(split) = selected.filter_map(|set| Split::of(set, &checkpoint.files)).next() {
        return Some(Shortfall::of_part(split.reason()));
    }
    let [file] = checkpoint.selected_files()[..] else { return None };
    let file = &checkpoint.files[file];
    let base = file.name.rsplit('/').next().unwrap_or(&file.name);
    let shard = ShardName::parse(base).filter(|shard| shard.count > 1 && checkpoint.indexes.is_empty())?;
    Some(Shortfall::of_part(format!("{} is one of {} shards", escape_limited(base, 80), shard.count)))
}

fn cut(checkpoint: &Checkpoint) -> Option<Shortfall> {
    let files = checkpoint.selected_files();
    let file = files.iter().map(|&i| &checkpoint.files[i]).find(|f| f.container.is_truncated())?;
    let reason = format!(
        "{} is cut short: {} bytes of what its header promises are not there",
        escape_limited(&file.name, 80),
        grouped(file.container.missing_bytes)
    );
    Some(Shortfall { reason, sizes_known: true })
}

/// Tensors of no elements under the names of weights: a ZeRO-3 run that was saved without gathering its shards.
fn hollow(checkpoint: &Checkpoint) -> Option<Shortfall> {
    let (mut weights, mut empty, mut first) = (0u64, 0u64, None);
    for tensor in checkpoint.tensors().filter(|t| t.part == Part::Weight) {
        weights += 1;
        if tensor.info.elements == 0 {
            empty += 1;
            first.get_or_insert_with(|| tensor.name().into_owned());
        }
    }
    let first = first?;
    Some(Shortfall::of_part(format!("{empty} of {weights} weights have no elements (`{}`)", escape_limited(&first, 80))))
}

/// Only what goes beside a model: adapters, projectors.
fn beside(checkpoint: &Checkpoint) -> Option<Shortfall> {
    let selected = checkpoint.components.iter().filter(|c| c.weight_sets.iter().any(|set| set.selected));
    let names: Vec<&str> = selected.map(|c| c.name.as_str()).collect();
    let is_beside = |name: &&str| name.starts_with("adapter") || name.starts_with("mmproj");
    (!names.is_empty() && names.iter().all(is_beside)).then(|| {
        if !names[0].starts_with("adapter") {
            return Shortfall::of_part("only a projector is here: the model that it goes with is not".to_owned());
        }
        let base = checkpoint.adapters.iter().find_map(|adapter| adapter.base_model.as_deref().or(adapter.architecture.as_deref()));
        let base = base.map_or_else(String::new, |base| format!(", {},", escape_limited(base, 80)));
        Shortfall::of_part(format!("only an adapter is here: the model that it goes with{base} is not, and is left out"))
    })
}

/// Less than half of the parameters that config.json declares. Of plain weights only: what a packing holds may not be understood.
fn fewer(checkpoint: &Checkpoint) -> Option<Shortfall> {
    let config = checkpoint.config_json().filter(|config| config.get("quantization_config").is_none())?;
    if checkpoint.declared || checkpoint.quantization.is_some() || !checkpoint.packed.is_empty() {
        return None;
    }
    let declared = declared::params(config, &checkpoint.model)?;
    let here = checkpoint.logical_params();
    (here < declared / 2)
        .then(|| Shortfall::of_part(format!("{} parameters are here, config.json declares {}", grouped(here), grouped(declared))))
}

#[cfg(test)]
mod tests {
    use super::super::{OpenOptions, open};

    /// A safetensors file with these BF16 matrices of 64 columns, cut short by so many bytes.
    fn file(tensors: &[(&str, u64)], cut: usize) -> Vec<u8> {
        let mut at = 0;
        let rows: Vec<String> = tensors
            .iter()
            .map(|(name, rows)| {
                let start = at;
                at += rows * 128;
                format!("\"{name}\":{{\"dtype\":\"BF16\",\"shape\":[{rows},64],\"data_offsets\":[{start},{at}]}}")
            })
            .collect();
        let header = format!("{{{}}}", rows.join(","));
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.resize(bytes.len() + at as usize - cut, 1);
        bytes
    }

    const LLAMA: &str = r#"{"model_type": "llama", "hidden_size": 64, "num_hidden_layers": 1, "num_attention_heads": 4,
        "intermediate_size": 64, "vocab_size": 64, "tie_word_embeddings": true}"#;

    fn reason(files: &[(&str, Vec<u8>)], ask: &str, only_this_file: bool) -> Option<(String, bool)> {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            std::fs::write(folder.path().join(name), bytes).unwrap();
        }
        let options = OpenOptions { only_this_file, ..OpenOptions::default() };
        open(&folder.path().join(ask), &options).unwrap().shortfall().map(|s| (s.reason, s.sizes_known))
    }

    #[test]
    fn what_is_not_whole_is_told_with_its_reason() {
        let whole = || file(&[("model.embed_tokens.weight", 64), ("model.layers.0.mlp.up_proj.weight", 320)], 0);
        let first = ("model-00001-of-00002.safetensors", whole());
        let second = ("model-00002-of-00002.safetensors", file(&[("model.norm.weight", 1)], 0));
        let config = ("config.json", LLAMA.as_bytes().to_vec());
        assert_eq!(reason(&[("model.safetensors", whole()), config.clone()], "", false), None);
        assert_eq!(reason(&[first.clone(), second.clone(), config.clone()], "", false), None);
        // A whole set beside a broken one.
        let broken = ("other-00001-of-00002.safetensors", b"<!DOCTYPE html><html></html>".to_vec());
        assert_eq!(reason(&[first.clone(), second.clone(), broken, config.clone()], "", false), None);
        let told = |files: &[(&str, Vec<u8>)], part: &str, sizes: bool| {
            let (why, known) = reason(files, "", false).unwrap();
            assert!(why.contains(part) && known == sizes, "{part}: {why}, {known}");
        };
        told(&[first.clone(), config.clone()], "of which 1 are missing", false);
        let page = ("model-00002-of-00002.safetensors", b"<!DOCTYPE html><html></html>".to_vec());
        told(&[first.clone(), page, config.clone()], "model-00002-of-00002.safetensors", false);
        told(&[first.clone(), ("model-00002-of-00002.safetensors.incomplete", vec![0; 9]), config.clone()], "00002", false);
        told(&[("model.safetensors", file(&[("a.weight", 64)], 100)), config.clone()], "100 bytes", true);
        told(&[("model.safetensors", file(&[("a.weight", 400), ("b.weight", 0)], 0)), config.clone()], "1 of 2 weights", false);
        let adapter = file(&[("base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight", 8)], 0);
        told(&[("adapter_model.safetensors", adapter), config.clone()], "only an adapter", false);
        told(&[("model.safetensors", file(&[("visual.weight", 4)], 0)), config.clone()], "256 parameters are here", false);
        told(&[("pytorch_model.bin", b"PK\x03\x04 and so on".to_vec()), config.clone()], "pytorch_model.bin (14 bytes)", false);
        told(std::slice::from_ref(&config), "no weights were read", false);
        let (why, _) = reason(&[first, second, config], "model-00001-of-00002.safetensors", true).unwrap();
        assert!(why.contains("one of 2 shards"), "{why}");
    }
}
