//! The directories of a zip archive, bounded. Nothing is unpacked.
//!
//! Which directory an archive has depends on who reads it: PyTorch (miniz) goes by the places that the end records state, Python's zipfile by
//! what stands right before them, and both take a ZIP64 record wherever its locator stands. So every directory that one of them could
//! take is read, and that there are several is told.
//!
//! Source: PKWARE's APPNOTE 6.3.10, sections 4.3.7 (local header), 4.3.12 (central directory), 4.3.14 to 4.3.16 (ends), 4.5.3
//! (ZIP64 extra field); CPython ([`crate::pins::CPYTHON`]), `zipfile._EndRecData`; miniz 3.0, `mz_zip_reader_read_central_dir`.

use crate::error::Result;
use crate::source::{Source, read_exact_at};

/// The fixed part of an end record, and its longest comment.
const END: u64 = 22;
const TAIL: u64 = END + 65_535;
/// The fixed part of a ZIP64 end record, and its locator.
const LARGE_END: u64 = 56;
const LOCATOR: u64 = 20;
/// Most bytes of directories that are read: half a million entries of PyTorch's.
const MAX_DIRECTORY: u64 = 32 << 20;
/// Directories that are read.
const MAX_DIRECTORIES: usize = 8;
/// The fixed part of a local header.
const LOCAL_HEADER: u64 = 30;
/// What stands in a field of 32 bits whose value is in its ZIP64 counterpart.
const ELSEWHERE: u64 = u32::MAX as u64;

/// One entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
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

/// What the directories of an archive say.
#[derive(Debug, Clone, Default)]
pub(crate) struct Directory {
    /// The entries of all of them, each once.
    pub(crate) entries: Vec<Entry>,
    /// Why programs may see different archives in it.
    pub(crate) ambiguous: Option<String>,
    /// Why the entries are not all.
    pub(crate) incomplete: Option<String>,
    /// Whether that is a bound of ours.
    pub(crate) over_limit: bool,
}

impl Entry {
    /// Where the bytes of a member that is neither compressed nor encrypted stand; `None` for every other.
    ///
    /// # Errors
    /// What reading its local header fails with.
    pub(crate) fn stored(&self, source: &dyn Source) -> Result<Option<(u64, u64)>> {
        let place = if self.method == 0 { self.place(source)? } else { None };
        // Of two sizes that differ some take the one, some the other.
        Ok(place.map(|(start, _)| (start, start.saturating_add(self.size.max(self.packed)).min(source.len()))))
    }

    /// Where the bytes of a member that is compressed as gzip does stand; `None` for every other.
    ///
    /// # Errors
    /// What reading its local header fails with.
    pub(crate) fn deflated(&self, source: &dyn Source) -> Result<Option<(u64, u64)>> {
        if self.method == 8 { self.place(source) } else { Ok(None) }
    }

    fn place(&self, source: &dyn Source) -> Result<Option<(u64, u64)>> {
        if self.encrypted || self.offset.checked_add(LOCAL_HEADER).is_none_or(|end| end > source.len()) {
            return Ok(None);
        }
        let mut head = [0; LOCAL_HEADER as usize];
        read_exact_at(source, self.offset, &mut head)?;
        let start = self.offset.saturating_add(LOCAL_HEADER + u16_at(&head, 26) + u16_at(&head, 28));
        let end = start.checked_add(self.packed).filter(|end| *end <= source.len());
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

/// A place where some program looks for the directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Candidate {
    start: u64,
    size: u64,
    /// Bytes before the archive, which its offsets do not count.
    shift: u64,
}

/// The directories of an archive; `None` where no end record was found.
///
/// # Errors
/// Only what reading fails with.
pub(crate) fn directory(source: &dyn Source) -> Result<Option<Directory>> {
    let len = source.len();
    let tail_at = len - len.min(TAIL);
    let mut tail = vec![0; usize::try_from(len - tail_at).unwrap_or(0)];
    read_exact_at(source, tail_at, &mut tail)?;
    let mut candidates: Vec<Candidate> = Vec::new();
    let mut out = Directory::default();
    let ends = ends(&tail);
    let Some(last) = ends.first() else { return Ok(None) };
    if ends.len() > 1 {
        out.ambiguous = Some(format!("it has {} end records", ends.len()));
    }
    for at in &ends {
        let (size, start) = (u32_at(&tail, at + 12), u32_at(&tail, at + 16));
        let end_at = tail_at + *at as u64;
        let large = large_ends(source, &tail, *at, end_at)?;
        for &(size, start, record_at) in &large {
            places(size, start, record_at, len, &mut candidates);
        }
        if large.is_empty() {
            places(size, start, end_at, len, &mut candidates);
        } else if size != ELSEWHERE && start != ELSEWHERE {
            places(size, start, start.saturating_add(size), len, &mut candidates);
        }
        let agrees = |(large_size, large_start, _): &(u64, u64, u64)| {
            (size == ELSEWHERE || size == *large_size) && (start == ELSEWHERE || start == *large_start)
        };
        if at == last && !large.iter().all(agrees) {
            out.ambiguous = Some("its end record and its ZIP64 end record name different directories".to_owned());
        }
    }
    read(source, &candidates, &mut out)?;
    Ok(Some(out))
}

/// Places of the end records in the last bytes: the last one, which programs take, and those whose comment reaches to the end.
fn ends(tail: &[u8]) -> Vec<usize> {
    let mut found = Vec::new();
    let mut search = tail.len();
    while let Some(at) = tail[..search].windows(4).rposition(|w| w == b"PK\x05\x06") {
        let comment = usize::try_from(u16_at(tail, at + 20)).unwrap_or(0);
        let whole = at + 22 <= tail.len();
        if whole && (found.is_empty() || at + 22 + comment == tail.len()) && found.len() < MAX_DIRECTORIES {
            found.push(at);
        }
        search = at + 3;
    }
    found
}

/// Size, start and own place of the ZIP64 end records that the locator before an end record leads to: where it says, as miniz reads it,
/// and right before it, as Python does.
fn large_ends(source: &dyn Source, tail: &[u8], end: usize, end_at: u64) -> Result<Vec<(u64, u64, u64)>> {
    let before = |bytes: u64| end_at.checked_sub(bytes);
    let Some(locator) = end.checked_sub(20).map(|at| &tail[at..end]).filter(|l| l.starts_with(b"PK\x06\x07")) else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    for at in [Some(u64_at(locator, 8)), before(LOCATOR + LARGE_END)].into_iter().flatten() {
        let mut record = [0; LARGE_END as usize];
        if at.checked_add(LARGE_END).is_none_or(|end| end > source.len()) {
            continue;
        }
        read_exact_at(source, at, &mut record)?;
        let one = (u64_at(&record, 40), u64_at(&record, 48), at);
        if record.starts_with(b"PK\x06\x06") && !found.contains(&one) {
            found.push(one);
        }
    }
    Ok(found)
}

/// Where a directory of this size is: at the stated place, and right before its end record.
fn places(size: u64, start: u64, end_at: u64, len: u64, out: &mut Vec<Candidate>) {
    let before = end_at.checked_sub(size);
    let shifted = before.and_then(|at| Some(Candidate { start: at, size, shift: at.checked_sub(start)? }));
    for candidate in [Some(Candidate { start, size, shift: 0 }), shifted].into_iter().flatten() {
        let inside = candidate.start.checked_add(size).is_some_and(|end| end <= len);
        if inside && !out.contains(&candidate) {
            out.push(candidate);
        }
    }
}

/// Reads what stands at the places; those that hold no directory are passed by, as programs do.
fn read(source: &dyn Source, candidates: &[Candidate], out: &mut Directory) -> Result<()> {
    let mut left = MAX_DIRECTORY;
    let mut first: Option<Vec<Entry>> = None;
    if candidates.is_empty() {
        out.incomplete = Some("its end record names a directory that is not there".to_owned());
    }
    for candidate in candidates {
        let mut magic = [0; 4];
        if candidate.size == 0 || source.read_at(candidate.start, &mut magic)? < 4 || magic != *b"PK\x01\x02" {
            continue;
        }
        let Some(rest) = left.checked_sub(candidate.size) else {
            out.over_limit = true;
            let size = candidate.size;
            out.incomplete = Some(format!("its directory has {size} bytes, more than the {MAX_DIRECTORY} that are read"));
            continue;
        };
        left = rest;
        let mut bytes = vec![0; usize::try_from(candidate.size).unwrap_or(0)];
        read_exact_at(source, candidate.start, &mut bytes)?;
        let (found, whole) = entries(&bytes, candidate.shift);
        if !whole {
            out.incomplete = Some("its directory ends in something else than entries".to_owned());
        }
        match &first {
            None => first = Some(found),
            Some(other) if *other == found => {}
            Some(_) => {
                out.ambiguous.get_or_insert_with(|| "it has two directories that say different things".to_owned());
                out.entries.extend(found);
            }
        }
    }
    let mut all = first.unwrap_or_default();
    if !out.entries.is_empty() {
        let known: std::collections::HashSet<(&[u8], u64)> = all.iter().map(|e| (e.name.as_slice(), e.offset)).collect();
        let more: Vec<Entry> = out.entries.drain(..).filter(|e| !known.contains(&(e.name.as_slice(), e.offset))).collect();
        all.extend(more);
    }
    out.entries = all;
    Ok(())
}

/// The entries, and whether nothing else stands between and behind them.
fn entries(mut bytes: &[u8], shift: u64) -> (Vec<Entry>, bool) {
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
        entry.offset = entry.offset.saturating_add(shift);
        out.push(entry);
        let Some(rest) = bytes.get(46 + name + extra + comment..) else { break };
        bytes = rest;
    }
    // Behind the entries a digital signature may stand.
    let whole = bytes.is_empty() || bytes.starts_with(b"PK\x05\x05");
    (out, whole)
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
