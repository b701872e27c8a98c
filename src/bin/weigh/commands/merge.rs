//! `weigh merge`: parts of a scan into the document of the whole.

use std::path::Path;

use serde::Serialize;
use weighbridge::checkpoint::OpenOptions;
use weighbridge::error::Result;
use weighbridge::report::document::{Document, Head};
use weighbridge::report::scan::ScanBody;
use weighbridge::report::sections::{self, Detail};
use weighbridge::scan::{PartDocuments, Selection};

use crate::args::{Common, MergeArgs};
use crate::opened::named;
use crate::outcome::Outcome;
use crate::output::Output;
use crate::scanning::{body, outcome_of_scan};

#[derive(Serialize)]
struct Body<'a> {
    scan: ScanBody<'a>,
}

/// Reads the parts, merges them and prints the scan of the whole.
pub(crate) fn run(args: &MergeArgs, common: &Common, output: &Output) -> Result<Outcome> {
    let parts = PartDocuments::read(&args.parts)?;
    let first = parts.first();
    let model = named(Path::new(&first.scanned), common)?;
    output.spare(std::slice::from_ref(&model))?;
    let options = OpenOptions { only_this_file: first.only_this_file, ..OpenOptions::default() };
    let checkpoint = model.open(&options)?;
    let selection = Selection::matching(&checkpoint, first.filter.as_deref())?;
    let (found, full) = parts.merge(&selection)?;
    let mut body: ScanBody<'_> = body(&checkpoint, &selection, &found, full.as_ref());
    if parts.lists_tensors() {
        body = body.with_tensors(&checkpoint, &found, full.as_ref(), &selection.order);
    }
    let outcome = outcome_of_scan(&checkpoint, &found);
    let mut sections = sections::errors(&checkpoint);
    sections.extend(sections::scan(&body, Detail::Full));
    let head = Head::new("scan", Some(first.scanned.clone()));
    output.write(&Document { head, body: Body { scan: body } }, &sections)?;
    Ok(outcome)
}
