//! Experts that one tensor of a block holds, at the sizes of public models: what the converter makes of them, to the byte.

use std::path::Path;

use serde_json::Value;
use tempfile::tempdir;
use weighbridge::checkpoint::config::{ParamCounts, active_params};
use weighbridge::checkpoint::{Checkpoint, HfFolder, OpenOptions, Role, Summary, open};
use weighbridge::format::Format;
use weighbridge::project::row::QuantizedRow;
use weighbridge::project::{Basis, ProjectInput, Request, Target, project};

fn models() -> Vec<Value> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/stacked.json");
    let file: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    file["models"].as_array().unwrap().clone()
}

type Tensors = Vec<(String, Vec<u64>)>;

/// Every tensor of a record; its rows are a name, a shape, and blocks as start:stop:step.
fn tensors(model: &Value) -> Tensors {
    let mut all = Vec::new();
    for row in model["tensors"].as_array().unwrap() {
        let name = row[0].as_str().unwrap();
        let shape: Vec<u64> = row[1].as_array().unwrap().iter().map(|d| d.as_u64().unwrap()).collect();
        match row.get(2).map(|at| at.as_str().unwrap().split(':').map(|n| n.parse().unwrap()).collect::<Vec<usize>>()) {
            None => all.push((name.to_owned(), shape)),
            Some(at) => all.extend((at[0]..at[1]).step_by(at[2]).map(|i| (name.replace('*', &i.to_string()), shape.clone()))),
        }
    }
    all
}

/// A folder whose weights are a header, the data cut off: sizes are projected as if it were whole.
fn write(folder: &Path, config: &Value, tensors: &Tensors) -> Checkpoint {
    let mut at = 0u64;
    let entry = |(name, shape): &(String, Vec<u64>)| {
        let begin = at;
        at += 2 * shape.iter().product::<u64>();
        format!(
            "{}:{{\"dtype\":\"BF16\",\"shape\":{shape:?},\"data_offsets\":[{begin},{at}]}}",
            serde_json::to_string(name).unwrap()
        )
    };
    let header = format!("{{{}}}", tensors.iter().map(entry).collect::<Vec<_>>().join(","));
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    std::fs::write(folder.join("model.safetensors"), bytes).unwrap();
    std::fs::write(folder.join("config.json"), config.to_string()).unwrap();
    open(folder, &OpenOptions::default()).unwrap()
}

fn rows(checkpoint: &Checkpoint, targets: &str) -> Vec<QuantizedRow> {
    let folder = HfFolder::of(checkpoint);
    let input = ProjectInput::from_checkpoint(checkpoint).with_folder(folder.as_ref());
    let targets = Target::parse_list(targets, Some(Format::Safetensors));
    project(&input, &Request { targets, ..Request::default() }).quantized
}

#[test]
fn the_converter_writes_them_as_weights() {
    for model in models() {
        let name = model["name"].as_str().unwrap();
        let dir = tempdir().unwrap();
        let checkpoint = write(dir.path(), &model["config"], &tensors(&model));
        for (row, outtype) in rows(&checkpoint, "gguf:f16,gguf:q8_0").iter().zip(["f16", "q8_0"]) {
            let truth = &model["converted"][outtype]["bytes"];
            let wanted: u64 = truth.as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum();
            assert_eq!((row.basis, row.tensor_bytes), (Basis::Estimate, Some(wanted)), "{name} {outtype}: {:?}", row.notes);
            let of_type = |dtype: &str| row.types.get(dtype).map_or(0, |t| t.bytes);
            for (dtype, bytes) in truth.as_object().unwrap() {
                assert_eq!(of_type(dtype), bytes.as_u64().unwrap(), "{name} {outtype}: {dtype}");
            }
            // The file is a range: its header with keys and tokenizer is some MB, for the converter too.
            let (low, high) = (row.file_bytes_low.unwrap(), row.file_bytes_high.unwrap());
            assert!(low > wanted && high < wanted + 64_000_000, "{name} {outtype}: {low} to {high}");
        }
    }
}

/// The same model with its experts one by one, as most families were published.
fn one_by_one(model: &Value) -> Tensors {
    let hidden =
        model["config"]["text_config"]["hidden_size"].as_u64().or_else(|| model["config"]["hidden_size"].as_u64()).unwrap();
    let mut all = Vec::new();
    for (name, shape) in tensors(model) {
        let Some((block, part)) = name.split_once(".experts.") else {
            all.push((name, shape));
            continue;
        };
        let turned = (part == "gate_up_proj" && shape[1] == hidden) || (part == "down_proj" && shape[2] == hidden);
        let (rows, columns) = if turned { (shape[2], shape[1]) } else { (shape[1], shape[2]) };
        for expert in 0..shape[0] {
            let mut push = |what: &str, rows| all.push((format!("{block}.experts.{expert}.{what}.weight"), vec![rows, columns]));
            match part {
                "gate_up_proj" => ["gate_proj", "up_proj"].map(|what| push(what, rows / 2)).into_iter().collect(),
                "down_proj" => push(part, rows),
                _ => panic!("{name}"),
            }
        }
    }
    all
}

#[test]
fn stacked_or_one_by_one_a_model_is_as_large() {
    // Of these the blocks have the names that one by one are read too.
    for model in models().iter().filter(|m| ["qwen3.5-35b-a3b", "mistral-small-4"].contains(&m["name"].as_str().unwrap())) {
        let (a, b) = (tempdir().unwrap(), tempdir().unwrap());
        let stacked = write(a.path(), &model["config"], &tensors(model));
        let single = write(b.path(), &model["config"], &one_by_one(model));
        assert_eq!(stacked.logical_params(), single.logical_params());
        // GPTQ takes every expert out, which takes its time with many.
        let few = model["name"] == "mistral-small-4";
        let targets = if few { "q4_k_m,q2_k,gptq" } else { "q4_k_m,q5_0" };
        // Of what was not compared with the tool's own file, no figure is given.
        assert_eq!(rows(&stacked, "mlx-4bit-g64")[0].basis, Basis::Refused);
        let params = stacked.logical_params() as f64;
        for (a, b) in rows(&stacked, targets).iter().zip(rows(&single, targets)) {
            let what = format!("{} {}: {:?}", model["name"], a.scheme, a.notes);
            assert_eq!(a.tensor_bytes, b.tensor_bytes, "{what}");
            assert_eq!(a.basis, Basis::Estimate, "{what}");
            if a.scheme == "q4_k_m" {
                let bits = a.tensor_bytes.unwrap() as f64 * 8.0 / params;
                assert!((4.5..5.2).contains(&bits), "{what}: {bits} bits");
            }
        }
    }
}

#[test]
fn experts_are_counted_as_experts() {
    // Of 288 experts 8 work, of 16 one: the publishers say 11, 17, 17, 3 and 36 billion active, 6.5 of Mistral's.
    let active = [
        ("llama-4-scout", 17.2e9),
        ("llama-4-maverick", 17.2e9),
        ("qwen3.5-35b-a3b", 3.45e9),
        ("mistral-small-4", 6.6e9),
        ("dbrx", 36.5e9),
        ("step-3.5-flash", 12.0e9),
    ];
    for model in models() {
        let Some((name, wanted)) = active.iter().find(|(name, _)| model["name"] == *name) else { continue };
        let dir = tempdir().unwrap();
        let checkpoint = write(dir.path(), &model["config"], &tensors(&model));
        let summary = Summary::of(&checkpoint);
        let of = |role| summary.roles.iter().find(|(r, _)| *r == role).map_or(0, |(_, sums)| sums.logical_params);
        let beside = of(Role::Vision) + of(Role::Projector);
        let counts = ParamCounts {
            total: summary.total.logical_params - beside,
            routed_experts: of(Role::Expert),
            embedding: of(Role::Embedding),
            lm_head: of(Role::LmHead),
        };
        let facts = &checkpoint.model;
        let all = active_params(counts, facts.experts, facts.experts_used, false).unwrap().all as f64;
        assert!((all / wanted - 1.0).abs() < 0.01, "{name}: {all}");
    }
}

#[test]
fn odd_stacks_are_weights_or_kept_whole() {
    let config = serde_json::json!({"architectures": ["New"], "model_type": "new", "hidden_size": 64, "num_hidden_layers": 1,
        "num_attention_heads": 4, "num_local_experts": 4, "vocab_size": 100});
    // Name, shape, bytes in Q8_0 (34 for 32 elements), and whether they are those of weights.
    let cases: [(&str, &[u64], u64); 8] = [
        ("model.layers.0.mlp.experts.something_new", &[4, 64, 64], 4 * 64 * 64 / 32 * 34),
        ("model.layers.0.mlp.experts.gate_up_proj", &[4, 64, 64], 4 * 64 * 64 / 32 * 34),
        ("model.layers.0.mlp.experts.w13_weight", &[4, 64, 128], 4 * 64 * 128 / 32 * 34),
        ("model.layers.0.mlp.experts.gate_up_proj_bias", &[4, 128], 4 * 128 * 4),
        ("model.layers.0.mlp.input_linear.weight", &[4, 128, 64], 4 * 128 * 64 / 32 * 34),
        // Rows of 20 fill no block.
        ("model.layers.0.mlp.experts.down_proj", &[4, 64, 20], 4 * 64 * 20 * 2),
        ("model.layers.0.mlp.experts.down_proj", &[4, 20, 64], 4 * 64 * 20 * 2),
        ("model.layers.0.mlp.experts.mlp.w2", &[4 * 96, 64], 4 * 96 * 64 / 32 * 34),
    ];
    for (name, shape, wanted) in cases {
        let dir = tempdir().unwrap();
        let checkpoint = write(
            dir.path(),
            &config,
            &vec![("model.embed_tokens.weight".to_owned(), vec![100, 64]), (name.to_owned(), shape.to_vec())],
        );
        let row = &rows(&checkpoint, "gguf:q8_0")[0];
        assert_eq!(row.tensor_bytes, Some(100 * 64 / 32 * 34 + wanted), "{name} {shape:?}: {:?}", row.notes);
    }
}
