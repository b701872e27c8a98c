//! The only memory map: windows of a file, each under the SIGBUS guard.
#![allow(unsafe_code)]

use std::sync::{Arc, Mutex, PoisonError};

use super::{FileSource, Identity, Source};
use crate::error::{Error, ErrorKind, Result};

/// Windows begin at multiples of this, so that address space and the kernel's bookkeeping stay bounded for a file of any size.
const WINDOW_STEP: u64 = if cfg!(target_pointer_width = "64") { 1 << 30 } else { 16 << 20 };

/// What a window holds beyond its step, so that a range of up to this many bytes lies in one window wherever it begins.
const WINDOW_OVERLAP: u64 = 16 << 20;

/// Windows kept for the next reader. A reader that goes on holds its own.
const KEPT: usize = 2;

/// A file read through maps.
///
/// Mapping is a choice of the caller's because of what it cannot promise. If another process shortens the file, the guard turns
/// the reader's bus error into zeros and [`Window::is_broken`] says so. If another process rewrites it, the bytes of a window
/// change under the reader; Rust gives no guarantee at all for that, and the code that reads windows here is kept such that
/// other values lead to other figures, never to an access out of bounds. Neither can be seen from the bytes alone: compare
/// [`Source::identity`] before and after, and drop every figure if it differs.
#[derive(Debug)]
pub struct MappedFile {
    source: FileSource,
    windows: Mutex<Vec<(u64, Arc<Window>)>>,
}

impl MappedFile {
    /// Maps windows of this file on demand.
    pub fn new(source: FileSource) -> Self {
        Self { source, windows: Mutex::new(Vec::new()) }
    }

    /// The file behind the windows.
    pub fn source(&self) -> &FileSource {
        &self.source
    }

    /// The identity when the file was opened.
    pub fn opened_identity(&self) -> Identity {
        self.source.opened_identity()
    }

    /// A window that holds `len` bytes from `offset`.
    ///
    /// # Errors
    /// [`ErrorKind::Truncated`] when the range was not in the file as it was opened, [`ErrorKind::Limit`] for more than 16 MiB,
    /// [`ErrorKind::Io`] when the system grants no map, [`ErrorKind::Unsupported`] where there is no guard.
    pub fn window(&self, offset: u64, len: u64) -> Result<Arc<Window>> {
        let path = self.source.path();
        if offset.checked_add(len).is_none_or(|end| end > self.source.len()) {
            return Err(Error::new(ErrorKind::Truncated, "the file ends before the range that was asked for")
                .with_path(path)
                .at(offset));
        }
        if len > WINDOW_OVERLAP {
            return Err(Error::new(ErrorKind::Limit, format!("{len} bytes of a map at once")).with_path(path).at(offset));
        }
        let number = offset / WINDOW_STEP;
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, window)) = windows.iter().find(|(known, _)| *known == number) {
            return Ok(Arc::clone(window));
        }
        let start = number * WINDOW_STEP;
        let length = (WINDOW_STEP + WINDOW_OVERLAP).min(self.source.len() - start);
        let window = Arc::new(Window::map(&self.source, start, length)?);
        if windows.len() >= KEPT {
            windows.remove(0);
        }
        windows.push((number, Arc::clone(&window)));
        Ok(window)
    }
}

/// A mapped range of a file.
#[derive(Debug)]
pub struct Window {
    // In this order: the guard goes before the mapping it stands for.
    #[cfg(unix)]
    guard: super::fault::Guarded,
    map: memmap2::Mmap,
    start: u64,
}

impl Window {
    #[cfg(unix)]
    fn map(source: &FileSource, start: u64, len: u64) -> Result<Self> {
        let fail = |e: &std::io::Error| Error::io(source.path(), "cannot map", e).at(start);
        let file = source.file().ok_or_else(|| Error::new(ErrorKind::Unsupported, "no file to map"))?;
        let len = usize::try_from(len).map_err(|_| Error::new(ErrorKind::Limit, "too long to map").with_path(source.path()))?;
        // SAFETY: the map is private to this module's `Window`, read-only, and its bytes are handed out only as long as the
        // window lives. That nobody changes the file meanwhile cannot be guaranteed: see the doc of `MappedFile` for what is
        // done about it, and for what cannot be.
        let map = unsafe { memmap2::MmapOptions::new().offset(start).len(len).map(file) }.map_err(|e| fail(&e))?;
        let guard = super::fault::Guarded::new(map.as_ptr() as usize, len)
            .ok_or_else(|| Error::new(ErrorKind::Unsupported, "no guard for a map is to be had").with_path(source.path()))?;
        Ok(Self { guard, map, start })
    }

    #[cfg(not(unix))]
    fn map(source: &FileSource, _start: u64, _len: u64) -> Result<Self> {
        Err(Error::new(ErrorKind::Unsupported, "maps are used on Unix only").with_path(source.path()))
    }

    /// `len` bytes from `offset` in the file; `None` if they are not all in this window.
    pub fn bytes(&self, offset: u64, len: u64) -> Option<&[u8]> {
        let from = usize::try_from(offset.checked_sub(self.start)?).ok()?;
        self.map.get(from..from.checked_add(usize::try_from(len).ok()?)?)
    }

    /// Whether a load in this window has failed: from then on (parts of) it read as zeros.
    pub fn is_broken(&self) -> bool {
        #[cfg(unix)]
        return self.guard.is_broken();
        #[cfg(not(unix))]
        false
    }
}

/// A step of [`resident`]: 1 MiB.
pub const RESIDENT_STEP: u64 = 1 << 20;

/// Bytes of a file in the page cache, in every `nth` step of [`RESIDENT_STEP`] from its start, each with the offset of the step; `None`
/// where the system does not say. A hint: it is out of date at once, and Linux tells it only to the owner of a file
/// (`can_do_mincore`), so that others are told nothing here either.
pub fn resident(source: &FileSource, nth: u64) -> Option<Vec<(u64, u64)>> {
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::fs::MetadataExt;
        let file = source.file()?;
        // The owner of /proc/self is the effective user.
        let user = std::fs::metadata("/proc/self").ok()?.uid();
        if user != 0 && file.metadata().ok()?.uid() != user {
            return None;
        }
        let page = page_size()?;
        // 4 KiB is the smallest page there is: the vector is never too short.
        let mut pages = vec![0u8; RESIDENT_STEP as usize / 4096];
        let mut steps = Vec::new();
        for start in (0..source.len()).step_by(usize::try_from(RESIDENT_STEP.checked_mul(nth.max(1))?).ok()?) {
            let len = usize::try_from(RESIDENT_STEP.min(source.len() - start)).ok()?;
            // SAFETY: the map is read-only and none of its bytes is ever looked at.
            let map = unsafe { memmap2::MmapOptions::new().offset(start).len(len).map(file) }.ok()?;
            // SAFETY: the range is that of the map, which lives until the end of the turn, and the vector has a byte for each of its pages.
            if unsafe { libc::mincore(map.as_ptr().cast_mut().cast(), len, pages.as_mut_ptr()) } != 0 {
                return None;
            }
            let there = pages.get(..len.div_ceil(page))?.iter().filter(|&&p| p & 1 == 1).count() * page;
            steps.push((start, (there as u64).min(len as u64)));
        }
        Some(steps)
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (source, nth);
        None
    }
}

#[cfg(target_os = "linux")]
fn page_size() -> Option<usize> {
    // SAFETY: takes a number, gives a number.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).ok().filter(|&n| n >= 4096)
}

/// Whether a file lies on a network (or user-space) file system, where a map is unwise: the connection may go, attributes are
/// cached, and a fault costs a round trip. `false` where that cannot be told.
pub fn is_network_file(source: &FileSource) -> bool {
    #[cfg(target_os = "linux")]
    {
        use std::os::fd::AsRawFd;
        let Some(file) = source.file() else { return false };
        let mut stats = std::mem::MaybeUninit::<libc::statfs>::zeroed();
        // SAFETY: the descriptor is open for as long as `file` is borrowed, and the pointer is to a statfs.
        if unsafe { libc::fstatfs(file.as_raw_fd(), stats.as_mut_ptr()) } != 0 {
            return false;
        }
        // SAFETY: zeroed at first (a valid state of plain data), then filled by the call.
        let magic = unsafe { stats.assume_init() }.f_type as u64 & 0xffff_ffff;
        NETWORK_FILE_SYSTEMS.contains(&magic)
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = source;
        false
    }
}

/// `f_type` of file systems behind a network or a user-space server. Source: statfs(2), `linux/magic.h`, and for those that
/// live outside the kernel tree (Lustre, GPFS, BeeGFS) their own headers.
#[cfg(target_os = "linux")]
const NETWORK_FILE_SYSTEMS: [u64; 15] = [
    0x6969,      // NFS
    0x517b,      // SMB
    0xff53_4d42, // CIFS
    0xfe53_4d42, // SMB2
    0x6573_5546, // FUSE, virtiofs
    0x0102_1997, // 9P
    0x00c3_6400, // Ceph
    0x5346_414f, // AFS
    0x6b41_4653, // AFS (in-kernel)
    0x7375_7245, // Coda
    0x564c,      // NCP
    0x0bd0_0bd0, // Lustre
    0x4750_4653, // GPFS
    0x1983_0326, // BeeGFS
    0x786f_4256, // VirtualBox shared folder
];

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;

    fn mapped(len: usize) -> (tempfile::TempDir, std::path::PathBuf, MappedFile) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        std::fs::write(&path, vec![7; len]).unwrap();
        let file = MappedFile::new(FileSource::open(&path).unwrap());
        (dir, path, file)
    }

    #[test]
    fn a_window_holds_what_the_file_holds() {
        let (_dir, _path, file) = mapped(10_001);
        let window = file.window(9_000, 1_001).unwrap();
        assert_eq!(window.bytes(9_000, 1_001).unwrap(), [7; 1_001]);
        assert!(window.bytes(9_000, 1_002).is_none());
        assert!(!window.is_broken());
        assert_eq!(file.window(9_000, 1_002).unwrap_err().kind(), ErrorKind::Truncated);
    }

    #[test]
    fn a_file_that_shrinks_gives_zeros_and_a_note() {
        for _ in 0..50 {
            let (_dir, path, file) = mapped(1 << 20);
            let window = file.window(0, 1 << 20).unwrap();
            let before = window.bytes(0, 4096).unwrap().iter().map(|b| u64::from(*b)).sum::<u64>();
            assert_eq!(before, 7 * 4096);
            std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(8192).unwrap();
            let sum: u64 = window.bytes(0, 1 << 20).unwrap().iter().map(|b| u64::from(*b)).sum();
            assert_eq!(sum, 7 * 8192);
            assert!(window.is_broken());
        }
    }

    #[test]
    fn windows_are_guarded_on_many_threads_at_once() {
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(a_file_that_shrinks_gives_zeros_and_a_note);
            }
        });
    }
}
