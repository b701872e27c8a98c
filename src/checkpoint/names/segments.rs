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
