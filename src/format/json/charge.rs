//! What a tree of JSON values costs in memory, counted while it is read.
//!
//! A text of `{"":0},` is a hundred times larger as a tree: every object has a node with room for eleven entries. The costs are
//! those of `serde_json::Value` over Rust's `Vec`, `String` and `BTreeMap` and an allocator that works in steps of 16 bytes.

use std::cell::Cell;

use serde_json::Value;

use crate::error::{Error, ErrorKind, Result};
use crate::format::{Budget, limits};

/// A value in its place, whatever it holds elsewhere.
const VALUE: u64 = size_of::<Value>() as u64;
/// Rounding and bookkeeping of one allocation.
const ALLOCATION: u64 = 16;
/// A leaf of a `BTreeMap`: eleven keys, eleven values, a parent and two lengths.
const NODE: u64 = 11 * (size_of::<String>() as u64 + VALUE) + 16 + ALLOCATION;
/// Entries that a leaf holds, and those that are left in it when it is divided.
const FULL: usize = 11;
const DIVIDED: usize = 5;

/// The two bounds of a text.
#[derive(Debug, Clone, Copy)]
enum Bound {
    OfText,
    OfAll,
}

/// The account of one text: bounded itself, and drawn from that of the checkpoint. What it took is returned when it is dropped,
/// unless it was [kept](Charge::keep).
pub(crate) struct Charge<'b> {
    budget: &'b Budget,
    taken: Cell<u64>,
    /// The bound that was met.
    met: Cell<Option<Bound>>,
}

impl<'b> Charge<'b> {
    pub(crate) fn new(budget: &'b Budget) -> Self {
        Self { budget, taken: Cell::new(0), met: Cell::new(None) }
    }

    /// The text's tree stays: what it took stays taken.
    pub(crate) fn keep(self) {
        self.taken.set(0);
    }

    fn take(&self, bytes: u64) -> Result<()> {
        let taken = self.taken.get().saturating_add(bytes);
        let met = if taken > limits::MAX_JSON_TREE {
            Bound::OfText
        } else if self.budget.take(bytes) {
            self.taken.set(taken);
            return Ok(());
        } else {
            Bound::OfAll
        };
        self.met.set(Some(met));
        Err(error(met, self.budget))
    }

    /// The error of a bound that was met.
    pub(crate) fn over(&self) -> Option<Error> {
        self.met.get().map(|met| error(met, self.budget))
    }

    /// A string, or the key of an entry.
    pub(crate) fn text(&self, bytes: usize) -> Result<()> {
        self.take(if bytes == 0 { 0 } else { bytes as u64 + ALLOCATION })
    }

    /// An element of a list that has `before` already.
    pub(crate) fn element(&self, before: usize) -> Result<()> {
        self.take(VALUE + if before == 0 { ALLOCATION } else { 0 })
    }

    /// An entry of an object that has `before` already.
    pub(crate) fn entry(&self, before: usize) -> Result<()> {
        let divides = before >= FULL && (before - FULL).is_multiple_of(DIVIDED);
        // Of every few leaves one more is needed above them.
        self.take(if before == 0 { NODE } else { u64::from(divides) * (NODE + NODE / 4) })
    }
}

impl Drop for Charge<'_> {
    fn drop(&mut self) {
        self.budget.give_back(self.taken.get());
    }
}

fn error(met: Bound, budget: &Budget) -> Error {
    let message = match met {
        Bound::OfText => {
            format!("more JSON than is kept of one text: its tree needs more than {} MiB of memory", limits::MAX_JSON_TREE >> 20)
        }
        Bound::OfAll => {
            format!("more JSON than is kept of all texts of a checkpoint together: {} MiB of memory as trees", budget.bytes() >> 20)
        }
    };
    Error::new(ErrorKind::Limit, message).help("published configurations stay far below that: find out what it is padded with")
}
