//! What the full pass found, as sections: first what could be saved or is broken, then the figures behind it.

use super::{LISTED, fold};
use crate::report::cell::{Cell, Line, Section, Table, Tone, left, right};
use crate::report::page::Walked;
use crate::report::scan::full::{CastRow, DuplicateRow, FullRow, LinesRow, PatternRow};
use crate::report::scan::{ScanBody, TensorStatsRow};
use crate::report::text::value;
use crate::text::escape_limited;
use crate::units::{Bytes, grouped, percent};

/// Share of zeros from which the absence of a pattern is worth saying.
const SPARSE: f64 = 0.2;
/// Groups of equal tensors that are named.
const NAMED: usize = 4;

/// The sections of a full scan; none for a base scan.
pub(super) fn full<'a>(body: &ScanBody<'a>) -> Vec<Section<'a>> {
    let (Some(total), Some(_)) = (&body.totals.full, &body.full) else { return Vec::new() };
    let mut sections = vec![remarkable(body, total), dtypes(body, total)];
    sections.extend(structure(body, total));
    sections.extend(tensors(body));
    sections
}

fn remarkable(body: &ScanBody<'_>, total: &FullRow) -> Section<'static> {
    let mut section = Section::new("What the weights allow");
    patterns(&mut section, body, total);
    zero_lines(&mut section, total);
    if let Some(narrower) = total.f32_lossless.filter(|n| n.values > 0) {
        let which = match (narrower.bf16 == narrower.values, narrower.f16 == narrower.values) {
            (true, true) => Some("a BF16 and an F16 value"),
            (true, false) => Some("a BF16 value"),
            (false, true) => Some("an F16 value"),
            (false, false) => None,
        };
        let bytes = Bytes(narrower.values.saturating_mul(4)).binary();
        section.lines.extend(which.map(|which| Line {
            tone: Tone::Plain,
            text: format!("every F32 value is {which}: the {bytes} of F32 would take half, without loss"),
        }));
    }
    if let (Some(bytes), Some(ratio), Some(bits)) = (total.lossless_bytes, total.lossless_ratio, total.exponent_huffman_bits) {
        section.state(format!(
            "lossless floor: {} ({} of the float tensors) with Huffman-coded exponents, {} bits each",
            Bytes(bytes).binary(),
            percent(ratio),
            value(bits)
        ));
    }
    if let Some(cast) = &total.cast {
        section.state(cast_line(cast));
    }
    if let Some(n) = total.subnormals.filter(|&n| n > 0) {
        section.state(format!("{} subnormal values", grouped(n)));
    }
    duplicates(&mut section, body.full.as_ref().and_then(|full| full.duplicates.as_deref()).unwrap_or_default());
    section
}

fn patterns(section: &mut Section<'_>, body: &ScanBody<'_>, total: &FullRow) {
    let Some(full) = &body.full else { return };
    for claim in &full.patterns {
        section.state(format!(
            "{} pattern in {} of {} matrices ({} weights): every group passes, beyond chance",
            claim.pattern,
            grouped(claim.tensors),
            grouped(full.tensors_with_axis),
            grouped(claim.elements)
        ));
    }
    let sparse = body.totals.stats.sparsity.is_some_and(|s| s >= SPARSE) || !body.sparsest.is_empty();
    if let (true, true, Some(n_m)) = (full.patterns.is_empty(), sparse, &total.n_m) {
        let row = n_m.two_of_four;
        if let (Some(share), Some(chance)) = (passing(&row), row.chance) {
            let far = share > chance + 0.05;
            section.state(format!(
                "no 2:4 pattern: {} of its groups pass, {} would by chance alone{}",
                percent(share),
                percent(chance),
                if far { "; some matrices may have it in part" } else { "" }
            ));
        }
    }
}

fn passing(row: &PatternRow) -> Option<f64> {
    (row.groups > 0).then(|| row.groups_ok as f64 / row.groups as f64)
}

fn zero_lines(section: &mut Section<'_>, total: &FullRow) {
    let mut found = Vec::new();
    let mut lines = |lines: Option<LinesRow>, what: &str| {
        if let Some(lines) = lines.filter(|lines| lines.zero > 0) {
            found.push(format!("{} of {} {what}", grouped(lines.zero), grouped(lines.count)));
        }
    };
    lines(total.zero_heads, "attention heads (by projection)");
    lines(total.zero_channels, "feed-forward channels (by projection)");
    for (count, what) in [(total.zero_rows, "rows"), (total.zero_columns, "columns"), (total.zero_blocks, "blocks of 16x16")] {
        if let Some(n) = count.filter(|&n| n > 0) {
            found.push(format!("{} {what}", grouped(n)));
        }
    }
    if !found.is_empty() {
        section.state(format!("all zero: {}", found.join(", ")));
    }
}

fn cast_line(cast: &CastRow) -> String {
    let errors = match (cast.rms_relative_error, cast.max_relative_error) {
        (Some(rms), Some(max)) => format!("; relative error {} rms, {} at most", value(rms), value(max)),
        _ => String::new(),
    };
    format!(
        "cast to {}: {} of {} values overflow, {} become zero, {} change{errors}",
        cast.to,
        grouped(cast.overflow),
        grouped(cast.values),
        grouped(cast.underflow),
        grouped(cast.changed)
    )
}

fn duplicates(section: &mut Section<'_>, groups: &[DuplicateRow]) {
    let again = |group: &DuplicateRow| group.bytes.saturating_mul((group.tensors.len() as u64).saturating_sub(1));
    let (listed, rest) = fold(groups, NAMED);
    for group in listed {
        let names: Vec<String> = group.tensors.iter().take(3).map(|t| format!("`{}`", escape_limited(&t.name, 60))).collect();
        let more = group.tensors.len().saturating_sub(names.len());
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        section.note(format!(
            "equal byte for byte (SHA-256): {}{more}; {} are stored again",
            names.join(", "),
            Bytes(again(group)).binary()
        ));
    }
    if !rest.is_empty() {
        let bytes: u64 = rest.iter().map(again).fold(0, u64::saturating_add);
        section.note(format!("{} further groups of equal tensors, {} stored again", rest.len(), Bytes(bytes).binary()));
    }
}

fn dtypes(body: &ScanBody<'_>, total: &FullRow) -> Section<'static> {
    let mut table = Table::new([
        left("dtype"),
        right("median").expendable(1),
        right("p99").expendable(1),
        right("subnormal"),
        right("exponent bits"),
        right("Huffman"),
        right("lossless"),
        right("of stored"),
        right("is BF16").expendable(1),
        right("is F16").expendable(1),
    ]);
    let cells = |name: Cell, row: &FullRow| {
        let share = |n: u64, of: u64| if of > 0 { Cell::Share(n as f64 / of as f64) } else { Cell::None };
        let narrower = row.f32_lossless;
        vec![
            name,
            Cell::value(row.quantiles_abs.map(|q| q.p50)),
            Cell::value(row.quantiles_abs.map(|q| q.p99)),
            Cell::count(row.subnormals),
            Cell::value(row.exponent_entropy_bits),
            Cell::value(row.exponent_huffman_bits),
            row.lossless_bytes.map_or(Cell::None, Cell::Bytes),
            row.lossless_ratio.map_or(Cell::None, Cell::Share),
            narrower.map_or(Cell::None, |n| share(n.bf16, n.values)),
            narrower.map_or(Cell::None, |n| share(n.f16, n.values)),
        ]
    };
    for (name, row) in body.dtypes.iter().filter_map(|d| Some((&d.dtype, d.full.as_ref()?))) {
        table.row(cells(Cell::Foreign(name.clone()), row));
    }
    table.total = Some(cells(Cell::text("total"), total));
    Section { table: Some(table), ..Section::new("Bits") }
}

fn structure_cells(name: Cell, row: &FullRow) -> Vec<Cell> {
    let share = |row: Option<PatternRow>| row.and_then(|row| passing(&row)).map_or(Cell::None, Cell::Share);
    let n_m = row.n_m;
    vec![
        name,
        share(n_m.map(|n| n.two_of_four)),
        n_m.and_then(|n| n.two_of_four.chance).map_or(Cell::None, Cell::Share),
        share(n_m.map(|n| n.one_of_four)),
        share(n_m.map(|n| n.four_of_eight)),
        Cell::count(row.zero_rows),
        Cell::count(row.zero_columns),
        Cell::count(row.block_sparsity.map(|b| b.sixteen.zero)),
        Cell::count(row.block_sparsity.map(|b| b.thirty_two.zero)),
    ]
}

/// Only where there are zeros to speak of: without any, every figure is 0.
fn structure(body: &ScanBody<'_>, total: &FullRow) -> Option<Section<'static>> {
    total.block_sparsity.filter(|_| body.totals.stats.zeros > 0)?;
    let mut table = Table::new([
        left("role"),
        right("2:4 ok"),
        right("chance"),
        right("1:4 ok").expendable(1),
        right("4:8 ok").expendable(1),
        right("zero rows"),
        right("zero columns"),
        right("16x16").expendable(1),
        right("32x32").expendable(2),
    ]);
    for role in &body.roles {
        if let Some(row) = role.full.as_ref().filter(|row| row.block_sparsity.is_some()) {
            table.row(structure_cells(Cell::text(role.role), row));
        }
    }
    table.total = Some(structure_cells(Cell::text("total"), total));
    let mut section = Section { table: Some(table), ..Section::new("Where the zeros lie") };
    section.note("chance: share of 2:4 groups that would pass if as many zeros lay at random in each tensor");
    Some(section)
}

fn tensors<'a>(body: &ScanBody<'a>) -> Option<Section<'a>> {
    let rows = body.tensors.clone()?;
    let columns = [
        left("tensor"),
        right("p01").expendable(2),
        right("median"),
        right("p99"),
        right("p999").expendable(2),
        right("exponent bits").expendable(3),
        right("lossless"),
        right("2:4 ok"),
        right("chance").expendable(1),
        right("zero rows").expendable(2),
        right("zero columns").expendable(3),
    ];
    let mut section = Section::new("Magnitudes and structure by tensor");
    rows.each(|row| {
        if section.after.len() < LISTED
            && let Some(line) = first_odd(&row)
        {
            section.note(line);
        }
    });
    let cells = Walked::new(move |set| {
        rows.each(|row| {
            if let Some(full) = &row.full {
                set(tensor_cells(row.name, full));
            }
        });
    });
    section.table = Some(Table::new(columns).walking(cells));
    Some(section)
}

fn tensor_cells(name: String, row: &FullRow) -> Vec<Cell> {
    let q = row.quantiles_abs;
    let structure = structure_cells(Cell::Foreign(name), row);
    vec![
        structure[0].clone(),
        Cell::value(q.map(|q| q.p01)),
        Cell::value(q.map(|q| q.p50)),
        Cell::value(q.map(|q| q.p99)),
        Cell::value(q.map(|q| q.p999)),
        Cell::value(row.exponent_entropy_bits),
        row.lossless_ratio.map_or(Cell::None, Cell::Share),
        structure[1].clone(),
        structure[2].clone(),
        structure[5].clone(),
        structure[6].clone(),
    ]
}

fn first_odd(row: &TensorStatsRow) -> Option<String> {
    let full = row.full.as_ref()?;
    let at = |what: &str, index: Option<u64>| index.map(|i| format!("first {what} at element {}", grouped(i)));
    let found: Vec<String> = [at("NaN", full.first_nan), at("infinity", full.first_inf)].into_iter().flatten().collect();
    (!found.is_empty()).then(|| format!("{}: {}", escape_limited(&row.name, 80), found.join(", ")))
}
