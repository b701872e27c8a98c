//! No thread to be had, as in a container with a limit on processes: every command does its work on the thread that it has.
//!
//! The limit of the system itself does not bind root, who runs the program as somebody else then. What is allowed exactly so many
//! threads is brought about by a library that stands before the system's; it takes Linux and `cc`.
#![cfg(target_os = "linux")]

use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::command::{commands, finish, repository, weigh};
use crate::skipped::skipped;

/// A user that nobody is, so that no other process counts.
const STRANGER: u32 = 61_234;

fn library(folder: &Path) -> Option<PathBuf> {
    let library = folder.join("no_threads.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults/no_threads.c");
    let built = Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source).arg("-ldl").status();
    if !built.is_ok_and(|status| status.success()) {
        skipped(1, "run of every command without threads", "there is no cc to make the library that refuses them");
        return None;
    }
    Some(library)
}

/// Every command, with what reads files side by side and what reads values; the parts for `merge` are made before.
fn all_commands(folder: &Path, model: &str) -> Vec<Vec<String>> {
    let mut all = commands(model);
    let parts = ["1/2", "2/2"].map(|part| {
        let out = folder.join(part.replace('/', "-")).to_str().unwrap().to_owned();
        let line = format!("scan {model} --stats full --part {part} -o {out}");
        assert_eq!(finish(&mut weigh(&words(&line))).code, 0);
        out
    });
    let lines = [
        format!("scan {model} --stats full --tensors --cast f16"),
        format!("scan {model} --threads 7"),
        format!("scan {model} --part 1/2"),
        format!("project {model} --prune 0.5,measured --scan"),
        format!("diff {model} {model} --tensors"),
        format!("merge {} {}", parts[0], parts[1]),
        format!("show {}/many.safetensors", folder.display()),
    ];
    all.extend(lines.iter().map(|line| words(line)));
    all
}

fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

/// A model, and beside it a file of more tensors than one thread is given alone.
fn model(folder: &Path) -> PathBuf {
    let model = folder.join("m");
    repository(&model);
    let entry = |i: u64| format!(r#""t.{i}":{{"dtype":"F32","shape":[2],"data_offsets":[{},{}]}}"#, 8 * i, 8 * i + 8);
    let mut header = format!("{{{}}}", (0..5000).map(entry).collect::<Vec<_>>().join(","));
    while !header.len().is_multiple_of(8) {
        header.push(' ');
    }
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    bytes.resize(bytes.len() + 8 * 5000, 1);
    std::fs::write(folder.join("many.safetensors"), bytes).unwrap();
    model
}

/// A document without what depends on the clock and on the number of threads.
fn timeless(mut value: Value) -> Value {
    match &mut value {
        Value::Object(fields) => {
            fields.retain(|name, _| !matches!(name.as_str(), "seconds" | "bytes_per_second" | "threads" | "load" | "read_seconds"));
            fields.values_mut().for_each(|field| *field = timeless(field.take()));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| *item = timeless(item.take())),
        _ => {}
    }
    value
}

#[test]
fn commands_say_the_same_with_few_threads_and_with_none() {
    let root = tempfile::tempdir().unwrap();
    let Some(library) = library(root.path()) else { return };
    let model = model(root.path());
    for arguments in all_commands(root.path(), model.to_str().unwrap()) {
        let with = finish(&mut weigh(&arguments));
        assert!(with.code == 0 && with.json().is_object(), "{arguments:?}: {}", with.all());
        for allowed in ["0", "1", "3"] {
            let mut command = weigh(&arguments);
            let run = finish(command.env("LD_PRELOAD", &library).env("THREADS_ALLOWED", allowed));
            let case = format!("{arguments:?} with {allowed} threads: exit {}: {}", run.code, run.stderr);
            assert_eq!((run.code, &run.stderr), (with.code, &with.stderr), "{case}");
            assert!(timeless(run.json()) == timeless(with.json()), "{case}");
            if let (Some(threads), "0") = (run.json()["scan"]["threads"].as_u64(), allowed) {
                assert_eq!(threads, 1, "{case}");
            }
        }
    }
}

#[test]
fn the_limit_of_the_system_is_no_panic() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path();
    let model = model(folder);
    let all = all_commands(folder, model.to_str().unwrap());
    // Whoever runs it then must get at all of it.
    let program = folder.join("weigh");
    std::fs::copy(env!("CARGO_BIN_EXE_weigh"), &program).unwrap();
    let opened = Command::new("chmod").arg("-R").arg("a+rX").arg(folder).status();
    assert!(opened.unwrap().success());
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0);
    if Command::new("bash").args(["-c", ":"]).status().is_err() {
        skipped(1, "run under the system's limit on processes", "there is no bash to set it");
        return;
    }
    for arguments in all {
        let mut command = Command::new("bash");
        command.args(["-c", r#"ulimit -u 1 && exec "$0" "$@""#]).arg(&program).args(&arguments).args(["--format", "json"]);
        if is_root {
            command.uid(STRANGER).gid(STRANGER);
        }
        let run = finish(&mut command);
        if run.code == 126 || run.code == 127 {
            let why = format!("another user cannot run a program here: {}", run.stderr);
            skipped(1, "run under the system's limit on processes", &why);
            return;
        }
        assert_eq!(run.code, 0, "{arguments:?}: {}", run.all());
        assert!(run.json()["scan"]["threads"].as_u64().is_none_or(|n| n == 1), "{arguments:?}: {}", run.all());
    }
}

#[test]
fn a_progress_bar_needs_no_thread() {
    let root = tempfile::tempdir().unwrap();
    let Some(library) = library(root.path()) else { return };
    let model = model(root.path());
    // `script` gives the command a terminal, on which it draws. Paths go in as variables, since they may hold spaces.
    let line = r#"LD_PRELOAD="$LIBRARY" THREADS_ALLOWED=0 "$PROGRAM" scan "$MODEL""#;
    let mut command = Command::new("script");
    command.args(["-qec", line, "/dev/null"]);
    command.env("LIBRARY", &library).env("PROGRAM", env!("CARGO_BIN_EXE_weigh")).env("MODEL", &model);
    if Command::new("script").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err() {
        skipped(1, "progress bar without threads", "there is no `script` to give it a terminal");
        return;
    }
    let run = finish(&mut command);
    assert!(run.code == 0 && run.stdout.contains("1 thread") && !run.stdout.contains("panicked"), "{}", run.all());
}

/// What `nohup` and the background of a shell without job control hand on to every child.
fn interrupts_are_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap().trim();
    u64::from_str_radix(ignored, 16).unwrap() & 1 << 1 != 0
}

#[test]
fn an_interrupt_ends_a_scan_that_nobody_listens_for() {
    let root = tempfile::tempdir().unwrap();
    let Some(library) = library(root.path()) else { return };
    // A hole of 4 TiB, in which a scan goes on for minutes.
    let path = root.path().join("hole.safetensors");
    let bytes = 1u64 << 42;
    let header = format!(r#"{{"w":{{"dtype":"F32","shape":[{}],"data_offsets":[0,{bytes}]}}}}"#, bytes / 4);
    let file = std::fs::File::create(&path).unwrap();
    std::io::Write::write_all(&mut &file, &[&(header.len() as u64).to_le_bytes(), header.as_bytes()].concat()).unwrap();
    if let Err(error) = file.set_len(8 + header.len() as u64 + bytes) {
        skipped(1, "interrupt without threads", &format!("this file system takes no file of {bytes} bytes: {error}"));
        return;
    }
    for (allowed, code) in [("0", None), ("9", Some(130))] {
        if code.is_none() && interrupts_are_ignored() {
            skipped(
                1,
                "interrupt that nobody listens for",
                "whoever started this test had it ignore interrupts, and so does the program",
            );
            continue;
        }
        let mut command = weigh(&words(&format!("scan {} --io read", path.display())));
        command.env("LD_PRELOAD", &library).env("THREADS_ALLOWED", allowed).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        // It has begun to read when it has opened the file and looked at a few MiB of it.
        let position = || std::fs::read_to_string(format!("/proc/{}/io", child.id())).unwrap_or_default();
        let read = || position().lines().find_map(|l| l.strip_prefix("rchar: ")?.parse::<u64>().ok()).unwrap_or(0);
        let begun = Instant::now();
        while read() < 16 << 20 && begun.elapsed() < Duration::from_secs(60) {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
        let asked = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if asked.elapsed() > Duration::from_secs(60) {
                child.kill().unwrap();
                panic!("with {allowed} threads the interrupt was not heard");
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        assert_eq!((status.code(), status.signal()), (code, if code.is_none() { Some(2) } else { None }), "{status}");
    }
}
