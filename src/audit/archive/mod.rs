//! What lies inside of archives: their directories and members, read in place and bounded. Nothing is unpacked to disk.

mod inflate;
mod npy;
mod stretch;
mod tar;
mod zip;

pub(crate) use inflate::{deflate, gzip, zlib};
pub(crate) use npy::{Array, array};
pub(crate) use stretch::Stretch;
pub(crate) use tar::{Tarred, is_tar, members};
pub(crate) use zip::{Directory, Entry, directory, overlapping};

use crate::error::Result;
use crate::source::Source;

/// How the first bytes of compressed files are known, and by which name. joblib and pandas unpack all of them by themselves.
const COMPRESSED: &[(&[u8], &str)] = &[
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\0", "xz"),
    (b"\x5d\0\0", "lzma"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\x04\x22\x4d\x18", "lz4"),
    (b"\x1f\x9d", "compress"),
    (b"7z\xbc\xaf\x27\x1c", "7-Zip"),
    (b"Rar!\x1a\x07", "rar"),
];

/// How bytes are compressed, by the first of them.
///
/// # Errors
/// Only what reading fails with.
pub(crate) fn compression(source: &dyn Source) -> Result<Option<&'static str>> {
    let mut head = [0; 8];
    let read = source.read_at(0, &mut head)?;
    let head = &head[..read];
    // RFC 1950: method 8 with a window of at most 32 KiB, and a check of the two bytes.
    let is_zlib = matches!(head, [first, second, ..] if first & 0x0f == 8 && first >> 4 <= 7
        && u16::from_be_bytes([*first, *second]).is_multiple_of(31));
    let listed = COMPRESSED.iter().find(|(magic, _)| head.starts_with(magic)).map(|(_, name)| *name);
    Ok(listed.or(is_zlib.then_some("zlib")))
}
