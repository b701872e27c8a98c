//! What schemes read, with what is worked out once for all of them.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use super::llama_quantize::conversions::Conversions;
use super::llama_quantize::order::Prepared;
use super::options::Options;
use super::{experts, seen, source, stacks};
use crate::project::input::ProjectInput;
use crate::project::written::greedy::natural;

/// What a scheme reads: the checkpoint, the options, and facts worked out once for all targets.
#[derive(Debug)]
pub struct Context<'i, 'a> {
    /// The checkpoint that is projected.
    pub input: &'i ProjectInput<'a>,
    /// How the tools are run.
    pub options: Options,
    prepared: OnceCell<Prepared>,
    by_name: OnceCell<Vec<u32>>,
    natural: OnceCell<Vec<u32>>,
    conversions: Conversions,
    blocks: OnceCell<BTreeMap<&'i str, experts::Block>>,
    stacks: OnceCell<BTreeMap<&'i str, (stacks::Stack, stacks::Dims)>>,
    seen: OnceCell<seen::Seen>,
    refusal: OnceCell<Option<String>>,
}

impl<'i, 'a> Context<'i, 'a> {
    /// Starts with nothing worked out.
    pub fn new(input: &'i ProjectInput<'a>, options: Options) -> Self {
        Self {
            input,
            options,
            prepared: OnceCell::new(),
            by_name: OnceCell::new(),
            natural: OnceCell::new(),
            conversions: Conversions::default(),
            blocks: OnceCell::new(),
            stacks: OnceCell::new(),
            seen: OnceCell::new(),
            refusal: OnceCell::new(),
        }
    }

    /// Indices of the tensors in the order of their names: the order, but for types, in which safetensors files hold them.
    pub(crate) fn by_name(&self) -> &[u32] {
        self.by_name.get_or_init(|| {
            let tensors = &self.input.tensors;
            let mut order: Vec<u32> = (0..u32::try_from(tensors.len()).unwrap_or(u32::MAX)).collect();
            order.sort_by(|&a, &b| tensors[a as usize].name.cmp(&tensors[b as usize].name));
            order
        })
    }

    /// Place of each tensor when names are ordered with numbers as numbers.
    pub(crate) fn natural_ranks(&self) -> &[u32] {
        self.natural.get_or_init(|| {
            let tensors = &self.input.tensors;
            let mut order: Vec<u32> = (0..u32::try_from(tensors.len()).unwrap_or(u32::MAX)).collect();
            order.sort_by(|&a, &b| natural(&tensors[a as usize].name, &tensors[b as usize].name));
            let mut ranks = vec![0; tensors.len()];
            for (rank, &i) in (0u32..).zip(&order) {
                ranks[i as usize] = rank;
            }
            ranks
        })
    }

    /// Order and categories of a GGUF's tensors, the same for all targets.
    pub(crate) fn prepared(&self) -> &Prepared {
        self.prepared.get_or_init(|| Prepared::of(&self.input.tensors))
    }

    /// Blocks of routed experts that the file holds one by one.
    pub(super) fn blocks(&self) -> &BTreeMap<&'i str, experts::Block> {
        self.blocks.get_or_init(|| experts::blocks(self.input))
    }

    /// Blocks of routed experts that the file holds in one tensor of a projection.
    pub(super) fn stacks(&self) -> &BTreeMap<&'i str, (stacks::Stack, stacks::Dims)> {
        self.stacks.get_or_init(|| stacks::stacks(self.input))
    }

    /// Returns what the tools were seen to make of the checkpoint's class.
    pub(super) fn seen(&self) -> &seen::Seen {
        self.seen.get_or_init(|| seen::Seen::of(self.input))
    }

    /// Why no safetensors scheme takes the checkpoint.
    pub(super) fn refusal(&self) -> Option<&str> {
        self.refusal.get_or_init(|| source::refusal(self.input)).as_deref()
    }

    /// What the Hugging Face converter makes of the checkpoint, for all targets.
    pub(crate) fn conversions(&self) -> &Conversions {
        &self.conversions
    }
}
