//! `-o` over a file that is read: refused, under whatever name; and what a new report keeps of the one it replaces.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{INDEX, Run, S1, S2, finish, repository};

fn weigh(arguments: &[&str], report: &Path) -> Run {
    let mut command = crate::program::program();
    finish(command.args(arguments).arg("--no-progress").arg("-o").arg(report))
}

/// Every file below a folder with its bytes.
fn content(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            found.extend(content(&entry));
        } else {
            found.insert(entry.clone(), std::fs::read(&entry).unwrap());
        }
    }
    found
}

/// The command is refused and everything below the folder is as it was.
fn refused(folder: &Path, arguments: &[&str], report: &Path) {
    let before = content(folder);
    let run = weigh(arguments, report);
    let case = format!("{arguments:?} -o {}: exit {}: {}", report.display(), run.code, run.all());
    assert!(run.code == 2 && run.stdout.is_empty() && run.stderr.contains("is read for this report"), "{case}");
    assert_eq!(run.stderr.lines().count(), 1, "{case}");
    assert!(content(folder) == before, "{case}");
}

#[test]
fn a_file_that_is_read_is_not_replaced() {
    let root = tempfile::tempdir().unwrap();
    let d = root.path();
    let (a, b) = (d.join("a"), d.join("b"));
    repository(&a);
    repository(&b);
    std::fs::create_dir_all(a.join("sub/deep")).unwrap();
    std::fs::write(a.join("sub/deep/chat_template.jinja"), "{{ messages }}").unwrap();
    let policy = d.join("policy.json");
    std::fs::write(&policy, r#"{"deny": ["note"]}"#).unwrap();
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let (folder, other, shard, index) = (text(&a), text(&b), text(&a.join(S1)), text(&a.join(INDEX)));
    let config = text(&a.join("config.json"));
    let inputs: [&str; 9] = [
        S1,
        S2,
        INDEX,
        "config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "README.md",
        "training_args.bin",
        "sub/deep/chat_template.jinja",
    ];
    for input in inputs {
        let report = a.join(input);
        refused(d, &["audit", &folder, "--format", "sarif"], &report);
        refused(d, &["show", &folder, "--format", "json"], &report);
    }
    // Every command, every kind of path: a shard and an index stand for the set, a file has others beside it that are read.
    for arguments in [
        vec![folder.as_str(), "--no-scan"],
        vec!["scan", &folder],
        vec!["scan", &folder, "--part", "1/2"],
        vec!["project", &folder],
        vec!["memory", &folder],
        vec!["diff", &other, &folder],
        vec!["diff", &folder, &other],
        vec!["show", &shard],
        vec!["show", &shard, "--only-this-file"],
        vec!["show", &index],
    ] {
        refused(d, &arguments, &a.join(S2));
        refused(d, &arguments, &a.join("config.json"));
    }
    refused(d, &["show", &config], &a.join("config.json"));
    refused(d, &["memory", &config], &a.join("tokenizer.json"));
    refused(d, &["audit", &text(&a.join("training_args.bin"))], &a.join("training_args.bin"));
    refused(d, &["audit", &folder, "--policy", &text(&policy)], &policy);
    // The same file under another name.
    symlink(a.join(S1), d.join("link")).unwrap();
    symlink(&a, d.join("folder")).unwrap();
    std::fs::hard_link(a.join(S2), d.join("second")).unwrap();
    for other_name in [d.join("link"), d.join("second"), d.join("folder").join(S1), a.join("sub/..").join(S2)] {
        refused(d, &["show", &folder], &other_name);
    }
    // The model itself through a link, and a link in it.
    refused(d, &["show", &text(&d.join("folder"))], &a.join(S1));
    let alone = text(&d.join("link"));
    refused(d, &["show", &alone], &a.join(S1));
}

#[test]
fn parts_and_what_they_were_scanned_from_are_not_replaced() {
    let root = tempfile::tempdir().unwrap();
    let d = root.path();
    let model = d.join("m");
    repository(&model);
    let folder = model.to_str().unwrap();
    let parts = ["1", "2"].map(|i| d.join(i).to_str().unwrap().to_owned());
    for (i, part) in ["1/2", "2/2"].iter().zip(&parts) {
        assert_eq!(weigh(&["scan", folder, "--part", i], Path::new(part)).code, 0);
    }
    let merge = ["merge", parts[0].as_str(), parts[1].as_str(), "--format", "json"];
    refused(d, &merge, Path::new(&parts[1]));
    refused(d, &merge, &model.join(S1));
    let whole = d.join("whole.json");
    assert_eq!(weigh(&merge, &whole).code, 0);
    // Again, and a part again.
    assert_eq!(weigh(&merge, &whole).code, 0);
    assert_eq!(weigh(&["scan", folder, "--part", "1/2"], Path::new(&parts[0])).code, 0);
}

#[test]
fn the_files_behind_a_hub_cache_are_not_replaced() {
    let root = tempfile::tempdir().unwrap();
    let cache = root.path().join("models--a--b");
    let snapshot = cache.join("snapshots/0123456789abcdef");
    for folder in [&cache.join("blobs"), &cache.join("refs"), &snapshot] {
        std::fs::create_dir_all(folder).unwrap();
    }
    std::fs::write(cache.join("refs/main"), "0123456789abcdef").unwrap();
    let plain = root.path().join("plain");
    repository(&plain);
    for name in [S1, S2, INDEX, "config.json"] {
        std::fs::rename(plain.join(name), cache.join("blobs").join(name)).unwrap();
        symlink(Path::new("../../blobs").join(name), snapshot.join(name)).unwrap();
    }
    for folder in [&cache, &snapshot] {
        for name in [S1, INDEX, "config.json"] {
            refused(&cache, &["show", folder.to_str().unwrap()], &cache.join("blobs").join(name));
            refused(&cache, &["show", folder.to_str().unwrap()], &snapshot.join(name));
        }
    }
    refused(&cache, &["show", cache.to_str().unwrap()], &cache.join("refs/main"));
}

#[test]
fn reports_are_replaced_also_beside_what_they_are_about() {
    let root = tempfile::tempdir().unwrap();
    let model = root.path().join("m");
    repository(&model);
    let folder = model.to_str().unwrap();
    std::fs::write(model.join("empty.json"), "").unwrap();
    std::fs::write(model.join("old"), "anything").unwrap();
    for (arguments, name) in [
        (vec!["audit", folder, "--format", "json"], "report.json"),
        (vec!["audit", folder, "--format", "sarif"], "audit.json"),
        (vec!["show", folder, "--format", "json"], "report.json"),
        (vec!["show", folder, "--format", "json"], "audit.json"),
        (vec!["show", folder, "--format", "json"], "empty.json"),
        (vec!["show", folder], "report.txt"),
        (vec!["show", folder, "--format", "csv"], "sizes.csv"),
        (vec!["show", folder, "--format", "markdown"], "SIZES.md"),
        (vec!["show", folder], "old"),
    ] {
        for _ in 0..2 {
            let run = weigh(&arguments, &model.join(name));
            assert!(run.code == 0 && run.stderr.is_empty(), "{arguments:?} -o {name}: {}", run.all());
        }
    }
    // Beside a file that is looked at, too.
    let shard = model.join(S1);
    for name in ["one", "one.json", "other.bin"] {
        std::fs::write(root.path().join(name), "anything").unwrap();
        let copy = root.path().join("alone.safetensors");
        std::fs::copy(&shard, &copy).unwrap();
        let run = weigh(&["show", copy.to_str().unwrap()], &root.path().join(name));
        assert!(run.code == 0 && run.stderr.is_empty(), "{name}: {}", run.all());
    }
}

#[test]
fn a_report_is_as_private_as_the_one_it_replaces() {
    let root = tempfile::tempdir().unwrap();
    let (model, report) = (root.path().join("m"), root.path().join("report.json"));
    repository(&model);
    let arguments = ["show", model.to_str().unwrap(), "--format", "json"];
    let mode = || std::fs::metadata(&report).unwrap().mode() & 0o7777;
    for wanted in [0o600, 0o640, 0o444, 0o666, 0o755] {
        std::fs::write(&report, "old").unwrap();
        std::fs::set_permissions(&report, PermissionsExt::from_mode(wanted)).unwrap();
        assert_eq!(weigh(&arguments, &report).code, 0);
        assert_eq!((mode(), std::fs::read(&report).unwrap().len() > 3), (wanted, true), "{wanted:o}");
        std::fs::remove_file(&report).unwrap();
    }
    // A new one is as the user's mask says.
    let mut command = Command::new("sh");
    command.args(["-c", r#"umask 027; exec "$0" "$@""#, env!("CARGO_BIN_EXE_weigh")]).args(arguments).arg("-o").arg(&report);
    assert_eq!(finish(&mut command).code, 0);
    assert_eq!(mode(), 0o640);
    // Where this user may give files away, the owner stays.
    std::fs::write(&report, "old").unwrap();
    if std::os::unix::fs::chown(&report, Some(61_234), Some(61_235)).is_err() {
        crate::skipped::skipped(1, "owner of a report", "this user cannot give files away");
        return;
    }
    assert_eq!(weigh(&arguments, &report).code, 0);
    let after = std::fs::metadata(&report).unwrap();
    assert_eq!((after.uid(), after.gid(), mode()), (61_234, 61_235, 0o640));
}
