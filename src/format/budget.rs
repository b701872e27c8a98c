//! Memory that may be taken for what files say: one account for all the files of a checkpoint, so that many of them do not add up.

use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of memory that may still be taken. Readers take before they keep, from any thread.
#[derive(Debug)]
pub struct Budget {
    bytes: u64,
    left: AtomicU64,
}

impl Budget {
    /// An account of so many bytes.
    pub fn new(bytes: u64) -> Self {
        Self { bytes, left: AtomicU64::new(bytes) }
    }

    /// Bytes that it began with.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes so many bytes; `false`, and nothing is taken, where fewer are left.
    #[must_use]
    pub fn take(&self, bytes: u64) -> bool {
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes)).is_ok()
    }

    /// Returns bytes that were taken and are free again.
    pub fn give_back(&self, bytes: u64) {
        self.left.fetch_add(bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_not_taken() {
        let budget = Budget::new(10);
        assert!(budget.take(7) && !budget.take(4) && budget.take(3) && !budget.take(1) && budget.take(0));
        budget.give_back(4);
        assert!(!budget.take(5) && budget.take(4));
    }
}
