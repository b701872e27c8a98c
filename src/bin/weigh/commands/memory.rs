//! `weigh memory`: what it takes to run and to train.

use weighbridge::checkpoint::{Checkpoint, HfFolder};
use weighbridge::error::{Error, ErrorKind, Result};
use weighbridge::project::memory::{ENGINES, Engine, KvType, LoadMode, Parallel, Place, Recipe, Recompute, TrainRequest, Verdict};
use weighbridge::project::{Basis, MemoryRequest, ProjectInput, memory};
use weighbridge::report::document::{Document, Head};
use weighbridge::report::sections::{self, Detail};
use weighbridge::report::show::cautions;
use weighbridge::text::escape;
use weighbridge::units::parse_tokens;

use super::End;
use super::opened::{complain_of, end_of, open_or_declared};
use crate::args::{LoadModeArg, MemoryArgs, OnOff, RecomputeMode};
use crate::output::Output;
use crate::{load, machine};

/// Runs it.
pub(crate) fn run(args: &MemoryArgs, output: &Output) -> Result<End> {
    let request = request(args)?;
    let mut checkpoint = open_or_declared(&args.path, args.only_this_file, false)?;
    let request = with_engines(request, &checkpoint);
    let folder = to_convert(&request, &checkpoint);
    let mut report = memory(&ProjectInput::from_checkpoint(&checkpoint).with_folder(folder.as_ref()), &request);
    report.notes.extend(cautions(&checkpoint));
    match load::measure(&checkpoint) {
        Ok(load) => report.load = load,
        Err(error) => checkpoint.problems.push(error),
    }
    let no = report.fit.iter().any(|row| row.verdict == Some(Verdict::No));
    let refused = |place: &Place| place.terms.iter().all(|t| t.basis == Basis::Refused);
    let rows = report.engines.iter().map(|e| &e.devices).chain(report.training.iter().map(|row| &row.devices));
    // Nothing of what was asked for could be answered.
    let nothing = rows.into_iter().all(|devices| devices.iter().all(refused));
    let end =
        if nothing { End::Incomplete } else { End::Done }.max(if no { End::Findings } else { End::Done }).max(end_of(&checkpoint));
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

/// The engines that read the checkpoint's format, where none was asked for.
pub(crate) fn with_engines(mut request: MemoryRequest, checkpoint: &Checkpoint) -> MemoryRequest {
    if request.engines.is_empty() {
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
        kv_unified: args.kv_unified,
        swa_full: args.swa_full,
        server: args.server,
        no_repack: args.no_repack,
        load_mode: match args.load_mode {
            Some(LoadModeArg::None) => LoadMode::None,
            Some(LoadModeArg::Mmap) | None => LoadMode::Mmap,
        },
        cpu_experts: args.cpu_experts.unwrap_or(0),
        parallel: Parallel {
            tp: args.tp.unwrap_or(1),
            pp: args.pp.unwrap_or(1),
            ep: args.ep.unwrap_or(1),
            dp: args.dp.unwrap_or(1),
        },
        train: training(args)?,
        fit: args
            .fit
            .as_deref()
            .unwrap_or_default()
            .split(',')
            .filter(|b| !b.trim().is_empty())
            .map(machine::budget)
            .collect::<Result<_>>()?,
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
