//! Where a report is written to, piece by piece: what is long never stands in memory whole.

use std::io;
use std::rc::Rc;

use serde::ser::SerializeSeq;
use serde::{Serialize, Serializer};

/// A page that is written on. The first failure ends the writing and is told in the end.
pub struct Page<'w> {
    to: &'w mut dyn io::Write,
    begun: bool,
    failure: Option<io::Error>,
}

impl<'w> Page<'w> {
    /// An empty page. Many short pieces are written: `to` should be buffered.
    pub fn new(to: &'w mut dyn io::Write) -> Self {
        Self { to, begun: false, failure: None }
    }

    /// What a page holds that is written on by `set`.
    pub fn text(set: impl FnOnce(&mut Page<'_>)) -> String {
        let mut bytes = Vec::new();
        set(&mut Page::new(&mut bytes));
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Whether nothing was written yet.
    pub(super) fn is_empty(&self) -> bool {
        !self.begun
    }

    /// Writes.
    pub fn push_str(&mut self, text: &str) {
        self.begun = true;
        if self.failure.is_none() {
            self.failure = self.to.write_all(text.as_bytes()).err();
        }
    }

    /// Writes one character.
    pub fn push(&mut self, c: char) {
        self.push_str(c.encode_utf8(&mut [0; 4]));
    }

    /// Ends the writing.
    ///
    /// # Errors
    /// The first failure to write.
    pub fn finish(self) -> io::Result<()> {
        self.failure.map_or(Ok(()), Err)
    }
}

/// Rows that are made anew whenever they are walked over: a list of a million tensors takes the memory of one row.
#[derive(Clone)]
pub struct Walked<'a, T> {
    walk: Rc<Walk<'a, T>>,
}

type Walk<'a, T> = dyn Fn(&mut dyn FnMut(T)) + 'a;

impl<'a, T> Walked<'a, T> {
    /// The rows that `walk` hands out, the same ones each time.
    pub fn new(walk: impl Fn(&mut dyn FnMut(T)) + 'a) -> Self {
        Self { walk: Rc::new(walk) }
    }

    /// Walks over the rows.
    pub fn each(&self, mut look: impl FnMut(T)) {
        (self.walk)(&mut look);
    }
}

impl<T> std::fmt::Debug for Walked<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Walked")
    }
}

impl<T: Serialize> Serialize for Walked<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        let mut so_far = Ok(());
        self.each(|row| {
            if so_far.is_ok() {
                so_far = list.serialize_element(&row);
            }
        });
        so_far?;
        list.end()
    }
}
