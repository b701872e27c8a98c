//! Private memory stays small whatever the size of the file, in either way of reading.
#![allow(clippy::unwrap_used)] // helpers of tests
#![cfg(target_os = "linux")]

use std::sync::atomic::{AtomicU64, Ordering};

use weighbridge::dtype::Dtype;
use weighbridge::observe::Observer;
use weighbridge::scan::full::{Axis, CastTarget, Geometry, scan_full};
use weighbridge::scan::{Io, IoUsed, ScanFile, ScanOptions, ScanTensor, scan};

/// The largest RssAnon seen, in KiB, looked at every 64 MiB.
#[derive(Default)]
struct Peak {
    bytes: AtomicU64,
    kib: AtomicU64,
}

impl Observer for Peak {
    fn advance(&self, bytes: u64) {
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        if before >> 26 != (before + bytes) >> 26 {
            let status = std::fs::read_to_string("/proc/self/status").unwrap();
            let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
            let kib = line.split_whitespace().nth(1).unwrap().parse().unwrap();
            self.kib.fetch_max(kib, Ordering::Relaxed);
        }
    }
}

#[test]
fn private_memory_is_constant() {
    const BYTES: u64 = 5 << 29; // 2.5 GiB, without blocks on the disk
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("big");
    std::fs::File::create(&path).unwrap().set_len(BYTES + 1).unwrap();
    let tensor = ScanTensor { dtype: Dtype::BF16, offset: 1, bytes: BYTES, elements: BYTES / 2, slices: 160 };
    let files = [ScanFile { path, identity: None, tensors: vec![tensor] }];
    for (io, used) in [(Io::Mmap, IoUsed::Mmap), (Io::Read, IoUsed::Read)] {
        let peak = Peak::default();
        let outcome = scan(&files, &ScanOptions { io, threads: Some(4), ..ScanOptions::default() }, &peak).unwrap();
        assert!(outcome.complete && outcome.io == used);
        let tensor = &outcome.files[0].tensors[0];
        assert!(tensor.stats.unwrap().all_zero() && tensor.slices.len() == 160);
        let kib = peak.kib.into_inner();
        assert!(kib > 0 && kib <= 64 << 10, "{io:?}: {kib} KiB");
    }
}

#[test]
fn private_memory_of_the_full_pass_is_constant() {
    const BYTES: u64 = 1 << 29;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("big");
    std::fs::File::create(&path).unwrap().set_len(BYTES + 1).unwrap();
    // Zeros take every path: structure, and a search for quantiles that never gets short.
    for (dtype, size, rows) in [(Dtype::BF16, 2, 1 << 14), (Dtype::F32, 4, 16)] {
        let elements = BYTES / size;
        let tensor = ScanTensor { dtype, offset: 1, bytes: BYTES, elements, slices: 1 };
        let columns = elements / rows;
        let geometry = Geometry { planes: 1, rows, columns, reduction: Some(Axis::Columns), heads: None, channels: None };
        let files = [ScanFile { path: path.clone(), identity: None, tensors: vec![tensor] }];
        let peak = Peak::default();
        let options = ScanOptions { io: Io::Read, threads: Some(4), ..ScanOptions::default() };
        let outcome = scan_full(&files, &[vec![Some(geometry)]], &[], &options, Some(CastTarget::F16), &peak).unwrap();
        let stats = outcome.files[0].tensors[0].clone().unwrap();
        assert_eq!((stats.zeros, stats.structure.unwrap().zero_rows), (elements, Some(rows)));
        let kib = peak.kib.into_inner();
        assert!(kib > 0 && kib <= 64 << 10, "{dtype:?}: {kib} KiB");
    }
}
