//! The fixed binary tree over leaves.
//!
//! Node `(level, index)` covers the leaves from `index << level` up to `(index + 1) << level`, cut off at the last leaf. A node
//! whose right child would lie wholly beyond the last leaf is its left child.

use std::collections::BTreeMap;

use super::TensorStats;

/// The level of the root over `leaves` leaves: 0 for one leaf.
pub fn levels(leaves: u64) -> u32 {
    leaves.max(1).next_power_of_two().trailing_zeros()
}

/// Nodes of a tree that come in any order and fold as soon as two siblings are there. Holds the nodes that wait for a sibling:
/// for a scan that goes through a tensor in order, some per level and thread, not one per leaf.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    leaves: u64,
    waiting: BTreeMap<(u32, u64), TensorStats>,
}

impl Tree {
    /// Makes an empty tree over a number of leaves.
    pub fn new(leaves: u64) -> Self {
        Self { leaves: leaves.min(1 << 62), waiting: BTreeMap::new() }
    }

    /// Adds a node. `false` if it lies outside the tree or was there before; the tree is then as it was.
    pub fn insert(&mut self, level: u32, index: u64, stats: TensorStats) -> bool {
        let top = levels(self.leaves);
        if level > top || index >= self.leaves || index << level >= self.leaves || index.leading_zeros() < level {
            return false;
        }
        if self.waiting.contains_key(&(level, index)) {
            return false;
        }
        let (mut level, mut index, mut stats) = (level, index, stats);
        while level < top {
            let right_exists = (index | 1) << level < self.leaves;
            if index & 1 == 1 {
                let Some(left) = self.waiting.remove(&(level, index - 1)) else { break };
                stats = left.merge(&stats);
            } else if right_exists {
                let Some(right) = self.waiting.remove(&(level, index + 1)) else { break };
                stats = stats.merge(&right);
            }
            level += 1;
            index >>= 1;
        }
        self.waiting.insert((level, index), stats).is_none()
    }

    /// The figures of the whole, once every leaf is there.
    pub fn root(&self) -> Option<&TensorStats> {
        if self.waiting.len() > 1 {
            return None;
        }
        self.waiting.get(&(levels(self.leaves), 0))
    }

    /// The largest whole subtrees present, in order.
    pub fn nodes(&self) -> impl Iterator<Item = (u32, u64, &TensorStats)> {
        self.waiting.iter().map(|(&(level, index), stats)| (level, index, stats))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::{ElementCounts, LeafStats};

    fn leaf(i: u64) -> TensorStats {
        let x = (i as f64 * 0.37).sin() / 3.0;
        let y = (i as f64 * 0.91).cos();
        let counts = ElementCounts { elements: 2, ..ElementCounts::default() };
        LeafStats { counts, min: x.min(y), max: x.max(y), sum: x + y, sum_sq: x * x + y * y, ..LeafStats::default() }.into()
    }

    #[test]
    fn any_order_and_any_subtrees_give_the_same_root() {
        for leaves in [1u64, 2, 3, 5, 8, 13, 64, 100] {
            let mut plain = Tree::new(leaves);
            for i in 0..leaves {
                assert!(plain.insert(0, i, leaf(i)));
            }
            let root = *plain.root().unwrap();
            let mut shuffled = Tree::new(leaves);
            let mut order: Vec<u64> = (0..leaves).collect();
            order.sort_by_key(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            for i in order {
                assert!(shuffled.insert(0, i, leaf(i)));
            }
            assert_eq!(*shuffled.root().unwrap(), root);
            for cut in 0..=leaves {
                let (mut first, mut second) = (Tree::new(leaves), Tree::new(leaves));
                (0..cut).for_each(|i| assert!(first.insert(0, i, leaf(i))));
                (cut..leaves).for_each(|i| assert!(second.insert(0, i, leaf(i))));
                let mut both = Tree::new(leaves);
                for (level, index, stats) in second.nodes().chain(first.nodes()) {
                    assert!(both.insert(level, index, *stats));
                }
                assert_eq!(*both.root().unwrap(), root);
            }
        }
    }

    #[test]
    fn what_is_outside_or_twice_is_refused() {
        let mut tree = Tree::new(5);
        assert!(!tree.insert(0, 5, leaf(0)));
        assert!(!tree.insert(4, 0, leaf(0)));
        assert!(!tree.insert(2, 2, leaf(0)));
        assert!(!tree.insert(70, 1, leaf(0)));
        assert!(tree.insert(0, 1, leaf(1)));
        assert!(!tree.insert(0, 1, leaf(1)));
        assert!(tree.root().is_none());
    }
}
