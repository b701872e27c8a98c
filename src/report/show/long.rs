//! The lists of `weigh show` that are as long as a file wants them to be: made row by row when they are written.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{MapRow, MetadataRow, TensorRow, stated_shape};
use crate::checkpoint::{Checkpoint, CheckpointFile, Tensor};
use crate::format::{ByteMap, MetadataValue, RegionKind};
use crate::report::page::Walked;
use crate::text::matches_glob;

/// The selected tensors, or those whose name fits.
pub(super) fn tensors(checkpoint: &Checkpoint, filter: Option<String>) -> Walked<'_, TensorRow> {
    Walked::new(move |row| {
        let mut remarks = (usize::MAX, BTreeMap::new());
        for tensor in checkpoint.tensors() {
            if filter.as_deref().is_some_and(|pattern| !matches_glob(pattern, &tensor.name())) {
                continue;
            }
            if remarks.0 != tensor.file {
                remarks = (tensor.file, remarks_on(&checkpoint.files[tensor.file]));
            }
            row(tensor_row(checkpoint, &tensor, &remarks.1));
        }
    })
}

/// What is odd about the tensors of a file, by their place in its header.
fn remarks_on(file: &CheckpointFile) -> BTreeMap<u32, Vec<&str>> {
    let mut remarks: BTreeMap<u32, Vec<&str>> = BTreeMap::new();
    for defect in &file.container.defects {
        if let Some(tensor) = defect.tensor {
            remarks.entry(tensor).or_default().push(&defect.message);
        }
    }
    remarks
}

fn tensor_row(checkpoint: &Checkpoint, tensor: &Tensor<'_>, remarks: &BTreeMap<u32, Vec<&str>>) -> TensorRow {
    let (name, name_hex) = tensor_name(tensor);
    let place = u32::try_from(tensor.index).unwrap_or(u32::MAX);
    TensorRow {
        name,
        name_hex,
        dtype: tensor.dtype_name().to_owned(),
        shape: stated_shape(tensor.container.format, &tensor.info.shape),
        stored_elements: tensor.info.elements,
        logical_params: tensor.logical_params,
        bytes: tensor.info.bytes,
        file: checkpoint.files[tensor.file].name.clone(),
        offset: tensor.info.offset,
        role: tensor.naming.role.name(),
        layer: tensor.naming.layer,
        notes: remarks.get(&place).into_iter().flatten().map(|&remark| remark.to_owned()).collect(),
    }
}

fn tensor_name(tensor: &Tensor<'_>) -> (String, Option<String>) {
    let bytes = tensor.container.name_bytes(tensor.info);
    match std::str::from_utf8(bytes) {
        Ok(name) => (name.to_owned(), None),
        Err(_) => (String::from_utf8_lossy(bytes).into_owned(), Some(bytes.iter().map(|b| format!("{b:02x}")).collect())),
    }
}

/// Keys and values of every file.
pub(super) fn metadata(checkpoint: &Checkpoint) -> Walked<'_, MetadataRow> {
    Walked::new(move |row| {
        for file in &checkpoint.files {
            for (key, value) in file.container.metadata.entries() {
                row(MetadataRow { file: file.name.clone(), key: key.clone(), value: shown(value) });
            }
        }
    })
}

fn shown(value: &MetadataValue) -> Value {
    match value {
        MetadataValue::Unsigned(n) => json!(n),
        MetadataValue::Signed(n) => json!(n),
        MetadataValue::Float(x) => json!(x),
        MetadataValue::Bool(b) => json!(b),
        MetadataValue::Text { text, bytes } if *bytes > text.len() as u64 => json!({ "text": text, "bytes": bytes, "cut": true }),
        MetadataValue::Text { text, .. } => json!(text),
        MetadataValue::Numbers(numbers) => json!(numbers),
        MetadataValue::Array { element, len, bytes, offset } => {
            json!({ "array_of": element, "length": len, "bytes": bytes, "offset": offset })
        }
    }
}

/// The labelled ranges of every file.
pub(super) fn map(checkpoint: &Checkpoint) -> Walked<'_, MapRow> {
    Walked::new(move |row| {
        for file in &checkpoint.files {
            for region in ByteMap::of(&file.container).regions() {
                let (label, tensor) = match region.kind {
                    RegionKind::Magic => ("magic", None),
                    RegionKind::Metadata => ("metadata", None),
                    RegionKind::Header => ("header", None),
                    RegionKind::Padding => ("padding", None),
                    RegionKind::Tensor(i) => {
                        ("tensor", file.container.tensors.get(i as usize).map(|t| file.container.name(t).into_owned()))
                    }
                    RegionKind::Gap => ("gap", None),
                    RegionKind::Overlap => ("overlap", None),
                    RegionKind::Trailing => ("trailing", None),
                };
                row(MapRow { file: file.name.clone(), label, tensor, start: region.range.start, end: region.range.end });
            }
        }
    })
}
