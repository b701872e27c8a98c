//! Configurations as Python writes them, and those that cannot be read: what is said of the model and of the file.

use std::path::Path;

use crate::build::{packed, put};
use tempfile::tempdir;
use weighbridge::audit::{AuditRequest, audit};
use weighbridge::checkpoint::{Checkpoint, HfFolder, KvLayers, OpenOptions, open};
use weighbridge::observe::Silent;

const CONFIG: &str = r#"{
 "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 8, "num_hidden_layers": 1,
 "num_attention_heads": 2, "num_key_value_heads": 1, "intermediate_size": 16, "vocab_size": 16, "tie_word_embeddings": false,
 "name": "NaN \" Infinity",
 "time_step_limit": [0.0, ODD]
}"#;

fn weights(folder: &Path) {
    let tensors: [(&str, &str, &[u64]); 6] = [
        ("model.embed_tokens.weight", "F32", &[16, 8]),
        ("model.layers.0.self_attn.q_proj.weight", "F32", &[8, 8]),
        ("model.layers.0.self_attn.k_proj.weight", "F32", &[4, 8]),
        ("model.layers.0.self_attn.v_proj.weight", "F32", &[4, 8]),
        ("model.layers.0.mlp.up_proj.weight", "F32", &[16, 8]),
        ("lm_head.weight", "F32", &[16, 8]),
    ];
    put(folder, "model.safetensors", packed(&tensors, 4));
}

fn opened(folder: &Path) -> Checkpoint {
    open(folder, &OpenOptions::default()).unwrap()
}

/// Codes with their severities and messages.
fn findings(folder: &Path) -> Vec<(String, &'static str, String)> {
    let told = audit(folder, &AuditRequest::default(), &Silent).unwrap();
    told.findings.iter().map(|f| (f.code.to_owned(), f.severity.name(), f.message.clone())).collect()
}

#[test]
fn numbers_that_only_python_writes_leave_the_model_known() {
    for odd in ["Infinity", "-Infinity", "NaN", "1e400", "-1e400", "\"\\ud800\"", "1, 1"] {
        let dir = tempdir().unwrap();
        weights(dir.path());
        put(dir.path(), "config.json", CONFIG.replace("ODD", odd));
        let checkpoint = opened(dir.path());
        assert!(checkpoint.problems.is_empty(), "{odd}: {}", checkpoint.problems[0]);
        let model = &checkpoint.model;
        assert_eq!((model.layers, model.hidden_size, model.heads, model.kv_heads), (Some(1), Some(8), Some(2), Some(1)), "{odd}");
        let KvLayers::Known(layers) = &model.kv else { panic!("{odd}: {:?}", model.kv) };
        assert_eq!(layers[0].elements_per_token(), 8, "{odd}");
        assert_eq!(checkpoint.tied.note(), None, "{odd}");
        assert_eq!(checkpoint.config_json().unwrap()["name"], "NaN \" Infinity", "{odd}");
        let folder = HfFolder::read(dir.path()).unwrap();
        assert_eq!((folder.refusal, folder.config["hidden_size"].as_u64()), (None, Some(8)), "{odd}");
        // Python reads it, others do not: told, and no more than that.
        let told: Vec<_> = findings(dir.path()).into_iter().filter(|(code, ..)| code.starts_with("config-")).collect();
        assert_eq!(told.len(), usize::from(odd.contains("Infinity") || odd == "NaN"), "{odd}: {told:?}");
        assert!(told.iter().all(|(code, severity, _)| code == "config-not-strict" && *severity == "note"), "{odd}: {told:?}");
    }
}

#[test]
fn the_other_files_beside_the_weights_are_read_as_python_reads_them() {
    let dir = tempdir().unwrap();
    weights(dir.path());
    put(dir.path(), "config.json", CONFIG.replace("ODD", "1"));
    put(dir.path(), "generation_config.json", r#"{"temperature": NaN, "eos_token_id": 2}"#);
    put(dir.path(), "tokenizer_config.json", r#"{"model_max_length": 1e400, "a": "\udc00", "eos_token": "</s>"}"#);
    put(dir.path(), "quantize_config.json", r#"{"bits": 4, "damp_percent": Infinity, "quant_method": "gptq"}"#);
    put(
        dir.path(),
        "model.safetensors.index.json",
        r#"{"metadata": {"total_size": NaN, "x": -Infinity}, "weight_map": {"lm_head.weight": "model.safetensors"}}"#,
    );
    let checkpoint = opened(dir.path());
    assert_eq!(checkpoint.problems.len(), 0, "{:?}", checkpoint.problems);
    assert_eq!(checkpoint.config_json().unwrap()["quantization_config"]["bits"], 4);
    let total = checkpoint.indexes[0].total_size.clone().unwrap();
    assert_eq!((total.text.as_str(), total.value, total.quoted), ("NaN", None, false));
    let folder = HfFolder::read(dir.path()).unwrap();
    assert_eq!(folder.refusal, None);
    assert_eq!(folder.tokenizer_config.unwrap()["eos_token"], "</s>");
    assert_eq!(folder.generation.unwrap()["eos_token_id"], 2);
    // A figure that the model needs is not guessed where it is no number.
    put(
        dir.path(),
        "config.json",
        CONFIG.replace("ODD", "1").replace("\"num_key_value_heads\": 1", "\"num_key_value_heads\": NaN"),
    );
    let KvLayers::Refused(why) = opened(dir.path()).model.kv else { panic!("a cache of NaN heads") };
    assert!(why.contains("num_key_value_heads") && why.contains("NaN"), "{why}");
}

#[test]
fn a_configuration_that_cannot_be_read_is_said_to_be_there() {
    let plain = CONFIG.replace("ODD", "1");
    let cases: [(&str, Vec<u8>, &str, &str); 4] = [
        ("cut", plain.as_bytes()[..120].to_vec(), "a string without its closing quote, line 3 column 2", "config-unreadable"),
        ("odd", CONFIG.replace("ODD", "?").into_bytes(), "found `?` where a value belongs, line 5 column 27", "config-unreadable"),
        (
            "latin",
            plain.replace("NaN", "\u{e9}").replace('\u{e9}', "\u{1}").into_bytes(),
            "control character 0x01",
            "config-unreadable",
        ),
        ("empty", Vec::new(), "ends in the middle of a value", "config-unreadable"),
    ];
    for (name, text, reason, code) in cases {
        let dir = tempdir().unwrap();
        weights(dir.path());
        put(dir.path(), "config.json", text);
        let checkpoint = opened(dir.path());
        let KvLayers::Refused(why) = &checkpoint.model.kv else { panic!("{name}: {:?}", checkpoint.model.kv) };
        assert!(why.starts_with("config.json cannot be read: not JSON: ") && why.contains(reason), "{name}: {why}");
        assert!(checkpoint.problems[0].to_string().contains(reason), "{name}: {}", checkpoint.problems[0]);
        let told = findings(dir.path());
        let here: Vec<_> = told.iter().filter(|(c, ..)| c.starts_with("config") || c.starts_with("byte")).collect();
        assert_eq!(here.iter().map(|(c, s, _)| (c.as_str(), *s)).collect::<Vec<_>>(), [(code, "warning")], "{name}: {told:?}");
        assert!(here[0].2.contains(reason), "{name}: {told:?}");
    }
}

#[test]
fn without_a_configuration_there_is_none() {
    let dir = tempdir().unwrap();
    weights(dir.path());
    let kv = opened(dir.path()).model.kv;
    assert_eq!(kv, KvLayers::Refused("no config.json and no GGUF keys to read the architecture from".to_owned()));
    // A folder of that name, or a link to nothing, is there and is no file.
    std::fs::create_dir(dir.path().join("config.json")).unwrap();
    let KvLayers::Refused(why) = opened(dir.path()).model.kv else { panic!("read a folder") };
    assert!(why.starts_with("config.json cannot be read"), "{why}");
}
