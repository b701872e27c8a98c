//! `weigh PATH`: the whole report. Headers and projections appear at once, the scan after them.

use serde::Serialize;
use weighbridge::error::Result;
use weighbridge::report::document::{Document, Head};
use weighbridge::report::scan::ScanBody;
use weighbridge::report::sections;
use weighbridge::report::show::{ShowBody, ShowOptions};
use weighbridge::scan::{Io, ScanOptions};

use super::End;
use super::opened::{complain_of, end_of, open, opinions};
use super::scan::{ended, select, watch};
use crate::args::{Common, ReportArgs};
use crate::output::Output;

#[derive(Serialize)]
struct Body {
    show: ShowBody,
    scan: Option<ScanBody>,
}

/// Runs it.
pub(crate) fn run(args: &ReportArgs, common: &Common, output: &Output) -> Result<End> {
    let Some(path) = &args.path else { return Ok(End::Done) };
    let checkpoint = open(path, args.only_this_file)?;
    let show = ShowBody::of(&checkpoint, &ShowOptions::default(), &opinions(&checkpoint));
    let shown = path.to_string_lossy().into_owned();
    let mut first = sections::show(&shown, &show, None);
    let selection = select(&checkpoint, None)?;
    let scans = !args.no_scan && !selection.files.is_empty();
    if output.streams() {
        output.stream(&first, scans)?;
    }
    let mut end = end_of(&checkpoint);
    let mut scan = None;
    if scans {
        let options = ScanOptions { io: Io::Auto, ..ScanOptions::default() };
        let outcome = watch(&selection, &options, !common.no_progress)?;
        end = end.max(ended(&checkpoint, &outcome));
        let body = ScanBody::of(&checkpoint, &outcome, &selection.order, false);
        let sections = sections::scan(&body);
        if output.streams() {
            output.stream(&sections, false)?;
        }
        first.extend(sections);
        scan = Some(body);
    }
    if !output.streams() {
        output.write(&Document { head: Head::new("report", Some(shown)), body: Body { show, scan } }, &first)?;
        complain_of(&checkpoint);
    }
    Ok(end)
}
