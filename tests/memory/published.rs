//! The KV cache of llama.cpp against its own memory breakdown, and figures published for other engines.

use serde_json::{Value, json};
use weighbridge::checkpoint::config::from_config_json;
use weighbridge::checkpoint::{KvKind, KvLayer, KvLayers, ModelConfig, Role};
use weighbridge::dtype::Dtype;
use weighbridge::format::Format;
use weighbridge::project::Request;
use weighbridge::project::memory::{Budget, FitRow, KvType, Limits, MemoryRequest, Share, Verdict};
use weighbridge::project::{Basis, ProjectInput, ProjectTensor, Provenance, Target, memory, project};

fn record() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/memory/llama_memory.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn layer(kind: KvKind, layers: u64, kv_heads: u64, head_dim: u64, window: Option<u64>) -> KvLayer {
    KvLayer { kind, layers, kv_heads, head_dim_k: head_dim, head_dim_v: head_dim, window, state: None }
}

/// Layers of a model from its shape; `None` for what this form refuses.
fn layers(name: &str, hparams: &Value) -> Option<Vec<KvLayer>> {
    let get = |key: &str| hparams[key].as_u64();
    if get("S").is_some() || name.contains("mamba") {
        return None;
    }
    if name.starts_with("smollm2") {
        return Some(vec![layer(KvKind::Full, 30, 3, 64, None)]);
    }
    let (n, heads) = (get("L")?, get("H")?);
    if let (Some(rank), Some(rot)) = (get("kvlora"), get("rot")) {
        return Some(vec![layer(KvKind::Mla, n, 1, rank + rot, None)]);
    }
    let kv = get("KV")?;
    let head_dim = get("D").unwrap_or(get("E")? / heads);
    // Every n-th layer is full: 6 in Gemma 3, 2 in gpt-oss.
    let (every, window) = match name {
        _ if name.contains("gemma3") => (6, get("SWA")),
        _ if name.contains("gpt-oss") => (2, Some(128)),
        _ => return Some(vec![layer(KvKind::Full, n, kv, head_dim, None)]),
    };
    let full = (0..n).filter(|l| l % every == every - 1).count() as u64;
    Some(vec![layer(KvKind::Sliding, n - full, kv, head_dim, window), layer(KvKind::Full, full, kv, head_dim, None)])
}

pub(crate) fn input<'a>(config: &'a ModelConfig, format: Format) -> ProjectInput<'a> {
    ProjectInput {
        format: Some(format),
        tensors: Vec::new(),
        file_bytes: 0,
        header_bytes: 0,
        files: 1,
        model: config,
        quantization: None,
        safetensors_metadata: None,
        gguf: None,
        folder: None,
        provenance: Provenance::default(),
    }
}

fn model(kv: Vec<KvLayer>) -> ModelConfig {
    ModelConfig { kv: KvLayers::Known(kv), ..ModelConfig::default() }
}

fn request(engine: &str, ctx: u64) -> MemoryRequest {
    MemoryRequest { engines: vec![engine.to_owned()], ctx: Some(ctx), ..MemoryRequest::default() }
}

#[test]
fn llama_cpp_caches_equal_its_own_breakdown() {
    let record = record();
    let (mut equal, mut errors) = (0, 0);
    for (name, row) in record["models"].as_object().unwrap() {
        let Some(kv) = layers(name, &row["hparams"]) else { continue };
        let config = model(kv);
        let input = input(&config, Format::Gguf);
        for case in row["rows"].as_array().unwrap().iter().chain(row["server_rows"].as_array().unwrap()) {
            let cfg = case[0].as_str().unwrap();
            let asked = crate::llama_cpp::request(cfg, false);
            let report = memory(&input, &asked);
            let term = report.engines[0].devices[0].terms.iter().find(|t| t.name == "kv_cache").unwrap();
            match case[1].as_str() {
                Some(error) => {
                    assert_eq!((term.basis, term.formula.as_str()), (Basis::Refused, error), "{name} {cfg}");
                    errors += 1;
                }
                None => {
                    assert_eq!(term.low, case[1].as_u64(), "{name} {cfg}: {}", term.formula);
                    assert_eq!((term.high, term.basis), (term.low, Basis::Exact), "{name} {cfg}");
                    equal += 1;
                }
            }
        }
    }
    println!("{equal} caches equal, {errors} refusals with llama.cpp's reason");
    assert!(equal > 550 && errors > 10, "{equal} {errors}");
}

#[test]
fn published_figures_per_token() {
    // formulas D, 16-bit caches.
    let llama = |layers, kv| model(vec![layer(KvKind::Full, layers, kv, 128, None)]);
    let mla = model(vec![layer(KvKind::Mla, 61, 1, 576, None)]);
    let cases = [
        ("llama-2-7b", llama(32, 32), 524_288),
        ("llama-3.1-8b", llama(32, 8), 131_072),
        ("llama-3.1-70b", llama(80, 8), 327_680),
        ("deepseek-v3", mla, 70_272),
    ];
    for (name, config, per_token) in &cases {
        for engine in ["vllm", "transformers"] {
            let report = memory(&input(config, Format::Safetensors), &request(engine, 8192));
            let term = &report.engines[0].devices[0].terms[1];
            assert_eq!(term.low, Some(per_token * 8192), "{name} {engine}");
        }
    }
    // Gemma-3-27B at 128k, min(S, W): 11.17 GB, not 66.57.
    let gemma = model(vec![layer(KvKind::Sliding, 52, 16, 128, Some(1024)), layer(KvKind::Full, 10, 16, 128, None)]);
    let report = memory(&input(&gemma, Format::Safetensors), &request("transformers", 131_072));
    let bytes = report.engines[0].devices[0].terms[1].low.unwrap();
    assert_eq!(format!("{:.2}", bytes as f64 / 1e9), "11.17");
}

#[test]
fn what_is_not_known_is_refused_and_the_rest_stays() {
    let config = ModelConfig::default();
    let report = memory(&input(&config, Format::Gguf), &request("llama.cpp", 4096));
    let terms = &report.engines[0].devices[0].terms;
    assert_eq!(terms[0].basis, Basis::Exact);
    assert_eq!((terms[1].basis, terms[1].low), (Basis::Refused, None));
    assert!(terms[1].formula.contains("config.json"), "{}", terms[1].formula);
    assert_eq!(report.engines[0].high, None);
    assert!(report.engines[0].notes.iter().any(|n| n.contains("leave out: kv_cache, compute_buffer")));
    assert!(memory(&input(&config, Format::Gguf), &request("other", 1)).notes.iter().any(|n| n.contains("unknown engine")));
}

/// A tensor of 1 GiB.
fn gibibyte() -> ProjectTensor<'static> {
    ProjectTensor::weight("blk.0.ffn_up.weight", Role::Mlp, Some(0), Dtype::BF16, &[1 << 14, 1 << 15])
}

#[test]
fn a_budget_is_answered_with_the_largest_context() {
    let config = ModelConfig { context_length: Some(131_072), ..model(vec![layer(KvKind::Full, 32, 8, 128, None)]) };
    let input = ProjectInput { tensors: vec![gibibyte()], ..input(&config, Format::Gguf) };
    let asked = MemoryRequest {
        fit: ["10GiB", "2x512GiB", "100MiB"].map(|text| Budget::parse(text).unwrap()).to_vec(),
        ..request("llama.cpp", 8192)
    };
    let fit = memory(&input, &asked).fit;
    // 10 GiB less 1 GiB that is left free, 1 GiB of weights and 1.5 GiB set aside leave 6.5 GiB at 128 KiB a token; less only the
    // weights, 8 GiB.
    assert_eq!((fit[0].usable, fit[0].verdict, fit[0].max_ctx), (9 << 30, Verdict::Fits, Some(53_248)));
    assert_eq!((fit[0].max_ctx_low, fit[0].max_ctx_high), (Some(53_248), Some(65_536)));
    assert_eq!(fit[0].biggest_lever.as_deref(), Some("KV q8_0 saves 480 MiB"));
    assert_eq!((fit[1].devices, fit[1].max_ctx), (2, Some(131_072)));
    assert_eq!((fit[2].verdict, fit[2].max_ctx), (Verdict::No, None));
    assert!(Budget::parse("24G").is_err() && Budget::parse("0x24GiB").is_err());
    // What is set aside may be chosen.
    let limits = Limits { reserve: Some(0), ..Limits::default() };
    let fit = memory(&input, &MemoryRequest { limits, ..asked }).fit;
    assert_eq!((fit[0].usable, fit[0].max_ctx), (10 << 30, Some(61_440)));
}

#[test]
fn no_verdict_stands_on_no_weights_or_on_an_unknown_cache() {
    let known = ModelConfig { context_length: Some(131_072), ..model(vec![layer(KvKind::Full, 32, 8, 128, None)]) };
    let unknown = ModelConfig::default();
    let one = || vec![gibibyte()];
    for engine in ["llama.cpp", "vllm", "transformers"] {
        let format = if engine == "llama.cpp" { Format::Gguf } else { Format::Safetensors };
        let row = |config: &ModelConfig, tensors, budget: &str| {
            let asked = MemoryRequest { fit: vec![Budget::parse(budget).unwrap()], ..request(engine, 8192) };
            memory(&ProjectInput { tensors, ..input(config, format) }, &asked).fit.remove(0)
        };
        assert_eq!(row(&known, one(), "24GiB").verdict, Verdict::Fits, "{engine}");
        let nothing = row(&known, Vec::new(), "24GiB");
        assert_eq!((nothing.verdict, nothing.why.as_str()), (Verdict::Unknown, "no weights were read"), "{engine}");
        assert_eq!((nothing.needs_high, nothing.sum_high, nothing.max_ctx, nothing.max_ctx_high), (None, None, None, None));
        let cache = row(&unknown, one(), "24GiB");
        assert_eq!((cache.verdict, cache.needs_high, cache.max_seqs), (Verdict::Unknown, None, None), "{engine}");
        assert!(cache.why.starts_with("the KV cache is not known: "), "{engine}: {}", cache.why);
        // What is known may be too much already.
        assert_eq!(row(&unknown, one(), "512MiB").verdict, Verdict::No, "{engine}");
    }
}

#[test]
fn what_would_fit_instead_is_named() {
    // Llama-3.1-8B shapes: 16.06 GB in bf16, 1 GiB of cache at 8k.
    let config = ModelConfig {
        family: Some("llama".to_owned()),
        context_length: Some(131_072),
        ..model(vec![layer(KvKind::Full, 32, 8, 128, None)])
    };
    let mut input = input(&config, Format::Safetensors);
    let mut add = |name: String, role, layer, shape: &[u64]| {
        input.tensors.push(ProjectTensor::weight(name, role, layer, Dtype::BF16, shape));
    };
    add("model.embed_tokens.weight".into(), Role::Embedding, None, &[128_256, 4096]);
    add("lm_head.weight".into(), Role::LmHead, None, &[128_256, 4096]);
    add("model.norm.weight".into(), Role::Norm, None, &[4096]);
    for n in 0..32u32 {
        let shapes: [(&str, &[u64]); 9] = [
            ("self_attn.q_proj", &[4096, 4096]),
            ("self_attn.k_proj", &[1024, 4096]),
            ("self_attn.v_proj", &[1024, 4096]),
            ("self_attn.o_proj", &[4096, 4096]),
            ("mlp.gate_proj", &[14_336, 4096]),
            ("mlp.up_proj", &[14_336, 4096]),
            ("mlp.down_proj", &[4096, 14_336]),
            ("input_layernorm", &[4096]),
            ("post_attention_layernorm", &[4096]),
        ];
        for (module, shape) in shapes {
            let role = if shape.len() == 1 { Role::Norm } else { Role::Mlp };
            add(format!("model.layers.{n}.{module}.weight"), role, Some(n), shape);
        }
    }
    input.file_bytes = input.tensor_bytes();
    assert_eq!(input.tensor_bytes(), 16_060_522_496);
    let asked = MemoryRequest {
        fit: ["24GiB", "12GiB", "3GiB"].map(|text| Budget::parse(text).unwrap()).to_vec(),
        ..request("vllm", 8192)
    };
    let fit = memory(&input, &asked).fit;
    // 0.92 of 24 GiB less 14.96 of weights and 1.5 set aside leaves 5.6 GiB at 1 GiB a sequence.
    assert_eq!(fit[0].usable, 23_708_219_474);
    assert_eq!((fit[0].verdict, fit[0].max_seqs, fit[0].max_ctx), (Verdict::Fits, Some(5), Some(46_060 / 256 * 256)));
    let scheme = |row: &FitRow| row.first_scheme_that_fits.clone().map(|found| (found.scheme, found.bytes));
    assert_eq!((fit[1].verdict, scheme(&fit[1])), (Verdict::No, Some(("ct-fp8-dynamic".to_owned(), 9_083_953_152))));
    assert_eq!((fit[2].verdict, scheme(&fit[2])), (Verdict::No, None));
    // All of the card: 7.5 GiB are left.
    let limits = Limits { utilization: Some(Share::parse("1").unwrap()), ..Limits::default() };
    let whole = memory(&input, &MemoryRequest { limits, ..asked }).fit;
    assert_eq!((whole[0].usable, whole[0].max_seqs, whole[0].max_ctx), (24 << 30, Some(7), Some(61_760 / 256 * 256)));

    // formulas A.1, the same model: tensor bytes by scheme.
    let stated = [
        ("int8", 9_083_953_152),
        ("bnb-int8", 9_086_705_888),
        ("awq-4bit-g128", 5_727_854_592),
        ("gptq-4bit-g128", 5_732_835_328),
        ("mlx-4bit-g64", 4_517_404_672),
    ];
    let targets = stated.iter().map(|(name, _)| Target::parse(name)).collect();
    let got = project(&input, &Request { targets, ..Request::default() });
    for (row, (name, bytes)) in got.quantized.iter().zip(stated) {
        assert_eq!(row.tensor_bytes, Some(bytes), "{name}: {:?}", row.notes);
    }
    assert_eq!(format!("{:.3}", got.quantized[0].ratio.unwrap()), "0.566");
}

/// Low and high of a term on the one device.
fn span(config: &ModelConfig, asked: &MemoryRequest, name: &str) -> (u64, u64) {
    let report = memory(&input(config, Format::Safetensors), asked);
    let term = report.engines[0].devices[0].terms.iter().find(|t| t.name == name).unwrap();
    (term.low.unwrap_or_else(|| panic!("{}", term.formula)), term.high.unwrap())
}

#[test]
fn the_published_table_of_caches() {
    // Bytes a token and GiB at 8,192 and 131,072 tokens, 16-bit (formulas D), and the figures of demand 4.
    let full = |layers, kv, dim| model(vec![layer(KvKind::Full, layers, kv, dim, None)]);
    let rows = [
        ("Llama-2-7B", full(32, 32, 128), 524_288u64, "4.000", "64.000"),
        ("Llama-3.1-8B", full(32, 8, 128), 131_072, "1.000", "16.000"),
        ("Llama-3.1-70B", full(80, 8, 128), 327_680, "2.500", "40.000"),
        ("Llama-3.1-405B", full(126, 8, 128), 516_096, "3.938", "63.000"),
        ("Qwen2.5-7B", full(28, 4, 128), 57_344, "0.438", "7.000"),
        ("Qwen3-8B", full(36, 8, 128), 147_456, "1.125", "18.000"),
        ("Qwen3-30B-A3B", full(48, 4, 128), 98_304, "0.750", "12.000"),
        ("Phi-4", full(40, 10, 128), 204_800, "1.562", "25.000"),
        ("DeepSeek-V3", model(vec![layer(KvKind::Mla, 61, 1, 576, None)]), 70_272, "0.536", "8.578"),
        ("DeepSeek-V3 expanded", full(61, 128, 160), 4_997_120, "38.125", "610.000"),
        ("gpt-oss-120b, all full", full(36, 8, 64), 73_728, "0.562", "9.000"),
        ("gpt-oss-120b, the full layers", full(18, 8, 64), 36_864, "0.281", "4.500"),
        ("Qwen3-Next-80B, the full layers", full(12, 2, 256), 24_576, "0.188", "3.000"),
    ];
    let gib = |bytes: u64| format!("{:.3}", bytes as f64 / (1u64 << 30) as f64);
    for (name, config, token, at_8k, at_128k) in &rows {
        for engine in ["vllm", "transformers"] {
            for (ctx, stated) in [(8192, at_8k), (131_072, at_128k)] {
                let (low, high) = span(config, &request(engine, ctx), "kv_cache");
                assert_eq!((low, high, gib(low).as_str()), (token * ctx, low, *stated), "{name} {engine} {ctx}");
            }
        }
    }
    // Other contexts: DeepSeek-V3.1 at its longest, Qwen3-0.6B, Qwen3.6-27B's 16 layers with a cache.
    for (config, ctx, stated) in [
        (model(vec![layer(KvKind::Mla, 61, 1, 576, None)]), 163_840, "10.723"),
        (full(28, 8, 128), 40_960, "4.375"),
        (full(28, 8, 64), 40_960, "2.188"),
        (full(16, 4, 256), 262_144, "16.000"),
    ] {
        assert_eq!(gib(span(&config, &request("vllm", ctx), "kv_cache").0), stated, "{ctx}");
    }
}

/// Bytes of the cache tensors of transformers 4.57.6 and 5.24 after 48 tokens in F16, and Falcon-40B's at 64 tokens.
#[test]
fn falcon_spreads_its_keys_and_values_before_transformers_caches_them() {
    let falcon = |layers: u64, heads: u64, kv_heads: u64, new: bool, multi_query: bool| {
        from_config_json(&json!({"model_type": "falcon", "hidden_size": heads * 16, "num_hidden_layers": layers,
            "num_attention_heads": heads, "num_kv_heads": kv_heads, "new_decoder_architecture": new, "multi_query": multi_query}))
    };
    let cases = [
        (falcon(3, 4, 2, true, true), 36_864, 18_432),
        (falcon(3, 4, 4, true, true), 36_864, 36_864),
        (falcon(3, 4, 1, true, true), 36_864, 9_216),
        (falcon(3, 4, 4, false, true), 9_216, 9_216),
        (falcon(3, 4, 4, false, false), 36_864, 36_864),
    ];
    for (model, transformers, vllm) in &cases {
        assert_eq!(span(model, &request("transformers", 48), "kv_cache").0, *transformers, "{:?}", model.kv);
        assert_eq!(span(model, &request("vllm", 48), "kv_cache").0, *vllm, "{:?}", model.kv);
    }
    let forty = from_config_json(&json!({"model_type": "falcon", "hidden_size": 8192, "num_hidden_layers": 60,
        "num_attention_heads": 128, "num_kv_heads": 8, "new_decoder_architecture": true, "multi_query": true}));
    assert_eq!(span(&forty, &request("transformers", 64), "kv_cache").0, 125_829_120);
    assert_eq!(span(&forty, &request("vllm", 64), "kv_cache").0, 7_864_320);
}

#[test]
fn windows_by_engine() {
    let gib = |bytes: u64| format!("{:.3}", bytes as f64 / (1u64 << 30) as f64);
    let gemma = |window: bool| match window {
        true => model(vec![layer(KvKind::Sliding, 52, 16, 128, Some(1024)), layer(KvKind::Full, 10, 16, 128, None)]),
        false => model(vec![layer(KvKind::Full, 62, 16, 128, None)]),
    };
    // Gemma-3-27B at 131,072: 10.406 GiB with windows, 62.0 without, 81.375 by hidden / heads = 168.
    assert_eq!(gib(span(&gemma(true), &request("transformers", 131_072), "kv_cache").0), "10.406");
    assert_eq!(gib(span(&gemma(false), &request("transformers", 131_072), "kv_cache").0), "62.000");
    assert_eq!(gib(span(&model(vec![layer(KvKind::Full, 62, 16, 168, None)]), &request("vllm", 131_072), "kv_cache").0), "81.375");
    // llama.cpp: window + physical batch; 10.609 GiB at 512, 11.219 at 2,048, both padded to 256 cells.
    for (ubatch, stated) in [(512, "10.609"), (2048, "11.219")] {
        let asked = MemoryRequest { ubatch: Some(ubatch), batch: Some(2048), ..request("llama.cpp", 131_072) };
        let report = memory(&input(&gemma(true), Format::Gguf), &asked);
        let term = report.engines[0].devices[0].terms.iter().find(|t| t.name == "kv_cache").unwrap();
        assert_eq!(gib(term.low.unwrap()), stated, "{}", term.formula);
    }
    // gpt-oss-20b: 12 full layers and 12 windows of 128: 6.09 GiB for 32 sequences of 8,192; 12.00 with every layer full.
    let oss = model(vec![layer(KvKind::Full, 12, 8, 64, None), layer(KvKind::Sliding, 12, 8, 64, Some(128))]);
    let asked = MemoryRequest { seqs: Some(32), ..request("vllm", 8192) };
    let (low, high) = span(&oss, &asked, "kv_cache");
    assert_eq!(format!("{:.2}", low as f64 / (1u64 << 30) as f64), "6.09");
    // W - 1 + scheduled tokens in one block more: (127 + 2,048) / 16 + 1 blocks.
    assert_eq!(high, 32 * 12 * 2048 * (8192 + 137 * 16));
    let all = model(vec![layer(KvKind::Full, 24, 8, 64, None)]);
    assert_eq!(gib(span(&all, &asked, "kv_cache").0), "12.000");
    assert_eq!(gib(span(&oss, &request("transformers", 131_072), "kv_cache").0), "3.003");
    assert_eq!(gib(span(&all, &request("transformers", 131_072), "kv_cache").0), "6.000");
    // Gemma-2-9B at 8,192: 2.114 GB, 2.819 with every layer full (42 layers, 8 heads of 256).
    let gemma2 = model(vec![layer(KvKind::Full, 21, 8, 256, None), layer(KvKind::Sliding, 21, 8, 256, Some(4096))]);
    assert_eq!(format!("{:.3}", span(&gemma2, &request("transformers", 8192), "kv_cache").0 as f64 / 1e9), "2.114");
    // Groups of 10 layers pad 52 windows to 60: their blocks are counted at the most.
    let (low, high) = span(&gemma(true), &request("vllm", 131_072), "kv_cache");
    assert_eq!(low, 8192 * (10 * 131_072 + 52 * 1024));
    assert_eq!(high, 8192 * (10 * 131_072 + 60 * (3071u64.div_ceil(16) + 1) * 16));
}

#[test]
fn states_of_recurrent_layers() {
    use weighbridge::checkpoint::config::StateSize;
    let state = |layers, conv, recurrent| KvLayer {
        state: Some(StateSize { conv, recurrent }),
        ..layer(KvKind::Recurrent, layers, 0, 0, None)
    };
    let mega = |bytes: u64| format!("{:.2}", bytes as f64 / 1e6);
    // Qwen3-Next-80B: 36 layers; 1.77 MB of convolutions and 37.7 MB (bf16) or 75.5 MB (fp32) of states.
    let next = model(vec![state(36, 3 * 8192, 32 * 128 * 128), layer(KvKind::Full, 12, 2, 256, None)]);
    let (low, high) = span(&next, &request("vllm", 8192), "recurrent_state");
    let conv = 36 * 3 * 8192 * 2;
    assert_eq!((mega(conv).as_str(), mega(low - conv).as_str(), mega(high - conv).as_str()), ("1.77", "37.75", "75.50"));
    // Mamba-2.8B: 12.45 MB in bf16, whatever the context.
    let mamba = model(vec![state(64, 3 * 5120, 5120 * 16)]);
    for ctx in [16, 65_536] {
        assert_eq!(mega(span(&mamba, &request("vllm", ctx), "recurrent_state").0), "12.45");
    }
    // Jamba: 28 Mamba layers of 32: 8.7 MB and 16,384 B a token.
    let jamba = model(vec![state(28, 3 * 8192, 8192 * 16), layer(KvKind::Full, 4, 8, 128, None)]);
    assert_eq!(format!("{:.1}", span(&jamba, &request("transformers", 8192), "recurrent_state").0 as f64 / 1e6), "8.7");
    assert_eq!(span(&jamba, &request("transformers", 8192), "kv_cache").0, 16_384 * 8192);
}

#[test]
fn cache_types_by_engine() {
    // Llama-3.1-8B at 8,192 tokens: f16 1 GiB, fp8 0.5, q8_0 0.53125, q5_1 0.375, q4_1 0.3125, q4_0 0.28125.
    let config = model(vec![layer(KvKind::Full, 32, 8, 128, None)]);
    for (engine, name, share) in [
        ("vllm", "f16", 1.0),
        ("vllm", "fp8", 0.5),
        ("llama.cpp", "q8_0", 0.531_25),
        ("llama.cpp", "q5_1", 0.375),
        ("llama.cpp", "q4_1", 0.312_5),
        ("llama.cpp", "q4_0", 0.281_25),
    ] {
        let t = KvType::parse(name).unwrap();
        let (low, _) = span(&config, &MemoryRequest { kv_type: Some((t, t)), ..request(engine, 8192) }, "kv_cache");
        assert_eq!(low as f64, share * (1u64 << 30) as f64, "{name}");
    }
}

#[test]
fn buffers_of_torch_engines_are_ranges() {
    // The closed form: 2,048 tokens x 2 B x (2 x 4,096 + 3 x 14,336); logits of 1 to 256 rows.
    let config = ModelConfig {
        hidden_size: Some(4096),
        heads: Some(32),
        kv_heads: Some(8),
        head_dim: Some(128),
        ffn_size: Some(14_336),
        vocab_size: Some(128_256),
        ..model(vec![layer(KvKind::Full, 32, 8, 128, None)])
    };
    let step = 2048 * 2 * (2 * 4096 + 3 * 14_336);
    assert_eq!(span(&config, &request("vllm", 8192), "compute_buffer"), (step, 2 * step));
    assert_eq!(span(&config, &request("vllm", 8192), "logits"), (128_256 * 2, 256 * 128_256 * 10));
    let eager = MemoryRequest { flash_attention: Some(false), ..request("transformers", 1024) };
    let (_, high) = span(&config, &eager, "compute_buffer");
    assert_eq!(high, step / 2 * 2 + 6 * 1024 * 1024 * 32);
    // A width that is not known is refused, and the rest stands.
    let unknown = ModelConfig { hidden_size: None, ..config };
    let report = memory(&input(&unknown, Format::Safetensors), &request("vllm", 8192));
    assert_eq!((report.engines[0].high, report.engines[0].devices[0].terms[2].basis), (None, Basis::Refused));
}
