//! What stands between a projection and "exact": parts of a set, orders and classes that are not known, tensors that a class has not.

use std::path::Path;

use crate::build::{packed, put};
use serde_json::{Value, json};
use weighbridge::checkpoint::{OpenOptions, open};
use weighbridge::project::quantize;
use weighbridge::project::row::QuantizedRow;
use weighbridge::project::{Basis, ProjectInput, Projection, Request, Target, project};

type Tensor = (String, Vec<u64>);

/// The tensors of a small Llama with two blocks, as transformers saves it.
fn llama(experts: bool) -> Vec<Tensor> {
    let mut out = vec![("model.embed_tokens.weight".to_owned(), vec![512, 64]), ("model.norm.weight".to_owned(), vec![64])];
    out.push(("lm_head.weight".to_owned(), vec![512, 64]));
    for layer in 0..2 {
        let mut add = |part: &str, shape: &[u64]| out.push((format!("model.layers.{layer}.{part}.weight"), shape.to_vec()));
        for (part, rows) in [("q_proj", 64), ("k_proj", 32), ("v_proj", 32), ("o_proj", 64)] {
            add(&format!("self_attn.{part}"), &[rows, 64]);
        }
        add("input_layernorm", &[64]);
        add("post_attention_layernorm", &[64]);
        if experts {
            add("self_attn.q_norm", &[16]);
            add("self_attn.k_norm", &[16]);
            add("mlp.gate", &[4, 64]);
        }
        for expert in 0..if experts { 4 } else { 1 } {
            let place = if experts { format!("mlp.experts.{expert}.") } else { "mlp.".to_owned() };
            for (part, shape) in [("gate_proj", [128, 64]), ("up_proj", [128, 64]), ("down_proj", [64, 128])] {
                add(&format!("{place}{part}"), &shape);
            }
        }
    }
    out
}

fn config(class: &str, family: &str) -> Value {
    json!({"architectures": [class], "model_type": family, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "head_dim": 16, "intermediate_size": 128, "vocab_size": 512, "tie_word_embeddings": false})
}

fn file(tensors: &[Tensor]) -> Vec<u8> {
    let rows: Vec<(&str, &str, &[u64])> = tensors.iter().map(|(name, shape)| (name.as_str(), "BF16", shape.as_slice())).collect();
    packed(&rows, 2)
}

/// A folder of one file and a configuration.
fn folder(config: &Value, tensors: &[Tensor]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "model.safetensors", file(tensors));
    put(folder.path(), "config.json", config.to_string());
    folder
}

fn projected(path: &Path, targets: &str, budget: Option<u64>) -> Projection {
    let checkpoint = open(path, &OpenOptions::default()).unwrap();
    let input = ProjectInput::from_checkpoint(&checkpoint);
    project(&input, &Request { targets: Target::parse_list(targets, input.format), budget, ..Request::default() })
}

fn one(path: &Path, target: &str) -> QuantizedRow {
    projected(path, target, None).quantized.remove(0)
}

fn says(row: &QuantizedRow, part: &str) -> bool {
    row.notes.iter().any(|note| note.contains(part))
}

/// Every safetensors scheme, and a few GGUF targets.
fn many() -> String {
    let names = quantize::all().filter(|s| s.name != "auto").map(|s| format!("{}:{}", s.container.name(), s.name));
    names.collect::<Vec<_>>().join(",")
}

#[test]
fn a_set_that_lacks_a_shard_is_projected_to_lower_bounds() {
    let whole = tempfile::tempdir().unwrap();
    let all = llama(false);
    let (first, second) = all.split_at(all.len() / 2);
    let names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
    let config = config("LlamaForCausalLM", "llama").to_string();
    let map: serde_json::Map<String, Value> = first
        .iter()
        .map(|(name, _)| (name.clone(), json!(names[0])))
        .chain(second.iter().map(|(name, _)| (name.clone(), json!(names[1]))))
        .collect();
    let index = json!({"metadata": {}, "weight_map": map}).to_string();
    let part = tempfile::tempdir().unwrap();
    for (dir, shards) in [(&whole, 2), (&part, 1)] {
        put(dir.path(), names[0], file(first));
        if shards == 2 {
            put(dir.path(), names[1], file(second));
        }
        put(dir.path(), "config.json", &config);
        put(dir.path(), "model.safetensors.index.json", &index);
    }
    let (of_whole, of_part) = (projected(whole.path(), &many(), Some(1 << 30)), projected(part.path(), &many(), Some(1 << 30)));
    assert!(of_whole.quantized.iter().filter(|row| row.basis == Basis::Exact).count() > 60);
    assert!(of_whole.quantized.iter().any(|row| row.fits == Some(true)));
    let mut bounds = 0;
    for (whole, part) in of_whole.quantized.iter().zip(&of_part.quantized) {
        assert!(matches!(part.basis, Basis::Estimate | Basis::Refused), "{}: {:?}", part.scheme, part.basis);
        assert_eq!(part.fits, None, "{}", part.scheme);
        if let (Some(low), Basis::Exact, Some(bytes)) = (part.tensor_bytes_low, whole.basis, whole.tensor_bytes) {
            assert!(low < bytes && part.tensor_bytes_high.is_none() && part.file_bytes_high.is_none(), "{}", part.scheme);
            assert!(says(part, "lower bounds"), "{:?}", part.notes);
            bounds += 1;
        }
    }
    assert!(bounds > 60, "{bounds}");
    // What is too large already stays too large.
    assert_eq!(projected(part.path(), "bf16", Some(1)).quantized[0].fits, Some(false));
}

#[test]
fn a_file_that_is_cut_short_is_projected_as_its_header_promises() {
    let dir = folder(&config("LlamaForCausalLM", "llama"), &llama(false));
    let whole = one(dir.path(), "int8");
    assert_eq!(whole.basis, Basis::Exact, "{:?}", whole.notes);
    let bytes = file(&llama(false));
    put(dir.path(), "model.safetensors", &bytes[..bytes.len() - 1_000]);
    let cut = projected(dir.path(), "int8", Some(1 << 30)).quantized.remove(0);
    assert_eq!((cut.basis, cut.tensor_bytes, cut.fits), (Basis::Estimate, whole.tensor_bytes, None));
    assert!(says(&cut, "cut short") && says(&cut, "headers promise"), "{:?}", cut.notes);
    assert_eq!(cut.tensor_bytes_low, None);
}

#[test]
fn a_file_with_bounds_is_not_exact() {
    // MLX writes in the order of a hash map, which is another one on another system.
    let dir = folder(&config("LlamaForCausalLM", "llama"), &llama(false));
    let mlx = one(dir.path(), "mlx-4bit-g64");
    assert_eq!((mlx.basis, mlx.tensor_bytes_low), (Basis::Range, None), "{:?}", mlx.notes);
    let (low, likely, high) = (mlx.file_bytes_low.unwrap(), mlx.file_bytes.unwrap(), mlx.file_bytes_high.unwrap());
    assert!(low <= likely && likely <= high && low < high && high - low < 2_000, "{low} {likely} {high}");
    assert!(says(&mlx, "Linux"));
    for row in projected(dir.path(), &many(), None).quantized {
        let bounds = [row.tensor_bytes_low, row.tensor_bytes_high, row.file_bytes_low, row.file_bytes_high];
        assert!(row.basis != Basis::Exact || bounds.iter().all(Option::is_none), "{}: {:?}", row.scheme, row.notes);
    }
}

#[test]
fn an_order_or_a_class_that_is_not_known_is_no_exact_size() {
    // The modules of this class stand in an order that nobody looked at.
    let mut tensors = llama(false);
    tensors.iter_mut().for_each(|(name, _)| *name = name.replace("mlp.", "feed."));
    let dir = folder(&config("OtherForCausalLM", "other"), &tensors);
    for row in projected(dir.path(), &many(), None).quantized {
        let unbounded = ["f32", "f16", "bf16"].contains(&row.scheme.as_str());
        assert_ne!(row.basis, Basis::Exact, "{}", row.scheme);
        if row.basis == Basis::Estimate && row.container == Some("safetensors") && !unbounded {
            assert!(says(&row, "`OtherForCausalLM`"), "{}: {:?}", row.scheme, row.notes);
            assert!(row.file_bytes_low < row.file_bytes_high, "{}", row.scheme);
        }
    }
}

#[test]
fn tensors_that_the_class_has_not_take_exact_back() {
    let config = config("LlamaForCausalLM", "llama");
    let llama_and = |name: &str, shape: &[u64]| {
        let mut tensors = llama(false);
        tensors.push((name.to_owned(), shape.to_vec()));
        folder(&config, &tensors)
    };
    assert_eq!(one(folder(&config, &llama(false)).path(), "bf16").basis, Basis::Exact);
    for (name, shape) in [("model.layers.0.self_attn.rotary_emb.inv_freq", &[8][..]), ("value_head.weight", &[1, 64])] {
        let folder = llama_and(name, shape);
        for target in ["bf16", "int8", "bnb-nf4"] {
            let row = one(folder.path(), target);
            assert!(row.basis == Basis::Estimate && says(&row, name), "{target}: {:?} {:?}", row.basis, row.notes);
            assert!(row.tensor_bytes_low < row.tensor_bytes, "{target} {name}");
        }
    }
    // An output head that the configuration says is the embedding: dropped if the two are equal.
    let mut tied = config.clone();
    tied["tie_word_embeddings"] = json!(true);
    let row = one(folder(&tied, &llama(false)).path(), "f16");
    assert_eq!((row.basis, row.tensor_bytes_low), (Basis::Estimate, row.tensor_bytes.map(|n| n - 512 * 64 * 2)));
    // A model without its head, and not tied: transformers would make one.
    let mut headless = llama(false);
    headless.retain(|(name, _)| name != "lm_head.weight");
    let row = one(folder(&config, &headless).path(), "int8");
    assert!(row.basis == Basis::Estimate && says(&row, "lm_head.weight"), "{:?}", row.notes);
}

#[test]
fn fp8_and_int8_of_a_mixture_are_what_llm_compressor_writes() {
    let dir = folder(&config("Qwen3MoeForCausalLM", "qwen3_moe"), &llama(true));
    for (alias, preset) in [("fp8", "fp8-dynamic"), ("int8", "w8a8")] {
        let row = one(dir.path(), alias);
        assert_eq!((row.scheme.as_str(), row.basis), (format!("lc-{preset}").as_str(), Basis::Exact), "{:?}", row.notes);
        let alone = one(dir.path(), &format!("ct-{preset}"));
        assert!(says(&alone, "26 expert and router tensors are kept: this tool leaves"), "{:?}", alone.notes);
        assert!(says(&alone, "llm-compressor takes them one by one"), "{:?}", alone.notes);
        assert!(row.notes.iter().any(|note| note == "2 router tensors are kept"), "{:?}", row.notes);
        // 24 matrices of 8,192 experts' weights: a byte each less, and two for the scale of a row.
        let scales = 2 * 4 * (128 + 128 + 64) * 2;
        assert_eq!(alone.tensor_bytes.unwrap() - row.tensor_bytes.unwrap(), 24 * 8_192 - scales);
    }
    let dense = folder(&config("LlamaForCausalLM", "llama"), &llama(false));
    assert_eq!(one(dense.path(), "fp8").scheme, "ct-fp8-dynamic");
}

#[test]
fn experts_in_one_tensor_are_taken_apart_by_llm_compressor_alone() {
    let mut tensors = llama(true);
    tensors.retain(|(name, _)| !name.contains(".experts."));
    for layer in 0..2 {
        tensors.push((format!("model.layers.{layer}.mlp.experts.gate_up_proj"), vec![4, 256, 64]));
        tensors.push((format!("model.layers.{layer}.mlp.experts.down_proj"), vec![4, 64, 128]));
    }
    let stacked = folder(&config("Qwen3MoeForCausalLM", "qwen3_moe"), &tensors);
    let single = folder(&config("Qwen3MoeForCausalLM", "qwen3_moe"), &llama(true));
    let (a, b) = (one(stacked.path(), "lc-w8a8"), one(single.path(), "lc-w8a8"));
    assert_eq!((a.tensor_bytes, &a.types), (b.tensor_bytes, &b.types));
    // Qwen3 was seen with single experts; with stacks this class was not.
    assert_eq!((a.basis, b.basis), (Basis::Estimate, Basis::Exact), "{:?}", a.notes);
    assert!(a.tensor_bytes_low <= b.tensor_bytes && b.tensor_bytes <= a.tensor_bytes_high);
    let kept = one(stacked.path(), "ct-w8a8");
    assert!(kept.tensor_bytes > a.tensor_bytes && kept.tensor_bytes_low <= a.tensor_bytes);
}
