//! Rows that are found by a short key.

/// Rows by key, in the order of the keys.
pub(crate) struct Table<T: 'static> {
    rows: &'static [(&'static str, T)],
    /// For each first byte the lengths of its keys, a bit each: settles most of what is not there without comparing text.
    lengths: [u32; 128],
    /// For each first byte where its rows begin and end.
    ranges: [(u16, u16); 128],
}

impl<T: Copy> Table<T> {
    /// A table of ASCII keys of 1 to 31 bytes, sorted.
    pub(crate) const fn new(rows: &'static [(&'static str, T)]) -> Self {
        let (mut lengths, mut ranges) = ([0u32; 128], [(0u16, 0u16); 128]);
        let mut i = 0;
        while i < rows.len() {
            let key = rows[i].0.as_bytes();
            let first = key[0] as usize;
            if lengths[first] == 0 {
                ranges[first].0 = i as u16;
            }
            lengths[first] |= 1 << key.len();
            ranges[first].1 = i as u16 + 1;
            i += 1;
        }
        Self { rows, lengths, ranges }
    }

    pub(crate) fn get(&self, key: &str) -> Option<T> {
        let first = usize::from(*key.as_bytes().first()?);
        let lengths = *self.lengths.get(first)?;
        if key.len() > 31 || lengths & (1 << key.len()) == 0 {
            return None;
        }
        let (from, to) = self.ranges[first];
        // Few rows begin alike, and fewer are as long.
        self.rows[usize::from(from)..usize::from(to)].iter().find(|(known, _)| *known == key).map(|(_, row)| *row)
    }

    /// Whether it is sorted and free of duplicates.
    #[cfg(test)]
    pub(crate) fn is_sorted(&self) -> bool {
        self.rows.windows(2).all(|pair| pair[0].0 < pair[1].0)
    }
}
