//! Ctrl-C: asks the work to end; a second one ends the program.

use std::sync::atomic::{AtomicBool, Ordering};

static ASKED: AtomicBool = AtomicBool::new(false);

/// Exit code of an interrupted run: 128 + SIGINT.
pub(crate) const EXIT_CODE: u8 = 130;

/// From now on Ctrl-C asks for an end. Called once, before long work.
pub(crate) fn listen() {
    // A thread listens for the handler. Where the system starts none, the handler would be set and nobody would listen: Ctrl-C would do
    // nothing at all. So a thread is tried first.
    let Ok(tried) = std::thread::Builder::new().spawn(|| {}) else { return };
    let _ = tried.join();
    // A handler that cannot be set leaves the default: Ctrl-C ends the program at once.
    let _ = ctrlc::set_handler(|| {
        if ASKED.swap(true, Ordering::SeqCst) {
            std::process::exit(i32::from(EXIT_CODE));
        }
    });
}

/// Whether an end was asked for.
pub(crate) fn asked() -> bool {
    ASKED.load(Ordering::Relaxed)
}
