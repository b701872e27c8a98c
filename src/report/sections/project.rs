//! `weigh project` as sections: a table to choose from, where the bytes go, pruned forms, shards.

use super::{Detail, fold, others};
use crate::project::Basis;
use crate::project::Projection;
use crate::project::bridge::BridgeTerm;
use crate::project::copies::CopyRow;
use crate::project::quantize::Explained;
use crate::project::row::QuantizedRow;
use crate::project::shard::ShardedRow;
use crate::project::training_data::DataRow;
use crate::report::cell::{Cell, Line, Section, Table, Tone, left, right};
use crate::text::{escape, escape_limited};
use crate::units::sum_up;
use crate::units::{Bytes, grouped, grouped_signed, percent};

/// Schemes in one table; beyond it (`--to all`) every row is shown too, but bridges are not.
const BRIDGES: usize = 3;

/// The sizes under every scheme, and for few schemes the bridge of each. `detail` chooses how much is said around them.
pub fn project(projection: &Projection, detail: Detail) -> Vec<Section<'static>> {
    let mut sections = Vec::new();
    if !projection.quantized.is_empty() {
        sections.push(quantized(projection, detail));
        let known: Vec<&QuantizedRow> = projection.quantized.iter().filter(|r| !r.bridge.is_empty()).collect();
        if detail == Detail::Full && known.len() <= BRIDGES {
            sections.extend(
                known
                    .iter()
                    .flat_map(|row| [Some(scheme_bridge(row)), wider_types(&row.scheme, &row.wider_types)].into_iter().flatten()),
            );
        }
    }
    sections.extend(explained(&projection.explained));
    sections.extend(super::pruned::pruned(&projection.pruned, detail));
    sections.extend(projection.sharded.iter().map(sharded));
    sections
}

/// The bridge of one row, for the whole report: the row that a reader most likely asks about.
pub fn likely_bridge(projection: &Projection) -> Option<Section<'static>> {
    projection
        .quantized
        .iter()
        .find(|r| matches!(r.scheme.as_str(), "ct-w8a8" | "lc-w8a8") && !r.bridge.is_empty())
        .map(scheme_bridge)
}

fn quantized(projection: &Projection, detail: Detail) -> Section<'static> {
    let rows = &projection.quantized;
    let (any_fell, any_fits) =
        (detail == Detail::Full && rows.iter().any(|r| r.fell_back.is_some()), rows.iter().any(|r| r.fits.is_some()));
    // The same scheme may stand there once for each container: then the page can do without other things.
    let mixed = rows.iter().any(|r| r.container != rows[0].container);
    let mut columns = vec![
        left("scheme"),
        left("in").expendable(if mixed { 0 } else { 3 }),
        right("weights"),
        right("file"),
        right("of now"),
        right("bits/weight").expendable(1),
    ];
    columns.extend(any_fell.then(|| right("fell back").expendable(2)));
    columns.extend(any_fits.then(|| left("fits")));
    columns.push(left("basis"));
    let mut table = Table::new(columns);
    let actual = &projection.actual;
    let mut now = vec![
        Cell::text("(now)"),
        Cell::text(""),
        Cell::Bytes(actual.tensor_bytes),
        Cell::Bytes(actual.file_bytes),
        Cell::Share(1.0),
        actual.bits_per_weight.map_or(Cell::None, |b| Cell::Number(b, 2)),
    ];
    now.resize_with(table.columns.len(), || Cell::text(""));
    table.row(now);
    for row in rows {
        let mut cells = vec![
            Cell::Text(row.scheme.clone()),
            Cell::text(row.container.unwrap_or("")),
            row.tensor_bytes.map_or(Cell::None, Cell::Bytes),
            row.file_bytes.map_or(Cell::None, Cell::Bytes),
            row.ratio.map_or(Cell::None, Cell::Share),
            row.bits_per_weight.map_or(Cell::None, |b| Cell::Number(b, 2)),
        ];
        cells.extend(any_fell.then(|| row.fell_back.map_or_else(|| Cell::text(""), |f| Cell::Share(f.share))));
        cells.extend(any_fits.then(|| Cell::text(if row.fits == Some(true) { "yes" } else { "" })));
        cells.push(Cell::text(match row.basis {
            // Of weights that are not whole.
            Basis::Estimate if row.tensor_bytes_low.is_some() && row.tensor_bytes_high.is_none() => "at least",
            Basis::Exact => "exact",
            Basis::Estimate => "estimate",
            Basis::Range => "range",
            Basis::Refused => "refused",
        }));
        table.row(cells);
    }
    let mut section = Section { table: Some(table), ..Section::new("Projected") };
    // One reason may hold for many schemes: it is said once, with their names.
    let mut said: Vec<(&str, bool, Vec<&str>)> = Vec::new();
    for row in projection.quantized.iter().filter(|r| detail == Detail::Full || r.basis == Basis::Refused) {
        let refused = row.basis == Basis::Refused;
        for note in &row.notes {
            match said.iter_mut().find(|(text, of_refused, _)| text == note && *of_refused == refused) {
                Some((.., schemes)) => schemes.push(&row.scheme),
                None => said.push((note, refused, vec![&row.scheme])),
            }
        }
    }
    for (text, refused, schemes) in said {
        let names = if schemes.len() > 4 {
            format!("{} and {} more", schemes[..3].join(", "), schemes.len() - 3)
        } else {
            schemes.join(", ")
        };
        let text = format!("{}: {text}", escape(&names));
        if refused { section.refuse(text) } else { section.note(text) }
    }
    if any_fell {
        section.note("fell back: share of the quantized tensors whose rows do not fill the blocks of the type that was wanted");
    }
    if any_fits {
        section.note("fits: the files alone; `weigh memory PATH --fit BUDGET` adds the KV cache and buffers");
    }
    if detail == Detail::Brief && projection.quantized.iter().any(|r| r.basis == Basis::Estimate) {
        section.note("an estimate goes beyond what the rule was checked for: `weigh project PATH` says why");
    }
    section
}

fn scheme_bridge(row: &QuantizedRow) -> Section<'static> {
    let ratio = row.ratio.map_or_else(String::new, |r| format!(", {} of the weights now", percent(r)));
    let size = row.file_bytes.map_or_else(String::new, |n| Bytes(n).binary());
    let mut section = bridge(format!("Why {} is {size}{ratio}", row.scheme), &row.bridge, row.file_bytes);
    beyond_narrowest(&mut section, &row.beyond_narrowest);
    section
}

/// The other copies in the repo, each with its bridge.
pub fn copies(rows: &[CopyRow]) -> Vec<Section<'static>> {
    rows.iter()
        .map(|row| {
            let ratio = row
                .ratio
                .map_or_else(String::new, |r| format!(" is {} of the weights of {}", percent(r), escape_limited(&row.from, 40)));
            let title = format!("Why {}{ratio}", escape_limited(&row.weight_set, 40));
            let mut section = bridge(title, &row.bridge, Some(row.file_bytes));
            beyond_narrowest(&mut section, &row.beyond_narrowest);
            section
        })
        .collect()
}

/// What stands behind "kept in wider types", where it has more than one cause.
fn wider_types(scheme: &str, terms: &[BridgeTerm]) -> Option<Section<'static>> {
    let mut table = Table::new([left(""), right("bytes")]);
    for term in terms {
        table.row(vec![Cell::Text(term.label.clone()), Cell::Change(term.bytes)]);
    }
    let title = format!("Kept in other types by {}", escape(scheme));
    (terms.len() > 1).then(|| Section { table: Some(table), ..Section::new(title) })
}

/// In one sentence: what the narrowest type alone would take, and what comes on top.
fn beyond_narrowest(section: &mut Section<'_>, terms: &[BridgeTerm]) {
    let Some((first, rest)) = terms.split_first().filter(|(_, rest)| !rest.is_empty()) else { return };
    let bytes = |n: i128| u64::try_from(n).map_or_else(|_| grouped_signed(n), grouped);
    let total: i128 = terms.iter().map(|t| t.bytes).sum();
    let on_top: Vec<String> = rest.iter().map(|t| format!("{}: {} B", t.label, grouped_signed(t.bytes))).collect();
    let text =
        format!("{} would be {} B; {}; together {} B of tensors", first.label, bytes(first.bytes), on_top.join("; "), bytes(total));
    section.after.push(Line { tone: Tone::Plain, text });
}

pub(super) fn bridge(title: impl Into<String>, terms: &[BridgeTerm], end: Option<u64>) -> Section<'static> {
    let mut table = Table::new([left(""), right("bytes")]);
    for (i, term) in terms.iter().enumerate() {
        let bytes = if i == 0 {
            u64::try_from(term.bytes).map_or(Cell::Change(term.bytes), |n| Cell::Text(format!("{} B", grouped(n))))
        } else {
            Cell::Change(term.bytes)
        };
        table.row(vec![Cell::Text(term.label.clone()), bytes]);
    }
    table.total = end.map(|end| vec![Cell::text("file bytes then"), Cell::Text(format!("{} B", grouped(end)))]);
    Section { table: Some(table), ..Section::new(title) }
}

/// All prunings side by side: a row per form.
fn sharded(row: &ShardedRow) -> Section<'static> {
    const LISTED: usize = 8;
    let limit = row.limit.map_or_else(String::new, |l| format!(" of at most {}", Bytes(l).decimal()));
    let mut section = Section::new(format!("Sharded by {}", row.rule));
    section.aside = format!("{} files{limit}, in {} order", row.shards.len(), row.order);
    let mut table = Table::new([left("shard"), right("tensors"), right("weights"), right("file")]);
    let (listed, rest) = fold(&row.shards, LISTED);
    for shard in listed {
        table.row(vec![
            Cell::Foreign(shard.name.clone()),
            Cell::Count(shard.tensors),
            Cell::Bytes(shard.tensor_bytes),
            Cell::Bytes(shard.file_bytes),
        ]);
    }
    if !rest.is_empty() {
        let sum = |f: fn(&crate::project::written::shards::Shard) -> u64| sum_up(rest.iter().map(f));
        table.row(vec![
            others(rest.len()),
            Cell::Count(sum(|s| s.tensors)),
            Cell::Bytes(sum(|s| s.tensor_bytes)),
            Cell::Bytes(sum(|s| s.file_bytes)),
        ]);
    }
    if row.index_bytes > 0 {
        table.row(vec![Cell::text("shard index"), Cell::None, Cell::None, Cell::Bytes(row.index_bytes)]);
    }
    if !row.shards.is_empty() {
        let all = |f: fn(&crate::project::written::shards::Shard) -> u64| sum_up(row.shards.iter().map(f));
        table.total = Some(vec![
            Cell::text("total"),
            Cell::Count(all(|s| s.tensors)),
            Cell::Bytes(all(|s| s.tensor_bytes)),
            Cell::Bytes(all(|s| s.file_bytes) + row.index_bytes),
        ]);
        section.table = Some(table);
    }
    for note in &row.notes {
        if row.shards.is_empty() { section.refuse(note.clone()) } else { section.note(note.clone()) }
    }
    section
}

/// Why a tensor has its type under each scheme.
fn explained(rows: &[Explained]) -> Option<Section<'static>> {
    let first = rows.first()?;
    let mut section = Section::new(format!("Why {} has its type", escape_limited(&first.tensor, 60)));
    for row in rows {
        section.note(format!("{}: {}", row.scheme, row.rule.as_deref().unwrap_or("there is no such tensor, or it is refused")));
    }
    Some(section)
}

/// The storage of a training set.
pub fn data(row: &DataRow) -> Vec<Section<'static>> {
    let mut section = Section::new("Training data");
    section.aside =
        format!("{} rows x {} columns of {}, {} zeros", grouped(row.rows), grouped(row.columns), row.dtype, percent(row.sparsity));
    let mut table = Table::new([left("form"), right("bytes"), right("exactly"), right("of dense"), left("").expendable(2)]);
    let dense = row.forms.iter().find(|f| f.form == "dense").and_then(|f| f.bytes).unwrap_or(0);
    for form in &row.forms {
        let share = form.bytes.filter(|_| dense > 0).map(|b| b as f64 / dense as f64);
        table.row(vec![
            Cell::text(form.form),
            form.bytes.map_or(Cell::None, |b| Cell::Text(Bytes(b).decimal())),
            Cell::count(form.bytes),
            share.map_or(Cell::None, Cell::Share),
            share.map_or(Cell::None, Cell::Bar),
        ]);
    }
    section.table = Some(table);
    section.note(format!(
        "counting the values that are not zero as one byte each would give {}: it forgets the size of a value and the indices",
        Bytes(row.naive).decimal()
    ));
    vec![section]
}
