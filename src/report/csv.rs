//! Tables as CSV (RFC 4180), with exact figures: one after another, each under a line with its title where it has one.

use super::cell::{Cell, Section, Table, Tone};
use super::page::Page;
use crate::text::{escape, escape_words};

/// Renders every table; words are left out.
pub(super) fn render(sections: &[Section<'_>], out: &mut Page<'_>) {
    for section in sections {
        let Some(table) = &section.table else { continue };
        if !out.is_empty() {
            out.push_str("\r\n");
        }
        if !section.title.is_empty() {
            line(out, std::iter::once(escape(&format!("# {}", section.title))));
        }
        render_table(out, table);
    }
}

/// Why something that was asked for is in no table or has no figures there, one line each: what is lost with the words.
pub fn refusals(sections: &[Section<'_>]) -> Vec<String> {
    let lines = sections.iter().flat_map(|section| section.after.iter().map(move |line| (&section.title, line)));
    lines.filter(|(_, line)| line.tone == Tone::Refusal).map(|(title, line)| format!("{title}: {}", line.text)).collect()
}

fn render_table(out: &mut Page<'_>, table: &Table<'_>) {
    let pictures = table.pictures();
    let kept = |i: &usize| !pictures[*i];
    line(out, (0..table.columns.len()).filter(kept).map(|i| escape(&table.columns[i].title)));
    let mut set = |row: &[Cell]| line(out, (0..row.len()).filter(kept).map(|i| cell(&row[i])));
    table.each(&mut set);
    table.total.iter().for_each(|total| set(total));
}

fn line(out: &mut Page<'_>, fields: impl Iterator<Item = String>) {
    let fields: Vec<String> = fields.enumerate().map(|(i, text)| field(text, i == 0)).collect();
    out.push_str(&fields.join(","));
    out.push_str("\r\n");
}

fn cell(cell: &Cell) -> String {
    match cell {
        Cell::Text(text) => escape_words(text),
        Cell::Foreign(text) => escape(text),
        Cell::Bytes(n) | Cell::Count(n) => n.to_string(),
        Cell::Change(n) => n.to_string(),
        Cell::Share(x) | Cell::Value(x) | Cell::Number(x, _) => format!("{x}"),
        Cell::Bar(_) | Cell::None => String::new(),
    }
}

/// Whether a spreadsheet would compute a cell that begins so. The wide forms count as the plain ones in East Asian versions.
fn is_formula(text: &str) -> bool {
    text.trim_start().starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠'])
}

/// A field in which nothing is a formula: it gets an apostrophe before it, and quotes where a character asks for them.
///
/// Where the list separator is a semicolon, a line is cut there too. Quotes hold a field together then only at the start of a line:
/// further on, what follows a semicolon may be a cell of its own and gets an apostrophe as well.
fn field(mut text: String, is_first: bool) -> String {
    // Numbers are written by us: a minus alone makes no formula.
    if is_formula(&text) && text.parse::<f64>().is_err() {
        text.insert(0, '\'');
    }
    if !is_first && text.contains(';') {
        let cells = text.split(';').enumerate();
        let guarded = |(i, cell): (usize, &str)| if i > 0 && is_formula(cell) { format!("'{cell}") } else { cell.to_owned() };
        text = cells.map(guarded).collect::<Vec<_>>().join(";");
    }
    // A runner of continuous integration takes a line for a command that begins so.
    let is_command = is_first && text.trim_start().starts_with("::");
    if is_command || text.contains([',', ';', '"', '\n', '\r', ' ', '\'']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::cell::{left, right};

    #[test]
    fn formulas_are_inert_and_figures_exact() {
        let mut table = Table::new([left("name"), right("bytes"), left("").expendable(2)]);
        table.row(vec![Cell::Foreign("=cmd()".into()), Cell::Bytes(1_234_567), Cell::Bar(1.0)]);
        table.row(vec![Cell::Foreign("a,\"b\"\n".into()), Cell::None, Cell::Bar(0.0)]);
        let section = Section { table: Some(table), ..Section::new("T") };
        assert_eq!(
            Page::text(|page| render(&[section], page)),
            "\"# T\"\r\nname,bytes\r\n\"'=cmd()\",1234567\r\n\"a,\"\"b\"\"\\n\",\r\n"
        );
    }

    #[test]
    fn semicolons_begin_no_formula() {
        let at = |text: &str, first| field(text.to_owned(), first);
        assert_eq!(at(";=1+1", true), "\";=1+1\"");
        assert_eq!(at("a;=1+1;b; -x;c", false), "\"a;'=1+1;b;' -x;c\"");
        assert_eq!(at("::error::x", true), "\"::error::x\"");
        assert_eq!(at("a;b", false), "\"a;b\"");
        assert_eq!(at(" =1", true), "\"' =1\"");
        assert_eq!(at("＝1", false), "\"'＝1\"");
        assert_eq!((at("-1.5", false), at("-inf", false), at("-x", true)), ("-1.5".into(), "-inf".into(), "\"'-x\"".into()));
    }

    #[test]
    fn words_are_escaped_once_and_a_table_may_have_no_title() {
        let mut table = Table::new([left("what"), left("why")]);
        table.row(vec![Cell::Foreign("a\\b".into()), Cell::text("`a\\\\b` is odd")]);
        let section = Section { table: Some(table), ..Section::default() };
        assert_eq!(Page::text(|page| render(&[section], page)), "what,why\r\na\\\\b,\"`a\\\\b` is odd\"\r\n");
    }
}
