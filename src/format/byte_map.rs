//! Every byte of a file with a label: the labels tile the file.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;

use serde::Serialize;

use super::{Container, Defect, DefectKind, Format};
use crate::units::grouped;

/// What a range of bytes is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegionKind {
    /// The fixed start of the file.
    Magic,
    /// GGUF keys.
    Metadata,
    /// The JSON header, or GGUF tensor infos.
    Header,
    /// Bytes that only align what follows.
    Padding,
    /// One tensor's data: its index.
    Tensor(u32),
    /// Bytes between tensors that belong to none.
    Gap,
    /// Bytes that two or more tensors claim.
    Overlap,
    /// Bytes after the last tensor.
    Trailing,
}

/// A labelled range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Region {
    /// What it is.
    pub kind: RegionKind,
    /// Where it lies in the file.
    pub range: Range<u64>,
}

/// Bytes per label; they sum to the length of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Regions {
    /// Fixed start.
    pub magic: u64,
    /// JSON header, or GGUF tensor infos.
    pub header: u64,
    /// GGUF keys.
    pub metadata: u64,
    /// Alignment.
    pub padding: u64,
    /// Data of exactly one tensor.
    pub tensors: u64,
    /// Belonging to nothing, between tensors.
    pub gap: u64,
    /// Claimed by two or more tensors.
    pub overlap: u64,
    /// After the last tensor.
    pub trailing: u64,
}

impl Regions {
    /// The sum of all labels.
    pub fn total(&self) -> u64 {
        self.magic + self.header + self.metadata + self.padding + self.tensors + self.gap + self.overlap + self.trailing
    }
}

/// The labelled ranges of a file, in file order, without holes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByteMap {
    regions: Vec<Region>,
}

impl ByteMap {
    /// Derives the map from what the header says.
    pub fn of(container: &Container) -> Self {
        let layout = &container.layout;
        let mut map = Builder { regions: Vec::with_capacity(container.tensors.len() + 4), pos: 0, end: container.file_len };
        map.until(layout.magic, RegionKind::Magic);
        map.until(layout.magic + layout.metadata, RegionKind::Metadata);
        map.until(layout.magic + layout.metadata + layout.header, RegionKind::Header);
        map.until(layout.data_start, RegionKind::Padding);
        map.tensors(container);
        Self { regions: map.regions }
    }

    /// The ranges in file order.
    pub fn regions(&self) -> &[Region] {
        &self.regions
    }

    /// Bytes per label.
    pub fn totals(&self) -> Regions {
        let mut totals = Regions::default();
        for region in &self.regions {
            let slot = match region.kind {
                RegionKind::Magic => &mut totals.magic,
                RegionKind::Metadata => &mut totals.metadata,
                RegionKind::Header => &mut totals.header,
                RegionKind::Padding => &mut totals.padding,
                RegionKind::Tensor(_) => &mut totals.tensors,
                RegionKind::Gap => &mut totals.gap,
                RegionKind::Overlap => &mut totals.overlap,
                RegionKind::Trailing => &mut totals.trailing,
            };
            *slot += region.range.end - region.range.start;
        }
        totals
    }
}

struct Builder {
    regions: Vec<Region>,
    pos: u64,
    end: u64,
}

impl Builder {
    /// Labels everything up to `to`; nothing beyond the end of the file.
    fn until(&mut self, to: u64, kind: RegionKind) {
        let to = to.min(self.end);
        if to <= self.pos {
            return;
        }
        match self.regions.last_mut() {
            Some(last) if last.kind == kind => last.range.end = to,
            _ => self.regions.push(Region { kind, range: self.pos..to }),
        }
        self.pos = to;
    }

    /// Sweeps over the tensors by their start, with a heap of the ends of those that cover the present place.
    fn tensors(&mut self, container: &Container) {
        let order = by_offset(container);
        let mut active: BinaryHeap<Reverse<(u64, u32)>> = BinaryHeap::new();
        for &index in &order {
            let tensor = &container.tensors[index as usize];
            self.advance(tensor.offset, &mut active, container);
            active.push(Reverse((tensor.end(), index)));
        }
        let last_end = order.iter().map(|&i| container.tensors[i as usize].end()).max().unwrap_or(container.layout.data_start);
        self.advance(last_end, &mut active, container);
        if container.format == Format::Gguf && !order.is_empty() {
            self.until(
                last_end.saturating_add(container.layout.alignment - 1) / container.layout.alignment * container.layout.alignment,
                RegionKind::Padding,
            );
        }
        self.until(self.end, RegionKind::Trailing);
    }

    fn advance(&mut self, to: u64, active: &mut BinaryHeap<Reverse<(u64, u32)>>, container: &Container) {
        let to = to.min(self.end);
        while self.pos < to {
            while active.peek().is_some_and(|Reverse((end, _))| *end <= self.pos) {
                active.pop();
            }
            match active.peek() {
                None => {
                    let kind = if is_padding(self.pos, to, container) { RegionKind::Padding } else { RegionKind::Gap };
                    self.until(to, kind);
                }
                Some(&Reverse((end, index))) => {
                    let kind = if active.len() == 1 { RegionKind::Tensor(index) } else { RegionKind::Overlap };
                    self.until(end.min(to), kind);
                }
            }
        }
    }
}

/// Whether bytes between tensors only bring the next one to its alignment.
fn is_padding(from: u64, to: u64, container: &Container) -> bool {
    let layout = &container.layout;
    let relative = from.saturating_sub(layout.data_start);
    container.format == Format::Gguf
        && relative.checked_next_multiple_of(layout.alignment) == Some(to.saturating_sub(layout.data_start))
}

/// Tensors that have bytes, by where they start.
fn by_offset(container: &Container) -> Vec<u32> {
    let tensors = &container.tensors;
    let mut order: Vec<u32> =
        (0..u32::try_from(tensors.len()).unwrap_or(u32::MAX)).filter(|&i| tensors[i as usize].bytes > 0).collect();
    let key = |&i: &u32| (tensors[i as usize].offset, tensors[i as usize].end());
    if !order.is_sorted_by_key(key) {
        order.sort_by_key(key);
    }
    order
}

/// Notes what the places of the tensors tell: data beyond the end, gaps, overlaps, trailing bytes.
pub(super) fn find_layout_defects(container: &mut Container) {
    let order = by_offset(container);
    let mut found = Vec::new();
    let mut covered = container.layout.data_start;
    for (rank, &index) in order.iter().enumerate() {
        let tensor = &container.tensors[index as usize];
        let name = || crate::text::escape_limited(&container.name(tensor), 80);
        let defect = |kind, stated, expected, message| Defect {
            kind,
            tensor: Some(index),
            offset: Some(tensor.offset),
            stated: Some(stated),
            expected: Some(expected),
            message,
        };
        if tensor.offset > covered && !is_padding(covered, tensor.offset, container) && covered < container.file_len {
            let hole = tensor.offset - covered;
            found.push(defect(
                DefectKind::Gap,
                tensor.offset,
                covered,
                format!("{} bytes before `{}` belong to no tensor (a hole)", grouped(hole), name()),
            ));
        } else if tensor.offset < covered && rank > 0 {
            let shared = covered.min(tensor.end()) - tensor.offset;
            found.push(defect(
                DefectKind::Overlap,
                tensor.offset,
                covered,
                format!("`{}` shares {} bytes with another tensor (overlap)", name(), grouped(shared)),
            ));
        }
        covered = covered.max(tensor.end());
        if found.len() > super::limits::MAX_DEFECTS {
            break;
        }
    }
    let end = order.iter().map(|&i| container.tensors[i as usize].end()).max().unwrap_or(container.layout.data_start);
    let padded_end = if container.format == Format::Gguf {
        end.saturating_add(container.layout.alignment - 1) / container.layout.alignment * container.layout.alignment
    } else {
        end
    };
    if end > container.file_len && !order.is_empty() {
        container.missing_bytes = end - container.file_len;
        let lost = order.iter().filter(|&&i| container.tensors[i as usize].end() > container.file_len).count();
        let first = order.iter().find(|&&i| container.tensors[i as usize].end() > container.file_len).copied();
        let name =
            first.map_or_else(String::new, |i| crate::text::escape_limited(&container.name(&container.tensors[i as usize]), 80));
        found.push(Defect {
            kind: DefectKind::Truncated,
            tensor: first,
            offset: Some(container.file_len),
            stated: Some(container.file_len),
            expected: Some(end),
            message: format!(
                "incomplete: {} of {} bytes are there ({} missing); {lost} of {} tensors reach beyond the end, the first is `{name}` (truncated); finish or repeat the download",
                grouped(container.file_len),
                grouped(end),
                grouped(container.missing_bytes),
                container.tensors.len()
            ),
        });
    } else if container.file_len > padded_end {
        let extra = container.file_len - padded_end;
        found.push(Defect {
            kind: DefectKind::TrailingBytes,
            tensor: None,
            offset: Some(padded_end),
            stated: Some(container.file_len),
            expected: Some(padded_end),
            message: format!("{} bytes after the last tensor belong to nothing (trailing bytes)", grouped(extra)),
        });
    }
    for defect in found {
        container.push_defect(defect);
    }
}
