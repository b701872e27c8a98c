//! Sections as Markdown: headings, words, pipe tables.

use super::cell::{Align, Cell, Line, Section, Table, Tone};
use super::page::Page;
use super::text::value;
use crate::text::escape;
use crate::units::{Bytes, grouped, grouped_signed, percent};

/// Sets the sections one after another.
pub(super) fn render(sections: &[Section<'_>], out: &mut Page<'_>) {
    for section in sections {
        if !out.is_empty() {
            out.push('\n');
        }
        if !section.title.is_empty() {
            let aside = if section.aside.is_empty() { String::new() } else { format!(" ({})", inert(&section.aside)) };
            out.push_str(&format!("## {}{aside}\n\n", inert(&section.title)));
        }
        section.lines.iter().for_each(|line| words(out, line));
        if let Some(table) = &section.table {
            if !section.lines.is_empty() {
                out.push('\n');
            }
            set_table(out, table);
        }
        if !section.after.is_empty() {
            out.push('\n');
        }
        section.after.iter().for_each(|line| words(out, line));
    }
}

fn words(out: &mut Page<'_>, line: &Line) {
    let mark = match line.tone {
        Tone::Plain => "",
        Tone::Note => "Note: ",
        Tone::Warning => "**Warning:** ",
    };
    out.push_str(&format!("- {mark}{}\n", inert(&line.text)));
}

fn set_table(out: &mut Page<'_>, table: &Table<'_>) {
    let pictures = table.pictures();
    let kept: Vec<usize> = (0..table.columns.len()).filter(|&i| !pictures[i]).collect();
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    out.push_str(&line(kept.iter().map(|&i| table.columns[i].title.clone()).collect()));
    out.push_str(&line(
        kept.iter().map(|&i| if table.columns[i].align == Align::Right { "--:".into() } else { "---".into() }).collect(),
    ));
    let mut set = |row: &[Cell]| out.push_str(&line(kept.iter().map(|&i| cell(&row[i])).collect()));
    table.each(&mut set);
    table.total.iter().for_each(|total| set(total));
}

fn cell(cell: &Cell) -> String {
    match cell {
        Cell::Text(text) => inert(text),
        Cell::Foreign(text) => inert(&escape(text)),
        Cell::Bytes(n) => Bytes(*n).binary(),
        Cell::Change(n) => grouped_signed(*n),
        Cell::Count(n) => grouped(*n),
        Cell::Share(x) => percent(*x),
        Cell::Number(x, digits) => format!("{x:.digits$}"),
        Cell::Value(x) => value(*x),
        Cell::Bar(_) | Cell::None => String::new(),
    }
}

/// Text in which nothing is Markdown or HTML.
fn inert(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '|' | '`' | '*' | '_' | '[' | ']' | '#' | '!' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_stays_text() {
        let mut table = Table::new(&["name", "bytes"]);
        table.row(vec![Cell::Foreign("<b>|`x`\n".into()), Cell::Bytes(2048)]);
        let section = Section { table: Some(table), ..Section::new("T") };
        assert_eq!(
            Page::text(|page| render(&[section], page)),
            "## T\n\n| name | bytes |\n| --- | --: |\n| &lt;b&gt;\\|\\`x\\`\\n | 2.00 KiB |\n"
        );
    }
}
