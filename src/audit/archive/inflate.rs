//! Unpacks what is compressed as zip, gzip and zlib do it, into memory and bounded.
//!
//! Source of the heads: RFC 1950 (zlib), RFC 1952 (gzip). Checksums are not compared: what a loader would refuse is looked at too.

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};

use crate::error::Result;
use crate::source::{Source, read_exact_at};

/// Most bytes that are read; what they unpack to is for the caller to bound.
const MAX_PACKED: u64 = 32 << 20;

/// What was unpacked, and whether that is all.
#[derive(Debug, Default)]
pub(crate) struct Inflated {
    /// The bytes, as far as they go.
    pub(crate) bytes: Vec<u8>,
    /// Why they are not all.
    pub(crate) incomplete: Option<&'static str>,
}

const DAMAGED: &str = "its compressed data make no sense";
const TOO_LONG: &str = "it unpacks to more than is looked at";

/// Unpacks a stretch of deflated data, some `most` bytes of it.
///
/// # Errors
/// Only what reading fails with.
pub(crate) fn deflate(source: &dyn Source, start: u64, end: u64, most: usize) -> Result<Inflated> {
    let wanted = end.saturating_sub(start);
    let mut packed = vec![0; usize::try_from(wanted.min(MAX_PACKED)).unwrap_or(0)];
    read_exact_at(source, start, &mut packed)?;
    let mut out = unpack(&packed, most);
    if out.incomplete == Some(DAMAGED) && wanted > MAX_PACKED {
        out.incomplete = Some(TOO_LONG);
    }
    Ok(out)
}

/// Unpacks a zlib file.
///
/// # Errors
/// Only what reading fails with.
pub(crate) fn zlib(source: &dyn Source, most: usize) -> Result<Inflated> {
    deflate(source, 2, source.len(), most)
}

/// Unpacks a gzip file: its first member.
///
/// # Errors
/// Only what reading fails with.
pub(crate) fn gzip(source: &dyn Source, most: usize) -> Result<Inflated> {
    let mut head = vec![0; 64 << 10];
    let read = source.read_at(0, &mut head)?;
    head.truncate(read);
    let flags = head.get(3).copied().unwrap_or(0);
    let text = |at: usize| head.get(at..).and_then(|rest| rest.iter().position(|b| *b == 0)).map(|n| at + n + 1);
    let mut at = Some(10);
    if flags & 4 != 0 {
        at = head.get(10..12).map(|len| 12 + usize::from(u16::from_le_bytes([len[0], len[1]])));
    }
    for flag in [8, 16] {
        if flags & flag != 0 {
            at = at.and_then(text);
        }
    }
    if flags & 2 != 0 {
        at = at.map(|at| at + 2);
    }
    match at {
        Some(at) if at as u64 <= source.len() => deflate(source, at as u64, source.len(), most),
        _ => Ok(Inflated { bytes: Vec::new(), incomplete: Some(DAMAGED) }),
    }
}

/// Unpacks as far as the data make sense, into at most so many bytes.
fn unpack(packed: &[u8], most: usize) -> Inflated {
    let mut state = Box::<DecompressorOxide>::default();
    let mut bytes = vec![0; packed.len().saturating_mul(2).clamp(256, most.max(256))];
    let (mut read, mut written) = (0, 0);
    let incomplete = loop {
        let rest = packed.get(read..).unwrap_or_default();
        let (status, taken, made) = decompress(&mut state, rest, &mut bytes, written, TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF);
        (read, written) = (read + taken, written + made);
        match status {
            TINFLStatus::Done => break None,
            TINFLStatus::HasMoreOutput if bytes.len() < most => bytes.resize(bytes.len().saturating_mul(2).min(most), 0),
            TINFLStatus::HasMoreOutput => break Some(TOO_LONG),
            _ => break Some(DAMAGED),
        }
    };
    bytes.truncate(written);
    Inflated { bytes, incomplete }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::MemorySource;

    const MOST: usize = 1 << 20;

    fn hex(text: &str) -> Vec<u8> {
        text.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
    }

    /// Packed by CPython's zlib and gzip: fixed and dynamic codes, stored blocks, names in the header.
    #[test]
    fn what_python_packed_is_unpacked() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/audit/inflate.txt");
        let fixtures = std::fs::read_to_string(path).unwrap();
        let mut seen = 0;
        for line in fixtures.lines().filter(|line| !line.starts_with('#')) {
            let [kind, packed, plain] = line.split(' ').collect::<Vec<_>>().try_into().unwrap();
            let source = MemorySource::new("x", hex(packed));
            let found = match kind {
                "zlib" => zlib(&source, MOST),
                "gzip" => gzip(&source, MOST),
                _ => deflate(&source, 0, source.len(), MOST),
            };
            let found = found.unwrap();
            assert_eq!(found.incomplete, None, "{line}");
            let (unit, times) = plain.split_once('x').unwrap();
            assert_eq!(found.bytes, hex(unit).repeat(times.parse().unwrap()), "{line}");
            seen += 1;
            // Whatever is cut ends, and gives no more.
            for cut in 0..packed.len() / 2 {
                let source = MemorySource::new("x", hex(&packed[..2 * cut]));
                let part = if kind == "gzip" { gzip(&source, MOST) } else { deflate(&source, 0, source.len(), MOST) };
                assert!(part.unwrap().bytes.len() <= 1 << 20);
            }
        }
        assert!(seen >= 6);
    }

    #[test]
    fn bombs_end() {
        // 100 MB of zeros in 100 kB, made of one block that repeats itself.
        let mut bits = vec![0x01 | 0x02];
        bits.extend([0xff; 64]);
        let found = deflate(&MemorySource::new("x", bits), 0, 65, MOST).unwrap();
        assert!(found.bytes.len() <= MOST + 258 && found.incomplete.is_some());
    }
}
