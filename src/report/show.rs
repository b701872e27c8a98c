//! The body of `weigh show`: what a checkpoint holds, from headers alone.

mod long;
mod rows;

pub use rows::*;

use crate::checkpoint::{Checkpoint, Summary, Sums};
use crate::format::{ByteMap, Format, SecondOpinion};
use crate::units::{Bytes, bits_per_weight};

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
            totals: totals(&summary),
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
            model: model(checkpoint, &summary),
            quantization: checkpoint.quantization.as_ref().map(|q| QuantizationRow {
                method: q.method.clone(),
                bits: q.bits,
                group_size: q.group_size,
                evidence: q.evidence.clone(),
            }),
            tensors: options.tensors.then(|| long::tensors(checkpoint, options.filter.clone())),
            metadata: options.metadata.then(|| long::metadata(checkpoint)),
            map: options.map.then(|| long::map(checkpoint)),
            defects: defects(checkpoint),
            errors: checkpoint.problems.iter().map(ErrorRow::of).collect(),
            unread: checkpoint
                .unread
                .iter()
                .map(|f| UnreadRow { file: f.name.clone(), bytes: f.bytes, reason: f.reason.clone() })
                .collect(),
            notes: notes(checkpoint, &summary),
        }
    }
}

/// The selected weight sets in one row.
pub fn totals(summary: &Summary) -> Totals {
    let t = &summary.total;
    Totals {
        files: summary.files,
        tensors: t.tensors,
        stored_elements: t.stored_elements,
        logical_params: t.logical_params,
        unique_params: t.logical_params,
        tensor_bytes: t.bytes,
        file_bytes: summary.file_bytes,
        bits_per_weight: bits_per_weight(t.bytes, t.logical_params),
    }
}

fn group(role: String, s: &Sums) -> GroupRow {
    GroupRow { role, tensors: s.tensors, stored_elements: s.stored_elements, logical_params: s.logical_params, bytes: s.bytes }
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

fn components(checkpoint: &Checkpoint) -> Vec<ComponentRow> {
    let name = |&i: &usize| checkpoint.files[i].name.clone();
    let set = |s: &crate::checkpoint::WeightSet| WeightSetRow {
        name: s.name.clone(),
        files: s.files.iter().map(name).collect(),
        tensor_bytes: s.tensor_bytes,
        selected: s.selected,
        beside: s.against.as_ref().map(|against| BesideRow {
            weight_set: against.other.clone(),
            likeness: against.likeness.code(),
            compared_bytes: against.likeness.compared(),
            why: against.likeness.to_string(),
        }),
        ranks: s.ranks.as_ref().map(|r| RanksRow { count: r.count, present: r.present, evidence: r.evidence.clone() }),
    };
    checkpoint
        .components
        .iter()
        .map(|c| ComponentRow { name: c.name.clone(), weight_sets: c.weight_sets.iter().map(set).collect() })
        .collect()
}

fn model(checkpoint: &Checkpoint, summary: &Summary) -> ModelRow {
    let m = &checkpoint.model;
    ModelRow {
        architecture: m.architecture.clone(),
        family: m.family.clone(),
        name: m.name.clone(),
        origin: m.origin.clone(),
        layers: m.layers,
        hidden_size: m.hidden_size,
        heads: m.heads,
        kv_heads: m.kv_heads,
        head_dim: m.head_dim,
        ffn_size: m.ffn_size,
        vocab_size: m.vocab_size,
        context_length: m.context_length,
        experts: m.experts,
        experts_used: m.experts_used,
        tied_embeddings: m.tied_embeddings,
        stated_dtype: m.stated_dtype.clone(),
        active_params: active(checkpoint, summary),
        notes: m.notes.clone(),
    }
}

/// Active parameters per token: everything but the routed experts that a token does not pass.
fn active(checkpoint: &Checkpoint, summary: &Summary) -> Option<ActiveParams> {
    use crate::checkpoint::config::{ParamCounts, active_params};
    use crate::checkpoint::{Role, TiedEmbeddings};
    let of = |role: Role| summary.roles.iter().find(|(r, _)| *r == role).map_or(0, |(_, s)| s.logical_params);
    let m = &checkpoint.model;
    let tied = matches!(checkpoint.tied, TiedEmbeddings::Shared);
    // Layers of multi-token prediction and towers do not work on a token of text.
    let aside: u64 = [Role::Mtp, Role::Vision, Role::Audio, Role::Projector, Role::Adapter].into_iter().map(of).sum();
    let counts = ParamCounts {
        total: summary.total.logical_params - aside,
        routed_experts: of(Role::Expert),
        embedding: of(Role::Embedding),
        lm_head: of(Role::LmHead),
    };
    let active = active_params(counts, m.experts, m.experts_used, tied)?;
    Some(ActiveParams {
        all: active.all,
        without_input_embedding: active.without_input_embedding,
        without_embeddings: active.without_embeddings,
    })
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
        checkpoint.components.iter().flat_map(|c| &c.weight_sets).filter(|s| !s.selected).map(|s| s.tensor_bytes).sum();
    notes.extend(checkpoint.choices());
    if unselected > 0 {
        notes.push(format!("{} of tensors stand here in other weight sets and are not in the totals", Bytes(unselected).binary()));
    }
    notes
}
