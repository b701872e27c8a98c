//! The split of a checkpoint into shards, as the tools of the field do it: names, tensors and bytes of every file.
//!
//! Sources: `huggingface_hub` ([`crate::pins::HUGGINGFACE_HUB`]) `serialization/_base.py`, transformers
//! ([`crate::pins::TRANSFORMERS_CODE`]) `save_pretrained`, mlx-lm ([`crate::pins::MLX_LM`]) `make_shards`, `gguf-split` of
//! llama.cpp ([`crate::pins::LLAMA_CPP`]). Sizes that decide are tensor bytes; headers come on top.

use serde::Serialize;

use super::input::ProjectInput;
use super::written::safetensors_file::{Entry, FORMAT_MLX, FORMAT_PT, Writer, header_bytes};
use super::written::shards::{Order, Shard, ShardTensor};
use super::written::{gguf_split, greedy, shard_index};
use crate::error::{Error, ErrorKind, Result};
use crate::format::Format;
use crate::units::parse_bytes;

/// A shard plan as asked for: `RULE` or `RULE:SIZE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardSpec {
    /// Name of a row of [`RULES`].
    pub rule: &'static str,
    /// Most tensor bytes in a file; `None` takes the rule's default.
    pub limit: Option<u64>,
}

impl ShardSpec {
    /// Reads `huggingface:5GB`, `mlx`, `gguf-split:2GB`.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] for an unknown rule or a size that is none.
    pub fn parse(text: &str) -> Result<Self> {
        let (name, size) = match text.split_once(':') {
            Some((name, size)) => (name.trim(), Some(size)),
            None => (text.trim(), None),
        };
        let Some(rule) = RULES.iter().find(|r| r.name == name) else {
            let names: Vec<&str> = RULES.iter().map(|r| r.name).collect();
            let message = format!("unknown shard rule `{}`", crate::text::escape(name));
            return Err(Error::new(ErrorKind::Usage, message).help(format!("known: {}", names.join(", "))));
        };
        let limit = size.map(|s| parse_bytes(s.trim()).map(|b| b.0)).transpose()?;
        if limit == Some(0) {
            return Err(Error::new(ErrorKind::Usage, "a shard limit of 0 bytes fits nothing"));
        }
        Ok(Self { rule: rule.name, limit })
    }
}

/// How a tool splits and writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Safetensors through the reference writer; an oversized tensor goes into a shard of its own, before the one being filled.
    HuggingFace { total_parameters: bool },
    /// Safetensors through MLX: filled in order.
    Mlx,
    /// GGUF.
    Gguf,
}

/// A row of the registry.
#[derive(Debug, Clone, Copy)]
pub struct ShardRule {
    /// Name by which the rule is asked for.
    pub name: &'static str,
    /// Most tensor bytes in a file by default; `None` where the default is a number of tensors.
    pub default_limit: Option<u64>,
    /// Order in which tensors are walked.
    pub order: Order,
    kind: Kind,
}

/// Every rule, in the order of the help.
pub const RULES: &[ShardRule] = &[
    ShardRule {
        name: "huggingface",
        default_limit: Some(5_000_000_000),
        order: Order::AsGiven,
        kind: Kind::HuggingFace { total_parameters: false },
    },
    ShardRule {
        name: "transformers",
        default_limit: Some(50_000_000_000),
        order: Order::NaturalNames,
        kind: Kind::HuggingFace { total_parameters: true },
    },
    ShardRule { name: "mlx", default_limit: Some(5 << 30), order: Order::AsGiven, kind: Kind::Mlx },
    ShardRule { name: "gguf-split", default_limit: None, order: Order::AsGiven, kind: Kind::Gguf },
];

/// A shard plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ShardedRow {
    /// Name of the rule.
    pub rule: &'static str,
    /// Most tensor bytes in a file; `None` where the number of tensors decides.
    pub limit: Option<u64>,
    /// Order in which tensors were walked.
    pub order: &'static str,
    /// Files of the plan, in order.
    pub shards: Vec<Shard>,
    /// Bytes of the index file; 0 where there is none.
    pub index_bytes: u64,
    /// Remarks on the figures for the reader, already escaped.
    pub notes: Vec<String>,
}

/// The plan for the tensors of a checkpoint as they are.
pub fn row(input: &ProjectInput<'_>, spec: &ShardSpec) -> ShardedRow {
    let Some(rule) = RULES.iter().find(|r| r.name == spec.rule) else {
        return refused(spec.rule, spec.limit, "unknown rule");
    };
    let limit = spec.limit.or(rule.default_limit);
    let format = if rule.kind == Kind::Gguf { Format::Gguf } else { Format::Safetensors };
    if input.format != Some(format) {
        return refused(rule.name, limit, &format!("splits {} files only", format.name()));
    }
    if input.tensors.iter().any(|t| t.dtype.name().is_none()) {
        return refused(rule.name, limit, "there are tensors of an unknown dtype");
    }
    let tensors: Vec<ShardTensor<'_>> = input
        .tensors
        .iter()
        .map(|t| ShardTensor { name: &t.name, name_bytes: t.name_bytes, dtype: t.dtype, shape: &t.shape, bytes: t.bytes })
        .collect();
    if rule.kind == Kind::Gguf {
        let Some(gguf) = &input.gguf else { return refused(rule.name, limit, "the header of the GGUF is not known") };
        let (shards, notes) = gguf_split::split(&tensors, gguf, limit);
        return ShardedRow { rule: rule.name, limit, order: rule.order.name(), shards, index_bytes: 0, notes };
    }
    let mut row = safetensors_row(rule, &tensors, limit.unwrap_or(u64::MAX), input.logical_params());
    if rule.order == Order::AsGiven && row.shards.len() > 1 {
        row.notes.push(
            "in the order of the file; a tool that walks the module tree (embedding first, layers as they run) may cut elsewhere"
                .to_owned(),
        );
    }
    row
}

fn refused(rule: &'static str, limit: Option<u64>, why: &str) -> ShardedRow {
    ShardedRow { rule, limit, order: Order::AsGiven.name(), shards: Vec::new(), index_bytes: 0, notes: vec![why.to_owned()] }
}

/// Splits tensors by a safetensors rule. `parameters` is what transformers states as `total_parameters`.
fn safetensors_row(rule: &ShardRule, tensors: &[ShardTensor<'_>], limit: u64, parameters: u64) -> ShardedRow {
    let order = greedy::order(tensors, rule.order);
    let sizes: Vec<u64> = order.iter().map(|&i| tensors[i].bytes).collect();
    let groups = match rule.kind {
        Kind::Mlx => greedy::in_order(&sizes, limit),
        _ => greedy::oversized_apart(&sizes, limit),
    };
    let n = groups.len();
    let (writer, metadata) = if rule.kind == Kind::Mlx { (Writer::Mlx, FORMAT_MLX) } else { (Writer::Reference, FORMAT_PT) };
    let shards: Vec<Shard> = groups
        .iter()
        .enumerate()
        .map(|(k, group)| {
            let mut entries: Vec<Entry<'_>> = group.iter().map(|&at| tensors[order[at]].entry()).collect();
            let tensor_bytes = entries.iter().fold(0u64, |sum, e| sum.saturating_add(e.bytes));
            let name = if n == 1 { "model.safetensors".to_owned() } else { format!("model-{:05}-of-{n:05}.safetensors", k + 1) };
            let file_bytes = tensor_bytes.saturating_add(header_bytes(&mut entries, Some(metadata), writer));
            Shard { name, tensors: group.len() as u64, tensor_bytes, file_bytes }
        })
        .collect();
    let mut notes = Vec::new();
    let oversized = sizes.iter().filter(|&&b| b > limit).count();
    if oversized > 0 {
        notes.push(format!("{oversized} tensors are larger than the limit and stand in shards above it"));
    }
    if rule.kind == Kind::Mlx {
        notes.push("header lengths hold for tensors written in the file's order".to_owned());
    }
    // mlx-lm writes an index for a single file too.
    let index_bytes = if n > 1 || rule.kind == Kind::Mlx {
        let total = sizes.iter().fold(0u64, |a, &b| a.saturating_add(b));
        let with_parameters = rule.kind != Kind::HuggingFace { total_parameters: false };
        let files: Vec<usize> = shards.iter().map(|s| s.name.len()).collect();
        let names = groups.iter().zip(&files).flat_map(|(group, &file)| group.iter().map(move |&at| (at, file)));
        let names = names.map(|(at, file)| (tensors[order[at]].name, file as u64));
        let style = match rule.kind {
            Kind::Mlx => shard_index::Style::Mlx,
            _ if with_parameters => shard_index::Style::Transformers,
            _ => shard_index::Style::Hub,
        };
        shard_index::bytes(names, total, with_parameters.then_some(parameters), style)
    } else {
        0
    };
    ShardedRow { rule: rule.name, limit: Some(limit), order: rule.order.name(), shards, index_bytes, notes }
}
