//! The progress bar of a scan: bytes, rate, time left. Only on a terminal.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use weighbridge::observe::Observer;

use crate::interrupt;

/// Time between two drawings where nothing arrives.
const TICK: Duration = Duration::from_millis(200);

/// Shows progress on stderr and passes Ctrl-C on.
pub(crate) struct Bar {
    bar: ProgressBar,
}

impl Bar {
    /// A bar over `bytes`; invisible when stderr is no terminal or progress is not wanted.
    pub(crate) fn new(bytes: u64, wanted: bool) -> Self {
        let visible = wanted && std::io::stderr().is_terminal();
        let target = if visible { ProgressDrawTarget::stderr_with_hz(10) } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(bytes), target);
        if let Ok(style) =
            ProgressStyle::with_template("  scanning {wide_bar} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left")
        {
            bar.set_style(style);
        }
        if visible {
            tick(&bar);
        }
        Self { bar }
    }

    /// Takes the bar off the screen.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// Draws the bar anew while nothing arrives, so that its rate falls. Where the system starts no thread it is drawn when something does:
/// the ticker that the bar brings along would panic.
fn tick(bar: &ProgressBar) {
    let bar = bar.clone();
    let _ = std::thread::Builder::new().name("bar".to_owned()).spawn(move || {
        while !bar.is_finished() {
            bar.tick();
            std::thread::sleep(TICK);
        }
    });
}

impl Observer for Bar {
    fn advance(&self, bytes: u64) {
        self.bar.inc(bytes);
    }

    fn cancelled(&self) -> bool {
        interrupt::asked()
    }
}
