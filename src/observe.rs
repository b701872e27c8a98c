//! Progress of long work. The library prints nothing: a caller that wants a progress bar, or wants to stop early, passes an [`Observer`].

/// Told of progress from any thread, and asked whether to stop.
pub trait Observer: Sync {
    /// `bytes` more bytes of weights were read.
    fn advance(&self, bytes: u64);

    /// Whether the work should end soon. Asked once per chunk (about a MiB), so a stop takes well under a second.
    fn cancelled(&self) -> bool {
        false
    }
}

/// Ignores progress and never stops the work.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Observer for Silent {
    fn advance(&self, _bytes: u64) {}
}
