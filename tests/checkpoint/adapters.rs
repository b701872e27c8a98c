//! Adapters as their tools write them: ranks, strength, targets and base, from tensors, configurations, metadata and keys.

use std::path::Path;

use crate::build::{Value as Key, gguf, put, raw};
use serde_json::{Map, Value, json};
use tempfile::tempdir;
use weighbridge::checkpoint::{Adapter, Checkpoint, OpenOptions, open};

/// A tensor: name, shape, and the value of a scalar.
type Row<'a> = (&'a str, &'a [u64], Option<f32>);

/// A file of F32 tensors with this metadata.
fn file(rows: &[Row<'_>], metadata: &Value) -> Vec<u8> {
    let mut header = Map::new();
    if metadata.as_object().is_some_and(|map| !map.is_empty()) {
        header.insert("__metadata__".to_owned(), metadata.clone());
    }
    let mut data = Vec::new();
    for (name, shape, value) in rows {
        let start = data.len();
        let elements: u64 = shape.iter().product();
        (0..elements).for_each(|_| data.extend(value.unwrap_or(0.01).to_le_bytes()));
        header.insert((*name).to_owned(), json!({"dtype": "F32", "shape": shape, "data_offsets": [start, data.len()]}));
    }
    raw(&Value::Object(header).to_string(), &data)
}

fn opened(path: &Path) -> Checkpoint {
    open(path, &OpenOptions::default()).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn read(rows: &[Row<'_>], metadata: Value, config: Option<Value>) -> Adapter {
    let dir = tempdir().unwrap();
    put(dir.path(), "adapter_model.safetensors", file(rows, &metadata));
    if let Some(config) = config {
        put(dir.path(), "adapter_config.json", config.to_string());
    }
    let mut adapters = opened(dir.path()).adapters;
    assert_eq!(adapters.len(), 1, "{adapters:?}");
    adapters.remove(0)
}

const PEFT: &[Row<'static>] = &[
    ("base_model.model.layers.0.self_attn.q_proj.lora_A.weight", &[8, 64], None),
    ("base_model.model.layers.0.self_attn.q_proj.lora_B.weight", &[64, 8], None),
    ("base_model.model.layers.0.mlp.up_proj.lora_A.weight", &[4, 64], None),
    ("base_model.model.layers.0.mlp.up_proj.lora_B.weight", &[128, 4], None),
];

fn peft(changes: Value) -> Value {
    let mut config = json!({"peft_type": "LORA", "base_model_name_or_path": "org/base", "r": 8, "lora_alpha": 16,
        "rank_pattern": {"up_proj": 4}, "target_modules": ["q_proj", "up_proj"]});
    config.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    config
}

#[test]
fn peft_states_ranks_and_alpha_by_module() {
    let adapter = read(PEFT, json!({}), Some(peft(json!({}))));
    assert_eq!(
        (adapter.ranks.as_slice(), adapter.alpha, adapter.scales.as_slice()),
        ([4, 8].as_slice(), Some(16.0), [2.0, 4.0].as_slice())
    );
    assert_eq!((adapter.rank, adapter.scale, adapter.modules), (None, None, 2));
    assert_eq!((adapter.base_model.as_deref(), adapter.alpha_from.as_deref()), (Some("org/base"), Some("adapter_config.json")));
    assert_eq!(
        (adapter.targets.as_slice(), adapter.kind.as_str()),
        (["q_proj".to_owned(), "up_proj".to_owned()].as_slice(), "lora")
    );
    assert!(adapter.conflicts.is_empty(), "{:?}", adapter.conflicts);
    let patterned = read(PEFT, json!({}), Some(peft(json!({"alpha_pattern": {"mlp.up_proj": 8}}))));
    assert_eq!((patterned.alphas.as_slice(), patterned.scale), ([8.0, 16.0].as_slice(), Some(2.0)));
    let stable = read(&PEFT[2..], json!({}), Some(peft(json!({"use_rslora": true}))));
    assert_eq!((stable.scale, stable.rslora), (Some(8.0), true), "16 over the root of 4");
    assert_eq!(read(&PEFT[..2], json!({}), Some(peft(json!({"use_dora": true})))).kind, "dora");
}

#[test]
fn what_differs_is_a_conflict() {
    let of = |metadata: Value, config: Value| read(&PEFT[..2], metadata, Some(config)).conflicts;
    assert_eq!(of(json!({"lora_alpha": "16", "rank": "8"}), peft(json!({}))), [""; 0]);
    let alpha = of(json!({"lora_alpha": "2"}), peft(json!({})));
    assert!(alpha.len() == 1 && alpha[0].contains("alpha 16") && alpha[0].contains("states 2"), "{alpha:?}");
    let rank = of(json!({}), peft(json!({"r": 32})));
    assert!(rank.len() == 1 && rank[0].contains("states rank 32") && rank[0].contains("ranks here: 8"), "{rank:?}");
    let base = of(json!({"base_model": "org/other"}), peft(json!({})));
    assert!(base.len() == 1 && base[0].contains("org/other"), "{base:?}");
    let half = read(&PEFT[..1], json!({}), Some(peft(json!({}))));
    assert!(half.conflicts[0].contains("one of their two matrices alone"), "{:?}", half.conflicts);
    let uneven = [PEFT[0], (PEFT[1].0, &[64, 4][..], None)];
    assert!(read(&uneven, json!({}), None).conflicts[0].contains("different ranks"));
    // Tensors against metadata.
    let kohya = |said: &str| {
        let rows: [Row<'_>; 3] = [
            ("lora_unet_a.lora_down.weight", &[16, 64], None),
            ("lora_unet_a.lora_up.weight", &[64, 16], None),
            ("lora_unet_a.alpha", &[], Some(8.0)),
        ];
        read(&rows, json!({"ss_network_dim": "16", "ss_network_alpha": said}), None).conflicts
    };
    assert_eq!(kohya("8"), [""; 0]);
    assert!(kohya("4")[0].contains("states alpha 4, the alpha tensors hold 8"));
}

#[test]
fn alpha_tensors_are_read_and_are_no_parameters() {
    let dir = tempdir().unwrap();
    let rows: [Row<'_>; 6] = [
        ("lora_unet_double_blocks_0_img_attn_qkv.alpha", &[], Some(8.0)),
        ("lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight", &[16, 64], None),
        ("lora_unet_double_blocks_0_img_attn_qkv.lora_up.weight", &[192, 16], None),
        ("lora_te1_text_model_encoder_layers_3_mlp_fc1.alpha", &[1], Some(4.0)),
        ("lora_te1_text_model_encoder_layers_3_mlp_fc1.lora_down.weight", &[16, 64], None),
        ("lora_te1_text_model_encoder_layers_3_mlp_fc1.lora_up.weight", &[64, 16], None),
    ];
    put(
        dir.path(),
        "style.safetensors",
        file(&rows, &json!({"ss_base_model_version": "flux1", "ss_network_args": "{\"conv_dim\": \"4\"}"})),
    );
    for path in [dir.path().to_owned(), dir.path().join("style.safetensors")] {
        let checkpoint = opened(&path);
        let adapter = &checkpoint.adapters[0];
        assert_eq!(
            (adapter.rank, adapter.alphas.as_slice(), adapter.scales.as_slice()),
            (Some(16), [4.0, 8.0].as_slice(), [0.25, 0.5].as_slice())
        );
        assert_eq!((adapter.base_model.as_deref(), adapter.alpha_from.as_deref()), (Some("flux1"), Some("tensors")));
        assert_eq!(adapter.targets, ["mlp_fc1", "img_attn_qkv"]);
        assert_eq!(checkpoint.logical_params(), 16 * 64 + 192 * 16 + 16 * 64 + 64 * 16);
    }
}

#[test]
fn spellings_of_other_writers() {
    let diffusers = json!({"lora_adapter_metadata":
        "{\"transformer.r\": 8, \"transformer.lora_alpha\": 4, \"text_encoder.r\": 2, \"text_encoder.lora_alpha\": 2, \"transformer.target_modules\": [\"to_q\"]}"});
    let rows: [Row<'_>; 4] = [
        ("transformer.blocks.0.attn.to_q.lora_A.weight", &[8, 64], None),
        ("transformer.blocks.0.attn.to_q.lora_B.weight", &[64, 8], None),
        ("text_encoder.layers.0.k_proj.lora_linear_layer.down.weight", &[2, 64], None),
        ("text_encoder.layers.0.k_proj.lora_linear_layer.up.weight", &[64, 2], None),
    ];
    let adapter = read(&rows, diffusers, None);
    assert_eq!(
        (adapter.ranks.as_slice(), adapter.scales.as_slice(), adapter.targets.as_slice()),
        ([2, 8].as_slice(), [0.5, 1.0].as_slice(), ["to_q".to_owned()].as_slice())
    );
    assert!(adapter.conflicts.is_empty(), "{:?}", adapter.conflicts);

    let mlx: [Row<'_>; 2] =
        [("model.layers.0.self_attn.q_proj.lora_a", &[64, 8], None), ("model.layers.0.self_attn.q_proj.lora_b", &[8, 32], None)];
    let config =
        json!({"model": "org/base", "fine_tune_type": "lora", "lora_parameters": {"rank": 8, "scale": 20.0, "dropout": 0.0}});
    let adapter = read(&mlx, json!({}), Some(config));
    assert_eq!(
        (adapter.rank, adapter.alpha, adapter.scale, adapter.base_model.as_deref()),
        (Some(8), None, Some(20.0), Some("org/base"))
    );

    let loha: [Row<'_>; 5] = [
        ("lycoris_blocks_0_fc.hada_w1_a", &[64, 4], None),
        ("lycoris_blocks_0_fc.hada_w1_b", &[4, 32], None),
        ("lycoris_blocks_0_fc.hada_w2_a", &[64, 4], None),
        ("lycoris_blocks_0_fc.hada_w2_b", &[4, 32], None),
        ("lycoris_blocks_0_fc.alpha", &[], Some(1.0)),
    ];
    let adapter = read(&loha, json!({}), None);
    assert_eq!((adapter.kind.as_str(), adapter.rank, adapter.scale, adapter.modules), ("loha", Some(4), Some(0.25), 1));
    let lokr: [Row<'_>; 3] =
        [("lycoris_fc.lokr_w1", &[8, 8], None), ("lycoris_fc.lokr_w2_a", &[64, 4], None), ("lycoris_fc.lokr_w2_b", &[4, 32], None)];
    let adapter = read(&lokr, json!({}), None);
    assert_eq!((adapter.kind.as_str(), adapter.rank), ("lokr", Some(4)));

    // All experts of a parameter stand one below the other.
    let experts: [Row<'_>; 2] = [
        ("model.layers.0.mlp.experts.lora_A.weight", &[32, 64], None),
        ("model.layers.0.mlp.experts.lora_B.weight", &[64, 32], None),
    ];
    let adapter = read(&experts, json!({}), Some(peft(json!({"target_parameters": ["mlp.experts.gate_up_proj"]}))));
    assert!(adapter.rank == Some(8) && adapter.conflicts.is_empty(), "{adapter:?}");

    let without = read(&PEFT[..2], json!({}), None);
    assert!((without.alpha, without.scale) == (None, None) && without.notes[0].contains("loaders differ"));
}

#[test]
fn gguf_keys_and_the_base_that_is_left_out() {
    let dir = tempdir().unwrap();
    let keys = [
        ("general.architecture", Key::Text("llama")),
        ("general.type", Key::Text("adapter")),
        ("adapter.type", Key::Text("lora")),
        ("adapter.lora.alpha", Key::U32(16)),
        ("general.base_model.0.name", Key::Text("Base 8B")),
    ];
    let tensors: [(&str, &[u64], u32, u64); 2] =
        [("blk.0.attn_q.weight.lora_a", &[64, 8], 0, 0), ("blk.0.attn_q.weight.lora_b", &[8, 64], 0, 2048)];
    put(dir.path(), "adapter.gguf", gguf(&keys, &tensors, 32, &[0; 4096]));
    let checkpoint = opened(&dir.path().join("adapter.gguf"));
    let adapter = &checkpoint.adapters[0];
    assert_eq!((adapter.rank, adapter.alpha, adapter.scale), (Some(8), Some(16.0), Some(2.0)));
    assert_eq!((adapter.base_model.as_deref(), adapter.architecture.as_deref()), (Some("Base 8B"), Some("llama")));
    let reason = checkpoint.shortfall().unwrap().reason;
    assert!(reason.contains("only an adapter is here") && reason.contains("Base 8B"), "{reason}");
}

#[test]
fn models_have_no_adapters() {
    let dir = tempdir().unwrap();
    let rows: [Row<'_>; 3] = [
        ("decoder.act.alpha", &[1], Some(1.0)),
        ("model.layers.0.q_proj.weight", &[8, 8], None),
        ("model.norm.weight", &[8], None),
    ];
    put(dir.path(), "model.safetensors", file(&rows, &json!({"alpha": "2"})));
    let checkpoint = opened(dir.path());
    assert!(checkpoint.adapters.is_empty());
    assert_eq!(checkpoint.logical_params(), 1 + 64 + 8, "a scalar of that name in a model is a weight");
}
