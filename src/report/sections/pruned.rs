//! Pruned forms and smaller models as sections.

use super::Detail;
use crate::project::Basis;
use crate::project::prune::{Dims, Magnitude, PrunedRow, Structure};
use crate::report::cell::{Cell, Section, Table, left, right};
use crate::report::text::value;
use crate::units::{grouped, percent};

/// Rows of zeros in one table, each cut in its own section.
pub(super) fn pruned(rows: &[PrunedRow], detail: Detail) -> Vec<Section<'static>> {
    let is_cut = |row: &&PrunedRow| row.structure.is_some() || row.logical_params.is_none();
    let zeros: Vec<&PrunedRow> = rows.iter().filter(|row| !is_cut(row)).collect();
    let mut sections: Vec<Section<'_>> = forms(&zeros, detail).into_iter().collect();
    sections.extend(rows.iter().filter(is_cut).map(cut));
    sections
}

fn forms(rows: &[&PrunedRow], detail: Detail) -> Option<Section<'static>> {
    const BRIEF: [&str; 5] = ["dense", "bitmask", "csr16", "csr32", "2:4"];
    if rows.is_empty() {
        return None;
    }
    let mut columns = vec![left("form")];
    let names: Vec<String> = rows
        .iter()
        .map(|r| match r.target_sparsity {
            Some(share) if !r.spec.contains(':') => format!("{} zeros", percent(share)),
            _ => r.spec.clone(),
        })
        .collect();
    columns.extend(names.into_iter().map(right));
    if detail == Detail::Full {
        columns.push(right("pays if zeros >").expendable(1));
    }
    columns.push(left("loadable by").expendable(2));
    let mut table = Table::new(columns);
    // Patterns and blocks are forms of the rows that ask for them.
    let mut listed: Vec<(&str, &str, Option<f64>)> = Vec::new();
    for form in rows.iter().flat_map(|row| &row.forms) {
        if !listed.iter().any(|(name, ..)| *name == form.form) {
            listed.push((form.form, form.loadable_by, form.break_even_sparsity));
        }
    }
    for (name, loadable_by, pays) in listed.into_iter().filter(|(name, ..)| detail == Detail::Full || BRIEF.contains(name)) {
        let mut cells = vec![Cell::text(name)];
        let bytes = |row: &&PrunedRow| row.forms.iter().find(|f| f.form == name).and_then(|f| f.bytes);
        cells.extend(rows.iter().map(|row| bytes(row).map_or(Cell::None, Cell::Bytes)));
        if detail == Detail::Full {
            cells.push(pays.map_or(Cell::None, Cell::Share));
        }
        cells.push(Cell::text(loadable_by));
        table.row(cells);
    }
    let mut section = Section { table: Some(table), ..Section::new("Pruned") };
    if let Some(share) = rows.iter().find_map(|r| r.measured_sparsity) {
        section.aside = format!("{} of the floating-point weights are zero now", percent(share));
    }
    for magnitude in rows.iter().filter_map(|row| row.target_sparsity.zip(row.magnitude.as_ref())) {
        rules(&mut section, magnitude);
    }
    let mut said: Vec<&String> = Vec::new();
    let notes = rows.iter().flat_map(|r| &r.notes);
    for note in notes.take(if detail == Detail::Full { usize::MAX } else { 1 }) {
        if !said.contains(&note) {
            said.push(note);
            section.note(note.clone());
        }
    }
    Some(section)
}

/// What the rules of magnitude pruning do at a share.
fn rules(section: &mut Section, (share, magnitude): (f64, &Magnitude)) {
    let (share, one, each) = (percent(share), &magnitude.global, &magnitude.per_tensor);
    let spread = one.tensor_sparsity;
    section.state(format!(
        "{share} by one threshold for all {} matrices: magnitudes up to {} go; by matrix {} (`{}`) to {} (`{}`), median {}",
        grouped(magnitude.tensors),
        value(one.threshold),
        percent(spread.min),
        one.least_pruned,
        percent(spread.max),
        one.most_pruned,
        percent(spread.median)
    ));
    section.state(format!(
        "{share} by a threshold for each matrix: {} to {}, median {}",
        value(each.threshold.min),
        value(each.threshold.max),
        value(each.threshold.median)
    ));
    if one.emptied > 0 {
        section.note(format!("one threshold for all takes more than 99 % of {} matrices", grouped(one.emptied)));
    }
    let excess = one.sparsity.max(each.sparsity);
    if percent(excess) != share {
        section.note(format!("weights of one magnitude go together: up to {} instead of {share}", percent(excess)));
    }
}

fn cut(row: &PrunedRow) -> Section<'static> {
    let mut section = Section::new(format!("Cut to {}", row.spec));
    if let Some(structure) = &row.structure {
        let dense = row.forms.first();
        if let Some(ratio) = dense.and_then(|f| f.ratio) {
            section.aside = format!("{} of the weights now", percent(ratio));
        }
        for change in changes(&structure.before, &structure.after) {
            section.state(change);
        }
        let per_token = (structure.kv_elements_per_token_before, structure.kv_elements_per_token);
        if let (Some(before), Some(after)) = per_token {
            section.state(match (before, after) {
                (0, 0) => "KV cache: none".to_owned(),
                _ if before == after => format!("KV cache: as before, {} elements a token", grouped(after)),
                _ => format!("KV cache: {} elements a token, now {}", grouped(after), grouped(before)),
            });
        }
        section.table = Some(sizes(row, structure));
        if let Some(form) = dense {
            section.note(format!("loadable by: {}", form.loadable_by));
        }
        for (row, note) in structure.quantized.iter().flat_map(|row| row.notes.iter().map(move |note| (row, note))) {
            let text = format!("{}: {note}", crate::text::escape(&row.scheme));
            if row.basis == Basis::Refused { section.refuse(text) } else { section.note(text) }
        }
    }
    for note in &row.notes {
        if row.structure.is_some() { section.note(note.clone()) } else { section.refuse(note.clone()) }
    }
    section
}

fn changes(before: &Dims, after: &Dims) -> Vec<String> {
    let parts = [
        ("layers", before.layers, after.layers),
        ("hidden size", before.hidden, after.hidden),
        ("heads", before.heads, after.heads),
        ("key/value heads", before.kv_heads, after.kv_heads),
        ("feed-forward channels", before.ffn, after.ffn),
    ];
    let changed = parts.into_iter().filter_map(|(name, before, after)| match (before, after) {
        (Some(before), Some(after)) if before != after => Some(format!("{name}: {} -> {}", grouped(before), grouped(after))),
        _ => None,
    });
    changed.collect()
}

fn sizes(row: &PrunedRow, structure: &Structure) -> Table<'static> {
    let mut table = Table::new([left("stored as"), right("parameters"), right("weights"), right("file"), right("of now")]);
    let dense = row.forms.first();
    let share = |ratio: Option<f64>| ratio.map_or(Cell::None, Cell::Share);
    table.row(vec![
        Cell::text("(as now)"),
        Cell::count(row.logical_params),
        dense.and_then(|f| f.bytes).map_or(Cell::None, Cell::Bytes),
        Cell::Bytes(structure.file_bytes),
        share(dense.and_then(|f| f.ratio)),
    ]);
    for quantized in &structure.quantized {
        table.row(vec![
            Cell::Text(quantized.scheme.clone()),
            Cell::count(row.logical_params),
            quantized.tensor_bytes.map_or(Cell::None, Cell::Bytes),
            quantized.file_bytes.map_or(Cell::None, Cell::Bytes),
            share(quantized.ratio),
        ]);
    }
    table
}
