//! The order in which `llama-quantize` writes, and what it reads off the names.

use super::category::{self, Category};
use crate::project::input::ProjectTensor;
use crate::project::written::gguf_file::info_bytes;

/// Order and categories, worked out once for all targets of a checkpoint.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// Indices of the tensors in output order.
    pub(super) order: Vec<u32>,
    /// Category, block, and whether it may be quantized; in source order.
    pub(super) facts: Vec<(Category, Option<u64>, bool)>,
    /// Bytes of the tensor infos.
    pub(super) infos: u64,
}

impl Prepared {
    /// Sorts and classifies. Output order: N of `blk.N.` (other names first), then the name byte by byte.
    pub(crate) fn of(tensors: &[ProjectTensor<'_>]) -> Self {
        let facts: Vec<_> = tensors
            .iter()
            .map(|t| (Category::of(&t.name), category::block(&t.name), category::may_quantize(&t.name, t.effective_dims())))
            .collect();
        let mut order: Vec<u32> = (0..u32::try_from(tensors.len()).unwrap_or(u32::MAX)).collect();
        order.sort_by(|&a, &b| {
            let key = |i: u32| (facts[i as usize].1, tensors[i as usize].name.as_bytes());
            key(a).cmp(&key(b))
        });
        let infos = tensors.iter().map(|t| info_bytes(t.name_bytes, t.effective_dims())).sum();
        Self { order, facts, infos }
    }
}
