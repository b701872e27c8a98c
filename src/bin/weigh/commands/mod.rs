//! One file per command.

mod audit;
mod diff;
mod ls;
mod memory;
mod merge;
mod project;
mod report;
mod scan;
mod show;

use std::path::{Path, PathBuf};

use weighbridge::error::{Error, ErrorKind, Result};

use weighbridge::stores::LocalModel;

use crate::args::{Args, Command, Format, LsArgs};
use crate::opened::named;
use crate::outcome::Outcome;
use crate::output::Output;

/// Runs the command that was asked for.
///
/// # Errors
/// When it could not do its work at all.
pub(crate) fn run(args: &Args) -> Result<Outcome> {
    let output = Output::new(&args.common);
    if args.common.format == Format::Sarif && !matches!(args.command, Some(Command::Audit(_))) {
        return Err(Error::new(ErrorKind::Usage, "--format sarif is for `weigh audit`"));
    }
    if args.common.output.is_some() {
        // Of a name that stands for nothing, the command tells.
        let found = inputs(args).into_iter().map(|path| named(path, &args.common).unwrap_or_else(|_| LocalModel::of_path(path)));
        output.spare(&found.collect::<Vec<_>>())?;
    }
    match &args.command {
        None => match report::run(&args.report, &args.common, &output) {
            // A folder of several models has no report of its own: what lies there is listed.
            Err(error) if error.kind() == ErrorKind::SeveralModels && args.report.fit.is_none() => {
                let places = args.report.path.iter().cloned().collect();
                ls::run(&LsArgs { places, sort: Default::default(), duplicates: false }, &args.common, &output)
            }
            done => done,
        },
        Some(Command::Show(show)) => show::run(show, &args.common, &output),
        Some(Command::Scan(scan)) => scan::run(scan, &args.common, &output),
        Some(Command::Merge(merge)) => merge::run(merge, &args.common, &output),
        Some(Command::Project(project)) => project::run(project, &args.common, &output),
        Some(Command::Memory(memory)) => memory::run(memory, &args.common, &output),
        Some(Command::Diff(diff)) => diff::run(diff, &args.common, &output),
        Some(Command::Ls(ls)) => ls::run(ls, &args.common, &output),
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
        // It reads headers of files that nobody named: a report replaces none of them, as none has the name of one.
        Some(Command::Ls(ls)) => ls.places.iter().map(PathBuf::as_path).filter(|path| path.is_file()).collect(),
        Some(Command::Audit(audit)) => audit.path.iter().chain(&audit.policy).map(PathBuf::as_path).collect(),
    }
}
