//! Gives every selected tensor its meaning: role, weight or bookkeeping, logical parameters.

use std::borrow::Cow;

use super::adapter;
use super::names::{Naming, classify, is_buffer};
use super::packed::{self, Interpretation, Part, TensorView};
use super::{Checkpoint, SelectedTensor, WeightSet};
use crate::dtype::Dtype;
use crate::format::{Container, Format, TensorInfo};
use crate::source::read_exact_at;
use crate::threads;

/// Longest tensor whose bytes are read to settle what packed weights hold (shapes and quantization states are some 100 bytes).
const SMALL: u64 = 64 * 1024;

/// Where a tensor stands, and what its name tells.
struct Place<'a> {
    file: usize,
    index: usize,
    name: Cow<'a, str>,
    naming: Naming,
    buffer: bool,
}

/// Fills in the selected tensors and the quantization of the main component.
pub(super) fn select_tensors(checkpoint: &mut Checkpoint) {
    let mut tensors = Vec::new();
    let mut packed = std::collections::BTreeMap::new();
    let mut quantization = None;
    let mut notes = Vec::new();
    for component in &checkpoint.components {
        let Some(set) = component.weight_sets.iter().find(|set| set.selected) else { continue };
        let Some(format) = set.files.first().map(|&f| checkpoint.files[f].container.format) else { continue };
        if is_huge_and_plain(checkpoint, set, format) {
            plain_tensors(checkpoint, set, &mut tensors);
            if format == Format::Gguf {
                let infos = set.files.iter().flat_map(|&f| &checkpoint.files[f].container.tensors);
                quantization = quantization.or_else(|| packed::ggml::quantization(infos.map(|t| t.dtype)));
            }
            continue;
        }
        // The slices of each rank are a model of their own kind: the names of one stand in the others again.
        let of_adapter = adapter::is_adapter(checkpoint, set);
        for (rank, files) in set.parts().into_iter().enumerate() {
            let places = places(checkpoint, files, of_adapter);
            let interpretation = interpret(checkpoint, &places, format);
            for (place, meaning) in places.iter().zip(&interpretation.parts) {
                if meaning.packed && format == Format::Safetensors {
                    let key = (u32::try_from(place.file).unwrap_or(u32::MAX), u32::try_from(place.index).unwrap_or(u32::MAX));
                    packed.insert(key, meaning.logical_shape.clone());
                }
                // What an earlier rank holds too is stored again and counts once.
                let again = set.ranks.as_ref().is_some_and(|ranks| ranks.repeats(rank, place.name.as_bytes()));
                tensors.push(SelectedTensor {
                    file: u32::try_from(place.file).unwrap_or(u32::MAX),
                    index: u32::try_from(place.index).unwrap_or(u32::MAX),
                    naming: Naming { role: meaning.part.role(place.naming.role), ..place.naming },
                    part: meaning.part,
                    logical_params: if again { 0 } else { meaning.logical_params },
                });
            }
            notes.extend(interpretation.notes);
            if interpretation.unresolved > 0 {
                let n = crate::units::grouped(interpretation.unresolved);
                notes.push(format!("{n} packed weights of a kind that is not unpacked: their stored elements are counted, so parameters are a lower bound"));
            }
            quantization = quantization.or(interpretation.quantization);
        }
    }
    let place = |t: &SelectedTensor| (t.file, t.index);
    if !tensors.is_sorted_by_key(place) {
        tensors.sort_by_key(place);
    }
    notes.dedup();
    checkpoint.tensors = tensors;
    checkpoint.packed = packed;
    checkpoint.quantization = quantization;
    checkpoint.notes.extend(notes);
}

/// Tensors of one set from which the tables of an interpretation (some 200 bytes a tensor) are worth avoiding.
const HUGE: usize = 400_000;

/// Whether a set is so large that its tensors are taken one by one, and nothing about it asks for more: names of packed weights, a
/// configured quantization, block quants.
fn is_huge_and_plain(checkpoint: &Checkpoint, set: &WeightSet, format: Format) -> bool {
    let count: usize = set.files.iter().map(|&f| checkpoint.files[f].container.tensors.len()).sum();
    let any = |odd: &dyn Fn(&Container, &TensorInfo) -> bool| {
        set.files.iter().any(|&f| {
            let container = &checkpoint.files[f].container;
            container.tensors.iter().any(|t| odd(container, t))
        })
    };
    count > HUGE
        && match format {
            Format::Safetensors => !packed::is_configured(checkpoint.config_json()) && !any(&|c, t| packed::is_anchor(&c.name(t))),
            // The scales of NVFP4 are told by their names.
            Format::Gguf => !any(&|_, t| t.dtype == Dtype::NVFP4),
        }
}

/// Every tensor of a set as a weight or buffer by itself.
fn plain_tensors(checkpoint: &Checkpoint, set: &WeightSet, out: &mut Vec<SelectedTensor>) {
    out.reserve_exact(set.files.iter().map(|&f| checkpoint.files[f].container.tensors.len()).sum());
    for &file in &set.files {
        let container = &checkpoint.files[file].container;
        threads::extend(out, &container.tensors, threads::CHEAP, |index, info| {
            let name = container.name(info);
            let naming = naming(checkpoint, &name, info, container.format);
            let buffer = is_buffer(&name, info.dtype, &info.shape);
            let part = if buffer { Part::Buffer } else { Part::Weight };
            SelectedTensor {
                file: u32::try_from(file).unwrap_or(u32::MAX),
                index: u32::try_from(index).unwrap_or(u32::MAX),
                naming: Naming { role: part.role(naming.role), ..naming },
                part,
                logical_params: if buffer { 0 } else { info.elements },
            }
        });
    }
}

fn naming(checkpoint: &Checkpoint, name: &str, info: &TensorInfo, format: Format) -> Naming {
    let naming = classify(name, format).with_experts(checkpoint.model.experts, &info.shape);
    // Some families store their prediction layers as further blocks.
    match (checkpoint.model.layers, checkpoint.model.mtp_layers) {
        (Some(layers), Some(_)) => naming.with_main_layers(layers),
        _ => naming,
    }
}

fn places<'a>(checkpoint: &'a Checkpoint, files: &[usize], of_adapter: bool) -> Vec<Place<'a>> {
    let mut places = Vec::new();
    for &file in files {
        let container = &checkpoint.files[file].container;
        threads::extend(&mut places, &container.tensors, threads::CHEAP, |index, info| {
            let name = container.name(info);
            let naming = naming(checkpoint, &name, info, container.format);
            let buffer = is_buffer(&name, info.dtype, &info.shape) || of_adapter && adapter::is_alpha(&name, info.elements);
            Place { file, index, name, naming, buffer }
        });
    }
    places
}

fn interpret(checkpoint: &Checkpoint, places: &[Place<'_>], format: Format) -> Interpretation {
    let info = |place: &Place<'_>| &checkpoint.files[place.file].container.tensors[place.index];
    let views: Vec<TensorView<'_>> = places
        .iter()
        .map(|place| {
            let info = info(place);
            let (dtype, elements, bytes) = (info.dtype, info.elements, info.bytes);
            TensorView { name: &place.name, dtype, shape: &info.shape, elements, bytes, buffer: place.buffer }
        })
        .collect();
    let read_small = |i: usize| -> Option<Vec<u8>> {
        let place = places.get(i).filter(|_| !checkpoint.declared)?;
        let info = info(place);
        if info.bytes > SMALL {
            return None;
        }
        let source = checkpoint.files[place.file].open().ok()?;
        let mut bytes = vec![0; usize::try_from(info.bytes).ok()?];
        read_exact_at(&source, info.offset, &mut bytes).ok()?;
        Some(bytes)
    };
    packed::interpret_stated(&views, checkpoint.config_json(), checkpoint.quantization_file(), format, Some(&read_small))
}
