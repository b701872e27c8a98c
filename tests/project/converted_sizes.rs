//! GGUF targets from Hugging Face folders against what the converter and the quantizer wrote: an estimate in this form, so tensor
//! bytes are compared but for computed tensors, and file bytes must lie in the stated range.

use serde_json::Value;
use weighbridge::checkpoint::{ModelConfig, Part, Role};
use weighbridge::dtype::Dtype;
use weighbridge::format::Format;
use weighbridge::project::Request;
use weighbridge::project::{Basis, ProjectInput, ProjectTensor, Provenance, Target, project};

fn role(name: &str) -> Role {
    let has = |part: &str| name.contains(part);
    match () {
        () if has("embed") => Role::Embedding,
        () if has("lm_head") => Role::LmHead,
        () if has("norm") => Role::Norm,
        () if has(".experts.") => Role::Expert,
        () if has("self_attn") => Role::Attention,
        () if has("mlp.gate.") => Role::Router,
        () if has("mlp") => Role::Mlp,
        () => Role::Other,
    }
}

fn config(row: &Value) -> ModelConfig {
    let get = |key: &str| row[key].as_u64();
    ModelConfig {
        family: row["model_type"].as_str().map(str::to_owned),
        layers: get("num_hidden_layers"),
        heads: get("num_attention_heads"),
        kv_heads: get("num_key_value_heads"),
        vocab_size: get("vocab_size"),
        experts: get("num_experts").or(get("num_local_experts")),
        ..ModelConfig::default()
    }
}

#[test]
fn decoders_of_the_llama_scheme() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/hf-project/convert.json");
    let record: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let mut rows = 0;
    let mut misses = Vec::new();
    for (name, model) in record.as_object().unwrap() {
        if name == "minilm" {
            continue;
        }
        let config = config(&model["config"]);
        let tensors: Vec<ProjectTensor<'_>> = model["tensors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| {
                let name = row[0].as_str().unwrap().to_owned();
                let shape: Vec<u64> = row[2].as_array().unwrap().iter().map(|d| d.as_u64().unwrap()).collect();
                let layer = name.strip_prefix("model.layers.").and_then(|n| n.split('.').next()?.parse().ok());
                let dtype = Dtype::from_safetensors(row[1].as_str().unwrap()).unwrap();
                let role = role(&name);
                let mut tensor = ProjectTensor::weight(name, role, layer, dtype, &shape);
                if tensor.name.ends_with("inv_freq") {
                    tensor.part = Part::Buffer;
                }
                tensor
            })
            .collect();
        let bytes: u64 = tensors.iter().map(|t| t.bytes).sum();
        let input = ProjectInput {
            format: Some(Format::Safetensors),
            tensors,
            file_bytes: bytes,
            header_bytes: 0,
            files: 1,
            model: &config,
            quantization: None,
            safetensors_metadata: None,
            gguf: None,
            folder: None,
            provenance: Provenance::default(),
        };
        let computed: u64 = model["computed"].as_array().unwrap().iter().map(|t| t[1][0].as_u64().unwrap() * 4).sum();
        let outputs = model["outputs"].as_object().unwrap().iter();
        // Quantizer runs on what `auto` gives: these folders are stored in BF16.
        let quantized = model["llama_quantize"].as_object().unwrap().iter().filter(|(k, _)| k.starts_with("bf16 -> "));
        for (key, sizes) in outputs.chain(quantized) {
            let target = key.rsplit(" -> ").next().unwrap();
            let request = Request { targets: vec![Target::parse(&format!("gguf:{target}"))], ..Request::default() };
            let got = &project(&input, &request).quantized[0];
            assert_eq!(got.basis, Basis::Estimate, "{name} {key} {:?}", got.notes);
            let (stated, file) = (sizes[0].as_u64().unwrap(), sizes[1].as_u64().unwrap());
            rows += 1;
            if got.tensor_bytes.map(|b| b + computed) != Some(stated) {
                misses.push(format!("{name} {key}: {:?} + {computed}, stated {stated}", got.tensor_bytes));
            }
            if !(got.file_bytes_low.unwrap()..=got.file_bytes_high.unwrap()).contains(&file) {
                misses.push(format!("{name} {key}: file {:?} to {:?}, stated {file}", got.file_bytes_low, got.file_bytes_high));
            }
            let sum: i128 = got.bridge.iter().map(|t| t.bytes).sum();
            assert_eq!(Some(sum), got.file_bytes.map(i128::from), "{name} {key}: {:?}", got.bridge);
            assert!(got.bridge.iter().all(|t| t.label != "unaccounted"), "{name} {key}: {:?}", got.bridge);
        }
    }
    println!("{rows} rows");
    assert!(misses.is_empty(), "{}", misses.join("\n"));
    assert!(rows > 40);
}
