//! Which tensors a quantizer of `nn.Linear` modules takes, from role, name and shape.

use super::packing::{Experts, Tool};
use crate::checkpoint::names::is_turned_name;
use crate::checkpoint::{Part, Role, is_conv1d};
use crate::families::routers;
use crate::project::input::{ProjectInput, ProjectTensor};

/// What stands between the figures and "exact".
#[derive(Debug, Clone, Default)]
pub(super) struct Doubts {
    /// Tensors of routed experts that are kept.
    experts: u64,
    /// Routers that are kept.
    routers: u64,
    unclear: u64,
    unclear_example: Option<String>,
    pub(super) tied_head: bool,
}

impl Doubts {
    /// Counts what is doubtful about a tensor.
    pub(super) fn note(&mut self, linear: Linear, tensor: &ProjectTensor<'_>) {
        match linear {
            Linear::Expert if tensor.role == Role::Router => self.routers += 1,
            Linear::Expert => self.experts += 1,
            Linear::Unclear => {
                self.unclear += 1;
                self.unclear_example.get_or_insert_with(|| crate::text::escape(&tensor.name));
            }
            _ => {}
        }
    }

    /// Words these doubts for the reader. `seen`: the tool was seen to take of the class what its rule says.
    pub(super) fn notes(&self, seen: bool, tool: &Tool) -> Vec<String> {
        let mut notes = Vec::new();
        let tensors =
            |n: u64, kind: &str| if n == 1 { format!("1 {kind} tensor is kept") } else { format!("{n} {kind} tensors are kept") };
        if self.experts > 0 {
            let kept = tensors(self.experts + self.routers, "expert and router");
            notes.push(match tool.experts {
                Experts::Kept | Experts::Fused => {
                    let but = tool.experts_elsewhere.map_or_else(String::new, |other| format!("; {other}"));
                    format!("{kept}: this tool leaves transformers' fused experts alone{but}")
                }
                _ => kept,
            });
        } else if self.routers > 0 {
            notes.push(tensors(self.routers, "router"));
        }
        if self.tied_head {
            notes.push("the stored lm_head is the embedding by its config, and is left out as transformers does".to_owned());
        }
        if let Some(example) = self.unclear_example.as_ref().filter(|_| !seen) {
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

/// Source: transformers ([`crate::pins::TRANSFORMERS_CODE`]): quantizers replace `nn.Linear` only, so embeddings, norms, biases,
/// convolutions and `Conv1D` stay; the output head is on the ignore list.
pub(super) fn classify(input: &ProjectInput<'_>, tensor: &ProjectTensor<'_>) -> Linear {
    if tensor.part != Part::Weight || !tensor.dtype.is_float() || tensor.shape.len() < 2 {
        return Linear::No;
    }
    // Linear layers beside what their names say: Qwen's gate of the shared expert, Gemma's projection to the embeddings of all
    // layers, the dense layer before the output of an encoder.
    let is = |end: &str| tensor.name.ends_with(end);
    let family = input.model.family.as_deref().unwrap_or_default();
    if routers::is_linear(family, &tensor.name) {
        return Linear::Yes;
    }
    if is(".shared_expert_gate.weight") || is(".per_layer_model_projection.weight") || is("lm_head.dense.weight") {
        return Linear::Yes;
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
    if is_conv1d(family, &tensor.name) {
        return Linear::Conv1D;
    }
    if family.is_empty() && is_turned_name(&tensor.name) {
        return Linear::Unclear;
    }
    match tensor.role {
        Role::Attention | Role::Mlp | Role::SharedExpert | Role::Head => Linear::Yes,
        // Tables of positions and classes inside towers.
        Role::Vision | Role::Audio if tensor.name.rsplit('.').nth(1).is_some_and(is_table) => Linear::No,
        _ => Linear::Unclear,
    }
}

fn is_table(module: &str) -> bool {
    module.contains("pos") && module.contains("embed")
}

/// Modules of attention and dense layers that every tool takes, whatever the class.
const CERTAIN: &[&str] = &[
    "down_proj",
    "fc1",
    "fc2",
    "gate_proj",
    "k_lin",
    "k_proj",
    "key",
    "o_proj",
    "out_lin",
    "out_proj",
    "q_lin",
    "q_proj",
    "query",
    "up_proj",
    "v_lin",
    "v_proj",
    "value",
];

/// Whether it is open, in a class that was not seen, if a tool takes a tensor. Projections under their usual names it does;
/// embeddings, norms and vectors it does not.
pub(super) fn is_doubtful(tensor: &ProjectTensor<'_>, linear: Linear) -> bool {
    if tensor.part != Part::Weight || !tensor.dtype.is_float() || tensor.shape.len() < 2 {
        return false;
    }
    let module = tensor.name.strip_suffix(".weight").and_then(|stem| stem.rsplit('.').next());
    match tensor.role {
        Role::Norm | Role::Embedding | Role::PositionEmbedding => linear == Linear::Yes,
        Role::Attention | Role::Mlp | Role::SharedExpert => linear != Linear::Yes || !module.is_some_and(|m| CERTAIN.contains(&m)),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::quantize::seen::ToolId;

    #[test]
    fn what_is_kept_is_named_and_counted() {
        let notes = |experts, routers, kept| {
            Doubts { experts, routers, ..Doubts::default() }.notes(true, &Tool { experts: kept, ..Tool::new(ToolId::Hqq) })
        };
        assert_eq!(notes(0, 1, Experts::Kept), ["1 router tensor is kept"]);
        assert_eq!(notes(0, 2, Experts::Fused), ["2 router tensors are kept"]);
        assert_eq!(
            notes(24, 2, Experts::Kept),
            ["26 expert and router tensors are kept: this tool leaves transformers' fused experts alone"]
        );
        assert_eq!(notes(0, 0, Experts::Kept), [""; 0]);
    }
}
