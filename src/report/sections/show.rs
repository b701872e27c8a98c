//! `weigh show` as sections.

use super::{LISTED, fold, others};
use crate::checkpoint::Checkpoint;
use crate::choice::Choice;
use crate::format::DefectKind;
use crate::report::cell::{Cell, Section, Table, left, right};
use crate::report::page::Walked;
use crate::report::show::{GroupRow, ShowBody, WeightSetRow};
use crate::text::{escape, escape_limited, shown_path};
use crate::units::{Bytes, Elements, Params, grouped, sum_up};

/// One way to group tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grouping {
    /// By element type.
    Dtype,
    /// By role.
    Role,
    /// By block.
    Layer,
    /// By file.
    File,
}

impl Choice for Grouping {
    const WHAT: &'static str = "grouping";
    const NAMES: &'static [(&'static str, Self, &'static str)] = &[
        ("dtype", Self::Dtype, "Element types"),
        ("role", Self::Role, "What tensors are for"),
        ("layer", Self::Layer, "Blocks"),
        ("file", Self::File, "Files"),
    ];
}

/// The sections of a body. `path` is what was asked for; `by` leaves one grouping.
pub fn show<'a>(path: &str, body: &ShowBody<'a>, by: Option<Grouping>) -> Vec<Section<'a>> {
    let wanted = |grouping| by.is_none_or(|by| by == grouping);
    let mut sections = vec![headline(path, body)];
    sections.extend(problems(body));
    sections.extend(adapters(body));
    if body.totals.tensors > 0 {
        sections.extend(wanted(Grouping::Dtype).then(|| dtypes(body)));
        sections.extend(wanted(Grouping::Role).then(|| roles(body)));
    }
    sections.extend(layers(body));
    sections.extend(components(body).filter(|_| by.is_none()));
    sections.extend(files(body).filter(|_| wanted(Grouping::File)));
    sections.extend(unread(body));
    sections.extend(tensors(body));
    sections.extend(metadata(body));
    sections.extend(map(body));
    sections
}

fn headline(path: &str, body: &ShowBody<'_>) -> Section<'static> {
    let t = &body.totals;
    let mut section = Section::new(escape(path));
    let files = if t.files == 1 { "1 file".to_owned() } else { format!("{} files", grouped(t.files)) };
    section.aside = format!("{}, {files}", body.format);
    if t.files == 0 {
        section.aside = "no weights that could be read".to_owned();
        return section;
    }
    let bits = t.bits_per_weight.map_or_else(String::new, |b| format!(", {b:.2} bits per weight"));
    section.state(format!(
        "{} parameters in {} tensors: {} of weights, {} on disk{bits}",
        Params(t.logical_params).short(),
        grouped(t.tensors),
        Bytes(t.tensor_bytes).binary(),
        Bytes(t.file_bytes).binary(),
    ));
    section.state(format!(
        "exactly {} parameters, {} stored elements, {} tensor bytes, {} file bytes",
        grouped(t.logical_params),
        grouped(t.stored_elements),
        grouped(t.tensor_bytes),
        grouped(t.file_bytes)
    ));
    if let Some(model) = model_line(body) {
        section.state(model);
    }
    if let Some(q) = &body.quantization {
        let bits = q.bits.map_or_else(String::new, |b| format!(", {b}-bit"));
        let group = q.group_size.map_or_else(String::new, |g| format!(", groups of {g}"));
        section.state(format!("stored as {}{bits}{group} ({})", escape(&q.method), escape(&q.evidence)));
    }
    for note in &body.notes {
        section.note(note.clone());
    }
    section
}

fn model_line(body: &ShowBody<'_>) -> Option<String> {
    let m = body.model.config;
    let mut parts = vec![escape_limited(m.architecture.as_ref().or(m.family.as_ref())?, 60)];
    let mut add = |what: &str, n: Option<u64>| parts.extend(n.map(|n| format!("{what} {}", grouped(n))));
    add("layers", m.layers);
    add("hidden", m.hidden_size);
    add("heads", m.heads);
    add("kv heads", m.kv_heads.filter(|_| m.kv_heads != m.heads));
    add("head dim", m.head_dim);
    add("ffn", m.ffn_size);
    add("vocabulary", m.vocab_size);
    add("context", m.context_length);
    if let (Some(experts), Some(used)) = (m.experts.filter(|&e| e > 0), m.experts_used) {
        parts.push(format!("{used} of {experts} experts"));
    }
    if let Some(active) = body.model.active_params.as_ref().filter(|_| m.experts.is_some_and(|e| e > 0)) {
        parts.push(format!("{} active per token", Params(active.all).short()));
    }
    Some(parts.join(", "))
}

/// What could not be read of a checkpoint, where nothing else of its headers is shown.
pub fn errors(checkpoint: &Checkpoint) -> Vec<Section<'static>> {
    let mut section = Section::new("Problems");
    for problem in &checkpoint.problems {
        section.warn(problem.to_string());
    }
    for &file in &checkpoint.selected_files() {
        let file = &checkpoint.files[file];
        for defect in file.container.defects.iter().filter(|d| d.kind == DefectKind::Truncated) {
            section.warn(format!("{}: {}", escape(&file.name), defect.message));
        }
    }
    if section.after.is_empty() { Vec::new() } else { vec![section] }
}

/// What a reader of figures should know of the weights they are of.
pub fn cautions(notes: &[String]) -> Option<Section<'static>> {
    let mut section = Section::new("Weights");
    notes.iter().for_each(|note| section.note(note.clone()));
    (!notes.is_empty()).then_some(section)
}

/// What could not be read, and what is odd: right after the headline, as everything below depends on it.
fn problems(body: &ShowBody<'_>) -> Option<Section<'static>> {
    const SHOWN: usize = 8;
    if body.errors.is_empty() && body.defects.is_empty() {
        return None;
    }
    let mut section = Section::new("Problems");
    for error in body.errors.iter().take(SHOWN) {
        let file = error.path().map_or_else(String::new, |path| format!("{}: ", shown_path(path)));
        let help = error.advice().map_or_else(String::new, |h| format!("; {h}"));
        section.warn(format!("{file}{}{help}", error.message()));
    }
    for defect in body.defects.iter().take(SHOWN) {
        section.warn(format!("{}: {}", escape(&defect.file), defect.message));
    }
    let more = body.errors.len().saturating_sub(SHOWN) + body.defects.len().saturating_sub(SHOWN);
    if more > 0 {
        section.note(format!("{more} further problems: see --format json"));
    }
    Some(section)
}

/// What the adapters are, a line each.
fn adapters(body: &ShowBody<'_>) -> Option<Section<'static>> {
    let mut section = Section::new("Adapters");
    let (listed, rest) = fold(body.adapters, LISTED);
    for adapter in listed {
        let file = adapter.files.first().map_or_else(String::new, |file| escape(file));
        section.state(format!("{file}: {}", adapter.describe()));
        adapter.notes.iter().for_each(|note| section.note(format!("{file}: {note}")));
        adapter.conflicts.iter().for_each(|conflict| section.warn(format!("{file}: {conflict}")));
    }
    if !rest.is_empty() {
        section.note(format!("{} further adapters: see --format json", grouped(rest.len() as u64)));
    }
    (!body.adapters.is_empty()).then_some(section)
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

fn dtypes(body: &ShowBody<'_>) -> Section<'static> {
    let total = &body.totals;
    let mut table = Table::new([
        left("dtype"),
        right("tensors"),
        right("elements"),
        right("bytes"),
        right("share").expendable(1),
        left("").expendable(2),
    ]);
    let (listed, rest) = fold(&body.dtypes, LISTED);
    let mut row = |name: Cell, tensors: u64, elements: u64, bytes: u64| {
        let part = share(bytes, total.tensor_bytes);
        table.row(vec![name, Cell::Count(tensors), Cell::Count(elements), Cell::Bytes(bytes), Cell::Share(part), Cell::Bar(part)]);
    };
    for d in listed {
        row(Cell::Foreign(d.dtype.clone()), d.tensors, d.stored_elements, d.bytes);
    }
    if !rest.is_empty() {
        let sum = |f: fn(&crate::report::show::DtypeRow) -> u64| sum_up(rest.iter().map(f));
        row(others(rest.len()), sum(|d| d.tensors), sum(|d| d.stored_elements), sum(|d| d.bytes));
    }
    table.total = Some(vec![
        Cell::text("total"),
        Cell::Count(total.tensors),
        Cell::Count(total.stored_elements),
        Cell::Bytes(total.tensor_bytes),
        Cell::Share(1.0),
        Cell::text(""),
    ]);
    Section { table: Some(table), ..Section::new("By dtype") }
}

fn group_table(first: &'static str, rows: &[GroupRow], body: &ShowBody<'_>, listed: usize) -> Table<'static> {
    let total = &body.totals;
    let mut table = Table::new([
        left(first),
        right("tensors"),
        right("parameters"),
        right("bytes"),
        right("share").expendable(1),
        left("").expendable(2),
    ]);
    let (shown, rest) = fold(rows, listed);
    let mut row = |name: Cell, tensors: u64, params: u64, bytes: u64| {
        let part = share(bytes, total.tensor_bytes);
        table.row(vec![name, Cell::Count(tensors), Cell::Count(params), Cell::Bytes(bytes), Cell::Share(part), Cell::Bar(part)]);
    };
    for r in shown {
        row(Cell::Text(r.role.clone()), r.sums.tensors, r.sums.logical_params, r.sums.bytes);
    }
    if !rest.is_empty() {
        let sum = |f: fn(&GroupRow) -> u64| sum_up(rest.iter().map(f));
        row(others(rest.len()), sum(|r| r.sums.tensors), sum(|r| r.sums.logical_params), sum(|r| r.sums.bytes));
    }
    table.total = Some(vec![
        Cell::text("total"),
        Cell::Count(total.tensors),
        Cell::Count(total.logical_params),
        Cell::Bytes(total.tensor_bytes),
        Cell::Share(1.0),
        Cell::text(""),
    ]);
    table
}

fn roles(body: &ShowBody<'_>) -> Section<'static> {
    Section { table: Some(group_table("role", &body.roles, body, LISTED)), ..Section::new("By role") }
}

fn layers(body: &ShowBody<'_>) -> Option<Section<'static>> {
    let rows = body.layers.as_ref()?;
    Some(Section { table: Some(group_table("layer", rows, body, usize::MAX - 1)), ..Section::new("By layer") })
}

/// Only where there is something to choose: several components, or copies.
fn components(body: &ShowBody<'_>) -> Option<Section<'static>> {
    let sets: usize = body.components.iter().map(|c| c.weight_sets.len()).sum();
    if sets < 2 {
        return None;
    }
    let mut table = Table::new([left("component"), left("weight set"), right("files").expendable(1), right("bytes"), left("")]);
    for component in &body.components {
        for set in &component.weight_sets {
            table.row(vec![
                Cell::Foreign(component.name.clone()),
                Cell::Foreign(set.name.clone()),
                Cell::Count(set.files.len() as u64),
                Cell::Bytes(set.tensor_bytes),
                Cell::text(standing(set)),
            ]);
        }
    }
    Some(Section { table: Some(table), ..Section::new("Components") })
}

/// What a weight set is, in a few words; a note tells more.
fn standing(set: &WeightSetRow<'_>) -> &'static str {
    if set.selected {
        return "in the totals";
    }
    match set.beside.map(|against| (against.likeness.code(), against.likeness.compared() > 0)) {
        Some(("copy", _)) => "a copy",
        Some(("likely_copy", _)) => "likely a copy",
        Some(("likely_copy_in_another_type", _)) => "likely a copy in another type",
        Some(("different", _)) => "other weights",
        Some((_, true)) => "partly compared",
        _ => "not compared",
    }
}

fn files(body: &ShowBody<'_>) -> Option<Section<'static>> {
    let mut rows: Vec<_> = body.files.iter().collect();
    rows.sort_by(|a, b| b.file_bytes.cmp(&a.file_bytes).then_with(|| a.path.cmp(&b.path)));
    let mut table = Table::new([
        left("file"),
        right("tensors"),
        right("weights"),
        right("header").expendable(1),
        right("padding").expendable(2),
        right("other").expendable(1),
        right("file"),
    ]);
    let (listed, rest) = fold(&rows, LISTED);
    let cells = |name: Cell, files: &[&crate::report::show::FileRow]| {
        let sum = |f: &dyn Fn(&crate::report::show::FileRow) -> u64| sum_up(files.iter().map(|r| f(r)));
        vec![
            name,
            Cell::Count(sum(&|r| r.tensors)),
            Cell::Bytes(sum(&|r| r.regions.tensors)),
            Cell::Bytes(sum(&|r| r.regions.magic + r.regions.header + r.regions.metadata)),
            Cell::Bytes(sum(&|r| r.regions.padding)),
            Cell::Bytes(sum(&|r| r.regions.gap + r.regions.overlap + r.regions.trailing)),
            Cell::Bytes(sum(&|r| r.file_bytes)),
        ]
    };
    for file in listed {
        table.row(cells(Cell::Foreign(file.path.clone()), &[*file]));
    }
    if !rest.is_empty() {
        table.row(cells(others(rest.len()), rest));
    }
    table.total = Some(cells(Cell::text("total"), &rows));
    let mut section = Section { table: Some(table), ..Section::new("Files") };
    for file in &body.files {
        if let (Some(false), Some(reason)) = (file.reference_reader.loads, &file.reference_reader.reason) {
            section.note(format!("the safetensors library refuses {}: {reason}", escape(&file.path)));
        } else if let (Some(true), Some(reason)) = (file.reference_reader.loads, &file.reference_reader.reason) {
            section.note(format!("the safetensors library loads {}, but {reason}", escape(&file.path)));
        }
    }
    // One healthy file is said already in the first lines.
    (!rows.is_empty() && (rows.len() > 1 || !section.after.is_empty())).then_some(section)
}

fn unread(body: &ShowBody<'_>) -> Option<Section<'static>> {
    if body.unread.is_empty() {
        return None;
    }
    let mut table = Table::new([left("not read"), right("bytes"), left("reason")]);
    let (listed, rest) = fold(body.unread, LISTED);
    for file in listed {
        table.row(vec![Cell::Foreign(file.name.clone()), Cell::Bytes(file.bytes), Cell::Text(file.reason.clone())]);
    }
    if !rest.is_empty() {
        table.row(vec![others(rest.len()), Cell::Bytes(sum_up(rest.iter().map(|f| f.bytes))), Cell::text("")]);
    }
    table.total = Some(vec![Cell::text("total"), Cell::Bytes(sum_up(body.unread.iter().map(|f| f.bytes))), Cell::text("")]);
    Some(Section { table: Some(table), ..Section::new("Other weight files") })
}

fn shape_text(shape: &[u64]) -> String {
    let dims: Vec<String> = shape.iter().map(u64::to_string).collect();
    format!("[{}]", dims.join(", "))
}

fn tensors<'a>(body: &ShowBody<'a>) -> Option<Section<'a>> {
    let rows = body.tensors.clone()?;
    let mut table = Table::new([
        left("tensor"),
        left("dtype"),
        left("shape"),
        right("bytes"),
        left("role").expendable(1),
        right("offset").expendable(2),
        left("file").expendable(2),
    ]);
    let (mut count, mut elements, mut bytes) = (0u64, 0u64, 0u64);
    rows.each(|t| {
        count += 1;
        elements = elements.saturating_add(t.stored_elements);
        bytes = bytes.saturating_add(t.bytes);
    });
    table.walked = Some(Walked::new(move |row| {
        rows.each(|t| {
            row(vec![
                Cell::Foreign(t.name),
                Cell::Foreign(t.dtype),
                Cell::Text(shape_text(&t.shape)),
                Cell::Bytes(t.bytes),
                Cell::text(t.role),
                Cell::Count(t.offset),
                Cell::Foreign(t.file),
            ]);
        });
    }));
    table.total = Some(vec![
        Cell::Text(format!("{} tensors", grouped(count))),
        Cell::text(""),
        Cell::Text(format!("{} elements", Elements(elements).short())),
        Cell::Bytes(bytes),
        Cell::text(""),
        Cell::text(""),
        Cell::text(""),
    ]);
    Some(Section { table: Some(table), ..Section::new("Tensors") })
}

fn metadata<'a>(body: &ShowBody<'a>) -> Option<Section<'a>> {
    let rows = body.metadata.clone()?;
    let cells = Walked::new(move |row| {
        rows.each(|entry| {
            let value = match &entry.value {
                serde_json::Value::String(text) => Cell::Foreign(escape_limited(text, 60)),
                serde_json::Value::Object(o) if o.contains_key("array_of") => {
                    let n = o.get("length").and_then(serde_json::Value::as_u64).unwrap_or(0);
                    Cell::Text(format!("[{} x {}]", grouped(n), o["array_of"].as_str().unwrap_or("?")))
                }
                other => Cell::Foreign(escape_limited(&other.to_string(), 60)),
            };
            row(vec![Cell::Foreign(entry.key), value, Cell::Foreign(entry.file)]);
        });
    });
    Some(Section {
        table: Some(Table::new([left("key"), left("value"), left("file").expendable(1)]).walking(cells)),
        ..Section::new("Metadata")
    })
}

fn map<'a>(body: &ShowBody<'a>) -> Option<Section<'a>> {
    let rows = body.map.clone()?;
    let cells = Walked::new(move |row| {
        rows.each(|region| {
            row(vec![
                Cell::Text(grouped(region.end - region.start)),
                Cell::text(region.label),
                region.tensor.map_or(Cell::text(""), Cell::Foreign),
                Cell::Count(region.start),
                Cell::Count(region.end),
                Cell::Foreign(region.file),
            ]);
        });
    });
    let table = Table::new([left("bytes"), left("label"), left("tensor"), right("from"), right("to"), left("file").expendable(1)])
        .walking(cells);
    Some(Section { table: Some(table), ..Section::new("Byte map") })
}
