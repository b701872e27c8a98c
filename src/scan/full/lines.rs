//! Which rows (or columns) of a matrix hold a value that is not zero: a bit each.

/// Most lines that are kept track of, a bit each: 2 MiB a thread. The largest vocabularies have some 300,000 rows.
pub(super) const MAX_LINES: u64 = 1 << 24;

/// Lines that were seen to hold something.
#[derive(Debug, Clone, Default)]
pub(super) struct Filled {
    words: Vec<u64>,
    lines: usize,
}

impl Filled {
    /// So many lines, all empty as yet; keeps no track of more than [`MAX_LINES`].
    pub(super) fn new(lines: u64) -> Self {
        let lines = if lines > MAX_LINES { 0 } else { usize::try_from(lines).unwrap_or(0) };
        Self { words: vec![0; lines.div_ceil(64)], lines }
    }

    /// Marks one.
    pub(super) fn set(&mut self, line: usize) {
        if let Some(word) = self.words.get_mut(line / 64) {
            *word |= 1 << (line % 64);
        }
    }

    /// Marks a run.
    pub(super) fn set_run(&mut self, start: usize, len: usize) {
        let (mut at, end) = (start, start.saturating_add(len).min(self.lines));
        while at < end {
            let stop = end.min((at / 64 + 1) * 64);
            let ones = if stop - at == 64 { u64::MAX } else { ((1 << (stop - at)) - 1) << (at % 64) };
            self.words[at / 64] |= ones;
            at = stop;
        }
    }

    /// Marks those whose bits are set in words that begin at a line divisible by 64.
    pub(super) fn set_words(&mut self, start: usize, words: &[u64]) {
        for (mine, word) in self.words.iter_mut().skip(start / 64).zip(words) {
            *mine |= word;
        }
    }

    /// What another has marked too.
    pub(super) fn merge(&mut self, other: &Self) {
        for (mine, word) in self.words.iter_mut().zip(&other.words) {
            *mine |= word;
        }
    }

    /// Lines without a mark; `None` where no track was kept.
    pub(super) fn empty(&self) -> Option<u64> {
        self.empty_runs(1)
    }

    /// Runs of `size` lines that are all without a mark.
    pub(super) fn empty_runs(&self, size: usize) -> Option<u64> {
        if self.lines == 0 || size == 0 {
            return None;
        }
        let mut runs = 0;
        let mut start = 0;
        while start + size <= self.lines {
            match (start..start + size).rev().find(|&line| self.words[line / 64] >> (line % 64) & 1 == 1) {
                Some(_) => {}
                None => runs += 1,
            }
            start += size;
        }
        Some(runs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_and_single_lines() {
        let mut filled = Filled::new(300);
        filled.set_run(3, 130);
        filled.set(299);
        filled.set_run(298, 50);
        assert_eq!(filled.empty(), Some(300 - 130 - 2));
        // Runs of 3: 3 to 132 touch 44 of the 100, 298 and 299 the last.
        assert_eq!(filled.empty_runs(3), Some(100 - 44 - 1));
        filled.set_words(192, &[u64::MAX, 1]);
        assert_eq!(filled.empty(), Some(300 - 132 - 65));
        let mut other = Filled::new(300);
        other.set_run(0, 300);
        filled.merge(&other);
        assert_eq!(filled.empty(), Some(0));
        assert_eq!(Filled::new(MAX_LINES + 1).empty(), None);
    }
}
