//! Puts a model checkpoint on the scales: what its tensors hold, what they weigh, what they would weigh otherwise.
//!
//! The rooms, in layer order; each uses only those before it (`docs/architecture.md` of the repository says why):
//!
//! - [`text`], [`error`], [`choice`], [`units`], [`dtype`]: text from files, the one error, named options, sizes, element types.
//! - [`source`]: a file as a length, positioned reads and an identity. [`observe`]: progress and stopping. [`threads`]: how many.
//! - [`mod@format`]: what the bytes of one file say, with what is odd about them. Headers only.
//! - [`checkpoint`]: what the model is: its files, components, roles, architecture, packed weights.
//! - [`stores`]: where models lie on a machine, found by name: hub cache, LM Studio, Ollama.
//! - [`stats`]: figures of values as plain data. [`scan`]: reads every byte of every tensor and fills them.
//! - [`project`]: arithmetic on names, shapes and figures: quantized, pruned, sharded, in memory.
//! - [`audit`]: what is wrong with it, as findings with codes. [`mod@diff`]: two checkpoints side by side.
//! - [`report`]: bodies with the field names of the JSON, and their renderers.
//!
//! [`Checkpoint`] asks them all:
//!
//! ```
//! use weighbridge::Checkpoint;
//! use weighbridge::project::MemoryRequest;
//!
//! // A file of one matrix of 2 x 32 numbers: the length of its header, the header, the numbers.
//! let header = br#"{"lm_head.weight":{"dtype":"F32","shape":[2,32],"data_offsets":[0,256]}}"#;
//! let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
//! bytes.extend(header);
//! bytes.extend([0; 252]);
//! bytes.extend(1.5f32.to_le_bytes());
//! let path = std::env::temp_dir().join(format!("weighbridge-{}.safetensors", std::process::id()));
//! std::fs::write(&path, bytes)?;
//!
//! let checkpoint = Checkpoint::open(&path)?;
//! assert_eq!(checkpoint.totals().logical_params, 64);
//! assert_eq!(checkpoint.scan()?.totals.stats.max, Some(1.5));
//! let projection = checkpoint.project("bf16,q8_0");
//! assert_eq!(projection.quantized[0].tensor_bytes, Some(128));
//! for engine in checkpoint.memory(&MemoryRequest::default()).engines {
//!     println!("{}: from {} bytes", engine.engine, engine.low);
//! }
//! let audit = checkpoint.audit(&Default::default())?;
//! assert!(!audit.failed);
//! # std::fs::remove_file(&path)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Nothing is printed, fetched or run, and files are not trusted. Headers are read with bounds ([`format::limits`](mod@format::limits)).
//! Text from a file is kept as it stands there, for programs; it is escaped ([`text::escape`]) where it enters a message, a note or an
//! error, and the renderers escape the cells that hold it ([`report::cell::Cell::Foreign`]). A test feeds hostile names, keys and paths
//! through every body and every renderer. Who shows a plain field such as a tensor's name escapes it.

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
#[doc(hidden)]
pub mod families;
pub mod checkpoint;
pub mod stores;
pub mod stats;
pub mod scan;
pub mod project;
pub mod audit;
pub mod diff;
pub mod report;
mod weigh;

pub use checkpoint::Checkpoint;

/// The README's example is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
