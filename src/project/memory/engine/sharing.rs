//! What is held once and used twice, and what each further process or replica holds again.

use crate::checkpoint::Role;
use crate::project::input::ProjectInput;
use crate::project::memory::request::{LoadMode, Settings};
use crate::units::Bytes;

/// Notes on sharing; none where there is nothing to say.
pub(super) fn notes(engine: &str, input: &ProjectInput<'_>, settings: &Settings, devices: u64) -> Vec<String> {
    let mut notes = Vec::new();
    let head = input.tensors.iter().any(|t| t.role == Role::LmHead);
    let embedding = input.tensors.iter().filter(|t| t.role == Role::Embedding).map(|t| t.bytes).max();
    if let (Some(true), false, Some(bytes)) = (input.model.tied_embeddings, head, embedding) {
        notes.push(format!("the output head is the input embedding: {} held once", Bytes(bytes).binary()));
    }
    let all = Bytes(input.tensor_bytes()).binary();
    match (engine, settings.load_mode) {
        ("llama.cpp", _) if devices > 1 => {}
        ("llama.cpp", LoadMode::Mmap) => {
            notes.push(format!("processes that map the same file share {all} of weights; all else each holds for itself"));
        }
        ("llama.cpp", LoadMode::None) => notes.push(format!("each process that reads the file holds {all} of weights for itself")),
        _ if devices > 1 => notes.push(format!("each of the {devices} processes reads all {all} of the checkpoint")),
        _ => {}
    }
    notes
}
