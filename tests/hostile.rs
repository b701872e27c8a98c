//! The hostile corpus: every case of `tests/hostile/gen.py` meets its manifest through the built `weigh audit`, within 5 s of the
//! processor and 256 MiB.
//!
//! Needs python3, which writes the corpus; without it the test says so and stops.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "common/program.rs"]
mod program;
#[path = "common/skipped.rs"]
mod skipped;
#[path = "common/someone_else.rs"]
mod someone_else;

use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

#[path = "hostile/amplify.rs"]
mod amplify;
#[path = "hostile/linear.rs"]
mod linear;
use skipped::skipped;
use someone_else::{SomeoneElse, open_to_all};

/// Cases that only their values tell.
const NEED_VALUES: [&str; 3] = ["st-nan_inf", "st-bool_values", "st-sparse_hole_data"];

/// Cases that `gen.py` writes.
const CASES: usize = 364;

/// Seconds of the processor for a release build; a debug build, which may have no optimisation at all, is given twelve times that. A busy
/// machine takes more by the clock.
const SECONDS: u64 = if cfg!(debug_assertions) { 60 } else { 5 };
/// Seconds by the clock after which a run hangs.
const CLOCK: u32 = 900;
/// Bytes of private memory (`RLIMIT_DATA`: heap and private maps; every allocation beyond fails and would abort).
const MEMORY: u64 = 256 << 20;

struct Outcome {
    code: Option<i32>,
    signal: Option<i32>,
    stdout: Vec<u8>,
    stderr: String,
}

fn audit(mut command: Command, path: &Path, scan: bool) -> Outcome {
    command.arg("audit").arg(path).args(["--format", "json", "--no-progress"]).stdin(Stdio::null());
    if scan {
        command.arg("--scan");
    }
    limit(&mut command, SECONDS);
    let output = command.output().unwrap();
    Outcome {
        code: output.status.code(),
        signal: output.status.signal(),
        stdout: output.stdout,
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

#[allow(unsafe_code)]
fn limit(command: &mut Command, seconds: u64) {
    // SAFETY: between fork and exec only setrlimit and alarm, which are async-signal-safe, are called.
    unsafe {
        command.pre_exec(move || {
            for (what, most) in [(libc::RLIMIT_DATA, MEMORY), (libc::RLIMIT_CPU, seconds)] {
                // Beyond the first a run is told so, beyond the second killed.
                if libc::setrlimit(what, &libc::rlimit { rlim_cur: most, rlim_max: most + 1 }) != 0 {
                    return Err(std::io::Error::last_os_error());
                }
            }
            // Outlives exec, as the limits do: the kernel ends a run that waits for ever.
            libc::alarm(CLOCK);
            Ok(())
        });
    }
}

/// Seconds of the processor that a run of the audit takes, whatever else the machine does; a minute of them ends it.
#[allow(unsafe_code, clippy::zombie_processes)]
fn processor_seconds(path: &Path) -> f64 {
    let mut command = crate::program::program();
    command.arg("audit").arg(path).arg("--no-progress").stdin(Stdio::null()).stdout(Stdio::null());
    // SAFETY: between fork and exec only setrlimit, which is async-signal-safe, is called.
    unsafe {
        command.pre_exec(|| {
            let limit = libc::rlimit { rlim_cur: 60, rlim_max: 60 };
            if libc::setrlimit(libc::RLIMIT_CPU, &limit) == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
        });
    }
    let child = command.spawn().unwrap();
    let (mut status, pid) = (0, libc::pid_t::try_from(child.id()).unwrap());
    // SAFETY: rusage is plain figures, for which zeros are valid; the child is waited for here and nowhere else.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        assert_eq!(libc::wait4(pid, &mut status, 0, &mut usage), pid);
        usage
    };
    assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) < 3, "{}: ended with {status:#x}", path.display());
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// What is wrong with an outcome, by the manifest.
fn judge(case: &Value, outcome: &Outcome) -> Vec<String> {
    let mut wrong = Vec::new();
    if let Some(signal) = outcome.signal {
        wrong.push(match signal {
            libc::SIGXCPU => format!("more than {SECONDS} s of the processor"),
            libc::SIGALRM => format!("not done after {CLOCK} s"),
            _ => format!("killed by signal {signal}"),
        });
    }
    if outcome.stderr.contains("panicked") {
        wrong.push(outcome.stderr.clone());
    }
    let document: Value = serde_json::from_slice(&outcome.stdout).unwrap_or_default();
    let findings = document["findings"].as_array().cloned().unwrap_or_default();
    let of = |severity: &str| findings.iter().filter(|f| f["severity"] == severity).count();
    let (errors, warnings) = (of("error"), of("warning"));
    let got = match outcome.code {
        Some(0) if warnings > 0 => "warn",
        Some(0) => "accept",
        _ => "reject",
    };
    let also = case["also_ok"].as_array().cloned().unwrap_or_default();
    if case["expect"] != got && !also.iter().any(|a| a == got) {
        wrong.push(format!("{got} instead of {}", case["expect"]));
    }
    if outcome.code == Some(0) && errors > 0 {
        wrong.push("errors, but exit 0".into());
    }
    if got == "reject" && errors == 0 && outcome.stderr.is_empty() {
        wrong.push("rejected without an error".into());
    }
    let mut words = outcome.stderr.to_lowercase();
    for finding in findings.iter().filter(|f| f["severity"] != "note") {
        for field in ["file", "tensor", "message", "help"] {
            words.push_str(&text(&finding[field]).to_lowercase());
            words.push(' ');
        }
    }
    let must = case["must_mention"].as_array().cloned().unwrap_or_default();
    if got != "accept" && !must.is_empty() && !must.iter().any(|m| words.contains(&text(m).to_lowercase())) {
        wrong.push(format!("mentions none of {must:?}: {}", words.chars().take(300).collect::<String>()));
    }
    if !matches!(case["kind"].as_str(), Some("repo" | "index")) && got == "reject" && errors > 0 {
        let base = text(&case["path"]).rsplit('/').next().unwrap_or_default().to_owned();
        if !findings.iter().any(|f| f["severity"] == "error" && f["file"] == base.as_str()) {
            wrong.push("no error names the file".into());
        }
    }
    wrong
}

/// Writes the corpus into a folder; gives its manifest.
fn corpus(python: &str, folder: &Path, options: &[&str]) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile/gen.py");
    let done = Command::new(python).arg(script).arg(folder).args(options).stdout(Stdio::null()).status().unwrap();
    assert!(done.success(), "gen.py failed");
    serde_json::from_slice(&std::fs::read(folder.join("manifest.json")).unwrap()).unwrap()
}

fn python() -> Option<&'static str> {
    let found = Command::new("python3").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    found.is_ok_and(|s| s.success()).then_some("python3")
}

#[test]
fn every_case_meets_its_manifest() {
    let Some(python) = python() else {
        return skipped(CASES, "hostile cases", "python3 is not here to write them");
    };
    let someone = SomeoneElse::new();
    let mine = tempfile::tempdir().unwrap();
    let folder = someone.as_ref().map_or(mine.path(), SomeoneElse::folder).join("corpus");
    let manifest = corpus(python, &folder, &[]);
    let cases = manifest["cases"].as_array().unwrap();
    open_to_all(&folder);
    let mut failures = Vec::new();
    for case in cases {
        let (id, name) = (text(&case["id"]), text(&case["path"]));
        let path = folder.join(name);
        let program = match &someone {
            _ if case["needs"] != "not-root" => weigh(),
            Ok(someone) => someone.weigh(),
            Err(why) => {
                skipped(1, "hostile case of a file that may not be read", why);
                continue;
            }
        };
        let outcome = audit(program, &path, NEED_VALUES.contains(&id));
        let wrong = judge(case, &outcome);
        if !wrong.is_empty() {
            failures.push(format!("{id} ({}): {}", text(&case["wrong"]), wrong.join("; ")));
        }
    }
    assert_eq!(cases.len(), CASES);
    assert!(failures.is_empty(), "{} of {} cases:\n{}", failures.len(), cases.len(), failures.join("\n"));
}

fn weigh() -> Command {
    crate::program::program()
}

/// The text form of every small case holds nothing that a terminal acts on.
#[test]
fn no_case_reaches_the_terminal_unescaped() {
    let Some(python) = python() else {
        return skipped(CASES, "hostile cases on a terminal", "python3 is not here to write them");
    };
    let folder = tempfile::tempdir().unwrap();
    let manifest = corpus(python, folder.path(), &["--no-big"]);
    for case in manifest["cases"].as_array().unwrap() {
        let id = text(&case["id"]);
        if !["name_", "key_", "val_", "meta_", "arch_", "magic_", "tmpl"].iter().any(|part| id.contains(part)) {
            continue;
        }
        let mut command = crate::program::program();
        let output = command.arg("audit").arg(folder.path().join(text(&case["path"]))).output().unwrap();
        for bytes in [output.stdout, output.stderr] {
            let shown = String::from_utf8(bytes).unwrap_or_else(|_| panic!("{id}: no UTF-8"));
            let bad = |c: char| {
                (c.is_control() && c != '\n')
                    || matches!(u32::from(c), 0x200b..=0x200f | 0x202a..=0x202e | 0x2066..=0x2069 | 0xe0000..=0xe007f | 0x2028 | 0x2029)
            };
            assert!(!shown.contains(bad), "{id}: {shown:?}");
            assert!(!shown.to_lowercase().contains("safe ") || !shown.contains(" is safe"), "{id}");
        }
    }
}

/// Runs a command on one file under the limit on private memory, with its report thrown away; gives its exit code.
fn within_the_limit(arguments: &[&str], path: &Path) -> Option<i32> {
    let mut command = crate::program::program();
    command.args(arguments).arg(path).arg("--no-progress").stdin(Stdio::null()).stdout(Stdio::null());
    limit(&mut command, CLOCK.into());
    let output = command.stderr(Stdio::piped()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code().is_some_and(|code| code < 3), "{arguments:?} of {}: {}; {said}", path.display(), output.status);
    output.status.code()
}

fn safetensors_of(path: &Path, tensors: usize, entry: impl Fn(usize) -> String) {
    let header = format!("{{{}}}", (0..tensors).map(entry).collect::<Vec<_>>().join(","));
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend_from_slice(header.as_bytes());
    file.resize(file.len() + tensors, 0);
    std::fs::write(path, file).unwrap();
}

/// Blocks of Q4_K without their data, which no header needs.
fn gguf_of_blocks(path: &Path, tensors: u64) {
    let string = |text: &str| [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat();
    let mut file = b"GGUF".to_vec();
    file.extend(3u32.to_le_bytes());
    file.extend([tensors, 1].map(u64::to_le_bytes).concat());
    file.extend(string("general.architecture"));
    file.extend(8u32.to_le_bytes());
    file.extend(string("llama"));
    for i in 0..tensors {
        file.extend(string(&format!("blk.{}.w{i}", i % 60)));
        file.extend(1u32.to_le_bytes());
        file.extend(256u64.to_le_bytes());
        file.extend(12u32.to_le_bytes());
        file.extend((160 * i).to_le_bytes());
    }
    std::fs::write(path, file).unwrap();
}

#[test]
fn lists_as_long_as_a_file_wants_them_take_bounded_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.safetensors");
    let every_list = ["show", "--tensors", "--metadata", "--map"];
    let plain = |i: usize, name: &str, dtype: &str| {
        format!(r#""{name}{i}":{{"dtype":"{dtype}","shape":[1],"data_offsets":[{i},{}]}}"#, i + 1)
    };
    safetensors_of(&path, 200_000, |i| plain(i, "t", &format!("Z{i}")));
    for form in ["json", "text", "csv", "markdown"] {
        assert_eq!(within_the_limit(&[&every_list[..], &["--format", form]].concat(), &path), Some(0));
    }
    safetensors_of(&path, 300_000, |i| plain(i, "model.layers.7.mlp.experts.", "U8"));
    for form in ["json", "text"] {
        assert_eq!(within_the_limit(&[&every_list[..], &["--format", form]].concat(), &path), Some(0));
        assert_eq!(within_the_limit(&["scan", "--tensors", "--format", form], &path), Some(0));
        assert_eq!(within_the_limit(&["--format", form], &path), Some(0));
    }
    assert_eq!(within_the_limit(&["audit", "--scan"], &path), Some(0));
    let long = "k".repeat(1_000_000);
    safetensors_of(&path, 50, |i| plain(i, &long, "U8"));
    for arguments in [&every_list[..], &["project", "--to", "all"], &["audit"], &["memory"]] {
        within_the_limit(arguments, &path);
    }
    safetensors_of(&path, 90, |i| plain(i, &long, "U8"));
    for form in ["json", "text"] {
        let twice = ["diff", "--tensors", "--format", form, path.to_str().unwrap()];
        assert_eq!(within_the_limit(&twice, &path), Some(0));
    }
    // Cut short: an error, within the same bound.
    let path = folder.path().join("x.gguf");
    gguf_of_blocks(&path, 1_000_000);
    assert_eq!(within_the_limit(&["audit"], &path), Some(1));
}
