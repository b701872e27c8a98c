//! `weigh merge`: parts of a scan into the document of the whole.

use std::path::{Path, PathBuf};

use serde::Serialize;
use weighbridge::error::{Error, ErrorKind, Result};
use weighbridge::report::document::{Document, Head};
use weighbridge::report::scan::ScanBody;
use weighbridge::report::sections::{self, Detail};
use weighbridge::scan::full::{FullOutcome, FullPart, merge_full};
use weighbridge::scan::{ScanOutcome, merge_parts};
use weighbridge::source::read_small;
use weighbridge::stats::ScanPart;
use weighbridge::text::escape_limited;

use super::End;
use super::opened::open;
use super::scan::{PartBody, body, ended, select};
use crate::args::MergeArgs;
use crate::output::Output;

/// Largest part that is read: a part of a model of a million tensors stays below it.
const MAX_PART: u64 = 4 << 30;

#[derive(Serialize)]
struct Body<'a> {
    scan: ScanBody<'a>,
}

/// Runs it.
pub(crate) fn run(args: &MergeArgs, output: &Output) -> Result<End> {
    let mut bodies: Vec<(PathBuf, PartBody)> = Vec::new();
    for path in &args.parts {
        bodies.push((path.clone(), read_part(path)?));
    }
    let Some(((first_path, first), rest)) = bodies.split_first() else {
        return Err(Error::new(ErrorKind::Usage, "no parts were given"));
    };
    for (path, body) in rest {
        if (&body.scanned, &body.filter, body.only_this_file) != (&first.scanned, &first.filter, first.only_this_file) {
            let message = format!("a part of another scan than {}", weighbridge::text::shown_path(first_path));
            return Err(Error::new(ErrorKind::Usage, message).with_path(path));
        }
    }
    // The names, shapes and roles come from the headers; the parts hold figures only.
    output.spare(&[Path::new(&first.scanned)])?;
    let checkpoint = open(Path::new(&first.scanned), first.only_this_file)?;
    let selection = select(&checkpoint, first.filter.as_deref())?;
    let parts: Vec<ScanPart> = bodies.iter().map(|(_, body)| body.part.clone()).collect();
    check_same_checkpoint(&parts, &selection)?;
    let outcome = merge_parts(&parts)?;
    let full = merge_full_parts(&bodies, &outcome)?;
    let mut body: ScanBody<'_> = body(&checkpoint, &selection, &outcome, full.as_ref());
    if bodies.iter().any(|(_, part)| part.list_tensors) {
        body = body.with_tensors(&checkpoint, &outcome, full.as_ref(), &selection.order);
    }
    let end = ended(&checkpoint, &outcome);
    let mut sections = sections::errors(&checkpoint);
    sections.extend(sections::scan(&body, Detail::Full));
    let head = Head::new("scan", Some(first.scanned.clone()));
    output.write(&Document { head, body: Body { scan: body } }, &sections)?;
    Ok(end)
}

/// The full pass of all parts; `None` where no part has one.
fn merge_full_parts(bodies: &[(PathBuf, PartBody)], base: &ScanOutcome) -> Result<Option<FullOutcome>> {
    let parts: Vec<&FullPart> = bodies.iter().filter_map(|(_, body)| body.full.as_ref()).collect();
    if parts.is_empty() {
        return Ok(None);
    }
    if parts.len() != bodies.len() {
        return Err(Error::new(ErrorKind::Usage, "some parts were scanned with --stats full, others without")
            .help("scan all parts with the same options"));
    }
    // The base figures are of the checkpoint, which was looked at.
    let fits = |part: &FullPart| {
        part.files.len() == base.files.len() && part.files.iter().zip(&base.files).all(|(of, now)| of.len() == now.tensors.len())
    };
    if !parts.iter().all(|part| fits(part)) {
        return Err(stale());
    }
    let mut full = merge_full(&parts)?;
    full.reconcile(&mut base.clone());
    Ok(Some(full))
}

fn read_part(path: &Path) -> Result<PartBody> {
    let bytes = read_small(path, MAX_PART)?;
    serde_json::from_slice(&bytes).map_err(|e| {
        let reason = escape_limited(&e.to_string(), 120);
        Error::new(ErrorKind::Malformed, format!("not a part of a scan: {reason}"))
            .with_path(path)
            .help("parts are written by `weigh scan PATH --part I/N -o FILE`")
    })
}

fn stale() -> Error {
    Error::new(ErrorKind::Changed, "the checkpoint is not the one that the parts were scanned from").help("scan the parts again")
}

fn check_same_checkpoint(parts: &[ScanPart], selection: &weighbridge::scan::Selection) -> Result<()> {
    for part in parts {
        if part.files.len() != selection.files.len() {
            return Err(stale());
        }
        for (of_part, now) in part.files.iter().zip(&selection.files) {
            let same_len = of_part.len.is_none() || now.identity.is_none_or(|id| Some(id.len) == of_part.len);
            let same_tensors = of_part.tensors.len() == now.tensors.len()
                && of_part
                    .tensors
                    .iter()
                    .zip(&now.tensors)
                    .all(|(a, b)| (a.offset, a.bytes, a.elements) == (b.offset, b.bytes, b.elements));
            if !same_len || !same_tensors {
                return Err(stale());
            }
        }
    }
    Ok(())
}
