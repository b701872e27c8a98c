//! Memory at inference: weights, caches and buffers by each engine's own conventions, every term with its basis and formula. What
//! is not known is a term without figures, and the totals say what they leave out.

mod budget;
mod contradiction;
mod converted;
pub mod engine;
pub mod engines;
pub mod fit;
mod kv_type;
mod limits;
pub mod parallel;
mod partial;
mod places;
pub mod request;
pub mod resident;
mod sharing;
mod terms;
mod torch;
pub mod training;

pub use budget::{Budget, Memory};
pub use engine::Engine;
pub use engines::ENGINES;
pub use engines::llama_cpp::options::{LlamaCppOptions, LoadMode};
pub use fit::{Demand, FitRow, FittingScheme, Held, Judgement, Room, Verdict, judge};
pub use kv_type::KvType;
pub use limits::{Limits, Share, Takes};
pub use parallel::Parallel;
pub use places::EngineRow;
pub use request::{MemoryRequest, Settings};
pub use resident::{Resident, Span};
pub use terms::{KvFigure, Place, Term};
pub use training::{Recipe, Recompute, TrainRequest, TrainingRow};

use serde::Serialize;

use crate::checkpoint::{KvKind, KvLayers};
use crate::project::input::ProjectInput;
use crate::project::plan::Basis;
use crate::text::escape;

/// A run of layers that cache alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct KvLayerRow {
    /// Name of the kind: `full`, `sliding`, ...
    pub kind: &'static str,
    /// Number of layers.
    pub layers: u64,
    /// Number of key/value heads.
    pub kv_heads: u64,
    /// Elements of one key head.
    pub head_dim_k: u64,
    /// Elements of one value head.
    pub head_dim_v: u64,
    /// Tokens kept, for windowed kinds.
    pub window: Option<u64>,
}

/// What was asked, with the defaults filled in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Inputs {
    /// Tokens; an engine's notes say whether of one sequence or of all together.
    pub ctx: u64,
    /// The longest context the model was made for.
    pub model_ctx: Option<u64>,
    /// Sequences at once; `None` where the engine's default was left to it.
    pub seqs: Option<u64>,
    /// Type of the cached keys.
    pub kv_type_k: &'static str,
    /// Type of the cached values.
    pub kv_type_v: &'static str,
    /// Logical batch, in tokens.
    pub batch: u64,
    /// Physical batch, in tokens.
    pub ubatch: u64,
    /// Whether flash attention is on.
    pub flash_attention: bool,
    /// Options of llama.cpp alone, whichever engines were asked for.
    #[serde(flatten)]
    pub llama_cpp: LlamaCppOptions,
    /// Ranks that share every layer.
    pub tp: u64,
    /// Stages that hold a run of layers each.
    pub pp: u64,
    /// Ranks that share the routed experts.
    pub ep: u64,
    /// Number of replicas.
    pub dp: u64,
    /// Share of a device that was asked for.
    pub gpu_utilization: Option<Share>,
    /// Bytes of a device that are to be set aside.
    pub reserve: Option<u64>,
    /// Bytes of the host's memory that budgets of devices were judged with.
    pub ram: Option<u64>,
}

/// The answers, in the field names of the JSON report.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct MemoryReport {
    /// What was asked for, with the defaults filled in.
    pub inputs: Inputs,
    /// A row for each engine.
    pub engines: Vec<EngineRow>,
    /// What is cached per layer; empty when it is not known or nothing is.
    pub kv_layers: Vec<KvLayerRow>,
    /// One row per training recipe; two for distillation.
    pub training: Vec<TrainingRow>,
    /// Load time: depends on the machine, so it is measured elsewhere.
    pub load: Option<Load>,
    /// One row per engine and budget; with training, one per recipe and budget instead.
    pub fit: Vec<FitRow>,
    /// Notes for the reader of the figures (already escaped).
    pub notes: Vec<String>,
}

impl MemoryReport {
    /// Whether nothing that was asked for could be answered: every term of every engine and recipe is refused.
    pub fn has_only_refusals(&self) -> bool {
        let refused = |place: &Place| place.terms.iter().all(|term| term.basis == Basis::Refused);
        let rows = self.engines.iter().map(|row| &row.devices).chain(self.training.iter().map(|row| &row.devices));
        rows.into_iter().all(|devices| devices.iter().all(refused))
    }
}

/// Reading the weights from a disk.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Load {
    /// Bytes of weights to read.
    pub bytes: u64,
    /// Of these, in the page cache now; of more than 32 GiB, by a sample of steps of 1 MiB.
    pub cached_bytes: Option<u64>,
    /// Seconds at the fastest rate that was measured.
    pub seconds_low: Option<f64>,
    /// Seconds at the slowest rate that was measured.
    pub seconds_high: Option<f64>,
}

/// Takes the cache's type from the checkpoint where an engine heeds it and no type was asked for, and says so.
fn heed_checkpoint(
    engine: &dyn Engine,
    request: &MemoryRequest,
    input: &ProjectInput<'_>,
    settings: &mut Settings,
) -> Option<String> {
    let stated = input.model.stated_cache.as_ref().filter(|_| request.kv_type.is_none())?;
    match engine.stated_cache(stated) {
        Ok(None) => None,
        Ok(Some(kv_type)) => {
            (settings.kv_k, settings.kv_v) = (kv_type, kv_type);
            let (name, key, file) = (kv_type.name(), stated.key, &stated.file);
            Some(format!("the cache is in {name}, as the checkpoint says (`{key}` of {file}); --kv-type sets another"))
        }
        Err(reason) => Some(reason),
    }
}

/// Projects memory. Never fails: what cannot be projected is a term or a note that says why.
pub fn memory(input: &ProjectInput<'_>, request: &MemoryRequest) -> MemoryReport {
    let given = input;
    let refuted = contradiction::refuted(given);
    let checked = refuted.as_ref().map(|model| ProjectInput { model, ..given.clone() });
    let input = checked.as_ref().unwrap_or(given);
    let settings = request.settled(input);
    let mut notes = Vec::new();
    let provenance = &input.provenance;
    notes.extend(provenance.shortfall.as_ref().map(|shortfall| shortfall.reason.clone()));
    if request.ctx.is_none() && !request.engines.is_empty() {
        notes.push(format!("no context was asked for: {} tokens are assumed", settings.ctx));
    }
    if let Some(longest) = input.model.context_length.filter(|&n| settings.ctx > n && !request.engines.is_empty()) {
        notes.push(format!("{} tokens are more than the {longest} that the model was made for", settings.ctx));
    }
    let mut engines = Vec::new();
    let mut fits = Vec::new();
    for name in &request.engines {
        let Some(engine) = engines::find(name) else {
            notes.push(format!("unknown engine `{}`", escape(name)));
            continue;
        };
        // The converter knows more defaults than a configuration states: what it writes is judged by itself.
        let converted = converted::Converted::of(engine, given);
        let read = converted.input();
        let refuted = read.as_ref().and_then(contradiction::refuted);
        let read = read.as_ref().map(|read| ProjectInput {
            model: refuted.as_ref().unwrap_or(read.model),
            provenance: provenance.clone(),
            ..read.clone()
        });
        let input = read.as_ref().unwrap_or(input);
        let mut settings = engine.settings(request, settings);
        let stated = heed_checkpoint(engine, request, input, &mut settings);
        let settings = &settings;
        let mut row = places::row(engine, input, settings);
        row.notes.extend(stated);
        converted.say(&mut row);
        engines.push(row);
        // A run that trains is judged by what training takes.
        if request.train.is_none() {
            let row = |budget| {
                let row = fit::row(engine, input, settings, budget, &request.limits);
                FitRow { scheme: converted.scheme().or(row.scheme), ..row }
            };
            fits.extend(request.fit.iter().map(row));
        }
    }
    let kv_layers = match &input.model.kv {
        KvLayers::Known(layers) => layers
            .iter()
            .map(|l| KvLayerRow {
                kind: l.kind.name(),
                layers: l.layers,
                kv_heads: l.kv_heads,
                head_dim_k: l.head_dim_k,
                head_dim_v: l.head_dim_v,
                window: l.window.filter(|_| matches!(l.kind, KvKind::Sliding | KvKind::Chunked)),
            })
            .collect(),
        KvLayers::NoCache(why) => {
            notes.push(format!("no KV cache: {}", escape(why)));
            Vec::new()
        }
        KvLayers::Refused(why) => {
            notes.push(format!("KV cache not projected: {}", escape(why)));
            Vec::new()
        }
    };
    let inputs = Inputs {
        ctx: settings.ctx,
        model_ctx: input.model.context_length,
        seqs: request.seqs,
        kv_type_k: settings.kv_k.name(),
        kv_type_v: settings.kv_v.name(),
        batch: settings.batch,
        ubatch: settings.ubatch,
        flash_attention: settings.flash_attention,
        llama_cpp: settings.llama_cpp,
        tp: settings.parallel.tp,
        pp: settings.parallel.pp,
        ep: settings.parallel.ep,
        dp: settings.parallel.dp,
        gpu_utilization: request.limits.utilization,
        reserve: request.limits.reserve,
        ram: request.limits.ram,
    };
    let mut training = Vec::new();
    if let Some(asked) = &request.train {
        let run = fit::TrainingRun { asked, parallel: &settings.parallel, fused: settings.flash_attention };
        training = training::rows(input, asked, run.parallel, run.fused);
        let judged = |place: usize| {
            let of = |budget| fit::training_row(&run, input, &training, place, budget, &request.limits);
            request.fit.iter().filter_map(of).collect::<Vec<FitRow>>()
        };
        fits.extend((0..training.len()).flat_map(judged));
    }
    MemoryReport { inputs, engines, kv_layers, training, load: None, fit: fits, notes }
}
