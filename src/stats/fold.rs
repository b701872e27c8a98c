//! Collecting the figures of one tensor: a tree for each of its slices, and a tree over the slices.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{TensorStats, Tree, levels};

/// A whole subtree of a slice of a tensor, as a part stores it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PartNode {
    /// Which slice of the tensor; 0 where it has but one.
    pub slice: u64,
    /// Level in the tree of that slice: the node covers `2^level` leaves, fewer at the end.
    pub level: u32,
    /// Index among the nodes of that level.
    pub index: u64,
    /// Figures of the leaves it covers.
    pub stats: TensorStats,
}

/// Collects the nodes of a tensor in any order. Slices that are whole are kept when there are several, so that a report can say
/// which expert holds NaN.
#[derive(Debug, Clone)]
pub struct TensorFold {
    slices: u64,
    leaves_per_slice: u64,
    open: BTreeMap<u64, Tree>,
    whole: BTreeMap<u64, TensorStats>,
    top: Tree,
}

impl TensorFold {
    /// A tensor of `slices` equal slices of `leaves_per_slice` leaves each.
    pub fn new(slices: u64, leaves_per_slice: u64) -> Self {
        Self { slices, leaves_per_slice, open: BTreeMap::new(), whole: BTreeMap::new(), top: Tree::new(slices) }
    }

    /// Adds a node. `false` if it does not belong to this tensor or was there before.
    pub fn insert(&mut self, node: PartNode) -> bool {
        if node.slice >= self.slices || self.whole.contains_key(&node.slice) {
            return false;
        }
        let tree = self.open.entry(node.slice).or_insert_with(|| Tree::new(self.leaves_per_slice));
        if !tree.insert(node.level, node.index, node.stats) {
            return false;
        }
        let Some(root) = tree.root().copied() else { return true };
        self.open.remove(&node.slice);
        self.whole.insert(node.slice, root);
        self.top.insert(0, node.slice, root)
    }

    /// The figures of the tensor, once every leaf is there.
    pub fn stats(&self) -> Option<TensorStats> {
        if self.slices == 0 { Some(TensorStats::default()) } else { self.top.root().copied() }
    }

    /// The figures of the slices in order, once all are there; empty for a tensor of one slice.
    pub fn into_slices(self) -> Vec<TensorStats> {
        if self.slices > 1 && self.stats().is_some() { self.whole.into_values().collect() } else { Vec::new() }
    }

    /// The largest whole subtrees present.
    pub fn nodes(&self) -> Vec<PartNode> {
        let level = levels(self.leaves_per_slice);
        let whole = self.whole.iter().map(|(&slice, &stats)| PartNode { slice, level, index: 0, stats });
        let open = self
            .open
            .iter()
            .flat_map(|(&slice, tree)| tree.nodes().map(move |(level, index, &stats)| PartNode { slice, level, index, stats }));
        let mut nodes: Vec<PartNode> = whole.chain(open).collect();
        nodes.sort_by_key(|node| (node.slice, node.index << node.level));
        nodes
    }
}
