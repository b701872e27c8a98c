//! The command line: each file of `tests/cli` is one run of `weigh`.
//!
//! ```text
//! # why this case is here
//! weigh show $DIR --by file          the command line; `$DIR` is a fresh folder
//! columns 80                         width of the report; 100 when absent
//! file a/x.gguf = fixtures/odd/x     puts a copy of a fixture into $DIR
//! text a/config.json = {}            puts a line of text there
//! exit 2                             the exit code; 0 when absent
//! stdout-has SOME TEXT               must be in the output; white space of any kind and length is one blank
//! stderr-has SOME TEXT
//! stdout-lacks SOME TEXT
//! stderr-lines 1                     how many lines
//! --- stdout                         the whole output; `[..]` stands for anything in a line
//! ...
//! ```
//!
//! `WEIGH_BLESS=1 cargo test --test cli` writes the whole outputs anew, nothing else: exit codes and required texts are for a
//! person to change. `WEIGH_CASE=help` runs the cases whose name holds `help`.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

#[derive(Default)]
struct Case {
    /// Everything before the whole output, as it stands.
    head: String,
    words: Vec<String>,
    columns: Option<String>,
    files: Vec<(String, Vec<u8>)>,
    exit: i32,
    required: Vec<(&'static str, String)>,
    stderr_lines: Option<usize>,
    stdout: Option<Vec<String>>,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn cases() {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(root().join("tests/cli")).unwrap().map(|e| e.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_none_or(|ending| ending != "rs"));
    paths.sort();
    let only = std::env::var("WEIGH_CASE").unwrap_or_default();
    let bless = std::env::var_os("WEIGH_BLESS").is_some_and(|v| v == "1");
    let (mut wrong, mut ran) = (Vec::new(), 0);
    for path in paths {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        assert!(name.ends_with(".case"), "tests/cli/{name} is no case");
        if !name.contains(&only) {
            continue;
        }
        ran += 1;
        let text = std::fs::read_to_string(&path).unwrap();
        match parse(&text) {
            Err(why) => wrong.push(format!("== {name}\n{why}")),
            Ok(case) => wrong.extend(check(&case, bless.then_some(path.as_path())).into_iter().map(|w| format!("== {name}\n{w}"))),
        }
    }
    assert!(ran > 0, "no case has `{only}` in its name");
    println!("{ran} cases");
    assert!(wrong.is_empty(), "{}\n\n{} of {ran} cases (WEIGH_BLESS=1 writes whole outputs anew)", wrong.join("\n"), wrong.len());
}

#[test]
fn every_command_has_a_case_of_its_long_help() {
    let help = weigh(&["--help".to_owned()], None, &[]);
    let text = String::from_utf8(help.stdout).unwrap();
    let commands = text.lines().skip_while(|l| *l != "Commands:").skip(1).take_while(|l| l.starts_with("  "));
    let commands: Vec<_> = commands.filter_map(|l| l.split_whitespace().next()).filter(|c| *c != "help").collect();
    assert!(commands.contains(&"show"), "{text}");
    for command in commands {
        assert!(root().join(format!("tests/cli/help-{command}.case")).is_file(), "tests/cli/help-{command}.case is missing");
    }
}

#[test]
fn the_harness_finds_what_is_wrong() {
    for (head, body) in [
        ("weigh --version\nexit 1\n", ""),
        ("weigh --version\nstdout-has nothing of the kind\n", ""),
        ("weigh --version\nstdout-lacks weigh\n", ""),
        ("weigh --version\nstderr-lines 1\n", ""),
        ("weigh --version\n", "--- stdout\nweigh of another kind\n"),
        ("weigh --version\n", "--- stdout\nweigh [..]\nand more\n"),
    ] {
        assert!(!check(&parse(&format!("{head}{body}")).unwrap(), None).is_empty(), "{head}{body}");
    }
    assert!(check(&parse("weigh --version\nstdout-has weigh\n--- stdout\nweigh [..].[..]\n").unwrap(), None).is_empty());
    assert!(parse("weigh --version\nexits 1\n").is_err() && parse("exit 1\n").is_err());
}

fn parse(text: &str) -> Result<Case, String> {
    let (head, stdout) = match text.split_once("--- stdout\n") {
        Some((head, body)) => (head, Some(body.lines().map(str::to_owned).collect())),
        None => (text, None),
    };
    let mut case = Case { head: head.to_owned(), stdout, ..Case::default() };
    for line in head.lines().filter(|l| !l.is_empty() && !l.starts_with('#')) {
        let (key, value) = line.split_once(' ').ok_or_else(|| format!("not understood: {line}"))?;
        let pair = || value.split_once(" = ").ok_or_else(|| format!("write `{key} NAME = ...`: {line}"));
        let number = || value.parse().map_err(|_| format!("not a number: {line}"));
        match key {
            "weigh" => case.words = value.split_whitespace().map(str::to_owned).collect(),
            "columns" => case.columns = Some(value.to_owned()),
            "exit" => case.exit = number()?,
            "stdout-has" => case.required.push(("stdout", value.to_owned())),
            "stderr-has" => case.required.push(("stderr", value.to_owned())),
            "stdout-lacks" => case.required.push(("lacks", value.to_owned())),
            "stderr-lines" => case.stderr_lines = Some(usize::try_from(number()?).unwrap()),
            "text" => case.files.push(pair().map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec()))?),
            "file" => {
                let (name, fixture) = pair()?;
                let bytes = std::fs::read(root().join(fixture)).map_err(|e| format!("{fixture}: {e}"))?;
                case.files.push((name.to_owned(), bytes));
            }
            _ => return Err(format!("not understood: {line}")),
        }
    }
    if case.words.is_empty() { Err("no line `weigh ...`".to_owned()) } else { Ok(case) }
}

fn weigh(words: &[String], columns: Option<&str>, env: &[(&str, &str)]) -> Output {
    crate::program::program()
        .args(words)
        .current_dir(root())
        .stdin(Stdio::null())
        .env("COLUMNS", columns.unwrap_or("100"))
        .envs(env.iter().copied())
        .output()
        .unwrap()
}

/// What differs from what the case says.
fn check(case: &Case, bless: Option<&Path>) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().to_str().unwrap();
    for (name, bytes) in &case.files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    let words: Vec<String> = case.words.iter().map(|w| w.replace("$DIR", dir)).collect();
    let output = weigh(&words, case.columns.as_deref(), &[]);
    let as_text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap().replace(dir, "$DIR");
    let (stdout, stderr) = (as_text(&output.stdout), as_text(&output.stderr));
    let mut wrong = Vec::new();
    if output.status.code() != Some(case.exit) {
        wrong.push(format!("exit {:?}, expected {}", output.status.code(), case.exit));
    }
    for (place, text) in &case.required {
        let seen = flowed(if *place == "stderr" { &stderr } else { &stdout }).contains(&flowed(text));
        match (*place, seen) {
            ("lacks", true) => wrong.push(format!("stdout has: {text}")),
            ("stdout" | "stderr", false) => wrong.push(format!("{place} has not: {text}")),
            _ => {}
        }
    }
    if case.stderr_lines.is_some_and(|n| n != stderr.lines().count()) {
        wrong.push(format!("stderr has {} lines", stderr.lines().count()));
    }
    if let Some(expected) = &case.stdout {
        let actual: Vec<&str> = stdout.lines().collect();
        let same = actual.len() == expected.len() && actual.iter().zip(expected).all(|(a, e)| fits(e, a));
        match (same, bless) {
            (false, Some(path)) => {
                std::fs::write(path, format!("{}--- stdout\n{}", case.head, blessed(expected, &actual))).unwrap()
            }
            (false, None) => wrong.push(differences(expected, &actual)),
            (true, _) => {}
        }
    }
    if !wrong.is_empty() {
        wrong.push(format!("stderr:\n{stderr}"));
        if case.stdout.is_none() {
            wrong.push(format!("stdout:\n{stdout}"));
        }
    }
    wrong
}

/// Text with every run of white space as one blank: where a line is wrapped does not matter.
fn flowed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether a line is as expected; `[..]` stands for any text.
fn fits(expected: &str, actual: &str) -> bool {
    let mut parts = expected.split("[..]");
    let Some(mut rest) = parts.next().and_then(|first| actual.strip_prefix(first)) else { return false };
    let mut whole = true;
    for part in parts {
        whole = part.is_empty();
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    whole || rest.is_empty()
}

/// The new output, in which lines that an old one with `[..]` fits keep that form.
fn blessed(old: &[String], actual: &[&str]) -> String {
    let kept = |line: &str| old.iter().find(|o| o.contains("[..]") && fits(o, line)).cloned();
    actual.iter().map(|line| kept(line).unwrap_or_else(|| (*line).to_owned()) + "\n").collect()
}

fn differences(expected: &[String], actual: &[&str]) -> String {
    let first = expected.iter().zip(actual).position(|(e, a)| !fits(e, a)).unwrap_or(expected.len().min(actual.len()));
    let show = |lines: Vec<&str>| lines.iter().skip(first).take(4).map(|l| format!("    |{l}\n")).collect::<String>();
    let expected = show(expected.iter().map(String::as_str).collect());
    format!("stdout differs from line {}\n  expected:\n{expected}  actual:\n{}", first + 1, show(actual.to_vec()))
}
