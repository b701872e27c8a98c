//! Pruned forms against the arrays of scipy and torch, cuts against the models that transformers makes of the smaller config.

use std::collections::BTreeMap;

use serde_json::Value;
use weighbridge::checkpoint::config::from_config_json;
use weighbridge::checkpoint::names::classify;
use weighbridge::checkpoint::{ModelConfig, Role};
use weighbridge::dtype::Dtype;
use weighbridge::format::Format;
use weighbridge::project::prune::{PruneSpec, PrunedRow, break_even, row};
use weighbridge::project::{Basis, ProjectInput, ProjectTensor, Provenance, Request, Target, project};

fn fixture(name: &str) -> Value {
    let path = format!("{}/fixtures/prune/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn input<'a>(model: &'a ModelConfig, tensors: Vec<ProjectTensor<'a>>) -> ProjectInput<'a> {
    let bytes = tensors.iter().map(|t| t.bytes).sum();
    ProjectInput {
        format: Some(Format::Safetensors),
        tensors,
        file_bytes: bytes,
        header_bytes: 0,
        files: 1,
        model,
        quantization: None,
        safetensors_metadata: Some(vec![("format".to_owned(), "pt".to_owned())]),
        gguf: None,
        folder: None,
        provenance: Provenance::default(),
    }
}

fn form_bytes(row: &PrunedRow, form: &str) -> Option<u64> {
    row.forms.iter().find(|f| f.form == form).unwrap().bytes
}

fn matrix(case: &Value) -> ProjectTensor<'static> {
    let dims = [case["rows"].as_u64().unwrap(), case["columns"].as_u64().unwrap()];
    let dtype = Dtype::from_safetensors(case["dtype"].as_str().unwrap()).unwrap();
    ProjectTensor::weight("w.weight", Role::Mlp, None, dtype, &dims)
}

#[test]
fn sparse_forms_equal_the_arrays_of_scipy_and_torch() {
    let (truth, model) = (fixture("sparse.json"), ModelConfig::default());
    let mut compared = 0;
    for case in truth["matrices"].as_array().unwrap() {
        let got = row(&input(&model, vec![matrix(case)]), &PruneSpec::Measured, Some(&[case["zeros"].as_u64()]));
        for (form, bytes) in case["bytes"].as_object().unwrap() {
            assert_eq!(form_bytes(&got, form), bytes.as_u64(), "{form} of {case}");
            compared += 1;
        }
    }
    for case in truth["blocks"].as_array().unwrap() {
        let (rows, columns) = (case["block"][0].as_u64().unwrap(), case["block"][1].as_u64().unwrap());
        let spec = PruneSpec::Block { rows, columns, share: case["share"].as_f64().unwrap() };
        let got = row(&input(&model, vec![matrix(case)]), &spec, None);
        for (form, bytes) in case["bytes"].as_object().unwrap() {
            assert_eq!(form_bytes(&got, form), bytes.as_u64(), "{form} of {case}");
            compared += 1;
        }
    }
    assert_eq!(compared, 42);
}

#[test]
fn break_even_shares_of_the_table() {
    // Per cent for 32, 16, 8 and 4 bits: i / (bits + i) for i bits of index, 1 / bits for a bitmask.
    let table = [
        ("bitmask", [3.125, 6.25, 12.5, 25.0]),
        ("csr16", [33.3, 50.0, 66.7, 80.0]),
        ("csr32", [50.0, 66.7, 80.0, 88.9]),
        ("csr64", [66.7, 80.0, 88.9, 94.1]),
        ("coo32", [66.7, 80.0, 88.9, 94.1]),
        ("coo64", [80.0, 88.9, 94.1, 97.0]),
    ];
    for (form, shares) in table {
        for (bits, share) in [32, 16, 8, 4].into_iter().zip(shares) {
            let got = break_even(form, bits).unwrap() * 100.0;
            assert!((got - share).abs() < 0.05, "{form} at {bits} bits: {got}");
        }
    }
    assert_eq!((break_even("dense", 16), break_even("2:4", 16)), (None, None));
}

#[test]
fn patterns_take_their_share_of_dense() {
    let model = ModelConfig::default();
    let tensor = ProjectTensor::weight("w.weight", Role::Mlp, None, Dtype::BF16, &[4096, 4096]);
    let input = input(&model, vec![tensor]);
    // Share of dense for bf16: kept values and the bits of their places.
    for (spec, share) in [("2:4", 0.5625), ("1:4", 0.28125), ("4:8", 0.59375), ("8:16", 0.625)] {
        let got = row(&input, &PruneSpec::parse(spec).unwrap(), None);
        assert_eq!(form_bytes(&got, spec), Some((33_554_432.0 * share) as u64), "{spec}");
        assert_eq!(form_bytes(&got, "dense"), Some(33_554_432));
    }
    let odd = ProjectTensor::weight("w.weight", Role::Mlp, None, Dtype::BF16, &[30, 33]);
    let odd = self::input(&model, vec![odd]);
    let got = row(&odd, &PruneSpec::parse("block=16x16:0.7").unwrap(), None);
    assert_eq!(form_bytes(&got, "bsr32"), Some(30 * 33 * 2));
    assert!(got.notes.iter().any(|n| n.contains("do not divide")));
}

fn tensors_of(shapes: &Value) -> Vec<ProjectTensor<'static>> {
    let tensors = shapes.as_object().unwrap().iter().map(|(name, shape)| {
        let shape: Vec<u64> = shape.as_array().unwrap().iter().map(|d| d.as_u64().unwrap()).collect();
        let naming = classify(name, Format::Safetensors);
        ProjectTensor::weight(name.clone(), naming.role, naming.layer, Dtype::BF16, &shape)
    });
    tensors.collect()
}

/// Names with their numbers as `*`, with the shape, counted.
fn counted<'s>(shapes: impl Iterator<Item = (&'s str, Vec<u64>)>) -> BTreeMap<(String, Vec<u64>), u64> {
    let mut counts = BTreeMap::new();
    for (name, shape) in shapes {
        let parts: Vec<&str> = name.split('.').map(|p| if p.bytes().all(|b| b.is_ascii_digit()) { "*" } else { p }).collect();
        *counts.entry((parts.join("."), shape)).or_insert(0) += 1;
    }
    counts
}

#[test]
fn cuts_equal_the_models_of_transformers() {
    let truth = fixture("structured.json");
    let (mut misses, mut compared) = (Vec::new(), 0);
    for base in truth["models"].as_array().unwrap() {
        let model = from_config_json(&base["config"]);
        let input = input(&model, tensors_of(&base["shapes"]));
        for case in base["cuts"].as_array().unwrap() {
            let what = format!("{} {} {}", base["family"], base["class"], case["spec"]);
            let spec = PruneSpec::parse_list(case["spec"].as_str().unwrap()).unwrap();
            // A report names a cut in one order of its parts, and the name reads back as the same cut.
            assert_eq!(PruneSpec::parse_list(&spec[0].name()).unwrap(), spec, "{what}");
            let got = row(&input, &spec[0], None);
            compared += 1;
            let Some(structure) = &got.structure else {
                misses.push(format!("{what}: {:?}", got.notes));
                continue;
            };
            if got.logical_params != case["params"].as_u64() {
                misses.push(format!("{what}: {:?} parameters, not {}", got.logical_params, case["params"]));
            }
            let wanted = tensors_of(&case["shapes"]);
            let wanted = counted(wanted.iter().map(|t| (t.name.as_ref(), t.shape.to_vec())));
            let mut shapes = BTreeMap::new();
            for s in structure.shapes.iter().filter(|s| s.tensors > 0) {
                *shapes.entry((s.name.clone(), s.shape.clone())).or_insert(0) += s.tensors;
            }
            if shapes != wanted {
                misses.push(format!("{what}: {shapes:?}\n  not {wanted:?}"));
            }
        }
    }
    assert!(misses.is_empty(), "{} of {compared} differ:\n{}", misses.len(), misses.join("\n"));
    assert!(compared >= 100, "{compared} cuts");
}

#[test]
fn a_cut_model_is_quantized_and_keeps_a_smaller_cache() {
    let truth = fixture("structured.json");
    let base = truth["models"].as_array().unwrap().iter().find(|m| m["family"] == "qwen2" && m["config"]["hidden_size"] == 896);
    // The record names no class; a size is exact only of a class that the tool was seen to quantize.
    let mut config = base.unwrap()["config"].clone();
    config["architectures"] = serde_json::json!(["Qwen2ForCausalLM"]);
    let model = from_config_json(&config);
    let input = input(&model, tensors_of(&base.unwrap()["shapes"]));
    let of = |prune: &str, to: &str| {
        let (targets, prune) = (Target::parse_list(to, Some(Format::Safetensors)), PruneSpec::parse_list(prune).unwrap());
        project(&input, &Request { targets, prune, ..Request::default() }).pruned
    };
    let rows = of("layers=12,ffn=25%,heads=7", "int8");
    let structure = rows[0].structure.as_ref().unwrap();
    // 24 layers of 2 key/value heads of 64: 6,144 elements a token.
    assert_eq!((structure.kv_elements_per_token_before, structure.kv_elements_per_token), (Some(6_144), Some(3_072)));
    // Seven linears of 12 layers: (896*896*2 + 128*896*2 + 3*4864*896) * 12 one-byte weights, two bytes a row of scales.
    let (matrices, outputs) = (14_909_440u64 * 12, (896 + 128 * 2 + 896 + 4864 * 2 + 896) * 12);
    let params = rows[0].logical_params.unwrap();
    let int8 = &structure.quantized[0];
    assert_eq!((int8.basis, int8.tensor_bytes), (Basis::Exact, Some(2 * params - matrices + 2 * outputs)));
    assert_eq!(int8.ratio, int8.tensor_bytes.map(|b| b as f64 / input.tensor_bytes() as f64));
    // Channels of the feed-forward block cache nothing; a group of heads takes its key/value head along.
    let kv = |i: usize| rows[i].structure.as_ref().unwrap().kv_elements_per_token;
    assert_eq!((kv(1), kv(2)), (Some(6_144), Some(3_072)));
}

#[test]
fn what_does_not_divide_or_is_not_known_is_refused() {
    let truth = fixture("structured.json");
    let base = |family: &str| truth["models"].as_array().unwrap().iter().find(|m| m["family"] == family).unwrap();
    let refusal = |family: &str, spec: &str| {
        let model = from_config_json(&base(family)["config"]);
        let input = input(&model, tensors_of(&base(family)["shapes"]));
        let got = row(&input, &PruneSpec::parse(spec).unwrap(), None);
        assert!(got.structure.is_none() && got.logical_params.is_none(), "{family} {spec}");
        got.notes.join("; ")
    };
    assert!(refusal("llama", "heads=3").contains("whole groups"));
    assert!(refusal("llama", "heads=9").contains("cannot remain"));
    assert!(refusal("llama", "heads=6/4").contains("cannot remain"));
    assert!(refusal("llama", "layers=7").contains("write 1 to 6"));
    assert!(refusal("llama", "ffn=33.33%").contains("no whole number"));
    assert!(refusal("llama", "hidden=4096").contains("cannot remain"));
    assert!(refusal("llama", "student=layers:2,hidden:200").contains("do not narrow"));
    assert!(refusal("bert", "hidden=192").contains("student="));
    // A layer whose dimensions are in no table.
    let model = from_config_json(&base("llama")["config"]);
    let mut tensors = tensors_of(&base("llama")["shapes"]);
    tensors.push(ProjectTensor::weight("model.layers.0.self_attn.odd.weight", Role::Attention, Some(0), Dtype::BF16, &[7, 9]));
    let got = row(&input(&model, tensors), &PruneSpec::parse("heads=4").unwrap(), None);
    assert!(got.notes[0].contains("self_attn.odd.weight"), "{:?}", got.notes);
    // A stack of experts as wide as the model: which way it lies is not told.
    let mut tensors = tensors_of(&base("llama")["shapes"]);
    tensors.push(ProjectTensor::weight("model.layers.0.mlp.experts.up_proj", Role::Expert, Some(0), Dtype::BF16, &[4, 512, 512]));
    let got = row(&input(&model, tensors), &PruneSpec::parse("ffn=50%").unwrap(), None);
    assert!(got.structure.is_none() && got.notes[0].contains("experts.up_proj"), "{:?}", got.notes);
    for bad in [
        "layers=0",
        "layers=x",
        "layers=4+layers=2",
        "student=layers:2",
        "ffn=100%",
        "block=16:0.5",
        "block=0x4:0.5",
        "3:4",
        "depth=2",
    ] {
        let parsed = PruneSpec::parse(bad);
        assert!(parsed.is_err() || bad == "layers=0", "{bad}");
    }
    assert!(refusal("llama", "layers=0").contains("cannot remain"));
}
