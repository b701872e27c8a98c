//! `weigh diff`: two checkpoints side by side.

use std::path::Path;

use serde::Serialize;
use weighbridge::checkpoint::{Checkpoint, OpenOptions, Summary, Totals};
use weighbridge::diff::{Diff, diff};
use weighbridge::error::Result;
use weighbridge::report::document::{Document, Head};
use weighbridge::report::sections;

use crate::args::{Common, DiffArgs};
use crate::opened::{named, outcome_of, warn_of_problems};
use crate::outcome::Outcome;
use crate::output::Output;

#[derive(Serialize)]
struct Body<'a> {
    a: Totals,
    b: Totals,
    path_b: String,
    #[serde(flatten)]
    diff: Diff<'a>,
}

/// Opens A and B and prints what differs.
pub(crate) fn run(args: &DiffArgs, common: &Common, output: &Output) -> Result<Outcome> {
    let options = OpenOptions { only_this_file: args.only_this_file, ..OpenOptions::default() };
    let open = |path: &Path| named(path, common)?.open(&options);
    let (a, b) = (open(&args.a)?, open(&args.b)?);
    let of = |checkpoint: &Checkpoint| Summary::of(checkpoint).totals();
    let (path_a, path_b) = (args.a.to_string_lossy().into_owned(), args.b.to_string_lossy().into_owned());
    let body = Body { a: of(&a), b: of(&b), path_b, diff: diff(&a, &b, args.tensors) };
    let mut sections = sections::errors(&a);
    sections.extend(sections::errors(&b));
    sections.extend(sections::diff(&path_a, &body.path_b, (&body.a, &body.b), &body.diff, args.tensors));
    output.write(&Document { head: Head::of_noted("diff", Some(path_a)), body: &body }, &sections)?;
    if !output.streams() {
        warn_of_problems(&a);
        warn_of_problems(&b);
    }
    Ok(outcome_of(&a).max(outcome_of(&b)))
}
