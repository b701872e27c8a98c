//! Finds the data section of a GGUF, makes offsets absolute and sizes every tensor.

use super::Parser;
use crate::format::{Defect, DefectKind, TensorInfo};
use crate::units::{Bytes, Elements};

impl Parser<'_> {
    /// Finds the data section, makes offsets absolute and sizes every tensor.
    pub(super) fn place_data(&mut self) {
        let layout = &mut self.container.layout;
        let header_end = self.input.offset();
        layout.data_start =
            if self.container.tensors.is_empty() { header_end } else { header_end.next_multiple_of(layout.alignment) };
        let (data_start, alignment) = (layout.data_start, layout.alignment);
        for i in 0..self.container.tensors.len() {
            let index = u32::try_from(i).unwrap_or(u32::MAX);
            let tensor = &self.container.tensors[i];
            let (dtype, offset, elements) = (tensor.dtype, tensor.offset, tensor.elements);
            let whole_rows = dtype.info().is_some_and(|row| tensor.row_len().is_multiple_of(row.elements_per_block));
            let bytes = dtype.bytes_of(Elements(elements)).filter(|_| whole_rows);
            if let (Some(info), None) = (dtype.info(), bytes) {
                let message = format!(
                    "rows of {} elements do not fill whole blocks of {} ({} elements)",
                    tensor.row_len(),
                    info.name,
                    info.elements_per_block
                );
                self.defect(DefectKind::PartialBlock, Some(index), header_end, message);
            }
            if offset % alignment != 0 {
                self.container.push_defect(Defect {
                    kind: DefectKind::Misaligned,
                    tensor: Some(index),
                    offset: None,
                    stated: Some(offset),
                    expected: offset.checked_next_multiple_of(alignment),
                    message: format!("offset {offset} is not a multiple of the alignment {alignment}"),
                });
            }
            let absolute = data_start.checked_add(offset).filter(|at| at.checked_add(bytes.map_or(0, |b| b.0)).is_some());
            if absolute.is_none() {
                self.defect(
                    DefectKind::ShapeOverflow,
                    Some(index),
                    header_end,
                    format!("offset {offset} and size do not fit 64 bits (overflow)"),
                );
            }
            let tensor = &mut self.container.tensors[i];
            tensor.bytes = bytes.map_or(0, |Bytes(b)| b);
            tensor.offset = absolute.unwrap_or(u64::MAX - tensor.bytes);
        }
        self.size_by_offsets();
        self.find_disorder();
    }

    /// Tensors whose size their type does not tell reach to the next tensor, the last one to the end of the file.
    fn size_by_offsets(&mut self) {
        let tensors = &mut self.container.tensors;
        let unsized_ = |t: &TensorInfo| t.bytes == 0 && t.elements > 0;
        if !tensors.iter().any(unsized_) {
            return;
        }
        let mut starts: Vec<u64> = tensors.iter().map(|t| t.offset).collect();
        starts.sort_unstable();
        for tensor in tensors.iter_mut().filter(|t| unsized_(t)) {
            let next = starts.partition_point(|&start| start <= tensor.offset);
            let end = starts.get(next).copied().unwrap_or(self.container.file_len);
            tensor.bytes = end.saturating_sub(tensor.offset);
        }
    }

    /// llama.cpp wants tensor data in the order of the infos.
    fn find_disorder(&mut self) {
        let tensors = &self.container.tensors;
        let Some(i) = (1..tensors.len()).find(|&i| tensors[i].offset < tensors[i - 1].offset) else { return };
        let message = "tensor data does not stand in the order of the tensor infos; llama.cpp refuses such a file".to_owned();
        let (stated, expected) = (tensors[i].offset, tensors[i - 1].end());
        self.container.push_defect(Defect {
            kind: DefectKind::Unordered,
            tensor: u32::try_from(i).ok(),
            offset: None,
            stated: Some(stated),
            expected: Some(expected),
            message,
        });
    }
}
