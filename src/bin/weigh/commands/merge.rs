//! `weigh merge`: parts of a scan into the document of the whole.

use std::path::Path;

use serde::Serialize;
use weighbridge::checkpoint::OpenOptions;
use weighbridge::error::{Error, ErrorKind, Result};
use weighbridge::report::document::{Document, Head};
use weighbridge::report::scan::ScanBody;
use weighbridge::report::sections::{self, Detail};
use weighbridge::scan::{PartDocuments, Selection};
use weighbridge::stores::LocalModel;
use weighbridge::text::escape;

use crate::args::{Common, MergeArgs};
use crate::opened::named;
use crate::outcome::Outcome;
use crate::output::Output;
use crate::scanning::{body, outcome_of_scan};

#[derive(Serialize)]
struct Body<'a> {
    scan: ScanBody<'a>,
}

/// The checkpoint that the parts name. They may come from elsewhere: what is no checkpoint by its name is not opened for them.
fn stated(scanned: &str, common: &Common) -> Result<LocalModel> {
    let path = Path::new(scanned);
    let name = scanned.to_ascii_lowercase();
    let is_file_of_ours = [".safetensors", ".gguf", ".index.json"].iter().any(|end| name.ends_with(end));
    // What is no file is a folder, or a name in a store.
    if is_file_of_ours || !path.exists() || path.is_dir() {
        return named(path, common);
    }
    let message =
        format!("the parts say that they are of `{}`, which is no checkpoint by its name; it is not opened", escape(scanned));
    Err(Error::new(ErrorKind::Usage, message).help("give the checkpoint with --checkpoint PATH"))
}

/// Reads the parts, merges them and prints the scan of the whole.
pub(crate) fn run(args: &MergeArgs, common: &Common, output: &Output) -> Result<Outcome> {
    let parts = PartDocuments::read(&args.parts)?;
    let first = parts.first();
    let model = match &args.checkpoint {
        Some(path) => named(path, common)?,
        None => stated(&first.scanned, common)?,
    };
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
