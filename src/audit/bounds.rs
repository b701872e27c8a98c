//! What is too much of a checkpoint; `None` where no bound was asked for.

/// Bounds on size, parameters and memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Most bytes of the selected files on disk.
    pub max_size: Option<u64>,
    /// Most logical parameters.
    pub max_params: Option<u64>,
    /// Most bytes of memory at inference.
    pub max_ram: Option<u64>,
    /// Context in tokens that `max_ram` is about.
    pub ctx: Option<u64>,
}
