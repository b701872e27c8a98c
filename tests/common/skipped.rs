//! What a test leaves out, said out loud.
#![allow(unreachable_pub)]

use std::io::Write;

/// Prints one line with the count to stderr itself: what the `print` macros write, the test harness hides where a test passes.
pub(crate) fn skipped(count: usize, what: &str, why: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED {count} {what}: {why}");
}
