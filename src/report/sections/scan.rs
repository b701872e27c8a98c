//! `weigh scan` as sections: first what is wrong or remarkable, then the figures.

use super::{Detail, LISTED, fold};
use crate::report::cell::{Cell, Column, Line, Section, Table, Tone, left, right};
use crate::report::page::Walked;
use crate::report::scan::{ScanBody, StatsRow, TensorStatsRow, Weight};
use crate::text::{escape, escape_limited};
use crate::units::{Bytes, grouped, percent};

/// The sections of a scan.
pub fn scan<'a>(body: &ScanBody<'a>, detail: Detail) -> Vec<Section<'a>> {
    let mut sections = vec![findings(body)];
    // What is remarkable leads; the figures of the base pass come before those of the full pass.
    let mut full = super::full::full(body).into_iter();
    sections.extend(full.next());
    sections.push(dtypes(body));
    sections.extend((detail == Detail::Full).then(|| roles(body)));
    sections.extend(sparsest(body));
    sections.extend(full);
    sections.extend(tensors(body));
    sections
}

fn findings(body: &ScanBody<'_>) -> Section<'static> {
    let mut section = Section::new("Scan");
    section.aside = match (body.seconds, body.threads) {
        (Some(time), Some(threads)) => {
            let rate = body.bytes_per_second.map_or_else(String::new, |r| format!(" at {}/s", Bytes(r as u64).decimal()));
            let threads = if threads == 1 { "1 thread".to_owned() } else { format!("{threads} threads") };
            let io = body.io.unwrap_or("nothing read");
            format!("{} of weights read in {}{rate}, {threads}, {io}", Bytes(body.bytes_read).binary(), seconds(time))
        }
        _ => format!("{} of weights, merged from parts", Bytes(body.bytes_read).binary()),
    };
    let t = &body.totals.stats;
    section.state(format!(
        "{} NaN, {} Inf, {} zeros in {} values ({} sparse)",
        grouped(t.nan),
        grouped(t.pos_inf + t.neg_inf),
        grouped(t.zeros),
        grouped(t.elements),
        percent(t.sparsity.unwrap_or(0.0))
    ));
    if body.not_scanned > 0 {
        section.state(format!("{} tensors were not scanned; the figures leave them out", grouped(body.not_scanned)));
    }
    for error in &body.errors {
        let file = error.file.as_deref().map_or_else(String::new, |f| format!("{}: ", escape(f)));
        let help = error.help.as_deref().map_or_else(String::new, |h| format!("; {h}"));
        section.lines.push(Line { tone: Tone::Warning, text: format!("{file}{}{help}", error.message) });
    }
    let (listed, rest) = fold(&body.remarks, LISTED);
    for remark in listed {
        let tone = if remark.severity == Weight::Warning { Tone::Warning } else { Tone::Note };
        section.lines.push(Line { tone, text: format!("{}: {}", escape_limited(&remark.tensor, 80), remark.message) });
    }
    if !rest.is_empty() {
        section
            .lines
            .push(Line { tone: Tone::Note, text: format!("{} further remarks: see --tensors or --format json", rest.len()) });
    }
    if let Some(tied) = &body.tied {
        let (head, embedding) = (escape_limited(&tied.head, 60), escape_limited(&tied.embedding, 60));
        let rows = tied.rows_compared.map_or_else(String::new, |n| {
            format!("{} rows compared, least cosine {:.4}", grouped(n), tied.least_cosine.unwrap_or(0.0))
        });
        let text = match tied.verdict {
            "equal" => format!("`{head}` is `{embedding}` again, byte by byte: {} parameters count twice", grouped(tied.params)),
            "copy" => format!(
                "`{head}` holds the weights of `{embedding}` again in another type ({rows}): {} parameters count twice",
                grouped(tied.params)
            ),
            "different" => format!("`{head}` is no copy of `{embedding}` ({rows})"),
            _ => format!("`{head}` and `{embedding}` could not be compared"),
        };
        section.lines.push(Line { tone: Tone::Note, text });
    }
    for note in &body.notes {
        section.lines.push(Line { tone: Tone::Note, text: note.clone() });
    }
    section
}

fn seconds(s: f64) -> String {
    if s < 1.0 { format!("{:.0} ms", s * 1000.0) } else { format!("{s:.1} s") }
}

/// The columns of STATS after those that name a row.
fn stats_columns() -> [Column; 8] {
    [
        right("values"),
        right("zeros"),
        right("sparse"),
        right("NaN+Inf").expendable(1),
        right("min"),
        right("max"),
        right("mean").expendable(1),
        right("std"),
    ]
}

fn stats_cells(first: Cell, s: &StatsRow) -> Vec<Cell> {
    vec![
        first,
        Cell::Count(s.elements),
        Cell::Count(s.zeros),
        s.sparsity.map_or(Cell::None, Cell::Share),
        Cell::Count(s.non_finite()),
        Cell::value(s.min),
        Cell::value(s.max),
        Cell::value(s.mean),
        Cell::value(s.std),
    ]
}

fn stats_table(first: &'static str, rows: Vec<(Cell, StatsRow)>, total: Option<&StatsRow>) -> Table<'static> {
    let mut table = Table::new([left(first)].into_iter().chain(stats_columns()));
    for (name, stats) in rows {
        table.row(stats_cells(name, &stats));
    }
    table.total = total.map(|t| stats_cells(Cell::text("total"), t));
    table
}

fn dtypes(body: &ScanBody<'_>) -> Section<'static> {
    let rows = body.dtypes.iter().map(|d| (Cell::Foreign(d.dtype.clone()), d.stats)).collect();
    let mut section = Section::new("Values by dtype");
    section.table = Some(stats_table("dtype", rows, Some(&body.totals.stats)));
    for d in &body.dtypes {
        if let Some(scales) = d.scales.filter(|s| s.zero > 0 || s.nan + s.inf > 0) {
            section.note(format!(
                "{}: of {} block scales {} are zero, {} NaN or infinite",
                escape(&d.dtype),
                grouped(scales.blocks),
                grouped(scales.zero),
                grouped(scales.nan + scales.inf)
            ));
        }
    }
    section
}

fn roles(body: &ScanBody<'_>) -> Section<'static> {
    let rows = body.roles.iter().map(|r| (Cell::text(r.role), r.stats)).collect();
    let mut section = Section::new("Values by role");
    section.table = Some(stats_table("role", rows, Some(&body.totals.stats)));
    section
}

fn sparsest(body: &ScanBody<'_>) -> Option<Section<'static>> {
    if body.sparsest.is_empty() {
        return None;
    }
    let mut table =
        Table::new([left("tensor"), left("dtype"), right("values"), right("zeros"), right("sparse"), left("").expendable(2)]);
    for row in &body.sparsest {
        table.row(vec![
            Cell::Foreign(row.name.clone()),
            Cell::Foreign(row.dtype.clone()),
            Cell::Count(row.elements),
            Cell::Count(row.zeros),
            Cell::Share(row.sparsity),
            Cell::Bar(row.sparsity),
        ]);
    }
    Some(Section { table: Some(table), ..Section::new("Sparsest tensors") })
}

fn tensors<'a>(body: &ScanBody<'a>) -> Option<Section<'a>> {
    let rows = body.tensors.clone()?;
    let columns = [left("tensor"), left("dtype").expendable(1)].into_iter().chain(stats_columns());
    let cells = Walked::new(move |set| rows.each(|row| set(tensor_cells(row))));
    Some(Section { table: Some(Table::new(columns).walking(cells)), ..Section::new("Values by tensor") })
}

fn tensor_cells(row: TensorStatsRow) -> Vec<Cell> {
    let name = Cell::Foreign(row.name);
    let mut cells = match &row.stats {
        Some(stats) => stats_cells(name, stats),
        None => {
            let mut cells = vec![Cell::None; stats_columns().len() + 1];
            cells[0] = name;
            cells[1] = Cell::Text(format!("not scanned: {}", row.why.unwrap_or("unknown")));
            cells
        }
    };
    cells.insert(1, Cell::Foreign(row.dtype));
    cells
}
