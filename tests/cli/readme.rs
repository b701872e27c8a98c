//! The README and docs/ show what the program prints. `WEIGH_BLESS=1 cargo test --test cli readme` writes it anew. Quotes of real
//! checkpoints are compared where scripts/fetch_checkpoints.py has fetched them, and skipped out loud elsewhere.

use std::path::Path;

const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");

/// Where fetched checkpoints lie, as the documents spell it, and where they lie here.
const FETCHED: &str = "target/checkpoints";

fn fetched() -> String {
    std::env::var("WEIGH_CHECKPOINTS").unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/target/checkpoints").to_owned())
}

/// What `$ weigh ARGS` prints on a terminal of 80 columns, from the repository's folder; `None` where it needs a checkpoint that
/// was not fetched.
fn output_of(command: &str) -> Option<String> {
    let args: Vec<String> =
        command.strip_prefix("$ weigh ").unwrap().split(' ').map(|arg| arg.replace(FETCHED, &fetched())).collect();
    if command.contains(FETCHED) && !args.iter().filter(|arg| arg.starts_with(&fetched())).all(|arg| Path::new(arg).exists()) {
        return None;
    }
    let run = crate::program::program()
        .args(args)
        .args(["--color", "never", "--no-progress"])
        .env("COLUMNS", "80")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(run.status.success(), "{command}: {}", String::from_utf8_lossy(&run.stderr));
    Some(String::from_utf8(run.stdout).unwrap())
}

/// Times, rates, threads and the way of reading differ from run to run and from machine to machine.
fn steady(text: &str) -> Vec<String> {
    let is_scan_line = |line: &str| line.starts_with("Scan  ");
    text.lines()
        .map(|line| if is_scan_line(line) { line.split(" read in ").next().unwrap_or(line) } else { line }.trim_end().to_owned())
        .collect()
}

/// Runs every command that a document shows; returns how many were compared, and those whose checkpoint is not here.
fn compare(file: &Path) -> (usize, Vec<String>) {
    let document = std::fs::read_to_string(file).unwrap();
    let (mut blessed, mut skipped) = (String::new(), Vec::new());
    let mut rest = document.as_str();
    let mut compared = 0;
    while let Some(at) = rest.find("```console\n") {
        let start = at + "```console\n".len();
        let end = start + rest[start..].find("```").unwrap();
        let (command, shown) = rest[start..end].split_once('\n').unwrap();
        let printed = output_of(command);
        match &printed {
            Some(printed) if std::env::var_os("WEIGH_BLESS").is_none() => {
                assert_eq!(steady(shown), steady(printed), "{}: {command}: bless it", file.display());
                compared += 1;
            }
            Some(_) => compared += 1,
            None => skipped.push(command.to_owned()),
        }
        let printed = printed.filter(|printed| steady(shown) != steady(printed));
        blessed.push_str(&rest[..start]);
        blessed.push_str(command);
        blessed.push('\n');
        blessed.push_str(printed.as_deref().unwrap_or(shown));
        rest = &rest[end..];
    }
    blessed.push_str(rest);
    if std::env::var_os("WEIGH_BLESS").is_some() {
        std::fs::write(file, blessed).unwrap();
    }
    (compared, skipped)
}

#[test]
fn the_output_shown_is_what_the_program_prints() {
    let (compared, skipped) = compare(Path::new(README));
    assert!(compared >= 5 && skipped.is_empty(), "the README lost its examples");
}

#[test]
fn the_documents_quote_the_program() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let mut skipped = Vec::new();
    let mut seen = 0;
    for entry in std::fs::read_dir(docs).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "md") {
            let (compared, not_here) = compare(&path);
            seen += compared + not_here.len();
            skipped.extend(not_here);
        }
    }
    assert!(seen >= 8, "the documents lost their examples");
    if !skipped.is_empty() {
        crate::skipped::skipped(skipped.len(), "quotes", &format!("their checkpoints were not fetched: {}", skipped.join("; ")));
    }
}

#[test]
fn the_first_block_has_exactly_two_commands_and_its_paths_exist() {
    let readme = std::fs::read_to_string(README).unwrap();
    let block = readme.split("```sh\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let commands: Vec<&str> = block.lines().collect();
    assert_eq!(commands, ["cargo install --locked --path . && weigh fixtures/fracast", "cargo test --locked"]);
    assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/fracast").is_dir());
}
