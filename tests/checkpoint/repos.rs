//! The shapes that repos come in: sets of shards, hub caches, several copies of a model, pipelines, adapters.

use std::path::Path;

use crate::writers::{gguf, put, safetensors};
use tempfile::{TempDir, tempdir};
use weighbridge::checkpoint::{Checkpoint, OpenOptions, open};
use weighbridge::error::ErrorKind;

const ALL: OpenOptions = OpenOptions { only_this_file: false, second_opinion: false };
const ONE: OpenOptions = OpenOptions { only_this_file: true, second_opinion: false };

/// Bytes of one tensor of these tests.
const TENSOR: u64 = 64 * 4;

fn opened(path: &Path) -> Checkpoint {
    open(path, &ALL).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn problems(checkpoint: &Checkpoint) -> String {
    checkpoint.problems.iter().map(|p| format!("{p}\n")).collect()
}

/// Every weight set as `component/set`, with `*` where it is selected.
fn sets(checkpoint: &Checkpoint) -> Vec<String> {
    let of = |c: &weighbridge::checkpoint::Component| {
        let name = c.name.clone();
        let sets = c.weight_sets.iter().map(move |s| format!("{name}/{}{}", s.name, if s.selected { "*" } else { "" }));
        sets.collect::<Vec<_>>()
    };
    checkpoint.components.iter().flat_map(of).collect()
}

/// Shards `numbers` of `count`, each with one tensor of its own.
fn shards(folder: &Path, numbers: impl IntoIterator<Item = u32>, count: u32) {
    for number in numbers {
        let name = format!("model.layers.{number}.mlp.up_proj.weight");
        safetensors(&folder.join(format!("model-{number:05}-of-{count:05}.safetensors")), &[(&name, &[8, 8])]);
    }
}

fn index(folder: &Path, numbers: impl IntoIterator<Item = u32>, count: u32) {
    let rows = numbers
        .into_iter()
        .map(|n| format!("\"model.layers.{n}.mlp.up_proj.weight\": \"model-{n:05}-of-{count:05}.safetensors\""))
        .collect::<Vec<_>>();
    let text =
        format!("{{\"metadata\": {{\"total_size\": {}}}, \"weight_map\": {{{}}}}}", rows.len() as u64 * TENSOR, rows.join(", "));
    put(&folder.join("model.safetensors.index.json"), text.as_bytes());
}

#[test]
fn a_shard_the_index_and_the_folder_are_the_same_set() {
    let dir = tempdir().unwrap();
    shards(dir.path(), 1..=4, 4);
    index(dir.path(), 1..=4, 4);
    for path in ["", "model.safetensors.index.json", "model-00003-of-00004.safetensors"] {
        let all = opened(&dir.path().join(path));
        assert_eq!((all.files.len(), all.tensors().len(), all.tensor_bytes()), (4, 4, 4 * TENSOR), "{path}");
        assert_eq!(problems(&all), "", "{path}");
        assert_eq!(sets(&all).len(), 1, "{path}");
    }
    let one = open(&dir.path().join("model-00003-of-00004.safetensors"), &ONE).unwrap();
    assert_eq!((one.files.len(), one.tensors().len()), (1, 1));
}

#[test]
fn shards_without_an_index_are_found_by_their_names() {
    let dir = tempdir().unwrap();
    shards(dir.path(), 1..=4, 4);
    for path in ["", "model-00001-of-00004.safetensors"] {
        let all = opened(&dir.path().join(path));
        assert_eq!((all.files.len(), problems(&all).as_str()), (4, ""), "{path}");
    }
}

#[test]
fn numbering_may_begin_at_0() {
    // Some count the last one as COUNT - 1, some as COUNT.
    for last in [1, 2] {
        let dir = tempdir().unwrap();
        shards(dir.path(), 0..=last, 2);
        let all = opened(&dir.path().join("model-00000-of-00002.safetensors"));
        assert_eq!((all.files.len() as u32, problems(&all).as_str()), (last + 1, ""));
    }
}

#[test]
fn a_missing_shard_is_named_and_the_others_are_read() {
    for with_index in [true, false] {
        let dir = tempdir().unwrap();
        shards(dir.path(), [1, 2, 4], 4);
        if with_index {
            index(dir.path(), 1..=4, 4);
        }
        for path in ["", "model-00001-of-00004.safetensors"] {
            let some = opened(&dir.path().join(path));
            assert_eq!(some.tensors().len(), 3, "{path}");
            assert_eq!(some.problems.len(), 1, "{}", problems(&some));
            assert_eq!(some.problems[0].kind(), ErrorKind::MissingShard);
            let named = "model-00003-of-00004.safetensors";
            assert!(problems(&some).contains(named) && problems(&some).contains("fetch"), "{}", problems(&some));
        }
    }
}

#[test]
fn an_index_does_not_lead_out_of_its_folder() {
    let dir = tempdir().unwrap();
    safetensors(&dir.path().join("secret.safetensors"), &[("a", &[4])]);
    let text = br#"{"weight_map": {"a": "../secret.safetensors"}}"#;
    put(&dir.path().join("repo/model.safetensors.index.json"), text);
    let opened = opened(&dir.path().join("repo/model.safetensors.index.json"));
    assert!(opened.tensors().len() == 0 && !opened.problems.is_empty());
}

#[test]
fn gguf_splits_are_one_set() {
    let dir = tempdir().unwrap();
    for number in 1..=3 {
        let path = dir.path().join(format!("tiny-Q8_0-{number:05}-of-00003.gguf"));
        gguf(&path, &[("general.architecture", "llama")], &[(&format!("blk.{number}.ffn_up.weight"), 64)]);
    }
    for path in ["", "tiny-Q8_0-00002-of-00003.gguf"] {
        let all = opened(&dir.path().join(path));
        assert_eq!((all.files.len(), all.tensor_bytes(), sets(&all).len()), (3, 3 * TENSOR, 1), "{path}");
        assert_eq!(problems(&all), "");
    }
    assert_eq!(open(&dir.path().join("tiny-Q8_0-00002-of-00003.gguf"), &ONE).unwrap().files.len(), 1);
}

#[test]
fn several_quants_are_one_component() {
    let dir = tempdir().unwrap();
    for (name, elements) in [("tiny-Q4_K_M.gguf", 32), ("tiny-Q8_0.gguf", 48), ("tiny-F16.gguf", 64)] {
        gguf(&dir.path().join(name), &[("general.architecture", "llama")], &[("token_embd.weight", elements)]);
    }
    gguf(&dir.path().join("mmproj-F16.gguf"), &[("general.architecture", "clip")], &[("v.patch_embd.weight", 16)]);
    let repo = opened(dir.path());
    assert_eq!(repo.components.len(), 2, "{:?}", sets(&repo));
    assert_eq!(repo.components[0].weight_sets.len(), 3);
    for component in &repo.components {
        assert_eq!(component.weight_sets.iter().filter(|s| s.selected).count(), 1, "{:?}", sets(&repo));
    }
    assert!(repo.components.iter().any(|c| c.name == "mmproj"));
}

#[test]
fn consolidated_beside_sharded_counts_once() {
    let dir = tempdir().unwrap();
    shards(dir.path(), 1..=2, 2);
    index(dir.path(), 1..=2, 2);
    let names: Vec<String> = (1..=2).map(|n| format!("layers.{n}.feed_forward.w3.weight")).collect();
    let tensors: Vec<(&str, &[usize])> = names.iter().map(|n| (n.as_str(), &[8, 8][..])).collect();
    safetensors(&dir.path().join("consolidated.safetensors"), &tensors);
    let repo = opened(dir.path());
    assert_eq!(repo.components.len(), 1, "{:?}", sets(&repo));
    assert_eq!(repo.components[0].weight_sets.iter().filter(|s| s.selected).count(), 1);
    assert_eq!((repo.tensors().len(), repo.tensor_bytes()), (2, 2 * TENSOR));
    assert_eq!(repo.selected_files().len(), 2, "the indexed set is the one that loaders take");
}

#[test]
fn a_precision_variant_counts_once() {
    let dir = tempdir().unwrap();
    for name in ["model.safetensors", "model.fp16.safetensors"] {
        safetensors(&dir.path().join(name), &[("model.embed_tokens.weight", &[8, 8])]);
    }
    let repo = opened(dir.path());
    assert_eq!((repo.components.len(), repo.components[0].weight_sets.len(), repo.tensors().len()), (1, 2, 1));
}

#[test]
fn parts_of_a_pipeline_all_count() {
    let dir = tempdir().unwrap();
    put(&dir.path().join("model_index.json"), b"{\"_class_name\": \"StableDiffusionPipeline\"}");
    safetensors(&dir.path().join("unet/diffusion_pytorch_model.safetensors"), &[("conv_in.weight", &[8, 8])]);
    safetensors(&dir.path().join("unet/diffusion_pytorch_model.fp16.safetensors"), &[("conv_in.weight", &[8, 8])]);
    safetensors(&dir.path().join("vae/diffusion_pytorch_model.safetensors"), &[("encoder.conv_in.weight", &[8, 8])]);
    safetensors(&dir.path().join("text_encoder/model.safetensors"), &[("text_model.embeddings.token_embedding.weight", &[8, 8])]);
    let repo = opened(dir.path());
    let names: Vec<&str> = repo.components.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, ["text_encoder", "unet", "vae"]);
    assert_eq!((repo.tensors().len(), repo.tensor_bytes()), (3, 3 * TENSOR));
}

#[test]
fn an_adapter_is_a_component_of_its_own() {
    let dir = tempdir().unwrap();
    put(&dir.path().join("adapter_config.json"), b"{\"peft_type\": \"LORA\", \"r\": 8}");
    let name = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight";
    safetensors(&dir.path().join("adapter_model.safetensors"), &[(name, &[8, 8])]);
    let alone = opened(dir.path());
    assert_eq!(sets(&alone).len(), 1);
    assert_eq!(alone.components[0].name, "adapter");
    safetensors(&dir.path().join("model.safetensors"), &[("model.layers.0.self_attn.q_proj.weight", &[8, 8])]);
    let both = opened(dir.path());
    assert_eq!((both.components.len(), both.tensors().len()), (2, 2), "{:?}", sets(&both));
}

#[test]
fn bad_files_do_not_hide_the_good_one() {
    let dir = tempdir().unwrap();
    safetensors(&dir.path().join("model.safetensors"), &[("model.embed_tokens.weight", &[8, 8])]);
    put(&dir.path().join("empty.safetensors"), b"");
    put(&dir.path().join("page.gguf"), b"<!DOCTYPE html><html></html>");
    put(&dir.path().join("pytorch_model.bin"), &[0x80, 2, b'}', b'.']);
    let repo = opened(dir.path());
    assert_eq!((repo.tensors().len(), repo.problems.len(), repo.unread.len()), (1, 2, 1), "{}", problems(&repo));
    assert_eq!(repo.unread[0].bytes, 4);
}

#[cfg(unix)]
mod links {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A hub cache with two revisions, of which `refs/main` names the older one.
    fn hub() -> TempDir {
        let dir = tempdir().unwrap();
        let model = dir.path().join("models--org--tiny");
        for (blob, revision, name) in [("aaaa", "0001", "old"), ("bbbb", "0002", "new")] {
            safetensors(&model.join("blobs").join(blob), &[(&format!("{name}.weight"), &[8, 8])]);
            let snapshot = model.join("snapshots").join(revision);
            std::fs::create_dir_all(&snapshot).unwrap();
            symlink(format!("../../blobs/{blob}"), snapshot.join("model.safetensors")).unwrap();
        }
        put(&model.join("refs/main"), b"0001");
        dir
    }

    #[test]
    fn a_hub_cache_leads_to_the_snapshot_of_refs_main() {
        let dir = hub();
        let model = dir.path().join("models--org--tiny");
        for (path, name) in [("", "old.weight"), ("snapshots/0001", "old.weight"), ("snapshots/0002", "new.weight")] {
            let opened = opened(&model.join(path));
            let names: Vec<String> = opened.tensors().map(|t| t.name().into_owned()).collect();
            assert_eq!(names, [name], "{path}");
            assert_eq!(problems(&opened), "");
        }
        let by_file = opened(&model.join("snapshots/0002/model.safetensors"));
        assert_eq!(by_file.files[0].name, "model.safetensors");
    }

    #[test]
    fn a_link_that_leaves_the_folder_is_refused_and_the_rest_is_read() {
        let dir = tempdir().unwrap();
        let repo = dir.path().join("repo");
        safetensors(&dir.path().join("outside.safetensors"), &[("outside.weight", &[8, 8])]);
        safetensors(&repo.join("model.safetensors"), &[("inside.weight", &[8, 8])]);
        symlink("../outside.safetensors", repo.join("extra.safetensors")).unwrap();
        symlink("nowhere.safetensors", repo.join("broken.safetensors")).unwrap();
        let opened = opened(&repo);
        let names: Vec<String> = opened.tensors().map(|t| t.name().into_owned()).collect();
        assert_eq!(names, ["inside.weight"]);
        assert_eq!(opened.problems.len(), 2, "{}", problems(&opened));
        assert!(problems(&opened).contains("a link that leads outside the folder"));
        assert!(problems(&opened).contains("leads nowhere"));
    }
}
