//! Configurations as people have them: a byte order mark, Mistral's params.json, a quantization in a file of its own.

use std::path::Path;

use crate::writers::{put, safetensors};
use tempfile::tempdir;
use weighbridge::checkpoint::config::{CacheScheme, KvLayers};
use weighbridge::checkpoint::{Checkpoint, OpenOptions, open};

const CONFIG: &str = r#"{"model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 64, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 256, "max_position_embeddings": 2048}"#;
const PARAMS: &str =
    r#"{"dim": 64, "n_layers": 3, "n_heads": 4, "n_kv_heads": 2, "head_dim": 16, "hidden_dim": 128, "vocab_size": 256}"#;

fn opened(folder: &Path) -> Checkpoint {
    safetensors(&folder.join("model.safetensors"), &[("layers.0.attention.wq.weight", &[64, 64])]);
    open(folder, &OpenOptions::default()).unwrap()
}

fn refusal(checkpoint: &Checkpoint) -> &str {
    match &checkpoint.model.kv {
        KvLayers::Refused(why) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn figures_are_read_past_a_byte_order_mark() {
    for text in [CONFIG.to_owned(), CONFIG.replace('\n', "\r\n")] {
        let dir = tempdir().unwrap();
        put(&dir.path().join("config.json"), format!("\u{feff}{text}").as_bytes());
        let checkpoint = opened(dir.path());
        assert_eq!(checkpoint.model.layers, Some(2));
        assert!(matches!(checkpoint.model.kv, KvLayers::Known(_)) && checkpoint.problems.is_empty());
        assert!(checkpoint.model.notes.iter().any(|note| note.contains("byte order mark")), "{:?}", checkpoint.model.notes);
    }
    // Behind the mark it still has to be JSON.
    let dir = tempdir().unwrap();
    put(&dir.path().join("config.json"), "\u{feff}\u{feff}{}".as_bytes());
    assert!(refusal(&opened(dir.path())).contains("byte order mark"));
    let dir = tempdir().unwrap();
    put(&dir.path().join("config.json"), "\u{feff}{".as_bytes());
    assert!(refusal(&opened(dir.path())).contains("not JSON"));
}

#[test]
fn params_json_stands_where_there_is_no_config_json() {
    let dir = tempdir().unwrap();
    put(&dir.path().join("params.json"), PARAMS.as_bytes());
    let alone = opened(dir.path()).model;
    assert_eq!((alone.layers, alone.kv_heads, alone.head_dim), (Some(3), Some(2), Some(16)));
    assert_eq!((alone.origin.as_deref(), alone.architecture.as_deref()), (Some("params.json"), Some("MistralForCausalLM")));
    put(&dir.path().join("config.json"), CONFIG.as_bytes());
    let both = opened(dir.path()).model;
    assert_eq!((both.layers, both.origin.as_deref()), (Some(2), Some("config.json")));
    // A config.json that cannot be read is not replaced by what lies beside it.
    put(&dir.path().join("config.json"), b"{");
    let broken = opened(dir.path());
    assert!(broken.model.layers.is_none() && refusal(&broken).contains("config.json cannot be read"));
}

#[test]
fn without_a_configuration_the_reason_names_what_is_there() {
    let dir = tempdir().unwrap();
    put(&dir.path().join("params.json"), br#"{"learning_rate": 0.1}"#);
    put(&dir.path().join("adapter_config.json"), b"{}");
    let why = opened(dir.path());
    let why = refusal(&why);
    assert!(
        why.contains("no config.json") && why.contains("params.json has no `dim`") && why.contains("adapter_config.json is here"),
        "{why}"
    );
    let dir = tempdir().unwrap();
    put(&dir.path().join("params.json"), b"[1, 2]");
    assert!(refusal(&opened(dir.path())).contains("params.json is no JSON object"));
}

#[test]
fn the_cache_that_a_checkpoint_asks_for() {
    let with = |extra: &str| CONFIG.replacen('{', &format!("{{\"quantization_config\": {extra}, "), 1);
    let modelopt = r#"{"quant_method": "modelopt", "quant_algo": "FP8", "kv_cache_quant_algo": "FP8"}"#;
    let file = r#"{"producer": {"name": "modelopt", "version": "0.29"}, "quantization": {"quant_algo": "NVFP4", "kv_cache_quant_algo": "FP8"}}"#;
    let scheme = r#"{"quant_method": "compressed-tensors", "kv_cache_scheme": {"num_bits": 8, "type": "float", "dynamic": false}}"#;
    let read = |config: &str, beside: Option<&str>| {
        let dir = tempdir().unwrap();
        put(&dir.path().join("config.json"), config.as_bytes());
        if let Some(text) = beside {
            put(&dir.path().join("hf_quant_config.json"), text.as_bytes());
        }
        opened(dir.path()).model.stated_cache
    };
    let named = || CacheScheme::Named("FP8".to_owned());
    let stated = read(&with(modelopt), None).unwrap();
    assert_eq!((stated.key, stated.scheme, stated.file.as_str()), ("kv_cache_quant_algo", named(), "config.json"));
    let stated = read(CONFIG, Some(file)).unwrap();
    assert_eq!((stated.method.as_str(), stated.scheme, stated.file.as_str()), ("modelopt", named(), "hf_quant_config.json"));
    let stated = read(&with(scheme), None).unwrap();
    assert_eq!(stated.scheme, CacheScheme::Figures { bits: Some(8), float: true, dynamic: Some(false) });
    assert_eq!(read(CONFIG, None), None);
    assert_eq!(read(&with(r#"{"quant_method": "modelopt", "kv_cache_quant_algo": null}"#), None), None);
    // What config.json states goes before the file, as does another producer's.
    assert_eq!(read(&with(r#"{"quant_method": "fp8"}"#), Some(file)), None);
    assert_eq!(read(CONFIG, Some(&file.replace("modelopt", "other"))), None);
}
