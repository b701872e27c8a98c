//! Memory at the edges: packed weights, sizes that do not divide, configurations that say nothing or two things, and reads that are timed.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Map, Value, json};
use weighbridge::checkpoint::{self, Checkpoint, OpenOptions};
use weighbridge::dtype::Dtype;
use weighbridge::project::memory::{Budget, EngineRow, KvType, MemoryReport, MemoryRequest, Parallel, Verdict};
use weighbridge::project::{Basis, ProjectInput, memory};
use weighbridge::units::Elements;

/// A folder with one file of these tensors, which takes no room, and its configuration. The bytes of the tensors.
fn write(folder: &Path, config: &Value, tensors: &[(String, Dtype, Vec<u64>)]) -> u64 {
    let mut header = Map::new();
    let mut at = 0u64;
    for (name, dtype, shape) in tensors {
        let end = at + dtype.bytes_of(Elements(shape.iter().product())).unwrap().0;
        header.insert(name.clone(), json!({"dtype": dtype.name(), "shape": shape, "data_offsets": [at, end]}));
        at = end;
    }
    let header = Value::Object(header).to_string();
    let mut head = (header.len() as u64).to_le_bytes().to_vec();
    head.extend(header.as_bytes());
    let path = folder.join("model.safetensors");
    std::fs::write(&path, &head).unwrap();
    std::fs::OpenOptions::new().write(true).open(path).unwrap().set_len(head.len() as u64 + at).unwrap();
    std::fs::write(folder.join("config.json"), config.to_string()).unwrap();
    at
}

/// What a tool wrote under a scheme (`fixtures/hf/schemes.jsonl`): configuration and tensors.
fn packed(scheme: &str) -> (Value, Vec<(String, Dtype, Vec<u64>)>) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/hf/schemes.jsonl");
    let text = std::fs::read_to_string(path).unwrap();
    let mut rows = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut config = rows.next().unwrap()["config"].clone();
    let row = rows.find(|row| row["base"] == "llama-gqa" && row["scheme"] == scheme).unwrap();
    for part in ["changes", "config"] {
        config.as_object_mut().unwrap().extend(row[part].as_object().cloned().unwrap_or_default());
    }
    let mut tensors = Vec::new();
    for t in row["tensors"].as_array().unwrap() {
        let (name, dtype) = (t[0].as_str().unwrap(), Dtype::from_safetensors(t[1].as_str().unwrap()).unwrap());
        let shape: Vec<u64> = t[2].as_array().unwrap().iter().map(|d| d.as_u64().unwrap()).collect();
        match t.get(3).and_then(Value::as_array) {
            None => tensors.push((name.to_owned(), dtype, shape)),
            Some(layers) => tensors.extend(layers.iter().map(|n| (name.replace('#', &n.to_string()), dtype, shape.clone()))),
        }
    }
    (config, tensors)
}

fn open(folder: &Path) -> Checkpoint {
    checkpoint::open(folder, &OpenOptions::default()).unwrap()
}

fn ask(checkpoint: &Checkpoint, engine: &str, parallel: Parallel, fit: &[&str]) -> MemoryReport {
    let asked = MemoryRequest {
        engines: vec![engine.to_owned()],
        ctx: Some(1024),
        parallel,
        fit: fit.iter().map(|text| Budget::parse(text).unwrap()).collect(),
        ..MemoryRequest::default()
    };
    memory(&ProjectInput::from_checkpoint(checkpoint), &asked)
}

fn tp(tp: u64) -> Parallel {
    Parallel { tp, ..Parallel::default() }
}

fn formula<'r>(row: &'r EngineRow, name: &str) -> &'r str {
    &row.devices[0].terms.iter().find(|t| t.name == name).unwrap().formula
}

#[test]
fn packed_weights_count_as_stored_and_fit_as_such() {
    // Columns of the feed-forward block that a rank has: 704 / tp. Groups of 32 allow 2 ranks, of 16 four.
    let cases = [
        ("gptq-4bit-g32", 4, "groups of 32", "tp 1, 2"),
        ("awq-4bit-g32", 4, "groups of 32", "tp 1, 2"),
        ("ct-nvfp4", 8, "groups of 16", "tp 1, 2, 4"),
    ];
    for (scheme, ranks, groups, valid) in cases {
        let folder = tempfile::tempdir().unwrap();
        let (config, tensors) = packed(scheme);
        let bytes = write(folder.path(), &config, &tensors);
        let checkpoint = open(folder.path());
        let report = ask(&checkpoint, "vllm", tp(1), &["4GiB", "1MiB", "2x4GiB"]);
        let weights = &report.engines[0].devices[0].terms[0];
        assert_eq!((weights.low, weights.high, weights.basis), (Some(bytes), Some(bytes), Basis::Estimate), "{scheme}");
        // Two layers of 4 KV heads of 32 in 16 bits, keys and values.
        assert_eq!(report.engines[0].devices[0].terms[1].low, Some(1024 * 2 * 2 * 4 * 32 * 2), "{scheme}");
        let [fits, no, two] = report.fit.as_slice() else { panic!("{:?}", report.fit) };
        assert_eq!((fits.verdict, fits.max_ctx), (Verdict::Fits, Some(2048)), "{scheme}");
        assert!(fits.needs_low >= bytes && fits.first_scheme_that_fits.is_none(), "{scheme}");
        assert_eq!((no.verdict, no.max_ctx, &no.first_scheme_that_fits), (Verdict::No, None, &None), "{scheme}");
        assert!(two.notes.iter().any(|n| n.contains("2 devices as tensor parallel")), "{scheme}: {:?}", two.notes);
        let refused = ask(&checkpoint, "vllm", tp(ranks), &[]).engines.remove(0);
        let why = formula(&refused, "weights");
        assert!(
            why.contains(&format!("do not fill {groups}")) && why.ends_with(&format!("valid for vllm: {valid}")),
            "{scheme}: {why}"
        );
        // AWQ and this form of NVFP4 are stopped at or unpacked by llama.cpp's converter; without its folder the graph is refused.
        let llama = ask(&checkpoint, "llama.cpp", tp(1), &[]).engines.remove(0);
        assert!(formula(&llama, "compute_buffer").contains("convert first"), "{scheme}");
    }
}

/// The checkpoint that a configuration declares, with these keys set, or taken out with null.
fn declared(changes: &Value) -> Checkpoint {
    let folder = tempfile::tempdir().unwrap();
    let mut config = json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 768, "num_hidden_layers": 2,
        "num_attention_heads": 12, "num_key_value_heads": 12, "intermediate_size": 3072, "vocab_size": 32_000,
        "max_position_embeddings": 4096, "tie_word_embeddings": false, "torch_dtype": "bfloat16",
    });
    config.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    let path = folder.path().join("config.json");
    std::fs::write(&path, config.to_string()).unwrap();
    checkpoint::declared(&path).unwrap()
}

#[test]
fn each_part_that_does_not_divide_is_named() {
    let refusal = |changes: Value, engine: &str, ranks: u64| {
        let row = ask(&declared(&changes), engine, tp(ranks), &[]).engines.remove(0);
        assert_eq!((row.devices[0].terms[0].basis, row.high), (Basis::Refused, None));
        formula(&row, "weights").to_owned()
    };
    let vocabulary = refusal(json!({}), "vllm", 3);
    assert!(vocabulary.contains("the vocabulary's 32000 tokens, padded to 64, of 32000 do not divide over tp 3"), "{vocabulary}");
    assert!(vocabulary.ends_with("valid for vllm: tp 1, 2, 4"), "{vocabulary}");
    assert!(refusal(json!({}), "vllm", 5).contains("12 attention heads do not divide over tp 5"));
    assert!(
        refusal(json!({"num_key_value_heads": 4}), "vllm", 6).contains("4 key/value heads do not divide over tp 6, nor repeat")
    );
    assert!(refusal(json!({"num_key_value_heads": 2}), "transformers", 4).contains("2 key/value heads do not divide over tp 4"));
    assert!(
        refusal(json!({"intermediate_size": 3074}), "vllm", 4).contains("feed-forward columns of 3074 do not divide over tp 4")
    );
    assert!(refusal(json!({}), "vllm", 0).contains("a parallel size of 0"));
    assert!(refusal(json!({}), "vllm", 2048).contains("more than 1024 devices"));
}

#[test]
fn weights_that_contradict_the_configuration_refuse_the_cache() {
    let (mut config, tensors) = packed("ct-nvfp4");
    config.as_object_mut().unwrap().remove("quantization_config");
    // 16-bit tensors of the same base: 8 heads of 32, of which 4 for keys.
    let plain: Vec<(String, Dtype, Vec<u64>)> = tensors
        .into_iter()
        .filter(|(name, ..)| name.ends_with("norm.weight") || name.contains("embed") || name.starts_with("lm_head"))
        .chain((0..2).flat_map(|n| {
            [("q", 256), ("k", 128), ("v", 128)]
                .map(|(p, rows)| (format!("model.layers.{n}.self_attn.{p}_proj.weight"), Dtype::BF16, vec![rows, 256]))
        }))
        .collect();
    let cache = |head_dim: Value| {
        let folder = tempfile::tempdir().unwrap();
        config["head_dim"] = head_dim;
        write(folder.path(), &config, &plain);
        let report = ask(&open(folder.path()), "vllm", tp(1), &["4GiB"]);
        let term = report.engines[0].devices[0].terms[1].clone();
        (term.basis, term.low, term.formula, report.fit[0].verdict, report.kv_layers.len())
    };
    let mut cache = cache;
    // As it is, and where the head size follows from the width.
    assert_eq!(cache(json!(32)).1, Some(1024 * 2 * 2 * 4 * 32 * 2));
    assert_eq!(cache(Value::Null).1, Some(1024 * 2 * 2 * 4 * 32 * 2));
    let (basis, low, why, verdict, layers) = cache(json!(64));
    assert_eq!((basis, low, verdict, layers), (Basis::Refused, None, Verdict::Unknown, 0));
    assert!(why.contains("k_proj.weight` has 128 rows, config.json says 4 key/value heads x head_dim 64"), "{why}");
}

#[test]
fn a_configuration_that_does_not_say_is_refused_by_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let (config, tensors) = packed("awq-4bit-g32");
    let refusal = |changes: Value| {
        let mut config = config.clone();
        for (key, value) in changes.as_object().unwrap() {
            match value {
                Value::Null => config.as_object_mut().unwrap().remove(key),
                value => config.as_object_mut().unwrap().insert(key.clone(), value.clone()),
            };
        }
        let bytes = write(folder.path(), &config, &tensors);
        let row = ask(&open(folder.path()), "vllm", tp(1), &[]).engines.remove(0);
        // What is known is still told.
        assert_eq!(row.devices[0].terms[0].low, Some(bytes), "{changes}");
        assert_eq!(row.devices[0].terms[1].basis, Basis::Refused, "{changes}");
        assert!(row.notes.iter().any(|n| n.contains("leave out: kv_cache")), "{:?}", row.notes);
        formula(&row, "kv_cache").to_owned()
    };
    for (changes, reason) in [
        (json!({"model_type": "zorblax"}), "`zorblax`"),
        (json!({"model_type": null}), "`model_type`"),
        (json!({"num_hidden_layers": null}), "`num_hidden_layers`"),
        (json!({"num_attention_heads": null}), "`num_attention_heads`"),
        (json!({"num_hidden_layers": "two"}), "`num_hidden_layers` of config.json is no whole number"),
        (json!({"num_key_value_heads": 3}), "3 key/value heads do not divide 8"),
        (json!({"head_dim": 0}), "`head_dim` is 0"),
        (json!({"head_dim": null, "hidden_size": 257}), "257 hidden values do not divide into 8 heads"),
        (json!({"layer_types": ["full_attention"]}), "1 entries for 2 layers"),
        (json!({"layer_types": ["full_attention", "warp_attention"]}), "`warp_attention`"),
        (json!({"layer_types": "full_attention"}), "`layer_types` of config.json is no list"),
        (json!({"layer_types": ["full_attention", "sliding_attention"]}), "`sliding_window`"),
        (json!({"use_sliding_window": true}), "`use_sliding_window` is true"),
    ] {
        let why = refusal(changes.clone());
        assert!(why.contains(reason), "{changes}: {why}");
    }
}

/// The cache's bytes and type, with what is said of it.
fn cache(checkpoint: &Checkpoint, engine: &str, kv_type: Option<&str>) -> (u64, &'static str, String) {
    let asked = MemoryRequest {
        engines: vec![engine.to_owned()],
        ctx: Some(1024),
        kv_type: kv_type.map(|text| KvType::parse_pair(text).unwrap()),
        ..MemoryRequest::default()
    };
    let report = memory(&ProjectInput::from_checkpoint(checkpoint), &asked);
    let row = &report.engines[0];
    let term = row.devices[0].terms.iter().find(|term| term.name == "kv_cache").unwrap();
    (term.low.unwrap(), row.kv_type_k, row.notes.join("; "))
}

#[test]
fn an_engine_heeds_the_cache_that_the_checkpoint_asks_for() {
    let asks = |quantization: Value| {
        let dir = tempfile::tempdir().unwrap();
        let (mut config, tensors) = packed("fp8-tensor");
        config["quantization_config"].as_object_mut().unwrap().extend(quantization.as_object().unwrap().clone());
        write(dir.path(), &config, &tensors);
        open(dir.path())
    };
    let plain = cache(&asks(json!({})), "vllm", None);
    assert_eq!(plain.1, "f16");
    let fp8 = asks(json!({"quant_method": "modelopt", "kv_cache_quant_algo": "FP8"}));
    let (bytes, name, notes) = cache(&fp8, "vllm", None);
    assert_eq!((bytes * 2, name), (plain.0, "fp8"));
    assert!(notes.contains("fp8, as the checkpoint says (`kv_cache_quant_algo` of config.json)"), "{notes}");
    // What is asked for goes before it; transformers keeps its own.
    let (bytes, name, notes) = cache(&fp8, "vllm", Some("f16"));
    assert!((bytes, name) == (plain.0, "f16") && !notes.contains("checkpoint"), "{notes}");
    assert_eq!(cache(&fp8, "transformers", None).1, "f16");
    let scheme =
        json!({"quant_method": "compressed-tensors", "kv_cache_scheme": {"num_bits": 8, "type": "float", "strategy": "tensor"}});
    assert_eq!(cache(&asks(scheme), "vllm", None).1, "fp8");
    // Four bits and a byte for 16 of them.
    let nvfp4 = cache(&asks(json!({"quant_method": "modelopt", "kv_cache_quant_algo": "NVFP4"})), "vllm", None);
    assert_eq!((nvfp4.0 * 32, nvfp4.1), (plain.0 * 9, "nvfp4"));
    let unknown = cache(&asks(json!({"quant_method": "modelopt", "kv_cache_quant_algo": "INT8"})), "vllm", None);
    assert!(unknown.1 == "f16" && unknown.2.contains("asks for a cache in INT8"), "{}", unknown.2);
}

/// The `load` object of a run over a path.
fn timed(path: &Path) -> Value {
    let run = crate::program::program().args(["memory", "--format", "json"]).arg(path).output().unwrap();
    let document: Value = serde_json::from_slice(&run.stdout).unwrap();
    document["load"].clone()
}

/// 24 MiB of weights that are really there, over two files.
fn stored(folder: &Path) -> (PathBuf, u64) {
    let mut length = 0;
    for n in 1..=2 {
        let header =
            r#"{"w":{"dtype":"F32","shape":[3145728],"data_offsets":[0,12582912]}}"#.replace("\"w\"", &format!("\"w{n}\""));
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.extend((0..12_582_912u32).map(|i| (i >> 3) as u8));
        length += bytes.len() as u64;
        std::fs::write(folder.join(format!("model-0000{n}-of-00002.safetensors")), bytes).unwrap();
    }
    (folder.to_owned(), length)
}

#[test]
fn load_time_is_a_range_over_all_bytes_of_all_files() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (path, length) = stored(folder.path());
    let load = timed(&path);
    assert_eq!(load["bytes"].as_u64(), Some(length));
    let (low, high) = (load["seconds_low"].as_f64().unwrap(), load["seconds_high"].as_f64().unwrap());
    assert!(low > 0.0 && low < high, "{low} to {high}: one bandwidth");
    // A file of one step has a range too.
    let single = weighbridge_fixture("fixtures/fracast/model.safetensors");
    let load = timed(&single);
    assert_eq!(load["bytes"].as_u64(), Some(std::fs::metadata(&single).unwrap().len()));
    assert!(load["seconds_low"].as_f64().unwrap() <= load["seconds_high"].as_f64().unwrap());
    // What is only declared is not read.
    assert_eq!(timed(&weighbridge_fixture("fixtures/declared/llama-3.2-1b")), Value::Null);
}

fn weighbridge_fixture(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

#[test]
#[cfg(target_os = "linux")]
fn cold_and_warm_are_told_apart_by_the_page_cache() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (path, length) = stored(folder.path());
    let files = || std::fs::read_dir(&path).unwrap().map(|e| e.unwrap().path());
    // Written out, then dropped from the cache, which a file system in memory cannot do.
    for file in files() {
        std::fs::File::open(&file).unwrap().sync_all().unwrap();
        let of = format!("if={}", file.display());
        assert!(Command::new("dd").args([of.as_str(), "iflag=nocache", "count=0", "status=none"]).status().unwrap().success());
    }
    let cold = timed(&path)["cached_bytes"].as_u64().unwrap();
    for file in files() {
        std::fs::read(file).unwrap();
    }
    let warm = timed(&path)["cached_bytes"].as_u64().unwrap();
    assert_eq!(warm, length);
    println!("{cold} B in the cache after it was dropped, {warm} B after a read");
    let kind = Command::new("stat").args(["-f", "-c", "%T"]).arg(&path).output().unwrap().stdout;
    let keeps = ["tmpfs", "ramfs", "overlayfs", "UNKNOWN"].iter().any(|name| String::from_utf8_lossy(&kind).contains(name));
    assert!(keeps || cold < length / 2, "{cold} of {length} B are in the cache, on {}", String::from_utf8_lossy(&kind));
}

/// Text without its line breaks and indents.
fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn every_term_is_explained() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/declared/llama-3.2-1b");
    let runs: [&[&str]; 7] = [
        &["--engine", "llama.cpp,vllm,transformers"],
        &["--engine", "llama.cpp,vllm,transformers", "--pp", "2", "--seqs", "2"],
        &["--engine", "vllm,transformers", "--tp", "2", "--dp", "2"],
        &["--train", "lora-8", "--tp", "2", "--pp", "2"],
        &["--train", "distill", "--zero", "2", "--dp", "4"],
        &["--train", "adam-mixed-20", "--zero", "3", "--dp", "4"],
        &["--train", "adam", "--dp", "2"],
    ];
    let mut names = std::collections::BTreeSet::new();
    for args in runs {
        let run = |more: &[&str]| {
            let run = crate::program::program().arg("memory").arg(&fixtures).args(args).args(more).output().unwrap();
            String::from_utf8(run.stdout).unwrap()
        };
        let document: Value = serde_json::from_str(&run(&["--format", "json"])).unwrap();
        let explained = flat(&run(&["--explain"]));
        let places = |row: &Value| row["devices"].as_array().unwrap().iter().chain([&row["host"]]).cloned().collect::<Vec<_>>();
        let rows = ["engines", "training"].into_iter().flat_map(|part| document[part].as_array().unwrap());
        for term in rows.flat_map(places).flat_map(|place| place["terms"].as_array().cloned().unwrap_or_default()) {
            let (name, formula) = (term["name"].as_str().unwrap(), term["formula"].as_str().unwrap());
            assert!(formula.len() > 10, "{args:?} {name}: {formula}");
            assert!(explained.contains(&flat(formula)), "{args:?}: {name} is not explained: {formula}");
            names.insert(name.to_owned());
        }
    }
    println!("{} terms: {names:?}", names.len());
    assert!(names.len() >= 15, "{names:?}");
}
