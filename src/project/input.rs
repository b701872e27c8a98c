//! The view that projections read: tensors with what they mean, and the few header facts that file sizes depend on.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};

use crate::checkpoint::{Checkpoint, HfFolder, ModelConfig, Part, Quantization, Role, Shortfall, Tensor};
use crate::dtype::Dtype;
use crate::format::{Container, Format, Metadata, MetadataValue, Shape};

/// One tensor of the checkpoint that is projected.
#[derive(Debug, Clone)]
pub struct ProjectTensor<'a> {
    /// Its name; bytes that are no UTF-8 become U+FFFD.
    pub name: Cow<'a, str>,
    /// Length of the name in the file, in bytes.
    pub name_bytes: u64,
    /// Role in the model, told by its name.
    pub role: Role,
    /// Index of the block it stands in.
    pub layer: Option<u32>,
    /// Element type on disk.
    pub dtype: Dtype,
    /// Sizes of the dimensions, outermost first.
    pub shape: Shape,
    /// Number of elements as stored: of packed weights, the words.
    pub elements: u64,
    /// Logical parameters: packed weights unpacked; 0 for bookkeeping and buffers.
    pub logical_params: u64,
    /// Bytes of its data on disk, without padding.
    pub bytes: u64,
    /// Weight, bookkeeping of a quantization, or buffer.
    pub part: Part,
    /// Whether it holds weights in packed form.
    pub packed: bool,
    /// The shape of a packed weight before it was packed, where it is known.
    pub logical_shape: Option<Shape>,
}

impl<'a> ProjectTensor<'a> {
    /// A weight of a known dtype with its elements and bytes worked out from the shape; for callers without a checkpoint.
    /// Elements saturate; bytes are 0 where the elements do not fill whole blocks.
    pub fn weight(name: impl Into<Cow<'a, str>>, role: Role, layer: Option<u32>, dtype: Dtype, shape: &[u64]) -> Self {
        let name = name.into();
        let elements = shape.iter().fold(1u64, |n, &d| n.saturating_mul(d));
        let bytes = dtype.bytes_of(crate::units::Elements(elements)).map_or(0, |b| b.0);
        Self {
            name_bytes: name.len() as u64,
            name,
            role,
            layer,
            dtype,
            shape: Shape::from_slice(shape),
            elements,
            logical_params: elements,
            bytes,
            part: Part::Weight,
            packed: false,
            logical_shape: None,
        }
    }

    /// Elements of one row: the contiguous dimension; 1 for a scalar.
    pub fn row_len(&self) -> u64 {
        self.shape.last().copied().unwrap_or(1)
    }

    /// Dimensions without outer ones, at least 1: what ggml counts as the dimensions of a tensor.
    pub fn effective_dims(&self) -> usize {
        let ones = self.shape.iter().take_while(|&&d| d == 1).count();
        (self.shape.len() - ones).max(1)
    }
}

/// What a GGUF header says that the quantizer's decisions and file sizes depend on.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct GgufSource {
    /// Bytes of all keys and values, `split.*` keys left out.
    pub kv_bytes: u64,
    /// `general.alignment`, 32 where it is absent.
    pub alignment: u64,
    /// Whether `general.file_type` is there.
    pub has_file_type: bool,
    /// Whether `general.quantization_version` is there.
    pub has_quantization_version: bool,
    /// `general.architecture`.
    pub architecture: String,
    /// `{arch}.block_count`, multi-token prediction layers included.
    pub block_count: u64,
    /// `{arch}.attention.head_count` of layer 0.
    pub head_count: u64,
    /// `{arch}.attention.head_count_kv` of layer 0; that of `head_count` where it is absent.
    pub head_count_kv: u64,
    /// `{arch}.expert_count`, 0 where it is absent.
    pub expert_count: u64,
    /// Numbers under the architecture's keys, the prefix left out; a truth value is 0 or 1, a number stands alone.
    pub keys: BTreeMap<String, Vec<f64>>,
    /// Tokens of the vocabulary, where it is in the file.
    pub vocabulary: Option<u64>,
    /// Other components of the folder: adapters, a projector, a draft model.
    pub beside: Vec<Beside>,
}

/// A component beside the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beside {
    /// As the checkpoint names it: `mmproj`, `adapter`, ...
    pub name: String,
    /// Places of its tensors in [`ProjectInput::tensors`], ascending.
    pub tensors: Vec<usize>,
}

impl GgufSource {
    /// Reads the facts from a file's keys. `kv_bytes` is the length of the key section as it stands in the file.
    pub fn new(metadata: &Metadata, kv_bytes: u64, alignment: u64) -> Self {
        let architecture = metadata.text("general.architecture").unwrap_or_default().to_owned();
        let first = |key: &str| {
            let key = format!("{architecture}.{key}");
            metadata.count(&key).or_else(|| metadata.numbers(&key)?.first().map(|&n| n as u64))
        };
        // The types the splitter gives these keys: u16, u16, i32. A key costs 8 + its length + 4 + its value.
        let split = [("split.no", 2), ("split.count", 2), ("split.tensors.count", 4)];
        let split_bytes: u64 =
            split.iter().filter(|(key, _)| metadata.get(key).is_some()).map(|(key, n)| 8 + key.len() as u64 + 4 + n).sum();
        let head_count = first("attention.head_count").unwrap_or(0);
        Self {
            kv_bytes: kv_bytes.saturating_sub(split_bytes),
            alignment: alignment.max(1),
            has_file_type: metadata.get("general.file_type").is_some(),
            has_quantization_version: metadata.get("general.quantization_version").is_some(),
            block_count: first("block_count").unwrap_or(0),
            head_count,
            head_count_kv: first("attention.head_count_kv").unwrap_or(head_count),
            expert_count: first("expert_count").unwrap_or(0),
            keys: numbers(metadata, &architecture),
            vocabulary: metadata.array_len("tokenizer.ggml.tokens"),
            beside: Vec::new(),
            architecture,
        }
    }

    /// Whether a tensor belongs to a component beside the model.
    pub fn is_beside(&self, place: usize) -> bool {
        self.beside.iter().any(|other| other.tensors.binary_search(&place).is_ok())
    }
}

/// Where the tensors of an input are known from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Provenance {
    /// They are those that config.json declares: no weights were read.
    pub declared: bool,
    /// Why they are not all of the model's.
    pub shortfall: Option<Shortfall>,
    /// They are joined from the slices of tensor-parallel ranks, which no converter reads as they are.
    pub sliced: bool,
}

impl Provenance {
    /// Why a projection of these tensors is an estimate where it would be exact of tensors read from whole files; `None` where it is not.
    pub fn estimate_reason(&self) -> Option<&'static str> {
        if self.declared {
            Some("exact if the weights are those that config.json declares")
        } else if self.sliced {
            Some("of the model that the slices of all ranks make: no converter reads them as they are")
        } else {
            None
        }
    }
}

/// Everything a projection reads.
#[derive(Debug, Clone)]
pub struct ProjectInput<'a> {
    /// The one format of the files; `None` when they are of several.
    pub format: Option<Format>,
    /// Tensors of the selected weight sets, in file and header order. Slices of tensor-parallel ranks are joined where it is known how
    /// they were cut: one tensor stands for all of them then.
    pub tensors: Vec<ProjectTensor<'a>>,
    /// Bytes of the selected files.
    pub file_bytes: u64,
    /// Bytes of their headers: everything before the data, padding between header and data left out.
    pub header_bytes: u64,
    /// Number of files that hold the selected tensors.
    pub files: u64,
    /// Sizes of the model from its configuration or GGUF keys.
    pub model: &'a ModelConfig,
    /// How packed weights are stored, where they are.
    pub quantization: Option<&'a Quantization>,
    /// `__metadata__` of the first safetensors file, in its order; `None` for GGUF, and where it is too long to be kept whole.
    pub safetensors_metadata: Option<Vec<(String, String)>>,
    /// Figures of the first GGUF header; `None` for other formats.
    pub gguf: Option<GgufSource>,
    /// What lies beside the weights of a Hugging Face folder. Without it, GGUF targets are estimates.
    pub folder: Option<&'a HfFolder>,
    /// Where the tensors are known from.
    pub provenance: Provenance,
}

impl<'a> ProjectInput<'a> {
    /// The view of a checkpoint's selected weight sets.
    pub fn from_checkpoint(checkpoint: &'a Checkpoint) -> Self {
        let whole = |t: Tensor<'a>| ProjectTensor {
            name_bytes: t.container.name_bytes(t.info).len() as u64,
            name: t.name(),
            role: t.naming.role,
            layer: t.naming.layer,
            dtype: t.info.dtype,
            shape: t.info.shape.clone(),
            elements: t.info.elements,
            logical_params: t.logical_params,
            bytes: t.info.bytes,
            part: t.part,
            packed: t.packed.is_some(),
            logical_shape: t.packed.and_then(Option::as_ref).cloned(),
        };
        let tensors: Vec<ProjectTensor<'a>> = if checkpoint.is_joined() {
            checkpoint.tensors().filter_map(|t| joined(checkpoint, t, whole(t))).collect()
        } else {
            checkpoint.tensors().map(whole).collect()
        };
        let files: Vec<&'a Container> = checkpoint.selected_files().into_iter().map(|i| &checkpoint.files[i].container).collect();
        let sum = |f: fn(&Container) -> u64| files.iter().fold(0u64, |n, c| n.saturating_add(f(c)));
        let format = checkpoint.format();
        let first = files.first().copied();
        Self {
            format,
            tensors,
            // What the headers promise: a truncated file is projected as if it were whole.
            file_bytes: sum(|c| c.file_len.saturating_add(c.missing_bytes)),
            header_bytes: sum(|c| c.layout.magic.saturating_add(c.layout.metadata).saturating_add(c.layout.header)),
            files: files.len() as u64,
            model: &checkpoint.model,
            quantization: checkpoint.quantization.as_ref(),
            safetensors_metadata: first.filter(|c| c.format == Format::Safetensors).and_then(safetensors_metadata),
            gguf: main_file(checkpoint)
                .or(first)
                .filter(|c| c.format == Format::Gguf)
                .map(|c| GgufSource::new(&c.metadata, c.layout.metadata, c.layout.alignment))
                .map(|source| GgufSource { beside: beside(checkpoint), ..source }),
            folder: None,
            provenance: Provenance {
                declared: checkpoint.declared,
                shortfall: checkpoint.shortfall(),
                sliced: checkpoint.is_sliced(),
            },
        }
    }

    /// The same with the folder's tokenizer and card, which exact GGUF sizes need.
    #[must_use]
    pub fn with_folder(self, folder: Option<&'a HfFolder>) -> Self {
        Self { folder, ..self }
    }

    /// Bytes of the tensors.
    pub fn tensor_bytes(&self) -> u64 {
        self.tensors.iter().fold(0, |n, t| n.saturating_add(t.bytes))
    }

    /// Logical parameters of the tensors.
    pub fn logical_params(&self) -> u64 {
        self.tensors.iter().fold(0, |n, t| n.saturating_add(t.logical_params))
    }

    /// Whether weights are packed: bookkeeping tensors of a quantization are there, or one was recognised.
    pub fn is_packed(&self) -> bool {
        self.format != Some(Format::Gguf) && (self.quantization.is_some() || self.tensors.iter().any(|t| t.part == Part::Auxiliary))
    }
}

/// A tensor of the first rank as all ranks hold it together; `None` for those of the other ranks.
fn joined<'a>(checkpoint: &'a Checkpoint, t: Tensor<'a>, mut tensor: ProjectTensor<'a>) -> Option<ProjectTensor<'a>> {
    let Some((ranks, rank)) = checkpoint.rank_of(t.file) else { return Some(tensor) };
    if rank > 0 {
        return None;
    }
    let (axis, parts) = ranks.cut(t.container.name_bytes(t.info))?;
    if let Some(dimension) = tensor.shape.get_mut(axis) {
        *dimension = dimension.saturating_mul(parts);
    }
    for amount in [&mut tensor.elements, &mut tensor.logical_params, &mut tensor.bytes] {
        *amount = amount.saturating_mul(parts);
    }
    tensor.logical_shape = tensor.logical_shape.map(|_| tensor.shape.clone());
    Some(tensor)
}

/// The component that a model runs as: the first that is neither a projector nor an adapter.
fn main_component(checkpoint: &Checkpoint) -> Option<usize> {
    checkpoint.components.iter().position(|c| !c.name.starts_with("mmproj") && !c.name.starts_with("adapter"))
}

/// The first file of that component.
fn main_file(checkpoint: &Checkpoint) -> Option<&Container> {
    let main = &checkpoint.components[main_component(checkpoint)?];
    let file = main.weight_sets.iter().find(|set| set.selected)?.files.first()?;
    Some(&checkpoint.files.get(*file)?.container)
}

/// The other components with the places of their tensors.
fn beside(checkpoint: &Checkpoint) -> Vec<Beside> {
    let Some(main) = main_component(checkpoint).filter(|_| checkpoint.components.len() > 1) else { return Vec::new() };
    let others = checkpoint.components.iter().enumerate().filter(|(i, _)| *i != main);
    others
        .map(|(_, component)| {
            let files: HashSet<usize> =
                component.weight_sets.iter().filter(|set| set.selected).flat_map(|set| set.files.iter().copied()).collect();
            let places = checkpoint.tensors().enumerate().filter(|(_, t)| files.contains(&t.file)).map(|(place, _)| place);
            Beside { name: component.name.clone(), tensors: places.collect() }
        })
        .filter(|other| !other.tensors.is_empty())
        .collect()
}

/// The numeric values under `architecture.`, the first of each key.
fn numbers(metadata: &Metadata, architecture: &str) -> BTreeMap<String, Vec<f64>> {
    let mut keys = BTreeMap::new();
    for (key, value) in metadata.entries() {
        let Some(name) = key.strip_prefix(architecture).and_then(|rest| rest.strip_prefix('.')) else { continue };
        let values = match value {
            MetadataValue::Unsigned(n) => vec![*n as f64],
            MetadataValue::Signed(n) => vec![*n as f64],
            MetadataValue::Float(n) => vec![*n],
            MetadataValue::Bool(flag) => vec![f64::from(u8::from(*flag))],
            MetadataValue::Numbers(values) => values.clone(),
            MetadataValue::Text { .. } | MetadataValue::Array { .. } => continue,
        };
        keys.entry(name.to_owned()).or_insert(values);
    }
    keys
}

fn safetensors_metadata(container: &Container) -> Option<Vec<(String, String)>> {
    let entries = container.metadata.entries();
    entries
        .iter()
        .map(|(key, value)| match value {
            MetadataValue::Text { text, bytes } if text.len() as u64 == *bytes => Some((key.clone(), text.clone())),
            _ => None,
        })
        .collect()
}
