//! From a name to what is opened.

use std::os::unix::fs::symlink;
use std::path::Path;

use weighbridge::checkpoint::OpenOptions;
use weighbridge::error::{ErrorKind, Result};
use weighbridge::stores::{Environment, LocalModel, locate};

use crate::build::put;
use crate::caches::laid_out;
use crate::made::{at_home, gguf_model, safetensors_model};

fn find(text: &str, environment: &Environment) -> Result<LocalModel> {
    locate(Path::new(text), None, environment)
}

fn opens(text: &str, environment: &Environment) -> String {
    let checkpoint = find(text, environment).unwrap().open(&OpenOptions::default()).unwrap();
    let names: Vec<String> = checkpoint.tensors().map(|t| t.name().into_owned()).collect();
    names.join(" ")
}

#[test]
fn the_hub_cache_is_found_as_the_client_finds_it() {
    for cache in ["shared", "own", "copies"] {
        let (dir, _) = laid_out(cache);
        let by_variable = Environment { hf_hub_cache: Some(dir.path().to_path_buf()), ..Environment::default() };
        assert_eq!(opens("acme/tiny", &by_variable), "first deep", "{cache}");
        assert_eq!(opens("hf:acme/tiny", &by_variable), "first deep");
        assert_eq!(opens("acme/tiny@refs/pr/1", &by_variable), "second deep");
        assert_eq!(opens("acme/tiny@v1.0", &by_variable), "first deep");
        assert_eq!(opens("acme/tiny@55e7576bb2651f651245c7d6a1511b827916dedc", &by_variable), "second deep");
        assert_eq!(opens("acme/tiny@55e7576", &by_variable), "second deep");
        assert_eq!(opens("acme/tiny:model.safetensors", &by_variable), "first");
        assert_eq!(opens("acme/tiny@refs/pr/1:unet/diffusion_pytorch_model.safetensors", &by_variable), "deep");
        let missing = find("acme/tiny@v2", &by_variable).unwrap_err();
        assert!(missing.kind() == ErrorKind::NotFound && missing.to_string().contains("81620d7e"), "{missing}");
    }
    let home = tempfile::tempdir().unwrap();
    put(home.path(), ".cache/huggingface/hub/models--o--n/snapshots/c/model.safetensors", safetensors_model(1));
    put(home.path(), "xdg/huggingface/hub/models--o--x/snapshots/c/model.safetensors", safetensors_model(1));
    put(home.path(), "hf/hub/models--o--h/snapshots/c/model.safetensors", safetensors_model(1));
    let plain = at_home(home.path());
    let xdg = Environment { xdg_cache_home: Some(home.path().join("xdg")), ..plain.clone() };
    let hf = Environment { hf_home: Some(home.path().join("hf")), ..xdg.clone() };
    for (name, environment) in [("o/n", plain), ("o/x", xdg), ("o/h", hf)] {
        assert!(find(name, &environment).unwrap().notes[0].contains("store hub"), "{name}");
    }
}

#[test]
fn a_path_that_is_there_comes_first_and_a_store_can_be_asked_for() {
    let (dir, _) = laid_out("own");
    let environment = Environment { hf_hub_cache: Some(dir.path().to_path_buf()), ..Environment::default() };
    let there = dir.path().join("models--acme--tiny");
    let found = locate(&there, None, &environment).unwrap();
    assert_eq!((found.store, found.path(), found.notes.len()), (None, there.as_path(), 0));
    assert_eq!(locate(Path::new("acme/tiny"), Some("hub"), &environment).unwrap().store, Some("hub"));
    let unknown = locate(Path::new("acme/tiny"), Some("hubb"), &environment).unwrap_err();
    assert!(unknown.to_string().contains("known: hub, lm-studio, ollama, llama.cpp"), "{unknown}");
    assert_eq!(locate(Path::new("ollama:x"), Some("hub"), &environment).unwrap_err().kind(), ErrorKind::Usage);
}

#[test]
fn a_name_in_two_stores_is_taken_from_neither() {
    let home = tempfile::tempdir().unwrap();
    put(home.path(), ".cache/huggingface/hub/models--org--name/snapshots/c/model.safetensors", safetensors_model(1));
    put(home.path(), ".lmstudio/models/org/name/name-Q8_0.gguf", gguf_model(1));
    let environment = at_home(home.path());
    let error = find("org/name", &environment).unwrap_err();
    let said = error.to_string();
    assert!(
        error.kind() == ErrorKind::Usage && said.contains("hub (") && said.contains("lm-studio (") && said.contains("--store"),
        "{said}"
    );
    assert_eq!(locate(Path::new("org/name"), Some("lm-studio"), &environment).unwrap().store, Some("lm-studio"));
    assert_eq!(find("lms:org/name", &environment).unwrap().store, Some("lm-studio"));
    assert_eq!(find("hf:org/name", &environment).unwrap().store, Some("hub"));
}

#[test]
fn a_quant_names_its_file() {
    let home = tempfile::tempdir().unwrap();
    let at = ".cache/lm-studio/models/org/name-GGUF";
    for file in [
        "name-Q4_K_M.gguf",
        "name-Q4_K_S.gguf",
        "name.Q8_0.gguf",
        "mmproj-name-Q8_0.gguf",
        "BF16/name-BF16-00001-of-00002.gguf",
        "BF16/name-BF16-00002-of-00002.gguf",
    ] {
        put(home.path(), &format!("{at}/{file}"), gguf_model(1));
    }
    let environment = at_home(home.path());
    let file = |quant: &str| {
        find(&format!("org/name-GGUF:{quant}"), &environment)
            .map(|m| m.path().strip_prefix(home.path().join(at)).unwrap().to_path_buf())
    };
    assert_eq!(file("Q4_K_M").unwrap(), Path::new("name-Q4_K_M.gguf"));
    assert_eq!(file("q8_0").unwrap(), Path::new("name.Q8_0.gguf"));
    assert_eq!(file("BF16").unwrap(), Path::new("BF16/name-BF16-00001-of-00002.gguf"));
    assert_eq!(file("name-Q4_K_S.gguf").unwrap(), Path::new("name-Q4_K_S.gguf"));
    // A piece of a longer name is none.
    let none = file("Q4_K").unwrap_err();
    assert!(none.kind() == ErrorKind::NotFound && none.to_string().contains("name-Q4_K_M.gguf"), "{none}");
    put(home.path(), &format!("{at}/other-Q8_0.gguf"), gguf_model(2));
    assert_eq!(file("Q8_0").unwrap_err().kind(), ErrorKind::Usage);
}

#[test]
fn the_old_cache_of_llama_cpp_is_read_by_its_manifests() {
    let home = tempfile::tempdir().unwrap();
    put(home.path(), ".cache/llama.cpp/org_name-GGUF_name-Q4_K_M.gguf", gguf_model(1));
    put(
        home.path(),
        ".cache/llama.cpp/manifest=org=name-GGUF=latest.json",
        r#"{"ggufFile": {"rfilename": "name-Q4_K_M.gguf", "size": 1}}"#,
    );
    put(home.path(), ".cache/llama.cpp/manifest=org=evil=latest.json", r#"{"ggufFile": {"rfilename": "../../../etc/passwd"}}"#);
    let environment = at_home(home.path());
    assert_eq!(find("org/name-GGUF", &environment).unwrap().store, Some("llama.cpp"));
    assert_eq!(find("org/evil", &environment).unwrap_err().kind(), ErrorKind::NotFound);
    let moved = Environment { llama_cache: Some(home.path().join(".cache/llama.cpp")), ..Environment::default() };
    assert!(find("org/name-GGUF:latest", &moved).is_ok());
}

#[test]
fn what_is_nowhere_says_where_it_was_looked_for() {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(home.path().join(".cache/huggingface/hub")).unwrap();
    let environment = at_home(home.path());
    let said = find("org/name", &environment).unwrap_err().to_string();
    assert!(said.contains("huggingface/hub") && said.contains("lm-studio (not here)") && said.contains("hf://org/name"), "{said}");
    let said = find("name:tag", &environment).unwrap_err().to_string();
    assert!(said.contains("ollama (not here)"), "{said}");
    for address in ["hf://org/name", "https://host/model.gguf", "s3://bucket/model"] {
        let error = find(address, &environment).unwrap_err();
        assert!(error.kind() == ErrorKind::Unsupported && error.to_string().contains("network"), "{error}");
    }
    put(home.path(), ".cache/huggingface/hub/models--gpt2/snapshots/c/model.safetensors", safetensors_model(1));
    let said = find("gpt2", &environment).unwrap_err().to_string();
    assert!(said.contains("give it with its store: hf:gpt2"), "{said}");
    assert_eq!(opens("hf:gpt2", &environment), "model.embed_tokens.weight model.norm.weight");
    // A path that is not there stays a path.
    for path in ["models/x.gguf", "./org/name", "/org/name", "org/name/x", "name", "../name:tag"] {
        assert_eq!(find(path, &environment).unwrap().store, None, "{path}");
    }
}

#[test]
fn names_lead_nowhere_outside_a_store() {
    let home = tempfile::tempdir().unwrap();
    let outside = home.path().join("outside");
    put(&outside, "model.safetensors", safetensors_model(1));
    let hub = home.path().join(".cache/huggingface/hub");
    put(&hub, "models--a--b/snapshots/c/model.safetensors", safetensors_model(2));
    put(&hub, "models--a--b/refs/main", "../../../../../outside");
    std::fs::create_dir_all(hub.join("models--a--b/refs/x")).unwrap();
    put(&outside, "ref", "c");
    symlink(&outside, hub.join("models--a--b/refs/linked")).unwrap();
    symlink(&outside, hub.join("models--o--linked")).unwrap();
    symlink(&outside, hub.join("models--a--b/snapshots/out")).unwrap();
    let environment = at_home(home.path());
    for name in [
        "a/b@main",
        "a/b@linked/ref",
        "a/b@out",
        "o/linked",
        "hf:../outside",
        "hf:a/b@../../..",
        "lms:../../outside",
        "ollama:../../outside",
    ] {
        assert!(find(name, &environment).is_err(), "{name}");
    }
    assert!(find("a/b@c", &environment).is_ok());
}
