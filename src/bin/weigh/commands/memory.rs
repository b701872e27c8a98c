//! `weigh memory`: what it takes to run and to train.

use weighbridge::checkpoint::OpenOptions;
use weighbridge::error::{Error, ErrorKind, Result};
use weighbridge::project::memory::{ENGINES, KvType, Limits, LlamaCppOptions, Parallel, Recipe, Share, TrainRequest};
use weighbridge::project::{MemoryRequest, memory_of_checkpoint};
use weighbridge::report::document::{Document, Head};
use weighbridge::report::sections::{self, Detail};
use weighbridge::stores::Manifest;
use weighbridge::text::escape;
use weighbridge::units::{parse_bytes, parse_tokens};

use crate::args::{Common, MemoryArgs, OnOff};
use crate::opened::{context_note, named, outcome_of, warn_of_problems};
use crate::outcome::Outcome;
use crate::output::Output;
use crate::{load, machine};

/// Opens PATH and prints the memory it takes to run and to train.
pub(crate) fn run(args: &MemoryArgs, common: &Common, output: &Output) -> Result<Outcome> {
    let mut request = request(args)?;
    let options = OpenOptions { only_this_file: args.only_this_file, ..OpenOptions::default() };
    let model = named(&args.path, common)?;
    let mut checkpoint = model.open_or_declared(&options)?;
    let stated = model.manifest().and_then(Manifest::num_ctx).filter(|_| request.ctx.is_none());
    request.ctx = request.ctx.or(stated);
    let mut report = memory_of_checkpoint(&checkpoint, &request);
    report.notes.splice(0..0, model.notes.iter().cloned().chain(stated.map(context_note)));
    report.notes.extend(checkpoint.cautions());
    match load::measure(&checkpoint) {
        Ok(load) => report.load = load,
        Err(error) => checkpoint.problems.push(error),
    }
    let answered = if report.has_only_refusals() { Outcome::Incomplete } else { Outcome::of_budgets(&report) };
    let outcome = answered.max(outcome_of(&checkpoint));
    let mut sections = sections::errors(&checkpoint);
    sections.extend(sections::memory(&report, Detail::Full, args.explain));
    output.write(
        &Document { head: Head::of_noted("memory", Some(args.path.to_string_lossy().into_owned())), body: report },
        &sections,
    )?;
    if !output.streams() {
        warn_of_problems(&checkpoint);
    }
    Ok(outcome)
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
            load_mode: args.load_mode.unwrap_or_default(),
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
        recompute: args.recompute.unwrap_or_default(),
        dp: args.dp.unwrap_or(plain.dp),
        ..plain
    }))
}
