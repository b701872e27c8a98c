//! `weigh scan`: reads every weight.

use serde::Serialize;
use weighbridge::checkpoint::{Checkpoint, Role};
use weighbridge::error::{Error, ErrorKind, Result};
use weighbridge::observe::{Observer, Silent};
use weighbridge::report::document::{Document, Head};
use weighbridge::report::scan::full::duplicate_rows;
use weighbridge::report::scan::{ScanBody, TiedRow};
use weighbridge::report::sections::{self, Detail};
use weighbridge::report::show::matches_glob;
use weighbridge::scan::full::{self, CastTarget, FullOutcome, FullPart, Geometry};
use weighbridge::scan::{self, Io, Part, ScanOptions, ScanOutcome, Selection, Simd};
use weighbridge::stats::ScanPart;

use super::End;
use super::opened::{complain_of, end_of, open_values};
use crate::args::{CastMode, Common, IoMode, ScanArgs, SimdMode, StatsMode};
use crate::interrupt;
use crate::output::{Output, complain};
use crate::progress::Bar;

/// The body of a scan's document.
#[derive(Serialize)]
pub(crate) struct Body<'a> {
    scan: ScanBody<'a>,
}

/// What `--part` writes: the part, and the question it answers, so that `weigh merge` can ask it again.
#[derive(Serialize, serde::Deserialize)]
pub(crate) struct PartBody {
    /// The path that was scanned.
    pub(crate) scanned: String,
    /// The filter on names.
    pub(crate) filter: Option<String>,
    /// Whether tensors are to be listed.
    pub(crate) list_tensors: bool,
    /// Whether only the one file was meant.
    pub(crate) only_this_file: bool,
    /// The figures.
    pub(crate) part: ScanPart,
    /// Those of the full pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) full: Option<FullPart>,
}

/// Runs it.
pub(crate) fn run(args: &ScanArgs, common: &Common, output: &Output) -> Result<End> {
    let checkpoint = open_values(&args.path, args.only_this_file)?;
    let selection = select(&checkpoint, args.filter.as_deref())?;
    let options = ScanOptions {
        io: match args.io {
            IoMode::Auto => Io::Auto,
            IoMode::Mmap => Io::Mmap,
            IoMode::Read => Io::Read,
        },
        threads: args.threads.map(|n| usize::try_from(n).unwrap_or(usize::MAX)),
        part: args.part.map(|(index, count)| Part { index, count }),
        simd: match args.simd {
            SimdMode::Auto => Simd::Auto,
            SimdMode::Portable => Simd::Portable,
            SimdMode::Avx2 => Simd::Avx2,
            SimdMode::Avx512 => Simd::Avx512,
            SimdMode::Neon => Simd::Neon,
        },
    };
    let cast = args.cast.map(|cast| match cast {
        CastMode::F16 => CastTarget::F16,
        CastMode::Bf16 => CastTarget::Bf16,
        CastMode::F8E4m3 => CastTarget::F8E4m3,
        CastMode::F8E5m2 => CastTarget::F8E5m2,
    });
    let (outcome, full) = if args.stats == StatsMode::Full || cast.is_some() {
        let (outcome, full) = watch_full(&checkpoint, &selection, &options, cast, !common.no_progress)?;
        (outcome, Some(full))
    } else {
        (watch(&selection, &options, !common.no_progress)?, None)
    };
    let path = args.path.to_string_lossy().into_owned();
    if let Some(part) = options.part {
        return write_part(args, path, &selection, (&outcome, full.as_ref()), part, output);
    }
    let mut body: ScanBody<'_> = body(&checkpoint, &selection, &outcome, full.as_ref());
    if args.tensors {
        body = body.with_tensors(&checkpoint, &outcome, full.as_ref(), &selection.order);
    }
    let end = ended(&checkpoint, &outcome);
    let mut sections = sections::errors(&checkpoint);
    sections.extend(sections::scan(&body, Detail::Full));
    output.write(&Document { head: Head::new("scan", Some(path)), body: Body { scan: body } }, &sections)?;
    if !output.streams() {
        complain_of(&checkpoint);
    }
    Ok(end)
}

/// The tensors whose names fit the filter.
///
/// # Errors
/// When none does.
pub(crate) fn select(checkpoint: &Checkpoint, filter: Option<&str>) -> Result<Selection> {
    let selection = Selection::of(checkpoint, &|name| filter.is_none_or(|pattern| matches_glob(pattern, name)));
    if let (Some(pattern), true) = (filter, selection.files.is_empty()) {
        let message = format!("no tensor name fits the filter `{}`", weighbridge::text::escape(pattern));
        return Err(Error::new(ErrorKind::Usage, message).help("`weigh show PATH --tensors` lists the names"));
    }
    Ok(selection)
}

/// Scans under a progress bar, with Ctrl-C listened to.
///
/// # Errors
/// When the scan cannot start.
pub(crate) fn watch(selection: &Selection, options: &ScanOptions, progress: bool) -> Result<ScanOutcome> {
    interrupt::listen();
    let bar = Bar::new(selection.bytes, progress);
    let outcome = scan::scan(&selection.files, options, &bar);
    bar.finish();
    outcome
}

/// As [`watch`], with the full pass after the base pass.
fn watch_full(
    checkpoint: &Checkpoint,
    selection: &Selection,
    options: &ScanOptions,
    cast: Option<CastTarget>,
    progress: bool,
) -> Result<(ScanOutcome, FullOutcome)> {
    interrupt::listen();
    let tensors: Vec<_> = checkpoint.tensors().collect();
    let geometry: Vec<Vec<Option<Geometry>>> = selection
        .order
        .iter()
        .map(|order| order.iter().map(|&index| Geometry::of(checkpoint, &tensors[index])).collect())
        .collect();
    let roles: Vec<Vec<Role>> =
        selection.order.iter().map(|order| order.iter().map(|&index| tensors[index].naming.role).collect()).collect();
    let bar = Bar::new(selection.bytes.saturating_add(full::bytes_to_read(&selection.files, options.part)), progress);
    let base = scan::scan(&selection.files, options, &bar);
    let full = full::scan_full(&selection.files, &geometry, &roles, options, cast, &bar);
    bar.finish();
    let (mut base, mut full) = (base?, full?);
    full.reconcile(&mut base);
    Ok((base, full))
}

/// The scan's body, with what the values tell of a possible copy of the embedding, and in a full scan of equal tensors.
pub(crate) fn body(
    checkpoint: &Checkpoint,
    selection: &Selection,
    outcome: &ScanOutcome,
    full: Option<&FullOutcome>,
) -> ScanBody<'static> {
    let mut body = ScanBody::of(checkpoint, outcome, full, &selection.order);
    if let Some(of_full) = &mut body.full
        && !outcome.interrupted
    {
        match full::duplicates(&selection.files, outcome, &Interruptible) {
            Ok(groups) => of_full.duplicates = Some(duplicate_rows(checkpoint, selection, &groups)),
            Err(error) => body.notes.push(format!("equal tensors were not looked for: {}", error.message())),
        }
    }
    let whole = selection.order.iter().map(Vec::len).sum::<usize>() == checkpoint.tensors().len();
    if whole && !outcome.interrupted {
        body.tied = tied(checkpoint);
    }
    body
}

/// Listens to Ctrl-C and shows nothing.
struct Interruptible;

impl Observer for Interruptible {
    fn advance(&self, _: u64) {}

    fn cancelled(&self) -> bool {
        interrupt::asked()
    }
}

/// Whether the output matrix is a copy of the embedding, where the values tell.
fn tied(checkpoint: &Checkpoint) -> Option<TiedRow> {
    let (embedding, head) = checkpoint.tied.pair(checkpoint)?;
    let path = |file: usize| checkpoint.files[file].path.as_path();
    let check = scan::compare((&embedding, path(embedding.file)), (&head, path(head.file)), &Silent);
    let check = check.inspect_err(|error| complain(&error.to_string())).ok()?;
    Some(TiedRow::of(&embedding, &head, check))
}

/// How a scan ended.
pub(crate) fn ended(checkpoint: &Checkpoint, outcome: &ScanOutcome) -> End {
    let of_scan = if outcome.interrupted {
        complain("interrupted: the figures are of what was read until then");
        End::Interrupted
    } else if outcome.files.iter().any(|f| f.error.is_some()) {
        End::Incomplete
    } else {
        End::Done
    };
    of_scan.max(end_of(checkpoint))
}

fn write_part(
    args: &ScanArgs,
    path: String,
    selection: &Selection,
    (outcome, full): (&ScanOutcome, Option<&FullOutcome>),
    part: Part,
    output: &Output,
) -> Result<End> {
    let body = PartBody {
        scanned: path.clone(),
        filter: args.filter.clone(),
        list_tensors: args.tensors,
        only_this_file: args.only_this_file,
        part: outcome.to_part(&selection.files, part),
        full: full.map(FullOutcome::to_part),
    };
    output.write_json(&Document { head: Head::new("scan-part", Some(path)), body })?;
    for error in outcome.files.iter().filter_map(|f| f.error.as_ref()) {
        complain(&error.to_string());
    }
    Ok(if outcome.interrupted {
        complain("interrupted: this part is not whole and `weigh merge` will refuse it");
        End::Interrupted
    } else if outcome.files.iter().any(|f| f.error.is_some()) {
        End::Incomplete
    } else {
        End::Done
    })
}
