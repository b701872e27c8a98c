//! The objects of the `show` document, with the field names of the JSON.

use serde::Serialize;

use crate::checkpoint::config::ActiveParams;
use crate::checkpoint::{Adapter, Against, ModelConfig, Quantization, Ranks, Sums, Totals, UnreadFile};
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
#[non_exhaustive]
pub struct TensorRow {
    /// Name in the file; bytes that are no UTF-8 are U+FFFD.
    pub name: String,
    /// Bytes of such a name in hexadecimal; absent where the name is UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name_hex: Option<String>,
    /// Element type as the format spells it.
    pub dtype: String,
    /// Dimensions in the format's own order.
    pub shape: Vec<u64>,
    /// Number of elements that the header declares.
    pub stored_elements: u64,
    /// Number of weights, packed ones unpacked; 0 for bookkeeping and buffers.
    pub logical_params: u64,
    /// Bytes of its data in the file.
    pub bytes: u64,
    /// File that it stands in, relative to the folder asked for.
    pub file: String,
    /// First byte of its data, from the start of the file.
    pub offset: u64,
    /// What it is for, by its name: `attention`, `mlp`, `expert`, ...
    pub role: &'static str,
    /// Index of the block that it stands in; null outside of blocks.
    pub layer: Option<u32>,
    /// What its header states wrongly, one line each; escaped.
    pub notes: Vec<String>,
}

/// A row of `defects`: a defect with the names of its file and tensor, which the defect itself numbers.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct DefectRow {
    /// Stable kebab-case name of the kind of defect.
    pub kind: &'static str,
    /// File, relative to the folder asked for.
    pub file: String,
    /// Tensor that it concerns, as the file names it.
    pub tensor: Option<String>,
    /// Byte offset in the file.
    pub offset: Option<u64>,
    /// Figure that the file states.
    pub stated: Option<u64>,
    /// Figure that was expected.
    pub expected: Option<u64>,
    /// One line for a person; escaped.
    pub message: String,
}

/// A labelled range of a file.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct MapRow {
    /// File, relative to the folder asked for.
    pub file: String,
    /// What the bytes are: `header`, `padding`, `tensor`, `gap`, ...
    pub label: &'static str,
    /// Tensor whose data they are.
    pub tensor: Option<String>,
    /// First byte, from the start of the file.
    pub start: u64,
    /// First byte after the range.
    pub end: u64,
}

/// A key of a file's metadata. Long arrays are described, not listed.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct MetadataRow {
    /// File, relative to the folder asked for.
    pub file: String,
    /// Key as it stands in the file.
    pub key: String,
    /// Value; a long array or text as an object that describes it.
    pub value: serde_json::Value,
}

/// The fields of the document of `weigh show`.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct ShowBody<'a> {
    /// `safetensors`, `gguf`, or `mixed` where the selected files are of several formats or there are none.
    pub format: &'static str,
    /// Sums over the selected weight sets.
    pub totals: Totals,
    /// Sums per element type, most bytes first.
    pub dtypes: Vec<DtypeRow>,
    /// Sums per role, most bytes first.
    pub roles: Vec<GroupRow>,
    /// Sums per block in block order; absent where they were not asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layers: Option<Vec<GroupRow>>,
    /// Every file whose header was read, selected or not.
    pub files: Vec<FileRow>,
    /// Parts of the repository with their copies and forms.
    pub components: Vec<ComponentRow<'a>>,
    /// Architecture facts.
    pub model: ModelBody<'a>,
    /// The adapters among the weight sets.
    pub adapters: &'a [Adapter],
    /// How packed weights are stored; null where none are.
    pub quantization: Option<&'a Quantization>,
    /// One row a selected tensor; absent where they were not asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tensors: Option<Walked<'a, TensorRow>>,
    /// Keys and values of the files; absent where they were not asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Walked<'a, MetadataRow>>,
    /// Labelled ranges of the files; absent where they were not asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub map: Option<Walked<'a, MapRow>>,
    /// What the headers state wrongly.
    pub defects: Vec<DefectRow>,
    /// Files that could not be read.
    pub errors: &'a [Error],
    /// Weights in forms that are not read.
    pub unread: &'a [UnreadFile],
    /// What a reader of the figures should know; escaped.
    pub notes: Vec<String>,
}
