//! The header of a numpy file: whether its array holds Python objects, which are written as a pickle.
//!
//! Source: numpy, `lib/format.py` (magic, version, length of the header, a Python dictionary with `descr`). A dtype holds objects where
//! one of its parts is `O`; `numpy.dtype` takes lists of parts, parts separated by commas, and the word `object`.

use crate::error::Result;
use crate::source::{Source, read_exact_at};

/// Longest header that is read: numpy itself refuses to parse more than 10,000 bytes.
const MAX_HEADER: u64 = 64 << 10;

/// What a numpy file says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Array {
    /// Numbers or texts only.
    Plain,
    /// Python objects, as a pickle that begins at this byte.
    Objects(u64),
    /// No header that makes sense.
    Unclear,
}

/// Reads the header; `None` where the bytes are no numpy file.
///
/// # Errors
/// Only what reading fails with.
pub(crate) fn array(source: &dyn Source) -> Result<Option<Array>> {
    let mut head = [0; 12];
    let read = source.read_at(0, &mut head)?;
    if !head[..read].starts_with(b"\x93NUMPY") || read < 12 {
        return Ok(None);
    }
    let (at, len) = if head[6] == 1 {
        (10, u64::from(u16::from_le_bytes([head[8], head[9]])))
    } else {
        (12, u64::from(u32::from_le_bytes([head[8], head[9], head[10], head[11]])))
    };
    if len > MAX_HEADER || at + len > source.len() {
        return Ok(Some(Array::Unclear));
    }
    let mut header = vec![0; usize::try_from(len).unwrap_or(0)];
    read_exact_at(source, at, &mut header)?;
    Ok(Some(if holds_objects(&String::from_utf8_lossy(&header)) { Array::Objects(at + len) } else { Array::Plain }))
}

/// Whether any text in the header is a dtype of objects. Escapes are no part of what numpy writes.
fn holds_objects(header: &str) -> bool {
    let mut rest = header;
    while let Some(at) = rest.find(['\'', '"']) {
        let quote = &rest[at..=at];
        let Some((text, after)) = rest[at + 1..].split_once(quote) else { return true };
        if text.contains('\\') || text.split(',').any(is_object) {
            return true;
        }
        rest = after;
    }
    false
}

fn is_object(part: &str) -> bool {
    let part = part.trim_matches(|c: char| c.is_whitespace() || c.is_ascii_digit() || "|<>=()".contains(c));
    matches!(part, "O" | "object" | "object_" | "Object0" | "PyObject") || part.ends_with(")O")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::MemorySource;

    fn of(descr: &str) -> Option<Array> {
        let header = format!("{{'descr': {descr}, 'fortran_order': False, 'shape': (1,), }}\n");
        let bytes = [b"\x93NUMPY\x01\0", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), b"\x80\x02N."].concat();
        array(&MemorySource::new("x.npy", bytes)).unwrap()
    }

    #[test]
    fn objects_are_found_in_every_spelling() {
        for plain in ["'<f4'", "'|b1'", "'<U12'", "[('Object', '<f4'), ('b', '|S3')]", "'>c16'"] {
            assert_eq!(of(plain), Some(Array::Plain), "{plain}");
        }
        for objects in
            ["'|O'", "'O'", "\"|O8\"", "'object'", "[('a', '<f4'), ('b', '|O')]", "'i4,O'", "('O', (2,))", "'3O'", "'\\x4f'"]
        {
            assert!(matches!(of(objects), Some(Array::Objects(_))), "{objects}");
        }
        assert_eq!(array(&MemorySource::new("x.npy", b"\x93NUMPY\x01\0\xff\xff  ".to_vec())).unwrap(), Some(Array::Unclear));
        assert_eq!(array(&MemorySource::new("x.npy", b"\x80\x02N.".to_vec())).unwrap(), None);
    }
}
