//! Routed experts that one tensor of a block holds together: which projection it is, how many experts, and which way they lie.
//!
//! transformers 5 holds the experts of a block in parameters of their own, so that their names end without `.weight`
//! (`mlp.experts.gate_up_proj`); families whose files are older end with it or not. Source of the names: transformers 5.24,
//! `modeling_*.py`, and published repositories; which way a stack lies is told by the hidden size.

use super::input::ProjectTensor;
use crate::checkpoint::{ModelConfig, Part, Role};

/// Projections that a stack of experts can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Projection {
    Gate,
    Up,
    /// Gate and up in one, an expert's gate before its up or row by row.
    GateUp,
    Down,
}

/// The weights or biases of all experts of a block for one projection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stacked<'n> {
    /// The block: `model.layers.0.mlp`.
    pub(super) block: &'n str,
    pub(super) projection: Projection,
    pub(super) experts: u64,
    /// Rows of an expert as a linear layer: what it gives.
    pub(super) outputs: u64,
    /// Columns: what it takes; 1 for biases.
    pub(super) inputs: u64,
    pub(super) lies: Lies,
    pub(super) is_bias: bool,
}

/// How the dimensions of a stack follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lies {
    /// [experts, outputs, inputs], as linear layers.
    Straight,
    /// [experts, inputs, outputs].
    Turned,
    /// [experts x outputs, inputs].
    Flat,
    /// [experts x inputs, outputs].
    FlatTurned,
    /// In three dimensions, and both or none of the others are the hidden size: taken as straight where it does not matter.
    Unclear,
    /// Biases: [experts, outputs].
    Vectors,
}

/// Last pieces of names, without what follows a weight's or a bias's own name.
const MODULES: &[(&str, Projection)] = &[
    ("gate_up_proj", Projection::GateUp),
    ("w13", Projection::GateUp),
    ("input_linear", Projection::GateUp),
    ("fc1", Projection::GateUp),
    ("gate_proj", Projection::Gate),
    ("w1", Projection::Gate),
    ("up_proj", Projection::Up),
    ("w3", Projection::Up),
    ("v1", Projection::Up),
    ("down_proj", Projection::Down),
    ("w2", Projection::Down),
    ("output_linear", Projection::Down),
    ("fc2", Projection::Down),
];

/// What stands after a parameter's own name.
const ENDS: &[(&str, bool)] = &[(".weight", false), ("_weight", false), (".bias", true), ("_bias", true), ("", false)];

/// The stack that a tensor is; `None` for all others, single experts among them.
pub(super) fn of<'n>(t: &'n ProjectTensor<'_>, model: &ModelConfig) -> Option<Stacked<'n>> {
    if t.part != Part::Weight || !matches!(t.role, Role::Expert | Role::SharedExpert) || !(2..=3).contains(&t.shape.len()) {
        return None;
    }
    let (stem, is_bias) = ENDS.iter().find_map(|(end, is_bias)| Some((t.name.strip_suffix(end)?, *is_bias)))?;
    let (path, module) = stem.rsplit_once('.')?;
    let module = module.strip_prefix("shared_").unwrap_or(module);
    let &(_, projection) = MODULES.iter().find(|(name, _)| *name == module)?;
    // `experts.7.gate_proj` is one of many.
    let (rest, last) = path.rsplit_once('.').unwrap_or(("", path));
    if !last.is_empty() && last.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let flat = last == "mlp" && rest.ends_with(".experts");
    let block = if flat { rest } else { path };
    let block = [".experts", ".shared_experts"].iter().find_map(|end| block.strip_suffix(end)).unwrap_or(block);
    let stack = |experts, outputs, inputs, lies| Stacked { block, projection, experts, outputs, inputs, lies, is_bias };
    match *t.shape.as_slice() {
        [experts, outputs] if is_bias && !flat => Some(stack(experts, outputs, 1, Lies::Vectors)),
        // megablocks: the experts lie one below the other, each as its first projection does.
        [rows, hidden] if flat && !is_bias => {
            let experts = model.experts.filter(|&n| n > 0 && rows.is_multiple_of(n))?;
            Some(match projection {
                Projection::Down => stack(experts, hidden, rows / experts, Lies::FlatTurned),
                _ => stack(experts, rows / experts, hidden, Lies::Flat),
            })
        }
        [experts, a, b] if !is_bias => {
            let is_hidden = |n| model.hidden_size == Some(n);
            let (straight, turned) = match projection {
                Projection::Down => (is_hidden(a), is_hidden(b)),
                _ => (is_hidden(b), is_hidden(a)),
            };
            Some(match (straight, turned) {
                (true, false) => stack(experts, a, b, Lies::Straight),
                (false, true) => stack(experts, b, a, Lies::Turned),
                _ => stack(experts, a, b, Lies::Unclear),
            })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dtype::Dtype;

    /// Block, projection, experts, outputs, inputs, and how they lie. Names and shapes are those that transformers 5.24 writes.
    #[test]
    fn names_and_shapes_of_the_families() {
        let model = ModelConfig { hidden_size: Some(64), experts: Some(8), ..ModelConfig::default() };
        type Row = (&'static str, &'static [u64], Option<(&'static str, Projection, u64, u64, u64, Lies)>);
        use Lies::{Flat, FlatTurned, Straight, Turned, Unclear, Vectors};
        use Projection::{Down, Gate, GateUp, Up};
        let cases: [Row; 19] = [
            ("model.layers.0.mlp.experts.gate_up_proj", &[8, 192, 64], Some(("model.layers.0.mlp", GateUp, 8, 192, 64, Straight))),
            ("model.layers.0.mlp.experts.down_proj", &[8, 64, 96], Some(("model.layers.0.mlp", Down, 8, 64, 96, Straight))),
            ("a.0.feed_forward.experts.gate_up_proj", &[8, 64, 192], Some(("a.0.feed_forward", GateUp, 8, 192, 64, Turned))),
            ("a.0.feed_forward.experts.down_proj", &[8, 96, 64], Some(("a.0.feed_forward", Down, 8, 64, 96, Turned))),
            ("m.0.mlp.experts.gate_up_proj_bias", &[8, 192], Some(("m.0.mlp", GateUp, 8, 192, 1, Vectors))),
            ("t.blocks.0.ffn.experts.mlp.w1", &[768, 64], Some(("t.blocks.0.ffn", Gate, 8, 96, 64, Flat))),
            ("t.blocks.0.ffn.experts.mlp.v1", &[768, 64], Some(("t.blocks.0.ffn", Up, 8, 96, 64, Flat))),
            ("t.blocks.0.ffn.experts.mlp.w2", &[768, 64], Some(("t.blocks.0.ffn", Down, 8, 64, 96, FlatTurned))),
            ("model.layers.0.moe.gate_proj.weight", &[8, 32, 64], Some(("model.layers.0.moe", Gate, 8, 32, 64, Straight))),
            (
                "m.0.block_sparse_moe.input_linear.weight",
                &[8, 192, 64],
                Some(("m.0.block_sparse_moe", GateUp, 8, 192, 64, Straight)),
            ),
            ("m.0.mlp.experts.fc1.weight", &[8, 64, 192], Some(("m.0.mlp", GateUp, 8, 192, 64, Turned))),
            ("m.0.mlp.experts.w13_weight", &[8, 64, 64], Some(("m.0.mlp", GateUp, 8, 64, 64, Unclear))),
            ("m.0.mlp.experts.w2_weight", &[8, 64, 32], Some(("m.0.mlp", Down, 8, 64, 32, Straight))),
            ("m.0.mixer.experts.up_proj", &[8, 96, 32], Some(("m.0.mixer", Up, 8, 96, 32, Unclear))),
            ("m.0.mlp.experts.3.up_proj.weight", &[96, 64], None),
            ("m.0.mlp.experts.up_proj", &[8, 96, 64], Some(("m.0.mlp", Up, 8, 96, 64, Straight))),
            ("m.0.mlp.experts.per_expert_scale", &[8], None),
            ("m.0.mlp.experts.mlp.w1", &[769, 64], None),
            ("m.0.mlp.experts.odd", &[8, 4, 4], None),
        ];
        for (name, shape, wanted) in cases {
            let tensor = ProjectTensor::weight(name, Role::Expert, Some(0), Dtype::BF16, shape);
            let found = of(&tensor, &model).map(|s| (s.block, s.projection, s.experts, s.outputs, s.inputs, s.lies));
            assert_eq!(found, wanted, "{name} {shape:?}");
        }
        let dense = ProjectTensor::weight("m.0.mlp.gate_up_proj.weight", Role::Mlp, Some(0), Dtype::BF16, &[192, 64]);
        assert_eq!(of(&dense, &model), None);
    }
}
