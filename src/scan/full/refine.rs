//! Exact quantiles of types of 32 and 64 bits: the first pass counts the upper 16 bits of every key, each further pass the next 16
//! bits of those keys that still matter.

use super::class::ElementClass;
use super::counter::CODES;
use super::evaluate::ranks;
use crate::stats::full::Quantiles;

/// What is known of the keys that are looked for.
#[derive(Debug, Clone)]
pub(super) struct Search {
    /// For each quantile, the upper bits of its key, and its place among the keys that have them.
    targets: [(u64, u64); 10],
    /// Bits of a key that are not known yet.
    open: u32,
    /// The different upper bits, in order.
    prefixes: Vec<u64>,
    /// Keys that have any of them.
    matched: u64,
}

/// Keys that are gathered and sorted, rather than counted once more.
const FEW: u64 = 1 << 19;

impl Search {
    /// Begins a search from the counted upper 16 bits of all keys; `None` where there is no finite value.
    pub(super) fn new(class: &ElementClass, bins: &[(u16, u64)]) -> Option<Self> {
        let open = class.key_bits()? - 16;
        let finite = |bin: u16| class.float.is_none() || u64::from(bin) < class.infinite_key() >> open;
        let bins: Vec<(u64, u64)> = bins.iter().filter(|(bin, _)| finite(*bin)).map(|&(bin, n)| (u64::from(bin), n)).collect();
        let ranks = ranks(bins.iter().map(|(_, n)| n).sum())?;
        let mut search = Self { targets: [(0, 0); 10], open, prefixes: Vec::new(), matched: 0 };
        for (target, rank) in search.targets.iter_mut().zip(ranks) {
            *target = locate(bins.iter().copied(), rank);
        }
        search.settle(|prefix| bins.binary_search_by_key(&prefix, |bin| bin.0).map_or(0, |i| bins[i].1));
        Some(search)
    }

    fn settle(&mut self, count: impl Fn(u64) -> u64) {
        self.prefixes = self.targets.iter().map(|target| target.0).collect();
        self.prefixes.sort_unstable();
        self.prefixes.dedup();
        self.matched = self.prefixes.iter().map(|prefix| count(*prefix)).sum();
    }

    /// Whether every bit is known.
    pub(super) fn is_done(&self) -> bool {
        self.open == 0
    }

    /// Whether so few keys are left that they may be gathered.
    pub(super) fn is_short(&self) -> bool {
        self.matched <= FEW
    }

    /// Which of the prefixes a key has.
    #[inline(always)]
    fn slot(&self, key: u64) -> Option<usize> {
        let prefix = key >> self.open;
        self.prefixes.iter().position(|p| *p == prefix)
    }

    /// Tells quickly of most keys that they have none of the prefixes.
    pub(super) fn filter(&self, key_bits: u32) -> Filter {
        let mut words = Box::new([0u64; CODES / 64]);
        let known = key_bits - self.open;
        for prefix in &self.prefixes {
            let top = (prefix >> (known - 16)) as usize;
            words[top / 64] |= 1 << (top % 64);
        }
        Filter { words, shift: key_bits - 16 }
    }

    /// Counters for [`Search::count`].
    pub(super) fn counters(&self) -> Vec<u64> {
        vec![0; self.prefixes.len() * CODES]
    }

    /// Counts the next bits of a key.
    #[inline(always)]
    pub(super) fn count(&self, key: u64, counters: &mut [u64]) {
        if let Some(slot) = self.slot(key) {
            let next = self.open.saturating_sub(16);
            let bits = (key & !(u64::MAX << self.open)) >> next;
            counters[slot * CODES + bits as usize] += 1;
        }
    }

    /// Whether a key has one of the prefixes.
    #[inline(always)]
    pub(super) fn matches(&self, key: u64) -> bool {
        self.slot(key).is_some()
    }

    /// Takes the counts of one further pass.
    pub(super) fn narrow(&mut self, counters: &[u64]) {
        let width = self.open.min(16);
        for target in &mut self.targets {
            let Some(slot) = self.prefixes.iter().position(|p| *p == target.0) else { continue };
            let table = &counters[slot * CODES..(slot + 1) * CODES];
            let (bits, rank) = locate(table.iter().copied().enumerate().map(|(bits, n)| (bits as u64, n)), target.1);
            *target = (target.0 << width | bits, rank);
        }
        let old = std::mem::take(&mut self.prefixes);
        self.open -= width;
        let at = |prefix: u64| {
            let slot = old.iter().position(|p| *p == prefix >> width);
            slot.map_or(0, |slot| counters[slot * CODES + (prefix & ((1 << width) - 1)) as usize])
        };
        self.settle(at);
    }

    /// The end of the search from all keys that have one of the prefixes.
    pub(super) fn pick(&mut self, mut keys: Vec<u64>) {
        keys.sort_unstable();
        for target in &mut self.targets {
            let start = keys.partition_point(|key| key >> self.open < target.0);
            let found = usize::try_from(target.1).ok().and_then(|rank| keys.get(start.checked_add(rank)?));
            *target = (found.copied().unwrap_or(0), 0);
        }
        self.open = 0;
    }

    /// The magnitudes, once the search is done.
    pub(super) fn quantiles(&self, class: &ElementClass) -> Quantiles {
        Quantiles(self.targets.map(|(key, _)| class.magnitude(key)))
    }
}

/// A bit for each value of the upper 16 bits of a key.
pub(super) struct Filter {
    words: Box<[u64; CODES / 64]>,
    shift: u32,
}

impl Filter {
    #[inline(always)]
    pub(super) fn passes(&self, key: u64) -> bool {
        let top = usize::from((key >> self.shift) as u16);
        self.words[top / 64] >> (top % 64) & 1 == 1
    }
}

/// The entry that holds the element of a rank, and the rank within it.
fn locate(entries: impl Iterator<Item = (u64, u64)>, mut rank: u64) -> (u64, u64) {
    let mut last = 0;
    for (entry, count) in entries {
        if rank < count {
            return (entry, rank);
        }
        rank -= count;
        last = entry;
    }
    (last, 0)
}
