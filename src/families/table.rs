//! Rows that are found by a short key.

/// Rows by key, in the order of the keys.
pub(crate) struct Table<T: 'static> {
    rows: &'static [(&'static str, T)],
    /// For each first byte the lengths of its keys, a bit each: settles most of what is not there without comparing text.
    lengths: [u32; 128],
}

impl<T: Copy> Table<T> {
    /// A table of ASCII keys of 1 to 31 bytes, sorted.
    pub(crate) const fn new(rows: &'static [(&'static str, T)]) -> Self {
        let mut lengths = [0u32; 128];
        let mut i = 0;
        while i < rows.len() {
            let key = rows[i].0.as_bytes();
            lengths[key[0] as usize] |= 1 << key.len();
            i += 1;
        }
        Self { rows, lengths }
    }

    pub(crate) fn get(&self, key: &str) -> Option<T> {
        let lengths = *self.lengths.get(usize::from(*key.as_bytes().first()?))?;
        if key.len() > 31 || lengths & (1 << key.len()) == 0 {
            return None;
        }
        self.rows.binary_search_by(|(k, _)| (*k).cmp(key)).ok().map(|i| self.rows[i].1)
    }

    /// Whether it is sorted and free of duplicates.
    #[cfg(test)]
    pub(crate) fn is_sorted(&self) -> bool {
        self.rows.windows(2).all(|pair| pair[0].0 < pair[1].0)
    }
}
