//! The directory of a zip archive, bounded, with the fields of ZIP64 that PyTorch writes for archives over 4 GiB. Nothing is
//! unpacked.
//!
//! Source: PKWARE's APPNOTE 6.3.10, sections 4.3.7 (local header), 4.3.12 (central directory), 4.3.14 to 4.3.16 (ends), 4.5.3
//! (ZIP64 extra field).

use crate::error::Result;
use crate::source::{Source, read_exact_at};

/// The end record and the longest comment.
const TAIL: u64 = 22 + 65_535;
/// Most bytes of a directory that are read: half a million entries of PyTorch's.
const MAX_DIRECTORY: u64 = 32 << 20;
/// The fixed part of a local header.
const LOCAL_HEADER: u64 = 30;
/// What stands in a field of 32 bits whose value is in its ZIP64 counterpart.
const ELSEWHERE: u64 = u32::MAX as u64;

/// One entry of a directory.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// The name as the directory spells it.
    pub(crate) name: Vec<u8>,
    /// Bytes of the unpacked member.
    pub(crate) size: u64,
    /// Bytes that the member takes in the archive.
    pub(crate) packed: u64,
    method: u16,
    encrypted: bool,
    offset: u64,
}

impl Entry {
    /// Where the bytes of a member that is neither compressed nor encrypted stand; `None` for every other.
    ///
    /// # Errors
    /// What reading its local header fails with.
    pub(crate) fn stored(&self, source: &dyn Source) -> Result<Option<(u64, u64)>> {
        if self.method != 0 || self.encrypted || self.offset.checked_add(LOCAL_HEADER).is_none_or(|end| end > source.len()) {
            return Ok(None);
        }
        let mut head = [0; 30];
        read_exact_at(source, self.offset, &mut head)?;
        let start = self.offset.saturating_add(LOCAL_HEADER + u16_at(&head, 26) + u16_at(&head, 28));
        let end = start.checked_add(self.size).filter(|end| *end <= source.len());
        Ok(end.filter(|_| head.starts_with(b"PK\x03\x04")).map(|end| (start, end)))
    }

    /// Takes the values that did not fit from the ZIP64 extra field, where they stand in this order.
    fn widen(&mut self, mut extra: &[u8]) {
        while extra.len() >= 4 {
            let len = usize::try_from(u16_at(extra, 2)).unwrap_or(0);
            let Some(field) = extra.get(4..4 + len) else { return };
            if extra.starts_with(&[1, 0]) {
                let mut values = field.as_chunks::<8>().0.iter().map(|b| u64::from_le_bytes(*b));
                for value in [&mut self.size, &mut self.packed, &mut self.offset] {
                    if *value == ELSEWHERE {
                        *value = values.next().unwrap_or(*value);
                    }
                }
                return;
            }
            extra = &extra[4 + len..];
        }
    }
}

/// An entry whose bytes begin before those of the one in front of it have ended, with that one. What a local header holds beside
/// its fixed part is not counted: entries that lie apart are never taken for such.
pub(crate) fn overlapping(entries: &[Entry]) -> Option<(&Entry, &Entry)> {
    let mut by_place: Vec<&Entry> = entries.iter().collect();
    by_place.sort_by_key(|e| e.offset);
    let end = |e: &Entry| e.offset.saturating_add(LOCAL_HEADER).saturating_add(e.packed);
    by_place.windows(2).find(|pair| end(pair[0]) > pair[1].offset).map(|pair| (pair[0], pair[1]))
}

/// The entries of the central directory; `None` where there is none that could be read.
///
/// # Errors
/// Only what reading fails with.
pub(crate) fn directory(source: &dyn Source) -> Result<Option<Vec<Entry>>> {
    let len = source.len();
    let tail_at = len - len.min(TAIL);
    let mut tail = vec![0; usize::try_from(len - tail_at).unwrap_or(0)];
    read_exact_at(source, tail_at, &mut tail)?;
    let Some(at) = tail.windows(22).rposition(|w| w.starts_with(b"PK\x05\x06")) else { return Ok(None) };
    let (mut size, mut start) = (u32_at(&tail, at + 12), u32_at(&tail, at + 16));
    if size == ELSEWHERE || start == ELSEWHERE {
        let Some(large) = large_end(source, &tail, at)? else { return Ok(None) };
        (size, start) = large;
    }
    if size > MAX_DIRECTORY || start.checked_add(size).is_none_or(|end| end > len) {
        return Ok(None);
    }
    let mut bytes = vec![0; usize::try_from(size).unwrap_or(0)];
    read_exact_at(source, start, &mut bytes)?;
    Ok(Some(entries(&bytes)))
}

/// Size and start of the directory from the ZIP64 end record, which a locator before the old end record points to.
fn large_end(source: &dyn Source, tail: &[u8], end: usize) -> Result<Option<(u64, u64)>> {
    let Some(locator) = end.checked_sub(20).map(|at| &tail[at..end]).filter(|l| l.starts_with(b"PK\x06\x07")) else {
        return Ok(None);
    };
    let at = u64_at(locator, 8);
    let mut record = [0; 56];
    if at.checked_add(56).is_none_or(|end| end > source.len()) {
        return Ok(None);
    }
    read_exact_at(source, at, &mut record)?;
    Ok(record.starts_with(b"PK\x06\x06").then(|| (u64_at(&record, 40), u64_at(&record, 48))))
}

fn entries(mut bytes: &[u8]) -> Vec<Entry> {
    let mut out = Vec::new();
    while bytes.len() >= 46 && bytes.starts_with(b"PK\x01\x02") {
        let [name, extra, comment] = [28, 30, 32].map(|at| usize::try_from(u16_at(bytes, at)).unwrap_or(0));
        let Some(record) = bytes.get(46..46 + name + extra) else { break };
        let mut entry = Entry {
            name: record[..name].to_vec(),
            size: u32_at(bytes, 24),
            packed: u32_at(bytes, 20),
            method: u16::from_le_bytes([bytes[10], bytes[11]]),
            encrypted: bytes[8] & 1 != 0,
            offset: u32_at(bytes, 42),
        };
        entry.widen(&record[name..]);
        out.push(entry);
        let Some(rest) = bytes.get(46 + name + extra + comment..) else { break };
        bytes = rest;
    }
    out
}

/// A little-endian number at a place; 0 beyond the end.
fn number_at<const N: usize>(bytes: &[u8], at: usize) -> u64 {
    let mut wide = [0; 8];
    if let Some(part) = bytes.get(at..at + N) {
        wide[..N].copy_from_slice(part);
    }
    u64::from_le_bytes(wide)
}

fn u16_at(bytes: &[u8], at: usize) -> u64 {
    number_at::<2>(bytes, at)
}

fn u32_at(bytes: &[u8], at: usize) -> u64 {
    number_at::<4>(bytes, at)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    number_at::<8>(bytes, at)
}
