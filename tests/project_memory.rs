//! The KV cache of llama.cpp against its own memory breakdown, and figures published for other engines.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use serde_json::Value;
use weighbridge::checkpoint::{KvKind, KvLayer, KvLayers, ModelConfig, Role};
use weighbridge::dtype::Dtype;
use weighbridge::format::Format;
use weighbridge::project::memory::{Budget, KvType, MemoryRequest, Verdict};
use weighbridge::project::storage::Request;
use weighbridge::project::{Basis, ProjectInput, ProjectTensor, Target, memory, project};

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

fn input<'a>(config: &'a ModelConfig, format: Format) -> ProjectInput<'a> {
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
            let part: Vec<&str> = cfg.split(':').collect();
            let n = |i: usize| part[i].parse::<u64>().unwrap();
            let asked = MemoryRequest {
                ctx: Some(n(0)),
                ubatch: Some(n(1)),
                batch: Some(n(2)),
                seqs: Some(n(3)),
                kv_unified: n(4) == 1,
                kv_type: Some((KvType::parse(part[5]).unwrap(), KvType::parse(part[6]).unwrap())),
                flash_attention: Some(n(7) == 1),
                swa_full: n(8) == 1,
                ..request("llama.cpp", 0)
            };
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

#[test]
fn a_budget_is_answered_with_the_largest_context() {
    let config = ModelConfig { context_length: Some(131_072), ..model(vec![layer(KvKind::Full, 32, 8, 128, None)]) };
    let asked = MemoryRequest {
        fit: vec![Budget::parse("10GiB").unwrap(), Budget::parse("2x512GiB").unwrap(), Budget::parse("100MiB").unwrap()],
        ..request("llama.cpp", 8192)
    };
    let fit = memory(&input(&config, Format::Gguf), &asked).fit;
    // 10 GiB less 1.5 GiB set aside leaves 8.5 GiB at 128 KiB a token.
    assert_eq!((fit[0].verdict, fit[0].max_ctx), (Some(Verdict::Fits), Some(69_632)));
    assert_eq!(fit[0].biggest_lever.as_deref(), Some("KV q8_0 saves 480 MiB"));
    assert_eq!((fit[1].devices, fit[1].max_ctx), (2, Some(131_072)));
    assert_eq!((fit[2].verdict, fit[2].max_ctx), (Some(Verdict::No), None));
    assert!(Budget::parse("24G").is_err() && Budget::parse("0x24GiB").is_err());
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
        fit: vec![Budget::parse("24GiB").unwrap(), Budget::parse("12GiB").unwrap(), Budget::parse("3GiB").unwrap()],
        ..request("vllm", 8192)
    };
    let fit = memory(&input, &asked).fit;
    // 24 GiB less 14.96 of weights and 1.5 set aside leaves 7.5 GiB at 1 GiB a sequence.
    assert_eq!((fit[0].verdict, fit[0].max_seqs, fit[0].max_ctx), (Some(Verdict::Fits), Some(7), Some(61_760 / 256 * 256)));
    assert_eq!((fit[1].verdict, fit[1].first_scheme_that_fits.as_deref()), (Some(Verdict::No), Some("ct-fp8-dynamic")));
    assert_eq!((fit[2].verdict, fit[2].first_scheme_that_fits.as_deref()), (Some(Verdict::No), None));

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
