//! `weigh show`: what the headers say.

use weighbridge::checkpoint::{OpenOptions, open_or_declared};
use weighbridge::error::Result;
use weighbridge::report::document::{Document, Head};
use weighbridge::report::sections;
use weighbridge::report::show::{ShowBody, ShowOptions};

use crate::args::ShowArgs;
use crate::opened::{outcome_of, warn_of_problems};
use crate::outcome::Outcome;
use crate::output::Output;

/// Runs it.
pub(crate) fn run(args: &ShowArgs, output: &Output) -> Result<Outcome> {
    let checkpoint = open_or_declared(&args.path, &OpenOptions { only_this_file: args.only_this_file, second_opinion: true })?;
    let options = ShowOptions {
        tensors: args.tensors || args.filter.is_some(),
        filter: args.filter.clone(),
        metadata: args.metadata,
        map: args.map,
        layers: args.by == Some(sections::Grouping::Layer),
    };
    let body = ShowBody::of(&checkpoint, &options);
    let path = args.path.to_string_lossy().into_owned();
    let sections = sections::show(&path, &body, args.by);
    output.write(&Document { head: Head::of_noted("show", Some(path)), body }, &sections)?;
    if !output.streams() {
        warn_of_problems(&checkpoint);
    }
    Ok(outcome_of(&checkpoint))
}
