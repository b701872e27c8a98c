//! The tensors of a checkpoint by name, with what the configuration and a reader of small tensors add.

use std::cell::RefCell;
use std::collections::HashMap;

use serde_json::Value;

use super::configured::Configured;
use super::hints::Hints;
use super::{ReadSmall, TensorView};
use crate::dtype::Dtype;

/// Longest tensor that is read: the text of a quant_state or two integers.
const MAX_SMALL: u64 = 64 * 1024;

pub(super) struct Tensors<'a> {
    pub(super) views: &'a [TensorView<'a>],
    pub(super) configured: &'a Configured<'a>,
    pub(super) hints: Hints,
    by_name: HashMap<&'a str, usize>,
    read_small: Option<ReadSmall<'a>>,
    name: RefCell<String>,
}

impl<'a> Tensors<'a> {
    pub(super) fn new(
        views: &'a [TensorView<'a>],
        config: Option<&'a Value>,
        configured: &'a Configured<'a>,
        read_small: Option<ReadSmall<'a>>,
    ) -> Self {
        // Only looked up, never walked: the order of what comes out is the order of the tensors.
        let by_name = views.iter().enumerate().map(|(index, view)| (view.name, index)).collect();
        Self { views, configured, hints: Hints::of(config), by_name, read_small, name: RefCell::new(String::new()) }
    }

    /// The place of the tensor `stem` + `suffix`.
    pub(super) fn find(&self, stem: &str, suffix: &str) -> Option<usize> {
        let mut name = self.name.borrow_mut();
        name.clear();
        name.push_str(stem);
        name.push_str(suffix);
        self.by_name.get(name.as_str()).copied()
    }

    /// The tensor `stem` + `suffix`.
    pub(super) fn view(&self, stem: &str, suffix: &str) -> Option<&TensorView<'a>> {
        self.find(stem, suffix).map(|index| &self.views[index])
    }

    pub(super) fn dtype(&self, stem: &str, suffix: &str) -> Option<Dtype> {
        self.view(stem, suffix).map(|view| view.dtype)
    }

    /// The bytes of a small tensor, where they can be had.
    pub(super) fn small(&self, stem: &str, suffix: &str) -> Option<Vec<u8>> {
        let index = self.find(stem, suffix)?;
        let view = &self.views[index];
        if view.bytes > MAX_SMALL {
            return None;
        }
        (self.read_small?)(index).filter(|bytes| bytes.len() as u64 == view.bytes)
    }

    /// A small tensor of I64 or I32 values, all at least 0 (a shape, a number of bits).
    pub(super) fn small_integers(&self, stem: &str, suffix: &str) -> Option<Vec<u64>> {
        let width = match self.dtype(stem, suffix)? {
            Dtype::I64 | Dtype::U64 => 8,
            Dtype::I32 | Dtype::U32 => 4,
            _ => return None,
        };
        let bytes = self.small(stem, suffix)?;
        bytes
            .chunks_exact(width)
            .map(|chunk| {
                let mut wide = [0u8; 8];
                wide[..width].copy_from_slice(chunk);
                // A negative number would read as one above 2^31 or 2^63: no dimension.
                Some(u64::from_le_bytes(wide)).filter(|&n| n < 1 << 31)
            })
            .collect()
    }
}
