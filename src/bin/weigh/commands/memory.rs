//! `weigh memory`: what it takes to run and to train.

use weighbridge::checkpoint::{Checkpoint, HfFolder};
use weighbridge::error::{Error, ErrorKind, Result};
use weighbridge::project::memory::{
    ENGINES, Engine, KvType, Limits, LlamaCppOptions, LoadMode, Parallel, Place, Recipe, Recompute, Share, TrainRequest, Verdict,
};
use weighbridge::project::{Basis, MemoryReport, MemoryRequest, ProjectInput, memory};
use weighbridge::report::document::{Document, Head};
use weighbridge::report::sections::{self, Detail};
use weighbridge::report::show::cautions;
use weighbridge::text::{escape, escape_limited};
use weighbridge::units::{grouped, parse_bytes, parse_tokens};

use super::End;
use super::opened::{complain_of, end_of, open_or_declared};
use crate::args::{LoadModeArg, MemoryArgs, OnOff, RecomputeMode};
use crate::output::Output;
use crate::{load, machine};

/// Runs it.
pub(crate) fn run(args: &MemoryArgs, output: &Output) -> Result<End> {
    let request = request(args)?;
    let mut checkpoint = open_or_declared(&args.path, args.only_this_file, false)?;
    let declared = declared_instead(&checkpoint);
    let request = with_engines(request, &checkpoint);
    let mut report = report_on(declared.as_ref().unwrap_or(&checkpoint), &request);
    report.notes.extend(declared.is_some().then(|| of_config(&checkpoint)));
    report.notes.extend(cautions(&checkpoint));
    match load::measure(&checkpoint) {
        Ok(load) => report.load = load,
        Err(error) => checkpoint.problems.push(error),
    }
    let refused = |place: &Place| place.terms.iter().all(|t| t.basis == Basis::Refused);
    let rows = report.engines.iter().map(|e| &e.devices).chain(report.training.iter().map(|row| &row.devices));
    // Nothing of what was asked for could be answered.
    let nothing = rows.into_iter().all(|devices| devices.iter().all(refused));
    let end = if nothing { End::Incomplete } else { judged(&report) }.max(end_of(&checkpoint));
    let mut sections = sections::errors(&checkpoint);
    sections.extend(sections::memory(&report, Detail::Full, args.explain));
    output.write(
        &Document { head: Head::of_noted("memory", Some(args.path.to_string_lossy().into_owned())), body: report },
        &sections,
    )?;
    if !output.streams() {
        complain_of(&checkpoint);
    }
    Ok(end)
}

/// The report on a checkpoint.
pub(crate) fn report_on(checkpoint: &Checkpoint, request: &MemoryRequest) -> MemoryReport {
    let folder = to_convert(request, checkpoint);
    memory(&ProjectInput::from_checkpoint(checkpoint).with_folder(folder.as_ref()), request)
}

/// How a run ends whose verdicts these are: a budget that is exceeded is a finding, one of which no verdict can be given was not
/// answered. `tight` is an answer.
pub(crate) fn judged(report: &MemoryReport) -> End {
    let ends = report.fit.iter().map(|row| match row.verdict {
        Verdict::No => End::Findings,
        Verdict::Unknown => End::Incomplete,
        Verdict::Tight | Verdict::Fits => End::Done,
    });
    ends.max().unwrap_or(End::Done)
}

/// Where every weight is in files that are not read, what config.json declares; `None` where it says nothing of them either.
pub(crate) fn declared_instead(checkpoint: &Checkpoint) -> Option<Checkpoint> {
    let root = &checkpoint.listing.root;
    let is_only_unread = checkpoint.files.is_empty() && !checkpoint.unread.is_empty() && root.join("config.json").is_file();
    if is_only_unread { weighbridge::checkpoint::declared(root).ok() } else { None }
}

/// Says what such figures are of, with every file that was not read.
pub(crate) fn of_config(checkpoint: &Checkpoint) -> String {
    let files = checkpoint.unread.iter().take(UNREAD_LISTED);
    let names: Vec<String> = files.map(|f| format!("{} ({} bytes)", escape_limited(&f.name, 120), grouped(f.bytes))).collect();
    let rest = checkpoint.unread.len().saturating_sub(UNREAD_LISTED);
    let more = if rest > 0 { format!(" and {rest} more: `weigh show` lists them") } else { String::new() };
    format!("the weights are those that config.json declares, not those of the files that are not read: {}{more}", names.join(", "))
}

/// Unread files that a note names.
const UNREAD_LISTED: usize = 16;

/// The engines that read the checkpoint's format, where none was asked for and nothing is trained.
pub(crate) fn with_engines(mut request: MemoryRequest, checkpoint: &Checkpoint) -> MemoryRequest {
    if request.engines.is_empty() && request.train.is_none() {
        request.engines = MemoryRequest::default_engines(checkpoint.format());
    }
    request
}

/// What lies beside the weights, for an engine that needs them converted.
fn to_convert(request: &MemoryRequest, checkpoint: &Checkpoint) -> Option<HfFolder> {
    let asked = |engine: &&&dyn Engine| engine.reads_gguf() && request.engines.iter().any(|name| name == engine.name());
    ENGINES.iter().find(asked)?;
    HfFolder::declared(checkpoint).or_else(|| HfFolder::of(checkpoint))
}

fn request(args: &MemoryArgs) -> Result<MemoryRequest> {
    let engines: Vec<String> =
        args.engine.as_deref().unwrap_or_default().split(',').map(|e| e.trim().to_lowercase()).filter(|e| !e.is_empty()).collect();
    let known: Vec<&str> = ENGINES.iter().map(|e| e.name()).collect();
    if let Some(unknown) = engines.iter().find(|e| !known.contains(&e.as_str())) {
        return Err(Error::new(ErrorKind::Usage, format!("unknown engine `{}`", escape(unknown)))
            .help(format!("known: {}", known.join(", "))));
    }
    Ok(MemoryRequest {
        engines,
        ctx: args.ctx.as_deref().map(parse_tokens).transpose()?,
        seqs: args.seqs,
        kv_type: args.kv_type.as_deref().map(KvType::parse_pair).transpose()?,
        batch: args.batch,
        ubatch: args.ubatch,
        flash_attention: args.flash_attention.map(|f| f == OnOff::On),
        llama_cpp: LlamaCppOptions {
            kv_unified: args.kv_unified,
            swa_full: args.swa_full,
            server: args.server,
            repack: !args.no_repack,
            load_mode: match args.load_mode {
                Some(LoadModeArg::None) => LoadMode::None,
                Some(LoadModeArg::Mmap) | None => LoadMode::Mmap,
            },
            cpu_experts: args.cpu_experts.unwrap_or(0),
        },
        parallel: Parallel {
            tp: args.tp.unwrap_or(1),
            pp: args.pp.unwrap_or(1),
            ep: args.ep.unwrap_or(1),
            dp: args.dp.unwrap_or(1),
        },
        train: training(args)?,
        fit: machine::budgets(args.fit.as_deref())?,
        limits: Limits {
            utilization: args.gpu_utilization.as_deref().map(Share::parse).transpose()?,
            reserve: args.reserve.as_deref().map(parse_bytes).transpose()?.map(|bytes| bytes.0),
            ram: match args.ram.as_deref() {
                Some(size) => Some(parse_bytes(size)?.0),
                None => args.fit.as_ref().and_then(|_| machine::host()),
            },
        },
    })
}

fn training(args: &MemoryArgs) -> Result<Option<TrainRequest>> {
    let Some(recipe) = args.train.as_deref() else { return Ok(None) };
    let plain = TrainRequest::new(Recipe::parse(recipe)?);
    Ok(Some(TrainRequest {
        zero: args.zero.unwrap_or(plain.zero),
        seq: args.seq.as_deref().map(parse_tokens).transpose()?.unwrap_or(plain.seq),
        micro_batch: args.micro_batch.unwrap_or(plain.micro_batch),
        recompute: match args.recompute {
            None | Some(RecomputeMode::None) => Recompute::None,
            Some(RecomputeMode::Selective) => Recompute::Selective,
            Some(RecomputeMode::Full) => Recompute::Full,
        },
        dp: args.dp.unwrap_or(plain.dp),
        ..plain
    }))
}
