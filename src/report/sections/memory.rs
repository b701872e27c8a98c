//! `weigh memory` as sections: terms per engine, what they leave out, and whether it fits.

use crate::project::Basis;
use crate::project::memory::{EngineRow, Load, MemoryReport, Place, Term};
use crate::report::cell::{Cell, Section, Table, left, right};
use crate::units::{Bytes, grouped};

use super::Detail;
use super::fit::fit;

/// The sections of a memory report.
pub fn memory(report: &MemoryReport, detail: Detail, explain: bool) -> Vec<Section<'static>> {
    let mut sections = Vec::new();
    // Where training alone is asked about, no engine runs it.
    if report.training.is_empty() || !report.engines.is_empty() {
        sections.push(engines(report, detail));
    }
    if explain {
        sections.extend(report.engines.iter().map(formulas));
    }
    sections.extend(training(report, explain));
    sections.extend(report.load.as_ref().map(load));
    sections.extend(fit(report));
    sections
}

/// The types of the caches: one for all engines, or what was asked for and which engines differ.
fn kv_types(report: &MemoryReport) -> String {
    let named = |k: &str, v: &str| if k == v { k.to_owned() } else { format!("{k}/{v}") };
    let asked = named(report.inputs.kv_type_k, report.inputs.kv_type_v);
    let others: Vec<(&str, String)> =
        report.engines.iter().map(|e| (e.engine, named(e.kv_type_k, e.kv_type_v))).filter(|(_, kv)| *kv != asked).collect();
    match others.first() {
        None => asked,
        Some((_, kv)) if others.len() == report.engines.len() && others.iter().all(|(_, other)| other == kv) => kv.clone(),
        Some(_) => {
            let each: Vec<String> = others.iter().map(|(engine, kv)| format!("{engine}: {kv}")).collect();
            format!("{asked} ({})", each.join(", "))
        }
    }
}

fn engines(report: &MemoryReport, detail: Detail) -> Section<'static> {
    let mut section = Section::new("Memory to run");
    let i = &report.inputs;
    let kv = kv_types(report);
    let most = i.model_ctx.map_or_else(String::new, |n| format!(" (the model was made for up to {})", grouped(n)));
    section.aside = format!("context {}{most}, KV cache in {kv}", grouped(i.ctx));
    let columns = [
        left("engine"),
        left("device"),
        right("weights"),
        right("KV cache"),
        right("other known"),
        right("sum"),
        left("left out").expendable(1),
    ];
    let spread = report.engines.iter().any(|engine| engine.devices.len() > 1 || holds_weights(&engine.host));
    let kept = |place: usize| spread || place != 1;
    let mut table = Table::new(columns.into_iter().enumerate().filter(|(place, _)| kept(*place)).map(|(_, column)| column));
    let mut add =
        |row: Vec<Cell>| table.row(row.into_iter().enumerate().filter(|(place, _)| kept(*place)).map(|(_, cell)| cell).collect());
    for engine in &report.engines {
        match engine.devices.as_slice() {
            [one] if !holds_weights(&engine.host) => {
                add(row(engine.engine, Cell::None, &[one, &engine.host], (engine.low, engine.high)));
            }
            several => {
                for (name, place) in alike(several) {
                    let short = name.trim_start_matches("device ").split(" (").next().unwrap_or_default().to_owned();
                    add(row(engine.engine, Cell::Text(short), &[place], (place.low, place.high)));
                }
                if !engine.host.terms.is_empty() {
                    let host = &engine.host;
                    add(row(engine.engine, Cell::text("host"), &[host], (host.low, host.high)));
                }
            }
        }
    }
    section.table = Some(table);
    let mut refusals: Vec<(&str, &str)> = Vec::new();
    for term in report.engines.iter().flat_map(|e| e.devices.iter().chain([&e.host])).flat_map(|p| &p.terms) {
        let what = match term.name {
            "weights" => "not projected",
            "kv_cache" => "KV cache not estimated",
            _ => continue,
        };
        if term.basis == Basis::Refused && !refusals.iter().any(|(_, reason)| *reason == term.formula) {
            refusals.push((what, &term.formula));
        }
    }
    for (what, reason) in refusals {
        section.refuse(format!("{what}: {reason}"));
    }
    if detail == Detail::Brief {
        section.note("one sequence; `weigh memory PATH --explain` shows each term with its formula, --fit 24GiB whether it fits");
        return section;
    }
    for engine in &report.engines {
        if let Some(resident) = &engine.resident {
            let span = |low: u64, high: u64| match Bytes(low).binary() {
                same if low == high => same,
                from => format!("{from} to {}", Bytes(high).binary()),
            };
            section.note(format!(
                "{}: resident in a run without a GPU {} (private {}, page cache {}); while loading up to {}",
                engine.engine,
                span(resident.low, resident.high),
                span(resident.private.low, resident.private.high),
                span(resident.page_cache.low, resident.page_cache.high),
                Bytes(resident.peak_while_loading.high).binary(),
            ));
        }
        if let Some(worst) = &engine.worst_device {
            section.note(format!("{}: most on {worst}", engine.engine));
        }
        for note in &engine.notes {
            section.note(format!("{}: {note}", engine.engine));
        }
    }
    report.notes.iter().filter(|n| !n.starts_with("KV cache not")).for_each(|n| section.note(n.clone()));
    section
}

/// Whether weights stay in host memory while devices hold the rest.
fn holds_weights(host: &Place) -> bool {
    host.terms.iter().any(Term::is_weights)
}

/// Devices that hold the same: how many, and the first one's name.
fn alike(devices: &[Place]) -> Vec<(String, &Place)> {
    let mut groups: Vec<(usize, &Place)> = Vec::new();
    for device in devices {
        match groups.iter_mut().find(|(_, first)| first.terms == device.terms) {
            Some((count, _)) => *count += 1,
            None => groups.push((1, device)),
        }
    }
    groups
        .into_iter()
        .map(|(count, place)| {
            let name = place.name.as_deref().unwrap_or_default();
            match (count, name.split_once(" (")) {
                (1, _) | (_, None) => (name.to_owned(), place),
                (n, Some((short, _))) => (format!("{short} +{}", n - 1), place),
            }
        })
        .collect()
}

/// The terms of some places as a row.
fn row(engine: &'static str, device: Cell, places: &[&Place], (low, high): (u64, Option<u64>)) -> Vec<Cell> {
    let terms: Vec<&Term> = places.iter().flat_map(|p| &p.terms).collect();
    let of = |name: &str| terms.iter().find(|t| t.name == name).map_or(Cell::None, |t| range(t.low, t.high));
    let rest: Vec<&&Term> = terms.iter().filter(|t| !matches!(t.name, "weights" | "kv_cache") && t.low.is_some()).collect();
    let rest_low = rest.iter().filter_map(|t| t.low).fold(0, u64::saturating_add);
    let rest_high = rest.iter().filter_map(|t| t.high).fold(0, u64::saturating_add);
    let left_out: Vec<&str> = terms.iter().filter(|t| t.basis == Basis::Refused).map(|t| t.name).collect();
    vec![
        Cell::text(engine),
        device,
        of("weights"),
        of("kv_cache"),
        if rest.is_empty() { Cell::None } else { range(Some(rest_low), Some(rest_high)) },
        match high {
            Some(high) => range(Some(low), Some(high)),
            None => Cell::Text(format!("over {}", Bytes(low).binary())),
        },
        Cell::Text(left_out.join(", ").replace('_', " ")),
    ]
}

/// How long reading the weights takes on this machine.
fn load(load: &Load) -> Section<'static> {
    let mut section = Section::new("Load time");
    let cached = load.cached_bytes.map_or_else(
        || "what of it is in the page cache is not known".to_owned(),
        |n| format!("{} of it in the page cache now", Bytes(n).binary()),
    );
    let seconds = match (load.seconds_low, load.seconds_high) {
        (Some(_), Some(high)) if high < 0.01 => "less than 0.01 s at the slowest rate of a timed sample".to_owned(),
        (Some(low), Some(high)) => format!("{low:.2} to {high:.2} s at the fastest and the slowest rate of a timed sample"),
        _ => "not measured".to_owned(),
    };
    section.state(format!("{} to read, {cached}: {seconds}; copying to a device is not in it", Bytes(load.bytes).binary()));
    section
}

fn range(low: Option<u64>, high: Option<u64>) -> Cell {
    match (low, high) {
        (Some(low), Some(high)) if low == high => Cell::Bytes(low),
        (Some(low), Some(high)) => Cell::Text(format!("{} to {}", Bytes(low).binary(), Bytes(high).binary())),
        (Some(low), None) => Cell::Text(format!("over {}", Bytes(low).binary())),
        _ => Cell::None,
    }
}

fn formulas(engine: &EngineRow) -> Section<'static> {
    let mut section = Section::new(format!("{} ({})", engine.engine, engine.version));
    for (name, place) in alike(&engine.devices) {
        if engine.devices.len() > 1 {
            section.state(format!("{name}:"));
        }
        say_formulas(&mut section, place.terms.iter());
    }
    say_formulas(&mut section, engine.host.terms.iter());
    if let Some(resident) = &engine.resident {
        section.state(format!("resident: {} to {} B = {}", grouped(resident.low), grouped(resident.high), resident.formula));
    }
    section
}

fn say_formulas<'t>(section: &mut Section<'_>, terms: impl Iterator<Item = &'t Term>) {
    for term in terms {
        let size = match (term.low, term.high) {
            (Some(low), Some(high)) if low == high => format!("{} B", grouped(low)),
            (Some(low), Some(high)) => format!("{} to {} B", grouped(low), grouped(high)),
            (Some(low), None) => format!("over {} B", grouped(low)),
            _ => "not known".to_owned(),
        };
        section.state(format!("{}: {size} = {}", term.name.replace('_', " "), term.formula));
    }
}

/// One table per recipe and kind of device: its terms, and their sum.
fn training(report: &MemoryReport, explain: bool) -> Vec<Section<'static>> {
    let mut sections = Vec::new();
    for row in &report.training {
        for device in &row.devices {
            let mut section = Section::new(format!("Memory to train: {}", row.recipe));
            section.aside = device.name.clone().unwrap_or_default();
            let mut table = Table::new([left("term"), right("bytes"), left("basis")]);
            for term in &device.terms {
                let basis = format!("{:?}", term.basis).to_lowercase();
                table.row(vec![Cell::Text(term.name.replace('_', " ")), range(term.low, term.high), Cell::Text(basis)]);
            }
            table.row(vec![Cell::text("sum"), range(Some(device.low), device.high), Cell::None]);
            section.table = Some(table);
            device
                .terms
                .iter()
                .filter(|t| t.basis == Basis::Refused)
                .for_each(|t| section.refuse(format!("{}: {}", t.name, t.formula)));
            row.notes.iter().for_each(|n| section.note(n.clone()));
            if explain {
                say_formulas(&mut section, device.terms.iter());
            }
            sections.push(section);
        }
    }
    sections
}
