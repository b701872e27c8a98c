//! Sections as Markdown: headings, words, pipe tables.

use super::cell::{Align, Cell, Line, Section, Table, Tone};
use super::page::Page;
use super::text::value;
use crate::text::{escape, escape_words};
use crate::units::{Bytes, grouped, grouped_signed, percent};

/// Renders the sections one after another.
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
            render_table(out, table);
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
        Tone::Note | Tone::Refusal => "Note: ",
        Tone::Warning => "**Warning:** ",
    };
    out.push_str(&format!("- {mark}{}\n", inert(&line.text)));
}

fn render_table(out: &mut Page<'_>, table: &Table<'_>) {
    let pictures = table.pictures();
    let kept: Vec<usize> = (0..table.columns.len()).filter(|&i| !pictures[i]).collect();
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    out.push_str(&line(kept.iter().map(|&i| table.columns[i].title.to_string()).collect()));
    out.push_str(&line(
        kept.iter().map(|&i| if table.columns[i].align == Align::Right { "--:".into() } else { "---".into() }).collect(),
    ));
    let mut set = |row: &[Cell]| out.push_str(&line(kept.iter().map(|&i| cell(&row[i])).collect()));
    table.each(&mut set);
    table.total.iter().for_each(|total| set(total));
}

fn cell(cell: &Cell) -> String {
    match cell {
        Cell::Text(text) => inert(&escape_words(text)),
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

/// Text in which nothing is Markdown, HTML, or what code hosts make of plain text: links of addresses, mentions, numbers of issues,
/// formulas. Those are made when backslashes are gone, so that a character without width has to come between.
fn inert(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let list = list_mark(text);
    for (at, c) in text.char_indices() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\\' | '|' | '`' | '*' | '_' | '[' | ']' | '#' | '!' | '~' | '$' => out.extend(['\\', c]),
            c if list == Some(at) => out.extend(['\\', c]),
            c => out.push(c),
        }
        if is_live(&text[..at], c, &text[at + c.len_utf8()..]) {
            out.push_str("&#8203;");
        }
    }
    out
}

/// Where the mark stands that would make text at the start of a line an item of a list: `- x`, `1. x`.
fn list_mark(text: &str) -> Option<usize> {
    let item = text.trim_start();
    let digits = item.bytes().take_while(u8::is_ascii_digit).count();
    let marks = if digits == 0 { "-+" } else { ".)" };
    let rest = item[digits..].strip_prefix(|c| marks.contains(c))?;
    rest.chars().next().is_none_or(char::is_whitespace).then_some(text.len() - item.len() + digits)
}

/// Whether `c` begins something that code hosts act on: `@name`, `name@host`, `#1`, `://`, `www.`.
fn is_live(before: &str, c: char, after: &str) -> bool {
    let next = after.chars().next();
    match c {
        '@' => next.is_some_and(char::is_alphanumeric),
        '#' => next.is_some_and(|c| c.is_ascii_digit()),
        ':' => after.starts_with("//"),
        'w' | 'W' => {
            after.starts_with('.') && before.get(before.len().saturating_sub(2)..).is_some_and(|w| w.eq_ignore_ascii_case("ww"))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::cell::{left, right};

    #[test]
    fn foreign_text_stays_text() {
        let mut table = Table::new([left("name"), right("bytes")]);
        table.row(vec![Cell::Foreign("<b>|`x`\n".into()), Cell::Bytes(2048)]);
        let section = Section { table: Some(table), ..Section::new("T") };
        assert_eq!(
            Page::text(|page| render(&[section], page)),
            "## T\n\n| name | bytes |\n| --- | --: |\n| &lt;b&gt;\\|\\`x\\`\\\\n | 2.00 KiB |\n"
        );
    }

    #[test]
    fn nothing_is_linked_mentioned_struck_or_computed() {
        for (text, set) in [
            ("@octocat", "@&#8203;octocat"),
            ("a@b.c", "a@&#8203;b.c"),
            ("a @ b", "a @ b"),
            ("https://e.example", "https:&#8203;//e.example"),
            ("WWW.e.example", "WWW&#8203;.e.example"),
            ("o/r#12 # x", "o/r\\#&#8203;12 \\# x"),
            ("~~gone~~ $x$", "\\~\\~gone\\~\\~ \\$x\\$"),
            ("- [x] done", "\\- \\[x\\] done"),
            ("1. x", "1\\. x"),
            ("12) x", "12\\) x"),
            ("1.5 -x", "1.5 -x"),
            ("\\*a*", "\\\\\\*a\\*"),
        ] {
            assert_eq!(inert(text), set);
        }
    }
}
