//! How far the pickles of one file are followed, all of them together: an archive can name the same bytes as many pickles.

/// Steps that are taken in one file, an opcode being one. Published checkpoints have some ten opcodes for each tensor.
const MAX_STEPS: u64 = 20_000_000;
/// Steps for a byte: an opcode has one at least, and one that keeps a value two. More are taken only where bytes are followed
/// again.
const STEPS_OF_A_BYTE: u64 = 4;
/// Steps for any file, so that small ones end well: reading the beginnings of some pickles.
const STEPS_OF_A_FILE: u64 = 100_000;
/// Imports that are looked up in one file, the same one again included.
pub(super) const MAX_LOOKUPS: u64 = 100_000;

/// Bytes that are unpacked for a step.
const UNPACKED_BY_A_STEP: u64 = 8;
/// Most bytes that one member is unpacked to.
const MAX_UNPACKED: u64 = 32 << 20;

/// Why a pickle is left where the steps are used up.
pub(super) const EXHAUSTED: &str = "more opcodes than are followed in a file of this length";

/// Steps and look-ups that are left.
#[derive(Debug)]
pub(crate) struct Allowance {
    steps: u64,
    lookups: u64,
}

impl Allowance {
    /// The allowance of a file of this many bytes.
    pub(crate) fn of(bytes: u64) -> Self {
        Self { steps: bytes.saturating_mul(STEPS_OF_A_BYTE).saturating_add(STEPS_OF_A_FILE).min(MAX_STEPS), lookups: MAX_LOOKUPS }
    }

    /// Takes steps; `false` where fewer are left, and then none is left.
    pub(super) fn step(&mut self, steps: u64) -> bool {
        take(&mut self.steps, steps)
    }

    /// Takes one look-up.
    pub(super) fn look_up(&mut self) -> bool {
        take(&mut self.lookups, 1)
    }

    /// Most bytes that may be unpacked next.
    pub(crate) fn most_unpacked(&self) -> usize {
        usize::try_from(self.steps.saturating_mul(UNPACKED_BY_A_STEP).min(MAX_UNPACKED)).unwrap_or(0)
    }

    /// Counts bytes that were unpacked.
    pub(crate) fn unpacked(&mut self, bytes: usize) {
        take(&mut self.steps, bytes as u64 / UNPACKED_BY_A_STEP);
    }

    /// Whether nothing more is followed.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.steps == 0 || self.lookups == 0
    }
}

fn take(left: &mut u64, wanted: u64) -> bool {
    let enough = wanted <= *left;
    *left = left.saturating_sub(wanted);
    enough
}
