//! The members of a tar archive, bounded. PyTorch's first form was one.
//!
//! Source: POSIX.1-2001 (ustar and pax) and GNU tar's long names and base-256 numbers, as CPython's `tarfile` reads them: a header counts if
//! its checksum is right, whatever its magic.

use crate::error::Result;
use crate::source::{Source, read_exact_at};

const BLOCK: u64 = 512;
/// Members that are looked at.
const MAX_MEMBERS: usize = 10_000;
/// Longest header of names and sizes (pax, GNU) that is read.
const MAX_NAMES: u64 = 64 << 10;

/// A member.
#[derive(Debug, Clone)]
pub(crate) struct Tarred {
    /// The name as it stands there.
    pub(crate) name: Vec<u8>,
    /// First byte and the one behind the last.
    pub(crate) place: (u64, u64),
}

/// Whether the first block is a header.
///
/// # Errors
/// Only what reading fails with.
pub(crate) fn is_tar(source: &dyn Source) -> Result<bool> {
    let mut block = [0; BLOCK as usize];
    Ok(source.read_at(0, &mut block)? == block.len() && header(&block).is_some())
}

/// The members that are files, and why the list is not the whole where it is not.
///
/// # Errors
/// Only what reading fails with.
pub(crate) fn members(source: &dyn Source) -> Result<(Vec<Tarred>, Option<String>)> {
    let mut out = Vec::new();
    let mut at = 0u64;
    let (mut long_name, mut long_size) = (None, None);
    for _ in 0..2 * MAX_MEMBERS {
        if at.checked_add(BLOCK).is_none_or(|end| end > source.len()) {
            return Ok((out, None));
        }
        let mut block = [0; BLOCK as usize];
        read_exact_at(source, at, &mut block)?;
        let Some((size, kind)) = header(&block) else {
            let ended = block.iter().all(|b| *b == 0);
            return Ok((out, (!ended).then(|| format!("byte {at} is no header of a member"))));
        };
        let start = at + BLOCK;
        let is_file = matches!(kind, 0 | b'0' | b'7' | b'S');
        let size = if is_file { long_size.take().unwrap_or(size) } else { size };
        let Some(end) = start.checked_add(size).filter(|end| *end <= source.len()) else {
            return Ok((out, Some(format!("a member of {size} bytes at byte {at} is cut short"))));
        };
        match kind {
            b'L' | b'x' | b'X' | b'g' if size > MAX_NAMES => {
                return Ok((out, Some(format!("a name of {size} bytes at byte {at}"))));
            }
            b'L' | b'x' | b'X' => {
                let mut text = vec![0; usize::try_from(size).unwrap_or(0)];
                read_exact_at(source, start, &mut text)?;
                if kind == b'L' {
                    long_name = Some(text.split(|b| *b == 0).next().unwrap_or_default().to_vec());
                } else {
                    let (name, size) = pax(&text);
                    (long_name, long_size) = (name.or(long_name), size);
                }
            }
            b'S' => return Ok((out, Some(format!("a sparse member at byte {at}")))),
            _ if is_file => {
                let short = block[..100].split(|b| *b == 0).next().unwrap_or_default().to_vec();
                out.push(Tarred { name: long_name.take().unwrap_or(short), place: (start, end) });
                if out.len() == MAX_MEMBERS {
                    return Ok((out, Some(format!("more than {MAX_MEMBERS} members"))));
                }
            }
            _ => long_name = None,
        }
        at = end.div_ceil(BLOCK).saturating_mul(BLOCK);
    }
    Ok((out, Some("more headers than are read".to_owned())))
}

/// Size and kind of a header whose checksum is right.
fn header(block: &[u8; BLOCK as usize]) -> Option<(u64, u8)> {
    let stated = number(&block[148..156])?;
    let others = || block.iter().enumerate().map(|(i, b)| if (148..156).contains(&i) { b' ' } else { *b });
    let unsigned: u64 = others().map(u64::from).sum();
    let signed: i64 = others().map(|b| i64::from(b.cast_signed())).sum();
    let right = stated == unsigned || i64::try_from(stated) == Ok(signed);
    right.then(|| Some((number(&block[124..136])?, block[156])))?
}

/// A number in octal digits, or in base 256 where the first byte is 0x80.
fn number(field: &[u8]) -> Option<u64> {
    if let [0x80, rest @ ..] = field {
        return rest.iter().try_fold(0u64, |n, b| n.checked_mul(256)?.checked_add(u64::from(*b)));
    }
    let text = field.split(|b| *b == 0).next().unwrap_or_default().trim_ascii();
    text.iter().try_fold(0u64, |n, b| {
        let digit = char::from(*b).to_digit(8)?;
        n.checked_mul(8)?.checked_add(u64::from(digit))
    })
}

/// `path` and `size` of records `LENGTH KEY=VALUE`.
fn pax(mut text: &[u8]) -> (Option<Vec<u8>>, Option<u64>) {
    let (mut name, mut size) = (None, None);
    while let Some(space) = text.iter().take(20).position(|b| *b == b' ') {
        let len = std::str::from_utf8(&text[..space]).ok().and_then(|n| n.parse::<usize>().ok());
        let Some(record) = len.and_then(|len| text.get(space + 1..len)) else { break };
        let record = record.strip_suffix(b"\n").unwrap_or(record);
        if let Some(path) = record.strip_prefix(b"path=") {
            name = Some(path.to_vec());
        } else if let Some(value) = record.strip_prefix(b"size=") {
            size = std::str::from_utf8(value).ok().and_then(|n| n.parse().ok());
        }
        text = &text[len.unwrap_or(text.len())..];
    }
    (name, size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::MemorySource;

    fn block(name: &str, size: u64, kind: u8) -> Vec<u8> {
        let mut block = vec![0; 512];
        block[..name.len()].copy_from_slice(name.as_bytes());
        block[124..135].copy_from_slice(format!("{size:011o}").as_bytes());
        block[156] = kind;
        block[148..156].fill(b' ');
        let sum: u64 = block.iter().map(|b| u64::from(*b)).sum();
        block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        block
    }

    fn padded(data: &[u8]) -> Vec<u8> {
        let mut data = data.to_vec();
        data.resize(data.len().next_multiple_of(512), 0);
        data
    }

    #[test]
    fn members_have_their_names_and_places() {
        let pax = b"20 path=a/long/name\n";
        let bytes = [
            block("pickle", 4, b'0'),
            padded(b"\x80\x02N."),
            block("folder/", 0, b'5'),
            block("x", pax.len() as u64, b'x'),
            padded(pax),
            block("short", 3, 0),
            padded(b"abc"),
            vec![0; 1024],
        ]
        .concat();
        let source = MemorySource::new("x.tar", bytes.clone());
        assert!(is_tar(&source).unwrap());
        let (found, cut) = members(&source).unwrap();
        let found: Vec<_> = found.iter().map(|m| (String::from_utf8_lossy(&m.name).into_owned(), m.place)).collect();
        assert_eq!(found, [("pickle".to_owned(), (512, 516)), ("a/long/name".to_owned(), (3072, 3075))]);
        assert_eq!(cut, None);
        let (found, cut) = members(&MemorySource::new("x.tar", bytes[..600].to_vec())).unwrap();
        assert_eq!((found.len(), cut), (1, None));
        let (_, cut) = members(&MemorySource::new("x.tar", bytes[..514].to_vec())).unwrap();
        assert!(cut.is_some_and(|why| why.contains("cut short")));
        assert!(!is_tar(&MemorySource::new("x", vec![0; 2048])).unwrap());
        assert!(!is_tar(&MemorySource::new("x", b"text\n".repeat(500))).unwrap());
    }
}
