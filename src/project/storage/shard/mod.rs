//! The split of a checkpoint into shards, as the tools of the field do it: names, tensors and bytes of every file.
//!
//! Sources: formulas C and its corrections 1 to 3; `huggingface_hub` 2.4.0 `serialization/_base.py`, transformers 5.23
//! `save_pretrained`, mlx-lm 0.32.2 `make_shards`, `gguf-split` of llama.cpp commit 0c1e570. Sizes that decide are tensor bytes;
//! headers come on top.

mod gguf_split;
pub(crate) mod greedy;
mod index;

use serde::Serialize;

use super::plan::{FileSize, OutTensor};
use super::safetensors_file::{Entry, FORMAT_MLX, FORMAT_PT, Writer, header_bytes};
use super::scheme::Context;
use crate::dtype::Dtype;
use crate::error::{Error, ErrorKind, Result};
use crate::format::Format;
use crate::project::input::ProjectInput;
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

/// One tensor as the splitters see it.
#[derive(Debug, Clone, Copy)]
pub struct ShardTensor<'t> {
    /// Its name.
    pub name: &'t str,
    /// Length of the name in the file, in bytes.
    pub name_bytes: u64,
    /// Element type.
    pub dtype: Dtype,
    /// Dimensions, outermost first.
    pub shape: &'t [u64],
    /// Bytes on disk, without padding.
    pub bytes: u64,
}

/// Order in which a tool walks the tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The order given: the file's, where nothing else is known.
    AsGiven,
    /// Natural order of the names: layer 2 before layer 10.
    NaturalNames,
}

impl Order {
    /// As in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::AsGiven => "file",
            Self::NaturalNames => "natural names",
        }
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
    /// Name.
    pub name: &'static str,
    /// Most tensor bytes in a file by default; `None` where the default is a number of tensors.
    pub default_limit: Option<u64>,
    /// Order in which tensors are walked.
    pub order: Order,
    kind: Kind,
}

/// Every rule.
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

/// One file of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Shard {
    /// File name.
    pub name: String,
    /// Number of tensors.
    pub tensors: u64,
    /// Their bytes, without padding.
    pub tensor_bytes: u64,
    /// Bytes of the file, header included.
    pub file_bytes: u64,
}

/// A shard plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShardedRow {
    /// The rule.
    pub rule: &'static str,
    /// Most tensor bytes in a file; `None` where the number of tensors decides.
    pub limit: Option<u64>,
    /// Order in which tensors were walked.
    pub order: &'static str,
    /// The files.
    pub shards: Vec<Shard>,
    /// Bytes of the index file; 0 where there is none.
    pub index_bytes: u64,
    /// What a reader of the figures should know; escaped.
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
        return gguf_split::row(&tensors, gguf, limit);
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
            let mut entries: Vec<Entry<'_>> = group.iter().map(|&at| entry(&tensors[order[at]])).collect();
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
            Kind::Mlx => index::Style::Mlx,
            _ if with_parameters => index::Style::Transformers,
            _ => index::Style::Hub,
        };
        index::bytes(names, total, with_parameters.then_some(parameters), style)
    } else {
        0
    };
    ShardedRow { rule: rule.name, limit: Some(limit), order: rule.order.name(), shards, index_bytes, notes }
}

fn entry<'t>(t: &ShardTensor<'t>) -> Entry<'t> {
    Entry { name: t.name, dtype: t.dtype, shape: t.shape, bytes: t.bytes }
}

/// Ranks of projected tensors in the natural order of the names they come from; those without a source stand with their module.
fn ranks(context: &Context<'_, '_>, tensors: &[OutTensor<'_>]) -> Vec<u32> {
    let of_source = context.natural_ranks();
    let stem = |i: usize| tensors[i].name.rsplit_once('.').map_or("", |(stem, _)| stem);
    let mut out = vec![0; tensors.len()];
    let mut next: Option<(usize, u32)> = None;
    for i in (0..tensors.len()).rev() {
        let own = tensors[i].source.and_then(|s| of_source.get(s as usize).copied());
        if let Some(rank) = own {
            next = Some((i, rank));
        }
        out[i] = match (own, next) {
            (Some(rank), _) => rank,
            (None, Some((n, rank))) if stem(n) == stem(i) => rank,
            (None, _) => u32::MAX,
        };
    }
    // What stands after its module's weight goes with it.
    for i in 1..out.len() {
        if out[i] == u32::MAX {
            out[i] = out[i - 1];
        }
    }
    out
}

/// The most tensor bytes that transformers puts into a file.
pub(crate) const TRANSFORMERS_LIMIT: u64 = 50_000_000_000;

/// Files that transformers writes for projected tensors, of at most so many tensor bytes.
pub(crate) fn transformers_files(
    context: &Context<'_, '_>,
    tensors: &[OutTensor<'_>],
    metadata: Option<&[(String, String)]>,
    limit: u64,
) -> FileSize {
    let pairs: Option<Vec<(&str, &str)>> = metadata.map(|m| m.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect());
    let total = tensors.iter().fold(0u64, |sum, t| sum.saturating_add(t.bytes));
    let views: Vec<ShardTensor<'_>> = tensors
        .iter()
        .map(|t| ShardTensor { name: &t.name, name_bytes: t.name_bytes, dtype: t.dtype, shape: &t.shape, bytes: t.bytes })
        .collect();
    let groups: Vec<Vec<usize>> = if total <= limit {
        vec![(0..views.len()).collect()]
    } else {
        // Numbers first, so that the names come as one run: checking a run costs one comparison a tensor.
        let ranks = ranks(context, tensors);
        let mut order: Vec<usize> = (0..views.len()).collect();
        order.sort_by_key(|&i| ranks[i]);
        order.sort_by(|&a, &b| greedy::natural(views[a].name, views[b].name));
        let sizes: Vec<u64> = order.iter().map(|&i| views[i].bytes).collect();
        let at = greedy::oversized_apart(&sizes, limit);
        at.into_iter().map(|group| group.into_iter().map(|i| order[i]).collect()).collect()
    };
    let mut header = 0u64;
    for group in &groups {
        let mut entries: Vec<Entry<'_>> = group.iter().map(|&i| entry(&views[i])).collect();
        header += header_bytes(&mut entries, pairs.as_deref(), Writer::Reference);
    }
    FileSize { files: groups.len() as u64, likely: total.saturating_add(header), header, padding: 0, range: None }
}
