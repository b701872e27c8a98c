//! Tensor names of a file in one allocation.

use super::limits;

/// Place of a name in the arena.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NameId {
    start: u32,
    len: u32,
}

/// All names of a file, end to end. A million names cost their bytes and 8 more each.
#[derive(Debug, Clone, Default)]
pub(crate) struct NameArena {
    bytes: Vec<u8>,
}

impl NameArena {
    /// Stores a name; `None` when all of them would take more than [`limits::MAX_NAMES`].
    pub(crate) fn push(&mut self, name: &[u8]) -> Option<NameId> {
        let start = u32::try_from(self.bytes.len()).ok()?;
        let len = u32::try_from(name.len()).ok()?;
        if self.bytes.len().saturating_add(name.len()) > limits::MAX_NAMES {
            return None;
        }
        self.bytes.extend_from_slice(name);
        Some(NameId { start, len })
    }

    /// The bytes of a name.
    pub(crate) fn bytes(&self, id: NameId) -> &[u8] {
        &self.bytes[id.start as usize..(id.start + id.len) as usize]
    }
}
