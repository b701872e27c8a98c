//! What is one model in a folder: states of a training, other forms in folders of any name, parts under free numbers, files that are no
//! weights; and folders that hold several models, which are refused with the path of each.

use std::path::Path;

use serde_json::{Value, json};
use tempfile::{TempDir, tempdir};
use weighbridge::checkpoint::{Likeness, Obstacle, models_in};

use super::weight_sets::{T, config, likeness, llama, opened, refused, save, show, t, totals, weigh};
use crate::build::put;

const LLAMA: u64 = 106_816;

/// A folder with the model of a seed, and its configuration.
fn model(dir: &Path, seed: u64) {
    save(&dir.join("model.safetensors"), &llama("BF16", seed));
    config(dir);
}

fn parameters(dir: &Path) -> u64 {
    totals(dir).1
}

/// Every weight set as `component: set`, with `*` where it is selected.
fn sets(dir: &Path) -> Vec<String> {
    let checkpoint = opened(dir);
    let of = |c: &weighbridge::checkpoint::Component| {
        let name = c.name.clone();
        c.weight_sets.iter().map(move |s| format!("{name}: {}{}", s.name, if s.selected { "*" } else { "" })).collect::<Vec<_>>()
    };
    checkpoint.components.iter().flat_map(of).collect()
}

/// Codes of the findings that say something of the weights.
fn codes(dir: &Path) -> Vec<String> {
    let audit: Value = serde_json::from_str(&weigh(&["audit", "--format", "json", dir.to_str().unwrap()])).unwrap();
    let codes = audit["findings"].as_array().unwrap().iter().map(|f| f["code"].as_str().unwrap().to_owned());
    codes.filter(|code| code != "licence" && code != "dtype-claim").collect()
}

fn lora(seed: u64) -> Vec<T> {
    let name = |i: u64, end: &str| format!("base_model.model.model.layers.{i}.self_attn.q_proj.{end}.weight");
    (0..2).flat_map(|i| [t(&name(i, "lora_A"), "BF16", &[8, 64], seed), t(&name(i, "lora_B"), "BF16", &[64, 8], seed)]).collect()
}

/// The matrices of a llama as MLX packs them.
fn mlx(bits: u64) -> Vec<T> {
    let packed = |whole: &T| {
        let module = whole.name.trim_end_matches("weight");
        let (rows, columns) = (whole.shape[0], whole.shape[1]);
        ["scales", "biases"]
            .map(|end| t(&format!("{module}{end}"), "BF16", &[rows, columns / 64], bits))
            .into_iter()
            .chain([t(&whole.name, "U32", &[rows, columns * bits / 32], bits)])
            .collect::<Vec<T>>()
    };
    llama("BF16", 1).iter().flat_map(|whole| if whole.shape.len() == 2 { packed(whole) } else { vec![whole.clone()] }).collect()
}

#[test]
fn earlier_states_of_a_training_are_named_and_left_out() {
    for (earlier, last) in [
        ("checkpoint-500", "checkpoint-1000"),
        ("step_1000", "step_2000"),
        ("epoch-3", "epoch-10"),
        ("global_step500", "global_step1000"),
        ("iter_0000500", "iter_0001000"),
        ("checkpoints/10/pretrained_model", "checkpoints/20/pretrained_model"),
        ("best", "last"),
        ("epoch=1-step=500", "epoch=2-step=100"),
    ] {
        // Alone, the last one is the model.
        let dir = tempdir().unwrap();
        model(&dir.path().join(earlier), 1);
        model(&dir.path().join(last), 2);
        let checkpoint = opened(dir.path());
        assert_eq!(parameters(dir.path()), LLAMA, "{earlier}");
        assert_eq!(checkpoint.components[0].name, last);
        let left = checkpoint.components[0].weight_sets[1].against.clone().unwrap().likeness;
        assert_eq!(left, Likeness::Incomparable(Obstacle::EarlierState));
        assert_eq!(models_in(dir.path()).unwrap().len(), 1);
        // Beside the model they were saved on the way to, both are left out.
        model(dir.path(), 3);
        assert_eq!(parameters(dir.path()), LLAMA, "{earlier}");
        let checkpoint = opened(dir.path());
        assert_eq!((checkpoint.components.len(), checkpoint.components[0].weight_sets.len()), (1, 3), "{earlier}");
        assert!(show(dir.path())["notes"].to_string().contains("another state of the same training"));
        assert!(weigh(&["memory", "--engine", "vllm", "--format", "json", dir.path().to_str().unwrap()]).contains("213632"));
        let audit = ["audit", "--max-params", "150K", "--format", "json", dir.path().to_str().unwrap()];
        assert!(!weigh(&audit).contains("over-params"));
    }
}

#[test]
fn states_saved_otherwise_are_states_too() {
    // Sharded, as an adapter, in pieces that are not read.
    let dir = tempdir().unwrap();
    model(dir.path(), 1);
    let whole = llama("BF16", 2);
    save(&dir.path().join("checkpoint-9/model-00001-of-00002.safetensors"), &whole[..10]);
    save(&dir.path().join("checkpoint-9/model-00002-of-00002.safetensors"), &whole[10..]);
    save(&dir.path().join("checkpoint-8/adapter_model.safetensors"), &lora(1));
    put(&dir.path().join("checkpoint-7/pytorch_model_fsdp_0"), "__0_0.distcp", b"PK\x03\x04");
    put(&dir.path().join("checkpoint-7/pytorch_model_fsdp_0"), ".metadata", b"\x80\x02}q\0.");
    assert_eq!(sets(dir.path()), ["model: model*", "model: checkpoint-9/model", "model: checkpoint-8/adapter_model"]);
    let unread: Vec<String> = opened(dir.path()).unread.into_iter().map(|file| file.name).collect();
    assert_eq!(unread, ["checkpoint-7/pytorch_model_fsdp_0/.metadata", "checkpoint-7/pytorch_model_fsdp_0/__0_0.distcp"]);
    // Adapters alone.
    let dir = tempdir().unwrap();
    for (folder, seed) in [("", 3), ("checkpoint-500", 1), ("checkpoint-1000", 2)] {
        save(&dir.path().join(folder).join("adapter_model.safetensors"), &lora(seed));
        put(&dir.path().join(folder), "adapter_config.json", r#"{"peft_type": "LORA", "r": 8}"#);
    }
    assert_eq!(parameters(dir.path()), 2 * 2 * 8 * 64);
    // States of one file name.
    let dir = tempdir().unwrap();
    for (name, seed) in [("style", 3), ("style-000002", 1), ("style-000004", 2)] {
        save(&dir.path().join(format!("{name}.safetensors")), &lora(seed));
    }
    assert_eq!(sets(dir.path())[0], "adapter: style*");
    let dir = tempdir().unwrap();
    for step in [100, 200] {
        save(&dir.path().join(format!("model-step-{step}.safetensors")), &llama("BF16", step));
    }
    assert_eq!(sets(dir.path()), ["model: model-step-200*", "model: model-step-100"]);
}

#[test]
fn numbered_folders_of_two_models_are_two_models() {
    let dir = tempdir().unwrap();
    model(&dir.path().join("checkpoint-1"), 1);
    save(&dir.path().join("checkpoint-2/model.safetensors"), &[t("bert.embeddings.word_embeddings.weight", "F32", &[100, 32], 1)]);
    assert_eq!(refused(dir.path()), ["checkpoint-1 checkpoint-1", "checkpoint-2 checkpoint-2"]);
    // The same names in another size.
    let dir = tempdir().unwrap();
    for (folder, width) in [("step-1", 16), ("step-2", 32)] {
        save(&dir.path().join(folder).join("model.safetensors"), &[t("h.0.mlp.weight", "F32", &[width, width], 1)]);
    }
    assert_eq!(refused(dir.path()).len(), 2);
}

#[test]
fn forms_in_folders_of_any_name_are_one_model() {
    for above in [false, true] {
        let dir = tempdir().unwrap();
        if above {
            model(dir.path(), 1);
        }
        for (folder, bits) in [("4bit", 4), ("mlx-q8", 8)] {
            save(&dir.path().join(folder).join("model.safetensors"), &mlx(bits));
            config(&dir.path().join(folder));
        }
        assert_eq!(parameters(dir.path()), LLAMA, "{above}");
        assert_eq!(opened(dir.path()).components.len(), 1);
    }
    // A fine-tune below the model that the root holds: other values, left out and told.
    let dir = tempdir().unwrap();
    model(dir.path(), 1);
    model(&dir.path().join("chat"), 2);
    assert_eq!(parameters(dir.path()), LLAMA);
    assert!(likeness(&opened(dir.path()), "chat/model").is_different());
    assert_eq!(codes(dir.path()), ["different-weights"]);
}

#[test]
fn several_models_are_refused_with_the_path_of_each() {
    // Fine-tunes in folders of their own.
    let dir = tempdir().unwrap();
    model(&dir.path().join("alice"), 1);
    model(&dir.path().join("bob"), 2);
    assert_eq!(refused(dir.path()), ["alice alice", "bob bob"]);
    let models = models_in(dir.path()).unwrap();
    assert_eq!(models[0].files, ["alice/model.safetensors"]);
    let length = std::fs::metadata(dir.path().join("alice/model.safetensors")).unwrap().len();
    assert_eq!(models[0].bytes, length);
    // Two models of each step of one run: those of the last step.
    let dir = tempdir().unwrap();
    for step in ["global_step_1", "global_step_2"] {
        model(&dir.path().join(step).join("actor/huggingface"), 1);
        let critic = [llama("BF16", 2), vec![t("score.weight", "BF16", &[1, 64], 1)]].concat();
        save(&dir.path().join(step).join("critic/huggingface/model.safetensors"), &critic);
        config(&dir.path().join(step).join("critic/huggingface"));
    }
    let steps = models_in(dir.path()).unwrap().into_iter().map(|model| format!("{} {}", model.name, model.path.display()));
    assert_eq!(steps.collect::<Vec<_>>(), ["actor global_step_2/actor", "critic global_step_2/critic"]);
    // Unrelated models below a folder, one of them deeper.
    let dir = tempdir().unwrap();
    model(&dir.path().join("text/llama"), 1);
    save(&dir.path().join("bert/model.safetensors"), &[t("bert.embeddings.word_embeddings.weight", "F32", &[100, 32], 1)]);
    put(&dir.path().join("bert"), "config.json", r#"{"model_type": "bert"}"#);
    assert_eq!(refused(dir.path()), ["bert bert", "text text"]);
    // Files side by side.
    let dir = tempdir().unwrap();
    save(&dir.path().join("a.safetensors"), &llama("BF16", 1));
    save(&dir.path().join("b.safetensors"), &[t("x.weight", "F32", &[10, 10], 1)]);
    assert_eq!(refused(dir.path()), ["a a.safetensors", "b b.safetensors"]);
    // Repositories of a hub cache.
    let dir = tempdir().unwrap();
    for name in ["a", "b"] {
        model(&dir.path().join(format!("models--org--{name}/snapshots/aaa")), 1);
    }
    assert_eq!(refused(dir.path()), ["org/a models--org--a", "org/b models--org--b"]);
    // A cache of one repository stands for it.
    std::fs::remove_dir_all(dir.path().join("models--org--b")).unwrap();
    assert_eq!(parameters(dir.path()), LLAMA);
    // Two video models in a folder of such.
    let dir = tempdir().unwrap();
    for (name, prefix) in [("flux", "double_blocks"), ("wan", "blocks")] {
        let tensors = [t(&format!("{prefix}.0.attn.weight"), "F32", &[8, 8], 1)];
        save(&dir.path().join(format!("diffusion_models/{name}.safetensors")), &tensors);
    }
    save(&dir.path().join("vae/vae.safetensors"), &[t("decoder.weight", "F32", &[8, 8], 1)]);
    assert_eq!(refused(dir.path()), ["flux diffusion_models/flux.safetensors", "wan diffusion_models/wan.safetensors"]);
}

#[test]
fn parts_of_one_model_are_no_several_models() {
    let part = |name: &str| vec![t(name, "F32", &[8, 8], 1)];
    let folder = |parts: &[(&str, Vec<T>)], texts: &[(&str, &str)]| -> TempDir {
        let dir = tempdir().unwrap();
        for (path, tensors) in parts {
            save(&dir.path().join(path), tensors);
        }
        for (path, text) in texts {
            let path = dir.path().join(path);
            put(path.parent().unwrap(), path.file_name().unwrap().to_str().unwrap(), text);
        }
        dir
    };
    let encoder = |seed| vec![t("text_model.q.weight", "F32", &[8, 8], seed)];
    let cases: [(&str, TempDir, u64); 7] = [
        (
            "sentence-transformers",
            folder(
                &[
                    ("0_Transformer/model.safetensors", part("embeddings.weight")),
                    ("2_Dense/model.safetensors", part("linear.weight")),
                ],
                &[("modules.json", "[]"), ("0_Transformer/config.json", "{}"), ("2_Dense/config.json", "{}")],
            ),
            128,
        ),
        (
            "two text encoders of a pipeline",
            folder(
                &[
                    ("text_encoder/model.safetensors", encoder(1)),
                    ("text_encoder_2/model.safetensors", encoder(2)),
                    ("transformer/diffusion_pytorch_model.safetensors", part("a.weight")),
                ],
                &[("model_index.json", "{}"), ("text_encoder/config.json", "{}"), ("text_encoder_2/config.json", "{}")],
            ),
            192,
        ),
        (
            "towers",
            folder(
                &[
                    ("model.safetensors", part("model.embed_tokens.weight")),
                    ("vision/model.safetensors", part("patch.weight")),
                    ("odd_name/model.safetensors", part("wave.weight")),
                ],
                &[("config.json", "{}"), ("vision/config.json", "{}"), ("odd_name/config.json", "{}")],
            ),
            192,
        ),
        (
            "parts below a configuration",
            folder(&[("x/a.safetensors", part("a.weight")), ("y/b.safetensors", part("b.weight"))], &[("config.json", "{}")]),
            128,
        ),
        (
            "a model with a part beside",
            folder(&[("model.safetensors", part("a.weight")), ("silero_vad.safetensors", part("b.weight"))], &[]),
            128,
        ),
        (
            "parts in folders of their kinds",
            folder(
                &[
                    ("diffusion_models/wan.safetensors", part("blocks.weight")),
                    ("text_encoders/umt5.safetensors", part("shared.weight")),
                    ("vae/wan_vae.safetensors", part("conv.weight")),
                ],
                &[],
            ),
            192,
        ),
        (
            "files of one index",
            folder(
                &[("one.safetensors", part("a.weight")), ("two.safetensors", part("b.weight"))],
                &[(
                    "model.safetensors.index.json",
                    r#"{"weight_map": {"a.weight": "one.safetensors", "b.weight": "two.safetensors"}}"#,
                )],
            ),
            128,
        ),
    ];
    for (what, dir, elements) in cases {
        assert_eq!(totals(dir.path()).0, elements, "{what}");
        assert_eq!(models_in(dir.path()).unwrap().len(), 1, "{what}");
    }
}

#[test]
fn the_state_of_a_training_is_no_weights() {
    let state = |ends: [&str; 2]| -> Vec<T> {
        let of = |whole: &T| ends.map(|end| t(&format!("{}.{end}", whole.name), "F32", &whole.shape, 1));
        llama("BF16", 1).iter().flat_map(of).collect()
    };
    let adam = state(["exp_avg", "exp_avg_sq"]);
    let scalar = |name: &str| t(name, "F32", &[], 1);
    let numbered = ["state/0/exp_avg", "state/0/exp_avg_sq"].map(|name| t(name, "F32", &[64, 64], 1));
    let random = vec![t("torch_rng_state", "U8", &[5056], 1)];
    for (files, unread) in [
        (vec![("optimizer.safetensors", adam.clone())], 1),
        (
            vec![
                ("optimizer-00001-of-00002.safetensors", adam[..20].to_vec()),
                ("optimizer-00002-of-00002.safetensors", adam[20..].to_vec()),
            ],
            2,
        ),
        (vec![("training_state/optimizer_state.safetensors", [numbered.to_vec(), vec![scalar("state/0/step")]].concat())], 1),
        (vec![("opt.safetensors", [state(["m", "v"]), vec![scalar("step"), scalar("learning_rate")]].concat())], 1),
        (vec![("random_states.safetensors", random.clone()), ("rng/rng_state.safetensors", random)], 2),
        (vec![("scaler.safetensors", vec![scalar("_growth_tracker"), scalar("scale")])], 1),
    ] {
        let dir = tempdir().unwrap();
        model(dir.path(), 1);
        for (name, tensors) in &files {
            save(&dir.path().join(name), tensors);
        }
        assert_eq!(parameters(dir.path()), LLAMA, "{}", files[0].0);
        let shown = show(dir.path());
        assert_eq!(shown["unread"].as_array().unwrap().len(), unread, "{}", files[0].0);
        for row in shown["unread"].as_array().unwrap() {
            let length = std::fs::metadata(dir.path().join(row["file"].as_str().unwrap())).unwrap().len();
            assert!(row["bytes"] == length && row["reason"].as_str().unwrap().ends_with("no weights"), "{row}");
        }
        assert_eq!(codes(dir.path()), [""; 0], "{}", files[0].0);
        // Without the model nothing is summed up, and config.json stands for the weights.
        std::fs::remove_file(dir.path().join("model.safetensors")).unwrap();
        assert_eq!(parameters(dir.path()), 0, "{}", files[0].0);
        assert!(weigh(&["memory", "--engine", "vllm", "--format", "json", dir.path().to_str().unwrap()]).contains("213632"));
    }
    // Asked for by itself, a file is what it is.
    let dir = tempdir().unwrap();
    save(&dir.path().join("optimizer.safetensors"), &adam);
    assert_eq!(totals(&dir.path().join("optimizer.safetensors")).0, 2 * LLAMA);
    let notes = show(&dir.path().join("optimizer.safetensors"))["notes"].to_string();
    assert!(notes.contains("optimizer.safetensors: optimizer state: no weights"), "{notes}");
    // Weights under names that only sound like it.
    save(&dir.path().join("optimizer.safetensors"), &[t("momentum_encoder.q.weight", "F32", &[8, 8], 1)]);
    assert_eq!(totals(dir.path()).0, 64);
}

/// The llama in three parts of seven tensors, or every third.
fn thirds(interleaved: bool) -> [Vec<T>; 3] {
    let whole = llama("BF16", 1);
    [0, 1, 2].map(|i| {
        let part = whole.iter().enumerate().filter(|(n, _)| if interleaved { n % 3 == i } else { n / 7 == i });
        part.map(|(_, tensor)| tensor.clone()).collect()
    })
}

#[test]
fn parts_with_free_numbers_are_one_model() {
    for (names, configured, interleaved) in [
        (["model-1-of-3", "model-2-of-3", "model-3-of-3"], true, false),
        (["weights.00", "weights.01", "weights.02"], true, false),
        (["model_part_00", "model_part_01", "model_part_02"], true, false),
        (["part-00001", "part-00002", "part-00003"], false, false),
        (["model_1_of_3", "model_2_of_3", "model_3_of_3"], false, false),
        (["w0", "w1", "w2"], true, true),
    ] {
        let dir = tempdir().unwrap();
        for (name, tensors) in names.iter().zip(thirds(interleaved)) {
            save(&dir.path().join(format!("{name}.safetensors")), &tensors);
        }
        if configured {
            config(dir.path());
        }
        assert_eq!(parameters(dir.path()), LLAMA, "{names:?}");
        assert_eq!((sets(dir.path()).len(), codes(dir.path())), (1, Vec::new()), "{names:?}");
    }
    // One of them is not here.
    let dir = tempdir().unwrap();
    let whole = llama("BF16", 1);
    for number in 1..=3 {
        save(&dir.path().join(format!("model_{number}_of_4.safetensors")), &whole[5 * (number - 1)..5 * number]);
    }
    assert_eq!(sets(dir.path()), ["model: model*"]);
    assert!(show(dir.path())["errors"].to_string().contains("one of 4 parts, of which 1 are missing"));
    // Two models are not joined, whether a configuration tells or not.
    for configured in [false, true] {
        let dir = tempdir().unwrap();
        save(&dir.path().join("model-1.safetensors"), &llama("BF16", 1));
        let other: Vec<T> = (0..4).map(|i| t(&format!("encoder.h.{i}.w"), "F32", &[16, 16], 1)).collect();
        save(&dir.path().join("model-2.safetensors"), &other);
        if configured {
            config(dir.path());
        }
        assert_eq!(refused(dir.path()), ["model-1 model-1.safetensors", "model-2 model-2.safetensors"]);
    }
}

#[test]
fn shard_sets_of_two_counts_are_two_sets() {
    let whole = llama("BF16", 1);
    let shard = |dir: &Path, number: usize, count: usize| {
        let step = whole.len().div_ceil(count);
        let tensors = &whole[(number - 1) * step..(number * step).min(whole.len())];
        save(&dir.join(format!("model-{number:05}-of-{count:05}.safetensors")), tensors);
    };
    let dir = tempdir().unwrap();
    config(dir.path());
    (1..=4).for_each(|n| shard(dir.path(), n, 4));
    (1..=2).for_each(|n| shard(dir.path(), n, 2));
    assert_eq!(parameters(dir.path()), LLAMA);
    assert_eq!(sets(dir.path()), ["model: model (of 2)*", "model: model (of 4)"]);
    assert_eq!(codes(dir.path()), ["duplicate-weights"]);
    // A stray of a set that is gone.
    std::fs::remove_file(dir.path().join("model-00002-of-00002.safetensors")).unwrap();
    assert_eq!(parameters(dir.path()), LLAMA);
    assert_eq!(sets(dir.path()), ["model: model (of 4)*", "model: model (of 2)"]);
    let shown = show(dir.path());
    assert_eq!(shown["errors"], json!([]));
    assert!(shown["notes"].to_string().contains("model-00001-of-00002.safetensors: one of 2 shards"), "{}", shown["notes"]);
    // The missing file is named as its neighbours are.
    let dir = tempdir().unwrap();
    save(&dir.path().join("model-00001-of-000003.safetensors"), &whole[..7]);
    save(&dir.path().join("model-00002-of-000003.safetensors"), &whole[7..14]);
    assert!(show(dir.path())["errors"].to_string().contains("missing: model-00003-of-000003.safetensors"));
}

#[test]
fn an_index_of_another_save_is_one_finding() {
    let stale = |tensors: &[&str]| {
        let dir = tempdir().unwrap();
        let packed = ["q_weight", "q_scale"].map(|end| t(&format!("model.layers.0.mlp.up_proj.{end}"), "I32", &[8, 8], 1));
        save(&dir.path().join("output.safetensors"), &[packed.to_vec(), vec![t("model.norm.weight", "F16", &[8], 1)]].concat());
        let map: serde_json::Map<String, Value> = tensors
            .iter()
            .enumerate()
            .map(|(i, name)| ((*name).to_owned(), format!("model-0000{i}-of-00002.safetensors").into()))
            .collect();
        put(dir.path(), "model.safetensors.index.json", json!({ "weight_map": map }).to_string());
        (show(dir.path())["errors"].as_array().unwrap().len(), codes(dir.path()))
    };
    let (errors, found) = stale(&["model.layers.0.mlp.up_proj.weight", "model.norm.weight"]);
    assert_eq!((errors, found), (0, vec!["index-of-another-save".to_owned()]));
    // Files of modules that are nowhere are missing.
    let (errors, found) = stale(&["model.layers.0.mlp.up_proj.weight", "lm_head.weight"]);
    assert_eq!((errors, found), (2, vec!["missing-shard".to_owned(); 2]));
}

#[test]
fn paths_of_an_index_are_those_that_loaders_open() {
    for (prefix, errors) in [("./", 0), ("", 0), (".//./", 0), ("../", 2), ("weights/../", 2)] {
        let dir = tempdir().unwrap();
        let whole = llama("BF16", 1);
        let mut map = serde_json::Map::new();
        for (file, tensors) in [("a.safetensors", &whole[..10]), ("b.safetensors", &whole[10..])] {
            save(&dir.path().join(file), tensors);
            map.extend(tensors.iter().map(|tensor| (tensor.name.clone(), format!("{prefix}{file}").into())));
        }
        config(dir.path());
        put(dir.path(), "model.safetensors.index.json", json!({ "weight_map": map }).to_string());
        assert_eq!(show(dir.path())["errors"].as_array().unwrap().len(), errors, "{prefix}");
        assert_eq!(parameters(dir.path()), LLAMA, "{prefix}");
        let found = codes(dir.path());
        assert_eq!(found.contains(&"leads-outside".to_owned()), errors > 0, "{prefix} {found:?}");
        assert!(errors > 0 || found.is_empty(), "{prefix} {found:?}");
    }
}

#[test]
fn weights_that_are_not_read_are_named_and_do_not_count_as_nothing() {
    for files in [
        vec!["model_world_size_2_rank_0.pt", "model_world_size_2_rank_1.pt"],
        vec!["global_step10/zero_pp_rank_0_mp_rank_00_model_states.pt"],
        vec![".metadata", "__0_0.distcp"],
        vec!["consolidated.00.pth"],
        vec!["model.onnx", "model.onnx_data"],
        vec!["big.gguf.part1of2", "big.gguf.part2of2"],
        vec!["rank0.engine", "model.plan"],
        vec!["openvino_model.bin", "openvino_model.xml"],
        vec!["weights.npz", "w.npy", "flax_model.msgpack", "tf_model.h5", "old.ggml", "m.llamafile", "m.pt2"],
    ] {
        let dir = tempdir().unwrap();
        config(dir.path());
        for file in &files {
            let path = dir.path().join(file);
            put(
                path.parent().unwrap(),
                path.file_name().unwrap().to_str().unwrap(),
                [b"PK\x03\x04".as_slice(), &[0; 500]].concat(),
            );
        }
        let shown = show(dir.path());
        let unread: Vec<&str> = shown["unread"].as_array().unwrap().iter().map(|row| row["file"].as_str().unwrap()).collect();
        let mut expected: Vec<&str> = files.iter().copied().filter(|file| !file.ends_with(".xml")).collect();
        expected.sort_unstable();
        assert_eq!(unread, expected);
        assert!(shown["unread"].as_array().unwrap().iter().all(|row| row["bytes"] == 504), "{}", shown["unread"]);
        let args = ["memory", "--fit", "24GiB", "--engine", "vllm", "--format", "json", dir.path().to_str().unwrap()];
        let memory: Value = serde_json::from_str(&weigh(&args)).unwrap();
        let terms = memory["engines"][0]["devices"][0]["terms"].as_array().unwrap();
        let weights = terms.iter().find(|term| term["name"] == "weights").unwrap();
        assert_eq!((&weights["low"], &weights["basis"]), (&json!(213_632), &json!("estimate")), "{files:?}");
        // Without a configuration nothing is known, and nothing fits.
        std::fs::remove_file(dir.path().join("config.json")).unwrap();
        let memory: Value = serde_json::from_str(&weigh(&args)).unwrap();
        assert_eq!(memory["fit"][0]["verdict"], "unknown", "{files:?}");
    }
}
