//! The objects of the `show` document, with the field names of the JSON.

use serde::Serialize;

use crate::checkpoint::model_config::ActiveParams;
use crate::checkpoint::{Against, ModelConfig, Quantization, Ranks, Sums, Totals, UnreadFile};
use crate::error::Error;
use crate::format::Regions;
use crate::report::page::Walked;

/// A row of `dtypes`: of the sums all but the parameters, which the JSON gives by role.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct DtypeRow {
    /// As the format spells it.
    pub dtype: String,
    /// Tensors.
    pub tensors: u64,
    /// Number of elements that the headers declare.
    pub stored_elements: u64,
    /// Bytes of tensor data.
    pub bytes: u64,
}

/// A row of `roles` (and of `layers`).
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct GroupRow {
    /// Role; of a layer row `layer 3`.
    pub role: String,
    /// Sums over the tensors of the role or layer.
    #[serde(flatten)]
    pub sums: Sums,
}

/// What the `safetensors` crate says of a file.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct ReferenceReader {
    /// Whether it loads the file; null when it was not asked.
    pub loads: Option<bool>,
    /// Why it refuses the file, or what it leaves out of it.
    pub reason: Option<String>,
}

/// A row of `files`.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
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

/// A row of `weight_sets`: a set whose files are named, not counted.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct WeightSetRow<'a> {
    /// What tells it from its alternatives.
    pub name: String,
    /// Names of its files, relative to the folder asked for.
    pub files: Vec<String>,
    /// Bytes of its tensors.
    pub tensor_bytes: u64,
    /// Whether totals are made of it.
    pub selected: bool,
    /// What it is beside another set of the same names; null where there is none.
    pub beside: Option<&'a Against>,
    /// The slices that its files are; null where they hold whole tensors.
    pub ranks: Option<&'a Ranks>,
}

/// A row of `components`.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct ComponentRow<'a> {
    /// What part of the repo it is.
    pub name: String,
    /// The copies and forms in which it is here.
    pub weight_sets: Vec<WeightSetRow<'a>>,
}

/// `model`: the facts with the parameters that the tensors count, which stand before the notes.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct ModelBody<'a> {
    /// Architecture facts.
    #[serde(flatten)]
    pub config: &'a ModelConfig,
    /// Parameters that work on one token; null where the experts are not known.
    pub active_params: Option<ActiveParams>,
    /// Remarks about contradictions and defaults; escaped.
    pub notes: &'a [String],
}

/// A row of `tensors`. `shape` is in the format's own order: GGUF names the contiguous dimension first, safetensors last.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs)]
#[non_exhaustive]
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

/// A row of `defects`: a defect with the names of its file and tensor, which the defect itself numbers.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs)]
#[non_exhaustive]
pub struct DefectRow {
    pub kind: &'static str,
    pub file: String,
    pub tensor: Option<String>,
    pub offset: Option<u64>,
    pub stated: Option<u64>,
    pub expected: Option<u64>,
    pub message: String,
}

/// A labelled range of a file.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs)]
#[non_exhaustive]
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
#[non_exhaustive]
pub struct MetadataRow {
    pub file: String,
    pub key: String,
    pub value: serde_json::Value,
}

/// The fields of the document of `weigh show`.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs)]
#[non_exhaustive]
pub struct ShowBody<'a> {
    pub format: &'static str,
    pub totals: Totals,
    pub dtypes: Vec<DtypeRow>,
    pub roles: Vec<GroupRow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layers: Option<Vec<GroupRow>>,
    pub files: Vec<FileRow>,
    pub components: Vec<ComponentRow<'a>>,
    pub model: ModelBody<'a>,
    pub quantization: Option<&'a Quantization>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tensors: Option<Walked<'a, TensorRow>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Walked<'a, MetadataRow>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub map: Option<Walked<'a, MapRow>>,
    pub defects: Vec<DefectRow>,
    pub errors: &'a [Error],
    pub unread: &'a [UnreadFile],
    pub notes: Vec<String>,
}
