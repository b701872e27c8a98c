//! The body of `weigh show`: what a checkpoint holds, from headers alone.

use serde::Serialize;

use crate::checkpoint::{Checkpoint, Summary, Sums, Tensor};
use crate::error::Error;
use crate::format::{ByteMap, Format, MetadataValue, RegionKind, Regions, SecondOpinion};
use crate::units::{BitsPerWeight, Bytes, Params};

/// What to put into the body besides the sums.
#[derive(Debug, Clone, Default)]
pub struct ShowOptions {
    /// One row per tensor.
    pub tensors: bool,
    /// Tensors whose name fits; all when empty. `*` stands for anything, `?` for one character.
    pub filter: Option<String>,
    /// Key-value metadata of the files.
    pub metadata: bool,
    /// The labelled ranges of every file.
    pub map: bool,
    /// Sums per block.
    pub layers: bool,
}

/// `totals`, over the selected weight sets.
#[derive(Debug, Clone, Serialize)]
pub struct Totals {
    /// Selected files.
    pub files: u64,
    /// Tensors.
    pub tensors: u64,
    /// Elements as the headers declare them.
    pub stored_elements: u64,
    /// Logical weights.
    pub logical_params: u64,
    /// Logical weights with each tied weight once, where tying is proved.
    pub unique_params: u64,
    /// Bytes of tensor data.
    pub tensor_bytes: u64,
    /// Bytes of the files.
    pub file_bytes: u64,
    /// 8 x tensor bytes / logical parameters; null without parameters.
    pub bits_per_weight: Option<f64>,
}

/// A row of `dtypes`.
#[derive(Debug, Clone, Serialize)]
pub struct DtypeRow {
    /// As the format spells it.
    pub dtype: String,
    /// Tensors.
    pub tensors: u64,
    /// Elements as stored.
    pub stored_elements: u64,
    /// Bytes of tensor data.
    pub bytes: u64,
}

/// A row of `roles` (and of `layers`).
#[derive(Debug, Clone, Serialize)]
pub struct GroupRow {
    /// Role; of a layer row `layer 3`.
    pub role: String,
    /// Tensors.
    pub tensors: u64,
    /// Elements as stored.
    pub stored_elements: u64,
    /// Logical weights.
    pub logical_params: u64,
    /// Bytes of tensor data.
    pub bytes: u64,
}

/// What the `safetensors` crate says of a file.
#[derive(Debug, Clone, Serialize)]
pub struct ReferenceReader {
    /// Whether it loads the file; null when it was not asked.
    pub loads: Option<bool>,
    /// Its reason, or what it leaves out.
    pub reason: Option<String>,
}

/// A row of `files`.
#[derive(Debug, Clone, Serialize)]
pub struct FileRow {
    /// Relative to the folder asked for.
    pub path: String,
    /// `safetensors` or `gguf`.
    pub format: &'static str,
    /// Length.
    pub file_bytes: u64,
    /// Tensors in its header.
    pub tensors: u64,
    /// Bytes that its header claims beyond its end.
    pub missing_bytes: u64,
    /// Whether it belongs to a selected weight set.
    pub selected: bool,
    /// Bytes per label; they sum to `file_bytes`.
    pub regions: Regions,
    /// The reference reader's opinion.
    pub reference_reader: ReferenceReader,
}

/// A row of `weight_sets`.
#[derive(Debug, Clone, Serialize)]
pub struct WeightSetRow {
    /// What tells it from its alternatives.
    pub name: String,
    /// Its files.
    pub files: Vec<String>,
    /// Bytes of its tensors.
    pub tensor_bytes: u64,
    /// Whether totals are made of it.
    pub selected: bool,
}

/// A row of `components`.
#[derive(Debug, Clone, Serialize)]
pub struct ComponentRow {
    /// What part of the repo it is.
    pub name: String,
    /// Its copies.
    pub weight_sets: Vec<WeightSetRow>,
}

/// Active parameters per token of a mixture of experts, in the three conventions publishers use.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct ActiveParams {
    /// All that a token passes, embeddings and head included.
    pub all: u64,
    /// Without the input embedding.
    pub without_input_embedding: u64,
    /// Without input embedding and output head.
    pub without_embeddings: u64,
}

/// `model`.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs)]
pub struct ModelRow {
    pub architecture: Option<String>,
    pub family: Option<String>,
    pub name: Option<String>,
    pub origin: Option<String>,
    pub layers: Option<u64>,
    pub hidden_size: Option<u64>,
    pub heads: Option<u64>,
    pub kv_heads: Option<u64>,
    pub head_dim: Option<u64>,
    pub ffn_size: Option<u64>,
    pub vocab_size: Option<u64>,
    pub context_length: Option<u64>,
    pub experts: Option<u64>,
    pub experts_used: Option<u64>,
    pub tied_embeddings: Option<bool>,
    pub stated_dtype: Option<String>,
    pub active_params: Option<ActiveParams>,
    pub notes: Vec<String>,
}

/// `quantization`.
#[derive(Debug, Clone, Serialize)]
pub struct QuantizationRow {
    /// How weights are packed.
    pub method: String,
    /// Bits of a weight, where there is one figure.
    pub bits: Option<u32>,
    /// Weights per scale, where there is one figure.
    pub group_size: Option<u64>,
    /// What it was recognised by.
    pub evidence: String,
}

/// A row of `tensors`. `shape` is in the format's own order: GGUF names the contiguous dimension first, safetensors last.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs)]
pub struct TensorRow {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name_hex: Option<String>,
    pub dtype: String,
    pub shape: Vec<u64>,
    pub stored_elements: u64,
    pub logical_params: u64,
    pub bytes: u64,
    pub file: String,
    pub offset: u64,
    pub role: &'static str,
    pub layer: Option<u32>,
    pub notes: Vec<String>,
}

/// A row of `defects`.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs)]
pub struct DefectRow {
    pub kind: &'static str,
    pub file: String,
    pub tensor: Option<String>,
    pub offset: Option<u64>,
    pub stated: Option<u64>,
    pub expected: Option<u64>,
    pub message: String,
}

/// A row of `errors`: a file that could not be read.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs)]
pub struct ErrorRow {
    pub kind: String,
    pub file: Option<String>,
    pub offset: Option<u64>,
    pub tensor: Option<String>,
    pub message: String,
    pub help: Option<String>,
}

impl ErrorRow {
    /// The row of an error.
    pub fn of(error: &Error) -> Self {
        Self {
            kind: kebab(&format!("{:?}", error.kind())),
            file: error.path().map(|p| p.to_string_lossy().into_owned()),
            offset: error.offset(),
            tensor: error.tensor().map(str::to_owned),
            message: error.message().to_owned(),
            help: error.advice().map(str::to_owned),
        }
    }
}

fn kebab(camel: &str) -> String {
    let mut out = String::new();
    for (i, c) in camel.chars().enumerate() {
        if c.is_ascii_uppercase() && i > 0 {
            out.push('-');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

/// A row of `unread`: weights in a form that is not read.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs)]
pub struct UnreadRow {
    pub file: String,
    pub bytes: u64,
    pub reason: String,
}

/// A labelled range of a file.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs)]
pub struct MapRow {
    pub file: String,
    pub label: &'static str,
    pub tensor: Option<String>,
    pub start: u64,
    pub end: u64,
}

/// A key of a file's metadata. Long arrays are described, not listed.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs)]
pub struct MetadataRow {
    pub file: String,
    pub key: String,
    pub value: serde_json::Value,
}

/// The body of `weigh show`.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs)]
pub struct ShowBody {
    pub format: &'static str,
    pub totals: Totals,
    pub dtypes: Vec<DtypeRow>,
    pub roles: Vec<GroupRow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layers: Option<Vec<GroupRow>>,
    pub files: Vec<FileRow>,
    pub components: Vec<ComponentRow>,
    pub model: ModelRow,
    pub quantization: Option<QuantizationRow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tensors: Option<Vec<TensorRow>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Vec<MetadataRow>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub map: Option<Vec<MapRow>>,
    pub defects: Vec<DefectRow>,
    pub errors: Vec<ErrorRow>,
    pub unread: Vec<UnreadRow>,
    pub notes: Vec<String>,
}

impl ShowBody {
    /// Gathers the body. `opinions` holds the reference reader's answer per file, where it was asked.
    pub fn of(checkpoint: &Checkpoint, options: &ShowOptions, opinions: &[SecondOpinion]) -> Self {
        let summary = Summary::of(checkpoint);
        let row = |(dtype, s): &(String, Sums)| DtypeRow {
            dtype: dtype.clone(),
            tensors: s.tensors,
            stored_elements: s.stored_elements,
            bytes: s.bytes,
        };
        Self {
            format: checkpoint.format().map_or("mixed", Format::name),
            totals: totals(&summary),
            dtypes: summary.dtypes.iter().map(row).collect(),
            roles: summary.roles.iter().map(|(role, s)| group(role.name().to_owned(), s)).collect(),
            layers: options.layers.then(|| {
                summary
                    .layers
                    .iter()
                    .map(|(l, s)| group(l.map_or("outside blocks".to_owned(), |l| format!("layer {l}")), s))
                    .collect()
            }),
            files: files(checkpoint, opinions),
            components: components(checkpoint),
            model: model(checkpoint, &summary),
            quantization: checkpoint.quantization.as_ref().map(|q| QuantizationRow {
                method: q.method.clone(),
                bits: q.bits,
                group_size: q.group_size,
                evidence: q.evidence.clone(),
            }),
            tensors: options.tensors.then(|| tensors(checkpoint, options.filter.as_deref())),
            metadata: options.metadata.then(|| metadata(checkpoint)),
            map: options.map.then(|| map(checkpoint)),
            defects: defects(checkpoint),
            errors: checkpoint.problems.iter().map(ErrorRow::of).collect(),
            unread: checkpoint
                .unread
                .iter()
                .map(|f| UnreadRow { file: f.name.clone(), bytes: f.bytes, reason: f.reason.clone() })
                .collect(),
            notes: notes(checkpoint, &summary),
        }
    }
}

fn totals(summary: &Summary) -> Totals {
    let t = &summary.total;
    Totals {
        files: summary.files,
        tensors: t.tensors,
        stored_elements: t.stored_elements,
        logical_params: t.logical_params,
        unique_params: t.logical_params,
        tensor_bytes: t.bytes,
        file_bytes: summary.file_bytes,
        bits_per_weight: BitsPerWeight::of(Bytes(t.bytes), Params(t.logical_params)).map(|b| b.0),
    }
}

fn group(role: String, s: &Sums) -> GroupRow {
    GroupRow { role, tensors: s.tensors, stored_elements: s.stored_elements, logical_params: s.logical_params, bytes: s.bytes }
}

fn files(checkpoint: &Checkpoint, opinions: &[SecondOpinion]) -> Vec<FileRow> {
    let selected = checkpoint.selected_files();
    let row = |(i, file): (usize, &crate::checkpoint::CheckpointFile)| {
        let container = &file.container;
        let (loads, reason) = match opinions.get(i) {
            None => (None, None),
            Some(SecondOpinion::Loads) => (Some(true), None),
            Some(SecondOpinion::LoadsLess { tensors }) => (
                Some(true),
                Some(format!("it sees {tensors} of {} tensors: of two of one name it keeps the last", container.tensors.len())),
            ),
            Some(SecondOpinion::Refuses(reason)) => (Some(false), Some(reason.clone())),
            Some(SecondOpinion::NotAsked(reason)) => (None, Some((*reason).to_owned())),
        };
        FileRow {
            path: file.name.clone(),
            format: container.format.name(),
            file_bytes: container.file_len,
            tensors: container.tensors.len() as u64,
            missing_bytes: container.missing_bytes,
            selected: selected.binary_search(&i).is_ok(),
            regions: ByteMap::of(container).totals(),
            reference_reader: ReferenceReader { loads, reason },
        }
    };
    checkpoint.files.iter().enumerate().map(row).collect()
}

fn components(checkpoint: &Checkpoint) -> Vec<ComponentRow> {
    let name = |&i: &usize| checkpoint.files[i].name.clone();
    let set = |s: &crate::checkpoint::WeightSet| WeightSetRow {
        name: s.name.clone(),
        files: s.files.iter().map(name).collect(),
        tensor_bytes: s.tensor_bytes,
        selected: s.selected,
    };
    checkpoint
        .components
        .iter()
        .map(|c| ComponentRow { name: c.name.clone(), weight_sets: c.weight_sets.iter().map(set).collect() })
        .collect()
}

fn model(checkpoint: &Checkpoint, summary: &Summary) -> ModelRow {
    let m = &checkpoint.model;
    ModelRow {
        architecture: m.architecture.clone(),
        family: m.family.clone(),
        name: m.name.clone(),
        origin: m.origin.clone(),
        layers: m.layers,
        hidden_size: m.hidden_size,
        heads: m.heads,
        kv_heads: m.kv_heads,
        head_dim: m.head_dim,
        ffn_size: m.ffn_size,
        vocab_size: m.vocab_size,
        context_length: m.context_length,
        experts: m.experts,
        experts_used: m.experts_used,
        tied_embeddings: m.tied_embeddings,
        stated_dtype: m.stated_dtype.clone(),
        active_params: active(checkpoint, summary),
        notes: m.notes.clone(),
    }
}

/// Active parameters per token: everything but the routed experts that a token does not pass.
fn active(checkpoint: &Checkpoint, summary: &Summary) -> Option<ActiveParams> {
    use crate::checkpoint::model_config::{ParamCounts, active_params};
    use crate::checkpoint::{Role, TiedEmbeddings};
    let of = |role: Role| summary.roles.iter().find(|(r, _)| *r == role).map_or(0, |(_, s)| s.logical_params);
    let m = &checkpoint.model;
    let tied = matches!(checkpoint.tied, TiedEmbeddings::Shared);
    // Layers of multi-token prediction and towers do not work on a token of text.
    let aside: u64 = [Role::Mtp, Role::Vision, Role::Audio, Role::Projector, Role::Adapter].into_iter().map(of).sum();
    let counts = ParamCounts {
        total: summary.total.logical_params - aside,
        routed_experts: of(Role::Expert),
        embedding: of(Role::Embedding),
        lm_head: of(Role::LmHead),
    };
    let active = active_params(counts, m.experts, m.experts_used, tied)?;
    Some(ActiveParams {
        all: active.all,
        without_input_embedding: active.without_input_embedding,
        without_embeddings: active.without_embeddings,
    })
}

fn tensor_name(tensor: &Tensor<'_>) -> (String, Option<String>) {
    let bytes = tensor.container.name_bytes(tensor.info);
    match std::str::from_utf8(bytes) {
        Ok(name) => (name.to_owned(), None),
        Err(_) => (String::from_utf8_lossy(bytes).into_owned(), Some(bytes.iter().map(|b| format!("{b:02x}")).collect())),
    }
}

/// Dimensions in the order in which the format states them.
pub fn stated_shape(format: Format, shape: &[u64]) -> Vec<u64> {
    match format {
        Format::Safetensors => shape.to_vec(),
        Format::Gguf => shape.iter().rev().copied().collect(),
    }
}

fn tensors(checkpoint: &Checkpoint, filter: Option<&str>) -> Vec<TensorRow> {
    let mut rows = Vec::new();
    for tensor in checkpoint.tensors() {
        let (name, name_hex) = tensor_name(&tensor);
        if filter.is_some_and(|pattern| !matches_glob(pattern, &name)) {
            continue;
        }
        let index = u32::try_from(tensor.index).unwrap_or(u32::MAX);
        rows.push(TensorRow {
            notes: tensor.container.defects.iter().filter(|d| d.tensor == Some(index)).map(|d| d.message.clone()).collect(),
            name,
            name_hex,
            dtype: tensor.dtype_name().to_owned(),
            shape: stated_shape(tensor.container.format, &tensor.info.shape),
            stored_elements: tensor.info.elements,
            logical_params: tensor.logical_params,
            bytes: tensor.info.bytes,
            file: checkpoint.files[tensor.file].name.clone(),
            offset: tensor.info.offset,
            role: tensor.naming.role.name(),
            layer: tensor.naming.layer,
        });
    }
    rows
}

/// Whether a name fits a pattern in which `*` stands for any text and `?` for one character. Linear in both.
pub fn matches_glob(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while n < name.len() {
        if p < pattern.len() && pattern[p] == '*' {
            retry = Some((p, n));
            p += 1;
        } else if p < pattern.len() && (pattern[p] == '?' || pattern[p] == name[n]) {
            p += 1;
            n += 1;
        } else if let Some((star, from)) = retry {
            retry = Some((star, from + 1));
            p = star + 1;
            n = from + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|&c| c == '*')
}

fn defects(checkpoint: &Checkpoint) -> Vec<DefectRow> {
    let rows = |file: &crate::checkpoint::CheckpointFile| -> Vec<DefectRow> {
        let container = &file.container;
        let row = |d: &crate::format::Defect| DefectRow {
            kind: d.kind.code(),
            file: file.name.clone(),
            tensor: d.tensor.and_then(|i| container.tensors.get(i as usize)).map(|t| container.name(t).into_owned()),
            offset: d.offset,
            stated: d.stated,
            expected: d.expected,
            message: d.message.clone(),
        };
        container.defects.iter().map(row).collect()
    };
    checkpoint.files.iter().flat_map(rows).collect()
}

fn metadata(checkpoint: &Checkpoint) -> Vec<MetadataRow> {
    use serde_json::json;
    let value = |v: &MetadataValue| match v {
        MetadataValue::Unsigned(n) => json!(n),
        MetadataValue::Signed(n) => json!(n),
        MetadataValue::Float(x) => json!(x),
        MetadataValue::Bool(b) => json!(b),
        MetadataValue::Text { text, bytes } if *bytes > text.len() as u64 => json!({ "text": text, "bytes": bytes, "cut": true }),
        MetadataValue::Text { text, .. } => json!(text),
        MetadataValue::Numbers(numbers) => json!(numbers),
        MetadataValue::Array { element, len, bytes, offset } => {
            json!({ "array_of": element, "length": len, "bytes": bytes, "offset": offset })
        }
    };
    let rows = |file: &crate::checkpoint::CheckpointFile| -> Vec<MetadataRow> {
        let row = |(k, v): &(String, MetadataValue)| MetadataRow { file: file.name.clone(), key: k.clone(), value: value(v) };
        file.container.metadata.entries().iter().map(row).collect()
    };
    checkpoint.files.iter().flat_map(rows).collect()
}

fn map(checkpoint: &Checkpoint) -> Vec<MapRow> {
    let mut rows = Vec::new();
    for file in &checkpoint.files {
        for region in ByteMap::of(&file.container).regions() {
            let (label, tensor) = match region.kind {
                RegionKind::Magic => ("magic", None),
                RegionKind::Metadata => ("metadata", None),
                RegionKind::Header => ("header", None),
                RegionKind::Padding => ("padding", None),
                RegionKind::Tensor(i) => {
                    ("tensor", file.container.tensors.get(i as usize).map(|t| file.container.name(t).into_owned()))
                }
                RegionKind::Gap => ("gap", None),
                RegionKind::Overlap => ("overlap", None),
                RegionKind::Trailing => ("trailing", None),
            };
            rows.push(MapRow { file: file.name.clone(), label, tensor, start: region.range.start, end: region.range.end });
        }
    }
    rows
}

fn notes(checkpoint: &Checkpoint, summary: &Summary) -> Vec<String> {
    use crate::units::grouped;
    let mut notes = checkpoint.notes.clone();
    if summary.buffers.tensors > 0 {
        let mut names: Vec<String> = Vec::new();
        for tensor in checkpoint.tensors().filter(|t| t.part == crate::checkpoint::Part::Buffer) {
            let name = tensor.name();
            let last = crate::text::escape_limited(name.rsplit('.').next().unwrap_or(&name), 40);
            if !names.contains(&last) && names.len() < 4 {
                names.push(last);
            }
        }
        notes.push(format!(
            "{} stored elements are buffers, not weights: {}",
            grouped(summary.buffers.stored_elements),
            names.join(", ")
        ));
    }
    notes.extend(checkpoint.tied.note());
    notes.extend(checkpoint.model.notes.iter().cloned());
    let unselected: u64 =
        checkpoint.components.iter().flat_map(|c| &c.weight_sets).filter(|s| !s.selected).map(|s| s.tensor_bytes).sum();
    if unselected > 0 {
        notes.push(format!("{} of tensors stand here in other copies and are not in the totals", Bytes(unselected).binary()));
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::matches_glob;

    #[test]
    fn globs_match_whole_names_without_backtracking_for_ever() {
        for (pattern, name, fits) in [
            ("*", "", true),
            ("*.weight", "a.b.weight", true),
            ("*.weight", "a.weight.x", false),
            ("blk.?.attn_*", "blk.7.attn_q.weight", true),
            ("blk.?.attn_*", "blk.17.attn_q.weight", false),
            ("a*b*c", "aXXbYYc", true),
            ("", "a", false),
        ] {
            assert_eq!(matches_glob(pattern, name), fits, "{pattern} {name}");
        }
        assert!(!matches_glob(&"a*".repeat(50), &"a".repeat(49)));
        assert!(!matches_glob(&format!("{}b", "*a".repeat(200)), &"a".repeat(20_000)));
    }
}
