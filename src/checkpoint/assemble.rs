//! Gives every selected tensor its meaning: role, weight or bookkeeping, logical parameters.

use super::names::{classify, is_buffer};
use super::{Checkpoint, Part, SelectedTensor};
use crate::checkpoint::quantization::{self, TensorView};

/// Fills in the selected tensors and the quantization of the main component.
pub(super) fn select_tensors(checkpoint: &mut Checkpoint) {
    let config = checkpoint.config.as_ref();
    let mut tensors = Vec::new();
    let mut quantization = None;
    let mut notes = Vec::new();
    for component in &checkpoint.components {
        let Some(set) = component.weight_sets.iter().find(|set| set.selected) else { continue };
        let mut places = Vec::new();
        let mut views = Vec::new();
        for &file in &set.files {
            let container = &checkpoint.files[file].container;
            for (index, info) in container.tensors.iter().enumerate() {
                let name = container.name(info);
                let mut naming = classify(&name, container.format);
                if let Some(layers) = checkpoint.model.layers {
                    naming = naming.with_main_layers(layers);
                }
                let buffer = is_buffer(&name, info.dtype, &info.shape);
                places.push((file, index, naming));
                views.push(TensorView {
                    name,
                    dtype: info.dtype,
                    shape: &info.shape,
                    elements: info.elements,
                    bytes: info.bytes,
                    buffer,
                });
            }
        }
        let format = set.files.first().map(|&f| checkpoint.files[f].container.format);
        let Some(format) = format else { continue };
        let interpretation = quantization::interpret(&views, config, format);
        for ((file, index, naming), (part, logical_params)) in places.into_iter().zip(interpretation.parts) {
            tensors.push(SelectedTensor {
                file: u32::try_from(file).unwrap_or(u32::MAX),
                index: u32::try_from(index).unwrap_or(u32::MAX),
                naming,
                part,
                logical_params: if part == Part::Weight { logical_params } else { 0 },
            });
        }
        notes.extend(interpretation.notes);
        if quantization.is_none() {
            quantization = interpretation.quantization;
        }
    }
    tensors.sort_by_key(|t| (t.file, t.index));
    checkpoint.tensors = tensors;
    checkpoint.quantization = quantization;
    checkpoint.notes.extend(notes);
}
