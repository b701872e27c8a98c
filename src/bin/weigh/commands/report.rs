//! `weigh PATH`: the whole report. Headers and projections appear at once, the scan after them.

use weighbridge::checkpoint::OpenOptions;
use weighbridge::error::Result;
use weighbridge::project::MemoryRequest;
use weighbridge::project::memory::Limits;
use weighbridge::report::document::{Document, Head};
use weighbridge::report::sections;
use weighbridge::report::whole::WholeReport;
use weighbridge::scan::{Io, ScanOptions, Selection};
use weighbridge::stores::Manifest;

use crate::args::{Common, ReportArgs};
use crate::machine;
use crate::opened::{context_note, named, outcome_of, warn_of_problems};
use crate::outcome::Outcome;
use crate::output::Output;
use crate::scanning::{body, outcome_of_scan, watch};

/// Opens PATH and prints everything about it.
pub(crate) fn run(args: &ReportArgs, common: &Common, output: &Output) -> Result<Outcome> {
    let Some(path) = &args.path else { return Ok(Outcome::Done) };
    let model = named(path, common)?;
    let checkpoint = model.open_or_declared(&OpenOptions { only_this_file: args.only_this_file, second_opinion: true })?;
    let selection = Selection::of(&checkpoint, &|_| true);
    let scans = !args.no_scan && !selection.files.is_empty() && !checkpoint.declared;
    let asked = MemoryRequest {
        ctx: model.manifest().and_then(Manifest::num_ctx),
        fit: machine::budgets(args.fit.as_deref())?,
        limits: Limits { ram: args.fit.as_ref().and_then(|_| machine::host()), ..Limits::default() },
        ..MemoryRequest::default()
    };
    let mut whole = WholeReport::of_headers(&checkpoint, &asked);
    whole.body.memory.notes.extend(asked.ctx.map(context_note));
    let shown = path.to_string_lossy().into_owned();
    let mut page = sections::whole_of_headers(&shown, &whole);
    if output.streams() {
        output.stream(&page, scans || whole.shows_pruned())?;
    }
    let mut outcome = outcome_of(&checkpoint).max(Outcome::of_budgets(&whole.body.memory));
    if scans {
        let found = watch(&selection, &ScanOptions { io: Io::Auto, ..ScanOptions::default() }, !common.no_progress)?;
        whole.add_scan(body(&checkpoint, &selection, &found, None), selection.zeros(&checkpoint, &found));
        outcome = outcome.max(outcome_of_scan(&checkpoint, &found));
    }
    let after = sections::whole_of_values(&whole);
    if output.streams() {
        output.stream(&after, false)?;
    } else {
        page.extend(after);
        output.write(&Document { head: Head::new("report", Some(shown)), body: whole.body }, &page)?;
        warn_of_problems(&checkpoint);
    }
    Ok(outcome)
}
