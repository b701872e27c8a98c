//! What the bytes of one file say: tensors, metadata, and what is odd about them.
//!
//! Readers here are tolerant: they return facts and [`Defect`]s, and fail only when nothing can be said. They read headers with
//! positioned reads through a bounded window and never touch tensor data.

mod budget;
mod byte_map;
mod formats;
mod json;
pub mod limits;
mod metadata;
mod names;
mod reader;
mod second_opinion;
mod sniff;

use std::collections::HashMap;
use std::collections::hash_map::{Entry, RandomState};
use std::hash::BuildHasher;

use smallvec::SmallVec;

pub use budget::Budget;
pub use byte_map::{ByteMap, Region, RegionKind, Regions};
pub use formats::FORMATS;
pub(crate) use json::{BYTE_ORDER_MARK, python_json, python_json_members, python_json_past_mark};
pub(crate) use json::{JsonReader, JsonToken};
pub use metadata::{Metadata, MetadataValue};
pub(crate) use names::NameArena;
pub(crate) use reader::HeaderReader;
pub use second_opinion::{SecondOpinion, second_opinion};
pub(crate) use sniff::not_a_checkpoint;
pub use sniff::{Content, sniff};

use crate::dtype::Dtype;
use crate::error::Result;
use crate::source::Source;

/// Dimensions, outermost first, as numpy and PyTorch print them: the last one is contiguous. GGUF stores them the other way
/// round; its reader turns them.
pub type Shape = SmallVec<[u64; 4]>;

/// The product of the dimensions: 1 for a scalar, 0 where any dimension is 0, `None` where it does not fit 64 bits.
fn element_count(shape: &[u64]) -> Option<u64> {
    if shape.contains(&0) {
        return Some(0);
    }
    shape.iter().try_fold(1u64, |product, &dim| product.checked_mul(dim))
}

/// The format of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Format {
    /// 8-byte header length, JSON header, data.
    Safetensors,
    /// GGUF version 2 or 3, little-endian.
    Gguf,
}

impl Format {
    /// Lower-case name as in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Safetensors => "safetensors",
            Self::Gguf => "gguf",
        }
    }
}

/// One row of the registry of formats.
pub struct FormatReader {
    /// The format this row reads.
    pub format: Format,
    /// File-name endings, lower case, without the point.
    pub extensions: &'static [&'static str],
    /// Whether the first bytes of a file are this format's.
    pub recognises: fn(&[u8]) -> bool,
    /// Reads the header.
    pub parse: fn(&dyn Source) -> Result<Container>,
}

/// One tensor as its header declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    pub(crate) name: names::NameId,
    /// Element type.
    pub dtype: Dtype,
    /// Dimensions, outermost first.
    pub shape: Shape,
    /// Stored elements: the product of the dimensions; 0 with a defect where it does not fit 64 bits.
    pub elements: u64,
    /// First byte, from the start of the file.
    pub offset: u64,
    /// Bytes in the file: from the offsets in safetensors, from dtype and shape in GGUF (from the next offset where the type is
    /// unknown).
    pub bytes: u64,
}

impl TensorInfo {
    /// Elements of one row: the contiguous dimension; 1 for a scalar.
    pub fn row_len(&self) -> u64 {
        self.shape.last().copied().unwrap_or(1)
    }

    /// First byte after the tensor, saturating.
    pub fn end(&self) -> u64 {
        self.offset.saturating_add(self.bytes)
    }
}

/// What is odd about a file. The reader states it; judging is left to the audit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum DefectKind {
    /// The file ends before data that its header promises.
    Truncated,
    /// Bytes after the last tensor.
    TrailingBytes,
    /// Bytes between tensors that belong to none.
    Gap,
    /// Two tensors share bytes.
    Overlap,
    /// Offsets and shape x dtype disagree.
    SizeMismatch,
    /// The product of the dimensions does not fit 64 bits.
    ShapeOverflow,
    /// Two tensors (or keys) of one name.
    DuplicateName,
    /// A dtype spelling or id in no table.
    UnknownDtype,
    /// Elements do not fill whole blocks of the dtype.
    PartialBlock,
    /// An offset that is not a multiple of the alignment (GGUF), or of the element size (safetensors, a remark).
    Misaligned,
    /// Tensor data is not in the order of the tensor infos (GGUF).
    Unordered,
    /// The header does not start with `{`, or is padded with something else than spaces.
    HeaderPadding,
    /// A field that the format does not define.
    UnknownField,
    /// A value that the format's documents forbid but readers accept (null metadata, a name over 63 bytes, ...).
    OddValue,
    /// A value for which readers of the format refuse the file (five dimensions, an empty key, ...).
    ForbiddenValue,
    /// Two metadata values under one key.
    DuplicateMetadata,
    /// Text that is no UTF-8.
    NotUtf8,
}

impl DefectKind {
    /// Stable kebab-case name.
    pub fn code(self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::TrailingBytes => "trailing-bytes",
            Self::Gap => "gap",
            Self::Overlap => "overlap",
            Self::SizeMismatch => "size-mismatch",
            Self::ShapeOverflow => "shape-overflow",
            Self::DuplicateName => "duplicate-name",
            Self::UnknownDtype => "unknown-dtype",
            Self::PartialBlock => "partial-block",
            Self::Misaligned => "misaligned",
            Self::Unordered => "unordered",
            Self::HeaderPadding => "header-padding",
            Self::UnknownField => "unknown-field",
            Self::OddValue => "odd-value",
            Self::ForbiddenValue => "forbidden-value",
            Self::DuplicateMetadata => "duplicate-metadata",
            Self::NotUtf8 => "not-utf8",
        }
    }
}

/// Something odd, with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Defect {
    /// What is odd.
    pub kind: DefectKind,
    /// Index of the tensor it concerns.
    pub tensor: Option<u32>,
    /// Byte offset in the file.
    pub offset: Option<u64>,
    /// The figure the file states.
    pub stated: Option<u64>,
    /// The figure that was expected.
    pub expected: Option<u64>,
    /// One line for a person; foreign text in it is escaped.
    pub message: String,
}

/// Where the parts of a file lie, from which the byte map is derived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Layout {
    /// Bytes of the fixed start: 8 in safetensors (the header length), 24 in GGUF (magic, version, two counts).
    pub magic: u64,
    /// Bytes of metadata that follow it (GGUF keys; 0 in safetensors, whose metadata lies inside the JSON).
    pub metadata: u64,
    /// Bytes of the header proper: the JSON, or the GGUF tensor infos.
    pub header: u64,
    /// First byte of the data section.
    pub data_start: u64,
    /// Alignment of tensors in the data section; 1 in safetensors.
    pub alignment: u64,
}

/// Everything one file's header says.
#[derive(Debug, Clone)]
pub struct Container {
    /// The format.
    pub format: Format,
    /// Format version: 3 in most GGUF files; 0 in safetensors, which has none.
    pub version: u32,
    /// Length of the file in bytes.
    pub file_len: u64,
    /// Where the parts lie.
    pub layout: Layout,
    /// Tensors in header order.
    pub tensors: Vec<TensorInfo>,
    /// Key-value metadata in file order.
    pub metadata: Metadata,
    /// What is odd, in the order it was met; at most [`limits::MAX_DEFECTS`], the rest is counted in `defects_dropped`.
    pub defects: Vec<Defect>,
    /// Defects over the limit.
    pub defects_dropped: u64,
    /// Spellings (safetensors) or ids (GGUF) behind [`Dtype::Unknown`].
    pub unknown_dtypes: Vec<String>,
    /// Bytes that the header claims beyond the end of the file.
    pub missing_bytes: u64,
    pub(crate) names: NameArena,
}

impl Container {
    /// The name of a tensor; bytes that are no UTF-8 become U+FFFD.
    pub fn name(&self, tensor: &TensorInfo) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(self.names.bytes(tensor.name))
    }

    /// The name as it stands in the file.
    pub fn name_bytes(&self, tensor: &TensorInfo) -> &[u8] {
        self.names.bytes(tensor.name)
    }

    /// The dtype as the file spells it; GGUF ids without a name are `ggml type 99`.
    pub fn dtype_name(&self, dtype: Dtype) -> &str {
        match dtype {
            Dtype::Unknown(i) => self.unknown_dtypes.get(usize::from(i)).map_or("unknown", String::as_str),
            known => known.name().unwrap_or("unknown"),
        }
    }

    /// Sum of the tensors' bytes as declared (before any truncation).
    pub fn tensor_bytes(&self) -> u64 {
        self.tensors.iter().fold(0u64, |sum, t| sum.saturating_add(t.bytes))
    }

    /// Sum of the tensors' stored elements.
    pub fn stored_elements(&self) -> u64 {
        self.tensors.iter().fold(0u64, |sum, t| sum.saturating_add(t.elements))
    }

    /// Whether the file ends before data that its header promises.
    pub fn is_truncated(&self) -> bool {
        self.missing_bytes > 0
    }

    /// The index of an unknown spelling, new or met before. Past the limit, the last one stands for all further ones.
    pub(crate) fn unknown_dtype(&mut self, spelling: &str) -> u16 {
        let kept = (0..=spelling.len().min(limits::MAX_DTYPE_SPELLING)).rev().find(|&end| spelling.is_char_boundary(end));
        let spelling = &spelling[..kept.unwrap_or(0)];
        let known = self.unknown_dtypes.iter().position(|s| s == spelling);
        let index = known.unwrap_or_else(|| {
            if self.unknown_dtypes.len() < limits::MAX_UNKNOWN_DTYPES {
                self.unknown_dtypes.push(spelling.to_owned());
            }
            self.unknown_dtypes.len() - 1
        });
        u16::try_from(index).unwrap_or(u16::MAX)
    }

    /// Notes tensors of one name. Hashes only are held, so that two million names cost little; equal hashes are compared.
    pub(crate) fn find_duplicate_names(&mut self) {
        let state = RandomState::new();
        // Nearly every file has none: sorted hashes tell that faster than a table does.
        let mut hashes: Vec<u64> = self.tensors.iter().map(|t| state.hash_one(self.names.bytes(t.name))).collect();
        hashes.sort_unstable();
        if hashes.windows(2).all(|pair| pair[0] != pair[1]) {
            return;
        }
        drop(hashes);
        let mut first_of: HashMap<u64, u32> = HashMap::with_capacity(self.tensors.len());
        let mut found = Vec::new();
        for (i, tensor) in self.tensors.iter().enumerate() {
            let index = u32::try_from(i).unwrap_or(u32::MAX);
            let name = self.names.bytes(tensor.name);
            match first_of.entry(state.hash_one(name)) {
                Entry::Vacant(free) => {
                    free.insert(index);
                }
                Entry::Occupied(first) if self.names.bytes(self.tensors[*first.get() as usize].name) == name => found.push(index),
                Entry::Occupied(_) => {}
            }
        }
        for index in found {
            let name = crate::text::escape_limited(&self.name(&self.tensors[index as usize]), 80);
            let message = format!("`{name}` stands twice in the header (duplicate); readers keep one of them in silence");
            self.push_defect(Defect {
                kind: DefectKind::DuplicateName,
                tensor: Some(index),
                offset: None,
                stated: None,
                expected: None,
                message,
            });
        }
    }

    pub(crate) fn push_defect(&mut self, defect: Defect) {
        if self.defects.len() < limits::MAX_DEFECTS {
            self.defects.push(defect);
        } else {
            self.defects_dropped += 1;
        }
    }
}

/// What reading the header of a source will take, in bytes of a safetensors header; 0 where it is none that is read. Only the first bytes
/// are looked at.
///
/// # Errors
/// Only I/O errors.
pub(crate) fn header_cost(source: &dyn Source) -> Result<u64> {
    /// A tensor info and a key of a GGUF file as entries of a header: name, shape, offsets.
    const INFO: u64 = 64;
    const KEY: u64 = 32;
    let mut head = [0; 24];
    let read = source.read_at(0, &mut head)?;
    let number = |at: usize| head[at..at + 8].iter().rev().fold(0u64, |n, byte| n << 8 | u64::from(*byte));
    if read == head.len() && head.starts_with(b"GGUF") {
        let least = number(8).saturating_mul(INFO).saturating_add(number(16).saturating_mul(KEY));
        // More than the file has room for is refused by its reader.
        return Ok(if least / 4 > source.len() { 0 } else { least });
    }
    let stated = number(0);
    Ok(if stated <= limits::MAX_SAFETENSORS_HEADER.min(source.len()) { stated } else { 0 })
}

/// Reads the header of a source, deciding the format by its first bytes.
///
/// # Errors
/// [`crate::error::ErrorKind::WrongContent`] names what the content is instead (LFS pointer, HTML page, pickle, ...); otherwise what the format's
/// reader says.
pub fn read(source: &dyn Source) -> Result<Container> {
    match sniff(source)? {
        Content::Checkpoint(format) => {
            let row = FORMATS.iter().find(|row| row.format == format);
            row.map_or_else(|| Err(sniff::not_a_checkpoint(source, &Content::Unknown)), |row| (row.parse)(source))
        }
        other => Err(sniff::not_a_checkpoint(source, &other)),
    }
}
