//! An engine's run, place by place: what each device holds, and what the host does.

use serde::Serialize;

use super::engine::Engine;
use super::parallel::{self, ModelPart, Slice};
use super::request::Settings;
use super::resident::Resident;
use super::terms::{KvFigure, Place, Term};
use super::{partial, sharing};
use crate::checkpoint::{KvLayer, KvLayers, ModelConfig};
use crate::format::Format;
use crate::project::input::ProjectInput;
use crate::project::plan::Basis;

/// What a run of one engine holds, place by place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct EngineRow {
    /// Name of the engine.
    pub engine: &'static str,
    /// The version its conventions were read from.
    pub version: &'static str,
    /// Type of the keys that it caches.
    pub kv_type_k: &'static str,
    /// Type of the values that it caches.
    pub kv_type_v: &'static str,
    /// What each device holds, in the order replica, stage, tensor rank.
    pub devices: Vec<Place>,
    /// The device that needs most, where there are several.
    pub worst_device: Option<String>,
    /// What the host holds beside the devices.
    pub host: Place,
    /// Sum of the known lows.
    pub low: u64,
    /// Sum of the highs; `None` when a term is refused.
    pub high: Option<u64>,
    /// What a run without a GPU really holds; `None` where it is not known.
    pub resident: Option<Resident>,
    /// Notes for the reader of the figures (already escaped).
    pub notes: Vec<String>,
}

/// The KV cache of a model; `Err` with the reason where it is refused.
pub(super) fn kv(engine: &dyn Engine, model: &ModelConfig, settings: &Settings) -> Result<KvFigure, String> {
    match &model.kv {
        KvLayers::Known(layers) => kv_of(engine, model, layers, settings),
        KvLayers::NoCache(why) => {
            Ok(KvFigure { bytes: 0, high: 0, basis: Basis::Exact, formula: format!("none: {}", crate::text::escape(why)) })
        }
        KvLayers::Refused(why) => Err(crate::text::escape(why)),
    }
}

/// The KV cache of some layers of a model.
fn kv_of(engine: &dyn Engine, model: &ModelConfig, layers: &[KvLayer], settings: &Settings) -> Result<KvFigure, String> {
    for t in [settings.kv_k, settings.kv_v] {
        if !engine.cache_types().contains(&t) {
            return Err(format!("{} has no cache type {}", engine.name(), t.name()));
        }
    }
    engine.kv(&engine.layers(model, layers), settings)
}

/// What a run holds, place by place.
pub(super) struct Places {
    pub(super) devices: Vec<Place>,
    pub(super) host: Place,
    notes: Vec<String>,
}

pub(super) fn places(engine: &dyn Engine, input: &ProjectInput<'_>, settings: &Settings) -> Places {
    let mut notes = vec![engine.ctx_means().to_owned()];
    let devices = if settings.parallel.is_single() {
        vec![single(engine, input, settings)]
    } else {
        match parallel::slices(input, &settings.parallel, &engine.convention(settings)) {
            Ok(slices) => {
                notes.push(parallel::summary(&settings.parallel, &slices));
                notes.extend(engine.pipeline_note().filter(|_| settings.parallel.pp > 1).map(str::to_owned));
                slices.iter().map(|slice| spread(engine, input, settings, slice)).collect()
            }
            Err(reason) => {
                let terms = ["weights", "kv_cache"].map(|name| Term::refused(name, reason.clone()));
                vec![Place::new(Some("device 0".to_owned()), terms.to_vec())]
            }
        }
    };
    let host = partial::mark(Place::new(None, engine.host(input, settings)), input);
    let mark = |place| unconverted(partial::mark(place, input), engine, input);
    Places { devices: devices.into_iter().map(mark).collect(), host, notes }
}

/// A cache by config.json in an engine that reads GGUF alone is an estimate: the file that its converter would write, of which nothing
/// is known here, decides, by a prediction layer that it keeps for one.
fn unconverted(mut place: Place, engine: &dyn Engine, input: &ProjectInput<'_>) -> Place {
    if engine.reads_gguf() && input.format == Some(Format::Safetensors) {
        for term in place.terms.iter_mut().filter(|term| term.basis == Basis::Exact) {
            term.basis = Basis::Estimate;
        }
    }
    place
}

pub(super) fn row(engine: &dyn Engine, input: &ProjectInput<'_>, settings: &Settings) -> EngineRow {
    let Places { devices, host, mut notes } = places(engine, input, settings);
    let mut left_out: Vec<&str> = Vec::new();
    for term in devices.iter().flat_map(|d| &d.terms).filter(|t| t.basis == Basis::Refused) {
        if !left_out.contains(&term.name) {
            left_out.push(term.name);
        }
    }
    if !left_out.is_empty() {
        notes.push(format!("the totals leave out: {}", left_out.join(", ")));
    }
    notes.extend(sharing::tied_head(input));
    notes.extend(engine.sharing(input, settings, devices.len() as u64));
    // The first of those that need most.
    let worst = devices.iter().reduce(|most, one| if (one.high, one.low) > (most.high, most.low) { one } else { most });
    let worst_device = worst.filter(|_| devices.len() > 1).and_then(|d| d.name.clone());
    let low = devices.iter().fold(host.low, |n, d| n.saturating_add(d.low));
    let high = devices.iter().map(|d| d.high).chain([host.high]).try_fold(0u64, |n, high| Some(n.saturating_add(high?)));
    let resident = engine.resident(input, settings).filter(|_| settings.parallel.is_single());
    let (kv_type_k, kv_type_v) = (settings.kv_k.name(), settings.kv_v.name());
    EngineRow {
        engine: engine.name(),
        version: engine.version(),
        kv_type_k,
        kv_type_v,
        devices,
        worst_device,
        host,
        low,
        high,
        resident,
        notes,
    }
}

/// The terms of a run that is on one device.
fn single(engine: &dyn Engine, input: &ProjectInput<'_>, settings: &Settings) -> Place {
    let mut terms = vec![engine.weights(input, settings)];
    terms.push(match kv(engine, input.model, settings) {
        Ok(figure) => figure.term("kv_cache"),
        Err(reason) => Term::refused("kv_cache", reason),
    });
    if let KvLayers::Known(layers) = &input.model.kv {
        terms.extend(state(engine, layers, settings));
    }
    terms.extend(engine.others(input, settings, &ModelPart::whole()));
    Place::new(Some("device 0".to_owned()), terms)
}

/// The terms of one of several devices.
fn spread(engine: &dyn Engine, input: &ProjectInput<'_>, settings: &Settings, slice: &Slice) -> Place {
    let mut terms = vec![slice.weights.clone()];
    terms.extend(slice.padding.clone());
    let layers = slice.layers.as_ref().map_err(Clone::clone);
    terms.push(match layers.and_then(|layers| kv_of(engine, input.model, layers, settings)) {
        Ok(figure) => figure.term("kv_cache"),
        Err(reason) => Term::refused("kv_cache", reason),
    });
    if let Ok(layers) = &slice.layers {
        terms.extend(state(engine, layers, settings));
    }
    terms.extend(engine.others(input, settings, &slice.part));
    Place::new(Some(slice.name.clone()), terms)
}

fn state(engine: &dyn Engine, layers: &[KvLayer], settings: &Settings) -> Option<Term> {
    match engine.state(layers, settings) {
        Ok(figure) => figure.map(|figure| figure.term("recurrent_state")),
        Err(reason) => Some(Term::refused("recurrent_state", reason)),
    }
}
