//! `weigh show`: what the headers say.

use serde::Serialize;
use weighbridge::checkpoint::OpenOptions;
use weighbridge::error::Result;
use weighbridge::report::document::{Document, Head};
use weighbridge::report::sections;
use weighbridge::report::show::{ShowBody, ShowOptions};
use weighbridge::stores::{Located, Manifest};

use crate::args::{Common, ShowArgs};
use crate::opened::{named, outcome_of, warn_of_problems};
use crate::outcome::Outcome;
use crate::output::Output;

#[derive(Serialize)]
struct Body<'a> {
    /// What Ollama's manifest says of a model that was opened by its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    manifest: Option<&'a Manifest>,
    #[serde(flatten)]
    body: ShowBody<'a>,
}

/// Opens PATH and prints what its headers say.
pub(crate) fn run(args: &ShowArgs, common: &Common, output: &Output) -> Result<Outcome> {
    let mut model = named(&args.path, common)?;
    if let Located::Manifest(manifest) = &mut model.target {
        let others = manifest.others();
        manifest.find_sharers(&others);
    }
    let checkpoint = model.open_or_declared(&OpenOptions { only_this_file: args.only_this_file, second_opinion: true })?;
    let options = ShowOptions {
        tensors: args.tensors || args.filter.is_some(),
        filter: args.filter.clone(),
        metadata: args.metadata,
        map: args.map,
        layers: args.by == Some(sections::Grouping::Layer),
    };
    let body = ShowBody::of(&checkpoint, &options);
    let path = args.path.to_string_lossy().into_owned();
    let mut sections = sections::show(&path, &body, args.by);
    sections.extend(model.manifest().map(sections::manifest));
    let body = Body { manifest: model.manifest(), body };
    output.write(&Document { head: Head::of_noted("show", Some(path)), body }, &sections)?;
    if !output.streams() {
        warn_of_problems(&checkpoint);
    }
    Ok(outcome_of(&checkpoint))
}
