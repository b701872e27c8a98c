//! `weigh diff` as sections: totals side by side, kinds of change, where the bytes went, the tensors.

use super::{fold, others};
use crate::diff::{Diff, DiffRow, KindRow, Status};
use crate::report::cell::{Cell, Section, Table, left, right};
use crate::report::page::Walked;
use crate::report::show::Totals;
use crate::text::escape_limited;
use crate::units::{grouped, percent};

/// Tensors listed a section without `--tensors`.
const LISTED: usize = 12;

/// Two checkpoints side by side. `all` lists every row.
pub fn diff<'d>(path_a: &str, path_b: &str, totals: (&Totals, &Totals), diff: &'d Diff<'_>, all: bool) -> Vec<Section<'d>> {
    let mut sections = vec![side_by_side(path_a, path_b, totals.0, totals.1)];
    sections.push(kinds(&diff.kinds, diff));
    sections.push(super::project::bridge("Where the bytes went", &diff.bytes.bridge, Some(diff.bytes.b)));
    let rows = |wanted: fn(&DiffRow<'_>) -> bool| diff.tensors.rows.iter().filter(|row| wanted(row)).collect::<Vec<_>>();
    sections.extend(both("Other shape", rows(|row| row.reshaped()), all));
    sections.extend(only("Only in A", rows(|row| row.status == Status::OnlyA), all));
    sections.extend(only("Only in B", rows(|row| row.status == Status::OnlyB), all));
    if all {
        sections.extend(both("In both", rows(|row| matches!(row.status, Status::SameHeader | Status::OtherHeader)), all));
    }
    sections
}

fn side_by_side(path_a: &str, path_b: &str, a: &Totals, b: &Totals) -> Section<'static> {
    let mut table = Table::new([left(""), right("A"), right("B"), right("B of A")]);
    let share = |x: u64, y: u64| if x == 0 { Cell::None } else { Cell::Share(y as f64 / x as f64) };
    for (label, x, y) in [
        ("files", a.files, b.files),
        ("tensors", a.tensors, b.tensors),
        ("stored elements", a.stored_elements, b.stored_elements),
        ("parameters", a.logical_params, b.logical_params),
    ] {
        table.row(vec![Cell::text(label), Cell::Count(x), Cell::Count(y), share(x, y)]);
    }
    for (label, x, y) in [("bytes of tensors", a.tensor_bytes, b.tensor_bytes), ("bytes of files", a.file_bytes, b.file_bytes)] {
        table.row(vec![Cell::text(label), Cell::Bytes(x), Cell::Bytes(y), share(x, y)]);
    }
    let bits = |bits: Option<f64>| bits.map_or(Cell::None, |b| Cell::Number(b, 2));
    let ratio = match (a.bits_per_weight, b.bits_per_weight) {
        (Some(x), Some(y)) if x > 0.0 => Cell::Share(y / x),
        _ => Cell::None,
    };
    table.row(vec![Cell::text("bits per weight"), bits(a.bits_per_weight), bits(b.bits_per_weight), ratio]);
    let mut section = Section { table: Some(table), ..Section::new("Side by side") };
    section.state(format!("A  {}", escape_limited(path_a, 72)));
    section.state(format!("B  {}", escape_limited(path_b, 72)));
    if a.file_bytes > 0 {
        section.note(format!("B takes {} of the bytes of A", percent(b.file_bytes as f64 / a.file_bytes as f64)));
    }
    section
}

fn kinds(rows: &[KindRow], diff: &Diff<'_>) -> Section<'static> {
    let mut table = Table::new([
        left("what"),
        left("in A"),
        left("in B"),
        right("tensors"),
        right("bytes in A"),
        right("bytes in B"),
        right("B of A"),
    ]);
    for row in rows {
        let tensors = if row.tensors_a == row.tensors_b || row.tensors_b == 0 { row.tensors_a } else { row.tensors_b };
        let share = row.dtype_a.and(row.dtype_b).filter(|_| row.bytes_a > 0).map(|_| row.bytes_b as f64 / row.bytes_a as f64);
        let bytes = |dtype: Option<&str>, n: u64| dtype.map_or(Cell::None, |_| Cell::Bytes(n));
        table.row(vec![
            Cell::text(row.kind),
            Cell::text(row.dtype_a.unwrap_or("-")),
            Cell::text(row.dtype_b.unwrap_or("-")),
            Cell::Count(tensors),
            bytes(row.dtype_a, row.bytes_a),
            bytes(row.dtype_b, row.bytes_b),
            share.map_or(Cell::None, Cell::Share),
        ]);
    }
    let tensors = &diff.tensors;
    let mut section = Section { table: Some(table), ..Section::new("Kinds of change") };
    section.state(format!(
        "{} of the same type and shape (values not compared), {} of another, {} only in A, {} only in B",
        grouped(tensors.same_header),
        grouped(tensors.other_header),
        grouped(tensors.only_a),
        grouped(tensors.only_b)
    ));
    section.note("only headers were read: tensors of the same type and shape may hold other values");
    diff.notes.iter().for_each(|note| section.note(note.clone()));
    section
}

/// Tensors of one side, biggest first.
fn only<'d>(title: &str, mut rows: Vec<&'d DiffRow<'_>>, all: bool) -> Option<Section<'d>> {
    let bytes = |row: &DiffRow<'_>| row.bytes_a.max(row.bytes_b);
    rows.sort_by_key(|row| std::cmp::Reverse(bytes(row)));
    let cells = move |row: &DiffRow<'_>| {
        let (dtype, shape) = if row.name.is_some() { (row.dtype_a, &row.shape_a) } else { (row.dtype_b, &row.shape_b) };
        vec![name(row), side(dtype, shape.as_deref()), Cell::Bytes(bytes(row))]
    };
    let rest = move |rest: &[&DiffRow<'_>]| {
        let sum = rest.iter().fold(0u64, |n, row| n.saturating_add(bytes(row)));
        vec![others(rest.len()), Cell::text(""), Cell::Bytes(sum)]
    };
    section(title, Table::new([left("tensor"), left("type"), right("bytes")]), rows, all, cells, rest)
}

/// Tensors that both sides have.
fn both<'d>(title: &str, rows: Vec<&'d DiffRow<'_>>, all: bool) -> Option<Section<'d>> {
    let cells = |row: &DiffRow<'_>| {
        let (a, b) = (side(row.dtype_a, row.shape_a.as_deref()), side(row.dtype_b, row.shape_b.as_deref()));
        vec![name(row), a, b, Cell::Bytes(row.bytes_a), Cell::Bytes(row.bytes_b)]
    };
    let rest = |rest: &[&DiffRow<'_>]| {
        let sum = |of: fn(&DiffRow<'_>) -> u64| Cell::Bytes(rest.iter().fold(0u64, |n, row| n.saturating_add(of(row))));
        vec![others(rest.len()), Cell::text(""), Cell::text(""), sum(|row| row.bytes_a), sum(|row| row.bytes_b)]
    };
    section(
        title,
        Table::new([left("tensor"), left("in A"), left("in B"), right("bytes in A"), right("bytes in B")]),
        rows,
        all,
        cells,
        rest,
    )
}

/// The first rows, or all of them, and one for the rest; cells are made when they are written.
fn section<'d>(
    title: &str,
    table: Table<'d>,
    rows: Vec<&'d DiffRow<'_>>,
    all: bool,
    cells: impl Fn(&DiffRow<'_>) -> Vec<Cell> + 'd,
    of_rest: impl Fn(&[&DiffRow<'_>]) -> Vec<Cell> + 'd,
) -> Option<Section<'d>> {
    if rows.is_empty() {
        return None;
    }
    let listed = if all { rows.len() } else { LISTED };
    let folded = !fold(&rows, listed).1.is_empty();
    let walked = Walked::new(move |set| {
        let (listed, rest) = fold(&rows, listed);
        listed.iter().for_each(|row| set(cells(row)));
        if !rest.is_empty() {
            set(of_rest(rest));
        }
    });
    let mut section = Section { table: Some(table.walking(walked)), ..Section::new(title) };
    if folded {
        section.note("--tensors lists them all");
    }
    Some(section)
}

/// The name in A, with how many there are where B stacks them.
fn name(row: &DiffRow<'_>) -> Cell {
    let name = row.name.as_deref().or(row.name_b.as_deref()).unwrap_or_default();
    Cell::Foreign(if row.parts_a > 1 { format!("{name} and {} more", row.parts_a - 1) } else { name.to_owned() })
}

fn side(dtype: Option<&str>, shape: Option<&[u64]>) -> Cell {
    Cell::Text(format!("{} {}", dtype.unwrap_or("-"), dims(shape.unwrap_or_default())))
}

fn dims(shape: &[u64]) -> String {
    shape.iter().map(u64::to_string).collect::<Vec<_>>().join("x")
}
