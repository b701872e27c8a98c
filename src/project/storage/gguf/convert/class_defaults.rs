//! What the classes of transformers fill in where config.json is silent. Only keys that the converter asks for are listed.
//!
//! Source: the configuration classes of transformers 4.57.6.

use serde_json::{Map, Value, json};

use super::further_defaults::FURTHER;

/// A default of a class.
pub(super) enum Class {
    Number(f64),
    Flag(bool),
    Text(&'static str),
    Null,
    /// As many as `num_attention_heads`, where it is missing or null.
    Heads,
    /// `hidden_size / num_attention_heads`, where it is missing or null.
    HeadDim,
    /// The value of another key.
    Of(&'static str),
    /// The default scaling of gpt-oss.
    Yarn,
}

use Class::{Flag, HeadDim, Heads, Null, Number, Of, Text, Yarn};

pub(super) type Defaults = &'static [(&'static str, Class)];

/// Layers, width, feed-forward width, heads, positions, vocabulary.
macro_rules! sizes {
    ($layers:literal, $hidden:literal, $ff:literal, $heads:literal, $positions:literal, $vocab:literal) => {
        &[
            ("num_hidden_layers", Number($layers as f64)),
            ("hidden_size", Number($hidden as f64)),
            ("intermediate_size", Number($ff as f64)),
            ("num_attention_heads", Number($heads as f64)),
            ("max_position_embeddings", Number($positions as f64)),
            ("vocab_size", Number($vocab as f64)),
        ]
    };
}
pub(super) use sizes;

/// What every decoder class of the llama kind has.
pub(super) const DECODER: Defaults = &[("rope_theta", Number(10_000.0)), ("rope_scaling", Null), ("rms_norm_eps", Number(1e-6))];

/// `model_type` and the defaults of its class.
const CLASSES: &[(&str, &[Defaults])] = &[
    ("llama", &[sizes!(32, 4096, 11008, 32, 2048, 32000), DECODER, &[("num_key_value_heads", Heads), ("head_dim", HeadDim)]]),
    (
        "mistral",
        &[sizes!(32, 4096, 14336, 32, 131_072, 32000), DECODER, &[("num_key_value_heads", Number(8.0)), ("head_dim", Null)]],
    ),
    (
        "mixtral",
        &[
            sizes!(32, 4096, 14336, 32, 131_072, 32000),
            DECODER,
            &[
                ("num_key_value_heads", Number(8.0)),
                ("head_dim", Null),
                ("num_local_experts", Number(8.0)),
                ("num_experts_per_tok", Number(2.0)),
            ],
        ],
    ),
    ("qwen2", &[sizes!(32, 4096, 22016, 32, 32768, 151_936), DECODER, &[("num_key_value_heads", Number(32.0))]]),
    (
        "qwen2_moe",
        &[
            sizes!(24, 2048, 5632, 16, 32768, 151_936),
            DECODER,
            &[
                ("num_key_value_heads", Number(16.0)),
                ("num_experts", Number(60.0)),
                ("num_experts_per_tok", Number(4.0)),
                ("moe_intermediate_size", Number(1408.0)),
                ("shared_expert_intermediate_size", Number(5632.0)),
            ],
        ],
    ),
    (
        "qwen3",
        &[
            sizes!(32, 4096, 22016, 32, 32768, 151_936),
            DECODER,
            &[("num_key_value_heads", Number(32.0)), ("head_dim", Number(128.0))],
        ],
    ),
    (
        "qwen3_moe",
        &[
            sizes!(24, 2048, 6144, 32, 32768, 151_936),
            DECODER,
            &[
                ("num_key_value_heads", Number(4.0)),
                ("num_experts", Number(128.0)),
                ("num_experts_per_tok", Number(8.0)),
                ("moe_intermediate_size", Number(768.0)),
            ],
        ],
    ),
    (
        "gemma",
        &[
            sizes!(28, 3072, 24576, 16, 8192, 256_000),
            DECODER,
            &[("num_key_value_heads", Number(16.0)), ("head_dim", Number(256.0))],
        ],
    ),
    (
        "gemma2",
        &[
            sizes!(26, 2304, 9216, 8, 8192, 256_000),
            DECODER,
            &[
                ("num_key_value_heads", Number(4.0)),
                ("head_dim", Number(256.0)),
                ("sliding_window", Number(4096.0)),
                ("attn_logit_softcapping", Number(50.0)),
                ("final_logit_softcapping", Number(30.0)),
            ],
        ],
    ),
    (
        "gemma3_text",
        &[
            sizes!(26, 2304, 9216, 8, 131_072, 262_208),
            DECODER,
            &[
                ("num_key_value_heads", Number(4.0)),
                ("head_dim", Number(256.0)),
                ("sliding_window", Number(4096.0)),
                ("rope_local_base_freq", Number(10_000.0)),
                ("attn_logit_softcapping", Null),
                ("final_logit_softcapping", Null),
            ],
        ],
    ),
    (
        "phi",
        &[
            sizes!(24, 2048, 8192, 32, 2048, 51200),
            &[
                ("num_key_value_heads", Heads),
                ("rope_theta", Number(10_000.0)),
                ("rope_scaling", Null),
                ("partial_rotary_factor", Number(0.5)),
                ("layer_norm_eps", Number(1e-5)),
            ],
        ],
    ),
    (
        "phi3",
        &[
            sizes!(32, 3072, 8192, 32, 4096, 32064),
            DECODER,
            &[
                ("num_key_value_heads", Heads),
                ("partial_rotary_factor", Number(1.0)),
                ("original_max_position_embeddings", Number(4096.0)),
                ("sliding_window", Null),
            ],
        ],
    ),
    (
        "starcoder2",
        &[
            sizes!(30, 3072, 12288, 24, 4096, 49152),
            &[
                ("num_key_value_heads", Number(2.0)),
                ("rope_theta", Number(10_000.0)),
                ("rope_scaling", Null),
                ("norm_epsilon", Number(1e-5)),
            ],
        ],
    ),
    (
        "gpt2",
        &[&[
            ("n_layer", Number(12.0)),
            ("n_positions", Number(1024.0)),
            ("n_embd", Number(768.0)),
            ("n_inner", Null),
            ("n_head", Number(12.0)),
            ("layer_norm_epsilon", Number(1e-5)),
            ("vocab_size", Number(50257.0)),
        ]],
    ),
    (
        "gpt_neox",
        &[
            sizes!(44, 6144, 24576, 64, 2048, 50432),
            &[("rotary_pct", Number(0.25)), ("use_parallel_residual", Flag(true)), ("layer_norm_eps", Number(1e-5))],
        ],
    ),
    (
        "falcon",
        &[&[
            ("num_hidden_layers", Number(32.0)),
            ("hidden_size", Number(4544.0)),
            ("num_attention_heads", Number(71.0)),
            ("num_kv_heads", Heads),
            ("layer_norm_epsilon", Number(1e-5)),
            ("vocab_size", Number(65024.0)),
        ]],
    ),
    ("bert", &[sizes!(12, 768, 3072, 12, 512, 30522), &[("layer_norm_eps", Number(1e-12)), ("type_vocab_size", Number(2.0))]]),
    (
        "t5",
        &[&[
            ("num_layers", Number(6.0)),
            ("num_decoder_layers", Of("num_layers")),
            ("layer_norm_epsilon", Number(1e-6)),
            ("vocab_size", Number(32128.0)),
            ("d_model", Number(512.0)),
            ("d_ff", Number(2048.0)),
            ("d_kv", Number(64.0)),
            ("num_heads", Number(8.0)),
            ("relative_attention_num_buckets", Number(32.0)),
        ]],
    ),
    ("mt5", MT5),
    ("umt5", MT5),
    (
        "deepseek_v2",
        &[
            sizes!(32, 4096, 11008, 32, 2048, 32000),
            DECODER,
            MLA,
            &[
                ("num_key_value_heads", Heads),
                ("n_routed_experts", Number(64.0)),
                ("num_experts_per_tok", Null),
                ("n_group", Null),
                ("topk_group", Null),
                ("moe_intermediate_size", Number(1407.0)),
                ("first_k_dense_replace", Number(0.0)),
                ("n_shared_experts", Number(2.0)),
                ("routed_scaling_factor", Number(1.0)),
                ("norm_topk_prob", Flag(false)),
            ],
        ],
    ),
    (
        "deepseek_v3",
        &[
            sizes!(61, 7168, 18432, 128, 4096, 129_280),
            DECODER,
            MLA,
            &[
                ("num_key_value_heads", Number(128.0)),
                ("n_routed_experts", Number(256.0)),
                ("num_experts_per_tok", Number(8.0)),
                ("n_group", Number(8.0)),
                ("topk_group", Number(4.0)),
                ("moe_intermediate_size", Number(2048.0)),
                ("first_k_dense_replace", Number(3.0)),
                ("n_shared_experts", Number(1.0)),
                ("routed_scaling_factor", Number(2.5)),
                ("norm_topk_prob", Flag(true)),
            ],
        ],
    ),
    (
        "gpt_oss",
        &[
            sizes!(36, 2880, 2880, 64, 131_072, 201_088),
            &[
                ("num_key_value_heads", Number(8.0)),
                ("head_dim", Number(64.0)),
                ("rope_theta", Number(150_000.0)),
                ("rope_scaling", Yarn),
                ("rms_norm_eps", Number(1e-5)),
                ("num_local_experts", Number(128.0)),
                ("num_experts_per_tok", Number(4.0)),
                ("sliding_window", Number(128.0)),
            ],
        ],
    ),
];

const MLA: Defaults = &[
    ("q_lora_rank", Number(1536.0)),
    ("kv_lora_rank", Number(512.0)),
    ("qk_rope_head_dim", Number(64.0)),
    ("qk_nope_head_dim", Number(128.0)),
    ("v_head_dim", Number(128.0)),
    ("head_dim", Of("qk_rope_head_dim")),
    ("tie_word_embeddings", Flag(false)),
];

const MT5: &[Defaults] = &[&[
    ("decoder_start_token_id", Number(0.0)),
    ("num_layers", Number(8.0)),
    ("num_decoder_layers", Of("num_layers")),
    ("layer_norm_epsilon", Number(1e-6)),
    ("vocab_size", Number(250_112.0)),
    ("d_model", Number(512.0)),
    ("d_ff", Number(1024.0)),
    ("d_kv", Number(64.0)),
    ("num_heads", Number(6.0)),
    ("relative_attention_num_buckets", Number(32.0)),
]];

fn number(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < 9e15 { json!(value as i64) } else { json!(value) }
}

/// A config with the defaults of its class. Unknown classes: the file as it is.
pub(super) fn with_defaults(raw: &Map<String, Value>) -> Map<String, Value> {
    let mut map = raw.clone();
    let kind = raw.get("model_type").and_then(Value::as_str).unwrap_or_default();
    let Some((_, defaults)) = CLASSES.iter().chain(FURTHER).find(|(name, _)| *name == kind) else { return map };
    let defaults = || defaults.iter().flat_map(|part| part.iter());
    for (key, default) in defaults() {
        let value = match default {
            Number(n) => number(*n),
            Flag(b) => json!(b),
            Text(text) => json!(text),
            Null | Heads | HeadDim | Of(_) => continue,
            Yarn => json!({"rope_type": "yarn", "factor": 32.0, "beta_fast": 32.0, "beta_slow": 1.0,
                           "original_max_position_embeddings": 4096}),
        };
        map.entry((*key).to_owned()).or_insert(value);
    }
    for (key, default) in defaults() {
        let count = |name: &str| map.get(name).and_then(Value::as_u64);
        let value = match default {
            Heads => count("num_attention_heads").map(Value::from),
            HeadDim => count("hidden_size").zip(count("num_attention_heads")).and_then(|(a, b)| a.checked_div(b)).map(Value::from),
            Of(other) => map.get(*other).cloned(),
            _ => Some(Value::Null),
        };
        let derived = matches!(default, Heads | HeadDim | Of(_));
        if let Some(value) = value
            && map.get(*key).is_none_or(|v| derived && v.is_null())
        {
            map.insert((*key).to_owned(), value);
        }
    }
    // Every class with grouped heads takes null for as many as there are heads.
    if map.get("num_key_value_heads").is_some_and(Value::is_null)
        && let Some(heads) = map.get("num_attention_heads").cloned()
    {
        map.insert("num_key_value_heads".to_owned(), heads);
    }
    map
}
