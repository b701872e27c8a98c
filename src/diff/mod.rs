//! Two checkpoints side by side, by their headers: which tensors appear, vanish, change type or shape, and where the bytes went.

mod matching;
mod rows;

pub use matching::{Match, match_tensors};
pub use rows::{DiffRow, DiffTensors, KindRow, Status};

use serde::Serialize;

use crate::checkpoint::Checkpoint;
use crate::project::ProjectInput;
use crate::project::bridge::{BridgeTerm, between};

/// File bytes of both, and the way from one to the other.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DiffBytes {
    /// Bytes of the files of A.
    pub a: u64,
    /// Bytes of the files of B.
    pub b: u64,
    /// From A's file bytes to B's; the terms after the first sum to the difference.
    pub bridge: Vec<BridgeTerm>,
}

/// What differs between two checkpoints.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Diff<'a> {
    /// File bytes.
    pub bytes: DiffBytes,
    /// Tensors, one row a difference.
    pub tensors: DiffTensors<'a>,
    /// The changes by kind of tensor and types, most bytes first.
    pub kinds: Vec<KindRow>,
    /// What a reader of the figures should know; escaped.
    pub notes: Vec<String>,
}

/// Compares the selected weight sets of two checkpoints. `all` lists the tensors of the same type and shape too.
pub fn diff<'a>(a: &'a Checkpoint, b: &'a Checkpoint, all: bool) -> Diff<'a> {
    let (a, b) = (ProjectInput::from_checkpoint(a), ProjectInput::from_checkpoint(b));
    let matches = match_tensors(&a, &b);
    let tensors = DiffTensors::of(&a, &b, &matches, all);
    let mut notes = Vec::new();
    if a.format != b.format {
        notes.push(
            "names are matched as the converter of llama.cpp maps them; what it splits, joins or computes stands on one side only"
                .to_owned(),
        );
    }
    if tensors.same_header == 0 && tensors.other_header == 0 && !a.tensors.is_empty() && !b.tensors.is_empty() {
        notes.push("no tensor of one has a counterpart in the other: these are not two forms of one model".to_owned());
    }
    Diff {
        bytes: DiffBytes { a: a.file_bytes, b: b.file_bytes, bridge: between(&a, &b, &pairs(&matches)) },
        kinds: KindRow::of(&a, &b, &matches),
        tensors,
        notes,
    }
}

/// From the file bytes of one to those of the other, by kind of tensor.
pub fn bridge(a: &ProjectInput<'_>, b: &ProjectInput<'_>) -> Vec<BridgeTerm> {
    between(a, b, &pairs(&match_tensors(a, b)))
}

/// The matches as the bridge reads them.
fn pairs(matches: &[Match]) -> Vec<(&[usize], &[usize])> {
    matches.iter().map(|m| (m.a.as_slice(), m.b.as_slice())).collect()
}
