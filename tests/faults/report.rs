//! A report that cannot be written: the old one stays, nothing half-written is left, and the command says so.
#![allow(unsafe_code)] // setrlimit between fork and exec

use std::os::unix::fs::FileTypeExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::command::{finish, repository, weigh};
use crate::skipped::skipped;

/// The names in a folder.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn show(model: &Path, report: &Path) -> Command {
    weigh(&["show".to_owned(), model.to_str().unwrap().to_owned(), "-o".to_owned(), report.to_str().unwrap().to_owned()])
}

/// No file may grow beyond `bytes`: the writes up to there succeed, as on a disk that fills up, and the next one raises SIGXFSZ.
fn limit(command: &mut Command, bytes: u64) {
    // SAFETY: between fork and exec only setrlimit and signal, which are async-signal-safe, are called.
    unsafe {
        command.pre_exec(move || {
            libc::signal(libc::SIGXFSZ, libc::SIG_DFL);
            let limit = libc::rlimit { rlim_cur: bytes, rlim_max: bytes };
            if libc::setrlimit(libc::RLIMIT_FSIZE, &limit) == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
        });
    }
}

#[test]
fn a_full_disk_leaves_what_was_there() {
    let root = tempfile::tempdir().unwrap();
    let (model, out) = (root.path().join("m"), root.path().join("out"));
    repository(&model);
    std::fs::create_dir(&out).unwrap();
    let report = out.join("report.json");
    // The messages go to files as well: the least limit leaves room for one line.
    for bytes in [300, 1000] {
        for old in [None, Some("the old report")] {
            let _ = std::fs::remove_file(&report);
            old.iter().for_each(|text| std::fs::write(&report, text).unwrap());
            let mut command = show(&model, &report);
            limit(&mut command, bytes);
            let run = finish(&mut command);
            assert_eq!(run.code, 2, "{}", run.all());
            assert!(run.stderr.contains("cannot write the report") && run.stderr.contains("report.json"), "{}", run.stderr);
            assert_eq!(std::fs::read_to_string(&report).ok().as_deref(), old);
            assert_eq!(names(&out), old.map(|_| "report.json".to_owned()).into_iter().collect::<Vec<_>>());
        }
    }
    // With room it is replaced as a whole.
    assert_eq!(finish(&mut show(&model, &report)).code, 0);
    assert!(std::fs::read_to_string(&report).unwrap().ends_with("}\n"));
    assert_eq!(names(&out), ["report.json"]);
}

#[test]
fn places_that_take_no_report_are_told() {
    let root = tempfile::tempdir().unwrap();
    let model = root.path().join("m");
    repository(&model);
    std::fs::create_dir(root.path().join("folder")).unwrap();
    for (place, words) in [("folder", "is a directory"), ("nowhere/report.json", "No such file")] {
        let run = finish(&mut show(&model, &root.path().join(place)));
        assert!(run.code == 2 && run.stderr.contains(words) && run.stdout.is_empty(), "{place}: {}", run.all());
    }
    assert_eq!(names(root.path()), ["folder", "m"]);
    if cfg!(target_os = "linux") {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let output = weigh(&["show".to_owned(), model.to_str().unwrap().to_owned()]).stdout(full).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && said.contains("No space left"), "{said}");
    }
}

#[test]
fn a_device_is_written_to_and_not_replaced() {
    let root = tempfile::tempdir().unwrap();
    let model = root.path().join("m");
    repository(&model);
    // Devices of its own, so that no fault of the command can replace those of the system.
    for (name, minor, code, words) in [("null", "3", 0, ""), ("full", "7", 2, "No space left")] {
        let device = root.path().join(name);
        let made = Command::new("mknod").arg(&device).args(["c", "1", minor]).stderr(Stdio::null()).status();
        // On a file system that is mounted so, devices can be made and not be opened.
        if !made.is_ok_and(|status| status.success()) || std::fs::File::options().write(true).open(&device).is_err() {
            return skipped(1, "report to a device", "this user cannot make one here");
        }
        let run = finish(&mut show(&model, &device));
        assert!(run.code == code && run.stderr.contains(words), "{}", run.all());
        assert!(std::fs::symlink_metadata(&device).unwrap().file_type().is_char_device());
    }
}

#[test]
fn a_link_stays_a_link_and_a_planted_one_is_not_followed() {
    let root = tempfile::tempdir().unwrap();
    let (model, real, link) = (root.path().join("m"), root.path().join("real.json"), root.path().join("link.json"));
    repository(&model);
    std::fs::write(&real, "old").unwrap();
    std::os::unix::fs::symlink(&real, &link).unwrap();
    assert_eq!(finish(&mut show(&model, &link)).code, 0);
    assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
    assert!(std::fs::read_to_string(&real).unwrap().ends_with("}\n"));
}
