//! The body of `weigh project`.

use serde::Serialize;

use crate::project::Projection;
use crate::project::copies::CopyRow;

/// A projection and the other forms in which the same weights are here.
#[derive(Debug, Clone, Serialize)]
pub struct ProjectBody {
    /// What it would weigh otherwise.
    #[serde(flatten)]
    pub projection: Projection,
    /// Weight sets that are not selected, compared with the one that is.
    pub copies: Vec<CopyRow>,
}
