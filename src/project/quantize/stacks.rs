//! Routed experts that a file holds in one tensor of a projection, brought together by block.
//!
//! llm-compressor 0.14 makes a linear layer of each expert of such a block (`modeling/moe/linearize.py`: every class whose experts
//! transformers marks as such, Llama 4 by a rule of its own) and writes them one by one: `experts.N.gate_proj`, `up_proj`,
//! `down_proj`. The stacks stand as [experts, out, in] or [experts, in, out]; the two projections of a block tell which.

use std::collections::BTreeMap;

use crate::checkpoint::Part;
use crate::dtype::Dtype;
use crate::project::input::ProjectInput;

/// Names of the stacks of a block: what stands behind its name, and what else stands for gate and up, for down.
const NAMES: &[(&str, &str, &str)] = &[
    (".experts.", "gate_up_proj", "down_proj"),
    // Granite: modules of their own class.
    (".", "input_linear.weight", "output_linear.weight"),
];

/// Tensors that hold the experts of one block.
#[derive(Debug, Clone, Default)]
pub(super) struct Stack {
    /// Indices of the tensors of gate and up, and of down.
    pub(super) weights: [Option<usize>; 2],
    /// Indices of their biases.
    pub(super) biases: [Option<usize>; 2],
}

/// Dimensions of a stack whose layout could be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Dims {
    pub(super) experts: u64,
    /// Rows of gate and of up, columns of down.
    pub(super) width: u64,
    /// Columns of gate and of up, rows of down.
    pub(super) hidden: u64,
    pub(super) dtype: Dtype,
}

/// Where a tensor stands: its block, whether it is of the down projection, whether it is a bias.
pub(super) fn place(name: &str) -> Option<(&str, bool, bool)> {
    NAMES.iter().find_map(|(between, gate_up, down)| {
        let (bare, bias) = name.strip_suffix("_bias").map_or((name, false), |bare| (bare, true));
        let of = |end: &str| bare.strip_suffix(end)?.strip_suffix(between).filter(|block| *between != "." || is_moe(block));
        of(gate_up).map(|block| (block, false, bias)).or_else(|| of(down).map(|block| (block, true, bias)))
    })
}

fn is_moe(block: &str) -> bool {
    block.ends_with(".block_sparse_moe")
}

impl Stack {
    /// Its dimensions, where both projections are there and agree.
    pub(super) fn dims(&self, input: &ProjectInput<'_>) -> Option<Dims> {
        let [gate_up, down] = [self.weights[0]?, self.weights[1]?].map(|i| &input.tensors[i]);
        let (&[experts, x, y], &[same, p, q]) = (gate_up.shape.as_slice(), down.shape.as_slice()) else { return None };
        let floats = [gate_up, down].iter().all(|t| t.part == Part::Weight && t.dtype.is_float() && t.dtype == gate_up.dtype);
        let (width, hidden) = match () {
            () if x == q.saturating_mul(2) && y == p => (q, p),
            () if y == p.saturating_mul(2) && x == q => (p, q),
            () => return None,
        };
        let whole = experts == same && floats && self.biases.iter().all(Option::is_some) == self.biases.iter().any(Option::is_some);
        whole.then_some(Dims { experts, width, hidden, dtype: gate_up.dtype })
    }
}

/// The stacks of a checkpoint by block; those whose shape is not understood are left out.
pub(super) fn stacks<'i>(input: &'i ProjectInput<'_>) -> BTreeMap<&'i str, (Stack, Dims)> {
    let mut found: BTreeMap<&str, Stack> = BTreeMap::new();
    for (i, t) in input.tensors.iter().enumerate() {
        if let Some((block, down, bias)) = place(&t.name) {
            let stack = found.entry(block).or_default();
            let side = if bias { &mut stack.biases } else { &mut stack.weights };
            side[usize::from(down)] = Some(i);
        }
    }
    found.into_iter().filter_map(|(block, stack)| stack.dims(input).map(|dims| (block, (stack, dims)))).collect()
}
