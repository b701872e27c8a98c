//! The scan as a whole: threads, parts, ways of reading and instructions must not change a digit, and a file that changes must
//! lose its figures.

use crate::common::{noise, write_bytes};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use weighbridge::dtype::Dtype;
use weighbridge::error::ErrorKind;
use weighbridge::observe::{Observer, Silent};
use weighbridge::scan::{Io, IoUsed, Part, ScanFile, ScanOptions, ScanOutcome, ScanTensor, Simd, Skip, merge_parts, scan};
use weighbridge::source::{FileSource, Source};
use weighbridge::stats::{ScanPart, TensorStats};
use weighbridge::units::Elements;

/// A file of one tensor of each plain dtype, each of more than one unit, at odd offsets.
fn every_dtype(dir: &Path) -> ScanFile {
    let mut tensors = Vec::new();
    let mut end = 3;
    for (index, dtype) in Dtype::ALL.iter().copied().filter(|d| !d.is_block_quant()).enumerate() {
        let elements = 3 * 4 * 65_536 + 4 * index as u64;
        let bytes = dtype.bytes_of(Elements(elements)).unwrap().0;
        tensors.push(ScanTensor { dtype, offset: end, bytes, elements, slices: if index % 2 == 0 { 1 } else { 4 } });
        end += bytes + 1;
    }
    let path = dir.join("every.bin");
    write_bytes(&path, &noise(end, 1));
    let identity = FileSource::open(&path).unwrap().identity().unwrap();
    ScanFile { path, identity, tensors }
}

fn figures(outcome: &ScanOutcome) -> Vec<(Option<TensorStats>, Vec<TensorStats>)> {
    outcome.files.iter().flat_map(|file| &file.tensors).map(|t| (t.stats, t.slices.clone())).collect()
}

fn run(files: &[ScanFile], options: ScanOptions) -> ScanOutcome {
    scan(files, &options, &Silent).unwrap()
}

#[test]
fn threads_parts_io_and_instructions_change_no_digit() {
    let dir = tempfile::tempdir().unwrap();
    let files = [every_dtype(dir.path())];
    let base = ScanOptions { threads: Some(1), ..ScanOptions::default() };
    let reference = run(&files, base);
    assert!(reference.complete && reference.io == IoUsed::Read && !reference.interrupted);
    let wanted = figures(&reference);
    assert!(wanted.iter().all(|(stats, _)| stats.is_some()));
    assert!(wanted.iter().any(|(_, slices)| slices.len() == 4));
    let bytes: u64 = files[0].tensors.iter().map(|t| t.bytes).sum();
    assert_eq!(reference.bytes_read, bytes);
    for simd in [Simd::Auto, Simd::Portable, Simd::Avx2, Simd::Avx512, Simd::Neon] {
        let options = ScanOptions { simd, threads: Some(2), ..base };
        match scan(&files, &options, &Silent) {
            Ok(outcome) => assert!(figures(&outcome) == wanted, "{simd:?}"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Usage),
        }
    }
    for threads in [2, 3, 8] {
        assert!(figures(&run(&files, ScanOptions { threads: Some(threads), ..base })) == wanted, "{threads} threads");
    }
    for io in [Io::Mmap, Io::Auto] {
        let outcome = run(&files, ScanOptions { io, threads: Some(2), ..base });
        assert!(figures(&outcome) == wanted, "{io:?}");
        if cfg!(target_os = "linux") && io == Io::Mmap {
            assert_eq!(outcome.io, IoUsed::Mmap);
        }
    }
    for count in [1, 2, 7, 40] {
        let parts: Vec<ScanPart> = (1..=count)
            .map(|index| {
                let part = Part::new(index, count).unwrap();
                let outcome = run(&files, ScanOptions { part: Some(part), threads: Some(2), ..base });
                assert!(outcome.complete && figures(&outcome).iter().all(|(stats, _)| stats.is_none()));
                let text = serde_json::to_string(&outcome.to_part(&files, part)).unwrap();
                serde_json::from_str(&text).unwrap()
            })
            .collect();
        let merged = merge_parts(&parts).unwrap();
        assert!(merged.complete && figures(&merged) == wanted, "{count} parts");
        assert_eq!(merged.bytes_read, bytes);
        if count > 1 {
            assert!(merge_parts(&parts[1..]).is_err());
        }
    }
}

#[test]
fn what_cannot_be_scanned_says_why_and_the_rest_is_scanned() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("odd.bin");
    write_bytes(&path, &noise(4096, 2));
    let tensor = |dtype, offset, bytes, elements| ScanTensor { dtype, offset, bytes, elements, slices: 1 };
    let file = ScanFile {
        path,
        identity: None,
        tensors: vec![
            tensor(Dtype::U8, 1, 4095, 4095),
            tensor(Dtype::U8, 1, 4096, 4096),
            tensor(Dtype::U8, 1 << 40, 16, 16),
            tensor(Dtype::U8, u64::MAX, 16, 16),
            tensor(Dtype::F32, 0, 16, 5),
            tensor(Dtype::Unknown(0), 0, 16, 16),
            tensor(Dtype::F32, 0, 0, 0),
        ],
    };
    let missing = ScanFile { path: dir.path().join("missing"), ..file.clone() };
    let outcome = run(&[missing, file], ScanOptions::default());
    assert!(!outcome.complete && !outcome.interrupted);
    assert_eq!(outcome.files[0].error.as_ref().unwrap().kind(), ErrorKind::NotFound);
    let skips: Vec<Option<Skip>> = outcome.files[1].tensors.iter().map(|t| t.skipped).collect();
    let beyond = Some(Skip::BeyondEnd);
    assert_eq!(skips, [None, beyond, beyond, beyond, Some(Skip::SizeMismatch), Some(Skip::NoKernel), None]);
    for tensor in &outcome.files[1].tensors {
        assert_eq!(tensor.stats.is_none(), tensor.skipped.is_some());
    }
    assert_eq!(outcome.files[1].tensors[0].stats.unwrap().elements, 4095);
    assert_eq!(outcome.files[1].tensors[6].stats.unwrap().elements, 0);
}

/// Does something to a file after so many bytes of it were scanned.
struct After<F: Fn() + Sync> {
    bytes: u64,
    seen: AtomicU64,
    act: F,
}

impl<F: Fn() + Sync> Observer for After<F> {
    fn advance(&self, bytes: u64) {
        let before = self.seen.fetch_add(bytes, Ordering::SeqCst);
        if before < self.bytes && before + bytes >= self.bytes {
            (self.act)();
        }
    }
}

#[test]
fn a_file_that_changes_loses_its_figures_and_the_others_keep_theirs() {
    let dir = tempfile::tempdir().unwrap();
    let data = noise(24 << 20, 3);
    let file = |name: &str| ScanFile {
        path: dir.path().join(name),
        identity: None,
        tensors: vec![ScanTensor { dtype: Dtype::BF16, offset: 0, bytes: 24 << 20, elements: 12 << 20, slices: 1 }],
    };
    let files = [file("a"), file("b"), file("c")];
    for io in [Io::Read, Io::Mmap] {
        for round in 0..40 {
            for file in &files {
                write_bytes(&file.path, &data);
            }
            let path = &files[1].path;
            let rewrite = round % 2 == 0;
            let act = || {
                if rewrite {
                    use std::io::Write;
                    let mut handle = std::fs::OpenOptions::new().write(true).open(path).unwrap();
                    handle.write_all(&data[..4096]).unwrap();
                } else {
                    std::fs::OpenOptions::new().write(true).open(path).unwrap().set_len(4097 * (1 + round)).unwrap();
                }
            };
            let observer = After { bytes: (26 + round % 20) << 20, seen: AtomicU64::new(0), act };
            // A clock tick, so that a rewrite does not fall into the one in which the file was made.
            std::thread::sleep(std::time::Duration::from_millis(10));
            let outcome = scan(&files, &ScanOptions { io, threads: Some(2), ..ScanOptions::default() }, &observer).unwrap();
            let error = outcome.files[1].error.as_ref().unwrap_or_else(|| panic!("{io:?} round {round}: no error"));
            assert!(matches!(error.kind(), ErrorKind::Changed | ErrorKind::Truncated), "{error}");
            assert_eq!(error.kind() == ErrorKind::Truncated, !rewrite, "{error}");
            assert!(error.to_string().contains("scanned"), "{error}");
            let tensor = &outcome.files[1].tensors[0];
            assert!(tensor.stats.is_none() && tensor.skipped == Some(Skip::FileFailed));
            assert!(!outcome.complete);
            for other in [0, 2] {
                assert!(outcome.files[other].error.is_none() && outcome.files[other].tensors[0].stats.is_some());
            }
        }
    }
}

#[test]
fn another_file_than_the_header_was_read_from_is_not_scanned() {
    let dir = tempfile::tempdir().unwrap();
    let mut file = every_dtype(dir.path());
    file.identity = file.identity.map(|identity| weighbridge::source::Identity { mtime_ns: identity.mtime_ns - 1, ..identity });
    let outcome = run(&[file], ScanOptions::default());
    assert_eq!(outcome.files[0].error.as_ref().unwrap().kind(), ErrorKind::Changed);
    assert!(outcome.files[0].tensors.iter().all(|t| t.stats.is_none()));
    assert_eq!(outcome.bytes_read, 0);
}

/// Says stop after so many bytes.
struct Stop(AtomicU64, u64);

impl Observer for Stop {
    fn advance(&self, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::SeqCst);
    }

    fn cancelled(&self) -> bool {
        self.0.load(Ordering::SeqCst) >= self.1
    }
}

#[test]
fn a_stop_keeps_what_was_done() {
    let dir = tempfile::tempdir().unwrap();
    let files = [every_dtype(dir.path())];
    let whole = run(&files, ScanOptions::default());
    for (threads, bytes) in [(1, 0), (1, 8 << 20), (2, 20 << 20)] {
        let observer = Stop(AtomicU64::new(0), bytes);
        let options = ScanOptions { threads: Some(threads), ..ScanOptions::default() };
        let outcome = scan(&files, &options, &observer).unwrap();
        assert!(outcome.interrupted && !outcome.complete);
        assert!(outcome.bytes_read < bytes + (4 << 20));
        let tensors = outcome.files[0].tensors.iter().zip(&whole.files[0].tensors);
        let done = tensors.clone().filter(|(tensor, _)| tensor.stats.is_some()).count();
        assert_eq!(done > 0, bytes > 0);
        for (tensor, whole) in tensors {
            assert!(tensor.stats == whole.stats || tensor.skipped == Some(Skip::Interrupted));
        }
        let part = Part::new(1, 1).unwrap();
        let stopped = scan(&files, &ScanOptions { part: Some(part), ..options }, &Stop(AtomicU64::new(0), bytes)).unwrap();
        let error = merge_parts(&[stopped.to_part(&files, part)]).unwrap_err();
        assert!(error.to_string().contains("interrupted"), "{error}");
    }
}
