//! What to scan and how.

use std::path::PathBuf;

use super::Simd;
use crate::choice::Choice;
use crate::dtype::Dtype;
use crate::error::{Error, ErrorKind, Result};
use crate::source::Identity;

/// A tensor as the scan needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScanTensor {
    /// How the elements are stored.
    pub dtype: Dtype,
    /// Byte offset in the file; any, without alignment.
    pub offset: u64,
    /// Bytes in the file.
    pub bytes: u64,
    /// Elements as stored.
    pub elements: u64,
    /// Equal slices along the outermost dimension that get figures of their own (experts); 1 for none. More slices than
    /// [`ScanTensor::MIN_SLICE_BYTES`] allows, or slices that do not begin on a block, count as 1.
    pub slices: u64,
}

impl ScanTensor {
    /// Slices smaller than this get no figures of their own, which bounds the memory they take to a small part of the file.
    pub const MIN_SLICE_BYTES: u64 = 4096;
}

/// A file and the tensors in it that are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its identity when its header was read: if the file is another by now, it is not scanned.
    pub identity: Option<Identity>,
    /// The tensors, in any order.
    pub tensors: Vec<ScanTensor>,
}

/// How bytes get into memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Io {
    /// A map for local regular files on 64-bit Linux, positioned reads for network file systems, elsewhere, and where a map
    /// fails.
    Auto,
    /// A map wherever the system grants one. See [`crate::source::MappedFile`] for what that means when a file shrinks.
    Mmap,
    /// Positioned reads into a buffer for each thread.
    #[default]
    Read,
}

impl Choice for Io {
    const WHAT: &'static str = "way to read";
    const NAMES: &'static [(&'static str, Self, &'static str)] = &[
        ("auto", Self::Auto, "Maps for local files, reads for network file systems"),
        ("mmap", Self::Mmap, "Memory maps"),
        ("read", Self::Read, "Positioned reads"),
    ];
}

/// One of several parts of a scan, each of about the same number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Number of this part, from 1.
    pub index: u32,
    /// How many there are.
    pub count: u32,
}

impl Part {
    /// Part `index` (from 1) of `count`.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] unless `1 <= index <= count`.
    pub fn new(index: u32, count: u32) -> Result<Self> {
        if index == 0 || index > count {
            return Err(Error::new(ErrorKind::Usage, format!("part {index}/{count}: the first number goes from 1 to the second")));
        }
        Ok(Self { index, count })
    }
}

/// How to scan. The default reads (does not map), takes every core, and the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ScanOptions {
    /// How bytes get into memory.
    pub io: Io,
    /// Threads, see [`crate::threads::count`]; fewer where the system does not start as many.
    pub threads: Option<usize>,
    /// Scan only this part.
    pub part: Option<Part>,
    /// Which vector instructions to use; figures do not depend on it.
    pub simd: Simd,
}
