//! The shapes of attention are held against the configuration in the decoder that it describes, and nowhere else.

use crate::build::{Value, gguf, packed, put};
use tempfile::tempdir;
use weighbridge::audit::{AuditRequest, audit};
use weighbridge::checkpoint::{OpenOptions, open};
use weighbridge::observe::Silent;
use weighbridge::project::ProjectInput;
use weighbridge::project::memory::{MemoryRequest, memory};

type Tensors = Vec<(String, Vec<u64>)>;

/// Heads 2 of 4, one of them for keys and values, hidden 8: what the configuration says.
const TEXT: &str = r#""model_type":"llama","hidden_size":8,"num_hidden_layers":2,"num_attention_heads":2,"num_key_value_heads":1,
"head_dim":4,"intermediate_size":16,"vocab_size":16"#;

fn plain() -> String {
    format!("{{\"architectures\":[\"LlamaForCausalLM\"],{TEXT}}}")
}

fn nested(key: &str) -> String {
    format!("{{\"model_type\":\"llava\",\"{key}\":{{{TEXT}}},\"vision_config\":{{\"hidden_size\":6}}}}")
}

/// A stack of attention blocks under a module, with these rows of q and k.
fn blocks(under: &str, layers: u64, q: u64, k: u64, hidden: u64) -> Tensors {
    let each = |layer: u64| {
        let name = move |part: &str| format!("{under}.{layer}.self_attn.{part}_proj.weight");
        [(name("q"), vec![q, hidden]), (name("k"), vec![k, hidden]), (name("v"), vec![k, hidden]), (name("o"), vec![hidden, q])]
    };
    (0..layers).flat_map(each).collect()
}

/// A decoder under a module; `good` ones are as configured.
fn decoder(under: &str, good: bool) -> Tensors {
    let module = under.rsplit_once('.').map_or(String::new(), |(module, _)| format!("{module}."));
    let mut tensors = blocks(under, 2, 8, if good { 4 } else { 8 }, 8);
    tensors.push((format!("{module}embed_tokens.weight"), vec![16, 8]));
    tensors.push((format!("{module}norm.weight"), vec![8]));
    tensors
}

/// Names of the tensors that `attention-shape` is about; a finding about the number of layers stands for itself.
fn told(config: &str, tensors: &Tensors) -> Vec<String> {
    let dir = tempdir().unwrap();
    let rows: Vec<(&str, &str, &[u64])> = tensors.iter().map(|(n, s)| (n.as_str(), "F32", s.as_slice())).collect();
    put(dir.path(), "model.safetensors", packed(&rows, 4));
    put(dir.path(), "config.json", config);
    let found = audit(dir.path(), &AuditRequest::default(), &Silent).unwrap();
    let about = |f: &weighbridge::audit::Finding| match f.code {
        "attention-shape" => f.tensor.clone(),
        "layer-count" => Some(f.message.clone()),
        _ => None,
    };
    found.findings.iter().filter_map(about).collect()
}

/// What a model may hold beside its decoder, under names that are known and names that are not.
const BESIDE: [&str; 14] = [
    "vision_tower.vision_model.encoder.layers",
    "model.vision_model.encoder.layers",
    "audio_tower.layers",
    "model.eyes.blocks",
    "model.ears.encoder.layers",
    "model.connector.perceiver_resampler.layers",
    "perceiver.layers",
    "mtp.layers",
    "model.mtp.layers",
    "eagle_module.layers",
    "draft_model.model.layers",
    "talker.model.layers",
    "code_predictor.model.layers",
    "vlm_adapter.h",
];

#[test]
fn what_stands_beside_the_decoder_has_heads_of_its_own() {
    let decoders = [
        ("model.layers", plain()),
        ("layers", plain()),
        ("model.language_model.layers", nested("text_config")),
        ("language_model.model.layers", nested("text_config")),
        ("thinker.model.layers", nested("thinker_config")),
        ("some.new.name.layers", nested("llm_config")),
    ];
    for (under, config) in &decoders {
        for beside in BESIDE {
            // Of the same depth as the decoder, deeper, and with an embedding of its own.
            for layers in [2, 3] {
                let mut tensors = decoder(under, true);
                tensors.extend(blocks(beside, layers, 6, 6, 6));
                if beside.starts_with("talker") {
                    tensors.push(("talker.model.embed_tokens.weight".to_owned(), vec![12, 6]));
                }
                assert_eq!(told(config, &tensors), Vec::<String>::new(), "{beside} beside {under}");
            }
            let mut tensors = decoder(under, false);
            tensors.extend(blocks(beside, 2, 6, 6, 6));
            let mut wanted: Vec<String> = blocks(under, 2, 8, 8, 8).into_iter().map(|(n, _)| n).collect();
            wanted.retain(|n| n.contains("k_proj") || n.contains("v_proj"));
            wanted.sort();
            let mut got = told(config, &tensors);
            got.sort();
            assert_eq!(got, wanted, "a decoder under {under} beside {beside}");
        }
    }
}

#[test]
fn a_part_without_the_embedding_is_still_looked_at() {
    // A shard, of which only the names tell; and a decoder of a name that is not known, alone.
    let mut shard = blocks("model.language_model.layers", 2, 8, 8, 8);
    shard.extend(blocks("model.eyes.blocks", 2, 6, 6, 6));
    assert_eq!(told(&nested("text_config"), &shard).len(), 4);
    assert_eq!(told(&plain(), &blocks("some.new.name.layers", 2, 8, 8, 8)).len(), 4);
    // Two of names that are not known: which is the decoder is not told.
    let mut both = blocks("some.new.name.layers", 2, 8, 8, 8);
    both.extend(blocks("another.new.name.layers", 2, 8, 8, 8));
    assert_eq!(told(&plain(), &both), Vec::<String>::new());
    // Blocks inside blocks are others.
    let mut inner = decoder("model.layers", true);
    inner.extend(blocks("model.layers.1.mtp_block.layers", 2, 6, 6, 6));
    inner.push(("model.layers.1.cross.self_attn.k_proj.weight".to_owned(), vec![6, 6]));
    assert_eq!(told(&plain(), &inner), Vec::<String>::new());
}

#[test]
fn a_draft_head_may_take_two_hidden_states() {
    // EAGLE-3: the first block reads the token's embedding beside the hidden state of the model that it drafts for.
    let draft = |extra: Option<&str>| {
        let mut tensors = decoder("layers", true);
        for (name, shape) in &mut tensors {
            if name.contains("layers.0.self_attn") && !name.contains("o_proj") {
                shape[1] = 16;
            }
        }
        tensors.extend(extra.map(|name| (name.to_owned(), vec![8, 24])));
        tensors
    };
    assert_eq!(told(&plain(), &draft(Some("fc.weight"))), Vec::<String>::new());
    assert_eq!(told(&plain().replace("LlamaForCausalLM", "LlamaForCausalLMEagle3"), &draft(None)), Vec::<String>::new());
    assert_eq!(told(&plain(), &draft(None)).len(), 3);
}

#[test]
fn the_cache_is_not_refused_for_what_stands_beside_the_decoder() {
    let cache = |tensors: &Tensors| {
        let dir = tempdir().unwrap();
        let rows: Vec<(&str, &str, &[u64])> = tensors.iter().map(|(n, s)| (n.as_str(), "F32", s.as_slice())).collect();
        put(dir.path(), "model.safetensors", packed(&rows, 4));
        put(dir.path(), "config.json", nested("text_config"));
        let checkpoint = open(dir.path(), &OpenOptions::default()).unwrap();
        let request = MemoryRequest { engines: vec!["vllm".to_owned()], ctx: Some(64), ..MemoryRequest::default() };
        let report = memory(&ProjectInput::from_checkpoint(&checkpoint), &request);
        let terms = report.engines[0].devices[0].terms.clone();
        terms.into_iter().find(|t| t.name == "kv_cache").map(|t| (t.low, t.formula)).unwrap()
    };
    // The tower stands first in the file.
    let mut tensors = blocks("a.new.tower.layers", 2, 6, 6, 6);
    tensors.extend(decoder("model.language_model.layers", true));
    // Two layers x 64 tokens x 2 x 4 elements of 2 bytes.
    assert_eq!(cache(&tensors).0, Some(2 * 64 * 2 * 4 * 2));
    let mut wrong = blocks("a.new.tower.layers", 2, 6, 6, 6);
    wrong.extend(decoder("model.language_model.layers", false));
    let (low, reason) = cache(&wrong);
    assert!(low.is_none() && reason.contains("model.language_model.layers.0.self_attn.k_proj.weight"), "{low:?} {reason}");
}

#[test]
fn towers_inside_a_gguf_are_left_alone() {
    let keys = [
        ("general.architecture", Value::Text("llama")),
        ("llama.block_count", Value::U32(1)),
        ("llama.embedding_length", Value::U32(8)),
        ("llama.attention.head_count", Value::U32(2)),
        ("llama.attention.head_count_kv", Value::U32(1)),
    ];
    // Dimensions as ggml counts them, the row first.
    let told = |rows: u64| {
        let dir = tempdir().unwrap();
        let tensors: [(&str, &[u64], u32, u64); 3] = [
            ("token_embd.weight", &[8, 16], 0, 0),
            ("blk.0.attn_k.weight", &[8, rows], 0, 512),
            ("v.blk.0.attn_k.weight", &[6, 6], 0, 512 + 32 * rows),
        ];
        put(dir.path(), "m.gguf", gguf(&keys, &tensors, 32, &vec![1; 512 + 32 * rows as usize + 160]));
        let found = audit(dir.path(), &AuditRequest::default(), &Silent).unwrap();
        found.findings.iter().filter(|f| f.code == "attention-shape").filter_map(|f| f.tensor.clone()).collect::<Vec<_>>()
    };
    assert_eq!(told(4), Vec::<String>::new());
    assert_eq!(told(8), ["blk.0.attn_k.weight"]);
}
