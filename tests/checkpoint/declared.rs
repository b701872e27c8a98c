//! Checkpoints as a config.json declares them, against published counts.

use serde_json::{Value, json};
use weighbridge::checkpoint::{Checkpoint, Role, Summary, declared};
use weighbridge::report::show::{ShowBody, ShowOptions};

fn open(config: &Value) -> Checkpoint {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    declared(folder.path()).unwrap()
}

/// A decoder's configuration: hidden, layers, heads, key/value heads, feed-forward width, vocabulary.
fn decoder(family: &str, sizes: [u64; 6], more: &Value) -> Value {
    let [hidden, layers, heads, kv, ffn, vocab] = sizes;
    let mut config = json!({
        "model_type": family, "hidden_size": hidden, "num_hidden_layers": layers, "num_attention_heads": heads,
        "num_key_value_heads": kv, "intermediate_size": ffn, "vocab_size": vocab, "tie_word_embeddings": false, "torch_dtype": "bfloat16",
    });
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    config
}

/// Published counts of unique parameters: the Hub's `safetensors.total` without buffers and copies, or the models' own papers.
#[test]
fn parameters_are_the_published_ones() {
    let no = json!({});
    let tied = json!({"tie_word_embeddings": true});
    let head = |dim: u64| json!({"head_dim": dim});
    let both = |dim: u64| json!({"head_dim": dim, "tie_word_embeddings": true});
    let moe = |experts: u64, width: u64| json!({"head_dim": 128, "num_experts": experts, "num_experts_per_tok": 8, "moe_intermediate_size": width});
    let rows: Vec<(&str, Value, u64)> = vec![
        ("Llama-2-7B", decoder("llama", [4096, 32, 32, 32, 11008, 32000], &no), 6_738_415_616),
        ("Llama-2-13B", decoder("llama", [5120, 40, 40, 40, 13824, 32000], &no), 13_015_864_320),
        ("Llama-2-70B", decoder("llama", [8192, 80, 64, 8, 28672, 32000], &no), 68_976_648_192),
        ("Llama-3.1-8B", decoder("llama", [4096, 32, 32, 8, 14336, 128_256], &no), 8_030_261_248),
        ("Llama-3.1-70B", decoder("llama", [8192, 80, 64, 8, 28672, 128_256], &no), 70_553_706_496),
        ("Llama-3.1-405B", decoder("llama", [16384, 126, 128, 8, 53248, 128_256], &no), 405_853_388_800),
        ("Llama-3.2-1B", decoder("llama", [2048, 16, 32, 8, 8192, 128_256], &tied), 1_235_814_400),
        ("Llama-3.2-3B", decoder("llama", [3072, 28, 24, 8, 8192, 128_256], &tied), 3_212_749_824),
        ("Mistral-7B v0.1", decoder("mistral", [4096, 32, 32, 8, 14336, 32000], &no), 7_241_732_096),
        ("Mistral-7B v0.3", decoder("mistral", [4096, 32, 32, 8, 14336, 32768], &no), 7_248_023_552),
        ("Mistral-Nemo", decoder("mistral", [5120, 40, 32, 8, 14336, 131_072], &head(128)), 12_247_782_400),
        ("Mistral-Small-24B", decoder("mistral", [5120, 40, 32, 8, 32768, 131_072], &head(128)), 23_572_403_200),
        ("Qwen2.5-0.5B", decoder("qwen2", [896, 24, 14, 2, 4864, 151_936], &tied), 494_032_768),
        ("Qwen2.5-1.5B", decoder("qwen2", [1536, 28, 12, 2, 8960, 151_936], &tied), 1_543_714_304),
        ("Qwen2.5-3B", decoder("qwen2", [2048, 36, 16, 2, 11008, 151_936], &tied), 3_085_938_688),
        ("Qwen2.5-7B", decoder("qwen2", [3584, 28, 28, 4, 18944, 152_064], &no), 7_615_616_512),
        ("Qwen2.5-32B", decoder("qwen2", [5120, 64, 40, 8, 27648, 152_064], &no), 32_763_876_352),
        ("Qwen2.5-72B", decoder("qwen2", [8192, 80, 64, 8, 29568, 152_064], &no), 72_706_203_648),
        ("Qwen3-0.6B", decoder("qwen3", [1024, 28, 16, 8, 3072, 151_936], &both(128)), 596_049_920),
        ("Qwen3-1.7B", decoder("qwen3", [2048, 28, 16, 8, 6144, 151_936], &both(128)), 1_720_574_976),
        ("Qwen3-4B", decoder("qwen3", [2560, 36, 32, 8, 9728, 151_936], &both(128)), 4_022_468_096),
        ("Qwen3-8B", decoder("qwen3", [4096, 36, 32, 8, 12288, 151_936], &head(128)), 8_190_735_360),
        ("Qwen3-14B", decoder("qwen3", [5120, 40, 40, 8, 17408, 151_936], &head(128)), 14_768_307_200),
        ("Qwen3-32B", decoder("qwen3", [5120, 64, 64, 8, 25600, 151_936], &head(128)), 32_762_123_264),
        ("Qwen3-30B-A3B", decoder("qwen3_moe", [2048, 48, 32, 4, 6144, 151_936], &moe(128, 768)), 30_532_122_624),
        ("Qwen3-235B-A22B", decoder("qwen3_moe", [4096, 94, 64, 4, 12288, 151_936], &moe(128, 1536)), 235_093_634_560),
        ("Gemma-2B", decoder("gemma", [2048, 18, 8, 1, 16384, 256_000], &both(256)), 2_506_172_416),
        ("Gemma-2-2B", decoder("gemma2", [2304, 26, 8, 4, 9216, 256_000], &both(256)), 2_614_341_888),
        ("Gemma-2-9B", decoder("gemma2", [3584, 42, 16, 8, 14336, 256_000], &both(256)), 9_241_705_984),
        ("Gemma-2-27B", decoder("gemma2", [4608, 46, 32, 16, 36864, 256_000], &both(128)), 27_227_128_320),
        ("Gemma-3-4B text", decoder("gemma3_text", [2560, 34, 8, 4, 10240, 262_208], &both(256)), 3_880_263_168),
        ("Gemma-3-12B text", decoder("gemma3_text", [3840, 48, 16, 8, 15360, 262_208], &both(256)), 11_766_034_176),
        ("Gemma-3-27B text", decoder("gemma3_text", [5376, 62, 32, 16, 21504, 262_208], &both(128)), 27_009_346_304),
        ("Phi-3-mini", decoder("phi3", [3072, 32, 32, 32, 8192, 32064], &no), 3_821_079_552),
        ("Phi-4", decoder("phi3", [5120, 40, 40, 10, 17920, 100_352], &no), 14_659_507_200),
        ("OLMo-2-7B", decoder("olmo2", [4096, 32, 32, 32, 11008, 100_352], &no), 7_298_617_344),
        (
            "GPT-2",
            json!({"model_type": "gpt2", "n_embd": 768, "n_layer": 12, "n_head": 12, "n_positions": 1024, "vocab_size": 50257}),
            124_439_808,
        ),
        ("BERT-base", bert([768, 12, 12, 3072]), 109_482_240),
        ("BERT-large", bert([1024, 24, 16, 4096]), 335_141_888),
        ("all-MiniLM-L6-v2", bert([384, 6, 12, 1536]), 22_713_216),
    ];
    for (name, config, expected) in rows {
        let checkpoint = open(&config);
        assert_eq!(checkpoint.logical_params(), expected, "{name}");
        assert!(checkpoint.declared && checkpoint.problems.is_empty(), "{name}");
    }
}

fn bert([hidden, layers, heads, ffn]: [u64; 4]) -> Value {
    json!({
        "model_type": "bert", "hidden_size": hidden, "num_hidden_layers": layers, "num_attention_heads": heads, "intermediate_size": ffn,
        "vocab_size": 30522, "max_position_embeddings": 512, "type_vocab_size": 2,
    })
}

fn mixtral(sizes: [u64; 6]) -> Value {
    decoder("mixtral", sizes, &json!({"num_local_experts": 8, "num_experts_per_tok": 2}))
}

fn gpt_oss(layers: u64, experts: u64) -> Value {
    let more = json!({
        "head_dim": 64, "num_local_experts": experts, "num_experts_per_tok": 4,
        "quantization_config": {"quant_method": "mxfp4"},
    });
    decoder("gpt_oss", [2880, layers, 64, 8, 2880, 201_088], &more)
}

fn deepseek_v3() -> Value {
    let more = json!({
        "n_routed_experts": 256, "n_shared_experts": 1, "num_experts_per_tok": 8, "moe_intermediate_size": 2048,
        "first_k_dense_replace": 3, "kv_lora_rank": 512, "q_lora_rank": 1536, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64,
        "v_head_dim": 128, "num_nextn_predict_layers": 1,
        "quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]},
    });
    decoder("deepseek_v3", [7168, 61, 128, 128, 18432, 129_280], &more)
}

/// Elements as the Hub's table of this model states them per dtype, and the bytes they take.
#[test]
fn deepseek_v3_has_its_published_elements_of_every_dtype() {
    let checkpoint = open(&deepseek_v3());
    let summary = Summary::of(&checkpoint);
    let stored: Vec<(&str, u64)> = summary.dtypes.iter().map(|(name, sums)| (name.as_str(), sums.stored_elements)).collect();
    assert_eq!(stored, [("F8_E4M3", 680_571_043_840), ("BF16", 3_918_786_560), ("F32", 41_555_600)]);
    assert_eq!(summary.total.bytes, 688_574_839_360);
    // 91,991 tensors by a public audit of the headers.
    assert_eq!(summary.total.tensors, 91_991);
    let role = |role: Role| summary.roles.iter().find(|r| r.0 == role).map_or(0, |r| r.1.logical_params);
    // The 671,026,419,200 of the main model: everything but the block that predicts a second token.
    assert_eq!(summary.total.logical_params - role(Role::Mtp), 671_026_419_200);
}

#[test]
fn gpt_oss_has_its_published_bytes() {
    let small = open(&gpt_oss(24, 32));
    let summary = Summary::of(&small);
    assert_eq!((summary.total.bytes, summary.total.tensors), (13_761_264_768, 459));
    assert_eq!(summary.total.logical_params, 20_914_757_184);
    let large = Summary::of(&open(&gpt_oss(36, 128)));
    assert_eq!((large.total.bytes, large.total.logical_params), (65_248_815_744, 116_829_156_672));
}

/// Counted by instantiating transformers' classes on the meta device: with both embeddings, without the input's, with neither.
#[test]
fn active_parameters_follow_three_conventions() {
    let moe = |experts: u64, width: u64| json!({"head_dim": 128, "num_experts": experts, "num_experts_per_tok": 8, "moe_intermediate_size": width});
    let rows = [
        (mixtral([4096, 32, 32, 8, 14336, 32000]), 46_702_792_704u64, [12_879_925_248u64, 12_748_853_248, 12_617_781_248]),
        (mixtral([6144, 56, 48, 8, 16384, 32768]), 140_630_071_296, [39_161_468_928, 38_960_142_336, 38_758_815_744]),
        (
            decoder("qwen3_moe", [2048, 48, 32, 4, 6144, 151_936], &moe(128, 768)),
            30_532_122_624,
            [3_353_032_704, 3_041_867_776, 2_730_702_848],
        ),
        (gpt_oss(24, 32), 20_914_757_184, [4_187_440_704, 3_608_307_264, 3_029_173_824]),
        (gpt_oss(36, 128), 116_829_156_672, [5_711_982_912, 5_132_849_472, 4_553_716_032]),
    ];
    for (config, total, active) in rows {
        let checkpoint = open(&config);
        let body = serde_json::to_value(ShowBody::of(&checkpoint, &ShowOptions::default())).unwrap();
        assert_eq!(body["totals"]["logical_params"], total, "{config}");
        let figures = &body["model"]["active_params"];
        let got = ["all", "without_input_embedding", "without_embeddings"].map(|key| figures[key].as_u64().unwrap());
        assert_eq!(got, active, "{config}");
    }
    let body = serde_json::to_value(ShowBody::of(&open(&deepseek_v3()), &ShowOptions::default())).unwrap();
    assert_eq!(body["model"]["active_params"]["without_input_embedding"], 36_625_618_432u64);
}

#[test]
fn what_a_configuration_leaves_open_is_refused() {
    let refused = |config: Value| {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
        declared(folder.path()).unwrap_err().to_string()
    };
    assert!(refused(json!({"model_type": "nobody"})).contains("nobody"));
    assert!(refused(json!({"model_type": "llama", "hidden_size": 64})).contains("missing"));
    let gptq = json!({"quantization_config": {"quant_method": "gptq", "bits": 4}});
    assert!(refused(decoder("llama", [64, 2, 4, 4, 128, 100], &gptq)).contains("gptq"));
    // Sizes that fit no file, and more tensors than any model has.
    assert!(refused(decoder("llama", [1 << 40, 2, 4, 4, 1 << 40, 1 << 40], &json!({}))).contains("64 bits"));
    assert!(refused(decoder("llama", [64, 99_999, 4, 4, 128, 100], &json!({}))).contains("more than"));
}
