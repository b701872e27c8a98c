//! `scripts/compare/builds` finds nothing between a program and itself, and everything that another one says differently.
//!
//! Needs python3, which the script is written in; without it the tests say so and stop.
#![cfg(unix)]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::skipped::skipped;

const WEIGH: &str = env!("CARGO_BIN_EXE_weigh");
const MODEL: &str = "fixtures/fracast/model.safetensors";

struct Compared {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Compared {
    /// Command lines, and those that differ: the last row of the table.
    fn counts(&self) -> (u32, u32) {
        let row =
            self.stdout.lines().find(|line| line.starts_with("all ")).unwrap_or_else(|| panic!("{}{}", self.stdout, self.stderr));
        let cells: Vec<u32> = row.split_whitespace().filter_map(|cell| cell.replace(',', "").parse().ok()).collect();
        (cells[0], cells[2])
    }
}

/// Compares the program with another one; the inputs are made once for each folder.
fn compare(folder: &Path, new: &Path, options: &[&str]) -> Compared {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/compare/builds");
    let mut command = Command::new("python3");
    command.arg(script).arg(WEIGH).arg(new).arg("--no-hostile").arg("--inputs").arg(folder.join("inputs")).args(options);
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    Compared { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
}

/// A program that says what `weigh` says, but for what a piece of shell changes: `$out` and `$err` are files of its streams, `$code` its
/// exit code, `$*` the arguments.
fn doctored(folder: &Path, change: &str) -> PathBuf {
    let path = folder.join("doctored");
    let weigh = WEIGH.replace('\'', r"'\''");
    let script = format!(
        "#!/bin/sh\nout=$(mktemp) err=$(mktemp)\n'{weigh}' \"$@\" > \"$out\" 2> \"$err\"\ncode=$?\n{change}\n\
         cat \"$out\"\ncat \"$err\" >&2\nrm \"$out\" \"$err\"\nexit $code\n"
    );
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    path
}

fn python() -> bool {
    Command::new("python3").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|s| s.success())
}

#[test]
fn a_program_equals_itself_and_every_changed_output_is_found() {
    if !python() {
        return skipped(1, "comparison of builds", "python3 is not here");
    }
    let folder = tempfile::tempdir().unwrap();
    // Without findings the table of an audit is empty.
    let only = ["--only", MODEL, "--without", "audit*csv"];
    let same = compare(folder.path(), Path::new(WEIGH), &only);
    let (lines, differing) = same.counts();
    assert!(same.code == Some(0) && lines > 60 && differing == 0, "{}{}", same.stdout, same.stderr);
    // Every other report has a digit or that letter.
    let new = doctored(folder.path(), r#"tr 1-8a 2-9b < "$out" > "$out.new"; mv "$out.new" "$out""#);
    let changed = compare(folder.path(), &new, &only);
    assert_eq!((changed.code, changed.counts()), (Some(1), (lines, lines)), "{}", changed.stdout);
}

#[test]
fn each_kind_of_difference_is_named_and_can_be_expected() {
    if !python() {
        return skipped(1, "comparison of builds", "python3 is not here");
    }
    let folder = tempfile::tempdir().unwrap();
    let change = r#"case "$*" in
        "show fixtures/fracast --tensors"*json) sed -i.old 's/"file_bytes": 344412/"file_bytes": 344413/' "$out";;
        "show fixtures/fracast --tensors"*text) sed -i.old 's/344,412/344,413/' "$out";;
        "show fixtures/fracast --tensors"*csv) sed -i.old 's/344412/344413/' "$out";;
        "project fixtures/fracast --to all --format json") sed -i.old 's/"basis": "estimate"/"basis": "exact"/' "$out";;
        "audit fixtures/odd/truncated "*sarif) code=0;;
        "show fixtures/odd/html_page "*) sed -i.old 's/an HTML/a HTML/' "$err";;
        "audit fixtures/fracast "*sarif) : > "$out";;
        esac; rm -f "$out.old" "$err.old""#;
    let new = doctored(folder.path(), change);
    let lines = ["show fixtures/fracast --tensors", "scan fixtures/fracast --tensors", "project fixtures/fracast --to all"];
    let lines =
        [&lines[..], &["audit fixtures/odd/truncated ", "audit fixtures/fracast ", "show fixtures/odd/html_page "]].concat();
    let only: Vec<&str> = std::iter::once("--full").chain(lines.iter().flat_map(|line| ["--only", line])).collect();
    let found = compare(folder.path(), &new, &only);
    let kinds = [
        "stdout json  totals.file_bytes: # -> #",
        "stdout json  files[].file_bytes: # -> #",
        "stdout text  exactly #: # -> #",
        "stdout csv  NAME / NAME: # -> #",
        "stdout json  quantized[].basis: estimate -> exact",
        "exit code: 1 -> 0",
        "stderr: an -> a",
        "stdout sarif: output -> nothing",
    ];
    for kind in kinds {
        assert!(found.stdout.contains(kind), "{kind}: {}", found.stdout);
    }
    assert_eq!(found.code, Some(1));

    let expect = folder.path().join("expected.json");
    let expecting = |wanted: &[&str]| {
        std::fs::write(&expect, format!("[{}]", wanted.join(","))).unwrap();
        compare(folder.path(), &new, &[&only[..], &["--expect", expect.to_str().unwrap()]].concat())
    };
    let size = r#"{"reason": "one more byte", "new": "344,?413"}"#;
    let basis = r#"{"reason": "checked by now", "where": "quantized[].basis", "what": "estimate -> exact"}"#;
    let code = r#"{"reason": "cut files are fine", "stream": "exit code", "command": "audit *truncated*"}"#;
    let article = r#"{"reason": "spelling", "stream": "stderr", "old": "an HTML"}"#;
    let silence = r#"{"reason": "no log without errors", "what": "output -> nothing", "command": "*sarif"}"#;
    let never = r#"{"reason": "of another change", "command": "memory *"}"#;
    let all = expecting(&[size, basis, code, article, silence, never]);
    assert_eq!((all.code, all.counts().1), (Some(0), 0), "{}", all.stdout);
    assert!(all.stdout.contains("expected, BUT NOT SEEN: of another change"), "{}", all.stdout);
    // One alone that nobody expects is told, though others of the same outputs are expected.
    let some = expecting(&[size, basis, code, article]);
    assert_eq!((some.code, some.counts().1), (Some(1), 1), "{}", some.stdout);
    assert!(some.stdout.contains("output -> nothing") && !some.stdout.contains("344413"), "{}", some.stdout);
}

#[test]
fn what_cannot_be_compared_is_no_agreement() {
    if !python() {
        return skipped(1, "comparison of builds", "python3 is not here");
    }
    let folder = tempfile::tempdir().unwrap();
    for (new, options, words) in [
        ("/nonexistent", &[][..], "no program"),
        ("/bin/false", &[], "ended with exit code"),
        (WEIGH, &["--only", "no such command line"], "no command line fits"),
    ] {
        let run = compare(folder.path(), Path::new(new), options);
        assert!(run.code == Some(2) && run.stderr.contains(words), "{new}: {}{}", run.stdout, run.stderr);
    }
}
