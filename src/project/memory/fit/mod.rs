//! Whether it fits a budget, and how far context and sequences could grow.
//!
//! [`judge`] alone decides: a [`Demand`] (what devices and host hold) against a [`Room`] (what may be used of them). Rows of engines
//! and of recipes are made into the one, budgets and limits into the other.

mod demand;
mod lever;
mod search;
mod training;
mod verdict;

pub use lever::FittingScheme;
pub(super) use training::{Run, row as training_row};
pub use verdict::{Demand, Held, Judgement, Room, Verdict, judge};

use serde::Serialize;

use super::budget::{Budget, Memory};
use super::engine::Engine;
use super::limits::{self, Limits, Takes};
use super::parallel::{self, Parallel};
use super::places::{self, Places};
use super::request::Settings;
use crate::project::input::ProjectInput;
use crate::units::Bytes;
use search::{CONTEXTS, SEQUENCES, largest, reach};

/// One engine or one training recipe against one budget.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FitRow {
    /// The engine that runs it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine: Option<&'static str>,
    /// The recipe that trains it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipe: Option<String>,
    /// What the weights are in: `stored` as they are, or the file that a converter makes of them; `None` for a recipe, which has types
    /// of its own.
    pub scheme: Option<String>,
    /// As asked for.
    pub budget: String,
    /// Number of devices: of the budget where it states one, else of the run.
    pub devices: u64,
    /// Bytes of one device that may be used.
    pub usable: u64,
    /// The answer.
    pub verdict: Verdict,
    /// What decides it; escaped.
    pub why: String,
    /// Whether that is more than the device's figures against what is usable of it.
    #[serde(skip)]
    pub beyond_device: bool,
    /// Least bytes of the device that needs most: the sum of its known terms. Where one memory holds both, with the host's.
    pub needs_low: u64,
    /// Most bytes of that device, with the allowance for what is not estimated; `None` where weights or a cache are not known.
    pub needs_high: Option<u64>,
    /// Least bytes of all devices.
    pub sum_low: u64,
    /// Most bytes of all devices.
    pub sum_high: Option<u64>,
    /// Least bytes of the host; `None` where it is not modelled.
    pub host_low: Option<u64>,
    /// Most bytes of the host.
    pub host_high: Option<u64>,
    /// Largest context that surely fits, in steps of 256 tokens (of training, the longest sequence); `None` where none does or it is not
    /// known.
    pub max_ctx: Option<u64>,
    /// The same: low end of the range of the largest context.
    pub max_ctx_low: Option<u64>,
    /// Largest context of which the low figure fits: high end of the range.
    pub max_ctx_high: Option<u64>,
    /// Largest number of sequences of this context each that surely fits (of training, of a micro-batch).
    pub max_seqs: Option<u64>,
    /// The largest scheme whose weights would make the high figure fit; `None` where it fits as it is, or none does.
    pub first_scheme_that_fits: Option<FittingScheme>,
    /// What would save most.
    pub biggest_lever: Option<String>,
    /// What a reader of the figures should know; escaped.
    pub notes: Vec<String>,
}

/// Who runs or trains.
enum Subject {
    Engine(&'static str),
    Recipe(String),
}

impl FitRow {
    fn new(subject: Subject, input: &ProjectInput<'_>, budget: &Budget, demand: &Demand, room: &Room) -> Self {
        let mut judgement = judge(demand, room);
        if input.provenance.declared {
            judgement.why.push_str(", with the weights that config.json declares");
        }
        let (needs, sum) = (demand.worst(room.one_memory), demand.sum(room.one_memory));
        let (engine, recipe) = match subject {
            Subject::Engine(name) => (Some(name), None),
            Subject::Recipe(name) => (None, Some(name)),
        };
        Self {
            scheme: engine.map(|_| "stored".to_owned()),
            engine,
            recipe,
            budget: budget.text.clone(),
            devices: budget.devices.unwrap_or_else(|| demand.count()),
            usable: room.usable,
            verdict: judgement.verdict,
            why: judgement.why,
            beyond_device: judgement.beyond_device,
            needs_low: needs.low,
            needs_high: needs.high,
            sum_low: sum.low,
            sum_high: sum.high,
            host_low: demand.host.map(|held| held.low),
            host_high: demand.host.and_then(|held| held.high),
            max_ctx: None,
            max_ctx_low: None,
            max_ctx_high: None,
            max_seqs: None,
            first_scheme_that_fits: None,
            biggest_lever: None,
            notes: Vec::new(),
        }
    }
}

/// What a budget leaves a run to use, and why that is not all of it.
fn room(budget: &Budget, takes: &Takes, limits: &Limits) -> (Room, Option<String>) {
    let (usable, why) = limits::usable(budget, takes, limits);
    let one_memory = budget.memory != Memory::Device;
    (Room { usable, devices: budget.devices, one_memory, host: limits.ram.filter(|_| !one_memory) }, why)
}

/// An engine against one budget.
pub(super) fn row(
    engine: &'static dyn Engine,
    input: &ProjectInput<'_>,
    settings: &Settings,
    budget: &Budget,
    limits: &Limits,
) -> FitRow {
    let (asked, mut notes) = spread(engine, input, *settings, budget.devices.unwrap_or(1));
    // A machine may have no GPU at all.
    let settings = if budget.memory == Memory::Machine { asked } else { engine.on_gpu(&asked) };
    let (room, set_aside) = room(budget, &engine.takes(), limits);
    let now = places::places(engine, input, &settings);
    let demand = Demand::of_engine(&now, input);
    let mut row = FitRow::new(Subject::Engine(engine.name()), input, budget, &demand, &room);
    row.notes.append(&mut notes);
    let verdict = |settings: &Settings| {
        let other = places::places(engine, input, settings);
        judge(&Demand::of_engine(&other, input), &room).verdict
    };
    let longest = input.model.context_length.unwrap_or(CONTEXTS);
    let contexts = reach(longest, 256, settings.ctx, row.verdict, |ctx| verdict(&Settings { ctx, ..settings }));
    (row.max_ctx, row.max_ctx_low, row.max_ctx_high) = (contexts.low, contexts.low, contexts.high);
    if row.verdict != Verdict::Unknown {
        let most = engine.most_seqs().unwrap_or(SEQUENCES);
        row.max_seqs = largest(most, 1, |n| verdict(&engine.with_seqs(&settings, n)) == Verdict::Fits);
    }
    let worst = now.devices.iter().max_by_key(|d| (d.high, d.low));
    let held = worst.and_then(|d| d.terms.iter().find(|t| t.name == "weights")?.high).unwrap_or(0);
    let left = row.needs_high.and_then(|high| room.usable.checked_sub(high.saturating_sub(held)));
    // Other weights help where the device is what is too small.
    let too_small = row.needs_high > Some(room.usable) && room.devices.is_none_or(|n| n >= demand.count());
    let scheme = left.filter(|_| too_small).and_then(|left| lever::first_scheme(engine, input, left, held));
    row.biggest_lever = lever::lever(engine, input, &settings, &now, scheme.as_ref().map(|(scheme, _)| scheme));
    if let Some((scheme, imatrix)) = scheme {
        if imatrix {
            row.notes.push(format!("{} needs an importance matrix", scheme.scheme));
        }
        row.first_scheme_that_fits = Some(scheme);
    }
    row.notes.extend(set_aside);
    if demand::allows(&now) && row.needs_high.is_some() {
        let aside = Bytes(demand::ALLOWANCE).binary();
        row.notes.push(format!("the high figure sets {aside} a device aside for what is not estimated"));
    }
    let highs = |places: &Places| places.devices.iter().chain([&places.host]).map(|place| place.high).collect::<Vec<_>>();
    let left_out = engine.left_out_on_gpu().filter(|_| budget.memory == Memory::Device);
    row.notes.extend(left_out.filter(|_| highs(&places::places(engine, input, &asked)) != highs(&now)).map(str::to_owned));
    row
}

/// The run on so many devices: as asked, or tensor parallel where the model divides, else a pipeline, else on one of them.
fn spread(engine: &dyn Engine, input: &ProjectInput<'_>, settings: Settings, devices: u64) -> (Settings, Vec<String>) {
    if !settings.parallel.is_single() || devices == 1 {
        return (settings, Vec::new());
    }
    let ways =
        [("tensor", Parallel { tp: devices, ..settings.parallel }), ("pipeline", Parallel { pp: devices, ..settings.parallel })];
    let mut why = String::new();
    for (name, parallel) in ways {
        let spread = Settings { parallel, ..settings };
        match parallel::slices(input, &parallel, &engine.convention(&settings)) {
            Ok(_) => {
                return (
                    spread,
                    vec![format!("spread over {devices} devices as {name} parallel; the verdict is the worst device's")],
                );
            }
            Err(reason) => why = reason,
        }
    }
    (settings, vec![format!("on one of the {devices} devices: {why}")])
}
