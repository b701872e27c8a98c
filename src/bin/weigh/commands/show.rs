//! `weigh show`: what the headers say.

use weighbridge::error::Result;
use weighbridge::report::document::{Document, Head};
use weighbridge::report::sections;
use weighbridge::report::show::{ShowBody, ShowOptions};

use super::End;
use super::opened::{complain_of, end_of, open_or_declared, opinions};
use crate::args::{GroupBy, ShowArgs};
use crate::output::Output;

/// Runs it.
pub(crate) fn run(args: &ShowArgs, output: &Output) -> Result<End> {
    let checkpoint = open_or_declared(&args.path, args.only_this_file, true)?;
    let options = ShowOptions {
        tensors: args.tensors || args.filter.is_some(),
        filter: args.filter.clone(),
        metadata: args.metadata,
        map: args.map,
        layers: args.by == Some(GroupBy::Layer),
    };
    let body = ShowBody::of(&checkpoint, &options, &opinions(&checkpoint));
    let path = args.path.to_string_lossy().into_owned();
    let sections = sections::show(&path, &body, args.by.map(|by| by.into()));
    output.write(&Document { head: Head::of_noted("show", Some(path)), body }, &sections)?;
    if !output.streams() {
        complain_of(&checkpoint);
    }
    Ok(end_of(&checkpoint))
}

impl From<GroupBy> for sections::Grouping {
    fn from(by: GroupBy) -> Self {
        match by {
            GroupBy::Dtype => Self::Dtype,
            GroupBy::Role => Self::Role,
            GroupBy::Layer => Self::Layer,
            GroupBy::File => Self::File,
        }
    }
}
