//! GGUF targets of Hugging Face folders against what the converter and the quantizer wrote of them: every type, tensor bytes, file
//! bytes.

use std::path::{Path, PathBuf};

use serde_json::Value;
use weighbridge::checkpoint::{HfFolder, OpenOptions, open};
use weighbridge::project::Request;
use weighbridge::project::quantize;
use weighbridge::project::quantize::Context;
use weighbridge::project::quantize::Options;
use weighbridge::project::quantize::QuantTarget;
use weighbridge::project::{Basis, ProjectInput, Target, project};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/convert");

/// The folder as it was: heads made whole by their stated length, without data.
fn recreate(from: &Path, into: &Path, truth: &Value) {
    std::fs::create_dir_all(into).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            recreate(&path, &into.join(name), truth);
        } else if let Some(head) = name.strip_suffix(".head") {
            let bytes = truth["sources"].as_array().unwrap().iter().find(|s| s["name"] == head).unwrap()["bytes"].as_u64().unwrap();
            let to = into.join(head);
            std::fs::copy(&path, &to).unwrap();
            std::fs::OpenOptions::new().write(true).open(&to).unwrap().set_len(bytes).unwrap();
        } else if name != "truth.json" {
            std::fs::copy(&path, into.join(name)).unwrap();
        }
    }
}

fn models() -> Vec<(String, PathBuf, Value)> {
    let mut models: Vec<_> = std::fs::read_dir(FIXTURES)
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.is_dir())
        .map(|path| {
            let truth = serde_json::from_slice(&std::fs::read(path.join("truth.json")).unwrap()).unwrap();
            (path.file_name().unwrap().to_str().unwrap().to_owned(), path, truth)
        })
        .collect();
    models.sort_by(|a, b| a.0.cmp(&b.0));
    models
}

fn outtype(name: &str) -> QuantTarget {
    match name {
        "f32" => QuantTarget::F32,
        "f16" => QuantTarget::F16,
        "bf16" => QuantTarget::Bf16,
        "q8_0" => QuantTarget::Q8_0,
        other => panic!("{other}"),
    }
}

#[test]
fn every_file_on_record_is_reproduced() {
    let temp = tempfile::tempdir().unwrap();
    let (mut rows, mut types) = (0, 0);
    let mut misses = Vec::new();
    for (name, path, truth) in models() {
        let into = temp.path().join(&name);
        recreate(&path, &into, &truth);
        let checkpoint = open(&into, &OpenOptions::default()).unwrap();
        let mut folder = HfFolder::of(&checkpoint).unwrap();
        folder.pre = truth["pre"].as_str().map(str::to_owned);
        let input = ProjectInput::from_checkpoint(&checkpoint).with_folder(Some(&folder));
        let outtypes: Vec<&str> = truth["outtypes"].as_array().unwrap().iter().map(|o| o.as_str().unwrap()).collect();
        for (i, target) in outtypes.iter().enumerate() {
            let context = Context::new(&input, Options::default());
            let plan = match quantize::plan(&context, &Target::parse(&format!("gguf:{target}"))).unwrap() {
                Ok(plan) => plan,
                Err(refusal) => {
                    misses.push(format!("{name} {target}: refused: {}", refusal.reason));
                    continue;
                }
            };
            let got: Vec<(String, Vec<u64>, &str)> = plan
                .tensors
                .iter()
                .map(|t| (t.name.to_string(), t.shape.iter().rev().copied().collect(), t.dtype.name().unwrap()))
                .collect();
            let stated: Vec<(String, Vec<u64>, &str)> = truth["tensors"]
                .as_array()
                .unwrap()
                .iter()
                .map(|row| {
                    let shape = row[1].as_array().unwrap().iter().map(|d| d.as_u64().unwrap()).collect();
                    (row[0].as_str().unwrap().to_owned(), shape, row[3][i].as_str().unwrap())
                })
                .collect();
            types += 1;
            if got != stated {
                let at = got.iter().zip(&stated).position(|(a, b)| a != b);
                misses.push(format!(
                    "{name} {target}: {} of {} tensors; {:?}",
                    got.len(),
                    stated.len(),
                    at.map(|i| (&got[i], &stated[i]))
                ));
            }
        }
        let outputs = truth["outputs"].as_object().unwrap().iter().map(|(k, v)| (None, k.clone(), v));
        let quantized = truth["llama_quantize"].as_object().unwrap().iter().map(|(k, v)| {
            let (from, to) = k.split_once(" -> ").unwrap();
            (Some(from), to.to_lowercase(), v)
        });
        for (from, target, sizes) in outputs.chain(quantized) {
            let options = Options { outtype: from.map(outtype), ..Options::default() };
            let request = Request { targets: vec![Target::parse(&format!("gguf:{target}"))], options, ..Request::default() };
            let got = &project(&input, &request).quantized[0];
            rows += 1;
            let stated = (sizes["tensor_bytes"].as_u64(), sizes["file_bytes"].as_u64());
            if (got.tensor_bytes, got.file_bytes) != stated || got.basis != Basis::Exact {
                misses.push(format!(
                    "{name} {from:?} {target}: {:?} {:?} {:?}, stated {stated:?} {:?}",
                    got.basis, got.tensor_bytes, got.file_bytes, got.notes
                ));
            }
            let sum: i128 = got.bridge.iter().map(|t| t.bytes).sum();
            assert_eq!(Some(sum), got.file_bytes.map(i128::from), "{name} {target}: {:?}", got.bridge);
            assert!(got.bridge.iter().all(|t| t.label != "unaccounted"), "{name} {target}: {:?}", got.bridge);
            let narrow: i128 = got.beyond_narrowest.iter().map(|t| t.bytes).sum();
            assert!(got.beyond_narrowest.is_empty() || Some(narrow) == got.tensor_bytes.map(i128::from), "{name} {target}");
        }
    }
    println!("{rows} files, {types} lists of types, {} misses", misses.len());
    assert!(misses.is_empty(), "{}", misses.join("\n"));
    assert!(rows >= 70);
}

#[test]
fn without_the_pre_tokenizer_the_size_is_a_range_around_the_truth() {
    let temp = tempfile::tempdir().unwrap();
    for (name, path, truth) in models().into_iter().filter(|(.., truth)| truth["pre"].is_string()) {
        let into = temp.path().join(&name);
        recreate(&path, &into, &truth);
        let checkpoint = open(&into, &OpenOptions::default()).unwrap();
        let folder = HfFolder::of(&checkpoint).unwrap();
        let input = ProjectInput::from_checkpoint(&checkpoint).with_folder(Some(&folder));
        let request = Request { targets: vec![Target::parse("gguf:f16")], ..Request::default() };
        let got = &project(&input, &request).quantized[0];
        let stated = truth["outputs"]["f16"]["file_bytes"].as_u64().unwrap();
        assert!((got.file_bytes_low.unwrap()..=got.file_bytes_high.unwrap()).contains(&stated), "{name}");
        assert_eq!(got.tensor_bytes, truth["outputs"]["f16"]["tensor_bytes"].as_u64(), "{name}");
    }
}

#[test]
fn a_tensor_is_explained_by_both_programs() {
    let temp = tempfile::tempdir().unwrap();
    let (name, path, truth) = models().into_iter().find(|(name, ..)| name == "llama-untied").unwrap();
    let into = temp.path().join(&name);
    recreate(&path, &into, &truth);
    let checkpoint = open(&into, &OpenOptions::default()).unwrap();
    let folder = HfFolder::of(&checkpoint).unwrap();
    let input = ProjectInput::from_checkpoint(&checkpoint).with_folder(Some(&folder));
    let explain = |target: &str, tensor: &str| {
        let context = Context::new(&input, Options::default());
        quantize::explain(&context, &Target::parse(target), tensor).rule.unwrap_or_default()
    };
    // Rows of 704 do not fill blocks of 256, under its own name and under the source's.
    for tensor in ["blk.0.ffn_down.weight", "model.layers.0.mlp.down_proj.weight"] {
        let rule = explain("q4_k_m", tensor);
        assert!(rule.contains("rows of 704") && rule.contains("falls back to"), "{rule}");
    }
    assert!(explain("gguf:q8_0", "model.norm.weight").contains("F32"));
    assert!(explain("q4_k_m", "model.layers.1.self_attn.v_proj.weight").contains("4 query heads for each of 2"));
    assert_eq!(explain("q4_k_m", "no.such.tensor"), "");
}

#[test]
fn what_the_converter_refuses_is_a_row_with_its_reason() {
    let temp = tempfile::tempdir().unwrap();
    let (name, path, truth) = models().into_iter().find(|(name, ..)| name == "qwen2-tied").unwrap();
    let refused = |case: &str, change: &dyn Fn(&Path)| {
        let into = temp.path().join(case).join(&name);
        recreate(&path, &into, &truth);
        change(&into);
        let checkpoint = open(&into, &OpenOptions::default()).unwrap();
        let folder = HfFolder::of(&checkpoint).unwrap();
        let input = ProjectInput::from_checkpoint(&checkpoint).with_folder(Some(&folder));
        let request = Request { targets: vec![Target::parse("gguf:auto")], ..Request::default() };
        let row = project(&input, &request).quantized.remove(0);
        assert_eq!((row.basis, row.file_bytes), (Basis::Refused, None), "{case}");
        row.notes.concat()
    };
    let edit = |into: &Path, file: &str, from: &str, to: &str| {
        let text = std::fs::read_to_string(into.join(file)).unwrap();
        assert!(text.contains(from));
        std::fs::write(into.join(file), text.replacen(from, to, 1)).unwrap();
    };
    let fewer = refused("fewer layers", &|into| edit(into, "config.json", "\"num_hidden_layers\": 3", "\"num_hidden_layers\": 2"));
    assert!(fewer.contains("can not map"), "{fewer}");
    let awq = refused("awq", &|into| edit(into, "config.json", "{", "{\"quantization_config\": {\"quant_method\": \"awq\"},"));
    assert!(awq.contains("quant_method `awq`"), "{awq}");
    let tokenizer = refused("tokenizer", &|into| std::fs::write(into.join("tokenizer.json"), "{\"model\": [").unwrap());
    assert!(tokenizer.contains("tokenizer.json"), "{tokenizer}");
    let none = refused("no tokenizer", &|into| std::fs::remove_file(into.join("tokenizer.json")).unwrap());
    assert!(none.contains("tokenizer"), "{none}");
}

#[test]
fn impossible_settings_are_refused_or_sized_without_harm() {
    let temp = tempfile::tempdir().unwrap();
    let (name, path, truth) = models().into_iter().find(|(name, ..)| name == "qwen3moe").unwrap();
    let huge = u64::MAX.to_string();
    let keys =
        ["vocab_size", "num_experts", "num_hidden_layers", "num_attention_heads", "head_dim", "hidden_size", "num_key_value_heads"];
    for key in keys {
        for value in ["0", "-1", "null", "1e300", "\"x\"", "[]", huge.as_str()] {
            let into = temp.path().join(key).join(value.trim_matches(['"', '[', ']'])).join(&name);
            recreate(&path, &into, &truth);
            let mut config: Value = serde_json::from_slice(&std::fs::read(into.join("config.json")).unwrap()).unwrap();
            config[key] = serde_json::from_str(value).unwrap();
            std::fs::write(into.join("config.json"), config.to_string()).unwrap();
            let checkpoint = open(&into, &OpenOptions::default()).unwrap();
            let folder = HfFolder::of(&checkpoint).unwrap();
            let input = ProjectInput::from_checkpoint(&checkpoint).with_folder(Some(&folder));
            let request = Request { targets: Target::parse_list("gguf:auto,q4_k_m,iq3_xs", input.format), ..Request::default() };
            assert_eq!(project(&input, &request).quantized.len(), 3);
        }
    }
}
