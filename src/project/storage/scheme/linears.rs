//! Which tensors a quantizer of `nn.Linear` modules takes, from role, name and shape.

use super::module::experts_seen;
use crate::checkpoint::names::is_turned_name;
use crate::checkpoint::{Part, Role, is_conv1d};
use crate::project::input::{ProjectInput, ProjectTensor};

/// What stands between the figures and "exact".
#[derive(Debug, Clone, Default)]
pub(super) struct Doubts {
    pub(super) experts: u64,
    pub(super) unclear: u64,
    pub(super) unclear_example: Option<String>,
    pub(super) tied_head: bool,
    /// Routed experts of a family whose treatment was not seen are repacked.
    pub(super) unseen_experts: bool,
}

impl Doubts {
    /// Counts what is doubtful about a tensor.
    pub(super) fn note(&mut self, linear: Linear, name: &str) {
        match linear {
            Linear::Expert => self.experts += 1,
            Linear::Unclear => {
                self.unclear += 1;
                self.unclear_example.get_or_insert_with(|| crate::text::escape(name));
            }
            _ => {}
        }
    }

    /// Whether every tensor is understood.
    pub(super) fn exact(&self, family: &str) -> bool {
        self.unclear == 0 && !self.unseen_experts && (self.experts == 0 || experts_seen(family)) && !self.tied_head
    }

    /// What a reader of the figures should know.
    pub(super) fn notes(&self, family: &str) -> Vec<String> {
        let mut notes = Vec::new();
        if self.experts > 0 && !experts_seen(family) {
            notes.push(format!(
                "{} expert and router tensors are kept: transformers 5 holds them in fused modules that this tool leaves alone",
                self.experts
            ));
        } else if self.experts > 0 {
            notes.push(format!(
                "{} expert and router tensors are kept: this tool leaves transformers' fused experts alone",
                self.experts
            ));
        }
        if self.unseen_experts {
            notes.push("the names of this family's experts follow those of Mixtral and Qwen: not seen".to_owned());
        }
        if self.tied_head {
            notes.push("the stored lm_head is the embedding by its config, and is left out as transformers does".to_owned());
        }
        if let Some(example) = &self.unclear_example {
            notes.push(format!(
                "{} matrices are of a role that this rule was not checked for, for example `{example}`; taken as linears",
                self.unclear
            ));
        }
        notes
    }
}

/// Whether a tensor is the weight of an `nn.Linear`, and what is doubtful about that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Linear {
    Yes,
    No,
    /// A routed expert or a router: a fused parameter, not a module, in transformers 5.
    Expert,
    /// The weight of a `Conv1D` module ([in, out]).
    Conv1D,
    /// A matrix whose module is not known.
    Unclear,
}

/// Source: transformers 5.23: quantizers replace `nn.Linear` only, so embeddings, norms, biases, convolutions and `Conv1D` stay;
/// the output head is on the ignore list.
pub(super) fn classify(input: &ProjectInput<'_>, tensor: &ProjectTensor<'_>) -> Linear {
    if tensor.part != Part::Weight || !tensor.dtype.is_float() || tensor.shape.len() < 2 {
        return Linear::No;
    }
    match tensor.role {
        Role::Expert | Role::Router => return Linear::Expert,
        Role::Embedding | Role::PositionEmbedding | Role::Norm | Role::LmHead | Role::Conv | Role::Buffer | Role::QuantAux => {
            return Linear::No;
        }
        _ => {}
    }
    if tensor.shape.len() != 2 || !tensor.name.ends_with(".weight") {
        return Linear::No;
    }
    let family = input.model.family.as_deref().unwrap_or_default();
    if is_conv1d(family, &tensor.name) {
        return Linear::Conv1D;
    }
    if family.is_empty() && is_turned_name(&tensor.name) {
        return Linear::Unclear;
    }
    match tensor.role {
        Role::Attention | Role::Mlp | Role::SharedExpert | Role::Head => Linear::Yes,
        _ => Linear::Unclear,
    }
}
