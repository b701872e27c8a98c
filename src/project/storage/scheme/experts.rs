//! The routed experts of a block, which a file holds one by one or stacked: quantizers rename, stack or fuse them.
//!
//! transformers 5 holds the experts of a block in two fused parameters, `experts.gate_up_proj` [E, 2F, H] and `experts.down_proj`
//! [E, H, F], and writes them under the names of the original files.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::checkpoint::{ModelConfig, Role};
use crate::dtype::Dtype;
use crate::format::limits::MAX_TENSORS;
use crate::project::input::{ProjectInput, ProjectTensor};
use crate::project::storage::stacked::{self, Projection, Stacked};

/// The projections of an expert, in the order in which its module holds them.
pub(super) const PROJECTIONS: [&str; 3] = ["gate_proj", "up_proj", "down_proj"];

/// Where one expert's tensor stands: the block (`model.layers.0.mlp`), the expert, the place in [`PROJECTIONS`].
pub(super) fn place(name: &str) -> Option<(&str, u32, usize)> {
    let (block, rest) = name.split_once(".experts.")?;
    let (expert, rest) = rest.split_once('.')?;
    let projection = match rest.strip_suffix(".weight")? {
        "gate_proj" | "w1" => 0,
        "up_proj" | "w3" => 1,
        "down_proj" | "w2" => 2,
        _ => return None,
    };
    Some((block, expert.parse().ok()?, projection))
}

/// The routed experts of one block, all of one shape and type.
#[derive(Debug, Clone)]
pub(super) struct Block {
    /// Where they are.
    pub(super) held: Held,
    /// How many.
    pub(super) count: u64,
    /// F: rows of gate and up, columns of down.
    pub(super) width: u64,
    /// H: columns of gate and up, rows of down.
    pub(super) hidden: u64,
    pub(super) dtype: Dtype,
}

/// The tensors that hold the experts of a block.
#[derive(Debug, Clone)]
pub(super) enum Held {
    /// Indices of gate, up and down of each expert.
    OneByOne(Vec<[usize; 3]>),
    /// All experts of a projection in one tensor.
    Stacked {
        /// Gate and up, in one tensor or two.
        gate_up: Vec<usize>,
        down: usize,
    },
}

impl Held {
    /// The tensors of gate and up, or of down.
    pub(super) fn of(&self, down: bool) -> Vec<usize> {
        match self {
            Self::OneByOne(experts) => {
                experts.iter().flat_map(|three| if down { &three[2..] } else { &three[..2] }).copied().collect()
            }
            Self::Stacked { down: one, .. } if down => vec![*one],
            Self::Stacked { gate_up, .. } => gate_up.clone(),
        }
    }
}

impl Block {
    /// Rows and columns of a projection.
    pub(super) fn shape(&self, projection: usize) -> (u64, u64) {
        if projection == 2 { (self.hidden, self.width) } else { (self.width, self.hidden) }
    }

    /// The tensor that holds one projection of one expert and nothing else.
    pub(super) fn source(&self, expert: u64, projection: usize) -> Option<usize> {
        match &self.held {
            Held::OneByOne(experts) => experts.get(usize::try_from(expert).ok()?).map(|three| three[projection]),
            Held::Stacked { .. } => None,
        }
    }

    fn of(tensors: &[ProjectTensor<'_>], found: &BTreeMap<u32, [Option<usize>; 3]>) -> Option<Self> {
        let experts: Vec<[usize; 3]> =
            found.values().map(|three| Some([three[0]?, three[1]?, three[2]?])).collect::<Option<_>>()?;
        let first = &tensors[experts.first()?[0]];
        let &[width, hidden] = first.shape.as_slice() else { return None };
        let dtype = first.dtype;
        let numbered = found.keys().copied().eq(0..u32::try_from(found.len()).ok()?);
        let block = Self { count: experts.len() as u64, held: Held::OneByOne(Vec::new()), width, hidden, dtype };
        let alike = experts.iter().all(|three| {
            three.iter().enumerate().all(|(projection, &i)| {
                let (rows, columns) = block.shape(projection);
                tensors[i].shape.as_slice() == [rows, columns] && tensors[i].dtype == dtype
            })
        });
        (numbered && alike && dtype.is_float()).then_some(Self { held: Held::OneByOne(experts), ..block })
    }

    /// Of the stacks of one block: gate and up in one or two tensors, and down.
    fn of_stacks(tensors: &[ProjectTensor<'_>], found: &[(usize, Stacked<'_>)]) -> Option<Self> {
        let one = |projection| {
            let mut of_it = found.iter().filter(|(_, stack)| stack.projection == projection);
            of_it.next().filter(|_| of_it.next().is_none())
        };
        let (down, below) = one(Projection::Down)?;
        let dtype = tensors[*down].dtype;
        let (above, rows) = match (one(Projection::GateUp), one(Projection::Gate), one(Projection::Up)) {
            (Some(both), None, None) => (vec![both], below.inputs.checked_mul(2)?),
            (None, Some(gate), Some(up)) => (vec![gate, up], below.inputs),
            _ => return None,
        };
        let fits = |(i, stack): &&(usize, Stacked<'_>)| {
            (stack.experts, stack.outputs, stack.inputs) == (below.experts, rows, below.outputs) && tensors[*i].dtype == dtype
        };
        let held = Held::Stacked { gate_up: above.iter().map(|(i, _)| *i).collect(), down: *down };
        let block = Self { held, count: below.experts, width: below.inputs, hidden: below.outputs, dtype };
        (above.iter().all(fits) && dtype.is_float() && below.experts > 0).then_some(block)
    }
}

/// The block that a tensor's weights belong to, where they are routed experts, one or all.
pub(super) fn block_of<'n>(t: &'n ProjectTensor<'_>, model: &ModelConfig) -> Option<&'n str> {
    match place(&t.name) {
        Some((block, ..)) => Some(block),
        None => stack_of(t, model).map(|stack| stack.block),
    }
}

/// A stack of routed experts' weights. Biases stay with whoever writes the rest.
fn stack_of<'n>(t: &'n ProjectTensor<'_>, model: &ModelConfig) -> Option<Stacked<'n>> {
    stacked::of(t, model).filter(|stack| t.role == Role::Expert && !stack.is_bias)
}

/// The blocks of a checkpoint by name. A block that is not understood is left out.
pub(super) fn blocks<'i>(input: &'i ProjectInput<'_>) -> BTreeMap<&'i str, Block> {
    let mut found: BTreeMap<&str, BTreeMap<u32, [Option<usize>; 3]>> = BTreeMap::new();
    let mut stacks: BTreeMap<&str, Vec<(usize, Stacked<'_>)>> = BTreeMap::new();
    for (i, t) in input.tensors.iter().enumerate() {
        if let Some((block, expert, projection)) = place(&t.name) {
            found.entry(block).or_default().entry(expert).or_default()[projection] = Some(i);
        } else if let Some(stack) = stack_of(t, input.model) {
            stacks.entry(stack.block).or_default().push((i, stack));
        }
    }
    let mut blocks: BTreeMap<&str, Block> =
        found.into_iter().filter_map(|(name, experts)| Some((name, Block::of(&input.tensors, &experts)?))).collect();
    let stacks: Vec<(&str, Block)> =
        stacks.into_iter().filter_map(|(name, stacks)| Some((name, Block::of_stacks(&input.tensors, &stacks)?))).collect();
    // A tool may take each expert out; a header can claim more of them than any file of them could hold.
    let experts = stacks.iter().fold(0u64, |n, (_, block)| n.saturating_add(block.count));
    if experts <= MAX_TENSORS / 3 {
        for (name, block) in stacks {
            blocks.entry(name).or_insert(block);
        }
    }
    blocks
}

/// The name under which transformers 5 holds a tensor: Mixtral's `block_sparse_moe` is its `mlp`.
pub(super) fn as_transformers_holds_it<'n>(family: &str, name: &'n str) -> Cow<'n, str> {
    if family == "mixtral" { Cow::Owned(name.replace(".block_sparse_moe", ".mlp")) } else { Cow::Borrowed(name) }
}
