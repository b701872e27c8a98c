use super::*;
use crate::source::MemorySource;

fn file(name: &str, tensors: &[&str]) -> CheckpointFile {
    let mut entries = Vec::new();
    for (i, tensor) in tensors.iter().enumerate() {
        entries.push(format!(r#""{tensor}":{{"dtype":"U8","shape":[1],"data_offsets":[{i},{}]}}"#, i + 1));
    }
    let header = format!("{{{}}}", entries.join(","));
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    bytes.resize(bytes.len() + tensors.len(), 0);
    let container = crate::format::read(&MemorySource::new(name, bytes)).unwrap();
    CheckpointFile {
        path: name.into(),
        name: name.into(),
        container,
        identity: None,
        opinion: crate::format::SecondOpinion::NotAsked("no file"),
    }
}

/// `component: set*, set` with a star at the selected one.
fn shown(files: &[CheckpointFile], indexed: &[usize], pipeline: bool) -> Vec<String> {
    let around = Surroundings {
        indexed: &indexed.iter().map(|&i| (i, 0)).collect(),
        pipeline,
        is_folder: true,
        config: &|_| None,
        configured: &|_| false,
    };
    group(files, &around)
        .components
        .iter()
        .map(|c| {
            let sets: Vec<String> = c
                .weight_sets
                .iter()
                .map(|s| format!("{}{}×{}", s.name, if s.selected { "*" } else { "" }, s.files.len()))
                .collect();
            format!("{}: {}", c.name, sets.join(", "))
        })
        .collect()
}

#[test]
fn shards_are_one_set_and_a_consolidated_copy_another() {
    let files = [
        file("consolidated.safetensors", &["layers.0.w"]),
        file("model-00001-of-00002.safetensors", &["a"]),
        file("model-00002-of-00002.safetensors", &["b"]),
        file("original/model.safetensors", &["x"]),
    ];
    assert_eq!(shown(&files, &[1, 2], false), ["model: model*×2, consolidated×1, original/model×1"]);
}

#[test]
fn a_variant_is_a_copy_and_an_unrelated_file_is_a_component() {
    let files = [
        file("model.int8.safetensors", &["a", "b", "b.scale"]),
        file("model.safetensors", &["a", "b"]),
        file("vae.safetensors", &["decoder.x"]),
    ];
    assert_eq!(shown(&files, &[], false), ["model: model*×1, model.int8×1", "model/vae: vae*×1"]);
}

#[test]
fn a_pipeline_has_a_component_per_folder() {
    let files = [
        file("sd_xl.safetensors", &["all"]),
        file("text_encoder/model.fp16.safetensors", &["t"]),
        file("text_encoder/model.safetensors", &["t"]),
        file("unet/diffusion_pytorch_model.safetensors", &["u"]),
    ];
    assert_eq!(
        shown(&files, &[], true),
        ["all-in-one: sd_xl×1", "text_encoder: model*×1, model.fp16×1", "unet: diffusion_pytorch_model*×1"]
    );
}

#[test]
fn an_adapter_counts_beside_the_model() {
    let files = [file("adapter_model.safetensors", &["q.lora_A.weight"]), file("model.safetensors", &["q.weight"])];
    assert_eq!(shown(&files, &[], false), ["model: model*×1", "adapter: adapter_model*×1"]);
}
