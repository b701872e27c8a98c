//! Engines and their conventions, a file each.

mod activations;
mod llama_cpp;
mod sharing;
mod states;
mod transformers;
mod vllm;

use super::fit::Takes;
use super::parallel::{self, Convention, Share, Slice};
use super::request::Settings;
use super::resident::Resident;
use super::{EngineRow, Place, Term, partial};
use crate::checkpoint::{KvLayer, KvLayers, ModelConfig};
use crate::project::input::ProjectInput;
use crate::project::plan::Basis;

/// A KV cache, or the state of recurrent layers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KvFigure {
    /// Least bytes.
    pub bytes: u64,
    /// Most bytes.
    pub high: u64,
    /// How far it can be trusted.
    pub basis: Basis,
    /// The formula with this model's figures.
    pub formula: String,
}

impl KvFigure {
    /// The term of the figure.
    fn term(self, name: &'static str) -> Term {
        Term { name, low: Some(self.bytes), high: Some(self.high), basis: self.basis, formula: self.formula }
    }
}

/// An engine's conventions.
pub trait Engine: Sync {
    /// Its name, as asked for.
    fn name(&self) -> &'static str;
    /// The version its conventions were read from.
    fn version(&self) -> &'static str;
    /// Whether it reads GGUF and nothing else, so that a Hugging Face folder has to be converted.
    fn reads_gguf(&self) -> bool {
        false
    }
    /// The weights as it holds them.
    fn weights(&self, input: &ProjectInput<'_>, settings: &Settings) -> Term;
    /// The layers as it runs them, where that differs from what the configuration says.
    fn layers(&self, _: &ModelConfig, layers: &[KvLayer]) -> Vec<KvLayer> {
        layers.to_vec()
    }
    /// The KV cache of known layers.
    ///
    /// # Errors
    /// The reason why the engine would refuse, or why it is not known.
    fn kv(&self, layers: &[KvLayer], settings: &Settings) -> Result<KvFigure, String>;
    /// The state of recurrent layers, where an engine keeps it apart from the KV cache; `None` where there are none.
    ///
    /// # Errors
    /// The reason why the engine would refuse, or why it is not known.
    fn state(&self, _: &[KvLayer], _: &Settings) -> Result<Option<KvFigure>, String> {
        Ok(None)
    }
    /// What else one device holds.
    fn others(&self, input: &ProjectInput<'_>, settings: &Settings, share: &Share) -> Vec<Term>;
    /// How it spreads a model over several devices.
    fn convention(&self) -> Convention;
    /// What a reader of a pipeline's figures should know.
    fn pipeline_note(&self) -> Option<&'static str> {
        None
    }
    /// What it holds in host memory besides.
    fn host(&self, _: &ProjectInput<'_>, _: &Settings) -> Vec<Term> {
        Vec::new()
    }
    /// What is really there, where that differs from what is reserved and is known.
    fn resident(&self, _: &ProjectInput<'_>, _: &Settings) -> Option<Resident> {
        None
    }
    /// What of a device it may take.
    fn takes(&self) -> Takes {
        Takes::default()
    }
    /// The same settings for so many sequences of this context each.
    fn with_seqs(&self, settings: &Settings, seqs: u64) -> Settings {
        Settings { others_seqs: seqs, ..*settings }
    }
    /// Most sequences that it takes; `None` where nothing but memory bounds them.
    fn most_seqs(&self) -> Option<u64> {
        None
    }
    /// Types of cached keys and values that it has.
    fn cache_types(&self) -> &'static [&'static str];
    /// What its processes hold together, and what each holds or reads for itself.
    fn sharing(&self, input: &ProjectInput<'_>, _: &Settings, devices: u64) -> Option<String> {
        (devices > 1).then(|| sharing::each_reads_all(input, devices))
    }
    /// A cache type of about 8 bits.
    fn small_cache(&self) -> &'static str {
        "fp8"
    }
    /// What `--ctx` means for it.
    fn ctx_means(&self) -> &'static str;
}

/// Every engine. To add one: a file here and a line.
pub const ENGINES: &[&dyn Engine] = &[&llama_cpp::LlamaCpp, &vllm::Vllm, &transformers::Transformers];

/// The engine of a name.
pub fn find(name: &str) -> Option<&'static dyn Engine> {
    ENGINES.iter().copied().find(|e| e.name().eq_ignore_ascii_case(name.trim()))
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
        if !engine.cache_types().contains(&t.name()) {
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
        match parallel::slices(input, settings, &engine.convention()) {
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
    Places { devices: devices.into_iter().map(|place| partial::mark(place, input)).collect(), host, notes }
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
    EngineRow { engine: engine.name(), version: engine.version(), devices, worst_device, host, low, high, resident, notes }
}

/// Everything on one device.
fn single(engine: &dyn Engine, input: &ProjectInput<'_>, settings: &Settings) -> Place {
    let mut terms = vec![engine.weights(input, settings)];
    terms.push(match kv(engine, input.model, settings) {
        Ok(figure) => figure.term("kv_cache"),
        Err(reason) => Term::refused("kv_cache", reason),
    });
    if let KvLayers::Known(layers) = &input.model.kv {
        terms.extend(state(engine, layers, settings));
    }
    terms.extend(engine.others(input, settings, &Share::whole()));
    Place::new(Some("device 0".to_owned()), terms)
}

/// One of several devices.
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
    terms.extend(engine.others(input, settings, &slice.share));
    Place::new(Some(slice.name.clone()), terms)
}

fn state(engine: &dyn Engine, layers: &[KvLayer], settings: &Settings) -> Option<Term> {
    match engine.state(layers, settings) {
        Ok(figure) => figure.map(|figure| figure.term("recurrent_state")),
        Err(reason) => Some(Term::refused("recurrent_state", reason)),
    }
}

/// Stored bytes of the weights as an engine of safetensors files loads them.
fn stored_weights(input: &ProjectInput<'_>, engine: &str) -> Term {
    use crate::format::Format;
    if input.format == Some(Format::Gguf) {
        return Term::refused("weights", format!("what {engine} makes of a GGUF in memory is not modelled"));
    }
    let head = input.tensors.iter().any(|t| t.role == crate::checkpoint::Role::LmHead && t.shape.len() > 1);
    let tied_twice = head && input.model.tied_embeddings == Some(true);
    let basis = if input.is_packed() || tied_twice { Basis::Estimate } else { Basis::Exact };
    let why = match (input.is_packed(), tied_twice) {
        (true, _) => ", if the packed form is what runs",
        (_, true) => ", less one embedding where the tied head that is stored is dropped",
        _ => "",
    };
    Term::known("weights", input.tensor_bytes(), basis, format!("stored tensor bytes{why}"))
}

/// A product that stays at its bound instead of overflowing: configurations come from files.
fn product(factors: &[u64]) -> u128 {
    factors.iter().fold(1u128, |n, &f| n.saturating_mul(u128::from(f)))
}

/// `layers x what`, for formula texts.
fn layers_text(layer: &KvLayer) -> String {
    let heads = format!("{} x ({} + {})", layer.kv_heads, layer.head_dim_k, layer.head_dim_v);
    format!("{} {} layers x {heads}", layer.layers, layer.kind.name())
}

/// The runtime of a GPU process: formulas D, observed overheads (context, allocator, graphs): 0.5 to 1.5 GiB per device.
pub(super) fn gpu_runtime() -> Term {
    const GIB: u64 = 1 << 30;
    let text = "0.5 to 1.5 GiB per device: context, allocator and graphs as seen in public logs, not measured".to_owned();
    Term::range("runtime", GIB / 2, GIB + GIB / 2, text)
}
