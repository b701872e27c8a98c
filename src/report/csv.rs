//! Tables as CSV (RFC 4180): one table after another, each under a line with its title, exact figures.

use super::cell::{Cell, Section, Table};
use super::page::Page;

/// Sets every table; words are left out.
pub(super) fn render(sections: &[Section<'_>], out: &mut Page<'_>) {
    for section in sections {
        let Some(table) = &section.table else { continue };
        if !out.is_empty() {
            out.push_str("\r\n");
        }
        line(out, [field(&format!("# {}", section.title))].into_iter());
        set_table(out, table);
    }
}

fn set_table(out: &mut Page<'_>, table: &Table<'_>) {
    let pictures = table.pictures();
    let kept = |i: &usize| !pictures[*i];
    line(out, (0..table.columns.len()).filter(kept).map(|i| field(&table.columns[i].title)));
    let mut set = |row: &[Cell]| line(out, (0..row.len()).filter(kept).map(|i| cell(&row[i])));
    table.each(&mut set);
    table.total.iter().for_each(|total| set(total));
}

fn line(out: &mut Page<'_>, fields: impl Iterator<Item = String>) {
    let fields: Vec<String> = fields.collect();
    out.push_str(&fields.join(","));
    out.push_str("\r\n");
}

fn cell(cell: &Cell) -> String {
    match cell {
        Cell::Text(text) | Cell::Foreign(text) => field(text),
        Cell::Bytes(n) | Cell::Count(n) => n.to_string(),
        Cell::Change(n) => n.to_string(),
        Cell::Share(x) | Cell::Value(x) | Cell::Number(x, _) => format!("{x}"),
        Cell::Bar(_) | Cell::None => String::new(),
    }
}

/// Foreign text in a spreadsheet: control characters made visible, formulas made inert, quotes doubled.
fn field(text: &str) -> String {
    let mut text = crate::text::escape(text);
    if text.starts_with(['=', '+', '-', '@']) {
        text.insert(0, '\'');
    }
    if text.contains([',', '"', '\n', '\r', ' ', '\'']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_are_inert_and_figures_exact() {
        let mut table = Table::new(&["name", "bytes", "??<"]);
        table.row(vec![Cell::Foreign("=cmd()".into()), Cell::Bytes(1_234_567), Cell::Bar(1.0)]);
        table.row(vec![Cell::Foreign("a,\"b\"\n".into()), Cell::None, Cell::Bar(0.0)]);
        let section = Section { table: Some(table), ..Section::new("T") };
        assert_eq!(
            Page::text(|page| render(&[section], page)),
            "\"# T\"\r\nname,bytes\r\n\"'=cmd()\",1234567\r\n\"a,\"\"b\"\"\\n\",\r\n"
        );
    }
}
