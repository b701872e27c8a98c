//! One file per command.

mod audit;
mod diff;
mod memory;
mod merge;
mod opened;
mod project;
mod report;
mod scan;
mod show;

use std::path::{Path, PathBuf};

use weighbridge::error::{Error, ErrorKind, Result};

use crate::args::{Args, Command, Format};
use crate::interrupt;
use crate::output::Output;

/// How a command ended, when it could do its work at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum End {
    /// Everything asked for was done.
    Done,
    /// A budget is exceeded: `--fit` says no.
    Findings,
    /// Something could not be read; the rest was reported.
    Incomplete,
    /// Ctrl-C; what was done so far was reported as partial.
    Interrupted,
}

impl End {
    /// The exit code.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Findings => 1,
            Self::Incomplete => 2,
            Self::Interrupted => interrupt::EXIT_CODE,
        }
    }
}

/// Runs the command that was asked for.
///
/// # Errors
/// When it could not do its work at all.
pub(crate) fn run(args: &Args) -> Result<End> {
    let output = Output::new(&args.common);
    if args.common.format == Format::Sarif && !matches!(args.command, Some(Command::Audit(_))) {
        return Err(Error::new(ErrorKind::Usage, "--format sarif is for `weigh audit`"));
    }
    output.spare(&inputs(args))?;
    match &args.command {
        None => report::run(&args.report, &args.common, &output),
        Some(Command::Show(show)) => show::run(show, &output),
        Some(Command::Scan(scan)) => scan::run(scan, &args.common, &output),
        Some(Command::Merge(merge)) => merge::run(merge, &output),
        Some(Command::Project(project)) => project::run(project, &args.common, &output),
        Some(Command::Memory(memory)) => memory::run(memory, &output),
        Some(Command::Diff(diff)) => diff::run(diff, &output),
        Some(Command::Audit(audit)) => audit::run(audit, &args.common, &output),
    }
}

/// The files and folders that a command was given to read.
fn inputs(args: &Args) -> Vec<&Path> {
    match &args.command {
        None => args.report.path.iter().map(PathBuf::as_path).collect(),
        Some(Command::Show(show)) => vec![&show.path],
        Some(Command::Scan(scan)) => vec![&scan.path],
        Some(Command::Merge(merge)) => merge.parts.iter().map(PathBuf::as_path).collect(),
        Some(Command::Project(project)) => project.path.iter().map(PathBuf::as_path).collect(),
        Some(Command::Memory(memory)) => vec![&memory.path],
        Some(Command::Diff(diff)) => vec![&diff.a, &diff.b],
        Some(Command::Audit(audit)) => audit.path.iter().chain(&audit.policy).map(PathBuf::as_path).collect(),
    }
}
