//! How tensors are cut: slices, leaves, units, and the order in which units are handed out.

use crate::dtype::Dtype;
use crate::stats::{LEAF_ELEMENTS, PartTensor};
use crate::units::Elements;

use super::{Part, ScanFile, ScanTensor, Skip, has_kernel};

/// Bytes of a unit, at most: enough that handing one out costs nothing, and a reader's buffer.
pub(super) const UNIT_BYTES: u64 = 1 << 20;

/// How one tensor is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slicing {
    pub(super) slices: u64,
    pub(super) slice_bytes: u64,
    pub(super) leaf_bytes: u64,
    pub(super) leaves_per_slice: u64,
    /// A unit is a node of this level of a slice's tree.
    pub(super) unit_level: u32,
}

impl Slicing {
    /// `Err` with the reason when the tensor cannot be scanned.
    pub(super) fn of(tensor: &ScanTensor) -> Result<Self, Skip> {
        if !has_kernel(tensor.dtype) {
            return Err(Skip::NoKernel);
        }
        if tensor.offset.checked_add(tensor.bytes).is_none() {
            return Err(Skip::BeyondEnd);
        }
        Self::cut(tensor.dtype, tensor.elements, tensor.bytes, tensor.slices).ok_or(Skip::SizeMismatch)
    }

    /// As [`Slicing::of`], for a tensor of a file: what reaches beyond the length that the file had when its header was read is not
    /// walked through, however much a header claims.
    pub(super) fn in_file(file: &ScanFile, tensor: &ScanTensor) -> Result<Self, Skip> {
        let slicing = Self::of(tensor)?;
        let len = file.identity.map_or(u64::MAX, |identity| identity.len);
        if tensor.offset.saturating_add(tensor.bytes) > len { Err(Skip::BeyondEnd) } else { Ok(slicing) }
    }

    /// How the tensor of a part's record was cut.
    pub(super) fn of_part(tensor: &PartTensor) -> Option<Self> {
        let name = tensor.dtype.as_deref()?;
        let dtype = Dtype::ALL.iter().copied().find(|dtype| dtype.name() == Some(name))?;
        Self::cut(dtype, tensor.elements, tensor.bytes, tensor.slices)
    }

    fn cut(dtype: Dtype, elements: u64, bytes: u64, slices: u64) -> Option<Self> {
        if dtype.bytes_of(Elements(elements))?.0 != bytes {
            return None;
        }
        let leaf_bytes = dtype.bytes_of(Elements(LEAF_ELEMENTS))?.0;
        if elements == 0 {
            return Some(Self { slices: 0, slice_bytes: 0, leaf_bytes, leaves_per_slice: 0, unit_level: 0 });
        }
        let evenly = slices > 1
            && elements.is_multiple_of(slices)
            && dtype.bytes_of(Elements(elements / slices)).is_some()
            && bytes / slices >= ScanTensor::MIN_SLICE_BYTES;
        let slices = if evenly { slices } else { 1 };
        let unit_level = (UNIT_BYTES / leaf_bytes).max(1).ilog2();
        Some(Self {
            slices,
            slice_bytes: bytes / slices,
            leaf_bytes,
            leaves_per_slice: (elements / slices).div_ceil(LEAF_ELEMENTS),
            unit_level,
        })
    }

    pub(super) fn unit_bytes(&self) -> u64 {
        self.leaf_bytes << self.unit_level
    }

    fn units_per_slice(&self) -> u64 {
        self.slice_bytes.div_ceil(self.unit_bytes())
    }
}

/// Some leaves of a tensor that form one node of its tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unit {
    /// Index into the file's tensors.
    pub(super) tensor: usize,
    pub(super) dtype: Dtype,
    pub(super) slice: u64,
    /// Node of the slice's tree at the slicing's unit level.
    pub(super) index: u64,
    pub(super) level: u32,
    pub(super) leaf_bytes: u64,
    /// Byte range in the file.
    pub(super) offset: u64,
    pub(super) bytes: u64,
}

/// Consecutive units of one file, about [`UNIT_BYTES`] together.
#[derive(Debug, Clone, Default)]
pub(super) struct Job {
    pub(super) file: usize,
    pub(super) units: Vec<Unit>,
}

impl Job {
    /// The byte range that holds all units.
    pub(super) fn span(&self) -> (u64, u64) {
        let start = self.units.iter().map(|unit| unit.offset).min().unwrap_or(0);
        let end = self.units.iter().map(|unit| unit.offset + unit.bytes).max().unwrap_or(0);
        (start, end)
    }
}

/// Hands out jobs in the order of the files and of the bytes in them.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    files: &'a [ScanFile],
    file: usize,
    /// Scannable tensors of the present file in order of their bytes, and how the present one is cut.
    order: Vec<usize>,
    at: usize,
    slicing: Option<Slicing>,
    slice: u64,
    unit: u64,
    /// Bytes of weights that lie before the present unit, over all files; and what belongs to this part.
    before: u128,
    part: std::ops::Range<u128>,
}

/// What comes next.
pub(super) enum Next {
    /// Work in this file; more may follow.
    Job(Job),
    /// The file has no more work, and the next one begins.
    FileDone(usize),
    /// Every file is done.
    End,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(files: &'a [ScanFile], part: Option<Part>) -> Self {
        let range = match part {
            None => 0..u128::MAX,
            Some(part) => {
                let total: u128 = files
                    .iter()
                    .flat_map(|file| file.tensors.iter().map(move |tensor| (file, tensor)))
                    .filter(|(file, tensor)| Slicing::in_file(file, tensor).is_ok())
                    .map(|(_, tensor)| u128::from(tensor.bytes))
                    .sum();
                let count = u128::from(part.count.max(1));
                total * u128::from(part.index.saturating_sub(1)) / count..total * u128::from(part.index) / count
            }
        };
        let mut cursor =
            Self { files, file: 0, order: Vec::new(), at: 0, slicing: None, slice: 0, unit: 0, before: 0, part: range };
        cursor.enter_file();
        cursor
    }

    fn enter_file(&mut self) {
        self.order.clear();
        (self.slice, self.unit) = (0, 0);
        let Some(file) = self.files.get(self.file) else { return };
        let scannable = |tensor: &ScanTensor| tensor.bytes != 0 && Slicing::in_file(file, tensor).is_ok();
        self.order.extend(file.tensors.iter().enumerate().filter(|(_, tensor)| scannable(tensor)).map(|(index, _)| index));
        self.order.sort_unstable_by_key(|&index| (file.tensors[index].offset, index));
        self.go_to(0);
    }

    fn go_to(&mut self, at: usize) {
        self.at = at;
        self.slicing = self.order.get(at).and_then(|&index| Slicing::of(&self.files[self.file].tensors[index]).ok());
    }

    /// Leaves the present file; what was not handed out of it stays so.
    pub(super) fn skip_file(&mut self, file: usize) {
        if file != self.file {
            return;
        }
        let tensors = &self.files[self.file].tensors;
        let left: u128 = self.order[self.at..].iter().map(|&index| u128::from(tensors[index].bytes)).sum();
        let inside = match self.slicing {
            Some(slicing) => self.slice * slicing.slice_bytes + self.unit * slicing.unit_bytes(),
            None => 0,
        };
        self.before += left - u128::from(inside);
        self.go_to(self.order.len());
        (self.slice, self.unit) = (0, 0);
    }

    /// The next job, or the news that a file has no more.
    pub(super) fn next(&mut self) -> Next {
        if self.file >= self.files.len() {
            return Next::End;
        }
        let mut job = Job { file: self.file, units: Vec::new() };
        let (mut start, mut end) = (0, 0);
        while let Some(unit) = self.peek() {
            if !self.part.contains(&self.before) {
                self.step(unit.bytes);
                continue;
            }
            // A unit joins the job while the job's span stays within a unit's size: what lies between units is not read far.
            let (joined_start, joined_end) = if job.units.is_empty() {
                (unit.offset, unit.offset + unit.bytes)
            } else {
                (start.min(unit.offset), end.max(unit.offset + unit.bytes))
            };
            if !job.units.is_empty() && joined_end - joined_start > UNIT_BYTES {
                break;
            }
            (start, end) = (joined_start, joined_end);
            job.units.push(unit);
            self.step(unit.bytes);
            if job.units.len() >= 4096 {
                break;
            }
        }
        if !job.units.is_empty() {
            return Next::Job(job);
        }
        self.file += 1;
        self.enter_file();
        Next::FileDone(self.file - 1)
    }

    fn peek(&self) -> Option<Unit> {
        let (tensor, slicing) = (*self.order.get(self.at)?, self.slicing?);
        let of = &self.files[self.file].tensors[tensor];
        let inside = self.unit * slicing.unit_bytes();
        Some(Unit {
            tensor,
            dtype: of.dtype,
            slice: self.slice,
            index: self.unit,
            level: slicing.unit_level.min(crate::stats::levels(slicing.leaves_per_slice)),
            leaf_bytes: slicing.leaf_bytes,
            offset: of.offset + self.slice * slicing.slice_bytes + inside,
            bytes: slicing.unit_bytes().min(slicing.slice_bytes - inside),
        })
    }

    fn step(&mut self, bytes: u64) {
        let Some(slicing) = self.slicing else { return };
        self.before += u128::from(bytes);
        self.unit += 1;
        if self.unit == slicing.units_per_slice() {
            self.unit = 0;
            self.slice += 1;
        }
        if self.slice == slicing.slices {
            self.slice = 0;
            self.go_to(self.at + 1);
        }
    }
}
