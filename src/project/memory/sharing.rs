//! What is held once and used twice, and what each further process or replica holds again.

use crate::checkpoint::Role;
use crate::project::input::ProjectInput;
use crate::units::Bytes;

/// A head that is the embedding; `None` where there is nothing to say.
pub(super) fn tied_head(input: &ProjectInput<'_>) -> Option<String> {
    let head = input.tensors.iter().any(|t| t.role == Role::LmHead);
    let embedding = input.tensors.iter().filter(|t| t.role == Role::Embedding).map(|t| t.bytes).max()?;
    // Where parts of the model are not here, the head may stand in one of them.
    let tied = input.model.tied_embeddings == Some(true) && !head && input.provenance.shortfall.is_none();
    tied.then(|| format!("the output head is the input embedding: {} held once", Bytes(embedding).binary()))
}

/// Processes that each read the whole checkpoint and keep their part.
pub(super) fn each_reads_all(input: &ProjectInput<'_>, devices: u64) -> String {
    format!("each of the {devices} processes reads all {} of the checkpoint", Bytes(input.tensor_bytes()).binary())
}

/// Processes that map one file.
pub(super) fn mapped(input: &ProjectInput<'_>) -> String {
    format!(
        "processes that map the same file share {} of weights; all else each holds for itself",
        Bytes(input.tensor_bytes()).binary()
    )
}

/// Processes that read one file.
pub(super) fn read(input: &ProjectInput<'_>) -> String {
    format!("each process that reads the file holds {} of weights for itself", Bytes(input.tensor_bytes()).binary())
}
