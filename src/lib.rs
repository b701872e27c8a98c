//! Puts a model checkpoint on the scales: what its tensors hold, what they weigh, what they would weigh otherwise.
//!
//! The rooms, in layer order; each uses only those before it:
//!
//! - [`text`], [`error`], [`choice`], [`units`], [`dtype`]: text from files, the one error, named options, sizes, element types.
//! - [`source`]: a file as a length, positioned reads and an identity. [`observe`]: progress and stopping. [`threads`]: how many.
//! - [`mod@format`]: what the bytes of one file say, with what is odd about them. Headers only.
//! - [`checkpoint`]: what the model is: its files, components, roles, architecture, packed weights.
//! - [`stats`]: figures of values as plain data. [`scan`]: reads every byte of every tensor and fills them.
//! - [`project`]: arithmetic on names, shapes and figures: quantized, pruned, sharded, in memory.
//! - [`audit`]: what is wrong with it, as findings with codes. [`mod@diff`]: two checkpoints side by side.
//! - [`report`]: bodies with the field names of the JSON, and their renderers.
//!
//! ```
//! use weighbridge::checkpoint::{OpenOptions, Summary, open};
//!
//! let checkpoint = open("fixtures/fracast".as_ref(), &OpenOptions::default())?;
//! for (dtype, sums) in Summary::of(&checkpoint).dtypes {
//!     println!("{dtype}: {} tensors, {} bytes", sums.tensors, sums.bytes);
//! }
//! # Ok::<(), weighbridge::error::Error>(())
//! ```
//!
//! Nothing is printed, fetched or run. Files are not trusted: headers are read with bounds ([`format::limits`](mod@format::limits)), text
//! from them is escaped before it is shown ([`text::Untrusted`]).

pub mod text;
pub mod error;
pub mod choice;
pub mod units;
pub mod dtype;
pub mod source;
pub mod observe;
pub mod pins;
pub mod threads;
pub mod format;
pub mod families;
pub mod checkpoint;
pub mod stats;
pub mod scan;
pub mod project;
pub mod audit;
pub mod diff;
pub mod report;

/// The README's example is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
