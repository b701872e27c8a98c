//! A name cut at its dots, without allocation.

/// Pieces that are looked at; names of real models have up to 16, the last piece is always kept.
const MAX_SEGMENTS: usize = 24;

/// The dot-separated pieces of a name.
pub(super) struct Segments<'a> {
    pieces: [&'a str; MAX_SEGMENTS],
    len: usize,
}

impl<'a> Segments<'a> {
    pub(super) fn of(name: &'a str) -> Self {
        let mut pieces = [""; MAX_SEGMENTS];
        let mut len = 0;
        for piece in name.split('.') {
            // A hostile name of more pieces keeps its first ones and its last.
            if len == MAX_SEGMENTS {
                pieces[MAX_SEGMENTS - 1] = piece;
            } else {
                pieces[len] = piece;
                len += 1;
            }
        }
        Self { pieces, len }
    }

    pub(super) fn all(&self) -> &[&'a str] {
        &self.pieces[..self.len]
    }

    /// The last piece: `weight`, `bias`, or the parameter itself.
    pub(super) fn leaf(&self) -> &'a str {
        self.all().last().copied().unwrap_or("")
    }
}

/// A piece that is a plain number.
pub(super) fn index(piece: &str) -> Option<u32> {
    if piece.is_empty() || !piece.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    piece.parse().ok()
}

/// Rows by key, in the order of the keys.
pub(super) struct Table<T: 'static> {
    rows: &'static [(&'static str, T)],
    /// For each first byte the lengths of its keys, a bit each: settles most of what is not there without comparing text.
    lengths: [u32; 128],
}

impl<T: Copy> Table<T> {
    /// A table of ASCII keys of 1 to 31 bytes, sorted.
    pub(super) const fn new(rows: &'static [(&'static str, T)]) -> Self {
        let mut lengths = [0u32; 128];
        let mut i = 0;
        while i < rows.len() {
            let key = rows[i].0.as_bytes();
            lengths[key[0] as usize] |= 1 << key.len();
            i += 1;
        }
        Self { rows, lengths }
    }

    pub(super) fn get(&self, key: &str) -> Option<T> {
        let lengths = *self.lengths.get(usize::from(*key.as_bytes().first()?))?;
        if key.len() > 31 || lengths & (1 << key.len()) == 0 {
            return None;
        }
        self.rows.binary_search_by(|(k, _)| (*k).cmp(key)).ok().map(|i| self.rows[i].1)
    }

    /// Whether it is sorted and free of duplicates.
    #[cfg(test)]
    pub(super) fn is_sorted(&self) -> bool {
        self.rows.windows(2).all(|pair| pair[0].0 < pair[1].0)
    }
}
