//! What each dimension of a tensor counts, by the name of its module.
//!
//! Source: the module names and shapes in transformers 4.57 and 5.23 (`modeling_*.py`). `nn.Linear` is [out, in], `Conv1D` of GPT-2
//! [in, out]. A tensor in no row has unknown dimensions, and a cut that may touch it is refused.

use super::dims::Dims;
use crate::checkpoint::{ModelConfig, Part, Role, is_conv1d};
use crate::families::modules;
use crate::project::input::ProjectTensor;
use crate::project::stacked::{self, Lies, Projection, Stacked};

pub(super) use crate::families::modules::Axis;

/// The dimensions of a tensor; `None` where they are not known.
pub(super) fn of(t: &ProjectTensor<'_>, dims: &Dims, model: &ModelConfig) -> Option<Vec<Axis>> {
    use Axis::{Fixed, Hidden, Kv, Query};
    if let Some(stack) = stacked::of(t, model) {
        return of_stack(&stack);
    }
    let family = model.family.as_deref().unwrap_or_default();
    if t.part == Part::Buffer || t.role == Role::Buffer {
        return Some(vec![Fixed; t.shape.len()]);
    }
    let (module, is_bias) = match (t.name.strip_suffix(".weight"), t.name.strip_suffix(".bias")) {
        (Some(module), _) => (module, false),
        (_, Some(module)) => (module, true),
        _ => return None,
    };
    let ends = |end: &str| module == end || (module.ends_with(end) && module[..module.len() - end.len()].ends_with('.'));
    let axes = match t.role {
        Role::Norm if ends("q_norm") || ends("k_norm") => {
            let whole = if ends("q_norm") { (dims.query(), Query) } else { (dims.kv(), Kv) };
            match t.row_len() {
                n if Some(n) == dims.head_dim => vec![Fixed],
                n if Some(n) == whole.0 => vec![whole.1],
                _ => return None,
            }
        }
        Role::Norm => vec![Hidden],
        Role::Attention | Role::Mlp | Role::Expert | Role::SharedExpert => {
            let (out, input) = modules::axes(module)?;
            match is_bias {
                true => vec![out],
                false if is_conv1d(family, &t.name) => vec![input, out],
                false => vec![out, input],
            }
        }
        Role::Embedding | Role::PositionEmbedding | Role::Router if !is_bias => vec![Fixed, Hidden],
        // Heads of encoders have a square layer before the one to the vocabulary.
        Role::Head | Role::LmHead if ends("dense") => {
            if is_bias {
                vec![Hidden]
            } else {
                vec![Hidden, Hidden]
            }
        }
        Role::Head | Role::LmHead if ends("LayerNorm") || ends("layer_norm") => vec![Hidden],
        Role::Head | Role::LmHead => {
            if is_bias {
                vec![Fixed]
            } else {
                vec![Fixed, Hidden]
            }
        }
        _ => return None,
    };
    (axes.len() == t.shape.len()).then_some(axes)
}

/// The dimensions of a stack of experts; `None` where its shape does not tell which is which.
fn of_stack(stack: &Stacked<'_>) -> Option<Vec<Axis>> {
    use Axis::{Ffn, FfnOf, Fixed, GateUp, Hidden};
    let (outputs, inputs) = match stack.projection {
        Projection::GateUp => (GateUp, Hidden),
        Projection::Gate | Projection::Up => (Ffn, Hidden),
        Projection::Down => (Hidden, Ffn),
    };
    match stack.lies {
        Lies::Straight => Some(vec![Fixed, outputs, inputs]),
        Lies::Turned => Some(vec![Fixed, inputs, outputs]),
        Lies::Vectors => Some(vec![Fixed, outputs]),
        Lies::Flat | Lies::FlatTurned if stack.projection != Projection::GateUp => Some(vec![FfnOf(stack.experts), Hidden]),
        Lies::Flat | Lies::FlatTurned | Lies::Unclear => None,
    }
}
