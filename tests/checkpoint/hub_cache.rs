//! Hub caches as the client lays them out (`fixtures/hub_cache`), folders that only look like one, and links that lead out of either.
#![cfg(unix)]

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::build::{put, safetensors};
use crate::caches::laid_out;
use tempfile::{TempDir, tempdir};
use weighbridge::audit::{Audit, AuditRequest, audit};
use weighbridge::checkpoint::{Checkpoint, OpenOptions, declared, models_in, open};
use weighbridge::error::ErrorKind;
use weighbridge::observe::Silent;
use weighbridge::report::audit::AuditBody;

const TINY: &str = "models--acme--tiny";
/// The commits of it: that of `main` and `v1.0`, and that of `refs/pr/1`.
const ONE: &str = "81620d7e88b870a03c82829d4cd47aa114c3c72a";
const TWO: &str = "55e7576bb2651f651245c7d6a1511b827916dedc";
/// Of the first one's model.safetensors: SHA-256, and the hash under which the shared store holds it.
const SHA256: &str = "65290280186911f1bc3cf0875234bc09cdb26c459c2deddf6d21fd374573655c";
const STORED: &str = "f36b3f2f60c88886de0c0d87fd3ac7a34b971ab15c8e870fc788a475b5f389f4";

fn opened(path: &Path) -> Checkpoint {
    open(path, &OpenOptions::default()).unwrap()
}

fn tensors(checkpoint: &Checkpoint) -> Vec<String> {
    checkpoint.tensors().map(|t| t.name().into_owned()).collect()
}

fn problems(checkpoint: &Checkpoint) -> String {
    checkpoint.problems.iter().map(|p| format!("{p}\n")).collect()
}

fn audited(path: &Path) -> Audit {
    audit(path, &AuditRequest { verify_hashes: true, ..AuditRequest::default() }, &Silent).unwrap()
}

/// The files that are told to lead outside, in order.
fn outside(path: &Path) -> Vec<String> {
    let findings = audited(path).findings;
    let mut files: Vec<String> =
        findings.iter().filter(|f| f.code == "leads-outside").map(|f| f.file.clone().unwrap_or_default()).collect();
    files.sort();
    files
}

fn one_tensor(name: &str) -> Vec<u8> {
    safetensors(&[(name, "F32", &[1], (0, 4))], &[0; 4])
}

#[test]
fn every_snapshot_of_the_client_holds_what_the_client_says() {
    for cache in ["shared", "own", "copies"] {
        let (dir, recorded) = laid_out(cache);
        for (snapshot, says) in recorded["client_says"].as_object().unwrap() {
            let checkpoint = opened(&dir.path().join(snapshot));
            assert_eq!(problems(&checkpoint), "", "{cache} {snapshot}");
            let found: Vec<(&str, u64)> = checkpoint.listing.files.iter().map(|f| (f.name.as_str(), f.bytes)).collect();
            let files = says["files"].as_object().unwrap();
            let said: Vec<(&str, u64)> =
                files.iter().map(|(name, file)| (name.as_str(), file["bytes"].as_u64().unwrap())).collect();
            assert_eq!(found, said, "{cache} {snapshot}");
        }
    }
}

#[test]
fn the_folder_of_a_repository_stands_for_the_snapshot_of_main() {
    for cache in ["shared", "own", "copies"] {
        let (dir, _) = laid_out(cache);
        let tiny = opened(&dir.path().join(TINY));
        assert_eq!((tensors(&tiny), problems(&tiny)), (vec!["first".into(), "deep".into()], String::new()), "{cache}");
        assert_eq!(tiny.notes, [format!("hub cache: snapshot {ONE} (refs/main; another snapshot is not looked at)")], "{cache}");
        // Downloaded by its commit: the client writes no ref.
        let twin = opened(&dir.path().join("models--acme--twin"));
        assert_eq!((tensors(&twin), problems(&twin)), (vec!["first".into()], String::new()), "{cache}");
        assert!(twin.notes[0].ends_with("(the only one)"), "{cache} {:?}", twin.notes);
    }
}

#[test]
fn parts_of_a_cache_open_by_themselves() {
    let (dir, _) = laid_out("shared");
    let cases = [
        (format!("{TINY}/snapshots/{TWO}"), vec!["second", "deep"]),
        (format!("{TINY}/snapshots/{TWO}/unet"), vec!["deep"]),
        (format!("{TINY}/snapshots/{TWO}/model.safetensors"), vec!["second"]),
        (format!("{TINY}/snapshots/{TWO}/unet/diffusion_pytorch_model.safetensors"), vec!["deep"]),
        (format!("{TINY}/blobs/{SHA256}"), vec!["first"]),
        (format!("blobs/{}/{STORED}", &STORED[..2]), vec!["first"]),
    ];
    for (path, names) in cases {
        let checkpoint = opened(&dir.path().join(&path));
        assert_eq!(
            (tensors(&checkpoint), problems(&checkpoint)),
            (names.iter().map(|n| (*n).into()).collect(), String::new()),
            "{path}"
        );
    }
    let told = outside(&dir.path().join(TINY).join("blobs"));
    assert!(told.is_empty(), "{told:?}");
    // All snapshots, the whole cache: several models.
    for (path, count) in [(format!("{TINY}/snapshots"), 2), (String::new(), 2)] {
        let path = dir.path().join(path);
        assert_eq!(models_in(&path).unwrap().len(), count);
        assert_eq!(open(&path, &OpenOptions::default()).unwrap_err().kind(), ErrorKind::SeveralModels);
    }
}

#[test]
fn a_cache_reached_through_a_link_is_the_same_cache() {
    let (dir, _) = laid_out("shared");
    let other = tempdir().unwrap();
    symlink(dir.path(), other.path().join("hub")).unwrap();
    symlink(dir.path().join(TINY), other.path().join("model")).unwrap();
    for path in [other.path().join("hub").join(TINY), other.path().join("model")] {
        assert_eq!(tensors(&opened(&path)), ["first", "deep"]);
    }
}

#[test]
fn what_else_the_client_keeps_is_counted() {
    let (dir, _) = laid_out("shared");
    let repo = dir.path().join(TINY);
    let outside = || {
        let found = audited(&repo).coverage.outside_snapshot.unwrap();
        (found.snapshots, found.blobs, found.unfinished_downloads, found.other_files)
    };
    assert_eq!(outside(), (1, 1, 0, 0));
    put(&repo, "blobs/0123.1a2b3c4d.incomplete", b"GG");
    put(&repo, "blobs/0123.lock", b"");
    put(&repo, ".DS_Store", b"x");
    assert_eq!(outside(), (1, 1, 1, 0));
    put(&repo, ".no_exist/abc/pytorch_model.bin", b"\x80\x02.");
    put(&repo, "trees/x.bin", b"\x80\x02.");
    assert_eq!(outside(), (1, 1, 1, 2));
    let direct = audited(&repo.join("snapshots").join(ONE));
    assert_eq!((direct.coverage.outside_snapshot, direct.notes.len()), (None, 0), "nothing else was asked for");
    assert_eq!(audited(&repo).notes.len(), 1);
}

#[test]
fn hashes_are_those_that_the_first_link_states() {
    for (cache, hashed) in [("shared", 2), ("own", 2), ("copies", 2)] {
        let (dir, recorded) = laid_out(cache);
        let repo = dir.path().join(TINY);
        let sound = audited(&repo);
        let of_files = sound.coverage.hashed.unwrap();
        assert_eq!((of_files.files, of_files.unstated), (hashed, 4 - hashed), "{cache}");
        assert!(!sound.findings.iter().any(|f| f.code == "hash-mismatch"), "{cache}: {:?}", sound.findings);
        if hashed == 0 {
            continue;
        }
        let file = repo.join("snapshots").join(ONE).join("model.safetensors").canonicalize().unwrap();
        let mut bytes = std::fs::read(&file).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        put(file.parent().unwrap(), file.file_name().unwrap().to_str().unwrap(), bytes);
        let says = &recorded["client_says"][format!("{TINY}/snapshots/{ONE}")]["files"]["model.safetensors"];
        let damaged = audited(&repo);
        let finding = damaged.findings.iter().find(|f| f.code == "hash-mismatch").unwrap();
        assert!(finding.message.ends_with(&format!("the cache names the file {}", says["sha256"].as_str().unwrap())), "{cache}");
    }
}

#[test]
fn the_report_says_what_was_taken_and_how_much_was_hashed() {
    let (dir, _) = laid_out("shared");
    let text = |path: &Path| {
        let sections = weighbridge::report::sections::audit("x", &AuditBody::of(&audited(path)));
        sections.iter().flat_map(|s| s.lines.iter().chain(&s.after)).map(|line| line.text.as_str()).collect::<Vec<_>>().join("\n")
    };
    let of_repo = text(&dir.path().join(TINY));
    for said in [
        format!("hub cache: snapshot {ONE} (refs/main; another snapshot is not looked at)").as_str(),
        "outside the snapshot, not looked at: 1 other snapshot, 1 unused blob",
        "hashed: 2 of 4 files, 228 B: those whose SHA-256 a store states",
    ] {
        assert!(of_repo.contains(said), "{said}\n{of_repo}");
    }
    let (copies, _) = laid_out("copies");
    assert!(text(&copies.path().join(TINY)).contains("hashed: 2 of 4 files, 228 B"));
}

#[test]
fn one_blob_under_many_names_is_hashed_once() {
    let (dir, _) = laid_out("shared");
    let repo = dir.path().join(TINY);
    symlink(format!("../../blobs/{SHA256}"), repo.join("snapshots").join(ONE).join("copy.safetensors")).unwrap();
    let hashed = audited(&repo).coverage.hashed.unwrap();
    // Three names of two blobs.
    assert_eq!(hashed.files, 3);
    let bytes = |name: &str| std::fs::metadata(repo.join("snapshots").join(ONE).join(name)).unwrap().len();
    assert_eq!(hashed.bytes, bytes("model.safetensors") + bytes("unet/diffusion_pytorch_model.safetensors"));
}

/// The shared store is entered in the client's two forms only, and only where it is marked.
#[test]
fn other_ways_into_the_shared_store_lead_outside() {
    type Change = fn(&Path);
    let changes: [(&str, Change, bool); 12] = [
        ("no marker", |d| std::fs::remove_file(d.join("blobs/.huggingface-shared-blobs")).unwrap(), false),
        ("another layout", |d| put(d, "blobs/.huggingface-shared-blobs", b"2\n"), false),
        ("more than the layout", |d| put(d, "blobs/.huggingface-shared-blobs", b"1\n1\n"), false),
        ("a linked marker", |d| moved(d, "blobs/.huggingface-shared-blobs"), false),
        ("a linked store", |d| moved(d, "blobs"), false),
        ("a linked folder of the store", |d| moved(d, "blobs/f3"), false),
        ("a linked entry", |d| moved(d, &format!("blobs/f3/{STORED}")), false),
        ("an entry in another folder", |d| relinked(d, &format!("../../blobs/f4/{STORED}")), false),
        ("another name", |d| relinked(d, "../../blobs/f3/model"), false),
        ("a detour", |d| relinked(d, &format!("../../models--acme--twin/../blobs/f3/{STORED}")), false),
        ("no blob between", |d| linked_past_the_blob(d), false),
        ("the full path", |d| relinked(d, d.join(format!("blobs/f3/{STORED}")).to_str().unwrap()), true),
    ];
    for (what, change, allowed) in changes {
        let (dir, _) = laid_out("shared");
        // What a change needs to lead to is there, so that it is refused for its form.
        put(dir.path(), &format!("blobs/f4/{STORED}"), one_tensor("first"));
        put(dir.path(), "blobs/f3/model", one_tensor("first"));
        change(dir.path());
        let told = outside(&dir.path().join(TINY));
        assert_eq!(told.contains(&"model.safetensors".to_owned()), !allowed, "{what}: {told:?}");
        assert_eq!(tensors(&opened(&dir.path().join(TINY))).contains(&"first".to_owned()), allowed, "{what}");
    }
}

/// Moves a part out of the cache and links to it.
fn moved(cache: &Path, name: &str) {
    let elsewhere = cache.join("elsewhere");
    std::fs::rename(cache.join(name), &elsewhere).unwrap();
    symlink(elsewhere, cache.join(name)).unwrap();
}

/// Links the blob of the first snapshot's model.safetensors to something else.
fn relinked(cache: &Path, target: &str) {
    let blob = cache.join(TINY).join("blobs").join(SHA256);
    std::fs::remove_file(&blob).unwrap();
    symlink(target, blob).unwrap();
}

fn linked_past_the_blob(cache: &Path) {
    let file = cache.join(TINY).join("snapshots").join(ONE).join("model.safetensors");
    std::fs::remove_file(&file).unwrap();
    symlink(format!("../../../blobs/f3/{STORED}"), file).unwrap();
}

#[test]
fn a_blob_that_is_gone_from_the_store_is_a_broken_link() {
    let (dir, _) = laid_out("shared");
    std::fs::remove_file(dir.path().join(format!("blobs/f3/{STORED}"))).unwrap();
    let kinds: Vec<ErrorKind> = opened(&dir.path().join(TINY)).problems.iter().map(weighbridge::error::Error::kind).collect();
    assert_eq!(kinds, [ErrorKind::BrokenLink]);
}

/// Three snapshots, the newest by name and time the last.
fn three_snapshots() -> (TempDir, PathBuf) {
    let dir = tempdir().unwrap();
    let repo = dir.path().join("models--a--b");
    for (i, name) in ["aaa", "bbb", "ccc"].iter().enumerate() {
        put(&repo, &format!("snapshots/{name}/model.safetensors"), one_tensor(name));
        let folder = std::fs::File::open(repo.join("snapshots").join(name)).unwrap();
        folder.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(1000 + i as u64)).unwrap();
    }
    (dir, repo)
}

#[test]
fn the_snapshot_is_chosen_by_its_refs() {
    /// Refs with their content.
    type Refs = &'static [(&'static str, &'static str)];
    let cases: [(Refs, &str, &str); 7] = [
        (&[("refs/main", "aaa\n"), ("refs/v2", "bbb")], "aaa", "(refs/main; 2 other"),
        (&[("refs/v1.0", "bbb")], "bbb", "(the only one that a ref names; 2 other"),
        (&[("refs/refs/pr/1", "aaa")], "aaa", "(the only one that a ref names; 2 other"),
        (
            &[("refs/main", "fff"), ("refs/v2", "bbb")],
            "bbb",
            "(the only one that a ref names; refs/main names fff, which is not here; ",
        ),
        (&[("refs/v1", "aaa"), ("refs/v2", "bbb")], "ccc", "(the newest of 3 by the time of their folders; 2 other"),
        (&[("refs/main", "../../elsewhere")], "ccc", "refs/main names ../../elsewhere, which is not here"),
        (&[], "ccc", "(the newest of 3 by the time of their folders; 2 other"),
    ];
    for (refs, chosen, note) in cases {
        let (_dir, repo) = three_snapshots();
        refs.iter().for_each(|(name, commit)| put(&repo, name, commit));
        let checkpoint = opened(&repo);
        assert_eq!(tensors(&checkpoint), [chosen], "{refs:?}");
        assert!(checkpoint.notes[0].contains(note), "{refs:?}: {:?}", checkpoint.notes);
    }
}

#[test]
fn data_sets_and_spaces_are_repositories_too() {
    for kind in ["datasets", "spaces", "kernels"] {
        let (dir, repo) = three_snapshots();
        let renamed = dir.path().join(format!("{kind}--a--b"));
        std::fs::rename(repo, &renamed).unwrap();
        assert_eq!(tensors(&opened(&renamed)), ["ccc"], "{kind}");
    }
}

#[test]
fn a_configuration_alone_in_a_cache_stands_for_its_tensors() {
    let config = r#"{"model_type": "llama", "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16, "vocab_size": 10}"#;
    let dir = tempdir().unwrap();
    put(dir.path(), "models--a--b/blobs/1234", config);
    put(dir.path(), "models--a--b/snapshots/abc/unused.md", "");
    symlink("../../blobs/1234", dir.path().join("models--a--b/snapshots/abc/config.json")).unwrap();
    assert!(declared(&dir.path().join("models--a--b")).unwrap().logical_params() > 0);
}

/// A folder is not a hub cache because it has `snapshots`: what a loader would take of it is looked at.
#[test]
fn folders_that_only_look_like_a_cache_are_looked_at_whole() {
    let cases: [(&str, &[&str], bool); 7] = [
        ("repo", &["model.safetensors"], false),
        ("repo", &[], false),
        ("repo", &["blobs/x"], false),
        ("models--a--b", &["model.safetensors", "blobs/x"], false),
        ("models--a--b", &["pytorch_model.bin"], false),
        ("models--a--b", &[".git/config"], false),
        ("models--a--b", &[], true),
    ];
    for (folder, beside, is_cache) in cases {
        let dir = tempdir().unwrap();
        let repo = dir.path().join(folder);
        put(&repo, "snapshots/v1/model.safetensors", one_tensor("decoy"));
        beside.iter().for_each(|name| put(&repo, name, one_tensor("real")));
        let checkpoint = opened(&repo);
        assert_eq!(checkpoint.listing.repo.is_some(), is_cache, "{folder} {beside:?}");
        let seen = |name: &&&str| checkpoint.listing.files.iter().any(|f| f.name == **name);
        assert_eq!(
            beside.iter().filter(|name| !name.starts_with(".git")).filter(seen).count(),
            beside.iter().filter(|n| !n.starts_with(".git")).count()
        );
        assert_eq!(tensors(&checkpoint).contains(&"real".to_owned()), beside.contains(&"model.safetensors"), "{folder} {beside:?}");
        let told = checkpoint.notes.iter().any(|note| note.contains("not taken for a folder of a hub cache"));
        assert_eq!(
            told,
            !is_cache && (folder != "repo" || beside.contains(&"blobs/x")),
            "{folder} {beside:?}: {:?}",
            checkpoint.notes
        );
    }
}

/// A cache any part of which is a link.
#[test]
fn forged_links_of_a_cache_lead_outside() {
    type Forge = fn(&Path, &Path);
    let cases: [(&str, Forge, &[&str]); 6] = [
        (
            "blobs",
            |repo, out| {
                symlink(out, repo.join("blobs")).unwrap();
                symlink("../../blobs/model.safetensors", repo.join("snapshots/abc/model.safetensors")).unwrap();
            },
            &["blobs", "snapshots/abc/model.safetensors"],
        ),
        (
            "blobs that are everything",
            |repo, out| {
                symlink("/", repo.join("blobs")).unwrap();
                symlink(out.join("model.safetensors"), repo.join("snapshots/abc/model.safetensors")).unwrap();
                symlink(out.join("config.json"), repo.join("snapshots/abc/config.json")).unwrap();
            },
            &["blobs", "snapshots/abc/config.json", "snapshots/abc/model.safetensors"],
        ),
        (
            "the revision",
            |repo, out| {
                std::fs::remove_dir(repo.join("snapshots/abc")).unwrap();
                symlink(out, repo.join("snapshots/abc")).unwrap();
            },
            &["snapshots/abc"],
        ),
        (
            "snapshots",
            |repo, out| {
                std::fs::remove_dir_all(repo.join("snapshots")).unwrap();
                symlink(out.parent().unwrap(), repo.join("snapshots")).unwrap();
                put(repo, "refs/main", "outside");
            },
            &["snapshots"],
        ),
        (
            "refs/main",
            |repo, out| {
                std::fs::remove_file(repo.join("refs/main")).unwrap();
                symlink(out.join("token"), repo.join("refs/main")).unwrap();
            },
            &["refs/main"],
        ),
        (
            "refs",
            |repo, out| {
                std::fs::remove_dir_all(repo.join("refs")).unwrap();
                symlink(out, repo.join("refs")).unwrap();
            },
            &["refs"],
        ),
    ];
    for (what, forge, lead) in cases {
        let dir = tempdir().unwrap();
        let (repo, out) = (dir.path().join("models--a--b"), dir.path().join("outside"));
        put(&out, "model.safetensors", one_tensor("SECRET"));
        put(&out, "config.json", r#"{"model_type": "llama", "hidden_size": 777}"#);
        put(&out, "token", "abcdef0123");
        put(&repo, "refs/main", "abc");
        std::fs::create_dir_all(repo.join("snapshots/abc")).unwrap();
        forge(&repo, &out);
        assert_eq!(outside(&repo), lead, "{what}");
        let checkpoint = opened(&repo);
        assert!(tensors(&checkpoint).is_empty() && checkpoint.config_json().is_none(), "{what}");
        assert!(!format!("{:?} {}", checkpoint.notes, problems(&checkpoint)).contains("abcdef0123"), "{what}");
    }
}

/// What is read beside a file or an index that was named is held to the folder as well.
#[test]
fn neighbours_that_are_links_out_of_the_folder_are_not_read() {
    let (s1, s2, index) = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json");
    let dir = tempdir().unwrap();
    let (repo, out) = (dir.path().join("repo"), dir.path().join("outside"));
    put(&out, "m.safetensors", one_tensor("SECRET"));
    put(&out, "config.json", r#"{"model_type": "llama", "hidden_size": 777}"#);
    put(&repo, s1, one_tensor("inside"));
    symlink("../outside/m.safetensors", repo.join(s2)).unwrap();
    symlink("../outside/config.json", repo.join("config.json")).unwrap();
    let mut without_index = true;
    for named in [repo.join(s1), repo.clone(), repo.join(s1), repo.join(index)] {
        let checkpoint = opened(&named);
        assert_eq!(tensors(&checkpoint), ["inside"], "{}", named.display());
        assert!(checkpoint.config_json().is_none() && checkpoint.model.hidden_size.is_none(), "{}", named.display());
        let count = checkpoint.problems.iter().filter(|p| p.kind() == ErrorKind::OutsideFolder).count();
        assert_eq!(count, 2, "{}", problems(&checkpoint));
        if std::mem::take(&mut without_index) {
            put(&repo, index, format!(r#"{{"metadata": {{}}, "weight_map": {{"inside": "{s1}", "SECRET": "{s2}"}}}}"#));
        }
    }
    // The index itself.
    std::fs::rename(repo.join(index), out.join(index)).unwrap();
    symlink(out.join(index), repo.join(index)).unwrap();
    let checkpoint = opened(&repo.join(s1));
    assert!(checkpoint.indexes.is_empty() && problems(&checkpoint).contains(index), "{}", problems(&checkpoint));
    // A configuration that stands for its tensors.
    std::fs::remove_file(repo.join(s1)).unwrap();
    assert_eq!(declared(&repo).unwrap_err().kind(), ErrorKind::OutsideFolder);
    // A file that the caller names may be a link.
    assert_eq!(tensors(&opened(&repo.join(s2))), ["SECRET"]);
}

#[test]
fn every_index_that_a_loader_follows_is_looked_at() {
    let names = [
        "model.safetensors.index.json",
        "model.safetensors.index.fp16.json",
        "pytorch_model.bin.index.json",
        "pytorch_model.bin.index.fp16.json",
        "tf_model.h5.index.json",
        "diffusion_pytorch_model.bin.index.json",
        "MODEL.SAFETENSORS.INDEX.JSON",
    ];
    for name in names {
        let dir = tempdir().unwrap();
        put(dir.path(), "model.safetensors", one_tensor("w"));
        put(
            dir.path(),
            name,
            r#"{"metadata": {}, "weight_map": {"w": "../../etc/passwd", "v": "/etc/shadow", "u": "pytorch_model-1.bin"}}"#,
        );
        let audit = audited(dir.path());
        let told = audit.findings.iter().filter(|f| f.code == "leads-outside" && f.severity.name() == "error");
        assert_eq!((told.count(), audit.coverage.files_not_understood.len()), (2, 0), "{name}: {:?}", audit.findings);
    }
}
