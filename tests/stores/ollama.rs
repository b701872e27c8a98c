//! Ollama's models by their manifests.

use std::path::Path;

use serde_json::Value;
use weighbridge::audit::{AuditRequest, audit_model};
use weighbridge::checkpoint::OpenOptions;
use weighbridge::error::ErrorKind;
use weighbridge::observe::Silent;
use weighbridge::stores::locate;

use crate::build::{packed, put};
use crate::made::{Ollama, at_home, gguf_model};
use crate::program::program;

/// A home with a store, and the folder of that.
fn home() -> (tempfile::TempDir, std::path::PathBuf) {
    let home = tempfile::tempdir().unwrap();
    let store = home.path().join(".ollama/models");
    std::fs::create_dir_all(&store).unwrap();
    (home, store)
}

#[test]
fn a_model_is_opened_by_its_manifest() {
    let (home, store) = home();
    Ollama(&store).two_names();
    let environment = at_home(home.path());
    for name in ["ollama:llama3.2", "llama3.2:latest", "ollama:registry.ollama.ai/library/llama3.2:latest", "ollama:me/mine:1b"] {
        let model = locate(Path::new(name), None, &environment).unwrap();
        let checkpoint = model.open(&OpenOptions::default()).unwrap();
        assert_eq!((checkpoint.logical_params(), checkpoint.files[0].name.as_str()), (256, "model.gguf"), "{name}");
        assert!(checkpoint.is_read_whole(), "{:?}", checkpoint.problems);
    }
    let manifest = locate(Path::new("ollama:llama3.2"), None, &environment).unwrap();
    assert_eq!((manifest.manifest().unwrap().num_ctx(), manifest.manifest().unwrap().has_template), (Some(8192), true));
    // In upper case, as Ollama takes it, and by the manifest's own path.
    assert_eq!(locate(Path::new("ollama:Llama3.2"), None, &environment).unwrap().name, "llama3.2:latest");
    let path = store.join("manifests/registry.ollama.ai/me/mine/1b");
    assert_eq!(locate(&path, None, &environment).unwrap().name, "me/mine:1b");
    assert!(locate(Path::new("ollama:llama3.2:1b"), None, &environment).is_err());
    assert!(locate(Path::new("ollama:mine:1b"), None, &environment).is_err());
}

#[test]
fn projector_adapter_and_draft_are_parts_of_their_own() {
    let (home, store) = home();
    let ollama = Ollama(&store);
    let layers = ["model", "projector", "adapter", "draft"].map(|kind| ollama.layer(kind, gguf_model(kind.len() as u8)));
    ollama.manifest("registry.ollama.ai/library/all/latest", &layers);
    let checkpoint = locate(Path::new("ollama:all"), None, &at_home(home.path())).unwrap().open(&OpenOptions::default()).unwrap();
    let names: Vec<&str> = checkpoint.components.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, ["model", "adapter", "draft", "mmproj"]);
}

#[test]
fn a_blob_a_tensor_is_one_model() {
    let (home, store) = home();
    let ollama = Ollama(&store);
    let mut layers = Vec::new();
    for layer in 0..3 {
        let name = format!("model.layers.{layer}.self_attn.q_proj.weight");
        layers.push(ollama.named("tensor", &name, packed(&[(&name, "BF16", &[8, 8])], 2)));
    }
    layers.push(ollama.named("tensor", "model.embed_tokens.weight", packed(&[("model.embed_tokens.weight", "BF16", &[32, 8])], 2)));
    layers.push(ollama.named("json", "config.json", r#"{"model_type": "llama", "hidden_size": 8, "num_hidden_layers": 3}"#));
    ollama.manifest("registry.ollama.ai/library/tensors/latest", &layers);
    let checkpoint =
        locate(Path::new("ollama:tensors"), None, &at_home(home.path())).unwrap().open(&OpenOptions::default()).unwrap();
    assert_eq!((checkpoint.components.len(), checkpoint.files.len()), (1, 4));
    assert_eq!(
        (checkpoint.logical_params(), checkpoint.model.layers, checkpoint.model.hidden_size),
        (3 * 64 + 256, Some(3), Some(8))
    );
    assert!(checkpoint.is_read_whole(), "{:?}", checkpoint.problems);
}

#[test]
fn what_a_manifest_names_and_is_not_there_is_told() {
    let (home, store) = home();
    let ollama = Ollama(&store);
    ollama.two_names();
    let blob = |row: &Value| store.join("blobs").join(row["digest"].as_str().unwrap().replace(':', "-"));
    let (model, template) = (ollama.layer("model", gguf_model(1)), ollama.layer("template", b"{{ .Prompt }}"));
    let codes = |verify_hashes| {
        let model = locate(Path::new("ollama:llama3.2"), None, &at_home(home.path())).unwrap();
        let audit = audit_model(&model, &AuditRequest { verify_hashes, ..AuditRequest::default() }, &Silent).unwrap();
        let told = ["file-missing", "file-size", "hash-mismatch", "missing-shard"];
        let codes: Vec<String> =
            audit.findings.iter().map(|f| f.code.to_owned()).filter(|code| told.contains(&code.as_str())).collect();
        (codes, audit.coverage.hashed.map(|h| h.files))
    };
    assert_eq!(codes(true), (vec![], Some(4)));
    // The same length, other bytes.
    put(&store, blob(&model).strip_prefix(&store).unwrap().to_str().unwrap(), gguf_model(2));
    assert_eq!(codes(false).0, [""; 0]);
    assert_eq!(codes(true).0, ["hash-mismatch"]);
    std::fs::write(blob(&template), b"short").unwrap();
    assert_eq!(codes(false).0, ["file-size"]);
    std::fs::remove_file(blob(&template)).unwrap();
    assert_eq!(codes(false).0, ["file-missing"]);
    std::fs::remove_file(blob(&model)).unwrap();
    assert!(codes(false).0.contains(&"file-missing".to_owned()));
    let opened = locate(Path::new("ollama:llama3.2"), None, &at_home(home.path())).unwrap().open(&OpenOptions::default()).unwrap();
    assert_eq!(opened.problems[0].kind(), ErrorKind::MissingShard);
}

#[test]
fn hostile_manifests_are_errors_and_open_nothing() {
    let (home, store) = home();
    put(home.path(), "secret.gguf", gguf_model(1));
    let digest = format!("sha256:{}", "a".repeat(64));
    let place = store.join("blobs").join(digest.replace(':', "-"));
    std::fs::create_dir_all(place.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink(home.path().join("secret.gguf"), &place).unwrap();
    let layer = |digest: &str| {
        format!(r#"{{"layers": [{{"mediaType": "application/vnd.ollama.image.model", "digest": "{digest}", "size": 1}}]}}"#)
    };
    let texts = [
        ("nothing", String::new()),
        ("list", "[1]".to_owned()),
        ("no-layers", "{}".to_owned()),
        ("deep", "[".repeat(100_000)),
        ("climbs", layer("sha256:../../../secret.gguf")),
        ("no-size", r#"{"layers": [{"digest": "sha256:00"}]}"#.to_owned()),
    ];
    for (name, text) in &texts {
        put(&store, &format!("manifests/registry.ollama.ai/library/{name}/latest"), text);
        assert!(locate(Path::new(&format!("ollama:{name}")), None, &at_home(home.path())).is_err(), "{name}");
    }
    put(&store, "manifests/registry.ollama.ai/library/linked/latest", layer(&digest));
    let opened = locate(Path::new("ollama:linked"), None, &at_home(home.path())).unwrap().open(&OpenOptions::default()).unwrap();
    assert_eq!((opened.files.len(), opened.problems[0].kind()), (0, ErrorKind::OutsideFolder));
    // The manifest itself a link to elsewhere.
    std::os::unix::fs::symlink(home.path().join("secret.gguf"), store.join("manifests/registry.ollama.ai/library/linked/out"))
        .unwrap();
    assert!(locate(Path::new("ollama:linked:out"), None, &at_home(home.path())).is_err());
}

#[test]
fn the_command_says_what_the_manifest_adds() {
    let (home, store) = home();
    Ollama(&store).two_names();
    let run = |words: &[&str]| {
        let mut program = program();
        for name in ["HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME", "OLLAMA_MODELS", "LLAMA_CACHE"] {
            program.env_remove(name);
        }
        let out = program.env("HOME", home.path()).args(words).output().unwrap();
        (String::from_utf8(out.stdout).unwrap(), String::from_utf8(out.stderr).unwrap(), out.status.code())
    };
    let (out, err, code) = run(&["show", "ollama:llama3.2", "--format", "json"]);
    assert_eq!(code, Some(0), "{err}");
    let shown: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&shown["path"], &shown["manifest"]["params"]["num_ctx"]), (&"ollama:llama3.2".into(), &8192.into()));
    assert_eq!(shown["manifest"]["layers"][0]["shared_with"][0], "me/mine:1b");
    let (out, _, _) = run(&["memory", "ollama:llama3.2", "--format", "json"]);
    let memory: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(memory["inputs"]["ctx"], 8192);
    assert!(memory["notes"].to_string().contains("num_ctx"), "{}", memory["notes"]);
    let (out, _, _) = run(&["memory", "ollama:llama3.2", "--ctx", "4096", "--format", "json"]);
    let memory: Value = serde_json::from_str(&out).unwrap();
    assert!(memory["inputs"]["ctx"] == 4096 && !memory["notes"].to_string().contains("num_ctx"));
    for command in ["scan", "audit", "project"] {
        let (out, err, _) = run(&[command, "llama3.2:latest"]);
        assert!(!out.is_empty() && !err.contains("cannot open"), "{command}: {out}{err}");
    }
    let (_, err, code) = run(&["show", "org/name"]);
    assert!(code == Some(2) && err.contains("hf://org/name"), "{err}");
    // A report takes the place of no blob.
    let blob = std::fs::read_dir(store.join("blobs"))
        .unwrap()
        .map(|e| e.unwrap().path())
        .max_by_key(|p| p.metadata().unwrap().len())
        .unwrap();
    let (_, err, code) = run(&["show", "ollama:llama3.2", "-o", blob.to_str().unwrap()]);
    assert!(code == Some(2) && err.contains("take its place"), "{err}");
}
