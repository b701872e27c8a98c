//! What a checkpoint would weigh quantized, pruned or sharded, and what memory it takes: arithmetic on names, shapes and
//! statistics that never touches the weights.
//!
//! [`project`] answers the storage questions, [`memory`](fn@memory) the memory ones; both read a plain view of the tensors
//! ([`ProjectInput`]) and return structs that serialise with the field names of the JSON report.

mod beside_weights;
mod defaults;
pub mod input;
pub mod storage;
pub mod memory;

pub use beside_weights::{folder_for_engines, folder_for_targets, memory_of_checkpoint, project_checkpoint};
pub use input::{Beside, GgufSource, ProjectInput, ProjectTensor, Provenance};
pub use memory::{MemoryReport, MemoryRequest, memory};
pub use storage::{Basis, Projection, Request, Target, project};
