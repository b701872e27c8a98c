//! Verdicts on budgets, as a caller sees them: what is judged, against what, with which exit code; and what holds of every verdict.

use std::path::Path;

use crate::gguf_head::{Model, record};
use serde_json::{Value, json};
use weighbridge::checkpoint::{self, Checkpoint, OpenOptions};
use weighbridge::project::memory::{
    Budget, FitRow, Limits, LlamaCppOptions, MemoryRequest, Parallel, Recipe, Recompute, TrainRequest, Verdict,
};
use weighbridge::project::{ProjectInput, memory};

const GIB: u64 = 1 << 30;

const LLAMA_8B: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/declared/llama-3.1-8b");

/// A llama of 106,816 parameters.
fn small() -> Value {
    json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 64, "intermediate_size": 128,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "vocab_size": 256,
        "max_position_embeddings": 2048, "tie_word_embeddings": false, "torch_dtype": "bfloat16",
    })
}

fn put(folder: &Path, name: &str, bytes: &[u8]) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

/// A safetensors file of the tensors that a configuration declares, without those of some layers.
fn weights(folder: &Path, name: &str, config: &Value, keep: impl Fn(&str) -> bool) {
    put(folder, "config.json", config.to_string().as_bytes());
    let declared = checkpoint::declared(folder).unwrap();
    let (mut rows, mut at) = (Vec::new(), 0u64);
    for tensor in declared.tensors().filter(|t| keep(&t.name())) {
        let end = at + tensor.info.bytes;
        let shape = tensor.info.shape.to_vec();
        rows.push(format!("\"{}\":{{\"dtype\":\"BF16\",\"shape\":{shape:?},\"data_offsets\":[{at},{end}]}}", tensor.name()));
        at = end;
    }
    let header = format!("{{{}}}", rows.join(","));
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.resize(bytes.len() + at as usize, 1);
    put(folder, name, &bytes);
}

/// Exit code and standard output.
fn weigh(args: &[&str]) -> (i32, String) {
    let run = crate::program::program().args(args).args(["--no-progress"]).output().unwrap();
    (run.status.code().unwrap(), String::from_utf8(run.stdout).unwrap())
}

/// Exit code and document.
fn asked(args: &[&str]) -> (i32, Value) {
    let (code, text) = weigh(&[args, &["--format", "json"]].concat());
    (code, serde_json::from_str(&text).unwrap_or_else(|e| panic!("{args:?}: {e}: {text}")))
}

fn verdicts(rows: &Value) -> Vec<&str> {
    rows.as_array().unwrap().iter().map(|row| row["verdict"].as_str().unwrap()).collect()
}

fn path(folder: &tempfile::TempDir) -> &str {
    folder.path().to_str().unwrap()
}

#[test]
fn weights_that_are_not_read_never_count_as_nothing() {
    // What trainers and Meta leave behind: ranks of a run, ZeRO's pieces, distributed checkpoints, consolidated files.
    let kinds: [&[&str]; 4] = [
        &["model_world_size_4_rank_0.pt", "model_world_size_4_rank_1.pt"],
        &[
            "global_step10/zero_pp_rank_0_mp_rank_00_model_states.pt",
            "global_step10/bf16_zero_pp_rank_0_mp_rank_00_optim_states.pt",
        ],
        &["__0_0.distcp", "__1_0.distcp", ".metadata"],
        &["consolidated.00.pth", "onnx/model.onnx_data"],
    ];
    for files in kinds {
        let folder = tempfile::tempdir().unwrap();
        files.iter().for_each(|name| put(folder.path(), name, b"PK\x03\x04 and what follows"));
        let unknown = |shown: Value| {
            for row in shown.as_array().unwrap() {
                assert_eq!((&row["verdict"], &row["needs_high"]), (&json!("unknown"), &Value::Null), "{files:?}: {row}");
                assert!(row["why"].as_str().unwrap().starts_with("no weights were read: "), "{row}");
            }
            assert!(!shown.as_array().unwrap().is_empty(), "{files:?}");
        };
        // Without a configuration, and with one that says nothing of its tensors.
        for config in ["", r#"{"model_type": "zorblax", "hidden_size": 64}"#] {
            if !config.is_empty() {
                put(folder.path(), "config.json", config.as_bytes());
            }
            let (code, document) = asked(&["memory", path(&folder), "--fit", "24GiB"]);
            assert_eq!(code, 2, "{files:?}");
            unknown(document["fit"].clone());
            let weights = &document["engines"][0]["devices"][0]["terms"][0];
            assert_eq!((&weights["basis"], &weights["low"]), (&json!("refused"), &Value::Null), "{weights}");
            let (code, document) = asked(&[path(&folder), "--no-scan", "--fit", "24GiB"]);
            assert_eq!(code, 2, "{files:?}");
            unknown(document["memory"]["fit"].clone());
            let (code, document) = asked(&["audit", path(&folder), "--max-ram", "24GiB"]);
            let codes: Vec<_> = document["findings"].as_array().unwrap().iter().map(|f| f["code"].as_str().unwrap()).collect();
            assert!(code == 2 && codes.contains(&"ram-unknown"), "{files:?}: {code} {codes:?}");
        }
        // What config.json declares, as an estimate, with every file that is not read by its name and bytes.
        put(folder.path(), "config.json", small().to_string().as_bytes());
        let (_, document) = asked(&["memory", path(&folder), "--fit", "24GiB"]);
        assert_eq!(verdicts(&document["fit"]), ["fits", "fits"], "{files:?}");
        assert!(document["fit"][0]["why"].as_str().unwrap().ends_with("with the weights that config.json declares"));
        let weights = &document["engines"][0]["devices"][0]["terms"][0];
        assert_eq!((&weights["low"], &weights["basis"]), (&json!(213_632), &json!("estimate")), "{files:?}");
        let notes = document["notes"].to_string();
        for file in files {
            assert!(notes.contains(&format!("{file} (21 bytes)")), "{file}: {notes}");
        }
        let (_, document) = asked(&[path(&folder), "--no-scan", "--fit", "24GiB"]);
        assert_eq!(verdicts(&document["memory"]["fit"]), ["fits", "fits"], "{files:?}");
    }
}

#[test]
fn an_unknown_architecture_passes_no_gate() {
    let folder = tempfile::tempdir().unwrap();
    weights(folder.path(), "model.safetensors", &small(), |_| true);
    assert_eq!(weigh(&["memory", path(&folder), "--fit", "24GiB"]).0, 0);
    assert_eq!(weigh(&["audit", path(&folder), "--max-ram", "24GiB"]).0, 0);
    let mut config = small();
    config["model_type"] = json!("zorblax");
    put(folder.path(), "config.json", config.to_string().as_bytes());
    let (code, document) = asked(&["memory", path(&folder), "--fit", "24GiB,100MiB"]);
    // What is known is too much for the small one: both are said, and the one that is not answered decides.
    assert_eq!((code, verdicts(&document["fit"])), (2, vec!["unknown", "no", "unknown", "no"]));
    assert!(document["fit"][0]["why"].as_str().unwrap().starts_with("the KV cache is not known: "));
    assert_eq!(weigh(&["memory", path(&folder), "--fit", "100MiB"]).0, 1);
    assert_eq!(weigh(&[path(&folder), "--no-scan", "--fit", "24GiB"]).0, 2);
    assert_eq!(weigh(&[path(&folder), "--no-scan", "--fit", "100MiB"]).0, 1);
    assert_eq!(weigh(&["audit", path(&folder), "--max-ram", "24GiB"]).0, 2);
    assert_eq!(weigh(&["audit", path(&folder), "--max-ram", "24GiB", "--allow", "ram-unknown"]).0, 0);
    assert_eq!(weigh(&["audit", path(&folder), "--max-ram", "100MiB"]).0, 1);
    let (_, text) = weigh(&["memory", path(&folder), "--fit", "24GiB"]);
    assert!(text.contains("24GiB   vllm          unknown"), "{text}");
}

#[test]
fn a_set_that_is_not_whole_gets_no_verdict() {
    let first = |name: &str| !name.starts_with("model.layers.1");
    let judged = |folder: &tempfile::TempDir, only: &str, why: &str| {
        let mut args = vec!["memory", path(folder), "--fit", "24GiB,1KiB"];
        let file = folder.path().join(only);
        if !only.is_empty() {
            args[1] = file.to_str().unwrap();
            args.push("--only-this-file");
        }
        let (code, document) = asked(&args);
        assert_eq!((code, verdicts(&document["fit"])), (2, vec!["unknown"; 4]), "{why}");
        assert!(document["fit"][0]["why"].as_str().unwrap().contains(why), "{}", document["fit"][0]["why"]);
        assert!(document["notes"].to_string().contains(why), "{why}");
        if only.is_empty() {
            assert_eq!(weigh(&[path(folder), "--no-scan", "--fit", "24GiB"]).0, 2, "{why}");
            assert_eq!(weigh(&["audit", path(folder), "--max-ram", "24GiB"]).0, 2, "{why}");
        }
        document["engines"][0]["devices"][0]["terms"][0].clone()
    };
    let folder = tempfile::tempdir().unwrap();
    weights(folder.path(), "model-00001-of-00002.safetensors", &small(), first);
    let term = judged(&folder, "", "00002-of-00002");
    // Figures of a part are at least figures.
    assert_eq!((&term["basis"], &term["high"]), (&json!("estimate"), &Value::Null));
    assert!(term["low"].as_u64().unwrap() > 100_000);
    weights(folder.path(), "model-00002-of-00002.safetensors", &small(), |name| !first(name));
    assert_eq!(weigh(&["memory", path(&folder), "--fit", "24GiB"]).0, 0);
    judged(&folder, "model-00001-of-00002.safetensors", "one of 2 shards");
    // Cut short: its header says how long it was to be.
    let file = folder.path().join("model-00002-of-00002.safetensors");
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() - 1000]).unwrap();
    let term = judged(&folder, "", "1,000 bytes");
    assert_eq!(term["high"], json!(213_632));
    // A page instead of a shard.
    std::fs::write(&file, "<!DOCTYPE html><html><head><title>404</title></head></html>").unwrap();
    judged(&folder, "", "model-00002-of-00002.safetensors");
    // A quarter of what config.json declares, whole as a file.
    let folder = tempfile::tempdir().unwrap();
    weights(folder.path(), "model.safetensors", &small(), |name| name.contains("mlp.up_proj"));
    judged(&folder, "", "parameters are here, config.json declares 106,816");
}

#[test]
fn training_is_judged_by_what_training_takes() {
    let fit = |args: &[&str]| asked(&[&["memory", LLAMA_8B], args].concat());
    let (code, document) = fit(&["--train", "qlora-16", "--fit", "24GiB"]);
    let row = &document["fit"][0];
    assert_eq!((code, verdicts(&document["fit"]), &row["recipe"]), (1, vec!["no"], &json!("qlora-16")));
    assert!(row["engine"].is_null() && document["engines"].as_array().unwrap().is_empty());
    let device = &document["training"][0]["devices"][0];
    assert_eq!((&row["needs_low"], &row["needs_high"]), (&device["low"], &device["high"]));
    assert!(row["biggest_lever"].as_str().unwrap().starts_with("--recompute full saves 22"), "{row}");
    let (code, document) = fit(&["--train", "qlora-16", "--recompute", "full", "--fit", "24GiB"]);
    assert_eq!((code, verdicts(&document["fit"])), (0, vec!["fits"]));
    // An engine that is asked for is shown, and still not judged.
    let (code, document) = fit(&["--train", "qlora-16", "--engine", "vllm", "--fit", "24GiB"]);
    assert_eq!((code, verdicts(&document["fit"]), document["engines"].as_array().unwrap().len()), (1, vec!["no"], 1));
    // Each of the devices, and all of them.
    let (code, document) = fit(&["--train", "adam-mixed-16", "--zero", "3", "--dp", "8", "--fit", "8x80GiB,4x80GiB,48GiB,46GiB"]);
    let row = &document["fit"][0];
    assert_eq!((code, verdicts(&document["fit"])), (1, vec!["fits", "no", "fits", "tight"]));
    let (needs, sum) = (row["needs_high"].as_u64().unwrap(), row["sum_high"].as_u64().unwrap());
    assert!((44 * GIB..48 * GIB).contains(&needs) && sum == 8 * needs && row["devices"] == 8, "{row}");
    assert_eq!(document["fit"][1]["why"], "the run takes 8 devices, the budget is 4, with the weights that config.json declares");
    // A pipeline: the stages differ, the worst one decides, every rank counts in the sum.
    let (_, document) = fit(&["--train", "adam-mixed-16", "--tp", "2", "--pp", "2", "--dp", "2", "--fit", "80GiB"]);
    let places = document["training"][0]["devices"].as_array().unwrap();
    let highs: Vec<u64> = places.iter().map(|place| place["high"].as_u64().unwrap()).collect();
    let row = &document["fit"][0];
    assert_eq!(
        (row["needs_high"].as_u64(), row["sum_high"].as_u64()),
        (highs.iter().max().copied(), Some(4 * highs.iter().sum::<u64>()))
    );
    // Activations that no rule is known for may be anything: nothing is allowed for them.
    let folder = tempfile::tempdir().unwrap();
    let mixtral = json!({
        "architectures": ["MixtralForCausalLM"], "model_type": "mixtral", "hidden_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 128, "vocab_size": 256, "num_local_experts": 4,
        "num_experts_per_tok": 2, "max_position_embeddings": 2048, "tie_word_embeddings": false, "torch_dtype": "bfloat16",
    });
    put(folder.path(), "config.json", mixtral.to_string().as_bytes());
    let (code, document) = asked(&["memory", path(&folder), "--train", "adam", "--fit", "80GiB"]);
    assert_eq!((code, verdicts(&document["fit"])), (2, vec!["unknown"]));
    assert!(document["fit"][0]["why"].as_str().unwrap().starts_with("activations not known: "));
}

#[test]
fn host_memory_is_not_charged_to_the_device() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("qwen3-30b-a3b.gguf");
    Model::of(&record("models.json")["shape-qwen3-30b-a3b"]).write(&file);
    let file = file.to_str().unwrap();
    let fit = |args: &[&str]| asked(&[&["memory", file, "--cpu-experts", "48", "--fit"], args].concat());
    let (code, document) = fit(&["24GiB", "--ram", "64GiB"]);
    let (row, engine) = (&document["fit"][0], &document["engines"][0]);
    assert_eq!((code, verdicts(&document["fit"])), (0, vec!["fits"]));
    assert_eq!((&row["needs_high"], &row["sum_low"]), (&engine["devices"][0]["high"], &engine["devices"][0]["low"]));
    assert!(row["needs_high"].as_u64().unwrap() < 4 * GIB, "{row}");
    // 48 layers of 128 experts of 3 x 2048 x 768 in 16 bits.
    let experts = 48 * 128 * 3 * 2048 * 768 * 2;
    assert!((experts..experts + GIB).contains(&row["host_low"].as_u64().unwrap()), "{row}");
    assert!(row["host_high"].as_u64() >= row["host_low"].as_u64() && row["max_ctx"].as_u64().is_some(), "{row}");
    let (code, document) = fit(&["24GiB", "--ram", "32GiB"]);
    assert_eq!((code, verdicts(&document["fit"]), &document["fit"][0]["max_ctx"]), (1, vec!["no"], &Value::Null));
    assert!(document["fit"][0]["why"].as_str().unwrap().starts_with("the host needs 54.0 GiB"));
    let (code, document) = fit(&["4GiB", "--ram", "64GiB"]);
    assert_eq!((code, verdicts(&document["fit"])), (1, vec!["no"]));
    assert!(document["fit"][0]["why"].as_str().unwrap().contains("3.00 GiB usable"), "{}", document["fit"][0]);
    let (_, text) = weigh(&["memory", file, "--cpu-experts", "48", "--fit", "24GiB", "--ram", "64GiB"]);
    assert!(text.contains("llama.cpp  host") && text.contains("has 64.0 GiB (--ram S)"), "{text}");
}

#[test]
fn a_budget_without_a_count_is_each_devices() {
    let fit = |budget: &str| asked(&["memory", LLAMA_8B, "--engine", "vllm", "--tp", "2", "--ctx", "32k", "--fit", budget]);
    let (code, document) = fit("24GiB");
    let row = &document["fit"][0];
    assert_eq!((code, verdicts(&document["fit"]), &row["devices"]), (0, vec!["fits"], &json!(2)));
    assert_eq!(
        (&row["needs_low"], &row["needs_high"]),
        (&document["engines"][0]["devices"][0]["low"], &document["engines"][0]["devices"][0]["high"])
    );
    assert_eq!(row["sum_high"].as_u64(), document["engines"][0]["high"].as_u64());
    assert_eq!((fit("1x24GiB").0, fit("2x24GiB").0, fit("9GiB").0), (1, 0, 1));
    // Between low and high is an answer, and no failure.
    let (code, document) = fit("12GiB");
    assert_eq!((code, verdicts(&document["fit"])), (0, vec!["tight"]));
}

#[test]
fn what_vllm_may_take_of_a_card_is_in_its_verdict() {
    let fit = |args: &[&str]| asked(&[&["memory", LLAMA_8B, "--engine", "vllm", "--fit", "24GiB"], args].concat());
    let usable = |row: &Value| row["usable"].as_u64().unwrap();
    let (code, document) = fit(&["--ctx", "56000"]);
    assert_eq!((code, usable(&document["fit"][0]), verdicts(&document["fit"])), (1, (24 * GIB * 92).div_ceil(100), vec!["no"]));
    // Llama-3.1-8B in 16 bits on one RTX 3090 with 0.9, as vLLM itself counted: 39,024 tokens in the cache (Graph-COM/SubgraphRAG
    // issue 19), and 1,952 blocks of 16 where 20,000 tokens were scheduled at once (vllm-project/vllm issue 10517).
    for (batch, tokens) in [("2048", 39_024), ("20000", 1952 * 16)] {
        let (_, document) = fit(&["--gpu-utilization", "0.9", "--batch", batch]);
        let row = &document["fit"][0];
        let range = row["max_ctx_low"].as_u64().unwrap()..=row["max_ctx_high"].as_u64().unwrap();
        assert!(range.contains(&tokens) && usable(row) == (24 * GIB * 9).div_ceil(10), "{batch}: {row}");
        println!("{tokens} tokens within {range:?}");
    }
    let (_, document) = fit(&["--gpu-utilization", "0.9"]);
    let row = &document["fit"][0];
    assert_eq!(row["max_ctx"], row["max_ctx_low"]);
    assert_eq!(document["inputs"]["gpu_utilization"], json!(0.9));
    // A reserve larger than the rest that vLLM leaves.
    let (_, document) = fit(&["--reserve", "6GiB"]);
    assert_eq!((usable(&document["fit"][0]), &document["inputs"]["reserve"]), (18 * GIB, &json!(6 * GIB)));
    let (_, document) = fit(&["--reserve", "1GiB"]);
    assert_eq!(usable(&document["fit"][0]), (24 * GIB * 92).div_ceil(100));
    let (_, text) = weigh(&["memory", LLAMA_8B, "--engine", "vllm", "--fit", "24GiB"]);
    assert!(text.contains("usable") && text.contains("22.1 GiB") && text.contains("0.92 of a device"), "{text}");
    for (flag, value) in [("--gpu-utilization", "1.2"), ("--gpu-utilization", "0"), ("--reserve", "2G"), ("--ram", "much")] {
        assert_eq!(weigh(&["memory", LLAMA_8B, "--fit", "24GiB", flag, value]).0, 2, "{flag} {value}");
    }
}

/// Models of several kinds: their own engine first.
fn zoo(folder: &Path) -> Vec<(String, &'static str, Checkpoint)> {
    let mut models = Vec::new();
    let record = record("models.json");
    for name in ["shape-llama-3.2-1b", "gemma3-270m-q4_k_m", "shape-mamba-130m"] {
        let path = folder.join(format!("{name}.gguf"));
        Model::of(&record[name]).write(&path);
        models.push((name.to_owned(), "llama.cpp", checkpoint::open(&path, &OpenOptions::default()).unwrap()));
    }
    for name in ["llama-3.1-8b", "gemma-2b"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/declared").join(name);
        for engine in ["vllm", "transformers"] {
            models.push((name.to_owned(), engine, checkpoint::declared(&path).unwrap()));
        }
    }
    models
}

#[test]
fn of_two_budgets_the_larger_is_never_judged_worse() {
    let folder = tempfile::tempdir().unwrap();
    let sizes = ["1MiB", "2GiB", "3GiB", "8GiB", "18GiB", "24GiB", "1000GiB"];
    let (mut rows, mut seen) = (0, std::collections::BTreeSet::new());
    for (name, engine, model) in zoo(folder.path()) {
        let input = ProjectInput::from_checkpoint(&model);
        let plain = MemoryRequest {
            engines: vec![engine.to_owned()],
            ctx: Some(2048),
            limits: Limits { ram: Some(64 * GIB), ..Limits::default() },
            ..MemoryRequest::default()
        };
        let train = TrainRequest { recompute: Recompute::Full, ..TrainRequest::new(Recipe::parse("lora").unwrap()) };
        let spread = Parallel { pp: 2, ..Parallel::default() };
        let requests = [
            plain.clone(),
            MemoryRequest { llama_cpp: LlamaCppOptions { cpu_experts: 16, ..LlamaCppOptions::default() }, ..plain.clone() },
            MemoryRequest { parallel: spread, ..plain.clone() },
            MemoryRequest { train: Some(train), ..plain },
        ];
        for request in requests {
            for count in ["", "3x"] {
                let budgets = sizes.iter().map(|size| Budget::parse(&format!("{count}{size}")).unwrap());
                let fit = memory(&input, &MemoryRequest { fit: budgets.collect(), ..request.clone() }).fit;
                for row in &fit {
                    holds(row, &name);
                    seen.insert(row.verdict);
                }
                for pair in fit.windows(2).filter(|pair| pair[0].recipe == pair[1].recipe) {
                    assert!(pair[1].usable >= pair[0].usable && pair[1].verdict >= pair[0].verdict, "{name}: {pair:?}");
                    assert!(pair[1].max_ctx_low >= pair[0].max_ctx_low, "{name}: {pair:?}");
                    assert!(pair[1].max_ctx_high >= pair[0].max_ctx_high, "{name}: {pair:?}");
                }
                rows += fit.len();
            }
        }
    }
    println!("{rows} rows, verdicts {seen:?}");
    assert!(rows > 300 && seen.len() == 4, "{rows} {seen:?}");
}

/// What holds of every row.
fn holds(row: &FitRow, name: &str) {
    let known = row.needs_high.is_some();
    assert!(!row.why.is_empty() && row.engine.is_some() != row.recipe.is_some(), "{name}: {row:?}");
    assert!(row.needs_low <= row.sum_low && row.needs_high <= row.sum_high, "{name}: {row:?}");
    assert!(row.needs_high.is_none_or(|high| high >= row.needs_low), "{name}: {row:?}");
    assert!(row.max_ctx == row.max_ctx_low && row.max_ctx_low <= row.max_ctx_high, "{name}: {row:?}");
    match row.verdict {
        Verdict::Fits => assert!(known && row.needs_high.unwrap() <= row.usable && row.max_ctx >= Some(2048), "{name}: {row:?}"),
        Verdict::Tight => assert!(known && row.needs_low <= row.usable && row.max_ctx_high >= Some(2048), "{name}: {row:?}"),
        Verdict::Unknown => assert!(!known && row.max_ctx_high.is_none() && row.max_seqs.is_none(), "{name}: {row:?}"),
        Verdict::No => assert!(row.needs_low > row.usable || row.beyond_device, "{name}: {row:?}"),
    }
}
