//! Figures of published models, and what must be refused.

use serde_json::{Value, json};

use super::*;
use crate::format::{Metadata, MetadataValue};

fn known(model: &ModelConfig) -> &[KvLayer] {
    match &model.kv {
        KvLayers::Known(runs) => runs,
        other => panic!("{:?}: {other:?}", model.family),
    }
}

fn refused(config: Value) -> String {
    match from_config_json(&config).kv {
        KvLayers::Refused(reason) => reason,
        other => panic!("{other:?}"),
    }
}

/// Bytes a token adds in bf16 or f16, all layers.
fn bytes_per_token(config: Value) -> u64 {
    known(&from_config_json(&config)).iter().map(|run| run.elements_per_token() * 2).sum()
}

/// Bytes of one sequence in bf16 or f16 under the floor rule min(context, window).
fn cache_bytes(config: Value, context: u64) -> u64 {
    let per_run = |run: &KvLayer| run.elements_per_token() * 2 * run.window.map_or(context, |window| window.min(context));
    known(&from_config_json(&config)).iter().map(per_run).sum()
}

fn decoder(family: &str, layers: u64, hidden: u64, heads: u64, kv_heads: u64) -> Value {
    json!({
        "model_type": family, "num_hidden_layers": layers, "hidden_size": hidden,
        "num_attention_heads": heads, "num_key_value_heads": kv_heads
    })
}

fn with(mut config: Value, more: Value) -> Value {
    let (Some(map), Value::Object(more)) = (config.as_object_mut(), more) else { panic!("objects expected") };
    map.extend(more);
    config
}

fn deepseek_v3() -> Value {
    with(
        decoder("deepseek_v3", 61, 7168, 128, 128),
        json!({"kv_lora_rank": 512, "q_lora_rank": 1536, "qk_rope_head_dim": 64, "qk_nope_head_dim": 128, "v_head_dim": 128,
               "head_dim": 64, "n_routed_experts": 256, "num_experts_per_tok": 8, "n_shared_experts": 1,
               "num_nextn_predict_layers": 1, "vocab_size": 129280}),
    )
}

/// Bytes a token adds to the cache: the models' published shapes; DeepSeek-V3's 70,272 and 4,997,120 are its latent and expanded forms.
#[test]
fn kv_bytes_per_token_of_published_models() {
    for (name, config, expected) in [
        ("Llama-2-7B", decoder("llama", 32, 4096, 32, 32), 524_288),
        ("Llama-3.1-8B", decoder("llama", 32, 4096, 32, 8), 131_072),
        ("Mistral-7B-v0.2", with(decoder("mistral", 32, 4096, 32, 8), json!({"sliding_window": null})), 131_072),
        ("Llama-3.1-70B", decoder("llama", 80, 8192, 64, 8), 327_680),
        ("Llama-3.1-405B", decoder("llama", 126, 16384, 128, 8), 516_096),
        (
            "Qwen2.5-7B",
            with(decoder("qwen2", 28, 3584, 28, 4), json!({"sliding_window": 131_072, "use_sliding_window": false})),
            57_344,
        ),
        ("Qwen3-8B", with(decoder("qwen3", 36, 4096, 32, 8), json!({"head_dim": 128})), 147_456),
        ("Qwen3-30B-A3B", with(decoder("qwen3_moe", 48, 2048, 32, 4), json!({"head_dim": 128})), 98_304),
        ("Phi-4", with(decoder("phi3", 40, 5120, 40, 10), json!({"sliding_window": null})), 204_800),
        ("DeepSeek-V3", deepseek_v3(), 70_272),
        ("gpt-oss-120b", with(decoder("gpt_oss", 36, 2880, 64, 8), json!({"head_dim": 64, "sliding_window": 128})), 73_728),
    ] {
        assert_eq!(bytes_per_token(config), expected, "{name}");
    }
    let model = from_config_json(&deepseek_v3());
    let mla = model.mla.unwrap();
    assert_eq!(61 * mla.heads * (mla.nope_dim + mla.rope_dim + mla.value_dim) * 2, 4_997_120);
    assert_eq!((model.layers, model.mtp_layers, model.experts, model.experts_used), (Some(61), Some(1), Some(256), Some(8)));
}

/// gpt-oss against a vLLM log (18 full layers, 36,864 bytes a token), Gemma 3 27B's 10.406 GiB at 131,072 tokens, Llama 4 Scout's chunks.
#[test]
fn windows_bound_the_cache() {
    let gpt_oss = |layers| with(decoder("gpt_oss", layers, 2880, 64, 8), json!({"head_dim": 64, "sliding_window": 128}));
    assert_eq!(cache_bytes(gpt_oss(24), 131_072), 3_224_371_200);
    let full: u64 =
        known(&from_config_json(&gpt_oss(36))).iter().filter(|r| r.kind == KvKind::Full).map(|r| r.elements_per_token() * 2).sum();
    assert_eq!(full, 36_864);

    let gemma3 = with(
        decoder("gemma3_text", 62, 5376, 32, 16),
        json!({"head_dim": 128, "sliding_window": 1024, "sliding_window_pattern": 6}),
    );
    let bytes = cache_bytes(gemma3, 131_072);
    assert_eq!(bytes, 10 * 16 * 256 * 2 * 131_072 + 52 * 16 * 256 * 2 * 1024);
    assert!((bytes as f64 / f64::from(1 << 30) - 10.406).abs() < 0.001);

    let gemma2 = with(decoder("gemma2", 42, 3584, 16, 8), json!({"head_dim": 256, "sliding_window": 4096}));
    assert_eq!(cache_bytes(gemma2, 8192), 2_113_929_216);

    // Mistral-7B v0.1.
    let mistral = with(decoder("mistral", 32, 4096, 32, 8), json!({"sliding_window": 4096}));
    assert_eq!(cache_bytes(mistral, 32_768), 131_072 * 4096);

    let scout = json!({"model_type": "llama4", "text_config": with(
        decoder("llama4_text", 48, 5120, 40, 8), json!({"head_dim": 128, "attention_chunk_size": 8192, "no_rope_layers": []}))});
    let model = from_config_json(&scout);
    let runs = known(&model);
    assert_eq!((runs[0].kind, runs[0].layers, runs[0].window), (KvKind::Chunked, 36, Some(8192)));
    assert_eq!((runs[1].kind, runs[1].layers, runs[1].elements_per_token() * 2), (KvKind::Full, 12, 49_152));

    let qwen3 = with(decoder("qwen3", 28, 1024, 16, 8), json!({"head_dim": 128}));
    assert_eq!(cache_bytes(qwen3, 40_960), 4_697_620_480); // 4.375 GiB
}

#[test]
fn published_configs_that_rely_on_class_defaults() {
    // google/gemma-3-4b-it states these five keys only.
    let config = json!({"architectures": ["Gemma3ForConditionalGeneration"], "model_type": "gemma3", "text_config": {
        "hidden_size": 2560, "intermediate_size": 10240, "model_type": "gemma3_text", "num_hidden_layers": 34, "sliding_window": 1024}});
    let model = from_config_json(&config);
    assert_eq!((model.heads, model.kv_heads, model.head_dim, model.vocab_size), (Some(8), Some(4), Some(256), Some(262_208)));
    assert_eq!(model.architecture.as_deref(), Some("Gemma3ForConditionalGeneration"));
    assert_eq!(model.tied_embeddings, Some(true));
    let kinds: Vec<_> = known(&model).iter().map(|r| (r.kind, r.layers)).collect();
    assert_eq!(kinds, [(KvKind::Sliding, 29), (KvKind::Full, 5)]);
    assert!(model.notes.iter().any(|note| note.contains("num_attention_heads")));
}

#[test]
fn families_with_keys_of_their_own() {
    let falcon = json!({"model_type": "falcon", "hidden_size": 4544, "num_hidden_layers": 32, "num_attention_heads": 71, "multi_query": true});
    assert_eq!(bytes_per_token(falcon), 32 * 2 * 64 * 2);
    let falcon40 = json!({"model_type": "falcon", "hidden_size": 8192, "num_hidden_layers": 60, "num_attention_heads": 128,
        "num_kv_heads": 8, "new_decoder_architecture": true, "multi_query": true});
    assert_eq!(bytes_per_token(falcon40), 60 * 8 * 2 * 64 * 2);
    let gpt2 = from_config_json(
        &json!({"model_type": "gpt2", "n_embd": 768, "n_layer": 12, "n_head": 12, "n_inner": null, "n_positions": 1024}),
    );
    assert_eq!((gpt2.ffn_size, gpt2.context_length, gpt2.head_dim), (Some(3072), Some(1024), Some(64)));
    assert_eq!(known(&gpt2)[0].elements_per_token(), 12 * 2 * 768);
    let mpt = json!({"model_type": "mpt", "d_model": 4096, "n_layers": 32, "n_heads": 32, "attn_config": {"kv_n_heads": 8}});
    assert_eq!(bytes_per_token(mpt), 131_072);
    let bloom = json!({"model_type": "bloom", "n_layer": 24, "n_head": 16, "hidden_size": 1024});
    assert_eq!(bytes_per_token(bloom), 24 * 2 * 1024 * 2);
    let qwen2_moe = with(
        decoder("qwen2_moe", 4, 2048, 16, 16),
        json!({"use_sliding_window": true, "sliding_window": 64, "max_window_layers": 3}),
    );
    let kinds: Vec<_> = known(&from_config_json(&qwen2_moe)).iter().map(|r| (r.kind, r.layers)).collect();
    assert_eq!(kinds, [(KvKind::Sliding, 2), (KvKind::Full, 2)]);
}

#[test]
fn encoders_keep_no_cache() {
    for family in ["bert", "distilbert", "nomic_bert", "vit", "clip", "siglip"] {
        let config = json!({"model_type": family, "hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12, "vocab_size": 30522});
        assert!(matches!(from_config_json(&config).kv, KvLayers::NoCache(_)), "{family}");
    }
    let decoder =
        json!({"model_type": "bert", "is_decoder": true, "hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12});
    assert_eq!(bytes_per_token(decoder), 6 * 2 * 384 * 2);
}

#[test]
fn what_is_not_understood_is_refused_by_name() {
    assert!(refused(json!({"model_type": "zorblax"})).contains("`zorblax`"));
    assert!(refused(json!({"hidden_size": 64})).contains("`model_type`"));
    assert!(refused(json!([1])).contains("no JSON object"));
    assert!(refused(json!({"model_type": "llama", "hidden_size": 64, "num_attention_heads": 4})).contains("`num_hidden_layers`"));
    assert!(refused(decoder("llama", 2, 64, 8, 3)).contains("3 key/value heads do not divide 8"));
    assert!(refused(decoder("llama", 2, 64, 0, 0)).contains("`num_attention_heads` is 0"));
    assert!(refused(decoder("llama", 2, 65, 8, 8)).contains("`head_dim` is missing"));
    assert!(refused(decoder("llama", u64::MAX, 64, 8, 8)).contains("layers"));
    assert!(refused(with(decoder("llama", 2, 64, 8, 8), json!({"hidden_size": "big", "head_dim": 8}))).contains("`hidden_size`"));
    let wrong = with(decoder("gemma3_text", 3, 64, 8, 8), json!({"layer_types": ["full_attention"], "sliding_window": 4}));
    assert!(refused(wrong).contains("1 entries for 3 layers"));
    let unknown = with(decoder("llama", 1, 64, 8, 8), json!({"layer_types": ["warp_attention"]}));
    assert!(refused(unknown).contains("`warp_attention`"));
    let no_window = with(decoder("llama", 1, 64, 8, 8), json!({"layer_types": ["sliding_attention"]}));
    assert!(refused(no_window).contains("`sliding_window`"));
    assert!(refused(json!({"model_type": "gemma4"})).contains("`gemma4`"));
}

#[test]
fn contradictions_follow_a_stated_rule() {
    // The flag wins over a window and over layer types.
    let config = with(
        decoder("qwen2", 2, 64, 8, 8),
        json!({"use_sliding_window": false, "sliding_window": 16, "layer_types": ["sliding_attention", "full_attention"]}),
    );
    let model = from_config_json(&config);
    assert_eq!(known(&model)[0].kind, KvKind::Full);
    assert!(model.notes.iter().any(|note| note.contains("use_sliding_window")));
    // An explicit head width wins over hidden / heads; null means hidden / heads.
    assert_eq!(from_config_json(&with(decoder("llama", 1, 5120, 32, 8), json!({"head_dim": 128}))).head_dim, Some(128));
    assert_eq!(from_config_json(&with(decoder("qwen3", 1, 5120, 32, 8), json!({"head_dim": null}))).head_dim, Some(160));
    // A window that the class does not read.
    let model = from_config_json(&with(decoder("llama", 1, 64, 8, 8), json!({"sliding_window": 16})));
    assert_eq!((known(&model)[0].kind, model.notes.len()), (KvKind::Full, 1));
}

#[test]
fn hybrids_and_states() {
    // Qwen3-Next-80B: conv 1.77 MB and recurrent 37.7 MB in bf16, 24,576 B/token.
    let next = with(
        decoder("qwen3_next", 48, 2048, 16, 2),
        json!({"head_dim": 256, "linear_num_key_heads": 16, "linear_key_head_dim": 128, "linear_num_value_heads": 32,
               "linear_value_head_dim": 128, "linear_conv_kernel_dim": 4, "full_attention_interval": 4}),
    );
    let model = from_config_json(&next);
    let runs = known(&model);
    let state = runs[0].state.unwrap();
    assert_eq!((runs[0].layers, state.conv * 36 * 2, state.recurrent * 36 * 2), (36, 1_769_472, 37_748_736));
    assert_eq!(runs[1].elements_per_token() * 2, 24_576);
    // Jamba: 28 of 32 layers, 8.7 MB and 16,384 B/token.
    let jamba = with(
        decoder("jamba", 32, 4096, 32, 8),
        json!({"attn_layer_period": 8, "attn_layer_offset": 4, "mamba_d_conv": 4, "mamba_d_state": 16, "mamba_expand": 2}),
    );
    let model = from_config_json(&jamba);
    let runs = known(&model);
    let state = runs[0].state.unwrap();
    assert_eq!((runs[0].layers, (state.conv + state.recurrent) * 28 * 2), (28, 8_716_288));
    assert_eq!(runs[1].elements_per_token() * 2, 16_384);
    // Mamba-2.8B: 12.45 MB.
    let mamba = json!({"model_type": "mamba", "hidden_size": 2560, "num_hidden_layers": 64, "expand": 2, "conv_kernel": 4, "state_size": 16});
    let model = from_config_json(&mamba);
    let state = known(&model)[0].state.unwrap();
    assert_eq!((state.conv + state.recurrent) * 64 * 2, 12_451_840);
    // Nemotron-H: a layer is one thing only.
    let nemotron = json!({"model_type": "nemotron_h", "hidden_size": 64, "num_attention_heads": 8, "num_key_value_heads": 2, "head_dim": 8,
        "hybrid_override_pattern": "M-M*-E", "mamba_num_heads": 4, "mamba_head_dim": 16, "n_groups": 1, "conv_kernel": 4, "ssm_state_size": 32});
    let model = from_config_json(&nemotron);
    let kinds: Vec<_> = known(&model).iter().map(|r| (r.kind, r.layers)).collect();
    assert_eq!(
        (model.layers, kinds.as_slice()),
        (Some(6), [(KvKind::None, 3), (KvKind::Recurrent, 2), (KvKind::Full, 1)].as_slice())
    );
    // Granite 4 and Falcon-H1.
    let mamba2 = json!({"mamba_d_conv": 4, "mamba_d_state": 256, "mamba_n_groups": 1, "mamba_d_ssm": 3072, "head_dim": 128});
    let falcon_h1 = with(decoder("falcon_h1", 24, 2048, 8, 2), mamba2);
    let kinds: Vec<_> = known(&from_config_json(&falcon_h1)).iter().map(|r| (r.kind, r.layers, r.state)).collect();
    let state = StateSize { conv: 3 * (3072 + 512), recurrent: 3072 * 256 };
    assert_eq!(kinds, [(KvKind::Full, 24, None), (KvKind::Recurrent, 24, Some(state))]);
    // Gemma 3n: the last 15 of 35 layers own no cache.
    let gemma3n =
        with(decoder("gemma3n_text", 35, 2048, 8, 2), json!({"head_dim": 256, "sliding_window": 512, "num_kv_shared_layers": 15}));
    let kinds: Vec<_> = known(&from_config_json(&gemma3n)).iter().map(|r| (r.kind, r.layers)).collect();
    assert_eq!(kinds, [(KvKind::Sliding, 16), (KvKind::Shared, 15), (KvKind::Full, 4)]);
    // T5-small and Whisper large: decoder self-attention, and cross-attention whose length is the encoder's.
    let t5 = json!({"model_type": "t5", "d_model": 512, "d_kv": 64, "num_layers": 6, "num_heads": 8});
    let kinds: Vec<_> = known(&from_config_json(&t5)).iter().map(|r| (r.kind, r.layers, r.window)).collect();
    assert_eq!(kinds, [(KvKind::Full, 6, None), (KvKind::Cross, 6, None)]);
    let whisper = json!({"model_type": "whisper", "d_model": 1280, "decoder_layers": 32, "encoder_layers": 32,
        "decoder_attention_heads": 20, "encoder_attention_heads": 20, "max_source_positions": 1500});
    let kinds: Vec<_> = known(&from_config_json(&whisper)).iter().map(|r| (r.kind, r.layers, r.window)).collect();
    assert_eq!(kinds, [(KvKind::Full, 32, None), (KvKind::Cross, 32, Some(1500))]);
}

/// Totals counted by instantiating transformers' classes without weights; DeepSeek-V3's 36,625,618,432, Mixtral's 12.9 B and gpt-oss' 3.6 B
/// are the publishers' own figures.
#[test]
fn active_parameters_in_three_conventions() {
    let check = |total, routed, vocab_by_hidden, experts, used, expected: [u64; 3]| {
        let counts = ParamCounts { total, routed_experts: routed, embedding: vocab_by_hidden, lm_head: vocab_by_hidden };
        let active = active_params(counts, Some(experts), Some(used), false).unwrap();
        assert_eq!([active.all, active.without_input_embedding, active.without_embeddings], expected);
    };
    // Mixtral-8x7B: 32 layers x 8 experts x 3 x 4096 x 14336.
    let routed = 32 * 8 * 3 * 4096 * 14336;
    check(46_702_792_704, routed, 32000 * 4096, 8, 2, [12_879_925_248, 12_748_853_248, 12_617_781_248]);
    // Qwen3-30B-A3B: 48 x 128 x 3 x 2048 x 768.
    let routed = 48 * 128 * 3 * 2048 * 768;
    check(30_532_122_624, routed, 151_936 * 2048, 128, 8, [3_353_032_704, 3_041_867_776, 2_730_702_848]);
    // Mixtral-8x22B, Qwen3-235B-A22B, DeepSeek-V3 (58 layers of experts), Llama-4-Scout's text part, Qwen3-Next-80B without MTP.
    let routed = 56 * 8 * 3 * 6144 * 16384;
    check(140_630_071_296, routed, 32_768 * 6144, 8, 2, [39_161_468_928, 38_960_142_336, 38_758_815_744]);
    let routed = 94 * 128 * 3 * 4096 * 1536;
    check(235_093_634_560, routed, 151_936 * 4096, 128, 8, [22_190_763_520, 21_568_433_664, 20_946_103_808]);
    let routed = 58 * 256 * 3 * 7168 * 2048;
    check(671_026_419_200, routed, 129_280 * 7168, 256, 8, [37_552_297_472, 36_625_618_432, 35_698_939_392]);
    let routed = 48 * 16 * 3 * 5120 * 8192;
    check(107_769_861_120, routed, 202_048 * 5120, 16, 1, [17_172_894_720, 16_138_408_960, 15_103_923_200]);
    let routed = 48 * 512 * 3 * 2048 * 512;
    check(79_674_391_296, routed, 151_936 * 2048, 512, 10, [3_874_929_408, 3_563_764_480, 3_252_599_552]);
    // gpt-oss-20b: 24 x 32 x (2880 x 5760 + 2880 x 2880), and the expert biases 5760 + 2880.
    let routed = 24 * 32 * (2880 * 5760 + 2880 * 2880 + 5760 + 2880);
    check(20_914_757_184, routed, 201_088 * 2880, 32, 4, [4_187_440_704, 3_608_307_264, 3_029_173_824]);
}

#[test]
fn active_parameters_at_the_edges() {
    let dense = ParamCounts { total: 100, routed_experts: 0, embedding: 10, lm_head: 10 };
    let active = active_params(dense, None, None, false).unwrap();
    assert_eq!((active.all, active.without_input_embedding, active.without_embeddings), (100, 90, 80));
    // Tied and stored twice: one weight, which works as the head.
    let active = active_params(dense, None, None, true).unwrap();
    assert_eq!((active.all, active.without_input_embedding, active.without_embeddings), (90, 90, 80));
    let sparse = ParamCounts { routed_experts: 60, ..dense };
    assert_eq!(active_params(sparse, None, Some(2), false), None);
    assert_eq!(active_params(sparse, Some(2), Some(4), false), None);
}

fn metadata(keys: &Value) -> Metadata {
    let mut metadata = Metadata::default();
    for (key, value) in keys.as_object().unwrap() {
        let value = match value {
            Value::String(text) => {
                metadata.push_text(key.clone(), text, text.len() as u64);
                continue;
            }
            Value::Bool(flag) => MetadataValue::Bool(*flag),
            Value::Number(n) => n.as_u64().map_or_else(|| MetadataValue::Float(n.as_f64().unwrap()), MetadataValue::Unsigned),
            Value::Array(values) => MetadataValue::Numbers(
                values.iter().map(|v| v.as_f64().unwrap_or_else(|| f64::from(u8::from(v == true)))).collect(),
            ),
            Value::Object(o) => {
                MetadataValue::Array { element: "string", len: o["strings"].as_u64().unwrap(), bytes: 0, offset: 0 }
            }
            Value::Null => continue,
        };
        metadata.push(key.clone(), value);
    }
    metadata
}

/// Every architecture row reproduces what llama.cpp reserves (`fixtures/gguf_keys`).
#[test]
fn gguf_caches_equal_what_llama_cpp_reserves() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/gguf_keys/models.json")).unwrap();
    let models: Value = serde_json::from_str(&text).unwrap();
    let pad = |cells: u64| cells.div_ceil(256) * 256;
    let mut rows = 0;
    for entry in models.as_array().unwrap() {
        let has_output = entry["has_output"].as_bool().unwrap();
        let model =
            from_gguf(&metadata(&entry["keys"]), &|name| name == "token_embd.weight" || (name == "output.weight" && has_output));
        assert_eq!(model.tied_embeddings, Some(!has_output));
        let runs = known(&model);
        for row in entry["kv_f16"].as_array().unwrap() {
            let (context, expected) = (row[0].as_u64().unwrap(), row[1].as_u64().unwrap());
            let bytes: u64 = runs
                .iter()
                .map(|run| match (run.state, run.window) {
                    (Some(state), _) => run.layers * (state.conv + state.recurrent) * 4,
                    (None, Some(window)) => run.elements_per_token() * 2 * pad(context.min(window + 512)),
                    (None, None) => run.elements_per_token() * 2 * context,
                })
                .sum();
            assert_eq!(bytes, expected, "{} at {context}", entry["model"]);
            rows += 1;
        }
    }
    assert!(rows >= 60, "{rows} rows");
}

#[test]
fn gguf_arrays_and_refusals() {
    let keys = |more: Value| {
        with(
            json!({"general.architecture": "granitehybrid", "granitehybrid.block_count": 4, "granitehybrid.embedding_length": 64,
                   "granitehybrid.attention.head_count": 8, "granitehybrid.attention.head_count_kv": [0, 2, 0, 0],
                   "granitehybrid.ssm.conv_kernel": 4, "granitehybrid.ssm.inner_size": 128, "granitehybrid.ssm.state_size": 16,
                   "granitehybrid.ssm.group_count": 1, "tokenizer.ggml.tokens": {"strings": 321}}),
            more,
        )
    };
    let read = |keys: &Value| from_gguf(&metadata(keys), &|_| false);
    let model = read(&keys(json!({})));
    let kinds: Vec<_> = known(&model).iter().map(|r| (r.kind, r.layers, r.kv_heads)).collect();
    assert_eq!(kinds, [(KvKind::Recurrent, 3, 0), (KvKind::Full, 1, 2)]);
    assert_eq!((model.vocab_size, model.tied_embeddings, model.kv_heads), (Some(321), None, Some(2)));
    let refusal = |keys: &Value| match read(keys).kv {
        KvLayers::Refused(reason) => reason,
        other => panic!("{other:?}"),
    };
    assert!(refusal(&keys(json!({"granitehybrid.attention.head_count_kv": [0, 2]}))).contains("2 entries for 4 layers"));
    assert!(refusal(&keys(json!({"granitehybrid.ssm.inner_size": null}))).contains("`granitehybrid.ssm.inner_size`"));
    assert!(refusal(&json!({"general.architecture": "zorblax"})).contains("`zorblax`"));
    assert!(refusal(&json!({})).contains("`general.architecture`"));
    // The loader needs the window of gpt-oss; Gemma 3 without one keeps every token, and that is said.
    let gpt_oss = json!({"general.architecture": "gpt-oss", "gpt-oss.block_count": 2, "gpt-oss.embedding_length": 64, "gpt-oss.attention.head_count": 8});
    assert!(refusal(&gpt_oss).contains("`gpt-oss.attention.sliding_window`"));
    let gemma = json!({"general.architecture": "gemma3", "gemma3.block_count": 2, "gemma3.embedding_length": 64, "gemma3.attention.head_count": 8});
    let model = read(&gemma);
    assert_eq!((known(&model)[0].kind, model.notes.len()), (KvKind::Full, 1));
}

/// `Qwen3VLMoeConfig` of transformers does not tie where its text part's class does, and the files of such models hold a head; an
/// ERNIE 4.5 ties.
#[test]
fn a_wrapper_that_does_not_tie_outweighs_its_text_part() {
    let tied = |config: serde_json::Value| from_config_json(&config).tied_embeddings;
    let text = serde_json::json!({"model_type": "qwen3_vl_moe_text", "num_hidden_layers": 2, "hidden_size": 64});
    assert_eq!(tied(serde_json::json!({"model_type": "qwen3_vl_moe", "text_config": text})), Some(false));
    assert_eq!(tied(serde_json::json!({"model_type": "ernie4_5", "num_hidden_layers": 2, "hidden_size": 64})), Some(true));
}
