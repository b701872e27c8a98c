//! Weight sets of the same tensor names in one folder: copies, forms of one model, other models, experts of one pipeline, slices of
//! tensor-parallel ranks. What is right follows from how the files are made here: the same seed means the same values.

use std::path::Path;

use crate::build::{Value as Key, gguf, put, raw};
use serde_json::{Value, json};
use tempfile::tempdir;
use weighbridge::checkpoint::{Checkpoint, Likeness, MAX_READ, Obstacle, OpenOptions, models_in, open};
use weighbridge::error::ErrorKind;

/// A tensor with its bytes.
#[derive(Clone)]
pub(super) struct T {
    pub(super) name: String,
    pub(super) dtype: &'static str,
    pub(super) shape: Vec<u64>,
    data: Vec<u8>,
}

/// Values of a seed between -1 and 1, none of them short in binary.
fn numbers(count: u64, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 40) as f32 / (1u64 << 23) as f32 - 1.0) * 0.987_654_3
    };
    (0..count).map(|_| next()).collect()
}

fn encode(dtype: &str, values: &[f32]) -> Vec<u8> {
    let one = |&x: &f32| match dtype {
        "F32" => x.to_le_bytes().to_vec(),
        "F16" => half::f16::from_f32(x).to_le_bytes().to_vec(),
        "BF16" => half::bf16::from_f32(x).to_le_bytes().to_vec(),
        // Codes of something packed.
        "U32" | "I32" => x.to_bits().to_le_bytes().to_vec(),
        _ => x.to_bits().to_le_bytes()[..1].to_vec(),
    };
    values.iter().flat_map(one).collect()
}

/// The values depend on the name and the seed, not on the type.
pub(super) fn t(name: &str, dtype: &'static str, shape: &[u64], seed: u64) -> T {
    let of_name = name.bytes().fold(seed, |n, b| n.wrapping_mul(31).wrapping_add(u64::from(b)));
    T { name: name.to_owned(), dtype, shape: shape.to_vec(), data: encode(dtype, &numbers(shape.iter().product(), of_name)) }
}

pub(super) fn save(path: &Path, tensors: &[T]) {
    let (mut entries, mut data) = (Vec::new(), Vec::new());
    for t in tensors {
        let begin = data.len();
        data.extend_from_slice(&t.data);
        entries.push(format!(
            "{:?}:{{\"dtype\":{:?},\"shape\":{:?},\"data_offsets\":[{begin},{}]}}",
            t.name,
            t.dtype,
            t.shape,
            data.len()
        ));
    }
    put(path.parent().unwrap(), path.file_name().unwrap().to_str().unwrap(), raw(&format!("{{{}}}", entries.join(",")), &data));
}

/// A llama of two layers: 106,816 parameters, of which 320 are norms.
pub(super) fn llama(dtype: &'static str, seed: u64) -> Vec<T> {
    let (h, f, kv, v) = (64, 128, 32, 256);
    let mut out = vec![t("model.embed_tokens.weight", dtype, &[v, h], seed)];
    for i in 0..2 {
        let p = format!("model.layers.{i}.");
        for (name, rows, columns) in [
            ("self_attn.q_proj", h, h),
            ("self_attn.k_proj", kv, h),
            ("self_attn.v_proj", kv, h),
            ("self_attn.o_proj", h, h),
            ("mlp.gate_proj", f, h),
            ("mlp.up_proj", f, h),
            ("mlp.down_proj", h, f),
        ] {
            out.push(t(&format!("{p}{name}.weight"), dtype, &[rows, columns], seed));
        }
        out.push(t(&format!("{p}input_layernorm.weight"), dtype, &[h], seed));
        out.push(t(&format!("{p}post_attention_layernorm.weight"), dtype, &[h], seed));
    }
    out.push(t("model.norm.weight", dtype, &[h], seed));
    out.push(t("lm_head.weight", dtype, &[v, h], seed));
    out
}

pub(super) fn config(dir: &Path) {
    let config = json!({"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 64, "intermediate_size": 128,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "vocab_size": 256,
        "max_position_embeddings": 2048, "rms_norm_eps": 1e-5, "tie_word_embeddings": false, "torch_dtype": "bfloat16"});
    put(dir, "config.json", config.to_string());
}

/// Rank `rank` of `ranks` as vLLM, Megatron and others cut a llama: rows of most matrices, columns of those that end a block.
fn slice(whole: &[T], rank: u64, ranks: u64) -> Vec<T> {
    let cut = |tensor: &T| {
        let mut out = tensor.clone();
        if tensor.shape.len() < 2 {
            return out;
        }
        let columns = ["o_proj", "down_proj"].iter().any(|end| tensor.name.contains(end));
        let each = tensor.data.len() / tensor.shape.iter().product::<u64>() as usize;
        let row = tensor.shape[1] as usize * each;
        // Two heads of keys and values over four ranks: two ranks hold each.
        let shared = ["k_proj", "v_proj"].iter().any(|part| tensor.name.contains(part)) && ranks > 2;
        let (part, parts) = if shared { (rank / (ranks / 2), 2) } else { (rank, ranks) };
        if columns {
            out.shape[1] /= parts;
            let width = row / parts as usize;
            out.data = tensor.data.chunks(row).flat_map(|r| r[part as usize * width..][..width].to_vec()).collect();
        } else {
            out.shape[0] /= parts;
            let len = tensor.data.len() / parts as usize;
            out.data = tensor.data[part as usize * len..][..len].to_vec();
        }
        out
    };
    whole.iter().map(cut).collect()
}

pub(super) fn weigh(args: &[&str]) -> String {
    let done = crate::program::program().args(args).env("NO_COLOR", "1").output().unwrap();
    String::from_utf8(done.stdout).unwrap()
}

pub(super) fn show(dir: &Path) -> Value {
    serde_json::from_str(&weigh(&["show", "--format", "json", dir.to_str().unwrap()])).unwrap()
}

/// Stored elements and parameters of the totals.
pub(super) fn totals(dir: &Path) -> (u64, u64) {
    let totals = &show(dir)["totals"];
    (totals["stored_elements"].as_u64().unwrap(), totals["logical_params"].as_u64().unwrap())
}

/// Code and message of every finding about weights that stand twice, are other ones, or have wrong shapes.
fn findings(dir: &Path) -> Vec<(String, String)> {
    let audit: Value = serde_json::from_str(&weigh(&["audit", "--format", "json", dir.to_str().unwrap()])).unwrap();
    let row = |f: &Value| {
        let help = f["help"].as_str().unwrap_or_default();
        (f["code"].as_str().unwrap().to_owned(), format!("{} {help}", f["message"].as_str().unwrap()))
    };
    let about =
        ["duplicate-weights", "different-weights", "tensor-parallel-slices", "attention-shape", "vocabulary-size", "layer-count"];
    audit["findings"].as_array().unwrap().iter().map(row).filter(|(code, _)| about.contains(&code.as_str())).collect()
}

fn codes(dir: &Path) -> Vec<String> {
    findings(dir).into_iter().map(|(code, _)| code).collect()
}

/// Words that call something a copy, or tell to throw it away.
fn calls_for_less(text: &str) -> bool {
    ["not needed", "keep one", "delete", "remove", "enough", "copies", "a copy", "further copy"]
        .iter()
        .any(|word| text.contains(word))
}

fn never_calls_for_less(dir: &Path) {
    for command in ["show", "audit", "memory", "project"] {
        let said = weigh(&[command, dir.to_str().unwrap()]).split_whitespace().collect::<Vec<_>>().join(" ");
        // The headline of a possibly tied head speaks of a copy too; no test here has one.
        assert!(!calls_for_less(&said), "{command}: {said}");
    }
}

/// The names that the refusal of a folder of several models lists, with the paths to give, by every command.
pub(super) fn refused(dir: &Path) -> Vec<String> {
    for command in ["show", "audit", "memory", "project", "scan"] {
        let done = crate::program::program().args([command, dir.to_str().unwrap()]).env("NO_COLOR", "1").output().unwrap();
        let said = String::from_utf8(done.stderr).unwrap();
        assert!(done.status.code() == Some(2) && said.contains("models, which are not weighed as one"), "{command}: {said}");
    }
    assert_eq!(open(dir, &OpenOptions::default()).unwrap_err().kind(), ErrorKind::SeveralModels);
    let models = models_in(dir).unwrap();
    for model in &models {
        // Each opens by itself, and nothing of its neighbours is in it.
        let alone = opened(&dir.join(&model.path));
        let inside = |f: &weighbridge::checkpoint::CheckpointFile| {
            model.files.contains(&f.path.strip_prefix(dir).unwrap().to_string_lossy().replace('\\', "/"))
        };
        assert!(!alone.files.is_empty() && alone.files.iter().all(inside), "{model:?}");
    }
    models.into_iter().map(|model| format!("{} {}", model.name, model.path.display())).collect()
}

pub(super) fn opened(dir: &Path) -> Checkpoint {
    open(dir, &OpenOptions::default()).unwrap()
}

/// What is known of the set of that name beside the one that it may be taken for.
pub(super) fn likeness(checkpoint: &Checkpoint, name: &str) -> Likeness {
    let set = checkpoint.components.iter().flat_map(|c| &c.weight_sets).find(|s| s.name == name);
    set.unwrap_or_else(|| panic!("{name}: {:?}", checkpoint.components)).against.clone().unwrap().likeness
}

#[test]
fn slices_of_tensor_parallel_ranks_are_one_model() {
    for names in [
        ["model-rank-0-part-0", "model-rank-1-part-0"],
        ["rank0", "rank1"],
        ["model0-mp2", "model1-mp2"],
        // No writer's names: shapes tell.
        ["left", "right"],
    ] {
        // Slices of one model, and slices whose bytes happen to be the same.
        for same in [false, true] {
            let dir = tempdir().unwrap();
            config(dir.path());
            for (rank, name) in names.iter().enumerate() {
                let rank = if same { 0 } else { rank as u64 };
                save(&dir.path().join(format!("{name}.safetensors")), &slice(&llama("BF16", 1), rank, 2));
            }
            // Norms stand whole in both: 320 elements more than the model has.
            assert_eq!(totals(dir.path()), (107_136, 106_816), "{names:?}");
            assert_eq!(codes(dir.path()), ["tensor-parallel-slices"], "{names:?}");
            never_calls_for_less(dir.path());
        }
    }
}

#[test]
fn each_device_holds_the_bytes_of_its_own_slice() {
    let dir = tempdir().unwrap();
    config(dir.path());
    for rank in 0..2 {
        let name = format!("model-rank-{rank}-part-0.safetensors");
        save(&dir.path().join(name), &slice(&llama("BF16", 1), rank, 2));
    }
    let args = ["memory", "--format", "json", "--engine", "vllm", "--tp", "2", dir.path().to_str().unwrap()];
    let memory: Value = serde_json::from_str(&weigh(&args)).unwrap();
    for device in memory["engines"][0]["devices"].as_array().unwrap() {
        let weights = device["terms"].as_array().unwrap().iter().find(|t| t["name"] == "weights").unwrap();
        assert_eq!((&weights["low"], &weights["high"]), (&107_136.into(), &107_136.into()), "{device}");
    }
}

#[test]
fn four_ranks_share_two_heads_of_keys() {
    let dir = tempdir().unwrap();
    config(dir.path());
    for rank in 0..4 {
        // vLLM writes a rank in several parts when it is large.
        let tensors = slice(&llama("BF16", 1), rank, 4);
        save(&dir.path().join(format!("model-rank-{rank}-part-0.safetensors")), &tensors[..9]);
        save(&dir.path().join(format!("model-rank-{rank}-part-1.safetensors")), &tensors[9..]);
    }
    let stored: u64 = (0..4).flat_map(|rank| slice(&llama("BF16", 1), rank, 4)).map(|t| t.shape.iter().product::<u64>()).sum();
    assert_eq!(totals(dir.path()), (stored, 106_816));
    assert_eq!(codes(dir.path()), ["tensor-parallel-slices"]);
}

#[test]
fn a_missing_rank_is_named() {
    for names in [["a", "b"], ["model0-mp4", "model2-mp4"]] {
        let dir = tempdir().unwrap();
        config(dir.path());
        for (rank, name) in names.iter().enumerate() {
            save(&dir.path().join(format!("{name}.safetensors")), &slice(&llama("BF16", 1), 2 * rank as u64, 4));
        }
        let said = show(dir.path())["errors"].to_string();
        assert!(said.contains("one of 4 tensor-parallel ranks, of which 2 are here"), "{said}");
        assert!(!codes(dir.path()).contains(&"duplicate-weights".to_owned()));
    }
}

#[test]
fn ranks_with_experts_of_their_own() {
    let dir = tempdir().unwrap();
    for rank in 0..2u64 {
        let expert = |e: u64| t(&format!("layers.0.ffn.experts.{}.w1.weight", 2 * rank + e), "BF16", &[16, 8], 1);
        let shared = [t("embed.weight", "BF16", &[32, 8], rank), t("layers.0.attn_norm.weight", "BF16", &[8], 1)];
        save(&dir.path().join(format!("model{rank}-mp2.safetensors")), &[shared.to_vec(), vec![expert(0), expert(1)]].concat());
    }
    // 2 x (256 + 8 + 2 x 128); without a config.json nothing tells that the norm is whole in both.
    assert_eq!(totals(dir.path()), (1040, 1040));
    assert_eq!(codes(dir.path()), ["tensor-parallel-slices"]);
}

#[test]
fn whole_models_in_files_named_by_ranks_are_no_slices() {
    let dir = tempdir().unwrap();
    config(dir.path());
    for rank in 0..2 {
        save(&dir.path().join(format!("rank{rank}.safetensors")), &llama("BF16", 1));
    }
    assert_eq!(totals(dir.path()), (106_816, 106_816));
    assert_eq!(codes(dir.path()), ["duplicate-weights"]);
    // Without a config.json their values tell: each process of a data-parallel run wrote the whole model, or its own slice.
    for (seed, code) in [(1, "duplicate-weights"), (2, "tensor-parallel-slices")] {
        let dir = tempdir().unwrap();
        save(&dir.path().join("rank0.safetensors"), &llama("BF16", 1));
        save(&dir.path().join("rank1.safetensors"), &llama("BF16", seed));
        assert_eq!(codes(dir.path()), [code]);
    }
    // The best and the second best model.
    let dir = tempdir().unwrap();
    save(&dir.path().join("rank1.safetensors"), &llama("BF16", 1));
    save(&dir.path().join("rank2.safetensors"), &llama("BF16", 2));
    assert_eq!(refused(dir.path()).len(), 2);
    // Adapters of rank 8 and 16.
    let dir = tempdir().unwrap();
    for rank in [8, 16] {
        let tensors = [t("q.lora_A.weight", "F32", &[rank, 32], 1), t("q.lora_B.weight", "F32", &[32, rank], 1)];
        save(&dir.path().join(format!("rank{rank}.safetensors")), &tensors);
    }
    assert_eq!(refused(dir.path()).len(), 2);
}

/// One expert of a video model.
fn expert(dtype: &'static str, seed: u64) -> Vec<T> {
    vec![t("blocks.0.self_attn.q.weight", dtype, &[64, 64], seed), t("blocks.0.ffn.0.weight", dtype, &[128, 64], seed)]
}

#[test]
fn two_experts_of_one_pipeline_both_count() {
    for [high, low] in [
        ["wan2.2_i2v_high_noise_14B", "wan2.2_i2v_low_noise_14B"],
        ["Wan2_2-I2V-A14B-HIGH_KJ", "Wan2_2-I2V-A14B-LOW_KJ"],
        ["transformer/diffusion_pytorch_model", "transformer_2/diffusion_pytorch_model"],
        ["high_noise_model/diffusion_pytorch_model", "low_noise_model/diffusion_pytorch_model"],
    ] {
        let dir = tempdir().unwrap();
        save(&dir.path().join(format!("{high}.safetensors")), &expert("BF16", 1));
        save(&dir.path().join(format!("{low}.safetensors")), &expert("BF16", 2));
        assert_eq!(totals(dir.path()), (24_576, 24_576), "{high}");
        assert_eq!(findings(dir.path()), [], "{high}");
        never_calls_for_less(dir.path());
    }
}

#[test]
fn the_forms_of_two_experts_stand_with_their_own() {
    let dir = tempdir().unwrap();
    let folder = dir.path().join("split_files/diffusion_models");
    for (seed, kind) in [(1, "high"), (2, "low")] {
        let mut fp8 = expert("F8_E4M3", seed);
        fp8.extend(["self_attn.q", "ffn.0"].map(|n| t(&format!("blocks.0.{n}.scale_weight"), "F32", &[], seed)));
        fp8.push(t("scaled_fp8", "F8_E4M3", &[2], 1));
        save(&folder.join(format!("wan2.2_i2v_{kind}_noise_14B_bf16.safetensors")), &expert("BF16", seed));
        save(&folder.join(format!("wan2.2_i2v_{kind}_noise_14B_fp8_scaled.safetensors")), &fp8);
    }
    save(&dir.path().join("split_files/vae/wan_2.1_vae.safetensors"), &[t("conv1.weight", "F32", &[16, 16], 1)]);
    assert_eq!(totals(dir.path()).0, 2 * 12_288 + 256);
    let sets = opened(dir.path()).components.into_iter().map(|c| c.weight_sets.into_iter().map(|s| s.name).collect::<Vec<_>>());
    let pair = |kind: &str| ["bf16", "fp8_scaled"].map(|form| format!("wan2.2_i2v_{kind}_noise_14B_{form}")).to_vec();
    assert_eq!(sets.collect::<Vec<_>>(), [pair("high"), pair("low"), vec!["wan_2.1_vae".to_owned()]]);
    assert_eq!(codes(dir.path()), ["duplicate-weights", "duplicate-weights"]);
    never_calls_for_less(dir.path());
}

#[test]
fn two_models_of_one_architecture_are_two() {
    for [a, b] in [["alpha", "beta"], ["lr-high", "lr-low"], ["checkpoint_a", "checkpoint_b"]] {
        let dir = tempdir().unwrap();
        save(&dir.path().join(format!("{a}.safetensors")), &llama("BF16", 1));
        save(&dir.path().join(format!("{b}.safetensors")), &llama("BF16", 2));
        assert_eq!(refused(dir.path()), [a, b].map(|name| format!("{name} {name}.safetensors")));
        // One that loaders take by its name is the model, and the other is said to be left out.
        std::fs::rename(dir.path().join(format!("{a}.safetensors")), dir.path().join("model.safetensors")).unwrap();
        assert_eq!(totals(dir.path()), (106_816, 106_816));
        let found = findings(dir.path());
        assert_eq!(codes(dir.path()), ["different-weights"]);
        assert!(found[0].1.contains(&format!("`{b}` holds other weights than `model`")), "{found:?}");
        assert!(found[0].1.contains("the figures are of `model`"), "{found:?}");
        for command in ["show", "memory", "project"] {
            let said = weigh(&[command, dir.path().to_str().unwrap()]).split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(said.contains(&format!("`{b}` beside `model`: same names, other values")), "{command}: {said}");
            assert!(said.contains("it is not in the totals"), "{command}: {said}");
        }
        never_calls_for_less(dir.path());
    }
}

#[test]
fn a_variant_that_holds_other_values_is_said_to() {
    for (variant, severity) in [("model.fp16", "warning"), ("model.ema", "note")] {
        let dir = tempdir().unwrap();
        save(&dir.path().join("model.safetensors"), &llama("F32", 1));
        save(&dir.path().join(format!("{variant}.safetensors")), &llama("F16", 2));
        assert_eq!(totals(dir.path()).0, 106_816);
        let audit: Value = serde_json::from_str(&weigh(&["audit", "--format", "json", dir.path().to_str().unwrap()])).unwrap();
        let found = audit["findings"].as_array().unwrap().iter().find(|f| f["code"] == "different-weights").unwrap();
        assert_eq!(found["severity"], severity, "{found}");
    }
}

/// A GGUF with F32 norms and one matrix of a type.
fn quant(dir: &Path, file: &str, name: Option<&str>, matrix: (u32, &[u8]), norms: u64) {
    let mut keys = vec![("general.architecture", Key::Text("llama"))];
    keys.extend(name.map(|name| ("general.name", Key::Text(name))));
    let mut data = matrix.1.to_vec();
    data.resize(data.len().next_multiple_of(32), 0);
    let at = data.len() as u64;
    data.extend(encode("F32", &numbers(64, norms)));
    let tensors: [(&str, &[u64], u32, u64); 2] =
        [("blk.0.ffn_up.weight", &[64, 32], matrix.0, 0), ("blk.0.attn_norm.weight", &[64], 0, at)];
    put(dir, file, gguf(&keys, &tensors, 32, &data));
}

const Q8_0: u32 = 8;
const Q4_0: u32 = 2;

fn bytes(count: usize, seed: u64) -> Vec<u8> {
    numbers(count as u64, seed).iter().map(|x| x.to_bits() as u8).collect()
}

#[test]
fn fine_tunes_of_one_base_in_gguf_are_two_models() {
    let (one, other) = (bytes(64 * 34, 1), bytes(64 * 34, 2));
    // By their values, by norms alone, by what they say of themselves though not a byte differs.
    for (names, second, norms) in [([None, None], &other, 7), ([None, None], &other, 8), ([Some("Alpha"), Some("Beta")], &one, 7)] {
        let dir = tempdir().unwrap();
        quant(dir.path(), "alpha-8b-Q8_0.gguf", names[0], (Q8_0, &one), 7);
        quant(dir.path(), "beta-8b-Q8_0.gguf", names[1], (Q8_0, second), norms);
        assert_eq!(refused(dir.path()).len(), 2);
    }
}

#[test]
fn quants_are_told_by_the_norms_they_share() {
    let (eight, four) = (bytes(64 * 34, 1), bytes(64 * 18, 1));
    let dir = tempdir().unwrap();
    quant(dir.path(), "toy-Q8_0.gguf", Some("Toy"), (Q8_0, &eight), 7);
    quant(dir.path(), "toy-Q4_0.gguf", Some("Toy"), (Q4_0, &four), 7);
    let checkpoint = opened(dir.path());
    assert_eq!(checkpoint.components.len(), 1);
    let like = likeness(&checkpoint, "toy-Q4_0");
    assert_eq!(like, Likeness::EqualSoFar { compared: 256, comparable: 256, of: 64 * 18 + 256, cast: false });
    assert!(!like.is_likely_copy() && like.to_string().contains("256 of 1,408 bytes compared"), "{like}");
    assert_eq!(codes(dir.path()), ["duplicate-weights"]);
    never_calls_for_less(dir.path());

    // Another model's quant under another name: its norms are others.
    quant(dir.path(), "other-Q4_0.gguf", None, (Q4_0, &four), 8);
    assert_eq!(refused(dir.path()), ["Toy toy-Q8_0.gguf", "other-Q4_0 other-Q4_0.gguf"]);
}

#[test]
fn a_cast_is_likely_a_copy_in_another_type() {
    for (wide, narrow) in [("F32", "F16"), ("F32", "BF16")] {
        let dir = tempdir().unwrap();
        save(&dir.path().join("model.safetensors"), &llama(wide, 1));
        save(&dir.path().join("model.fp16.safetensors"), &llama(narrow, 1));
        let checkpoint = opened(dir.path());
        let like = likeness(&checkpoint, "model.fp16");
        assert_eq!(like, Likeness::EqualSoFar { compared: 213_632, comparable: 213_632, of: 213_632, cast: true });
        assert_eq!(like.to_string(), "likely a copy in another type, 213,632 of 213,632 bytes compared");
        assert_eq!(codes(dir.path()), ["duplicate-weights"]);
        // Other values, of which each is near: no cast is off by that much.
        let mut near = llama(narrow, 1);
        near[3].data = encode(narrow, &numbers(32 * 64, 99));
        save(&dir.path().join("model.fp16.safetensors"), &near);
        assert!(likeness(&opened(dir.path()), "model.fp16").is_different());
    }
    // F16 and BF16 of one F32: neither is a cast of the other, and no difference proves anything.
    let dir = tempdir().unwrap();
    save(&dir.path().join("model.safetensors"), &llama("F16", 1));
    save(&dir.path().join("model.bf16.safetensors"), &llama("BF16", 1));
    let like = likeness(&opened(dir.path()), "model.bf16");
    assert!(matches!(like, Likeness::Incomparable(Obstacle::Rounded(_))), "{like}");
}

/// A model of 3 MiB: more than is compared whole.
fn large(seed: u64) -> Vec<T> {
    let layer = |i: u64| t(&format!("model.layers.{i}.mlp.up_proj.weight"), "F32", &[64, 1024], seed);
    (0..12).map(layer).chain([t("model.norm.weight", "F32", &[1024], seed)]).collect()
}

const LARGE: u64 = 12 * 64 * 1024 * 4 + 4096;

#[test]
fn a_copy_is_proven_by_all_bytes_and_likely_by_some() {
    let dir = tempdir().unwrap();
    for name in ["a", "b"] {
        save(&dir.path().join(format!("{name}.safetensors")), &llama("BF16", 1));
    }
    let like = likeness(&opened(dir.path()), "b");
    assert!(like.is_copy() && like.to_string() == "a copy: all 213,632 bytes of its tensors were compared and are equal", "{like}");
    let found = findings(dir.path());
    assert!(found.len() == 1 && found[0].1.contains("every byte of tensors was compared and is equal (213,632)"), "{found:?}");

    let dir = tempdir().unwrap();
    for name in ["a", "b"] {
        save(&dir.path().join(format!("{name}.safetensors")), &large(1));
    }
    let checkpoint = opened(dir.path());
    let like = likeness(&checkpoint, "b");
    let Likeness::EqualSoFar { compared, comparable, of, cast: false } = like else { panic!("{like}") };
    assert!(compared < of / 20 && (comparable, of) == (LARGE, LARGE), "{like}");
    assert!(checkpoint.compared_bytes <= 2 * MAX_READ, "{}", checkpoint.compared_bytes);
    assert!(like.is_likely_copy() && !like.is_copy());
    let found = findings(dir.path());
    assert!(found[0].1.contains("likely a copy,") && found[0].1.contains("of 3,149,824 bytes compared"), "{found:?}");
    assert!(!calls_for_less(
        &found[0].1.replace("likely a copy", "").replace("compare the whole files before one of them goes", "")
    ));
    assert_eq!(totals(dir.path()).0, LARGE / 4);
}

#[test]
fn a_range_that_differs_is_found_at_the_beginning_middle_and_end() {
    let dir = tempdir().unwrap();
    save(&dir.path().join("model.safetensors"), &large(1));
    let size = 64 * 1024 * 4;
    for (tensor, byte) in [(0, 0), (0, size / 2), (5, 100), (11, size - 1), (12, 5)] {
        let mut other = large(1);
        other[tensor].data[byte] ^= 1;
        save(&dir.path().join("consolidated.safetensors"), &other);
        let like = likeness(&opened(dir.path()), "consolidated");
        let name = &other[tensor].name;
        assert!(like.is_different() && like.to_string().contains(name.as_str()), "{tensor} {byte}: {like}");
    }
    // Where nothing is read nothing is seen, and the answer does not say otherwise.
    let mut other = large(1);
    other[1].data[size / 3] ^= 1;
    save(&dir.path().join("consolidated.safetensors"), &other);
    let like = likeness(&opened(dir.path()), "consolidated");
    assert!(like.is_likely_copy() && !like.is_copy(), "{like}");
}

/// A linear layer as MLX packs it, with a norm.
fn mlx(bits: u64, norm: u64) -> Vec<T> {
    vec![
        t("model.layers.0.mlp.up_proj.weight", "U32", &[128, 128 * bits / 32], bits),
        t("model.layers.0.mlp.up_proj.scales", "F16", &[128, 2], bits),
        t("model.layers.0.mlp.up_proj.biases", "F16", &[128, 2], bits),
        t("model.norm.weight", "F16", &[128], norm),
    ]
}

#[test]
fn two_packings_of_one_model_are_no_two_models() {
    let dir = tempdir().unwrap();
    // Scales of one name, type and shape, and of other values: 8 bits need other ones than 4.
    save(&dir.path().join("model.safetensors"), &mlx(8, 1));
    save(&dir.path().join("model.int4.safetensors"), &mlx(4, 1));
    let like = likeness(&opened(dir.path()), "model.int4");
    assert!(matches!(like, Likeness::EqualSoFar { compared: 256, comparable: 256, .. }), "{like}");
    assert_eq!(codes(dir.path()), ["duplicate-weights"]);
    never_calls_for_less(dir.path());

    // AWQ divides a norm by the scales it folds into the weights behind it.
    let dir = tempdir().unwrap();
    let plain = vec![t("model.layers.0.mlp.up_proj.weight", "F16", &[128, 64], 1), t("model.norm.weight", "F16", &[64], 1)];
    let mut packed = vec![t("model.norm.weight", "F16", &[64], 2)];
    for (name, dtype, shape) in [("qweight", "I32", [64, 16]), ("qzeros", "I32", [1, 16]), ("scales", "F16", [1, 128])] {
        packed.push(t(&format!("model.layers.0.mlp.up_proj.{name}"), dtype, &shape, 1));
    }
    save(&dir.path().join("model.safetensors"), &plain);
    save(&dir.path().join("quantized/model.safetensors"), &packed);
    let like = likeness(&opened(dir.path()), "quantized/model");
    assert!(matches!(like, Likeness::Incomparable(Obstacle::Quantized(_))), "{like}");
    assert_eq!(codes(dir.path()), ["duplicate-weights"]);
    never_calls_for_less(dir.path());
}

#[test]
fn other_shapes_are_another_model() {
    let dir = tempdir().unwrap();
    save(&dir.path().join("large.safetensors"), &[t("wte.weight", "F32", &[64, 32], 1), t("h.0.ln_1.weight", "F32", &[32], 1)]);
    save(&dir.path().join("small.safetensors"), &[t("wte.weight", "F32", &[64, 16], 1), t("h.0.ln_1.weight", "F32", &[16], 1)]);
    assert_eq!(refused(dir.path()).len(), 2);
    std::fs::rename(dir.path().join("large.safetensors"), dir.path().join("model.safetensors")).unwrap();
    assert_eq!(totals(dir.path()).0, 64 * 32 + 32);
    let found = findings(dir.path());
    assert!(found.len() == 1 && found[0].0 == "different-weights" && found[0].1.contains("[64, 32] and [64, 16]"), "{found:?}");
    never_calls_for_less(dir.path());
}

#[test]
fn what_cannot_be_read_is_not_compared() {
    let dir = tempdir().unwrap();
    save(&dir.path().join("a.safetensors"), &large(1));
    save(&dir.path().join("b.safetensors"), &large(2));
    let path = dir.path().join("b.safetensors");
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    // The header is whole, the data is cut: a download that was not finished.
    file.set_len(8192).unwrap();
    let like = likeness(&opened(dir.path()), "b");
    let Likeness::Incomparable(Obstacle::Unreadable(why)) = &like else { panic!("{like}") };
    assert!(why.contains("b.safetensors"), "{why}");
    assert!(!codes(dir.path()).contains(&"different-weights".to_owned()));
    never_calls_for_less(dir.path());
}

#[test]
fn nothing_is_read_where_no_names_collide() {
    let dir = tempdir().unwrap();
    let mut map = serde_json::Map::new();
    for i in 1..=163 {
        let (file, name) = (format!("model-{i:05}-of-00163.safetensors"), format!("model.layers.{i}.mlp.up_proj.weight"));
        save(&dir.path().join(&file), &[t(&name, "F32", &[8, 8], 1)]);
        map.insert(name, file.into());
    }
    put(dir.path(), "model.safetensors.index.json", json!({"metadata": {"total_size": 163 * 256}, "weight_map": map}).to_string());
    save(&dir.path().join("vae/model.safetensors"), &[t("decoder.conv.weight", "F32", &[8, 8], 1)]);
    save(&dir.path().join("text_encoder.safetensors"), &[t("shared.weight", "F32", &[8, 8], 1)]);
    let checkpoint = opened(dir.path());
    assert_eq!((checkpoint.files.len(), checkpoint.tensors().len(), checkpoint.compared_bytes), (165, 165, 0));
}

#[test]
fn a_folder_of_adapters_is_told_apart_with_a_few_pages_each() {
    const ADAPTERS: u64 = 300;
    let dir = tempdir().unwrap();
    for i in 0..ADAPTERS {
        let tensors: Vec<T> = (0..20)
            .flat_map(|layer| {
                let name = format!("transformer.blocks.{layer}.attn.to_q");
                [t(&format!("{name}.lora_A.weight"), "F16", &[4, 16], i), t(&format!("{name}.lora_B.weight"), "F16", &[16, 4], i)]
            })
            .collect();
        save(&dir.path().join(format!("style_{i}.safetensors")), &tensors);
    }
    assert_eq!(models_in(dir.path()).unwrap().len() as u64, ADAPTERS);
    // Beside a model they are adapters of it, of which one is taken.
    save(&dir.path().join("model.safetensors"), &[t("transformer.blocks.0.attn.to_q.weight", "F16", &[16, 16], 1)]);
    let checkpoint = opened(dir.path());
    let different = checkpoint.components.iter().flat_map(|c| &c.weight_sets).filter(|s| s.against.is_some());
    assert_eq!(different.filter(|s| !s.selected).count() as u64, ADAPTERS - 1);
    assert!(checkpoint.compared_bytes <= ADAPTERS * 4 * 4096, "{}", checkpoint.compared_bytes);
}
