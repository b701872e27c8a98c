//! The same model more than once in one repository.

use std::collections::HashSet;

use super::super::Severity::{Note, Warning};
use super::super::finding::{Code, Finding, Findings};
use super::super::subject::Subject;
use super::{Check, code};
use crate::checkpoint::{Checkpoint, WeightSet};
use crate::format::Format;
use crate::text::escape_limited;
use crate::units::{Bytes, grouped};

const TWICE: Code = code(
    "duplicate-weights",
    "The same model more than once",
    Warning,
    "The folder holds several copies of one component (sharded beside consolidated, a copy under original/): only one is loaded, and a plain download fetches all. The \
     message gives the bytes that one copy does not need. Alternative quants and precision variants are a note: one chooses among them.",
);

pub(super) const CHECK: Check = Check { name: "copies", codes: &[TWICE], run };

fn run(subject: &Subject<'_>, out: &mut Findings) {
    let Some(checkpoint) = subject.checkpoint else { return };
    for component in checkpoint.components.iter().filter(|c| c.weight_sets.len() > 1) {
        let Some(kept) = component.weight_sets.iter().find(|s| s.selected) else { continue };
        let bytes =
            |set: &WeightSet| set.files.iter().fold(0u64, |sum, &f| sum.saturating_add(checkpoint.files[f].container.file_len));
        let copies = |set: &&WeightSet| !set.selected && is_copy(checkpoint, set, kept);
        let others: Vec<&WeightSet> = component.weight_sets.iter().filter(copies).collect();
        if others.is_empty() {
            continue;
        }
        let waste = others.iter().fold(0u64, |sum, set| sum.saturating_add(bytes(set)));
        let names: Vec<String> = others.iter().take(6).map(|s| format!("`{}`", escape_limited(&s.name, 40))).collect();
        let more = if others.len() > 6 { format!(" and {} more", others.len() - 6) } else { String::new() };
        let chosen = others.iter().all(|set| is_choice(set, kept, |f| checkpoint.files[f].container.format));
        let message = format!(
            "duplicate weights: `{}` holds `{}` and also {}{more}; both are not needed, {} ({} bytes) are copies",
            escape_limited(&component.name, 40),
            escape_limited(&kept.name, 40),
            names.join(", "),
            Bytes(waste).binary(),
            grouped(waste),
        );
        let finding = Finding::new(&TWICE, message).help("download or keep one of them");
        let first = others.first().and_then(|set| set.files.first()).map(|&f| checkpoint.files[f].name.clone());
        let finding = if chosen { finding.severity(Note) } else { finding };
        out.push(match first {
            Some(file) => finding.file(file),
            None => finding,
        });
    }
}

/// Whether a set stands for the other: tensors of the same names, or much the same bytes under other names. A stray shard does neither.
fn is_copy(checkpoint: &Checkpoint, set: &WeightSet, kept: &WeightSet) -> bool {
    let names = |set: &WeightSet| {
        let containers = set.files.iter().map(|&f| &checkpoint.files[f].container);
        containers.flat_map(|c| c.tensors.iter().map(|t| c.name_bytes(t))).collect::<HashSet<_>>()
    };
    set.tensor_bytes >= kept.tensor_bytes / 2 || !names(set).is_disjoint(&names(kept))
}

/// Whether one is meant to choose: another format, another quant, a named precision.
fn is_choice(set: &WeightSet, kept: &WeightSet, format: impl Fn(usize) -> Format) -> bool {
    let of = |set: &WeightSet| set.files.first().map(|&f| format(f));
    of(set) == Some(Format::Gguf) || of(set) != of(kept) || set.name.contains('.')
}
