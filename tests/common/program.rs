//! The program under test.
#![allow(unreachable_pub)]

use std::process::Command;

/// `weigh`, with nothing of the terminal that the tests were started from.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weigh"));
    command.env("COLUMNS", "100").env_remove("NO_COLOR").env_remove("CLICOLOR").env_remove("CLICOLOR_FORCE");
    command
}
