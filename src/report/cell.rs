//! What stands in a table: values, not text, so that each output writes them its own way.

use std::borrow::Cow;

use super::page::Walked;

/// One cell.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// Our own words.
    Text(String),
    /// Text from a file: escaped by every output.
    Foreign(String),
    /// Bytes: scaled for people, exact for machines.
    Bytes(u64),
    /// A signed change in bytes.
    Change(i128),
    /// A count: grouped digits for people.
    Count(u64),
    /// A share of a whole, 1.0 = 100 %.
    Share(f64),
    /// A number with so many digits after the point.
    Number(f64, usize),
    /// A measured value, in as few digits as tell it.
    Value(f64),
    /// A bar, 0.0 to 1.0; nothing where there are no pictures.
    Bar(f64),
    /// Not known, or not applicable.
    None,
}

impl Cell {
    /// Our own words.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// A count where there is one.
    pub fn count(n: Option<u64>) -> Self {
        n.map_or(Self::None, Self::Count)
    }

    /// A measured value where there is one.
    pub fn value(x: Option<f64>) -> Self {
        x.map_or(Self::None, Self::Value)
    }
}

/// To which side the cells of a column are set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Names.
    Left,
    /// Numbers.
    Right,
}

/// A column.
#[derive(Debug, Clone)]
pub struct Column {
    /// Its heading.
    pub title: Cow<'static, str>,
    /// To which side its cells are set.
    pub align: Align,
    /// Whether it may be left out where the page is too narrow: those of the highest rank go first, those of rank 0 never.
    pub expendable: u8,
}

impl Column {
    /// The same, left out on a narrow page; of several, those of the highest rank go first.
    #[must_use]
    pub fn expendable(self, rank: u8) -> Self {
        Self { expendable: rank, ..self }
    }
}

/// A column of names or words.
pub fn left(title: impl Into<Cow<'static, str>>) -> Column {
    Column { title: title.into(), align: Align::Left, expendable: 0 }
}

/// A column of numbers.
pub fn right(title: impl Into<Cow<'static, str>>) -> Column {
    Column { title: title.into(), align: Align::Right, expendable: 0 }
}

/// A table with its total last.
#[derive(Debug, Clone)]
pub struct Table<'a> {
    /// Columns.
    pub columns: Vec<Column>,
    /// Rows.
    pub rows: Vec<Vec<Cell>>,
    /// Further rows, made when they are written: for tables that may be as long as a checkpoint has tensors.
    pub walked: Option<Walked<'a, Vec<Cell>>>,
    /// The total, set apart.
    pub total: Option<Vec<Cell>>,
}

impl<'a> Table<'a> {
    /// An empty table.
    pub fn new(columns: impl IntoIterator<Item = Column>) -> Self {
        Self { columns: columns.into_iter().collect(), rows: Vec::new(), walked: None, total: None }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
    }

    /// The same with further rows that are made when they are written.
    #[must_use]
    pub fn walking(self, rows: Walked<'a, Vec<Cell>>) -> Self {
        Self { walked: Some(rows), ..self }
    }

    /// Looks at every row but the total.
    pub(super) fn each(&self, mut look: impl FnMut(&[Cell])) {
        self.rows.iter().for_each(|row| look(row));
        if let Some(walked) = &self.walked {
            walked.each(|row| look(&row));
        }
    }

    /// Which columns are bars: pictures that not every output can show.
    pub(super) fn pictures(&self) -> Vec<bool> {
        let mut pictures = vec![false; self.columns.len()];
        self.each(|row| pictures.iter_mut().zip(row).for_each(|(picture, cell)| *picture |= matches!(cell, Cell::Bar(_))));
        pictures
    }
}

/// Why a line stands there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// A statement.
    Plain,
    /// Something to know.
    Note,
    /// Something that is wrong.
    Warning,
    /// Why something that was asked for is not answered: said apart where only tables are written.
    Refusal,
}

/// A line of words; foreign text in it is escaped already.
#[derive(Debug, Clone)]
pub struct Line {
    /// Why it stands there.
    pub tone: Tone,
    /// The words.
    pub text: String,
}

/// A part of a report: a heading, words, a table, words.
#[derive(Debug, Clone, Default)]
pub struct Section<'a> {
    /// The heading; empty for none.
    pub title: String,
    /// What the heading says further, in the same line.
    pub aside: String,
    /// Words before the table.
    pub lines: Vec<Line>,
    /// The table.
    pub table: Option<Table<'a>>,
    /// Words after the table.
    pub after: Vec<Line>,
}

impl Section<'_> {
    /// A section with a heading.
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), ..Self::default() }
    }

    /// Adds a statement before the table.
    pub fn state(&mut self, text: impl Into<String>) {
        self.lines.push(Line { tone: Tone::Plain, text: text.into() });
    }

    /// Adds a remark after the table.
    pub fn note(&mut self, text: impl Into<String>) {
        self.after.push(Line { tone: Tone::Note, text: text.into() });
    }

    /// Adds a reason after the table why something was refused.
    pub fn refuse(&mut self, text: impl Into<String>) {
        self.after.push(Line { tone: Tone::Refusal, text: text.into() });
    }

    /// Adds a warning after the table.
    pub fn warn(&mut self, text: impl Into<String>) {
        self.after.push(Line { tone: Tone::Warning, text: text.into() });
    }
}
