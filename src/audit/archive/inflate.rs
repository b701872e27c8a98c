//! Unpacks what is compressed as zip, gzip and zlib do it, into memory and bounded.
//!
//! Source: RFC 1951 (deflate), RFC 1950 (zlib), RFC 1952 (gzip). Checksums are not compared: what a loader would refuse is looked at too.

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
    let mut out = Inflated::default();
    let mut bits = Bits { bytes: &packed, at: 0, kept: 0, count: 0 };
    if inflate(&mut bits, &mut out, most).is_none() {
        let short = wanted > MAX_PACKED && bits.at >= packed.len();
        out.incomplete.get_or_insert(if short { TOO_LONG } else { DAMAGED });
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

/// Bits, the lowest of a byte first.
struct Bits<'b> {
    bytes: &'b [u8],
    at: usize,
    kept: u32,
    count: u32,
}

impl Bits<'_> {
    fn take(&mut self, wanted: u32) -> Option<u32> {
        while self.count < wanted {
            self.kept |= u32::from(*self.bytes.get(self.at)?) << self.count;
            self.at += 1;
            self.count += 8;
        }
        let value = self.kept & ((1 << wanted) - 1);
        self.kept >>= wanted;
        self.count -= wanted;
        Some(value)
    }

    /// The next whole bytes.
    fn bytes(&mut self, wanted: usize) -> Option<&[u8]> {
        (self.kept, self.count) = (0, 0);
        let found = self.bytes.get(self.at..self.at.checked_add(wanted)?)?;
        self.at += wanted;
        Some(found)
    }
}

/// A canonical Huffman code: how many codes there are of each length, and their symbols in order.
struct Code {
    counts: [u16; 16],
    symbols: Vec<u16>,
}

impl Code {
    fn new(lengths: &[u8]) -> Self {
        let mut counts = [0; 16];
        lengths.iter().for_each(|len| counts[usize::from(*len)] += 1);
        counts[0] = 0;
        let mut symbols: Vec<u16> = (0u16..).zip(lengths).filter(|(_, len)| **len > 0).map(|(symbol, _)| symbol).collect();
        symbols.sort_by_key(|symbol| lengths[usize::from(*symbol)]);
        Self { counts, symbols }
    }

    fn decode(&self, bits: &mut Bits<'_>) -> Option<u16> {
        let (mut code, mut first, mut index) = (0i32, 0i32, 0i32);
        for count in &self.counts[1..] {
            code |= i32::try_from(bits.take(1)?).ok()?;
            let count = i32::from(*count);
            if code - count < first {
                return self.symbols.get(usize::try_from(index + (code - first)).ok()?).copied();
            }
            index += count;
            first = (first + count) << 1;
            code <<= 1;
        }
        None
    }
}

const LENGTHS: [u16; 29] =
    [3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258];
const LENGTH_BITS: [u8; 29] = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];
const DISTANCES: [u16; 30] = [
    1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289,
    16385, 24577,
];
const DISTANCE_BITS: [u8; 30] = [0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13];
/// The order in which the lengths of the code for lengths stand.
const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/// Unpacks block after block; `None` where the data end or make no sense.
fn inflate(bits: &mut Bits<'_>, out: &mut Inflated, most: usize) -> Option<()> {
    loop {
        let last = bits.take(1)? == 1;
        match bits.take(2)? {
            0 => {
                let head = bits.bytes(4)?;
                let len = usize::from(u16::from_le_bytes([head[0], head[1]]));
                let plain = bits.bytes(len)?;
                out.bytes.extend_from_slice(plain);
            }
            1 => {
                let lengths: Vec<u8> =
                    (0..288).map(|s| [8, 9, 7, 8][usize::from(s > 143) + usize::from(s > 255) + usize::from(s > 279)]).collect();
                block(bits, &Code::new(&lengths), &Code::new(&[5; 30]), out, most)?;
            }
            2 => {
                let (literals, distances) = codes(bits)?;
                block(bits, &literals, &distances, out, most)?;
            }
            _ => return None,
        }
        if out.bytes.len() > most {
            out.incomplete = Some(TOO_LONG);
            return None;
        }
        if last {
            return Some(());
        }
    }
}

fn codes(bits: &mut Bits<'_>) -> Option<(Code, Code)> {
    let [literals, distances, lengths] =
        [(5, 257), (5, 1), (4, 4)].map(|(n, base)| Some(usize::try_from(bits.take(n)?).ok()? + base));
    let (literals, distances) = (literals?, distances?);
    let mut first = [0; 19];
    for place in &ORDER[..lengths?.min(19)] {
        first[*place] = u8::try_from(bits.take(3)?).ok()?;
    }
    let code = Code::new(&first);
    let mut all: Vec<u8> = Vec::new();
    while all.len() < literals + distances {
        let (value, times) = match code.decode(bits)? {
            symbol @ 0..=15 => (u8::try_from(symbol).ok()?, 1),
            16 => (*all.last()?, 3 + bits.take(2)?),
            17 => (0, 3 + bits.take(3)?),
            _ => (0, 11 + bits.take(7)?),
        };
        (0..times).for_each(|_| all.push(value));
    }
    let (literals, rest) = all.split_at(literals);
    Some((Code::new(literals), Code::new(&rest[..distances])))
}

fn block(bits: &mut Bits<'_>, literals: &Code, distances: &Code, out: &mut Inflated, most: usize) -> Option<()> {
    loop {
        match literals.decode(bits)? {
            literal @ 0..=255 => out.bytes.push(u8::try_from(literal).ok()?),
            256 => return Some(()),
            symbol => {
                let row = usize::from(symbol - 257);
                let len = usize::from(*LENGTHS.get(row)?) + usize::try_from(bits.take(u32::from(LENGTH_BITS[row]))?).ok()?;
                let row = usize::from(distances.decode(bits)?);
                let back = usize::from(*DISTANCES.get(row)?) + usize::try_from(bits.take(u32::from(DISTANCE_BITS[row]))?).ok()?;
                let from = out.bytes.len().checked_sub(back)?;
                for at in from..from + len {
                    out.bytes.push(out.bytes[at]);
                }
            }
        }
        if out.bytes.len() > most {
            out.incomplete = Some(TOO_LONG);
            return None;
        }
    }
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
