//! The tables that thresholds are found in.

use crate::scan::full::class::ElementClass;
use crate::scan::full::counter::{CODES, Counter};
use crate::scan::full::driver::BANDS_A_DRAIN;
use crate::stats::magnitude::Cutoff;

/// Lower bits of a key, which the first pass leaves open.
pub(super) const OPEN: u32 = 15;
/// Counters of one bin.
pub(super) const BIN: usize = 1 << OPEN;
/// The key of infinity.
pub(super) const INFINITE: u32 = 0x7f80_0000;

/// A threshold as a key, and how many weights it takes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Found {
    pub(super) key: u32,
    pub(super) dropped: u64,
}

impl Found {
    pub(super) fn cutoff(self) -> Cutoff {
        Cutoff { threshold: f64::from(f32::from_bits(self.key)), dropped: self.dropped }
    }
}

/// A threshold whose upper bits are known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Within {
    pub(super) bin: u16,
    /// Weights in the bins below, and the place in this one, from 1.
    pub(super) below: u64,
    pub(super) rank: u64,
}

/// Codes, or upper bits of keys, of one tensor as one thread counts them.
pub(super) struct Tally {
    pub(super) counter: Counter,
    totals: Vec<u64>,
    bands: u32,
}

impl Tally {
    pub(super) fn new() -> Self {
        Self { counter: Counter::new(), totals: Vec::new(), bands: 0 }
    }

    /// Empties the counters of 32 bits before they could overflow.
    pub(super) fn drain(&mut self) {
        self.bands += 1;
        if self.bands.is_multiple_of(BANDS_A_DRAIN) {
            self.empty();
        }
    }

    fn empty(&mut self) {
        self.totals.resize(CODES, 0);
        for (code, n) in self.counter.take(CODES) {
            self.totals[usize::from(code)] += n;
        }
    }

    /// All threads together, in order.
    pub(super) fn sum(tallies: Vec<Self>) -> Vec<(u16, u64)> {
        let mut tallies = tallies.into_iter();
        let Some(mut all) = tallies.next() else { return Vec::new() };
        if tallies.len() == 0 && all.totals.is_empty() {
            return all.counter.take(CODES);
        }
        all.empty();
        for mut one in tallies {
            one.empty();
            all.totals.iter_mut().zip(one.totals).for_each(|(a, b)| *a += b);
        }
        all.totals.into_iter().enumerate().filter(|(_, n)| *n > 0).map(|(code, n)| (code as u16, n)).collect()
    }
}

/// Bins whose lower bits are counted.
pub(super) struct Bins {
    /// In order, each once.
    pub(super) bins: Vec<u16>,
    words: Box<[u64; CODES / 64]>,
}

impl Bins {
    pub(super) fn new(bins: impl Iterator<Item = u16>) -> Self {
        let mut bins: Vec<u16> = bins.collect();
        bins.sort_unstable();
        bins.dedup();
        let mut words = Box::new([0u64; CODES / 64]);
        bins.iter().for_each(|bin| words[usize::from(*bin) / 64] |= 1 << (bin % 64));
        Self { bins, words }
    }

    pub(super) fn counters(&self) -> Vec<u64> {
        vec![0; self.bins.len() * BIN]
    }

    #[inline(always)]
    pub(super) fn count(&self, key: u32, n: u64, counters: &mut [u64]) {
        let bin = (key >> OPEN) as u16;
        if self.words[usize::from(bin) / 64] >> (bin % 64) & 1 == 1
            && let Ok(slot) = self.bins.binary_search(&bin)
        {
            counters[slot * BIN + key as usize % BIN] += n;
        }
    }

    pub(super) fn table<'t>(&self, bin: u16, counters: &'t [u64]) -> &'t [u64] {
        self.bins.binary_search(&bin).map_or(&[], |slot| &counters[slot * BIN..(slot + 1) * BIN])
    }

    pub(super) fn finish(&self, within: &Within, counters: &[u64]) -> Found {
        let first = u32::from(within.bin) << OPEN;
        let keys: Vec<(u32, u64)> =
            self.table(within.bin, counters).iter().enumerate().map(|(low, n)| (first | low as u32, *n)).collect();
        locate(&keys, within.below, within.rank)
    }
}

/// Finite magnitudes and their counts, in order, from counted codes; those without a count are left out.
pub(super) fn keys_of(class: &ElementClass, counts: impl Iterator<Item = (usize, u64)>) -> Vec<(u32, u64)> {
    let key = |code: usize| (class.value(code as u16) as f32).to_bits() & 0x7fff_ffff;
    let mut keys: Vec<(u32, u64)> =
        counts.filter(|(_, n)| *n > 0).map(|(code, n)| (key(code), n)).filter(|(key, _)| *key < INFINITE).collect();
    keys.sort_unstable();
    keys.dedup_by(|later, earlier| {
        let same = later.0 == earlier.0;
        earlier.1 += if same { later.1 } else { 0 };
        same
    });
    keys
}

/// The key of a rank, from 1, and how many keys there are up to it, with `below` before all of these.
pub(super) fn locate(keys: &[(u32, u64)], below: u64, rank: u64) -> Found {
    let mut sum = 0;
    for (key, n) in keys {
        sum += n;
        if sum >= rank {
            return Found { key: *key, dropped: below + sum };
        }
    }
    Found::default()
}

/// The bin that holds a rank, from 1.
pub(super) fn within(bins: impl Iterator<Item = (u16, u64)>, rank: u64) -> Within {
    let mut below = 0;
    for (bin, n) in bins {
        if below + n >= rank {
            return Within { bin, below, rank: rank - below };
        }
        below += n;
    }
    Within { bin: 0, below: 0, rank: 0 }
}
