//! Engines against a budget: on as many devices as it has, with how far context and sequences could grow.

use super::demand;
use super::lever;
use super::row::{FitRow, Subject, room};
use super::search::{CONTEXTS, SEQUENCES, largest, reach};
use super::verdict::{Demand, Verdict, judge};
use crate::project::input::ProjectInput;
use crate::project::memory::budget::{Budget, Memory};
use crate::project::memory::engine::Engine;
use crate::project::memory::limits::Limits;
use crate::project::memory::parallel::{self, Parallel};
use crate::project::memory::places::{self, Places};
use crate::project::memory::request::Settings;
use crate::units::Bytes;

/// Judges an engine's run against one budget.
pub(in crate::project::memory) fn row(
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

/// The run on the given number of devices: as asked, or tensor parallel where the model divides, else a pipeline, else on one of
/// them.
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
