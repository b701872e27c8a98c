//! The body of `weigh show`: what a checkpoint holds, from headers alone.

mod long;
mod rows;

pub use rows::*;

use crate::checkpoint::{Checkpoint, Component, Summary, Sums, WeightSet};
use crate::format::{ByteMap, Format, SecondOpinion};
use crate::units::Bytes;
use crate::units::sum_up;

/// What to put into the body besides the sums.
#[derive(Debug, Clone, Default)]
pub struct ShowOptions {
    /// One row per tensor.
    pub tensors: bool,
    /// Tensors whose name fits; all when empty. `*` stands for anything, `?` for one character.
    pub filter: Option<String>,
    /// Key-value metadata of the files.
    pub metadata: bool,
    /// The labelled ranges of every file.
    pub map: bool,
    /// Sums per block.
    pub layers: bool,
}

impl<'a> ShowBody<'a> {
    /// Gathers the body.
    pub fn of(checkpoint: &'a Checkpoint, options: &ShowOptions) -> Self {
        let summary = Summary::of(checkpoint);
        let row = |(dtype, s): &(String, Sums)| DtypeRow {
            dtype: dtype.clone(),
            tensors: s.tensors,
            stored_elements: s.stored_elements,
            bytes: s.bytes,
        };
        Self {
            format: checkpoint.format().map_or("mixed", Format::name),
            totals: summary.totals(),
            dtypes: summary.dtypes.iter().map(row).collect(),
            roles: summary.roles.iter().map(|(role, s)| group(role.name().to_owned(), s)).collect(),
            layers: options.layers.then(|| {
                summary
                    .layers
                    .iter()
                    .map(|(l, s)| group(l.map_or("outside blocks".to_owned(), |l| format!("layer {l}")), s))
                    .collect()
            }),
            files: files(checkpoint),
            components: components(checkpoint),
            model: ModelBody {
                config: &checkpoint.model,
                active_params: summary.active_params(checkpoint),
                notes: &checkpoint.model.notes,
            },
            adapters: &checkpoint.adapters,
            quantization: checkpoint.quantization.as_ref(),
            tensors: options.tensors.then(|| long::tensors(checkpoint, options.filter.clone())),
            metadata: options.metadata.then(|| long::metadata(checkpoint)),
            map: options.map.then(|| long::map(checkpoint)),
            defects: defects(checkpoint),
            errors: &checkpoint.problems,
            unread: &checkpoint.unread,
            notes: notes(checkpoint, &summary),
        }
    }
}

fn group(role: String, sums: &Sums) -> GroupRow {
    GroupRow { role, sums: *sums }
}

fn files(checkpoint: &Checkpoint) -> Vec<FileRow> {
    let selected = checkpoint.selected_files();
    let row = |(i, file): (usize, &crate::checkpoint::CheckpointFile)| {
        let container = &file.container;
        let (loads, reason) = match &file.opinion {
            SecondOpinion::Loads => (Some(true), None),
            SecondOpinion::LoadsLess { tensors } => (
                Some(true),
                Some(format!("it sees {tensors} of {} tensors: of two of one name it keeps the last", container.tensors.len())),
            ),
            SecondOpinion::Refuses(reason) => (Some(false), Some(reason.clone())),
            SecondOpinion::NotAsked(reason) => (None, Some((*reason).to_owned())),
        };
        FileRow {
            path: file.name.clone(),
            format: container.format.name(),
            file_bytes: container.file_len,
            tensors: container.tensors.len() as u64,
            missing_bytes: container.missing_bytes,
            selected: selected.binary_search(&i).is_ok(),
            regions: ByteMap::of(container).totals(),
            reference_reader: ReferenceReader { loads, reason },
        }
    };
    checkpoint.files.iter().enumerate().map(row).collect()
}

fn components<'a>(checkpoint: &'a Checkpoint) -> Vec<ComponentRow<'a>> {
    let name = |&i: &usize| checkpoint.files[i].name.clone();
    fn set<'a>(s: &'a WeightSet, name: impl Fn(&usize) -> String) -> WeightSetRow<'a> {
        WeightSetRow {
            name: s.name.clone(),
            files: s.files.iter().map(name).collect(),
            tensor_bytes: s.tensor_bytes,
            selected: s.selected,
            beside: s.against.as_ref(),
            ranks: s.ranks.as_ref(),
        }
    }
    let row =
        |c: &'a Component| ComponentRow { name: c.name.clone(), weight_sets: c.weight_sets.iter().map(|s| set(s, name)).collect() };
    checkpoint.components.iter().map(row).collect()
}

/// Dimensions in the order in which the format states them.
pub fn stated_shape(format: Format, shape: &[u64]) -> Vec<u64> {
    match format {
        Format::Safetensors => shape.to_vec(),
        Format::Gguf => shape.iter().rev().copied().collect(),
    }
}

fn defects(checkpoint: &Checkpoint) -> Vec<DefectRow> {
    let rows = |file: &crate::checkpoint::CheckpointFile| -> Vec<DefectRow> {
        let container = &file.container;
        let row = |d: &crate::format::Defect| DefectRow {
            kind: d.kind.code(),
            file: file.name.clone(),
            tensor: d.tensor.and_then(|i| container.tensors.get(i as usize)).map(|t| container.name(t).into_owned()),
            offset: d.offset,
            stated: d.stated,
            expected: d.expected,
            message: d.message.clone(),
        };
        container.defects.iter().map(row).collect()
    };
    checkpoint.files.iter().flat_map(rows).collect()
}

fn notes(checkpoint: &Checkpoint, summary: &Summary) -> Vec<String> {
    use crate::units::grouped;
    let mut notes = checkpoint.notes.clone();
    if summary.buffers.tensors > 0 {
        let mut names: Vec<String> = Vec::new();
        for tensor in checkpoint.tensors().filter(|t| t.part == crate::checkpoint::Part::Buffer) {
            let name = tensor.name();
            let last = crate::text::escape_limited(name.rsplit('.').next().unwrap_or(&name), 40);
            if !names.contains(&last) && names.len() < 4 {
                names.push(last);
            }
        }
        notes.push(format!(
            "{} stored elements are buffers, not weights: {}",
            grouped(summary.buffers.stored_elements),
            names.join(", ")
        ));
    }
    notes.extend(checkpoint.tied.note());
    notes.extend(checkpoint.model.notes.iter().cloned());
    let unselected: u64 =
        sum_up(checkpoint.components.iter().flat_map(|c| &c.weight_sets).filter(|s| !s.selected).map(|s| s.tensor_bytes));
    notes.extend(checkpoint.choices());
    if unselected > 0 {
        notes.push(format!("{} of tensors stand here in other weight sets and are not in the totals", Bytes(unselected).binary()));
    }
    notes
}
