//! What llama.cpp needs for a Hugging Face folder: the figures of the GGUF that its converter makes of it.
//!
//! Truth are the headers that the converter wrote (`fixtures/families`), and what llama.cpp printed for published shapes (`fixtures/memory`).

use std::collections::BTreeMap;
use std::path::Path;

use crate::gguf_head::Model;
use serde_json::{Value, json};
use weighbridge::checkpoint::{self, Checkpoint, HfFolder, OpenOptions};
use weighbridge::dtype::Dtype;
use weighbridge::project::memory::{KvType, LlamaCppOptions, MemoryReport, MemoryRequest, Term};
use weighbridge::project::{Basis, ProjectInput, memory};

fn open(path: &Path) -> Checkpoint {
    checkpoint::open(path, &OpenOptions::default()).unwrap()
}

fn request(ctx: u64, seqs: u64, flash: bool, server: bool) -> MemoryRequest {
    MemoryRequest {
        engines: vec!["llama.cpp".to_owned()],
        ctx: Some(ctx),
        seqs: Some(seqs),
        flash_attention: Some(flash),
        llama_cpp: LlamaCppOptions { server, ..LlamaCppOptions::default() },
        ..MemoryRequest::default()
    }
}

/// Names, least and most bytes of all terms.
type Figures = BTreeMap<&'static str, (Option<u64>, Option<u64>)>;

fn terms(report: &MemoryReport) -> impl Iterator<Item = &Term> {
    let engine = &report.engines[0];
    engine.devices.iter().chain([&engine.host]).flat_map(|place| &place.terms)
}

fn figures(report: &MemoryReport) -> Figures {
    terms(report).map(|t| (t.name, (t.low, t.high))).collect()
}

/// The header that the converter wrote under the outtype `auto`.
fn written(record: &Value, values: &Value, path: &Path) {
    let arch = values["architecture"].as_str().unwrap();
    let mut keys = vec![("general.architecture".to_owned(), json!(arch))];
    keys.extend(values["keys"].as_object().unwrap().iter().map(|(name, value)| (format!("{arch}.{name}"), value.clone())));
    if !values["tokens"].is_null() {
        keys.push(("tokens".to_owned(), values["tokens"].clone()));
    }
    let id = |name: &str| Dtype::ALL.iter().find(|d| d.name() == Some(name)).unwrap().info().unwrap().ggml_id.unwrap();
    let auto = record["outtypes"].as_array().unwrap().iter().position(|o| o == "auto").unwrap();
    let one = |t: &Value| {
        let kind = t[2].as_str().unwrap_or_else(|| t[2][auto].as_str().unwrap());
        let shape = t[1].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).collect();
        (t[0].as_str().unwrap().to_owned(), u64::from(id(kind)), shape)
    };
    Model { keys, tensors: record["tensors"].as_array().unwrap().iter().map(one).collect() }.write(path);
}

#[test]
fn a_folder_needs_what_its_conversion_needs() {
    let temp = tempfile::tempdir().unwrap();
    let values = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/families/values.json");
    let values: Value = serde_json::from_slice(&std::fs::read(values).unwrap()).unwrap();
    let mut misses = Vec::new();
    let (mut folders, mut exact, mut buffers) = (0, 0, std::collections::BTreeSet::new());
    for (name, record) in crate::families::records().iter().filter(|(_, record)| record["refused"].is_null()) {
        let values = &values[name];
        let file = temp.path().join("written.gguf");
        written(record, values, &file);
        let gguf = open(&file);
        let opened = open(&crate::families::recreate(name, record, temp.path()));
        let folder = HfFolder::of(&opened).unwrap();
        for (ctx, seqs, flash, server) in [(512, 1, true, false), (1024, 2, false, false), (2048, 4, true, true)] {
            let asked = request(ctx, seqs, flash, server);
            let of_file = memory(&ProjectInput::from_checkpoint(&gguf), &asked);
            let of_folder = memory(&ProjectInput::from_checkpoint(&opened).with_folder(Some(&folder)), &asked);
            let (expected, got) = (figures(&of_file), figures(&of_folder));
            if expected != got {
                misses.push(format!("{name} {ctx} {seqs}: {got:?}\n    not {expected:?}"));
            }
            if terms(&of_folder).any(|t| t.name == "compute_buffer" && t.basis == Basis::Exact) {
                exact += 1;
                buffers.insert(values["architecture"].as_str().unwrap().to_owned());
            }
        }
        folders += 1;
    }
    println!("{folders} folders, {exact} exact compute buffers of {} architectures", buffers.len());
    assert!(misses.is_empty(), "{} misses\n{}", misses.len(), misses.join("\n"));
    assert!(folders >= 190 && exact >= 400 && buffers.len() >= 25, "{folders} {exact} {buffers:?}");
}

/// Published configurations of models whose shapes are on record, as far as tensors and keys depend on them.
fn published() -> Vec<(&'static str, Value)> {
    let llama = |hidden: u64, layers: u64, heads: u64, kv: u64, ffn: u64, vocab: u64, tied: bool| {
        json!({"architectures": ["LlamaForCausalLM"], "model_type": "llama", "torch_dtype": "float16", "hidden_size": hidden,
            "num_hidden_layers": layers, "num_attention_heads": heads, "num_key_value_heads": kv, "intermediate_size": ffn,
            "vocab_size": vocab, "max_position_embeddings": 8192, "rms_norm_eps": 1e-5, "tie_word_embeddings": tied})
    };
    let llama31 = |mut config: Value| {
        config["rope_theta"] = json!(500_000.0);
        config["rope_scaling"] = json!({"factor": 8.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
            "original_max_position_embeddings": 8192, "rope_type": "llama3"});
        config
    };
    vec![
        ("shape-llama-2-7b", llama(4096, 32, 32, 32, 11008, 32000, false)),
        ("shape-llama-3.1-8b", llama31(llama(4096, 32, 32, 8, 14336, 128_256, false))),
        ("shape-llama-3.1-70b", llama31(llama(8192, 80, 64, 8, 28672, 128_256, false))),
        ("shape-llama-3.2-1b", llama31(llama(2048, 16, 32, 8, 8192, 128_256, true))),
        (
            "shape-mixtral-8x7b",
            json!({"architectures": ["MixtralForCausalLM"], "model_type": "mixtral", "torch_dtype": "float16", "hidden_size": 4096,
                "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8, "intermediate_size": 14336,
                "vocab_size": 32000, "max_position_embeddings": 32768, "rms_norm_eps": 1e-5, "num_local_experts": 8,
                "num_experts_per_tok": 2, "sliding_window": null, "tie_word_embeddings": false}),
        ),
        (
            "shape-qwen2.5-0.5b",
            json!({"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "torch_dtype": "float16", "hidden_size": 896,
                "num_hidden_layers": 24, "num_attention_heads": 14, "num_key_value_heads": 2, "intermediate_size": 4864,
                "vocab_size": 151_936, "max_position_embeddings": 32768, "rms_norm_eps": 1e-6, "use_sliding_window": false,
                "sliding_window": 32768, "max_window_layers": 21, "tie_word_embeddings": true}),
        ),
        (
            "shape-qwen3-30b-a3b",
            json!({"architectures": ["Qwen3MoeForCausalLM"], "model_type": "qwen3_moe", "torch_dtype": "float16", "hidden_size": 2048,
                "num_hidden_layers": 48, "num_attention_heads": 32, "num_key_value_heads": 4, "head_dim": 128,
                "intermediate_size": 6144, "moe_intermediate_size": 768, "num_experts": 128, "num_experts_per_tok": 8,
                "vocab_size": 151_936, "max_position_embeddings": 40960, "rms_norm_eps": 1e-6, "use_sliding_window": false,
                "sliding_window": null, "decoder_sparse_step": 1, "mlp_only_layers": [], "norm_topk_prob": true,
                "tie_word_embeddings": false}),
        ),
        (
            "shape-gpt-oss-20b",
            json!({"architectures": ["GptOssForCausalLM"], "model_type": "gpt_oss", "torch_dtype": "float16", "hidden_size": 2880,
                "num_hidden_layers": 24, "num_attention_heads": 64, "num_key_value_heads": 8, "head_dim": 64,
                "intermediate_size": 2880, "num_local_experts": 32, "num_experts_per_tok": 4, "vocab_size": 201_088,
                "max_position_embeddings": 131_072, "rms_norm_eps": 1e-5, "sliding_window": 128, "attention_bias": true,
                "rope_theta": 150_000, "tie_word_embeddings": false}),
        ),
        (
            "shape-deepseek-v3",
            json!({"architectures": ["DeepseekV3ForCausalLM"], "model_type": "deepseek_v3", "torch_dtype": "float16",
                "hidden_size": 7168, "num_hidden_layers": 61, "num_attention_heads": 128, "num_key_value_heads": 128,
                "q_lora_rank": 1536, "kv_lora_rank": 512, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128,
                "intermediate_size": 18432, "moe_intermediate_size": 2048, "n_routed_experts": 256, "n_shared_experts": 1,
                "num_experts_per_tok": 8, "n_group": 8, "topk_group": 4, "first_k_dense_replace": 3, "moe_layer_freq": 1,
                "norm_topk_prob": true, "routed_scaling_factor": 2.5, "scoring_func": "sigmoid", "vocab_size": 129_280,
                "max_position_embeddings": 163_840, "rms_norm_eps": 1e-6, "tie_word_embeddings": false}),
        ),
    ]
}

/// A row's settings, as `tests/memory/llama_cpp.rs` reads them.
fn of_row(cfg: &str, server: bool) -> MemoryRequest {
    let part: Vec<&str> = cfg.split(':').collect();
    let n = |i: usize| part[i].parse::<u64>().unwrap();
    MemoryRequest {
        ubatch: Some(n(1)),
        batch: Some(n(2)),
        kv_type: Some((KvType::parse(part[5]).unwrap(), KvType::parse(part[6]).unwrap())),
        llama_cpp: LlamaCppOptions { kv_unified: n(4) == 1, swa_full: n(8) == 1, server, ..LlamaCppOptions::default() },
        ..request(n(0), n(3), n(7) == 1, server)
    }
}

#[test]
fn a_configuration_alone_needs_what_llama_cpp_printed() {
    let temp = tempfile::tempdir().unwrap();
    let record = crate::gguf_head::record("llama_memory.json");
    let (mut caches, mut buffers, mut misses) = (0, 0, Vec::new());
    for (name, config) in published() {
        let path = temp.path().join(name);
        std::fs::create_dir(&path).unwrap();
        std::fs::write(path.join("config.json"), config.to_string()).unwrap();
        let declared = checkpoint::declared(&path).unwrap();
        let folder = HfFolder::declared(&declared).unwrap();
        let input = ProjectInput::from_checkpoint(&declared).with_folder(Some(&folder));
        for (key, server) in [("rows", false), ("server_rows", true)] {
            for case in record["models"][name][key].as_array().unwrap().iter().filter(|case| !case[1].is_string()) {
                let report = memory(&input, &of_row(case[0].as_str().unwrap(), server));
                let got = figures(&report);
                let same = |term: &str, measured: &Value| got[term] == (measured.as_u64(), measured.as_u64());
                caches += u64::from(same("kv_cache", &case[1]));
                buffers += u64::from(same("compute_buffer", &case[2]));
                if !same("kv_cache", &case[1]) || !same("compute_buffer", &case[2]) {
                    misses.push(format!("{name} {}: {} {} measured, got {got:?}", case[0], case[1], case[2]));
                }
            }
        }
    }
    println!("{caches} caches and {buffers} compute buffers equal to the byte");
    assert!(misses.is_empty(), "{} misses, the first\n{}", misses.len(), misses[0]);
    assert!(caches == buffers && caches >= 400, "{caches} {buffers}");
}
