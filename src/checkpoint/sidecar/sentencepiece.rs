//! `tokenizer.model` of SentencePiece: a protocol buffer, of which the pieces and a few settings are read.
//!
//! Source: `sentencepiece_model.proto`: ModelProto { 1: pieces { 1: piece, 2: score, 3: type }, 2: trainer_spec { 3: model_type },
//! 3: normalizer_spec { 2: precompiled_charsmap, 3: add_dummy_prefix, 4: remove_extra_whitespaces } }.

use crate::error::{Error, ErrorKind, Result};
use crate::format::Budget;

/// Memory of a piece, in a list that has grown by doubling.
const PIECE: u64 = 2 * size_of::<Piece>() as u64;

/// What a piece is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PieceKind {
    /// An ordinary piece.
    Normal,
    /// The unknown token.
    Unknown,
    /// A control token.
    Control,
    /// A user's token.
    UserDefined,
    /// A byte.
    Byte,
    /// A number without use.
    Unused,
}

/// One piece.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Its bytes.
    pub bytes: u64,
    /// What it is.
    pub kind: PieceKind,
}

/// The facts of a SentencePiece model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentencePiece {
    /// The pieces by number.
    pub pieces: Vec<Piece>,
    /// 1 unigram, 2 BPE, 3 word, 4 character.
    pub model_type: u64,
    /// Bytes of the compiled normalization table.
    pub charsmap_bytes: u64,
}

/// One field: its number, and the number or bytes that it holds.
enum Field<'b> {
    Number(u64, u64),
    Bytes(u64, &'b [u8]),
}

struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    fn varint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn take(&mut self, n: u64) -> Option<&'b [u8]> {
        let (head, rest) = self.0.split_at_checked(usize::try_from(n).ok()?)?;
        self.0 = rest;
        Some(head)
    }

    /// The next field; `Some(None)` at the end, `None` where the bytes are no protocol buffer.
    fn field(&mut self) -> Option<Option<Field<'b>>> {
        if self.0.is_empty() {
            return Some(None);
        }
        let tag = self.varint()?;
        let number = tag >> 3;
        Some(Some(match tag & 7 {
            0 => Field::Number(number, self.varint()?),
            1 => Field::Bytes(number, self.take(8)?),
            2 => {
                let n = self.varint()?;
                Field::Bytes(number, self.take(n)?)
            }
            5 => Field::Bytes(number, self.take(4)?),
            _ => return None,
        }))
    }
}

fn piece(bytes: &[u8]) -> Option<Piece> {
    let mut reader = Reader(bytes);
    let mut piece = Piece { bytes: 0, kind: PieceKind::Normal };
    while let Some(field) = reader.field()? {
        match field {
            Field::Bytes(1, text) => piece.bytes = text.len() as u64,
            Field::Number(3, kind) => {
                piece.kind = match kind {
                    2 => PieceKind::Unknown,
                    3 => PieceKind::Control,
                    4 => PieceKind::UserDefined,
                    5 => PieceKind::Unused,
                    6 => PieceKind::Byte,
                    _ => PieceKind::Normal,
                }
            }
            _ => {}
        }
    }
    Some(piece)
}

impl SentencePiece {
    /// Reads a whole file; what is kept of it is drawn from the budget.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`] where it is no SentencePiece model, [`ErrorKind::Limit`] where it has more pieces than are kept.
    pub fn parse(bytes: &[u8], budget: &Budget) -> Result<Self> {
        let mut over = false;
        let read = Self::read(bytes, &mut || {
            over = !budget.take(PIECE);
            (!over).then_some(())
        });
        read.ok_or_else(|| match over {
            true => {
                let most = budget.bytes() >> 20;
                Error::new(ErrorKind::Limit, format!("more pieces than are kept: they need more than {most} MiB of memory"))
            }
            false => Error::new(ErrorKind::Malformed, "it is no SentencePiece model"),
        })
    }

    fn read(bytes: &[u8], room: &mut dyn FnMut() -> Option<()>) -> Option<Self> {
        let mut model = Self { pieces: Vec::new(), model_type: 1, charsmap_bytes: 0 };
        let mut reader = Reader(bytes);
        while let Some(field) = reader.field()? {
            match field {
                Field::Bytes(1, bytes) => {
                    room()?;
                    model.pieces.push(piece(bytes)?);
                }
                Field::Bytes(2, bytes) => {
                    let mut spec = Reader(bytes);
                    while let Some(field) = spec.field()? {
                        if let Field::Number(3, kind) = field {
                            model.model_type = kind;
                        }
                    }
                }
                Field::Bytes(3, bytes) => {
                    let mut spec = Reader(bytes);
                    while let Some(field) = spec.field()? {
                        if let Field::Bytes(2, map) = field {
                            model.charsmap_bytes = map.len() as u64;
                        }
                    }
                }
                _ => {}
            }
        }
        (!model.pieces.is_empty()).then_some(model)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_read_and_cut_files_are_refused() {
        // piece "<s>" of type 3, piece "a"; trainer_spec with model_type 2.
        let bytes = [10, 12, 10, 3, b'<', b's', b'>', 21, 0, 0, 0, 0, 24, 3, 10, 3, 10, 1, b'a', 18, 2, 24, 2];
        let parse = |bytes: &[u8]| SentencePiece::parse(bytes, &Budget::new(2 * PIECE));
        let model = parse(&bytes).unwrap();
        assert_eq!(model.pieces, [Piece { bytes: 3, kind: PieceKind::Control }, Piece { bytes: 1, kind: PieceKind::Normal }]);
        assert_eq!(model.model_type, 2);
        for cut in 1..bytes.len() - 1 {
            let _ = parse(&bytes[..cut]);
        }
        assert_eq!(parse(&bytes[..5]).unwrap_err().kind(), ErrorKind::Malformed);
        assert_eq!(parse(&[0xff; 12]).unwrap_err().kind(), ErrorKind::Malformed);
        assert_eq!(parse(&[10, 0, 10, 0, 10, 0]).unwrap_err().kind(), ErrorKind::Limit);
    }
}
