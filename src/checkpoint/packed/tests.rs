//! Every scheme of `fixtures/hf`, and packings that no tool could write on a CPU, by their published shapes.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::*;

struct Owned {
    name: String,
    dtype: Dtype,
    shape: Vec<u64>,
}

fn owned(name: &str, dtype: &str, shape: &[u64]) -> Owned {
    Owned { name: name.to_owned(), dtype: Dtype::from_safetensors(dtype).unwrap(), shape: shape.to_vec() }
}

fn views(tensors: &[Owned]) -> Vec<TensorView<'_>> {
    let view = |tensor: &'_ Owned| {
        let elements = tensor.shape.iter().product();
        (elements, tensor.dtype.bytes_of(crate::units::Elements(elements)).map_or(0, |bytes| bytes.0))
    };
    tensors
        .iter()
        .map(|t| TensorView {
            name: &t.name,
            dtype: t.dtype,
            shape: &t.shape,
            elements: view(t).0,
            bytes: view(t).1,
            buffer: names::is_buffer(&t.name, t.dtype, &t.shape),
        })
        .collect()
}

struct Checkpoint {
    base: String,
    scheme: String,
    config: Value,
    tensors: Vec<Owned>,
}

fn expand(rows: &Value) -> Vec<Owned> {
    let mut out = Vec::new();
    for row in rows.as_array().unwrap() {
        let (name, dtype) = (row[0].as_str().unwrap(), row[1].as_str().unwrap());
        let shape: Vec<u64> = row[2].as_array().unwrap().iter().map(|d| d.as_u64().unwrap()).collect();
        match row.get(3).and_then(Value::as_array) {
            None => out.push(owned(name, dtype, &shape)),
            Some(layers) => {
                out.extend(
                    layers.iter().map(|layer| owned(&name.replace(".layers.#.", &format!(".layers.{layer}.")), dtype, &shape)),
                );
            }
        }
    }
    out
}

fn fixtures() -> Vec<Checkpoint> {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/hf/schemes.jsonl")).unwrap();
    let mut base_config = Value::Null;
    let one = |line: &str| {
        let row: Value = serde_json::from_str(line).unwrap();
        if row["scheme"] == "base" {
            base_config = row["config"].clone();
        }
        let mut config = base_config.clone();
        for part in ["changes", "config"] {
            if let Some(map) = row.get(part).and_then(Value::as_object) {
                config.as_object_mut().unwrap().extend(map.clone());
            }
        }
        Checkpoint {
            base: row["base"].as_str().unwrap().to_owned(),
            scheme: row["scheme"].as_str().unwrap().to_owned(),
            config,
            tensors: expand(&row["tensors"]),
        }
    };
    text.lines().map(one).collect()
}

/// The name of a weight before its tool packed it.
fn original(name: &str) -> String {
    for (end, instead) in [
        (".qweight", ".weight"),
        (".weight_packed", ".weight"),
        ("._weight_qdata", ".weight"),
        (".W_q", ".weight"),
        (".weight._data._data", ".weight"),
        (".weight._data", ".weight"),
    ] {
        if let Some(stem) = name.strip_suffix(end) {
            return format!("{stem}{instead}");
        }
    }
    name.to_owned()
}

/// The method a scheme's prefix stands for; `None` where the tool left every weight alone.
fn expected_method(checkpoint: &Checkpoint) -> Option<&'static str> {
    let (base, scheme) = (checkpoint.base.as_str(), checkpoint.scheme.as_str());
    match (base, scheme) {
        (_, "base" | "mlx-copy") => return None,
        // 224 columns: no group divides them.
        ("qwen2-tied", "mlx-2bit-g64" | "mlx-3bit-g64" | "mlx-4bit-g64" | "mlx-6bit-g64" | "mlx-8bit-g64" | "mlx-4bit-f16") => {
            return None;
        }
        ("qwen2-tied", "mlx-4bit-g128" | "mlx-mixed-3-6" | "torchao-int4wo-g128") => return None,
        _ => {}
    }
    Some(match scheme.split('-').next().unwrap() {
        "bnb" => "bitsandbytes",
        "ct" | "lc" => "compressed-tensors",
        "gptq" => "gptq",
        "awq" => "awq",
        "fp8" => "fp8",
        "hqq" => "hqq",
        "quanto" => "quanto",
        "torchao" => "torchao",
        "mlx" => "mlx",
        "metal" => "metal",
        other => panic!("{other}"),
    })
}

#[test]
fn every_scheme_is_recognised_and_every_weight_counted() {
    let mut base: HashMap<String, Vec<u64>> = HashMap::new();
    let mut seen = 0;
    let mut wrong = Vec::new();
    for checkpoint in fixtures() {
        let label = format!("{}/{}", checkpoint.base, checkpoint.scheme);
        if checkpoint.scheme == "base" {
            base = checkpoint.tensors.iter().map(|t| (t.name.clone(), t.shape.clone())).collect();
            // A tied head that a tool stores apart has the embedding's shape.
            let embedding = base["model.embed_tokens.weight"].clone();
            base.entry("lm_head.weight".to_owned()).or_insert(embedding);
        }
        let views = views(&checkpoint.tensors);
        let read = interpret(&views, Some(&checkpoint.config), Format::Safetensors);
        let method = read.quantization.as_ref().map(|q| q.method.as_str());
        if method != expected_method(&checkpoint) {
            wrong.push(format!("{label}: method {method:?}, notes {:?}", read.notes));
        }
        if read.unresolved > 0 {
            wrong.push(format!("{label}: {} unresolved", read.unresolved));
        }
        let mut weights = 0;
        for (tensor, meaning) in checkpoint.tensors.iter().zip(&read.parts) {
            let stem = original(&tensor.name);
            match (base.get(&stem), meaning.part) {
                (Some(shape), Part::Weight) => {
                    weights += 1;
                    let expected: u64 = shape.iter().product();
                    if meaning.logical_params != expected {
                        wrong.push(format!("{label}: {} has {} for {expected}", tensor.name, meaning.logical_params));
                    }
                    if meaning.logical_shape.as_ref().is_some_and(|s| s.as_slice() != shape.as_slice()) {
                        wrong.push(format!("{label}: {} has shape {:?}", tensor.name, meaning.logical_shape));
                    }
                }
                // Whatever is no weight of the base must be bookkeeping.
                (None, Part::Auxiliary) => {}
                (known, part) => wrong.push(format!("{label}: {} is {part:?}, base has it: {}", tensor.name, known.is_some())),
            }
        }
        assert!(weights > 0, "{label}");
        seen += 1;
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert_eq!(seen, 297);
}

#[test]
fn bookkeeping_that_is_all_zeros_hides_no_shape() {
    // A file whose header was fetched and whose data is a hole.
    for checkpoint in fixtures() {
        let views = views(&checkpoint.tensors);
        let zeros = |i: usize| Some(vec![0u8; usize::try_from(views[i].bytes).unwrap()]);
        let blind = interpret(&views, Some(&checkpoint.config), Format::Safetensors);
        let read = interpret_with(&views, Some(&checkpoint.config), Format::Safetensors, Some(&zeros));
        assert_eq!(read.parts, blind.parts, "{}/{}", checkpoint.base, checkpoint.scheme);
    }
}

#[test]
fn every_tensor_of_a_scheme_has_a_role() {
    for checkpoint in fixtures() {
        for tensor in &checkpoint.tensors {
            let role = names::classify(&tensor.name, Format::Safetensors).role;
            assert_ne!(role, names::Role::Other, "{}", tensor.name);
        }
    }
}

#[test]
fn bits_and_groups_are_those_of_the_scheme() {
    let all = fixtures();
    let figures = |base: &str, scheme: &str| {
        let checkpoint = all.iter().find(|c| c.base == base && c.scheme == scheme).unwrap();
        let views = views(&checkpoint.tensors);
        let quantization = interpret(&views, Some(&checkpoint.config), Format::Safetensors).quantization.unwrap();
        (quantization.bits, quantization.group_size)
    };
    for (scheme, bits, group) in [
        ("gptq-4bit-g128", Some(4), Some(128)),
        ("gptq-3bit-g32", Some(3), Some(32)),
        ("gptq-4bit-channel", Some(4), None),
        ("awq-4bit-g64", Some(4), Some(64)),
        ("bnb-nf4-dq", Some(4), Some(64)),
        ("bnb-int8", Some(8), None),
        ("ct-w3a16", Some(3), Some(128)),
        ("ct-w8a8", Some(8), None),
        ("ct-nvfp4", Some(4), Some(16)),
        ("ct-mxfp6a16", Some(6), Some(32)),
        ("ct-mxfp8", Some(8), Some(32)),
        ("fp8-block128", Some(8), None),
        ("hqq-2bit-g64-axis0", Some(2), Some(64)),
        ("hqq-3bit-g64-axis0", Some(3), Some(64)),
        ("hqq-1bit-g64-axis1", Some(1), Some(64)),
        ("quanto-qint4", Some(4), Some(128)),
        ("torchao-int8wo-g32", Some(8), Some(32)),
        ("mlx-4bit-g64", Some(4), Some(64)),
        ("mlx-mixed-3-6", None, Some(64)),
        ("mlx-nvfp4", Some(4), Some(16)),
        ("metal-8bit-g32", Some(8), Some(32)),
    ] {
        assert_eq!(figures("llama-g128", scheme), (bits, group), "{scheme}");
    }
    // The head has 8 bits, the layers 4.
    assert_eq!(figures("llama-gqa", "gptq-4bit-g32-lmhead"), (None, Some(32)));
    // A group that does not divide the row is only in the configuration.
    assert_eq!(figures("llama-gqa", "gptq-4bit-g128"), (Some(4), Some(128)));
}

/// The pair in `fixtures/fracast`: 79,872 int8 weights in 20 tensors, 85,001 parameters in both files.
#[test]
fn fracast_keeps_its_parameters() {
    for (file, method) in [("model.safetensors", None), ("model.int8.safetensors", Some("int8"))] {
        let bytes = std::fs::read(format!("{}/fixtures/fracast/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        let length = usize::try_from(u64::from_le_bytes(bytes[..8].try_into().unwrap())).unwrap();
        let header: Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
        let tensors: Vec<Owned> = header
            .as_object()
            .unwrap()
            .iter()
            .filter(|(name, _)| *name != "__metadata__")
            .map(|(name, row)| {
                let shape: Vec<u64> = row["shape"].as_array().unwrap().iter().map(|d| d.as_u64().unwrap()).collect();
                owned(name, row["dtype"].as_str().unwrap(), &shape)
            })
            .collect();
        let read = interpret(&views(&tensors), None, Format::Safetensors);
        assert_eq!(read.parts.iter().map(|p| p.logical_params).sum::<u64>(), 85_001, "{file}");
        assert_eq!(read.quantization.as_ref().map(|q| q.method.as_str()), method);
        let packed: Vec<_> = read.parts.iter().filter(|p| p.packed).map(|p| p.logical_params).collect();
        if method.is_some() {
            assert_eq!((packed.len(), packed.iter().sum::<u64>()), (20, 79_872));
            assert_eq!(read.parts.iter().filter(|p| p.part == Part::Auxiliary).count(), 20);
        } else {
            assert!(packed.is_empty());
        }
    }
}

fn logical(tensors: &[Owned], config: &Value) -> (Interpretation, u64) {
    let read = interpret(&views(tensors), Some(config), Format::Safetensors);
    let sum = read.parts.iter().map(|p| p.logical_params).sum();
    (read, sum)
}

/// One layer of gpt-oss-20b's experts: 32 x (2880 x 5760 + 2880 x 2880) weights, 19,110,297,600 in 24 layers.
#[test]
fn gpt_oss_experts_are_unpacked() {
    let tensors = [
        owned("model.layers.0.mlp.experts.gate_up_proj_blocks", "U8", &[32, 5760, 90, 16]),
        owned("model.layers.0.mlp.experts.gate_up_proj_scales", "U8", &[32, 5760, 90]),
        owned("model.layers.0.mlp.experts.gate_up_proj_bias", "BF16", &[32, 5760]),
        owned("model.layers.0.mlp.experts.down_proj_blocks", "U8", &[32, 2880, 90, 16]),
        owned("model.layers.0.mlp.experts.down_proj_scales", "U8", &[32, 2880, 90]),
    ];
    let (read, sum) = logical(&tensors, &json!({"quantization_config": {"quant_method": "mxfp4"}}));
    assert_eq!(sum, 32 * 24_883_200 + 32 * 5760);
    assert_eq!(read.parts[0].logical_shape.as_deref(), Some([32u64, 5760, 2880].as_slice()));
    let quantization = read.quantization.unwrap();
    assert_eq!((quantization.method.as_str(), quantization.bits, quantization.group_size), ("mxfp4", Some(4), Some(32)));
}

#[test]
fn packings_that_need_an_accelerator_to_write() {
    let n = 4096 * 4096;
    let modelopt = [
        owned("a.q_proj.weight", "U8", &[4096, 2048]),
        owned("a.q_proj.weight_scale", "F8_E4M3", &[4096, 256]),
        owned("a.q_proj.weight_scale_2", "F32", &[]),
        owned("a.q_proj.input_scale", "F32", &[]),
        owned("a.k_proj.k_scale", "F32", &[1]),
    ];
    let (read, sum) = logical(&modelopt, &json!({"quantization_config": {"quant_method": "modelopt", "quant_algo": "NVFP4"}}));
    assert_eq!((sum, read.quantization.unwrap().method.as_str()), (n, "modelopt"));
    let exl3 = [
        owned("a.q_proj.trellis", "I16", &[256, 256, 64]),
        owned("a.q_proj.suh", "F16", &[4096]),
        owned("a.q_proj.svh", "F16", &[4096]),
    ];
    let (read, sum) = logical(&exl3, &json!({"quantization_config": {"quant_method": "exl3"}}));
    assert_eq!((sum, read.quantization.unwrap().bits), (n, Some(4)));
    let exl2 = [
        owned("a.q_proj.q_weight", "I32", &[600, 4096]),
        owned("a.q_proj.q_scale", "I32", &[32, 512]),
        owned("a.q_proj.q_scale_max", "F16", &[32]),
        owned("a.q_proj.q_groups", "I16", &[64]),
        owned("a.q_proj.q_invperm", "I16", &[4096]),
    ];
    assert_eq!(logical(&exl2, &json!({"quantization_config": {"quant_method": "exl2"}})).1, n);
    let block = [
        owned("model.layers.3.mlp.experts.gate_up_proj", "F8_E4M3", &[8, 256, 128]),
        owned("model.layers.3.mlp.experts.gate_up_proj_scale_inv", "F32", &[8, 2, 1]),
    ];
    assert_eq!(logical(&block, &json!({"quantization_config": {"quant_method": "fp8"}})).1, 8 * 256 * 128);
    let int4 = [
        owned("a.q_proj._weight_qdata", "I8", &[4096, 2048]),
        owned("a.q_proj._weight_scale", "BF16", &[32, 4096]),
        owned("a.q_proj._weight_zero_point", "BF16", &[32, 4096]),
    ];
    let (read, sum) = logical(&int4, &json!({"quantization_config": {"quant_method": "torchao"}}));
    let quantization = read.quantization.unwrap();
    assert_eq!((sum, quantization.bits, quantization.group_size), (n, Some(4), Some(128)));
    let old_3bit = [
        owned("a.q_proj.weight_packed", "I32", &[4096, 410]),
        owned("a.q_proj.weight_scale", "BF16", &[4096, 32]),
        owned("a.q_proj.weight_shape", "I64", &[2]),
    ];
    let config = json!({"compression_config": {"quant_method": "compressed-tensors",
        "config_groups": {"group_0": {"weights": {"num_bits": 3, "group_size": 128}}}}});
    assert_eq!(logical(&old_3bit, &config).1, n);
    let gemv = [
        owned("a.q_proj.qweight", "I32", &[4096, 512]),
        owned("a.q_proj.scales", "F16", &[4096, 32]),
        owned("a.q_proj.qzeros", "I32", &[4096, 4]),
    ];
    assert_eq!(logical(&gemv, &json!({"quantization_config": {"quant_method": "awq", "bits": 4, "group_size": 128}})).1, n);
}

/// Without a configuration, the content of small tensors settles what shapes leave open; without either nothing is guessed.
#[test]
fn small_tensors_are_read_where_shapes_do_not_tell() {
    let hqq = [
        owned("a.W_q", "U8", &[32, 3072]),
        owned("a.scale", "BF16", &[1, 3072]),
        owned("a.zero", "BF16", &[1, 3072]),
        owned("a.shape", "I64", &[2]),
    ];
    let views = views(&hqq);
    let unknown = interpret(&views, None, Format::Safetensors);
    assert_eq!((unknown.unresolved, unknown.parts[0].logical_params), (1, 32 * 3072));
    assert!(unknown.notes.iter().any(|note| note.contains("not known")));
    let read = |index: usize| (index == 3).then(|| [256u64, 768].iter().flat_map(|d| d.to_le_bytes()).collect());
    let known = interpret_with(&views, None, Format::Safetensors, Some(&read));
    assert_eq!((known.unresolved, known.parts[0].logical_params), (0, 256 * 768));
    assert_eq!(known.parts[0].logical_shape.as_deref(), Some([256u64, 768].as_slice()));
    assert_eq!(known.quantization.unwrap().bits, Some(4));
}

#[test]
fn bitsandbytes_text_gives_the_shape() {
    let text = br#"{"quant_type":"nf4","blocksize":64,"dtype":"bfloat16","shape":[3,85]}"#;
    let tensors = [
        owned("a.weight", "U8", &[128, 1]),
        owned("a.weight.absmax", "F32", &[4]),
        owned("a.weight.quant_map", "F32", &[16]),
        owned("a.weight.quant_state.bitsandbytes__nf4", "U8", &[text.len() as u64]),
    ];
    let views = views(&tensors);
    let read = |index: usize| (index == 3).then(|| text.to_vec());
    let known = interpret_with(&views, None, Format::Safetensors, Some(&read));
    assert_eq!((known.parts[0].logical_params, known.quantization.unwrap().group_size), (255, Some(64)));
    // A hostile text that claims another size is not believed.
    let lying = |index: usize| (index == 3).then(|| vec![b' '; text.len()]);
    assert_eq!(interpret_with(&views, None, Format::Safetensors, Some(&lying)).parts[0].logical_params, 256);
}

#[test]
fn configuration_and_tensors_that_disagree_are_noted() {
    let plain = [owned("model.layers.0.self_attn.q_proj.weight", "BF16", &[64, 64])];
    let (read, sum) = logical(&plain, &json!({"quantization_config": {"quant_method": "gptq", "bits": 4}}));
    assert_eq!((sum, read.quantization), (4096, None));
    assert!(read.notes[0].contains("no weight is packed"), "{:?}", read.notes);

    let int8 = [owned("a.weight", "I8", &[64, 64]), owned("a.SCB", "F32", &[64])];
    let (read, _) = logical(&int8, &json!({"quantization_config": {"quant_method": "awq", "bits": 4}}));
    assert_eq!(read.quantization.unwrap().method, "bitsandbytes");
    assert!(read.notes.iter().any(|note| note.contains("`awq`")), "{:?}", read.notes);

    let spqr = [owned("a.dense_weights", "I64", &[64, 8]), owned("a.in_perm", "I64", &[64])];
    let (read, _) = logical(&spqr, &json!({"quantization_config": {"quant_method": "spqr"}}));
    assert_eq!((read.quantization.unwrap().method.as_str(), read.unresolved), ("spqr", 1));

    // A byte a weight under a 4-bit label.
    let w4a8 = fixtures().into_iter().find(|c| c.scheme == "ct-w4a8").unwrap();
    let (read, _) = logical(&w4a8.tensors, &w4a8.config);
    assert!(read.notes.iter().any(|note| note.contains("4 bits") && note.contains("8 bits")), "{:?}", read.notes);
}

#[test]
fn plain_checkpoints_are_left_alone() {
    let tensors = [
        owned("logit_scale", "F32", &[]),
        owned("encoder.output_scale", "F32", &[8]),
        owned("embeddings.position_ids", "I64", &[1, 512]),
        owned("embeddings.weight", "F32", &[512, 8]),
    ];
    let read = interpret(&views(&tensors), Some(&json!({"model_type": "bert"})), Format::Safetensors);
    assert_eq!(read.quantization, None);
    let parts: Vec<_> = read.parts.iter().map(|p| (p.part, p.logical_params)).collect();
    assert_eq!(parts, [(Part::Weight, 1), (Part::Weight, 8), (Part::Buffer, 0), (Part::Weight, 4096)]);
    assert!(read.notes.is_empty());
}

#[test]
fn gguf_is_ggml() {
    let tensor = |name, dtype, elements: u64| TensorView { name, dtype, shape: &[], elements, bytes: 0, buffer: false };
    let q8 = [tensor("blk.0.attn_q.weight", Dtype::Q8_0, 1024), tensor("blk.0.attn_norm.weight", Dtype::F32, 32)];
    let read = interpret(&q8, None, Format::Gguf);
    let quantization = read.quantization.unwrap();
    assert_eq!((quantization.method.as_str(), quantization.bits, quantization.group_size), ("ggml", Some(8), Some(32)));
    assert_eq!(read.parts.iter().map(|p| p.logical_params).sum::<u64>(), 1056);
    let mixed = [tensor("blk.0.attn_q.weight", Dtype::Q4_K, 1024), tensor("output.weight", Dtype::Q6_K, 1024)];
    assert_eq!(interpret(&mixed, None, Format::Gguf).quantization.unwrap().bits, None);
    assert_eq!(interpret(&q8[1..], None, Format::Gguf).quantization, None);
}

#[test]
fn hostile_shapes_do_not_overflow() {
    let big = u64::MAX / 2;
    for tensors in [
        vec![
            owned_raw("a.qweight", Dtype::I32, &[big, big]),
            owned_raw("a.scales", Dtype::F16, &[big, big]),
            owned_raw("a.g_idx", Dtype::I32, &[big]),
        ],
        vec![
            owned_raw("a.weight_packed", Dtype::I32, &[big, big]),
            owned_raw("a.weight_scale", Dtype::F16, &[big, big]),
            owned_raw("a.weight_zero_point", Dtype::I32, &[big, 1]),
        ],
        vec![
            owned_raw("a.trellis", Dtype::I16, &[big, big, 3]),
            owned_raw("a.W_q", Dtype::I32, &[big, big]),
            owned_raw("a.scale", Dtype::F16, &[1, big]),
        ],
        vec![owned_raw("a_blocks", Dtype::U8, &[big, big, 16]), owned_raw("a_scales", Dtype::U8, &[big, big])],
        vec![owned_raw("a.weight", Dtype::U32, &[big, big]), owned_raw("a.scales", Dtype::F16, &[big, 0])],
        vec![owned_raw("a.weight._data._data", Dtype::U8, &[big, big]), owned_raw("a.weight._scale", Dtype::F16, &[0, 0])],
        vec![owned_raw("a.qweight", Dtype::I8, &[]), owned_raw("a.scale", Dtype::F32, &[])],
    ] {
        let views: Vec<TensorView<'_>> = tensors
            .iter()
            .map(|t| TensorView { name: &t.name, dtype: t.dtype, shape: &t.shape, elements: big, bytes: big, buffer: false })
            .collect();
        let config = json!({"quantization_config": {"bits": 3, "group_size": big, "quant_method": "gptq",
            "config_groups": {"a": {"weights": {"num_bits": 3, "group_size": big}}}}});
        interpret(&views, Some(&config), Format::Safetensors);
        interpret(&views, None, Format::Safetensors);
    }
}

fn owned_raw(name: &str, dtype: Dtype, shape: &[u64]) -> Owned {
    Owned { name: name.to_owned(), dtype, shape: shape.to_vec() }
}

/// A method that nobody registered would compile in silence.
#[test]
fn every_method_is_registered() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/checkpoint/packed/methods");
    let sources = std::fs::read_dir(folder).unwrap().map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap());
    let rows: usize = sources
        .map(|text| text.lines().filter(|line| line.starts_with("pub(super) const") && line.contains(": Method =")).count())
        .sum();
    assert_eq!(rows, METHODS.len());
}
