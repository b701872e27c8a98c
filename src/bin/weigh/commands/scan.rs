//! `weigh scan`: reads every weight.

use serde::Serialize;
use weighbridge::checkpoint::OpenOptions;
use weighbridge::error::Result;
use weighbridge::report::document::{Document, Head};
use weighbridge::report::scan::ScanBody;
use weighbridge::report::sections::{self, Detail};
use weighbridge::scan::full::FullOutcome;
use weighbridge::scan::{Part, PartDocument, ScanOptions, ScanOutcome, Selection};

use crate::args::{Common, ScanArgs, StatsMode};
use crate::opened::{named, warn_of_problems};
use crate::outcome::Outcome;
use crate::output::{Output, warn};
use crate::scanning::{body, outcome_of_reading, outcome_of_scan, watch, watch_full};

/// The fields of a scan's document.
#[derive(Serialize)]
struct Body<'a> {
    scan: ScanBody<'a>,
}

/// Reads the values of PATH and prints their statistics, or writes a part.
pub(crate) fn run(args: &ScanArgs, common: &Common, output: &Output) -> Result<Outcome> {
    let opening = OpenOptions { only_this_file: args.only_this_file, ..OpenOptions::default() };
    let checkpoint = named(&args.path, common)?.open_values(&opening)?;
    let selection = Selection::matching(&checkpoint, args.filter.as_deref())?;
    let options = ScanOptions {
        io: args.io,
        threads: args.threads.map(|n| usize::try_from(n).unwrap_or(usize::MAX)),
        part: args.part,
        simd: args.simd,
    };
    let (found, full) = if args.stats == StatsMode::Full || args.cast.is_some() {
        let (found, full) = watch_full(&checkpoint, &selection, &options, args.cast, !common.no_progress)?;
        (found, Some(full))
    } else {
        (watch(&selection, &options, !common.no_progress)?, None)
    };
    let path = args.path.to_string_lossy().into_owned();
    if let Some(part) = options.part {
        return write_part(args, path, &selection, (&found, full.as_ref()), part, output);
    }
    let mut body: ScanBody<'_> = body(&checkpoint, &selection, &found, full.as_ref());
    if args.tensors {
        body = body.with_tensors(&checkpoint, &found, full.as_ref(), &selection.order);
    }
    let outcome = outcome_of_scan(&checkpoint, &found);
    let mut sections = sections::errors(&checkpoint);
    sections.extend(sections::scan(&body, Detail::Full));
    output.write(&Document { head: Head::new("scan", Some(path)), body: Body { scan: body } }, &sections)?;
    if !output.streams() {
        warn_of_problems(&checkpoint);
    }
    Ok(outcome)
}

fn write_part(
    args: &ScanArgs,
    path: String,
    selection: &Selection,
    (found, full): (&ScanOutcome, Option<&FullOutcome>),
    part: Part,
    output: &Output,
) -> Result<Outcome> {
    let body = PartDocument {
        scanned: path.clone(),
        filter: args.filter.clone(),
        list_tensors: args.tensors,
        only_this_file: args.only_this_file,
        part: found.to_part(&selection.files, part),
        full: full.map(FullOutcome::to_part),
    };
    output.write_json(&Document { head: Head::new("scan-part", Some(path)), body })?;
    for error in found.files.iter().filter_map(|f| f.error.as_ref()) {
        warn(&error.to_string());
    }
    if found.interrupted {
        warn("interrupted: this part is not whole and `weigh merge` will refuse it");
    }
    Ok(outcome_of_reading(found))
}
