//! The body of `weigh project`.

use serde::Serialize;

use crate::checkpoint::Checkpoint;
use crate::project::Projection;
use crate::project::copies::{CopyRow, copies};

/// The projection of a checkpoint and the other forms in which the same weights are here.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct ProjectBody {
    /// What it would weigh otherwise.
    #[serde(flatten)]
    pub projection: Projection,
    /// Weight sets that are not selected, compared with the one that is.
    pub copies: Vec<CopyRow>,
}

impl ProjectBody {
    /// Puts a projection beside the copies of the checkpoint that it is of.
    pub fn of(checkpoint: &Checkpoint, projection: Projection) -> Self {
        Self { projection, copies: copies(checkpoint) }
    }
}
