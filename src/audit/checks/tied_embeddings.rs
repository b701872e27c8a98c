//! The tied flag against the tensors.

use crate::audit::check::{Check, code};
use crate::audit::finding::Severity::{Note, Warning};
use crate::audit::finding::{Code, Finding, Findings};
use crate::audit::subject::Subject;
use crate::audit::tensors::main_tensors;
use crate::checkpoint::{Role, TiedEmbeddings};
use crate::format::Format;
use crate::text::escape_limited;
use crate::units::Bytes;

const TIED: Code = code(
    "tied-embeddings",
    "The tied flag and the tensors disagree",
    Warning,
    "`tie_word_embeddings` is false and no output head is stored: the head is left at random values. Or it is true and a head is stored: a note, as loaders drop it, and \
     its bytes are wasted if it is a copy.",
);

pub(super) const CHECK: Check = Check { name: "tied_embeddings", codes: &[TIED], run };

fn run(subject: &Subject<'_>, out: &mut Findings) {
    let Some(checkpoint) = subject.checkpoint else { return };
    if checkpoint.format() == Some(Format::Gguf) || !checkpoint.problems.is_empty() {
        return;
    }
    let origin = checkpoint.model.origin.clone().unwrap_or_default();
    if let TiedEmbeddings::PossibleCopy { head, bytes, stated: true, .. } = &checkpoint.tied {
        let message = format!(
            "the embeddings are said to be tied, but `{}` ({}) is stored too",
            escape_limited(head, 60),
            Bytes(*bytes).binary()
        );
        out.push(Finding::new(&TIED, message).severity(Note).file(&origin).tensor(head));
    }
    let generates =
        checkpoint.model.architecture.as_deref().is_some_and(|a| a.ends_with("ForCausalLM") || a.ends_with("LMHeadModel"));
    let mut has = [false, false];
    for tensor in main_tensors(checkpoint) {
        has[0] |= tensor.naming.role == Role::Embedding;
        // Classes with a head for each codebook number them.
        has[1] |= tensor.naming.role == Role::LmHead || tensor.name().split('.').any(|piece| piece == "lm_heads");
    }
    if generates && checkpoint.model.tied_embeddings == Some(false) && has == [true, false] {
        let message = "`tie_word_embeddings` is false, but no output head is stored";
        out.push(Finding::new(&TIED, message).file(&origin).tensor("tie_word_embeddings"));
    }
}
