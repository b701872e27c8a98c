//! Where the zeros of a matrix lie, gathered band by band from a bit an element.

use super::bits::{bytes_up_to_four, empty_runs, per_byte, per_nibble};
use super::geometry::{Axis, Geometry};
use super::lines::{Filled, MAX_LINES};
use crate::stats::full::{BLOCKS, Blocks, Groups, Lines, PATTERNS, Structure};

/// Counts of the bands seen so far.
#[derive(Debug, Clone)]
pub(super) struct Gather {
    geometry: Geometry,
    rows: Filled,
    columns: Filled,
    zero_blocks: [u64; 4],
    ok: [u64; 3],
    exact: [u64; 3],
}

/// A band: rows of one plane from a multiple of 32 on, and columns from a multiple of 64 on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rectangle {
    /// First row, counted through all planes.
    pub(super) row: u64,
    pub(super) rows: usize,
    pub(super) column: u64,
    pub(super) columns: usize,
}

impl Gather {
    pub(super) fn new(geometry: Geometry) -> Self {
        Self {
            geometry,
            rows: Filled::new(geometry.rows.saturating_mul(geometry.planes)),
            columns: Filled::new(geometry.columns),
            zero_blocks: [0; 4],
            ok: [0; 3],
            exact: [0; 3],
        }
    }

    /// A band without any zero.
    pub(super) fn add_full(&mut self, place: Rectangle) {
        self.rows.set_run(line(place.row), place.rows);
        self.columns.set_run(line(place.column), place.columns);
    }

    /// A band as bits, every row in whole words whose spare bits are ones.
    pub(super) fn add(&mut self, place: Rectangle, bits: &[u64]) {
        let words = place.columns.div_ceil(64).max(1);
        // Bits to be taken as set in the last word, so that what does not fill a group or a block does not count.
        let spare = |width: usize| {
            let whole = place.columns / width * width % 64;
            if place.columns.is_multiple_of(64) { 0 } else { u64::MAX << whole }
        };
        for (i, row) in bits.chunks_exact(words).enumerate() {
            let real = row.iter().enumerate().any(|(w, word)| word & !if w + 1 == words { spare(1) } else { 0 } != 0);
            if real {
                self.rows.set(line(place.row) + i);
            }
            self.zero_blocks[0] += row_sum(row, spare(4), |word| u64::from(empty_runs(word, 4)));
            if self.geometry.reduction == Some(Axis::Columns) {
                self.groups_in_row(row, spare(4), spare(8));
            }
        }
        let mut any = vec![0; words];
        for block in bits.chunks(4 * words) {
            or_into(&mut any, block);
            if block.len() == 4 * words {
                self.zero_blocks[1] += row_sum(&any, spare(1), |word| u64::from(word.count_zeros()));
            }
        }
        for (index, size) in [(2, 16), (3, 32)] {
            for block in bits.chunks_exact(size * words) {
                or_into(&mut any, block);
                self.zero_blocks[index] += row_sum(&any, spare(size), |word| u64::from(empty_runs(word, size as u32)));
            }
        }
        or_into(&mut any, bits);
        if let Some(last) = any.last_mut() {
            *last &= !spare(1);
        }
        self.columns.set_words(line(place.column), &any);
        if self.geometry.reduction == Some(Axis::Rows) {
            self.groups_in_columns(bits, words, spare(1));
        }
    }

    fn groups_in_row(&mut self, row: &[u64], spare4: u64, spare8: u64) {
        const LOW: u64 = 0x1111_1111_1111_1111;
        let last = row.len() - 1;
        for (w, &word) in row.iter().enumerate() {
            if word == u64::MAX {
                continue;
            }
            let fours = per_nibble(if w == last { word | spare4 } else { word });
            // A nibble holds 0 to 4.
            let (one, two, four) = (fours & LOW, fours >> 1 & LOW, fours >> 2 & LOW);
            let above_two = four | (two & one);
            self.ok[0] += u64::from((LOW & !above_two).count_ones());
            self.exact[0] += u64::from((two & !one).count_ones());
            self.ok[1] += u64::from((LOW & !(four | two)).count_ones());
            self.exact[1] += u64::from((one & !two).count_ones());
            let eights = per_byte(if w == last { word | spare8 } else { word });
            let (ok, exact) = bytes_up_to_four(eights);
            self.ok[2] += u64::from(ok);
            self.exact[2] += u64::from(exact);
        }
    }

    /// Groups of rows, bit by bit: three words hold the counts of 64 columns.
    fn groups_in_columns(&mut self, bits: &[u64], words: usize, spare: u64) {
        let count4 = |rows: &[u64], w: usize| {
            let [a, b, c, d] = [0, 1, 2, 3].map(|r| rows[r * words + w]);
            let (low_ab, low_cd, both_ab, both_cd) = (a ^ b, c ^ d, a & b, c & d);
            let carry = low_ab & low_cd;
            let majority = (both_ab & both_cd) | (both_ab & carry) | (both_cd & carry);
            [low_ab ^ low_cd, both_ab ^ both_cd ^ carry, majority]
        };
        for w in 0..words {
            let mask = if w + 1 == words { !spare } else { u64::MAX };
            let ones = |word: u64| u64::from((word & mask).count_ones());
            for rows in bits.chunks_exact(4 * words) {
                let [one, two, four] = count4(rows, w);
                self.ok[0] += ones(!(four | (two & one)));
                self.exact[0] += ones(two & !one & !four);
                self.ok[1] += ones(!(four | two));
                self.exact[1] += ones(one & !two & !four);
            }
            for rows in bits.chunks_exact(8 * words) {
                let (upper, lower) = rows.split_at(4 * words);
                let ([a1, a2, a4], [b1, b2, b4]) = (count4(upper, w), count4(lower, w));
                let (s1, c1) = (a1 ^ b1, a1 & b1);
                let (s2, c2) = (a2 ^ b2 ^ c1, (a2 & b2) | (a2 & c1) | (b2 & c1));
                let (s4, s8) = (a4 ^ b4 ^ c2, (a4 & b4) | (a4 & c2) | (b4 & c2));
                self.ok[2] += ones(!(s8 | (s4 & (s2 | s1))));
                self.exact[2] += ones(s4 & !s2 & !s1 & !s8);
            }
        }
    }

    /// What another thread gathered of the same tensor.
    pub(super) fn merge(&mut self, other: &Self) {
        self.rows.merge(&other.rows);
        self.columns.merge(&other.columns);
        let pairs = self.zero_blocks.iter_mut().zip(&other.zero_blocks);
        let pairs = pairs.chain(self.ok.iter_mut().zip(&other.ok)).chain(self.exact.iter_mut().zip(&other.exact));
        for (mine, theirs) in pairs {
            *mine += theirs;
        }
    }

    /// The figures, once all bands are in. `sparsity` is the share of zeros, from which chance follows.
    pub(super) fn finish(&self, sparsity: f64) -> Structure {
        let g = self.geometry;
        let lines = |filled: &Filled, length: u64| if length > MAX_LINES { None } else { filled.empty() };
        let mut blocks = [Blocks::default(); 4];
        for ((block, (rows, columns)), zero) in blocks.iter_mut().zip(BLOCKS).zip(self.zero_blocks) {
            let count = g.planes * (g.rows / rows) * (g.columns / columns);
            let expected = count as f64 * sparsity.powi(i32::try_from(rows * columns).unwrap_or(i32::MAX));
            *block = Blocks { blocks: count, zero, expected };
        }
        let groups = g.reduction.map(|axis| {
            let (along, across) = if axis == Axis::Columns { (g.columns, g.rows) } else { (g.rows, g.columns) };
            let mut groups = [Groups::default(); 3];
            for (i, (n, m)) in PATTERNS.into_iter().enumerate() {
                let count = g.planes * across * (along / m);
                let expected = count as f64 * at_most(n, m, sparsity);
                groups[i] =
                    Groups { groups: count, ok: self.ok[i], exact: self.exact[i], expected, fills: along.is_multiple_of(m) };
            }
            groups
        });
        let runs = |axis: Axis, size: u64| {
            let filled = if axis == Axis::Rows { &self.rows } else { &self.columns };
            let zero = filled.empty_runs(usize::try_from(size).ok()?)?;
            Some(Lines { count: g.length(axis) / size, zero })
        };
        Structure {
            rows: g.rows * g.planes,
            columns: g.columns,
            zero_rows: lines(&self.rows, g.rows.saturating_mul(g.planes)),
            zero_columns: lines(&self.columns, g.columns),
            blocks,
            groups,
            heads: g.heads.and_then(|(axis, size)| runs(axis, size)),
            channels: g.channels.and_then(|axis| runs(axis, 1)),
        }
    }
}

/// The chance that at most `n` of `m` values are not zero where each is zero with the chance `sparsity`.
pub(super) fn at_most(n: u64, m: u64, sparsity: f64) -> f64 {
    let (n, m) = (n as i32, m as i32);
    let mut ways = 1.0;
    let mut sum = 0.0;
    for k in 0..=n {
        sum += ways * (1.0 - sparsity).powi(k) * sparsity.powi(m - k);
        ways = ways * f64::from(m - k) / f64::from(k + 1);
    }
    sum.min(1.0)
}

fn line(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

fn row_sum(row: &[u64], spare: u64, count: impl Fn(u64) -> u64) -> u64 {
    let Some((last, most)) = row.split_last() else { return 0 };
    most.iter().filter(|word| **word != u64::MAX).map(|word| count(*word)).sum::<u64>() + count(last | spare)
}

/// The bits that any of some rows has.
fn or_into(any: &mut [u64], rows: &[u64]) {
    any.fill(0);
    for row in rows.chunks_exact(any.len()) {
        for (any, word) in any.iter_mut().zip(row) {
            *any |= word;
        }
    }
}
