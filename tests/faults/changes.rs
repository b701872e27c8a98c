//! A file that changes at each step of a scan, read or mapped: it loses its figures and says why, the other keeps its own.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use weighbridge::checkpoint::{OpenOptions, open};
use weighbridge::error::ErrorKind;
use weighbridge::observe::Observer;
use weighbridge::scan::{Io, ScanOptions, ScanOutcome, Selection, TensorOutcome, scan};

/// Elements of each of the two tensors of a file: two units of work each, of which the last is small.
const ELEMENTS: usize = 300_000;

fn write_file(path: &Path) {
    let bytes = 4 * ELEMENTS;
    let entry =
        |i: usize| format!(r#""t{i}":{{"dtype":"F32","shape":[{ELEMENTS}],"data_offsets":[{},{}]}}"#, i * bytes, (i + 1) * bytes);
    let mut header = format!("{{{}}}", (0..2).map(entry).collect::<Vec<_>>().join(","));
    while !header.len().is_multiple_of(8) {
        header.push(' ');
    }
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend_from_slice(header.as_bytes());
    file.extend(1.5f32.to_le_bytes().repeat(2 * ELEMENTS));
    std::fs::write(path, file).unwrap();
    let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    std::fs::File::options().write(true).open(path).unwrap().set_modified(then).unwrap();
}

#[derive(Debug, Clone, Copy)]
enum Change {
    Cut,
    CutToNothing,
    Grow,
    Write,
    Replace,
    Remove,
}

const CHANGES: [Change; 6] = [Change::Cut, Change::CutToNothing, Change::Grow, Change::Write, Change::Replace, Change::Remove];

impl Change {
    fn make(self, path: &Path) {
        let open = || std::fs::File::options().write(true).open(path).unwrap();
        match self {
            Self::Cut => open().set_len(1_500_000).unwrap(),
            Self::CutToNothing => open().set_len(0).unwrap(),
            Self::Grow => std::fs::File::options().append(true).open(path).unwrap().write_all(b"x").unwrap(),
            Self::Write => open().write_all(b"x").unwrap(),
            Self::Replace => {
                let other = path.with_extension("other");
                write_file(&other);
                std::fs::rename(other, path).unwrap();
            }
            Self::Remove => std::fs::remove_file(path).unwrap(),
        }
    }
}

/// Changes a file when the scan asks or tells for the given time.
struct Saboteur {
    victim: PathBuf,
    change: Change,
    at: usize,
    steps: AtomicUsize,
}

impl Saboteur {
    fn step(&self) {
        if self.steps.fetch_add(1, Ordering::SeqCst) + 1 == self.at {
            self.change.make(&self.victim);
        }
    }
}

impl Observer for Saboteur {
    fn advance(&self, _bytes: u64) {
        self.step();
    }

    fn cancelled(&self) -> bool {
        self.step();
        false
    }
}

/// A scan of two files with a change at one step; `None` once the scan has fewer steps.
fn sabotaged(folder: &Path, victim: &str, change: Change, io: Io, at: usize) -> Option<ScanOutcome> {
    write_file(&folder.join(victim));
    let checkpoint = open(folder, &OpenOptions::default()).unwrap();
    let mut selection = Selection::of(&checkpoint, &|_| true);
    if selection.files.len() < 2 {
        // Alternatives of one another: the other one is scanned too.
        let other = Selection::of(&open(&folder.join("b.safetensors"), &OpenOptions::default()).unwrap(), &|_| true);
        selection.files.extend(other.files);
    }
    let saboteur = Saboteur { victim: folder.join(victim), change, at, steps: AtomicUsize::new(0) };
    let options = ScanOptions { io, threads: Some(1), ..ScanOptions::default() };
    let outcome = scan(&selection.files, &options, &saboteur).unwrap();
    (saboteur.steps.into_inner() >= at).then_some(outcome)
}

#[test]
fn a_file_that_changes_under_a_scan_loses_its_figures_and_the_other_keeps_its_own() {
    for io in [Io::Read, Io::Mmap] {
        for (number, change) in CHANGES.into_iter().enumerate() {
            for (index, victim) in ["a.safetensors", "b.safetensors"].into_iter().enumerate() {
                let folder = tempfile::tempdir().unwrap();
                ["a.safetensors", "b.safetensors"].iter().for_each(|name| write_file(&folder.path().join(name)));
                let mut withdrawn = 0;
                // Every second step, beginning elsewhere for every other change: together they meet every step.
                for at in (1 + number % 2..).step_by(2) {
                    let Some(outcome) = sabotaged(folder.path(), victim, change, io, at) else { break };
                    let case = format!("{io:?}, {change:?} of {victim} at step {at}");
                    let other = &outcome.files[1 - index];
                    assert!(other.error.is_none() && other.tensors.iter().all(|t| t.stats.is_some()), "{case}: the other file");
                    let this = &outcome.files[index];
                    match &this.error {
                        Some(error) => {
                            withdrawn += 1;
                            assert_eq!(error.path(), Some(folder.path().join(victim).as_path()), "{case}: {error}");
                            let kinds = [ErrorKind::Truncated, ErrorKind::Changed, ErrorKind::NotFound];
                            assert!(kinds.contains(&error.kind()), "{case}: {error}");
                            assert!(this.tensors.iter().all(|t| t.stats.is_none() && t.skipped.is_some()), "{case}: figures");
                            assert!(!outcome.complete, "{case}");
                        }
                        // It was closed and done with before the change: its figures are those of what it was.
                        None => {
                            let right = |t: &TensorOutcome| {
                                t.stats.is_some_and(|s| (s.elements, s.raw_min, s.raw_max) == (ELEMENTS as u64, 1.5, 1.5))
                            };
                            assert!(this.tensors.iter().all(right), "{case}: nothing said");
                        }
                    }
                }
                assert!(withdrawn > 1, "{io:?}, {change:?} of {victim}: {withdrawn}");
            }
        }
    }
}
