//! `weigh PATH`: the whole report. Headers and projections appear at once, the scan after them.

use serde::Serialize;
use weighbridge::checkpoint::Checkpoint;
use weighbridge::error::Result;
use weighbridge::format::Format;
use weighbridge::project::copies::copies;
use weighbridge::project::memory::{Limits, MemoryReport};
use weighbridge::project::prune::PruneSpec;
use weighbridge::project::shard::ShardSpec;
use weighbridge::project::{MemoryRequest, ProjectInput, Request, memory, project};
use weighbridge::report::document::{Document, Head};
use weighbridge::report::scan::ScanBody;
use weighbridge::report::sections::{self, Detail};
use weighbridge::report::show::{ShowBody, ShowOptions};
use weighbridge::scan::{Io, ScanOptions, Selection};

use super::End;
use super::memory::{declared_instead, judged, of_config, report_on, with_engines};
use super::opened::{complain_of, end_of, open_or_declared, opinions};
use super::project::{Body as ProjectBody, estimate, hf_folder, targets, zeros};
use super::scan::{body, ended, select, watch};
use crate::args::{Common, ReportArgs};
use crate::machine;
use crate::output::Output;

#[derive(Serialize)]
struct Body<'a> {
    show: ShowBody<'a>,
    scan: Option<ScanBody<'static>>,
    project: ProjectBody,
    memory: MemoryReport,
}

/// Runs it.
pub(crate) fn run(args: &ReportArgs, common: &Common, output: &Output) -> Result<End> {
    let Some(path) = &args.path else { return Ok(End::Done) };
    let checkpoint = open_or_declared(path, args.only_this_file, true)?;
    let selection = select(&checkpoint, None)?;
    let scans = !args.no_scan && !selection.files.is_empty() && !checkpoint.declared;

    let mut show = ShowBody::of(&checkpoint, &ShowOptions::default(), &opinions(&checkpoint));
    let mut request = request(&checkpoint);
    let folder = hf_folder(&checkpoint, &request.targets, None);
    let input = ProjectInput::from_checkpoint(&checkpoint).with_folder(folder.as_ref());
    let mut projected = ProjectBody { projection: project(&input, &request), copies: copies(&checkpoint) };
    estimate(&checkpoint, &mut projected.projection);
    let declared = declared_instead(&checkpoint);
    let asked = MemoryRequest {
        fit: machine::budgets(args.fit.as_deref())?,
        limits: Limits { ram: args.fit.as_ref().and_then(|_| machine::host()), ..Limits::default() },
        ..MemoryRequest::default()
    };
    let asked = with_engines(asked, &checkpoint);
    let mut memory = match &declared {
        Some(declared) => report_on(declared, &asked),
        None => memory(&input, &asked),
    };
    memory.notes.extend(declared.is_some().then(|| of_config(&checkpoint)));

    let shown = path.to_string_lossy().into_owned();
    let mut page = sections::show(&shown, &show, None);
    if show.totals.tensors > 0 {
        // The pruned forms follow the scan, which measures the zeros.
        let sizes = weighbridge::project::Projection { pruned: Vec::new(), ..projected.projection.clone() };
        page.extend(sections::project(&sizes, Detail::Brief));
        page.extend(sections::likely_bridge(&sizes).filter(|_| projected.copies.is_empty()));
        page.extend(sections::copies(&projected.copies));
    }
    if show.totals.tensors > 0 || declared.is_some() || !memory.fit.is_empty() {
        let mut part = sections::memory(&memory, Detail::Brief, false);
        if let (Some(_), Some(first)) = (&declared, part.first_mut()) {
            first.note(of_config(&checkpoint));
        }
        page.extend(part);
    }
    if output.streams() {
        let pruned_follows = show.totals.tensors > 0 && checkpoint.format() != Some(Format::Gguf);
        output.stream(&page, scans || pruned_follows)?;
    }
    // The scan of many tensors needs the room.
    drop(input);
    let mut end = end_of(&checkpoint).max(judged(&memory));
    let mut scan = None;
    let mut after = Vec::new();
    if scans {
        let (body, of_scan) = run_scan(&checkpoint, &selection, &mut request, common)?;
        end = end.max(of_scan);
        let input = ProjectInput::from_checkpoint(&checkpoint).with_folder(folder.as_ref());
        projected.projection.pruned = project(&input, &Request { targets: Vec::new(), shards: Vec::new(), ..request }).pruned;
        // Equal bytes prove what the headers could not.
        if let Some(tied) = body.tied.as_ref().filter(|t| t.verdict == "equal") {
            show.totals.unique_params -= tied.params;
        }
        after.extend(sections::scan(&body, Detail::Brief));
        scan = Some(body);
    }
    if show.totals.tensors > 0 && !matches!(checkpoint.format(), Some(Format::Gguf)) {
        let pruned =
            weighbridge::project::Projection { quantized: Vec::new(), sharded: Vec::new(), ..projected.projection.clone() };
        after.extend(sections::project(&pruned, Detail::Brief));
    }
    if output.streams() {
        output.stream(&after, false)?;
    } else {
        page.extend(after);
        let body = Body { show, scan, project: projected, memory };
        output.write(&Document { head: Head::new("report", Some(shown)), body }, &page)?;
        complain_of(&checkpoint);
    }
    Ok(end)
}

/// What the whole report projects.
fn request(checkpoint: &Checkpoint) -> Request {
    let split = if checkpoint.format() == Some(Format::Gguf) { "gguf-split:5GB" } else { "huggingface:5GB" };
    let shards = if checkpoint.tensor_bytes() > 5_000_000_000 { vec![split] } else { Vec::new() };
    let mut prune = vec![PruneSpec::Share(0.5), PruneSpec::Pattern { keep: 2, of: 4 }];
    if !checkpoint.declared {
        prune.insert(0, PruneSpec::Measured);
    }
    Request {
        targets: targets(checkpoint, None, true),
        prune,
        shards: shards.into_iter().filter_map(|s| ShardSpec::parse(s).ok()).collect(),
        ..Request::default()
    }
}

fn run_scan(
    checkpoint: &Checkpoint,
    selection: &Selection,
    request: &mut Request,
    common: &Common,
) -> Result<(ScanBody<'static>, End)> {
    let outcome = watch(selection, &ScanOptions { io: Io::Auto, ..ScanOptions::default() }, !common.no_progress)?;
    request.zeros = Some(zeros(checkpoint, selection, &outcome));
    Ok((body(checkpoint, selection, &outcome, None), ended(checkpoint, &outcome)))
}
