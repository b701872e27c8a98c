//! Adapters: whether what is stated of them agrees, with itself and with their tensors.

use crate::audit::check::{Check, code};
use crate::audit::finding::Severity::Warning;
use crate::audit::finding::{Code, Finding, Findings};
use crate::audit::subject::Subject;

const CONFLICT: Code = code(
    "adapter-conflict",
    "What is stated of an adapter does not agree",
    Warning,
    "Rank, alpha or base model stand in several places (adapter_config.json, the header's metadata, alpha tensors, the shapes themselves), and these differ. Loaders read \
     one place each, so the adapter acts with another strength in each of them, or is refused.",
);

pub(super) const CHECK: Check = Check { name: "adapters", codes: &[CONFLICT], run };

fn run(subject: &Subject<'_>, out: &mut Findings) {
    let Some(checkpoint) = subject.checkpoint else { return };
    for adapter in &checkpoint.adapters {
        let file = adapter.files.first().cloned().unwrap_or_default();
        out.push_many(adapter.conflicts.iter().map(|conflict| Finding::new(&CONFLICT, conflict.clone()).file(file.clone())));
    }
}
