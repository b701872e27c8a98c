//! From a checkpoint to what a scan takes: the selected tensors, file by file.

use crate::checkpoint::{Checkpoint, Part, Role};
use crate::error::{Error, ErrorKind, Result};
use crate::text::{escape, matches_glob};

use super::{ScanFile, ScanOutcome, ScanTensor};

/// Most expert slices of one tensor that get figures of their own; published models have up to 512 experts.
const MAX_SLICES: u64 = 4096;

/// What to scan, and where each piece belongs in the checkpoint.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// The scan's input.
    pub files: Vec<ScanFile>,
    /// Per file and tensor of the input: the index among the checkpoint's selected tensors.
    pub order: Vec<Vec<usize>>,
    /// Bytes of weights that will be read, as far as the files hold them.
    pub bytes: u64,
}

impl Selection {
    /// The selected tensors whose names `wanted` takes.
    pub fn of(checkpoint: &Checkpoint, wanted: &dyn Fn(&str) -> bool) -> Self {
        let mut selection = Self::default();
        let mut current = None;
        for (index, tensor) in checkpoint.tensors().enumerate() {
            if !wanted(&tensor.name()) {
                continue;
            }
            if current != Some(tensor.file) {
                current = Some(tensor.file);
                let file = &checkpoint.files[tensor.file];
                selection.files.push(ScanFile { path: file.path.clone(), identity: file.identity, tensors: Vec::new() });
                selection.order.push(Vec::new());
            }
            let info = tensor.info;
            let stacked = tensor.naming.role == Role::Expert && tensor.part == Part::Weight && info.shape.len() >= 3;
            let slices =
                info.shape.first().copied().filter(|&n| stacked && (2..=MAX_SLICES).contains(&n) && info.elements % n == 0);
            let scan = ScanTensor {
                dtype: info.dtype,
                offset: info.offset,
                bytes: info.bytes,
                elements: info.elements,
                slices: slices.unwrap_or(1),
            };
            if info.end() <= tensor.container.file_len {
                selection.bytes = selection.bytes.saturating_add(info.bytes);
            }
            if let (Some(file), Some(order)) = (selection.files.last_mut(), selection.order.last_mut()) {
                file.tensors.push(scan);
                order.push(index);
            }
        }
        selection
    }

    /// The selected tensors whose names fit a pattern (see [`matches_glob`]), or all of them.
    ///
    /// # Errors
    /// When there is a pattern and no name fits it.
    pub fn matching(checkpoint: &Checkpoint, pattern: Option<&str>) -> Result<Self> {
        let selection = Self::of(checkpoint, &|name| pattern.is_none_or(|pattern| matches_glob(pattern, name)));
        match pattern {
            Some(pattern) if selection.files.is_empty() => {
                let message = format!("no tensor name fits the filter `{}`", escape(pattern));
                Err(Error::new(ErrorKind::Usage, message).help("`weigh show PATH --tensors` lists the names"))
            }
            _ => Ok(selection),
        }
    }

    /// Exact zeros of each of the checkpoint's selected tensors, as a projection takes them; `None` for a tensor that was not scanned.
    /// Empty where the model is stored in slices: their tensors are not those of the projection.
    pub fn zeros(&self, checkpoint: &Checkpoint, outcome: &ScanOutcome) -> Vec<Option<u64>> {
        if checkpoint.is_sliced() {
            return Vec::new();
        }
        let mut zeros = vec![None; checkpoint.tensors().len()];
        for (file, order) in outcome.files.iter().zip(&self.order) {
            for (tensor, &index) in file.tensors.iter().zip(order) {
                zeros[index] = tensor.stats.map(|s| s.zeros);
            }
        }
        zeros
    }
}
