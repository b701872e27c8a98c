//! Every `llama-quantize` run on record: types of every tensor, tensor bytes and file bytes.

use serde_json::Value;
use weighbridge::checkpoint::{ModelConfig, Role};
use weighbridge::dtype::Dtype;
use weighbridge::format::Format;
use weighbridge::project::Request;
use weighbridge::project::prune::PruneSpec;
use weighbridge::project::quantize;
use weighbridge::project::quantize::Context;
use weighbridge::project::quantize::Options;
use weighbridge::project::shard::ShardSpec;
use weighbridge::project::{Basis, GgufSource, MemoryRequest, ProjectInput, ProjectTensor, Provenance, Target, memory, project};

fn record() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/gguf-project/llama_quantize.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn dtype(name: &str) -> Dtype {
    *Dtype::ALL.iter().find(|d| d.name() == Some(name)).unwrap()
}

fn numbers(text: &str) -> Vec<Option<u32>> {
    if text.is_empty() {
        return vec![None];
    }
    match text.split_once('-') {
        Some((a, b)) => (a.parse().unwrap()..=b.parse().unwrap()).map(Some).collect(),
        None => text.split(',').map(|n| Some(n.parse().unwrap())).collect(),
    }
}

fn expand(runs: &str) -> Vec<Dtype> {
    let mut out = Vec::new();
    for part in runs.split_whitespace() {
        let (name, n) = part.split_once('*').unwrap_or((part, "1"));
        out.extend(std::iter::repeat_n(dtype(name), n.parse().unwrap()));
    }
    out
}

/// Tensors group by group, as the record lists them.
fn tensors(model: &Value) -> Vec<ProjectTensor<'static>> {
    let mut out = Vec::new();
    for group in model["groups"].as_array().unwrap() {
        let shape: Vec<u64> = group[2].as_array().unwrap().iter().rev().map(|d| d.as_u64().unwrap()).collect();
        for layer in numbers(group[1].as_str().unwrap()) {
            let name = group[0].as_str().unwrap();
            let name = layer.map_or(name.to_owned(), |n| name.replace("{}", &n.to_string()));
            out.push(ProjectTensor::weight(name, Role::Other, layer, dtype(group[3].as_str().unwrap()), &shape));
        }
    }
    out
}

fn source(model: &Value) -> GgufSource {
    let metadata = model["metadata"].as_object().unwrap();
    let arch = metadata["general.architecture"].as_str().unwrap();
    let count = |key: &str| match metadata.get(&format!("{arch}.{key}")) {
        Some(Value::Array(a)) => a[0].as_u64(),
        Some(n) => n.as_u64(),
        None => None,
    };
    let heads = count("attention.head_count").unwrap_or(0);
    GgufSource {
        kv_bytes: model["kv_bytes"].as_u64().unwrap(),
        alignment: 32,
        has_file_type: metadata.contains_key("general.file_type"),
        has_quantization_version: metadata.contains_key("general.quantization_version"),
        architecture: arch.to_owned(),
        block_count: count("block_count").unwrap(),
        head_count: heads,
        head_count_kv: count("attention.head_count_kv").unwrap_or(heads),
        expert_count: count("expert_count").unwrap_or(0),
        ..GgufSource::default()
    }
}

#[derive(Default, Debug)]
struct Score {
    lists: u32,
    tensor_bytes: u32,
    files: u32,
    ranges: u32,
    refusals: u32,
}

#[test]
fn every_run_on_record_is_reproduced() {
    let record = record();
    let config = ModelConfig::default();
    let mut score = Score::default();
    let mut misses = Vec::new();
    for (name, model) in record["models"].as_object().unwrap() {
        let input = whole(model, &config);
        let targets = model["targets"].as_object().unwrap();
        for (key, row) in targets {
            let (target, imatrix) = key.strip_suffix("+imatrix").map_or((key.as_str(), false), |t| (t, true));
            let context = Context::new(&input, Options { imatrix, ..Options::default() });
            let target = Target::parse(target);
            let result = quantize::plan(&context, &target).unwrap();
            let miss = |what: &str| format!("{name} {key}: {what}");
            if let Some(error) = row.get("error").and_then(Value::as_str) {
                score.refusals += 1;
                match result {
                    Ok(_) => misses.push(miss(&format!("not refused, though: {error}"))),
                    Err(refusal) => {
                        let tensor = row["tensor"].as_str().unwrap_or_else(|| error.split_whitespace().nth(1).unwrap());
                        if !refusal.reason.contains(tensor) {
                            misses.push(miss(&format!("`{}` does not name {tensor}", refusal.reason)));
                        }
                    }
                }
                continue;
            }
            let (got, refused) = match result {
                Ok(plan) => (plan.tensors, false),
                Err(refusal) => (refusal.would_be.unwrap_or_default(), true),
            };
            if refused != row.get("dry_warns_imatrix").is_some() {
                misses.push(miss(&format!("refused: {refused}")));
                continue;
            }
            // By source index, since the record lists tensors group by group.
            let mut types = vec![None; input.tensors.len()];
            for t in &got {
                types[t.source.unwrap() as usize] = Some(t.dtype);
            }
            let same = row.get("same_types_as").map(|t| &targets[t.as_str().unwrap()]["types"]);
            let stated: Vec<Option<Dtype>> = same
                .unwrap_or(&row["types"])
                .as_array()
                .unwrap()
                .iter()
                .flat_map(|runs| expand(runs.as_str().unwrap()))
                .map(Some)
                .collect();
            score.lists += 1;
            if let Some(i) = (0..stated.len()).find(|&i| stated[i] != types[i]) {
                misses.push(miss(&format!("{} is {:?}, stated {:?}", input.tensors[i].name, types[i], stated[i])));
                continue;
            }
            let out = quantize::row(&context, &target);
            if let Some(bytes) = row.get("tensor_bytes").and_then(Value::as_u64) {
                score.tensor_bytes += 1;
                if out.tensor_bytes != Some(bytes) {
                    misses.push(miss(&format!("{:?} tensor bytes, stated {bytes}", out.tensor_bytes)));
                }
            }
            let Some(bytes) = row.get("file_bytes").and_then(Value::as_u64) else { continue };
            if imatrix {
                score.ranges += 1;
                if !(out.file_bytes_low.unwrap()..=out.file_bytes_high.unwrap()).contains(&bytes) {
                    misses.push(miss(&format!("{:?} to {:?}, stated {bytes}", out.file_bytes_low, out.file_bytes_high)));
                }
            } else {
                score.files += 1;
                if out.file_bytes != Some(bytes) || out.basis != Basis::Exact {
                    misses.push(miss(&format!("{:?} file bytes, stated {bytes}", out.file_bytes)));
                }
                let sum: i128 = out.bridge.iter().map(|t| t.bytes).sum();
                let unaccounted = out.bridge.iter().any(|t| t.label == "unaccounted");
                if sum != i128::from(bytes) || unaccounted {
                    misses.push(miss(&format!("the bridge sums to {sum}: {:?}", out.bridge)));
                }
            }
        }
    }
    println!("{score:?}, {} misses", misses.len());
    assert!(misses.is_empty(), "{} misses\n{}", misses.len(), misses[..misses.len().min(40)].join("\n"));
    assert!(score.lists > 1500 && score.files > 300 && score.refusals > 90, "{score:?}");
}

fn whole<'a>(model: &Value, config: &'a ModelConfig) -> ProjectInput<'a> {
    let tensors = tensors(model);
    let tensor_bytes: u64 = tensors.iter().map(|t| t.bytes).sum();
    let file_bytes = model["file_bytes"].as_u64().unwrap();
    ProjectInput {
        format: Some(Format::Gguf),
        file_bytes,
        header_bytes: file_bytes - tensor_bytes,
        tensors,
        files: 1,
        model: config,
        quantization: None,
        safetensors_metadata: None,
        gguf: Some(source(model)),
        folder: None,
        provenance: Provenance::default(),
    }
}

#[test]
fn a_mixture_projected_to_itself_gives_its_actual_size() {
    let record = record();
    let config = ModelConfig::default();
    let mut rows = 0;
    for (name, model) in record["models"].as_object().unwrap() {
        let original = whole(model, &config);
        for key in ["Q4_K_M", "Q8_0", "IQ4_XS", "Q3_K_L", "MXFP4_MOE"] {
            let Some(file_bytes) = model["targets"][key]["file_bytes"].as_u64() else { continue };
            let target = Target::parse(key);
            let context = Context::new(&original, Options::default());
            let plan = quantize::plan(&context, &target).unwrap().unwrap();
            // What was written becomes the source; it now has the two keys that the quantizer adds.
            let mut gguf = source(model);
            gguf.kv_bytes += if gguf.has_quantization_version { 0 } else { 44 } + if gguf.has_file_type { 0 } else { 33 };
            (gguf.has_quantization_version, gguf.has_file_type) = (true, true);
            let tensors = plan.tensors.iter().map(|t| {
                let layer = t.source.and_then(|i| original.tensors[i as usize].layer);
                ProjectTensor::weight(t.name.to_string(), Role::Other, layer, t.dtype, &t.shape)
            });
            let again = ProjectInput { tensors: tensors.collect(), file_bytes, gguf: Some(gguf), ..original.clone() };
            let row = quantize::row(&Context::new(&again, Options::default()), &target);
            assert_eq!((row.file_bytes, row.ratio), (Some(file_bytes), Some(1.0)), "{name} {key}");
            rows += 1;
        }
    }
    println!("{rows} mixtures projected to themselves");
    assert!(rows > 40);
}

#[test]
fn weights_in_llama_cpp_equal_its_model_buffer() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/memory/llama_memory.json");
    let buffers: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let record = record();
    let config = ModelConfig::default();
    let request = MemoryRequest { engines: vec!["llama.cpp".to_owned()], ..MemoryRequest::default() };
    let mut models = 0;
    for (name, row) in buffers["models"].as_object().unwrap() {
        let Some(model) = record["models"].get(name) else { continue };
        let report = memory(&whole(model, &config), &request);
        let weights = &report.engines[0].devices[0].terms[0];
        assert_eq!((weights.low, weights.basis), (row["model_bytes"].as_u64(), Basis::Exact), "{name}");
        models += 1;
    }
    assert!(models >= 16);
}

#[test]
fn rows_have_the_field_names_of_the_report() {
    let record = record();
    let config = ModelConfig::default();
    let input = whole(&record["models"]["syn-mamba"], &config);
    let request = Request {
        targets: Target::parse_list("q4_k_m,iq1_s,q1_0,nonsense", input.format),
        shards: vec![ShardSpec::parse("gguf-split:1MB").unwrap()],
        prune: vec![PruneSpec::Measured],
        ..Request::default()
    };
    let got = serde_json::to_value(project(&input, &request)).unwrap();
    let keys = |v: &Value| v.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ");
    assert_eq!(keys(&got), "actual pruned quantized sharded");
    assert_eq!(keys(&got["actual"]), "bits_per_weight file_bytes tensor_bytes");
    assert_eq!(
        keys(&got["quantized"][0]),
        "basis beyond_narrowest bits_per_weight bridge container fell_back file_bytes files notes ratio scheme tensor_bytes types wider_types"
    );
    assert_eq!(got["quantized"][0]["basis"], "exact");
    assert_eq!(keys(&got["quantized"][0]["bridge"][0]), "bytes label");
    assert_eq!(keys(&got["quantized"][0]["types"]["Q4_K"]), "bytes tensors");
    // Only an importance matrix is missing: the types are told all the same; a type without a fallback gives none.
    assert_eq!((&got["quantized"][1]["basis"], &got["quantized"][1]["tensor_bytes"]), (&"refused".into(), &Value::Null));
    assert!(got["quantized"][1]["types"].get("IQ1_S").is_some());
    assert_eq!(got["quantized"][2]["types"], serde_json::json!({}));
    assert_eq!((&got["quantized"][3]["scheme"], &got["quantized"][3]["container"]), (&"nonsense".into(), &Value::Null));
    assert_eq!(keys(&got["pruned"][0]), "forms logical_params measured_sparsity notes spec target_sparsity threshold");
    assert_eq!(keys(&got["pruned"][0]["forms"][0]), "break_even_sparsity bytes form loadable_by ratio");
    assert_eq!(keys(&got["sharded"][0]), "index_bytes limit notes order rule shards");
    assert_eq!(keys(&got["sharded"][0]["shards"][0]), "file_bytes name tensor_bytes tensors");
}
