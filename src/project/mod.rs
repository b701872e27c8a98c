//! What a checkpoint would weigh quantized, pruned or sharded, and what memory it takes: arithmetic on names, shapes and
//! statistics that never touches the weights.
//!
//! [`project`] answers what files would weigh, [`memory`](fn@memory) the memory ones; both read a plain view of the tensors
//! ([`ProjectInput`]) and return structs that serialise with the field names of the JSON report.

mod beside_weights;
pub mod bridge;
mod convert;
pub mod copies;
mod defaults;
mod expert_names;
pub mod input;
pub mod memory;
mod narrowest;
mod part;
pub mod plan;
pub mod projection;
pub mod prune;
pub mod quantize;
pub mod row;
pub mod shard;
mod stacked;
pub mod training_data;
pub mod unpack;
pub mod written;

pub use beside_weights::{folder_for_engines, folder_for_targets, memory_of_checkpoint, project_checkpoint};
pub(crate) use convert::gguf_candidates;
pub use input::{Beside, GgufSource, ProjectInput, ProjectTensor, Provenance};
pub use memory::{MemoryReport, MemoryRequest, memory};
pub use plan::Basis;
pub use projection::{Projection, Request, project};
pub use quantize::Target;
