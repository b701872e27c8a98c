//! Routed experts that a file holds one by one, brought together by block: quantizers rename, stack or fuse them.
//!
//! transformers 5 holds the experts of a block in two fused parameters, `experts.gate_up_proj` [E, 2F, H] and `experts.down_proj`
//! [E, H, F], and writes them under the names of the original files.

use std::collections::BTreeMap;

use crate::dtype::Dtype;
use crate::project::input::{ProjectInput, ProjectTensor};

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
    /// Indices of gate, up and down of each expert.
    pub(super) experts: Vec<[usize; 3]>,
    /// F: rows of gate and up, columns of down.
    pub(super) width: u64,
    /// H: columns of gate and up, rows of down.
    pub(super) hidden: u64,
    pub(super) dtype: Dtype,
}

impl Block {
    /// Rows and columns of a projection.
    pub(super) fn shape(&self, projection: usize) -> (u64, u64) {
        if projection == 2 { (self.hidden, self.width) } else { (self.width, self.hidden) }
    }

    fn of(tensors: &[ProjectTensor<'_>], found: &BTreeMap<u32, [Option<usize>; 3]>) -> Option<Self> {
        let experts: Vec<[usize; 3]> =
            found.values().map(|three| Some([three[0]?, three[1]?, three[2]?])).collect::<Option<_>>()?;
        let first = &tensors[experts.first()?[0]];
        let &[width, hidden] = first.shape.as_slice() else { return None };
        let block = Self { experts, width, hidden, dtype: first.dtype };
        let numbered = found.keys().copied().eq(0..u32::try_from(found.len()).ok()?);
        let alike = block.experts.iter().all(|three| {
            three.iter().enumerate().all(|(projection, &i)| {
                let (rows, columns) = block.shape(projection);
                tensors[i].shape.as_slice() == [rows, columns] && tensors[i].dtype == block.dtype
            })
        });
        (numbered && alike && block.dtype.is_float()).then_some(block)
    }
}

/// The blocks of a checkpoint by name. A block that is not understood is left out.
pub(super) fn blocks<'i>(input: &'i ProjectInput<'_>) -> BTreeMap<&'i str, Block> {
    let mut found: BTreeMap<&str, BTreeMap<u32, [Option<usize>; 3]>> = BTreeMap::new();
    for (i, t) in input.tensors.iter().enumerate() {
        if let Some((block, expert, projection)) = place(&t.name) {
            found.entry(block).or_default().entry(expert).or_default()[projection] = Some(i);
        }
    }
    found.into_iter().filter_map(|(name, experts)| Some((name, Block::of(&input.tensors, &experts)?))).collect()
}
