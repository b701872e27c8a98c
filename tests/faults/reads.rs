//! Every command with a fault at each read that it makes of a repository, brought about by a library that stands before the system's.
//!
//! Needs Linux and `cc`, which a Rust toolchain needs there itself; without them the tests say so and stop.
#![cfg(target_os = "linux")]

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{Run, S1, S2, commands, finish, repository, weigh};
use crate::skipped::skipped;

/// The library, and the folder that it and the repository stand in.
struct Bench {
    folder: tempfile::TempDir,
    library: PathBuf,
}

/// One run with a fault.
struct Faulted {
    run: Run,
    /// Reads that were made.
    reads: usize,
    /// The file and the offset of the read that went wrong.
    hit: Option<(String, u64)>,
}

impl Bench {
    fn new() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let library = folder.path().join("fail_reads.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults/fail_reads.c");
        let built = Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source).arg("-ldl").status();
        if !built.is_ok_and(|status| status.success()) {
            skipped(1, "test of faults at each read", "there is no cc to make the library that brings them about");
            return None;
        }
        Some(Self { folder, library })
    }

    fn repository(&self) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join("model")
    }

    fn run(&self, arguments: &[String], kind: &str, at: usize) -> Faulted {
        repository(&self.repository());
        let log = self.folder.path().join("log");
        let _ = std::fs::remove_file(&log);
        let mut command = weigh(arguments);
        command.env("LD_PRELOAD", &self.library).env("FAULT_UNDER", self.repository()).env("FAULT_LOG", &log);
        let run = finish(command.env("FAULT_KIND", kind).env("FAULT_AT", at.to_string()));
        let log = std::fs::read_to_string(&log).unwrap_or_default();
        let hit = log.lines().find_map(|line| line.strip_suffix(" HIT")).map(|line| {
            let mut words = line.splitn(3, ' ').skip(1);
            let offset = words.next().unwrap().parse().unwrap();
            (words.next().unwrap().rsplit('/').next().unwrap().to_owned(), offset)
        });
        Faulted { run, reads: log.lines().count(), hit }
    }
}

/// Words that say what happened, for each kind of fault.
const REASONS: [(&str, &[&str]); 4] = [
    ("eio", &["Input/output error"]),
    ("cut", &["became shorter"]),
    ("grow", &["became longer"]),
    ("write", &["was written to", "became longer"]),
];

#[test]
fn every_command_names_the_file_at_whichever_read_it_fails() {
    let Some(bench) = Bench::new() else { return };
    let path = bench.repository().to_str().unwrap().to_owned();
    for arguments in commands(&path) {
        let sound = bench.run(&arguments, "eio", 0);
        assert_eq!(sound.run.code, 0, "{arguments:?}: {}", sound.run.all());
        assert!(sound.reads >= 10, "{arguments:?}: {} reads", sound.reads);
        for (kind, reasons) in REASONS {
            for at in 1..=sound.reads {
                let faulted = bench.run(&arguments, kind, at);
                let Some((file, offset)) = faulted.hit else { panic!("{arguments:?}: no read {at}") };
                let case = format!("{arguments:?}, {kind} at read {at} (byte {offset} of {file}), exit {}", faulted.run.code);
                let said = faulted.run.all();
                assert!(said.contains(&file), "{case}: the file is not named");
                assert!(reasons.iter().any(|reason| said.contains(reason)), "{case}: no reason");
                if file.ends_with(".safetensors") {
                    assert_eq!(faulted.run.code, 2, "{case}");
                    no_figures(&arguments, &faulted.run, &file, &case);
                }
            }
        }
    }
}

/// The file with the fault has no figures; the other shard has its own.
fn no_figures(arguments: &[String], run: &Run, file: &str, case: &str) {
    let other = if file == S1 { S2 } else { S1 };
    let document = run.json();
    let body = if document["command"] == "report" { &document["show"] } else { &document };
    if let Some(tensors) = document["scan"]["tensors"].as_array() {
        let figures = |name: &str| tensors.iter().filter(|t| t["file"] == name && t["scanned"] == true).count();
        assert_eq!((figures(file), figures(other)), (0, 2), "{case}");
    } else if let Some(files) = body["files"].as_array() {
        let has = |name: &str| files.iter().any(|f| f["path"] == name);
        // A fault after the header was read, in the scan of a report, leaves the facts of the header.
        let in_scan = document["command"] == "report" && run.stdout.contains("\"scan\"") && !document["scan"]["complete"].is_null();
        assert!(has(other) && (in_scan || !has(file)), "{case}");
    } else if let Some(findings) = document["findings"].as_array() {
        assert!(findings.iter().any(|f| f["file"] == file && f["severity"] == "error"), "{case}: {findings:?}");
        // Planted weights are all alike, which the scan rightly remarks.
        let odd = |f: &&serde_json::Value| f["file"] == other && f["severity"] != "note" && f["code"] != "constant-matrix";
        assert!(findings.iter().find(odd).is_none(), "{case}: {findings:?}");
    } else {
        assert!(matches!(arguments[0].as_str(), "project" | "memory"), "{case}: {}", run.stdout);
    }
}

#[test]
fn without_maps_a_scan_reads() {
    let Some(bench) = Bench::new() else { return };
    let path = bench.repository().to_str().unwrap().to_owned();
    let scan = |io: &str| ["scan", &path, "--tensors", "--io", io].map(str::to_owned).to_vec();
    let figures = |run: &Run| run.json()["scan"]["tensors"].clone();
    let (read, mapped) = (bench.run(&scan("read"), "eio", 0), bench.run(&scan("mmap"), "eio", 0));
    let refused = bench.run(&scan("mmap"), "nomap", 0);
    assert_eq!((mapped.run.json()["scan"]["io"].as_str(), refused.run.json()["scan"]["io"].as_str()), (Some("mmap"), Some("read")));
    assert_eq!(figures(&read.run), figures(&refused.run));
    assert_eq!(figures(&read.run), figures(&mapped.run));
    assert!(refused.reads > mapped.reads && figures(&read.run).as_array().is_some_and(|t| t.len() == 4));
}
