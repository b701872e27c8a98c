//! The full pass: what `--stats full` adds to the base pass, in a read of its own.
//!
//! Tensors are taken one after another. A large one is cut into bands of about a MiB that all threads share, small ones go whole to
//! one thread each. Everything is counted in integers (or, for cast errors, summed band by band in a fixed order), so threads change
//! no digit. A scan of a part takes whole tensors: those that begin in it. What it costs beside the base pass is in
//! `docs/benchmarks.md`.

mod band;
mod bits;
mod cast;
mod class;
mod counter;
mod cutoffs;
mod driver;
mod duplicates;
mod evaluate;
mod geometry;
mod lines;
mod outcome;
mod passes;
mod pooled;
mod refine;
mod structure;
mod tensor;

pub use cast::CastTarget;
pub use cutoffs::{CutoffOutcome, MAX_SHARES, bytes_to_read as cutoff_bytes_to_read, cutoffs};
pub use driver::{bytes_to_read, scan_full};
pub use duplicates::{DuplicateGroup, duplicates};
pub use geometry::{Axis, Geometry};
pub use outcome::{FullFile, FullOutcome, FullPart, merge_full};
pub use passes::{bytes_of_both, scan_both};
pub use pooled::{Pooled, PooledFigures, PooledPart};
