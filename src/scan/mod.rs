//! Reads every byte of every tensor once, at the speed of memory, and fills [`crate::stats`].
//!
//! The input is plain: files, and in them tensors as a dtype, a place and a size. Work is split by bytes into units of about a
//! MiB on leaf boundaries, inside tensors as well as across them, so a model of one tensor uses every core. The figures do not
//! depend on the number of threads, on the split into parts, or on the processor.
//!
//! A file that changes or shrinks while it is scanned loses its figures; the others keep theirs.

#[doc(hidden)]
pub mod blocks;
mod comparisons;
mod copies;
mod driver;
pub mod full;
mod input;
mod kernel;
mod options;
mod outcome;
mod part_document;
mod plan;
mod selection;
mod simd;

pub use comparisons::{Comparisons, TieCheck};
pub use copies::{CopyCheck, compare};
pub use driver::scan;
pub use kernel::has_kernel;
#[doc(hidden)]
pub use kernel::{KERNELS, Kernel, leaf, leaf_with};
pub use options::{Io, Part, ScanFile, ScanOptions, ScanTensor};
pub use outcome::{FileOutcome, IoUsed, ScanOutcome, Skip, TensorOutcome, merge_parts};
pub use part_document::{MergedScan, PartDocument, PartDocuments};
pub use selection::Selection;
pub use simd::Simd;
