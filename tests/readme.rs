//! The README and the page on quantization show what the program prints. `WEIGH_BLESS=1 cargo test --test readme` writes it anew.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::Command;

const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
/// Pages with examples, and how many at least.
const PAGES: &[(&str, usize)] = &[(README, 5), (concat!(env!("CARGO_MANIFEST_DIR"), "/docs/quantization.md"), 5)];

/// What `$ weigh ARGS` prints on a terminal of 80 columns, from the repository's folder.
fn output_of(command: &str) -> String {
    let args = command.strip_prefix("$ weigh ").unwrap().split(' ');
    let run = Command::new(env!("CARGO_BIN_EXE_weigh"))
        .args(args)
        .args(["--color", "never", "--no-progress"])
        .env("COLUMNS", "80")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(run.status.success(), "{command}: {}", String::from_utf8_lossy(&run.stderr));
    String::from_utf8(run.stdout).unwrap()
}

/// Times, rates, threads and the way of reading differ from run to run and from machine to machine.
fn steady(text: &str) -> Vec<String> {
    let is_scan_line = |line: &str| line.starts_with("Scan  ");
    text.lines()
        .map(|line| if is_scan_line(line) { line.split(" read in ").next().unwrap_or(line) } else { line }.trim_end().to_owned())
        .collect()
}

#[test]
fn the_output_shown_is_what_the_program_prints() {
    PAGES.iter().for_each(|(page, least)| check(page, *least));
}

fn check(page: &str, least: usize) {
    let readme = std::fs::read_to_string(page).unwrap();
    let mut blessed = String::new();
    let mut rest = readme.as_str();
    let mut blocks = 0;
    while let Some(at) = rest.find("```console\n") {
        let start = at + "```console\n".len();
        let end = start + rest[start..].find("```").unwrap();
        let (command, shown) = rest[start..end].split_once('\n').unwrap();
        let printed = output_of(command);
        if std::env::var_os("WEIGH_BLESS").is_none() {
            assert_eq!(steady(shown), steady(&printed), "{command}: bless the page");
        }
        let keeps = steady(shown) == steady(&printed);
        blessed.push_str(&rest[..start]);
        blessed.push_str(command);
        blessed.push('\n');
        blessed.push_str(if keeps { shown } else { &printed });
        rest = &rest[end..];
        blocks += 1;
    }
    blessed.push_str(rest);
    assert!(blocks >= least, "{page} lost its examples");
    if std::env::var_os("WEIGH_BLESS").is_some() {
        std::fs::write(page, blessed).unwrap();
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
