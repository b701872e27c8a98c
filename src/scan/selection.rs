//! From a checkpoint to what a scan takes: the selected tensors, file by file.

use crate::checkpoint::{Checkpoint, Part, Role};

use super::{ScanFile, ScanTensor};

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
}
