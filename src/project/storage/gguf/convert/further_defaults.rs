//! Defaults of further classes; see `class_defaults`.

use super::class_defaults::Class::{Flag, HeadDim, Heads, Null, Number, Text};
use super::class_defaults::{DECODER, Defaults, sizes};

/// `model_type` and the defaults of its class.
pub(super) const FURTHER: &[(&str, &[Defaults])] = &[
    (
        "olmo",
        &[
            sizes!(32, 4096, 11008, 32, 2048, 50304),
            &[("num_key_value_heads", Heads), ("rope_scaling", Null), ("rope_theta", Number(10000.0)), ("clip_qkv", Null)],
        ],
    ),
    ("olmo2", &[sizes!(32, 4096, 11008, 32, 2048, 50304), DECODER, &[("num_key_value_heads", Heads)]]),
    (
        "olmo3",
        &[sizes!(32, 4096, 11008, 32, 2048, 50304), DECODER, &[("num_key_value_heads", Heads), ("sliding_window", Number(4096.0))]],
    ),
    (
        "olmoe",
        &[
            sizes!(16, 2048, 2048, 16, 4096, 50304),
            DECODER,
            &[
                ("num_key_value_heads", Heads),
                ("num_experts", Number(64.0)),
                ("num_experts_per_tok", Number(8.0)),
                ("norm_topk_prob", Flag(false)),
                ("clip_qkv", Null),
            ],
        ],
    ),
    (
        "stablelm",
        &[
            sizes!(32, 2560, 6912, 32, 4096, 50304),
            &[
                ("num_key_value_heads", Heads),
                ("rope_scaling", Null),
                ("rope_theta", Number(10000.0)),
                ("partial_rotary_factor", Number(0.25)),
                ("layer_norm_eps", Number(1e-05)),
                ("use_parallel_residual", Flag(false)),
            ],
        ],
    ),
    (
        "bloom",
        &[&[
            ("n_layer", Number(2.0)),
            ("hidden_size", Number(64.0)),
            ("n_head", Number(8.0)),
            ("layer_norm_epsilon", Number(1e-05)),
            ("vocab_size", Number(250880.0)),
        ]],
    ),
    (
        "gpt_bigcode",
        &[&[
            ("n_layer", Number(12.0)),
            ("n_positions", Number(1024.0)),
            ("n_embd", Number(768.0)),
            ("n_inner", Null),
            ("n_head", Number(12.0)),
            ("num_key_value_heads", Number(1.0)),
            ("layer_norm_epsilon", Number(1e-05)),
            ("vocab_size", Number(50257.0)),
        ]],
    ),
    (
        "granite",
        &[
            sizes!(32, 4096, 11008, 32, 2048, 32000),
            DECODER,
            &[
                ("num_key_value_heads", Heads),
                ("attention_multiplier", Number(1.0)),
                ("embedding_multiplier", Number(1.0)),
                ("residual_multiplier", Number(1.0)),
                ("logits_scaling", Number(1.0)),
            ],
        ],
    ),
    (
        "granitemoe",
        &[
            sizes!(32, 4096, 11008, 32, 2048, 32000),
            DECODER,
            &[
                ("num_key_value_heads", Heads),
                ("num_local_experts", Number(8.0)),
                ("num_experts_per_tok", Number(2.0)),
                ("attention_multiplier", Number(1.0)),
                ("embedding_multiplier", Number(1.0)),
                ("residual_multiplier", Number(1.0)),
                ("logits_scaling", Number(1.0)),
            ],
        ],
    ),
    (
        "granitemoeshared",
        &[
            sizes!(32, 4096, 11008, 32, 2048, 32000),
            DECODER,
            &[
                ("num_key_value_heads", Heads),
                ("num_local_experts", Number(8.0)),
                ("num_experts_per_tok", Number(2.0)),
                ("attention_multiplier", Number(1.0)),
                ("embedding_multiplier", Number(1.0)),
                ("residual_multiplier", Number(1.0)),
                ("logits_scaling", Number(1.0)),
                ("shared_intermediate_size", Number(0.0)),
            ],
        ],
    ),
    (
        "cohere",
        &[
            sizes!(40, 8192, 22528, 64, 8192, 256000),
            &[
                ("num_key_value_heads", Heads),
                ("rope_scaling", Null),
                ("rope_theta", Number(10000.0)),
                ("layer_norm_eps", Number(1e-05)),
                ("logit_scale", Number(0.0625)),
            ],
        ],
    ),
    (
        "cohere2",
        &[
            sizes!(40, 8192, 22528, 64, 8192, 256000),
            &[
                ("num_key_value_heads", Heads),
                ("rope_scaling", Null),
                ("rope_theta", Number(10000.0)),
                ("layer_norm_eps", Number(1e-05)),
                ("head_dim", Number(128.0)),
                ("sliding_window", Number(4096.0)),
                ("logit_scale", Number(0.0625)),
            ],
        ],
    ),
    (
        "glm4",
        &[
            sizes!(40, 4096, 13696, 32, 131072, 151552),
            &[
                ("num_key_value_heads", Number(2.0)),
                ("rope_theta", Number(10000.0)),
                ("partial_rotary_factor", Number(0.5)),
                ("rms_norm_eps", Number(1.5625e-07)),
                ("head_dim", Number(128.0)),
            ],
        ],
    ),
    (
        "glm4_moe",
        &[
            sizes!(46, 4096, 10944, 96, 131072, 151552),
            DECODER,
            &[
                ("num_key_value_heads", Number(8.0)),
                ("partial_rotary_factor", Number(0.5)),
                ("n_routed_experts", Number(128.0)),
                ("num_experts_per_tok", Number(8.0)),
                ("n_group", Number(1.0)),
                ("topk_group", Number(1.0)),
                ("moe_intermediate_size", Number(1408.0)),
                ("first_k_dense_replace", Number(1.0)),
                ("n_shared_experts", Number(1.0)),
                ("routed_scaling_factor", Number(1.0)),
                ("norm_topk_prob", Flag(true)),
            ],
        ],
    ),
    (
        "smollm3",
        &[sizes!(36, 2048, 11008, 16, 32768, 128256), DECODER, &[("num_key_value_heads", Number(4.0)), ("sliding_window", Null)]],
    ),
    ("arcee", &[sizes!(32, 2560, 18432, 32, 4096, 32000), DECODER, &[("num_key_value_heads", Heads), ("head_dim", HeadDim)]]),
    (
        "seed_oss",
        &[
            sizes!(64, 4096, 27648, 80, 524288, 155136),
            DECODER,
            &[("num_key_value_heads", Number(8.0)), ("head_dim", Number(128.0))],
        ],
    ),
    (
        "phimoe",
        &[
            sizes!(32, 4096, 6400, 32, 131072, 32064),
            DECODER,
            &[
                ("num_key_value_heads", Number(8.0)),
                ("num_local_experts", Number(16.0)),
                ("num_experts_per_tok", Number(2.0)),
                ("sliding_window", Null),
            ],
        ],
    ),
    (
        "exaone4",
        &[
            sizes!(32, 4096, 16384, 32, 2048, 102400),
            DECODER,
            &[("num_key_value_heads", Heads), ("sliding_window", Number(4096.0))],
        ],
    ),
    (
        "ernie4_5",
        &[
            sizes!(18, 1024, 3072, 16, 131072, 103424),
            DECODER,
            &[("num_key_value_heads", Number(2.0)), ("head_dim", Number(128.0))],
        ],
    ),
    (
        "nemotron",
        &[
            sizes!(32, 6144, 24576, 48, 4096, 256000),
            &[
                ("num_key_value_heads", Heads),
                ("rope_theta", Number(10000.0)),
                ("partial_rotary_factor", Number(0.5)),
                ("norm_eps", Number(1e-05)),
                ("head_dim", Number(128.0)),
            ],
        ],
    ),
    (
        "qwen2_vl_text",
        &[sizes!(80, 8192, 29568, 64, 32768, 152064), DECODER, &[("num_key_value_heads", Number(8.0)), ("sliding_window", Null)]],
    ),
    (
        "qwen2_vl",
        &[sizes!(80, 8192, 29568, 64, 32768, 152064), DECODER, &[("num_key_value_heads", Number(8.0)), ("sliding_window", Null)]],
    ),
    (
        "qwen2_5_vl_text",
        &[sizes!(80, 8192, 29568, 64, 32768, 152064), DECODER, &[("num_key_value_heads", Number(8.0)), ("sliding_window", Null)]],
    ),
    (
        "qwen2_5_vl",
        &[sizes!(80, 8192, 29568, 64, 32768, 152064), DECODER, &[("num_key_value_heads", Number(8.0)), ("sliding_window", Null)]],
    ),
    (
        "qwen3_vl_text",
        &[
            sizes!(32, 4096, 22016, 32, 128000, 151936),
            DECODER,
            &[("num_key_value_heads", Number(32.0)), ("head_dim", Number(128.0))],
        ],
    ),
    (
        "qwen3_vl_moe_text",
        &[
            sizes!(24, 2048, 5632, 16, 128000, 151936),
            DECODER,
            &[
                ("num_key_value_heads", Number(16.0)),
                ("num_experts", Number(60.0)),
                ("num_experts_per_tok", Number(4.0)),
                ("head_dim", Number(128.0)),
                ("moe_intermediate_size", Number(1408.0)),
                ("norm_topk_prob", Flag(true)),
            ],
        ],
    ),
    (
        "distilbert",
        &[&[
            ("n_layers", Number(6.0)),
            ("max_position_embeddings", Number(512.0)),
            ("dim", Number(768.0)),
            ("hidden_dim", Number(3072.0)),
            ("n_heads", Number(12.0)),
            ("vocab_size", Number(30522.0)),
        ]],
    ),
    (
        "roberta",
        &[
            sizes!(12, 768, 3072, 12, 512, 50265),
            &[("layer_norm_eps", Number(1e-12)), ("type_vocab_size", Number(2.0)), ("pad_token_id", Number(1.0))],
        ],
    ),
    (
        "modernbert",
        &[
            sizes!(22, 768, 1152, 12, 8192, 50368),
            &[
                ("global_rope_theta", Number(160000.0)),
                ("local_rope_theta", Number(10000.0)),
                ("norm_eps", Number(1e-05)),
                ("local_attention", Number(128.0)),
                ("global_attn_every_n_layers", Number(3.0)),
                ("hidden_activation", Text("gelu")),
                ("classifier_pooling", Text("cls")),
            ],
        ],
    ),
    (
        "dots1",
        &[
            sizes!(62, 4608, 10944, 32, 2048, 152064),
            DECODER,
            &[
                ("num_key_value_heads", Heads),
                ("n_routed_experts", Null),
                ("num_experts_per_tok", Null),
                ("n_group", Number(1.0)),
                ("topk_group", Number(1.0)),
                ("sliding_window", Number(4096.0)),
                ("moe_intermediate_size", Number(1408.0)),
                ("first_k_dense_replace", Number(0.0)),
                ("n_shared_experts", Null),
                ("routed_scaling_factor", Number(1.0)),
                ("norm_topk_prob", Flag(false)),
            ],
        ],
    ),
];
