//! The answer about one budget, and the room that a budget leaves.

use serde::Serialize;

use super::lever::FittingScheme;
use super::verdict::{Demand, Room, Verdict, judge};
use crate::project::input::ProjectInput;
use crate::project::memory::budget::{Budget, Memory};
use crate::project::memory::limits::{self, Limits, Takes};

/// One engine or one training recipe against one budget.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct FitRow {
    /// The engine that runs it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine: Option<&'static str>,
    /// The recipe that trains it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipe: Option<String>,
    /// What the weights are in: `stored` as they are, or the file that a converter makes of them; `None` for a recipe, which has
    /// types of its own.
    pub scheme: Option<String>,
    /// The budget as it was asked for.
    pub budget: String,
    /// Number of devices: of the budget where it states one, else of the run.
    pub devices: u64,
    /// Bytes of one device that may be used.
    pub usable: u64,
    /// Whether it fits.
    pub verdict: Verdict,
    /// The figures that decide it (already escaped).
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
    /// Largest context that surely fits, in steps of 256 tokens (of training, the longest sequence); `None` where none does or it
    /// is not known.
    pub max_ctx: Option<u64>,
    /// The same: low end of the range of the largest context.
    pub max_ctx_low: Option<u64>,
    /// Largest context of which the low figure fits: high end of the range.
    pub max_ctx_high: Option<u64>,
    /// Largest number of sequences of this context each that surely fits (of training, of a micro-batch).
    pub max_seqs: Option<u64>,
    /// The largest scheme whose weights would make the high figure fit; `None` where it fits as it is, or none does.
    pub first_scheme_that_fits: Option<FittingScheme>,
    /// The change that would save most.
    pub biggest_lever: Option<String>,
    /// Notes for the reader of the figures (already escaped).
    pub notes: Vec<String>,
}

/// The engine that runs, or the recipe that trains.
pub(super) enum Subject {
    Engine(&'static str),
    Recipe(String),
}

impl FitRow {
    pub(super) fn new(subject: Subject, input: &ProjectInput<'_>, budget: &Budget, demand: &Demand, room: &Room) -> Self {
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
pub(super) fn room(budget: &Budget, takes: &Takes, limits: &Limits) -> (Room, Option<String>) {
    let (usable, why) = limits::usable(budget, takes, limits);
    let one_memory = budget.memory != Memory::Device;
    (Room { usable, devices: budget.devices, one_memory, host: limits.ram.filter(|_| !one_memory) }, why)
}
