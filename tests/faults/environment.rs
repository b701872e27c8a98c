//! Figures from the environment and the command line beyond all reason: bounded, not obeyed.

use crate::command::{finish, repository, weigh};

fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

#[test]
fn a_page_is_at_most_as_wide_as_one_can_read() {
    let root = tempfile::tempdir().unwrap();
    let model = root.path().join("m");
    repository(&model);
    let model = model.to_str().unwrap();
    for line in
        ["--help".to_owned(), "scan --help".to_owned(), format!("show {model} --tensors"), format!("memory {model} --explain")]
    {
        let at = |columns: &str| {
            let mut command = crate::program::program();
            finish(command.args(words(&line)).env("COLUMNS", columns)).stdout
        };
        let widest = at("160");
        assert!(widest.lines().count() > 5 && at("40") != widest, "{line}");
        for columns in ["161", "1000000000", "18446744073709551615"] {
            assert_eq!(at(columns), widest, "{line} at {columns} columns");
        }
        assert!(!at("99999999999999999999999").is_empty() && !at("0").is_empty() && !at("-1").is_empty(), "{line}");
    }
}

#[test]
fn threads_are_bounded() {
    let root = tempfile::tempdir().unwrap();
    let model = root.path().join("m");
    repository(&model);
    let model = model.to_str().unwrap();
    let cores = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let threads = |line: &str, told: &str| {
        let mut command = weigh(&words(line));
        let run = finish(command.env("RAYON_NUM_THREADS", told));
        assert_eq!(run.code, 0, "{line} where {told} threads are told: {}", run.all());
        run.json()["scan"]["threads"].as_u64()
    };
    for line in [format!("show {model}"), format!("diff {model} {model}"), format!("scan {model} --stats full")] {
        assert!(threads(&line, "100000").is_none_or(|n| n == cores), "{line}");
    }
    assert_eq!(threads(&format!("scan {model}"), "1"), Some(1));
    for told in ["0", "-1", "many", "99999999999999999999999", ""] {
        assert_eq!(threads(&format!("scan {model}"), told), Some(cores), "{told}");
    }
    for asked in ["100000", "18446744073709551615"] {
        // Fewer where the system starts no more.
        assert!(threads(&format!("scan {model} --threads {asked}"), "1").is_some_and(|n| n <= cores.max(256)), "{asked}");
    }
    assert_eq!(threads(&format!("scan {model} --threads 3"), "1"), Some(3));
    for none in ["0", "-1", "x"] {
        assert_eq!(finish(&mut weigh(&words(&format!("scan {model} --threads={none}")))).code, 2);
    }
}
