//! What a scheme decides: the tensors of the projected checkpoint, one by one, and the size of its files.

use std::borrow::Cow;

use serde::Serialize;

use super::input::ProjectTensor;
use crate::dtype::Dtype;
use crate::format::Shape;
use crate::units::Elements;

/// How far a figure can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// Right to the byte for the stated tool and version.
    Exact,
    /// Right but for what the notes name.
    Estimate,
    /// Between two stated figures.
    Range,
    /// Not projected; the notes say why.
    Refused,
}

/// What happened to a tensor on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Stored in the same type as before.
    Kept,
    /// Stored in another type.
    Retyped,
    /// Stored in another type than the rule wanted, since its rows do not fill that type's blocks; it may be the type it has.
    Fallback {
        /// What the rule wanted.
        wanted: Dtype,
    },
    /// Added by the scheme: scales, zero points and the like.
    Added,
    /// Added since it is no longer the tensor that it shared: an output head that was the embedding.
    Untied,
}

/// One tensor of the projected checkpoint.
#[derive(Debug, Clone)]
pub struct OutTensor<'a> {
    /// Name in the projected file.
    pub name: Cow<'a, str>,
    /// Length of the name in the file, in bytes.
    pub name_bytes: u64,
    /// Element type in the projected file.
    pub dtype: Dtype,
    /// Sizes of the dimensions, outermost first.
    pub shape: Shape,
    /// Bytes on disk, without padding.
    pub bytes: u64,
    /// Index of the tensor it is made of; `None` where it is made of several or computed.
    pub source: Option<u32>,
    /// What happened to it on the way.
    pub change: Change,
}

impl<'a> OutTensor<'a> {
    /// A tensor stored as before.
    pub fn kept(index: usize, tensor: &ProjectTensor<'a>) -> Self {
        Self {
            name: tensor.name.clone(),
            name_bytes: tensor.name_bytes,
            dtype: tensor.dtype,
            shape: tensor.shape.clone(),
            bytes: tensor.bytes,
            source: u32::try_from(index).ok(),
            change: Change::Kept,
        }
    }

    /// The same tensor in another type; `None` where the elements do not fill whole blocks or the size does not fit 64 bits.
    pub fn retyped(index: usize, tensor: &ProjectTensor<'a>, dtype: Dtype) -> Option<Self> {
        if dtype == tensor.dtype {
            return Some(Self::kept(index, tensor));
        }
        let bytes = dtype.bytes_of(Elements(tensor.elements))?.0;
        Some(Self { dtype, bytes, change: Change::Retyped, ..Self::kept(index, tensor) })
    }

    /// A tensor that the scheme adds.
    pub fn added(name: String, dtype: Dtype, shape: &[u64]) -> Option<Self> {
        let elements = shape.iter().try_fold(1u64, |n, &d| n.checked_mul(d))?;
        Some(Self {
            name_bytes: name.len() as u64,
            name: Cow::Owned(name),
            dtype,
            shape: Shape::from_slice(shape),
            bytes: dtype.bytes_of(Elements(elements))?.0,
            source: None,
            change: Change::Added,
        })
    }
}

/// The size of the projected files. Header and padding are parts of `likely`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FileSize {
    /// Number of files that are written.
    pub files: u64,
    /// The exact or likeliest size of all files together.
    pub likely: u64,
    /// Everything before the data.
    pub header: u64,
    /// Between and after tensors.
    pub padding: u64,
    /// Lowest and highest size, where it is a range.
    pub range: Option<(u64, u64)>,
}

/// A projected checkpoint.
#[derive(Debug, Clone)]
pub struct Plan<'a> {
    /// Tensors of the projected checkpoint.
    pub tensors: Vec<OutTensor<'a>>,
    /// How far it can be trusted.
    pub basis: Basis,
    /// Its files; `None` where only the tensors are known.
    pub file: Option<FileSize>,
    /// Lowest and highest bytes of the tensors, where they are a range.
    pub tensor_range: Option<(u64, u64)>,
    /// Remarks on the figures for the reader, already escaped.
    pub notes: Vec<String>,
}

/// Why a scheme gives no figures.
#[derive(Debug, Clone)]
pub struct Refusal<'a> {
    /// The reason; escaped.
    pub reason: String,
    /// The types the tensors would have, where the tool can tell them although it refuses to write.
    pub would_be: Option<Vec<OutTensor<'a>>>,
}

impl Refusal<'_> {
    /// A refusal without figures.
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), would_be: None }
    }
}

/// Result of a scheme.
pub type PlanResult<'a> = Result<Plan<'a>, Refusal<'a>>;

/// The refusal for sizes that do not fit.
pub(crate) fn too_large<'a>(name: &str) -> Refusal<'a> {
    Refusal::new(format!("the size of `{}` in the target type does not fit 64 bits or whole blocks", crate::text::escape(name)))
}
