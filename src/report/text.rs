//! Sections for a terminal: aligned tables that fit the width, bars for shares, colour only where asked for.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::cell::{Align, Cell, Column, Line, Section, Table, Tone};
use super::page::Page;
use crate::text::{disarmed, escape, escape_limited};
use crate::units::{Bytes, grouped, grouped_signed, percent};

/// How a text report is set.
#[derive(Debug, Clone, Copy)]
pub struct TextStyle {
    /// Columns of the page.
    pub width: usize,
    /// Whether colours may be used.
    pub color: bool,
    /// Exact bytes instead of scaled ones.
    pub exact: bool,
}

impl Default for TextStyle {
    fn default() -> Self {
        Self { width: 80, color: false, exact: false }
    }
}

/// Widest page that tables are spread over, in columns; beyond it lines get hard to follow.
pub const WIDEST: usize = 160;
/// Cells of a bar.
const BAR: usize = 16;
const GAP: &str = "  ";

/// Renders the sections one after another.
pub fn render(sections: &[Section<'_>], style: &TextStyle, out: &mut Page<'_>) {
    for section in sections {
        if !out.is_empty() {
            out.push('\n');
        }
        heading(out, section, style);
        for line in &section.lines {
            words(out, line, style);
        }
        if let Some(table) = &section.table {
            render_table(out, table, style);
        }
        for line in &section.after {
            words(out, line, style);
        }
    }
}

fn paint(text: &str, code: &str, style: &TextStyle) -> String {
    if style.color && !text.is_empty() { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
}

fn heading(out: &mut Page<'_>, section: &Section<'_>, style: &TextStyle) {
    if section.title.is_empty() {
        return;
    }
    out.push_str(&paint(&disarmed(&section.title), "1", style));
    if !section.aside.is_empty() {
        out.push_str(GAP);
        out.push_str(&section.aside);
    }
    out.push('\n');
}

/// A line of words, broken at the width, with a hanging indent.
fn words(out: &mut Page<'_>, line: &Line, style: &TextStyle) {
    let (mark, code) = match line.tone {
        Tone::Plain => ("", ""),
        Tone::Note | Tone::Refusal => ("note: ", "36"),
        Tone::Warning => ("warning: ", "33"),
    };
    let width = style.width.clamp(40, WIDEST) - 2;
    let mut column = mark.width();
    out.push_str(GAP);
    out.push_str(&if mark.is_empty() { String::new() } else { paint(mark, code, style) });
    let mut first = true;
    for word in line.text.split(' ') {
        let len = word.width();
        if !first && column + 1 + len > width {
            out.push_str("\n    ");
            column = 2;
        } else if !first {
            out.push(' ');
            column += 1;
        }
        // Wherever it stands: blanks may be all that is before it.
        out.push_str(&disarmed(word));
        column += len;
        first = false;
    }
    out.push('\n');
}

fn render_table(out: &mut Page<'_>, table: &Table<'_>, style: &TextStyle) {
    let (keep, widths, rows) = fit(table, style);
    let rule_before_total = table.total.is_some() && rows > 1;
    let titles: Vec<String> = table.columns.iter().map(|c| c.title.to_string()).collect();
    if titles.iter().skip(1).any(|t| !t.is_empty()) {
        let line = render_row(&titles, &table.columns, &keep, &widths);
        out.push_str(&paint(&line, "2", style));
        out.push('\n');
    }
    table.each(|row| {
        out.push_str(&render_row(&shown_row(row, style), &table.columns, &keep, &widths));
        out.push('\n');
    });
    if let (true, Some(total)) = (rule_before_total, &table.total) {
        let line = render_row(&shown_row(total, style), &table.columns, &keep, &widths);
        out.push_str(&paint(&line, "1", style));
        out.push('\n');
    }
}

/// Chooses the columns that fit and say something, and their widths, and counts the rows; a first column that is still too wide is cut.
fn fit(table: &Table<'_>, style: &TextStyle) -> (Vec<bool>, Vec<usize>, usize) {
    let mut widths: Vec<usize> = table.columns.iter().map(|c| c.title.width()).collect();
    let mut keep: Vec<bool> = table.columns.iter().map(|c| c.expendable == 0).collect();
    let mut rows = 0usize;
    let mut widen = |row: &[Cell]| {
        rows += 1;
        for ((width, keep), text) in widths.iter_mut().zip(&mut keep).zip(shown_row(row, style)) {
            *width = (*width).max(text.width());
            *keep |= !text.is_empty();
        }
    };
    table.each(&mut widen);
    if let Some(total) = &table.total {
        widen(total);
        rows -= 1;
    }
    let page = style.width.clamp(40, WIDEST);
    let used = |keep: &[bool], widths: &[usize]| -> usize {
        widths.iter().zip(keep).filter(|(_, k)| **k).map(|(w, _)| w + GAP.len()).sum()
    };
    let worst = table.columns.iter().map(|c| c.expendable).max().unwrap_or(0);
    for rank in (1..=worst).rev() {
        for i in (0..keep.len()).rev() {
            if table.columns[i].expendable == rank && used(&keep, &widths) > page {
                keep[i] = false;
            }
        }
    }
    let over = used(&keep, &widths).saturating_sub(page);
    if over > 0 {
        widths[0] = widths[0].min(widths[0].saturating_sub(over).max(12));
    }
    (keep, widths, rows)
}

fn render_row(cells: &[String], columns: &[Column], keep: &[bool], widths: &[usize]) -> String {
    let mut line = String::new();
    for (((cell, column), keep), &width) in cells.iter().zip(columns).zip(keep).zip(widths) {
        if !keep {
            continue;
        }
        line.push_str(GAP);
        let cell = shorten(cell, width);
        let pad = " ".repeat(width.saturating_sub(cell.width()));
        match column.align {
            Align::Left => {
                line.push_str(&cell);
                line.push_str(&pad);
            }
            Align::Right => {
                line.push_str(&pad);
                line.push_str(&cell);
            }
        }
    }
    disarmed(line.trim_end()).into_owned()
}

/// Cuts the middle out of a name: beginnings and endings tell more.
fn shorten(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let keep = width.saturating_sub(1);
    let tail = keep / 2;
    let head = fitting(text.chars(), keep - tail);
    let end = fitting(text.chars().rev(), tail);
    format!("{}…{}", &text[..head], &text[text.len() - end..])
}

/// Bytes of the characters, from the first on, that fit into so many columns.
fn fitting(chars: impl Iterator<Item = char>, columns: usize) -> usize {
    let mut used = 0;
    chars
        .take_while(|c| {
            used += c.width().unwrap_or(0);
            used <= columns
        })
        .map(char::len_utf8)
        .sum()
}

fn shown_row(row: &[Cell], style: &TextStyle) -> Vec<String> {
    row.iter().map(|cell| shown(cell, style)).collect()
}

fn shown(cell: &Cell, style: &TextStyle) -> String {
    match cell {
        Cell::Text(text) => escape(text),
        Cell::Foreign(text) => escape_limited(text, 100),
        Cell::Bytes(n) if style.exact => Bytes(*n).exact(),
        Cell::Bytes(n) => Bytes(*n).binary(),
        Cell::Change(n) => format!("{} B", grouped_signed(*n)),
        Cell::Count(n) => grouped(*n),
        Cell::Share(x) => percent(*x),
        Cell::Number(x, digits) => format!("{x:.digits$}"),
        Cell::Value(x) => value(*x),
        Cell::Bar(x) => bar(*x),
        Cell::None => "-".to_owned(),
    }
}

/// A measured value: five significant digits, exponents only where zeros would hide it.
pub fn value(x: f64) -> String {
    if x == 0.0 {
        return "0".to_owned();
    }
    let magnitude = x.abs();
    if !(1e-4..1e6).contains(&magnitude) {
        return format!("{x:.3e}");
    }
    if x.fract() == 0.0 {
        return format!("{x:.0}");
    }
    let digits = (4.0 - magnitude.log10().floor()).clamp(0.0, 8.0) as usize;
    let text = format!("{x:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// A bar in eighths of a cell; anything above zero shows.
fn bar(share: f64) -> String {
    const EIGHTHS: [char; 8] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];
    let share = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
    let mut eighths = (share * (BAR * 8) as f64).round() as usize;
    if share > 0.0 {
        eighths = eighths.max(1);
    }
    let mut out = "█".repeat(eighths / 8);
    if !eighths.is_multiple_of(8) {
        out.push(EIGHTHS[eighths % 8]);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::cell::{left, right};

    #[test]
    fn a_table_fits_its_page_and_loses_what_may_go_first() {
        let mut table = Table::new([left("name"), right("bytes"), right("share").expendable(1), left("bar").expendable(2)]);
        table.row(vec![Cell::text("a".repeat(30)), Cell::Bytes(1024), Cell::Share(0.5), Cell::Bar(0.5)]);
        table.row(vec![Cell::Foreign("b\u{1b}[31m".into()), Cell::Bytes(1024), Cell::Share(0.5), Cell::Bar(0.5)]);
        table.total = Some(vec![Cell::text("total"), Cell::Bytes(2048), Cell::Share(1.0), Cell::None]);
        let section = Section { table: Some(table), ..Section::new("T") };
        for width in [40, 60, 80, 200] {
            let style = TextStyle { width, ..TextStyle::default() };
            let text = Page::text(|page| render(std::slice::from_ref(&section), &style, page));
            assert!(text.lines().all(|line| line.width() <= width), "{width}:\n{text}");
            assert!(text.contains("total") && text.contains("\\u{1b}") && !text.contains('\u{1b}'));
            assert_eq!(text.contains("50.0 %"), width >= 60, "{text}");
        }
    }

    #[test]
    fn a_narrow_first_column_is_not_widened_to_be_cut() {
        let mut table = Table::new([left("a"), left("what does not fit the page")]);
        table.row(vec![Cell::text("x"), Cell::text("y".repeat(50))]);
        let section = Section { table: Some(table), ..Section::default() };
        let text = Page::text(|page| render(&[section], &TextStyle { width: 40, ..TextStyle::default() }, page));
        assert!(text.contains("\n  x  yyy"), "{text}");
    }

    #[test]
    fn columns_stay_straight_under_wide_and_combining_characters() {
        // Two columns a character, none for the accents, one for the rest.
        let names = ["模型.层.权重", "e\u{301}mbedding.e\u{301}", "plain"];
        let mut table = Table::new([left("name"), right("bytes")]);
        names.iter().for_each(|name| table.row(vec![Cell::Foreign((*name).to_owned()), Cell::Count(7)]));
        let section = Section { table: Some(table), ..Section::default() };
        let text = Page::text(|page| render(&[section], &TextStyle::default(), page));
        let ends: Vec<usize> = text.lines().map(|line| line.trim_end().width()).collect();
        assert!(ends.windows(2).all(|pair| pair[0] == pair[1]), "{text}");
        assert_eq!(names.map(|name| name.width()), [12, 11, 5]);
        let cut = shorten("模型模型模型.权重", 10);
        assert_eq!((cut.as_str(), cut.width()), ("模型…权重", 9));
    }

    /// Names and values of a file begin no line that a runner of continuous integration takes for a command.
    #[test]
    fn no_line_is_a_command_to_a_runner() {
        let mut table = Table::new([left("name"), right("bytes")]);
        table.row(vec![Cell::Foreign("::error file=x::owned".into()), Cell::Count(7)]);
        table.row(vec![Cell::Foreign("##[error]x".into()), Cell::Count(7)]);
        let line = |text: &str| Line { tone: Tone::Plain, text: text.to_owned() };
        let wrapped = format!("{} ::add-mask::e  ::stop-commands::x", "word".repeat(18));
        let lines = vec![line("::error::arch"), line(&wrapped), line(" ::error::blank")];
        let section = Section { table: Some(table), lines, ..Section::new("::warning::title") };
        for width in [40, 80, 160] {
            let style = TextStyle { width, ..TextStyle::default() };
            let text = Page::text(|page| render(std::slice::from_ref(&section), &style, page));
            let bad: Vec<&str> = text.lines().filter(|l| l.trim_start().starts_with("::") || l.contains("##[")).collect();
            assert!(bad.is_empty() && text.contains("error::arch"), "{bad:?}");
        }
    }

    #[test]
    fn values_are_told_in_few_digits() {
        for (x, text) in
            [(0.0, "0"), (1.5, "1.5"), (-0.123456, "-0.12346"), (1e-9, "1.000e-9"), (65504.0, "65504"), (1234567.0, "1.235e6")]
        {
            assert_eq!(value(x), text);
        }
    }

    #[test]
    fn bars_show_what_is_not_zero() {
        assert_eq!(bar(0.0), "");
        assert_eq!(bar(0.0001), "▏");
        assert_eq!(bar(1.0).width(), BAR);
    }
}
