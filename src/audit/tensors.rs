//! The tensors that several checks look at.

use std::borrow::Cow;
use std::collections::HashSet;

use crate::checkpoint::{Checkpoint, DecoderStack, Named, Tensor};
use crate::stats::TensorStats;

/// Number of elements from which a vector of zeros is taken for more than a bias.
const LONG_VECTOR: u64 = 1 << 20;

/// The stack of blocks that the configuration describes.
pub(super) fn decoder(checkpoint: &Checkpoint) -> Option<DecoderStack<'_>> {
    let named = main_tensors(checkpoint).filter_map(|t| match t.name() {
        Cow::Borrowed(name) => Some(Named { name, role: t.naming.role, shape: &t.info.shape }),
        Cow::Owned(_) => None,
    });
    DecoderStack::find(named, &checkpoint.model)
}

/// The tensors of the main component.
pub(super) fn main_tensors(checkpoint: &Checkpoint) -> impl Iterator<Item = Tensor<'_>> {
    let main = checkpoint.components.iter().find(|c| c.name != "mmproj" && c.name != "adapter");
    let set = main.and_then(|c| c.weight_sets.iter().find(|s| s.selected));
    let files: HashSet<usize> = set.map(|s| s.files.iter().copied().collect()).unwrap_or_default();
    checkpoint.tensors().filter(move |t| files.contains(&t.file))
}

/// The stack that a name stands in, the number of its layer there and what follows: at the first number of the name.
pub(super) fn layer_of(name: &str) -> Option<(&str, u32, &str)> {
    let mut start = 0;
    for piece in name.split('.') {
        if start > 0 && piece.len() <= 6 && !piece.is_empty() && piece.bytes().all(|b| b.is_ascii_digit()) {
            return Some((&name[..start - 1], piece.parse().ok()?, name.get(start + piece.len() + 1..)?));
        }
        start += piece.len() + 1;
    }
    None
}

/// Whether a tensor is a matrix, or too long for a bias.
pub(super) fn is_long(tensor: &Tensor<'_>, stats: &TensorStats) -> bool {
    tensor.info.shape.iter().filter(|d| **d > 1).count() >= 2 || stats.elements >= LONG_VECTOR
}
