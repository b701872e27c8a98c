//! Verdicts on budgets: a row an engine or a recipe, and what decides it where the figures of the row do not.

use crate::project::memory::{FitRow, MemoryReport, Verdict};
use crate::report::cell::{Cell, Section, Table, left, right};
use crate::units::{Bytes, grouped};

/// The section; `None` where no budget was asked about.
pub(super) fn fit(report: &MemoryReport) -> Option<Section<'static>> {
    let rows = &report.fit;
    if rows.is_empty() {
        return None;
    }
    let trains = rows.iter().any(|row| row.recipe.is_some());
    let mut section = Section::new("Does it fit");
    let (who, reach, several) = if trains { ("recipe", "sequence", "batch") } else { ("engine", "context", "seqs") };
    let most = if trains { "longest sequence and largest micro-batch" } else { "longest context and most sequences" };
    section.aside = format!("{most}: what surely fits");
    let columns = [
        left("budget"),
        left(who),
        left("verdict"),
        right("needs"),
        right("usable"),
        right(reach),
        right(several),
        right("in all").expendable(1),
        right("host").expendable(1),
        left("first that fits").expendable(1),
        left("biggest lever").expendable(1),
    ];
    // The columns on several devices and on the host, where there is something to say.
    let spread = rows.iter().any(|row| (row.needs_low, row.needs_high) != (row.sum_low, row.sum_high));
    let host = rows.iter().any(|row| row.beyond_device && row.host_low.is_some_and(|low| low > 0));
    let kept = |place: usize| (place != 7 || spread) && (place != 8 || host);
    let mut table = Table::new(columns.into_iter().enumerate().filter(|(place, _)| kept(*place)).map(|(_, column)| column));
    for row in rows {
        let cells = vec![
            Cell::Text(row.budget.clone()),
            row.engine.map(Cell::text).or_else(|| row.recipe.clone().map(Cell::Text)).unwrap_or(Cell::None),
            Cell::text(verdict(row.verdict)),
            span(row.needs_low, row.needs_high),
            Cell::Bytes(row.usable),
            Cell::count(row.max_ctx),
            Cell::count(row.max_seqs),
            span(row.sum_low, row.sum_high),
            row.host_low.map_or(Cell::None, |low| span(low, row.host_high)),
            row.first_scheme_that_fits.as_ref().map_or(Cell::None, |one| Cell::Text(one.scheme.clone())),
            row.biggest_lever.clone().map_or(Cell::None, Cell::Text),
        ];
        table.row(cells.into_iter().enumerate().filter(|(place, _)| kept(*place)).map(|(_, cell)| cell).collect());
    }
    section.table = Some(table);
    for (why, rows) in reasons(rows) {
        let of: Vec<String> = rows.iter().map(|row| format!("{}, {}", row.budget, name(row))).collect();
        section.note(format!("{}: {}: {why}", of.join("; "), verdict(rows[0].verdict)));
    }
    let mut budgets: Vec<(&str, Vec<String>)> = Vec::new();
    for row in rows.iter().filter(|row| row.max_ctx_high > row.max_ctx_low) {
        let low = row.max_ctx_low.map_or_else(|| "0".to_owned(), grouped);
        let text = format!("{} {low} to {}", name(row), grouped(row.max_ctx_high.unwrap_or_default()));
        match budgets.iter_mut().find(|(budget, _)| *budget == row.budget) {
            Some((_, of)) => of.push(text),
            None => budgets.push((&row.budget, vec![text])),
        }
    }
    for (budget, of) in budgets {
        section.note(format!("{budget}: longest {reach} from what surely to what may fit: {}", of.join(", ")));
    }
    let mut said: Vec<String> = Vec::new();
    for row in rows {
        for note in
            row.notes.iter().map(|note| format!("{}: {note}", name(row))).filter(|note| !said.contains(note)).collect::<Vec<_>>()
        {
            section.note(note.clone());
            said.push(note);
        }
    }
    if rows.iter().any(|row| row.verdict == Verdict::Tight) {
        section.note("tight: what is usable lies between the low and the high figure");
    }
    Some(section)
}

/// Rows whose verdict is decided beyond the device's figures, those of one reason together.
fn reasons(rows: &[FitRow]) -> Vec<(&str, Vec<&FitRow>)> {
    let mut reasons: Vec<(&str, Vec<&FitRow>)> = Vec::new();
    for row in rows.iter().filter(|row| row.beyond_device) {
        match reasons.iter_mut().find(|(why, _)| *why == row.why) {
            Some((_, of)) => of.push(row),
            None => reasons.push((&row.why, vec![row])),
        }
    }
    reasons
}

fn name(row: &FitRow) -> &str {
    row.engine.or(row.recipe.as_deref()).unwrap_or_default()
}

fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Fits => "fits",
        Verdict::Tight => "tight",
        Verdict::No => "no",
        Verdict::Unknown => "unknown",
    }
}

/// `16.2 to 17.7 GiB` where both ends have one unit.
fn span(low: u64, high: Option<u64>) -> Cell {
    let from = Bytes(low).binary();
    let Some(high) = high else { return Cell::Text(format!("over {from}")) };
    if low == high {
        return Cell::Bytes(low);
    }
    let to = Bytes(high).binary();
    match (from.split_once(' '), to.split_once(' ')) {
        (Some((number, unit)), Some((_, other))) if unit == other => Cell::Text(format!("{number} to {to}")),
        _ => Cell::Text(format!("{from} to {to}")),
    }
}
