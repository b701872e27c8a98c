//! Files of a split checkpoint.

use serde::Serialize;

use super::safetensors_file::Entry;
use crate::dtype::Dtype;

/// One tensor as the splitters see it.
#[derive(Debug, Clone, Copy)]
pub struct ShardTensor<'t> {
    /// Name of the tensor.
    pub name: &'t str,
    /// Length of the name in the file, in bytes.
    pub name_bytes: u64,
    /// Element type on disk.
    pub dtype: Dtype,
    /// Sizes of the dimensions, outermost first.
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
    /// Returns its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::AsGiven => "file",
            Self::NaturalNames => "natural names",
        }
    }
}

impl<'t> ShardTensor<'t> {
    /// As the writer of a safetensors file sees it.
    pub(crate) fn entry(&self) -> Entry<'t> {
        Entry { name: self.name, dtype: self.dtype, shape: self.shape, bytes: self.bytes }
    }
}

/// One file of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Shard {
    /// Name of the file.
    pub name: String,
    /// Number of tensors in the file.
    pub tensors: u64,
    /// Their bytes, without padding.
    pub tensor_bytes: u64,
    /// Bytes of the file, header included.
    pub file_bytes: u64,
}
