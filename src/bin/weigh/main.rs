//! The command `weigh`: parses arguments, runs a command, maps its outcome to an exit code.
//!
//! 0 done; 1 findings, a budget exceeded or `--fit` says no; 2 what was asked could not be done; 130 interrupted.

mod args;
mod commands;
mod interrupt;
mod load;
mod machine;
mod magnitudes;
mod opened;
mod outcome;
mod output;
mod progress;
mod replaced;
mod scanning;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let args = args::Args::parse();
    // A report that meets the limit on file sizes is taken back like any other that cannot be written.
    #[cfg(unix)]
    weighbridge::source::fail_beyond_file_size_limit();
    match commands::run(&args) {
        Ok(outcome) => ExitCode::from(outcome.code()),
        Err(error) => {
            output::warn(&error.to_string());
            ExitCode::from(2)
        }
    }
}
