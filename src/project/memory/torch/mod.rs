//! What the engines built on torch have in common: weights as stored, activations of a step, states of recurrent layers.

pub(super) mod activations;
pub(super) mod states;

use super::terms::Term;
use crate::project::input::ProjectInput;
use crate::project::plan::Basis;

/// Stored bytes of the weights as an engine of safetensors files loads them.
pub(super) fn stored_weights(input: &ProjectInput<'_>, engine: &str) -> Term {
    use crate::format::Format;
    if input.format == Some(Format::Gguf) {
        return Term::refused("weights", format!("what {engine} makes of a GGUF in memory is not modelled"));
    }
    let head = input.tensors.iter().any(|t| t.role == crate::checkpoint::Role::LmHead && t.shape.len() > 1);
    let tied_twice = head && input.model.tied_embeddings == Some(true);
    let basis = if input.is_packed() || tied_twice { Basis::Estimate } else { Basis::Exact };
    let why = match (input.is_packed(), tied_twice) {
        (true, _) => ", if the packed form is what runs",
        (_, true) => ", less one embedding where the tied head that is stored is dropped",
        _ => "",
    };
    Term::known("weights", input.tensor_bytes(), basis, format!("stored tensor bytes{why}"))
}
