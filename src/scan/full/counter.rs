//! How often each code occurs.

/// Codes of a table.
pub(super) const CODES: usize = 65_536;

/// Two tables of counters, so that runs of one code do not wait for the counter just written. More tables gained nothing: the codes
/// of real weights are few, and their counters stay in the first-level cache.
pub(super) struct Counter {
    even: Box<[u32; CODES]>,
    odd: Box<[u32; CODES]>,
}

impl Counter {
    pub(super) fn new() -> Self {
        let table = || vec![0u32; CODES].into_boxed_slice().try_into().unwrap_or_else(|_| Box::new([0; CODES]));
        Self { even: table(), odd: table() }
    }

    /// Counts codes of two bytes.
    pub(super) fn halves(&mut self, bytes: &[u8]) {
        let (even, odd) = (&mut *self.even, &mut *self.odd);
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            let word = u64::from_le_bytes(*word);
            even[usize::from(word as u16)] += 1;
            odd[usize::from((word >> 16) as u16)] += 1;
            even[usize::from((word >> 32) as u16)] += 1;
            odd[usize::from((word >> 48) as u16)] += 1;
        }
        for code in rest.as_chunks::<2>().0 {
            even[usize::from(u16::from_le_bytes(*code))] += 1;
        }
    }

    /// Counts codes of a byte.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        let (even, odd) = (&mut *self.even, &mut *self.odd);
        let (pairs, rest) = bytes.as_chunks::<2>();
        for [a, b] in pairs {
            even[usize::from(*a)] += 1;
            odd[usize::from(*b)] += 1;
        }
        for code in rest {
            even[usize::from(*code)] += 1;
        }
    }

    /// Counts whatever comes.
    #[inline(always)]
    pub(super) fn all(&mut self, mut codes: impl Iterator<Item = u16>) {
        let (even, odd) = (&mut *self.even, &mut *self.odd);
        while let Some(code) = codes.next() {
            even[usize::from(code)] += 1;
            let Some(code) = codes.next() else { break };
            odd[usize::from(code)] += 1;
        }
    }

    /// How often the codes of a range occurred.
    pub(super) fn sum(&self, codes: std::ops::Range<usize>) -> u64 {
        let of = |table: &[u32; CODES]| table[codes.clone()].iter().map(|&n| u64::from(n)).sum::<u64>();
        of(&self.even) + of(&self.odd)
    }

    /// Adds what was counted to `totals` and begins anew.
    pub(super) fn drain(&mut self, totals: &mut [u64; CODES]) {
        for ((total, even), odd) in totals.iter_mut().zip(self.even.iter_mut()).zip(self.odd.iter_mut()) {
            *total += u64::from(*even) + u64::from(*odd);
            (*even, *odd) = (0, 0);
        }
    }

    /// The codes that occurred among the first `codes`, in order, with their counts; begins anew.
    pub(super) fn take(&mut self, codes: usize) -> Vec<(u16, u64)> {
        let mut found = Vec::new();
        for (code, (even, odd)) in self.even.iter_mut().zip(self.odd.iter_mut()).enumerate().take(codes) {
            if *even | *odd != 0 {
                found.push((code as u16, u64::from(*even) + u64::from(*odd)));
                (*even, *odd) = (0, 0);
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_counted_once() {
        let mut counter = Counter::new();
        let codes: Vec<u16> = (0..1003u32).map(|i| (i * i % 77 * 801) as u16).collect();
        let bytes: Vec<u8> = codes.iter().flat_map(|c| c.to_le_bytes()).collect();
        counter.halves(&bytes);
        counter.all(codes.iter().copied());
        let mut plain = std::collections::BTreeMap::new();
        for code in codes {
            *plain.entry(code).or_insert(0u64) += 2;
        }
        assert_eq!(counter.sum(0..CODES), 2006);
        assert_eq!(counter.take(CODES), plain.into_iter().collect::<Vec<_>>());
        assert_eq!(counter.sum(0..CODES), 0);
        counter.bytes(b"abcab");
        assert_eq!(counter.take(256), [(97, 2), (98, 2), (99, 1)]);
    }
}
