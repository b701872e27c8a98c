//! Every model of a machine.

use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::Value;
use weighbridge::stores::{Environment, Inventory, InventoryOrder, STORES, inventory, sort};

use crate::build::put;
use crate::caches::laid_out;
use crate::made::{Ollama, at_home, gguf_model, safetensors_model};
use crate::program::program;

fn list(environment: &Environment) -> Inventory {
    inventory(STORES, &[], environment)
}

#[test]
fn sizes_are_those_that_the_client_gives() {
    for cache in ["shared", "own", "copies", "partial"] {
        let (dir, recorded) = laid_out(cache);
        let list = inventory(&[], &[dir.path()], &Environment::default());
        let sizes = &recorded["client_sizes"];
        assert_eq!(Some(list.totals.bytes), sizes["all"].as_u64(), "{cache}");
        let revisions = sizes["revisions"].as_object().unwrap();
        assert_eq!(list.models.len(), revisions.len());
        for model in &list.models {
            assert_eq!(Some(model.file_bytes), revisions[model.revision.as_deref().unwrap()].as_u64(), "{cache} {}", model.name);
            assert_eq!((model.store, model.complete), (Some("hub"), Some(true)));
        }
        let repos: u64 = sizes["revisions"].as_object().unwrap().values().filter_map(Value::as_u64).sum();
        assert_eq!(list.totals.bytes + list.totals.shared_bytes, repos, "{cache}");
    }
}

#[test]
fn models_of_every_store_are_listed() {
    let home = tempfile::tempdir().unwrap();
    let at = |below: &str| home.path().join(below);
    Ollama(&at(".ollama/models")).two_names();
    put(&at(".lmstudio/models"), "pub/model-GGUF/model-Q8_0.gguf", gguf_model(3));
    put(&at(".lmstudio/models"), "pub/model-GGUF/mmproj-model.gguf", gguf_model(4));
    put(&at(".lmstudio/models"), "pub/two-GGUF/two-Q8_0.gguf", gguf_model(5));
    put(&at(".lmstudio/models"), "pub/two-GGUF/two-Q4_0.gguf", gguf_model(6));
    put(&at(".lmstudio/models"), "stray.gguf", gguf_model(7));
    put(&at(".cache/llama.cpp"), "org_x_x.gguf", gguf_model(8));
    put(&at(".cache/huggingface/hub"), "models--org--name/snapshots/c/model.safetensors", safetensors_model(1));
    let list = list(&at_home(home.path()));
    let mut names: Vec<&str> = list.models.iter().map(|m| m.name.as_str()).collect();
    names.sort_unstable();
    let expected = [
        "llama3.2:latest",
        "me/mine:1b",
        "org/name",
        "org_x_x.gguf",
        "pub/model-GGUF",
        "pub/two-GGUF:two-Q4_0.gguf",
        "pub/two-GGUF:two-Q8_0.gguf",
    ];
    assert_eq!(names, expected);
    // Every address can be given to a command.
    for model in &list.models {
        let found = weighbridge::stores::locate(Path::new(&model.address), None, &at_home(home.path())).unwrap();
        assert!(model.path.starts_with(found.path()), "{}", model.address);
    }
    let of = |name: &str| list.models.iter().find(|m| m.name == name).unwrap();
    assert_eq!((of("llama3.2:latest").format, of("llama3.2:latest").quantization.as_deref()), (Some("gguf"), Some("F32")));
    assert_eq!((of("org/name").logical_params, of("org/name").tensor_bytes), (Some(256 * 64 + 64), Some((256 * 64 + 64) * 4)));
}

#[test]
fn what_lies_there_twice_is_told_with_its_cost() {
    let home = tempfile::tempdir().unwrap();
    let at = |below: &str| home.path().join(below);
    Ollama(&at(".ollama/models")).two_names();
    // The same bytes as Ollama's, of which nothing states a hash.
    put(&at(".lmstudio/models"), "pub/same/same.gguf", gguf_model(1));
    // One snapshot by two names of one blob, and again in a folder whose hash is stated by the blob's name alone.
    let model = safetensors_model(9);
    put(&at("plain/one"), "model.safetensors", &model);
    put(&at("plain/other"), "model.safetensors", safetensors_model(10));
    let list = inventory(STORES, &[&at("plain")], &at_home(home.path()));
    let same = |name: &str| list.models.iter().find(|m| m.name.ends_with(name)).unwrap().same_as.clone();
    assert_eq!(same("llama3.2:latest"), ["lms:pub/same", "ollama:me/mine:1b"]);
    assert_eq!(same("pub/same"), ["ollama:llama3.2:latest", "ollama:me/mine:1b"]);
    // Of equal length, but not alike.
    assert_eq!((same("one"), same("other")), (vec![], vec![]));
    let bytes = gguf_model(1).len() as u64;
    assert_eq!((list.duplicates.len(), list.duplicates[0].basis, list.duplicates[0].bytes), (1, "likely", bytes));
    assert_eq!(list.totals.duplicate_bytes, bytes);
    assert!(list.totals.shared_bytes > bytes, "the blob and the configuration of two names");
}

#[test]
fn a_stated_hash_tells_copies_apart_without_a_look_at_them() {
    let home = tempfile::tempdir().unwrap();
    let store = home.path().join(".ollama/models");
    let model = gguf_model(1);
    let row = Ollama(&store).layer("model", &model);
    Ollama(&store).manifest("registry.ollama.ai/library/a/latest", std::slice::from_ref(&row));
    let hash = row["digest"].as_str().unwrap()[7..].to_owned();
    let repo = home.path().join(".cache/huggingface/hub/models--org--a-GGUF");
    put(&repo, &format!("blobs/{hash}"), &model);
    std::fs::create_dir_all(repo.join("snapshots/c")).unwrap();
    symlink(format!("../../blobs/{hash}"), repo.join("snapshots/c/a.gguf")).unwrap();
    let list = list(&at_home(home.path()));
    assert_eq!((list.duplicates[0].basis, list.duplicates[0].sha256.as_deref()), ("stated-hash", Some(hash.as_str())));
    assert_eq!(list.duplicates[0].models, ["hf:org/a-GGUF", "ollama:a:latest"]);
}

#[test]
fn what_cannot_be_read_is_a_row_too() {
    let home = tempfile::tempdir().unwrap();
    let store = home.path().join(".ollama/models");
    put(&store, "manifests/registry.ollama.ai/library/bad/latest", "{");
    put(&store, "manifests/registry.ollama.ai/library/bad/.hidden", "{}");
    put(&store, "manifests/registry.ollama.ai/library/bad/deep/er", "{}");
    let list = list(&at_home(home.path()));
    assert_eq!(list.models.len(), 1);
    let model = &list.models[0];
    assert_eq!((model.complete, model.problems.len(), model.logical_params), (Some(false), 1, None));
}

#[test]
fn links_that_lead_out_of_a_folder_or_a_store_are_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "outside/secret.gguf", gguf_model(1));
    put(dir.path(), "models/a/own-Q4_0.gguf", gguf_model(2));
    put(dir.path(), "models/b/x.txt", "none");
    let out = dir.path().join("outside");
    symlink(out.join("secret.gguf"), dir.path().join("models/a/out-Q8_0.gguf")).unwrap();
    symlink(&out, dir.path().join("models/c")).unwrap();
    let list = inventory(&[], &[&dir.path().join("models")], &Environment::default());
    let told: Vec<_> = list.models.iter().map(|m| (m.path.file_name().unwrap().to_str().unwrap(), m.logical_params)).collect();
    assert!(told.contains(&("own-Q4_0.gguf", Some(256))) && told.contains(&("out-Q8_0.gguf", None)) && told.len() == 2, "{told:?}");
    // Folders of a hub cache and of Ollama that are links.
    let hub = dir.path().join("hub");
    put(&hub, "models--a--b/snapshots/c/model.safetensors", safetensors_model(1));
    std::fs::create_dir_all(hub.join("models--a--linked")).unwrap();
    symlink(dir.path(), hub.join("models--a--linked/snapshots")).unwrap();
    put(dir.path(), "ollama/blobs/none", "");
    put(dir.path(), "manifests/registry.ollama.ai/library/x/latest", "{}");
    symlink(dir.path().join("manifests"), dir.path().join("ollama/manifests")).unwrap();
    let list = inventory(&[], &[&hub, &dir.path().join("ollama")], &Environment::default());
    assert_eq!(list.models.iter().map(|m| m.name.as_str()).collect::<Vec<_>>(), ["a/b"]);
    // The same in a store, by its name.
    let store = dir.path().join(".lmstudio/models/org");
    put(&store, "name/in-Q4_0.gguf", gguf_model(2));
    symlink(out.join("secret.gguf"), store.join("name/out-Q8_0.gguf")).unwrap();
    symlink(&out, store.join("linked")).unwrap();
    let environment = at_home(dir.path());
    let open = |name: &str| {
        let model = weighbridge::stores::locate(Path::new(name), None, &environment)?;
        model.open(&weighbridge::checkpoint::OpenOptions::default())
    };
    assert!(open("org/name:Q4_0").is_ok());
    for name in ["org/name:Q8_0", "org/name:out-Q8_0.gguf", "org/linked"] {
        assert_eq!(open(name).unwrap_err().kind(), weighbridge::error::ErrorKind::OutsideFolder, "{name}");
    }
}

const OLLAMA: [&str; 2] =
    ["stores/models/manifests/registry.ollama.ai/library/llama3.2/latest", "stores/models/manifests/registry.ollama.ai/me/mine/1b"];

#[test]
fn folders_are_listed_by_their_models() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    put(root, "a/config.json", "{}");
    put(root, "a/model-00001-of-00002.safetensors", safetensors_model(1));
    put(root, "a/original/consolidated.safetensors", safetensors_model(1));
    put(root, "b/c/x-Q4_0.gguf", gguf_model(1));
    put(root, "b/c/x-Q8_0-00001-of-00002.gguf", gguf_model(2));
    put(root, "b/c/x-Q8_0-00002-of-00002.gguf", gguf_model(2));
    put(root, "pipe/model_index.json", "{}");
    put(root, "pipe/unet/diffusion_pytorch_model.safetensors", safetensors_model(3));
    put(root, ".hidden/model.safetensors", safetensors_model(3));
    put(root, "notes/readme.md", "none");
    put(root, "only-configured/config.json", "{}");
    put(root, "pickled/config.json", "{}");
    put(root, "pickled/pytorch_model.bin", "PK");
    Ollama(&root.join("stores/models")).two_names();
    let mut list = inventory(&[], &[root], &Environment::default());
    sort(&mut list.models, InventoryOrder::Name);
    list.models.sort_by_key(|m| m.path.clone());
    let names: Vec<&str> = list.models.iter().map(|m| m.path.strip_prefix(root).unwrap().to_str().unwrap()).collect();
    assert_eq!(names, ["a", "b/c/x-Q4_0.gguf", "b/c/x-Q8_0-00001-of-00002.gguf", "pickled", "pipe", OLLAMA[0], OLLAMA[1]]);
    let shards = &list.models[0];
    assert_eq!(shards.complete, Some(false), "a shard is missing: {:?}", shards.problems);
}

#[cfg(target_os = "linux")]
#[test]
fn paths_that_are_no_utf_8_are_written_all_the_same() {
    use std::os::unix::ffi::OsStrExt;
    let dir = tempfile::tempdir().unwrap();
    let odd = dir.path().join(std::ffi::OsStr::from_bytes(b"odd\xff"));
    put(&odd, "m.gguf", gguf_model(1));
    let out = program().arg("ls").arg(&odd).args(["--format", "json"]).output().unwrap();
    let document: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert!(document["models"][0]["path"].as_str().unwrap().ends_with("odd\u{fffd}"), "{document}");
}

#[test]
fn a_list_reads_headers_alone() {
    let read = || -> u64 {
        let io = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
        io.lines().find_map(|line| line.strip_prefix("rchar: ")).and_then(|n| n.parse().ok()).unwrap_or_default()
    };
    let home = tempfile::tempdir().unwrap();
    let ollama = Ollama(&home.path().join(".ollama/models")).0.to_path_buf();
    for n in 0..6u8 {
        let mut model = gguf_model(n);
        model.resize(2 << 20, n);
        let row = Ollama(&ollama).layer("model", &model);
        Ollama(&ollama).manifest(&format!("registry.ollama.ai/library/m{n}/latest"), &[row]);
    }
    let before = read();
    let list = list(&at_home(home.path()));
    let bytes = read() - before;
    assert_eq!((list.totals.models, list.totals.bytes), (6, (6 * (2 << 20)) + 23));
    // All are of one length, but every hash is stated: no head is compared.
    assert!(bytes < 6 * (300 << 10), "{bytes} bytes read of 12 MiB");
}

#[test]
fn the_command_has_the_fields_that_others_build_on() {
    let home = tempfile::tempdir().unwrap();
    Ollama(&home.path().join(".ollama/models")).two_names();
    let run = |words: &[&str]| {
        let mut program = program();
        for name in ["HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME", "OLLAMA_MODELS", "LLAMA_CACHE"] {
            program.env_remove(name);
        }
        let out = program.env("HOME", home.path()).arg("ls").args(words).output().unwrap();
        (String::from_utf8(out.stdout).unwrap(), String::from_utf8(out.stderr).unwrap(), out.status.code())
    };
    let (out, _, code) = run(&["--format", "json"]);
    let document: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &document["command"]), (Some(0), &"ls".into()));
    for model in document["models"].as_array().unwrap() {
        let fields = [
            "name",
            "store",
            "path",
            "format",
            "logical_params",
            "tensor_bytes",
            "file_bytes",
            "quantization",
            "revision",
            "complete",
            "missing_files",
            "same_as",
            "verdict",
        ];
        assert!(fields.iter().all(|field| model.get(field).is_some()), "{model}");
    }
    assert!(["models", "bytes", "shared_bytes", "duplicate_bytes"].iter().all(|field| document["totals"][field].is_u64()));
    for format in ["text", "csv", "markdown"] {
        let (out, _, code) = run(&["ollama", "--duplicates", "--format", format]);
        assert!(code == Some(0) && out.contains("me/mine:1b"), "{format}: {out}");
    }
    let (out, _, code) = run(&["hub"]);
    assert!(code == Some(0) && out.contains("none of the stores"), "{out}");
    let (_, err, code) = run(&["no-such"]);
    assert!(code == Some(2) && err.contains("stores: hub"), "{err}");
    let (_, err, code) = run(&["--fit", "24GiB"]);
    assert!(code == Some(2) && err.contains("unexpected argument"), "{err}");
}

#[test]
fn a_folder_of_several_models_is_their_list() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("models");
    for (name, seed) in [("left", 9), ("right", 10)] {
        put(&dir.join(name), "model.safetensors", safetensors_model(seed));
        put(&dir.join(name), "config.json", format!("{{\"model_type\": \"{name}\", \"hidden_size\": {seed}}}"));
    }
    let run = |args: &[&str]| {
        let output = program().args(args).arg(&dir).env("HOME", home.path()).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (text(output.stdout), text(output.stderr), output.status.code())
    };
    let (out, _, code) = run(&["--format", "json"]);
    let document: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &document["command"], &document["totals"]["models"]), (Some(0), &"ls".into(), &2.into()));
    let mut named: Vec<&str> = document["models"].as_array().unwrap().iter().map(|m| m["name"].as_str().unwrap()).collect();
    named.sort_unstable();
    assert_eq!(named, ["left", "right"]);
    // What asks for one model gets the names of both, and so does a budget.
    for command in ["show", "memory", "project", "audit", "scan"] {
        let (out, err, code) = run(&[command]);
        assert!(code == Some(2) && out.is_empty() && err.contains("left") && err.contains("right"), "{command}: {out}{err}");
    }
    let (_, err, code) = run(&["--fit", "24GiB"]);
    assert!(code == Some(2) && err.contains("holds 2 models"), "{err}");
    // Each is itself by its path.
    let output = program().arg("show").arg(dir.join("left")).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}
