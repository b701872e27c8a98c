//! The objects of the `show` document, with the field names of the JSON.

use serde::Serialize;

use crate::error::Error;
use crate::format::Regions;
use crate::report::page::Walked;

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
    /// What it is beside another set of the same names; null where there is none.
    pub beside: Option<BesideRow>,
    /// The slices that its files are; null where they hold whole tensors.
    pub ranks: Option<RanksRow>,
}

/// `beside` of a weight set.
#[derive(Debug, Clone, Serialize)]
pub struct BesideRow {
    /// The set that it is held against.
    pub weight_set: String,
    /// `copy`: every byte is equal; `likely_copy`, `likely_copy_in_another_type`: what was compared is; `different`: proven; `not_compared`.
    pub likeness: &'static str,
    /// Bytes of this set that were compared and are equal.
    pub compared_bytes: u64,
    /// The same in words, with the reason.
    pub why: String,
}

/// `ranks` of a weight set.
#[derive(Debug, Clone, Serialize)]
pub struct RanksRow {
    /// How many tensor-parallel ranks there are.
    pub count: u64,
    /// How many of them are here.
    pub present: u64,
    /// What they were told by.
    pub evidence: String,
}

/// A row of `components`.
#[derive(Debug, Clone, Serialize)]
pub struct ComponentRow {
    /// What part of the repo it is.
    pub name: String,
    /// Its copies and forms.
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
pub struct ShowBody<'a> {
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
    pub tensors: Option<Walked<'a, TensorRow>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Walked<'a, MetadataRow>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub map: Option<Walked<'a, MapRow>>,
    pub defects: Vec<DefectRow>,
    pub errors: Vec<ErrorRow>,
    pub unread: Vec<UnreadRow>,
    pub notes: Vec<String>,
}
