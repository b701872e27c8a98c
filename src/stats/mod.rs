//! What the values of tensors look like, as plain data: nothing is read here.
//!
//! A tensor (or each of its expert slices) is cut into leaves of [`LEAF_ELEMENTS`] elements. A kernel turns the bytes of a leaf
//! into [`LeafStats`]; leaves fold into [`TensorStats`] along a binary tree whose shape depends on the number of leaves alone
//! ([`Tree`]). ElementCounts and extremes do not care about order; moments do, in their last digits, which is why the tree is fixed: any
//! number of threads, any split into parts and any processor give the same digits.

mod counts;
mod exact;
mod fold;
pub mod full;
pub mod huffman;
mod leaf;
pub mod magnitude;
mod moments;
mod part;
mod tensor;
mod tree;

pub use counts::ElementCounts;
pub use fold::{PartNode, TensorFold};
pub use leaf::{LeafStats, ScaleHealth};
pub use moments::Moments;
pub use part::{PART_SCHEMA, PartFile, PartTensor, ScanPart, check_set};
pub use tensor::{Pairwise, TensorStats};
pub use tree::{Tree, levels};

/// Elements of a leaf, for every dtype. A multiple of every block size (256 at most), so that leaves begin on block boundaries;
/// 16 KiB (1 bit an element) to 512 KiB (64 bits) of data, which stays in a second-level cache if a leaf has to be read twice.
pub const LEAF_ELEMENTS: u64 = 65_536;
