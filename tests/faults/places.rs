//! Things that are no files in the places of files: pipes, sockets, devices, folders, and files that may not be read.

use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

use crate::command::{INDEX, S1, S2, commands, finish, repository, weigh, with_json};
use crate::skipped::skipped;
use crate::someone_else::{SomeoneElse, open_to_all};

/// The names that any command looks for.
const PLACES: [&str; 9] = [
    S2,
    INDEX,
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "README.md",
    "chat_template.jinja",
    "tokenizer.model",
    "training_args.bin",
];

/// Puts a thing in a place; false where this user may not.
type Put = fn(&Path) -> bool;

fn pipe(path: &Path) -> bool {
    Command::new("mkfifo").arg(path).status().is_ok_and(|s| s.success())
}

fn socket(path: &Path) -> bool {
    UnixListener::bind(path).is_ok()
}

/// `/dev/zero` under another name: reading it never ends.
fn device(path: &Path) -> bool {
    Command::new("mknod").arg(path).args(["c", "1", "5"]).stderr(std::process::Stdio::null()).status().is_ok_and(|s| s.success())
}

fn link_to_device(path: &Path) -> bool {
    std::os::unix::fs::symlink("/dev/zero", path).is_ok()
}

fn folder(path: &Path) -> bool {
    std::fs::create_dir(path).is_ok()
}

#[test]
fn what_is_no_file_is_named_and_never_opened() {
    let things: [(&str, Put); 5] =
        [("pipe", pipe), ("socket", socket), ("device", device), ("link to a device", link_to_device), ("folder", folder)];
    for (thing, put) in things {
        for place in PLACES {
            let root = tempfile::tempdir().unwrap();
            let model = root.path().join("m");
            repository(&model);
            let path = model.join(place);
            let _ = std::fs::remove_file(&path);
            if !put(&path) {
                skipped(PLACES.len(), &format!("places of a {thing}"), "this user cannot make one here");
                break;
            }
            for arguments in commands(model.to_str().unwrap()) {
                let run = finish(&mut weigh(&arguments));
                let case = format!("a {thing} as {place}, {arguments:?}: exit {}, {}", run.code, run.all());
                let is_audit = arguments[0] == "audit";
                // A folder in place of a shard is a shard that is missing: a finding.
                if place == S2 {
                    assert_eq!(run.code, if is_audit && thing == "folder" { 1 } else { 2 }, "{case}");
                }
                // A folder is entered like any other; that its name is that of a file is the audit's to say.
                if thing != "folder" || place == S2 || (is_audit && !place.contains(".model") && !place.contains(".bin")) {
                    assert!(run.all().contains(place), "{case}");
                }
                if place == S2 && arguments[0] == "show" {
                    assert!(run.json()["files"].as_array().is_some_and(|f| f.len() == 1 && f[0]["path"] == S1), "{case}");
                }
            }
            // Alone, as the path that was given.
            for arguments in commands(path.to_str().unwrap()) {
                let run = finish(&mut weigh(&arguments));
                assert!(run.code != 0, "a {thing} at {arguments:?}: {}", run.all());
                assert!(run.all().contains(place), "a {thing} at {arguments:?}: {}", run.all());
            }
            let kind = std::fs::symlink_metadata(&path).unwrap().file_type();
            assert!(!kind.is_file() || kind.is_fifo(), "the {thing} at {place} is still one");
        }
    }
}

#[test]
fn a_file_that_may_not_be_read_is_named() {
    let places = [S1, S2, INDEX, "config.json", "tokenizer.json", "tokenizer_config.json", "README.md", "training_args.bin"];
    let someone = match SomeoneElse::new() {
        Ok(someone) => someone,
        Err(why) => return skipped(places.len(), "files that may not be read", &why),
    };
    for place in places {
        let model = someone.folder().join("m");
        let _ = std::fs::remove_dir_all(&model);
        repository(&model);
        open_to_all(&model);
        std::fs::set_permissions(model.join(place), PermissionsExt::from_mode(0o0)).unwrap();
        for arguments in commands(model.to_str().unwrap()) {
            let run = finish(&mut with_json(someone.weigh(), &arguments));
            let case = format!("{place} unreadable, {arguments:?}: exit {}, {}", run.code, run.all());
            let weights = place.ends_with(".safetensors") || place == INDEX;
            // What a command does not read cannot fail it.
            let reads_it = weights || arguments[0] == "audit" || place == "config.json" || place == "training_args.bin";
            if reads_it {
                assert!(run.all().contains(place) && run.all().contains("Permission denied"), "{case}");
                assert_eq!(run.code, 2, "{case}");
            }
        }
    }
}
