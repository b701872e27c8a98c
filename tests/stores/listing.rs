//! Complete or not, by the listings that the hub client keeps.

use std::path::Path;

use weighbridge::audit::{AuditRequest, audit};
use weighbridge::observe::Silent;
use weighbridge::stores::{Environment, inventory};

use crate::build::put;
use crate::caches::laid_out;

const PARTS: &str = "models--acme--parts";

/// Codes of the findings that are about listings, in order.
fn codes(path: &Path) -> Vec<String> {
    let audit = audit(path, &AuditRequest::default(), &Silent).unwrap();
    let told = ["file-missing", "file-size", "files-left-out", "partial-download", "bad-listing"];
    let mut codes: Vec<String> =
        audit.findings.iter().map(|f| f.code.to_owned()).filter(|code| told.contains(&code.as_str())).collect();
    codes.sort();
    codes
}

/// The one snapshot of a repository.
fn snapshot(repo: &Path) -> std::path::PathBuf {
    std::fs::read_dir(repo.join("snapshots")).unwrap().next().unwrap().unwrap().path()
}

fn row(path: &Path) -> weighbridge::stores::Stored {
    let list = inventory(&[], &[path], &Environment::default());
    assert_eq!(list.models.len(), 1, "{:?}", list.models);
    list.models[0].clone()
}

#[test]
fn what_the_client_wrote_is_whole() {
    for cache in ["shared", "own", "copies"] {
        let (dir, _) = laid_out(cache);
        assert_eq!(codes(&dir.path().join("models--acme--tiny")), [""; 0], "{cache}");
        assert_eq!(row(&snapshot(&dir.path().join("models--acme--twin"))).complete, Some(true), "{cache}");
    }
}

#[test]
fn a_download_with_patterns_is_partial_and_not_broken() {
    let (dir, _) = laid_out("partial");
    let repo = dir.path().join(PARTS);
    assert_eq!(codes(&repo), ["files-left-out"]);
    let row = row(&snapshot(&repo));
    assert_eq!((row.complete, row.missing_files.len(), row.left_out_files), (Some(true), 0, 4));
    // Another format, another quant and a card: none is needed by the safetensors that are here.
    let audit = audit(&repo, &AuditRequest::default(), &Silent).unwrap();
    let said = &audit.findings.iter().find(|f| f.code == "files-left-out").unwrap().message;
    assert!(said.contains("4 of 8 files") && said.contains("pytorch_model.bin"), "{said}");
}

#[test]
fn a_shard_that_is_gone_is_missed() {
    for (cache, at) in [("partial", true), ("folder", false)] {
        let (dir, _) = laid_out(cache);
        let (asked, folder) = if at {
            (dir.path().join(PARTS), snapshot(&dir.path().join(PARTS)))
        } else {
            (dir.path().to_path_buf(), dir.path().to_path_buf())
        };
        std::fs::remove_file(folder.join("model-00002-of-00002.safetensors")).unwrap();
        assert_eq!(codes(&asked), ["file-missing", "files-left-out"], "{cache}");
        let row = row(&folder);
        assert_eq!(
            (row.complete, row.missing_files.as_slice()),
            (Some(false), &["model-00002-of-00002.safetensors".to_owned()][..])
        );
        // Without the index it is missed as one of a set.
        std::fs::remove_file(folder.join("model.safetensors.index.json")).unwrap();
        assert!(codes(&asked).contains(&"file-missing".to_owned()), "{cache}");
    }
}

#[test]
fn weights_that_are_all_gone_are_missed() {
    let (dir, _) = laid_out("own");
    let repo = dir.path().join("models--acme--tiny");
    for snapshot in std::fs::read_dir(repo.join("snapshots")).unwrap() {
        let snapshot = snapshot.unwrap().path();
        std::fs::remove_file(snapshot.join("model.safetensors")).unwrap();
        std::fs::remove_dir_all(snapshot.join("unet")).unwrap();
    }
    assert!(codes(&repo).contains(&"file-missing".to_owned()));
    let (dir, _) = laid_out("folder");
    std::fs::remove_file(dir.path().join("config.json")).unwrap();
    assert_eq!(codes(dir.path()), ["file-missing", "files-left-out"]);
}

#[test]
fn another_length_and_other_bytes_are_told() {
    let (dir, _) = laid_out("folder");
    let file = dir.path().join("model-00001-of-00002.safetensors");
    let bytes = std::fs::read(&file).unwrap();
    assert_eq!(codes(dir.path()), ["files-left-out"]);
    let hashes = |wanted: bool| {
        let audit = audit(dir.path(), &AuditRequest { verify_hashes: true, ..AuditRequest::default() }, &Silent).unwrap();
        assert_eq!(audit.coverage.hashed.unwrap().files, 2);
        assert_eq!(audit.findings.iter().any(|f| f.code == "hash-mismatch"), wanted);
    };
    hashes(false);
    let mut other = bytes.clone();
    *other.last_mut().unwrap() ^= 1;
    std::fs::write(&file, &other).unwrap();
    hashes(true);
    other.push(0);
    std::fs::write(&file, &other).unwrap();
    assert_eq!(codes(dir.path()), ["file-size", "files-left-out"]);
    assert_eq!(row(dir.path()).complete, Some(false));
}

#[test]
fn downloads_that_were_not_finished_and_listings_that_cannot_be_read_are_told() {
    let (dir, _) = laid_out("folder");
    put(dir.path(), ".cache/huggingface/download/abc.def.incomplete", b"half");
    assert_eq!(codes(dir.path()), ["files-left-out", "partial-download"]);
    let trees = dir.path().join(".cache/huggingface/trees");
    let listing = std::fs::read_dir(&trees).unwrap().next().unwrap().unwrap().path();
    for (text, expected) in [
        (r#"{"format_version": 1, "files": ["#, vec!["bad-listing"]),
        (r#"{"format_version": 1, "files": {"a": {"size": -1}}}"#, vec!["bad-listing"]),
        // A later form is passed over, as the client does.
        (r#"{"format_version": 2, "files": {}}"#, vec!["partial-download"]),
        (
            r#"{"format_version": 1, "files": {"../../etc/passwd": {"size": 1}, "/etc/passwd": {"size": 1}}}"#,
            vec!["partial-download"],
        ),
    ] {
        std::fs::write(&listing, text).unwrap();
        assert_eq!(codes(dir.path()), expected, "{text}");
    }
    std::fs::remove_file(&listing).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", &listing).unwrap();
    assert_eq!(codes(dir.path()), ["bad-listing"]);
}

#[test]
fn a_file_of_another_commit_is_not_held_against_the_listing_of_the_first() {
    let (dir, _) = laid_out("folder");
    put(dir.path(), "config.json", r#"{"model_type": "llama", "hidden_size": 4, "new": true}"#);
    assert_eq!(codes(dir.path()), ["file-size", "files-left-out"]);
    put(dir.path(), ".cache/huggingface/download/config.json.metadata", format!("{}\netag\n1.0\n", "b".repeat(40)));
    assert_eq!(codes(dir.path()), ["files-left-out"]);
}

#[test]
fn a_folder_without_a_listing_is_not_judged() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "model.safetensors", crate::made::safetensors_model(1));
    assert_eq!((codes(dir.path()), row(dir.path()).complete), (vec![], None));
}
