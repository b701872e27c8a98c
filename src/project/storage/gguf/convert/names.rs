//! Names: from a Hugging Face module to a GGUF tensor.
//!
//! Source: `tensor_mapping.py` and `MODEL_TENSORS` of gguf-py: one table of names for all families, of which each family allows
//! some tensors; a name that is not in it stops the converter.

/// Module names, each with the GGUF name that it becomes.
pub(super) type Table = &'static [(&'static str, &'static str)];

/// Layers under a prefix: `model.layers.N.` becomes `blk.N.`.
pub(super) struct Layers {
    pub(super) prefix: &'static str,
    pub(super) to: &'static str,
    pub(super) modules: Table,
}

/// The names of a family.
pub(super) struct Names {
    pub(super) roots: Table,
    pub(super) layers: &'static [Layers],
    /// GGUF names that the architecture has, without `blk.N.`, parted by spaces.
    pub(super) allows: &'static str,
}

impl Names {
    /// The GGUF name of a tensor; `None` where the converter cannot map it.
    pub(super) fn map(&self, name: &str, blocks: u64) -> Option<String> {
        if let Some(found) = self.lookup(name, blocks) {
            return Some(found);
        }
        [".weight", ".bias"].iter().find_map(|suffix| {
            let mut found = self.lookup(name.strip_suffix(suffix)?, blocks)?;
            found.push_str(suffix);
            Some(found)
        })
    }

    fn allows(&self, name: &str) -> bool {
        self.allows.split(' ').any(|allowed| allowed == name)
    }

    fn lookup(&self, key: &str, blocks: u64) -> Option<String> {
        let find = |table: Table, key: &str| table.iter().find(|(from, to)| *from == key && self.allows(to)).map(|(_, to)| *to);
        if let Some(to) = find(self.roots, key) {
            return Some(to.to_owned());
        }
        self.layers.iter().find_map(|layers| {
            let (number, module) = key.strip_prefix(layers.prefix)?.split_once('.')?;
            let n: u64 = number.parse().ok().filter(|n| *n < blocks)?;
            // `007` is no name of a layer.
            (number.len() == 1 || !number.starts_with(['0', '+'])).then_some(())?;
            Some(format!("{}{n}.{}", layers.to, find(layers.modules, module)?))
        })
    }
}

/// Most decoders.
pub(super) const DECODER: &[Layers] = &[
    Layers { prefix: "model.layers.", to: "blk.", modules: DECODER_MODULES },
    Layers { prefix: "layers.", to: "blk.", modules: DECODER_MODULES },
];

pub(super) const DECODER_ROOTS: Table = &[
    ("model.embed_tokens", "token_embd"),
    ("embed_tokens", "token_embd"),
    ("model.norm", "output_norm"),
    ("norm", "output_norm"),
    ("model.final_layernorm", "output_norm"),
    ("lm_head", "output"),
    ("model.lm_head", "output"),
];

const DECODER_MODULES: Table = &[
    ("input_layernorm", "attn_norm"),
    ("self_attn.q_proj", "attn_q"),
    ("self_attn.k_proj", "attn_k"),
    ("self_attn.v_proj", "attn_v"),
    ("self_attn.o_proj", "attn_output"),
    ("self_attn.dense", "attn_output"),
    ("self_attn.qkv_proj", "attn_qkv"),
    ("self_attn.q_norm", "attn_q_norm"),
    ("self_attn.k_norm", "attn_k_norm"),
    ("self_attn.sinks", "attn_sinks"),
    ("self_attn.q_a_proj", "attn_q_a"),
    ("self_attn.q_b_proj", "attn_q_b"),
    ("self_attn.q_a_layernorm", "attn_q_a_norm"),
    ("self_attn.kv_a_layernorm", "attn_kv_a_norm"),
    ("self_attn.kv_a_proj_with_mqa", "attn_kv_a_mqa"),
    ("self_attn.k_b_proj", "attn_k_b"),
    ("self_attn.v_b_proj", "attn_v_b"),
    // Between the two norms the family decides: what it has not falls to the next row.
    ("post_attention_layernorm", "post_attention_norm"),
    ("post_attention_layernorm", "ffn_norm"),
    ("pre_feedforward_layernorm", "ffn_norm"),
    ("post_feedforward_layernorm", "post_ffw_norm"),
    ("post_self_attn_layernorm", "post_attention_norm"),
    ("post_mlp_layernorm", "post_ffw_norm"),
    ("self_attn.q_layernorm", "attn_q_norm"),
    ("self_attn.k_layernorm", "attn_k_norm"),
    ("mlp.gate_proj", "ffn_gate"),
    ("mlp.up_proj", "ffn_up"),
    ("mlp.down_proj", "ffn_down"),
    ("mlp.gate_up_proj", "ffn_up"),
    ("mlp.fc1", "ffn_up"),
    ("mlp.fc2", "ffn_down"),
    ("mlp.c_fc", "ffn_up"),
    ("mlp.c_proj", "ffn_down"),
    ("mlp.gate", "ffn_gate_inp"),
    ("mlp.router", "ffn_gate_inp"),
    ("block_sparse_moe.gate", "ffn_gate_inp"),
    ("block_sparse_moe.router.layer", "ffn_gate_inp"),
    ("block_sparse_moe.output_linear", "ffn_down_exps"),
    ("shared_mlp.output_linear", "ffn_down_shexp"),
    ("mlp.gate.e_score_correction", "exp_probs_b"),
    ("eh_proj", "nextn.eh_proj"),
    ("embed_tokens", "nextn.embed_tokens"),
    ("enorm", "nextn.enorm"),
    ("hnorm", "nextn.hnorm"),
    ("shared_head.head", "nextn.shared_head_head"),
    ("shared_head.norm", "nextn.shared_head_norm"),
    ("mlp.experts.gate_proj", "ffn_gate_exps"),
    ("mlp.experts.up_proj", "ffn_up_exps"),
    ("mlp.experts.down_proj", "ffn_down_exps"),
    ("mlp.shared_expert.gate_proj", "ffn_gate_shexp"),
    ("mlp.shared_expert.up_proj", "ffn_up_shexp"),
    ("mlp.shared_expert.down_proj", "ffn_down_shexp"),
    ("mlp.shared_experts.gate_proj", "ffn_gate_shexp"),
    ("mlp.shared_experts.up_proj", "ffn_up_shexp"),
    ("mlp.shared_experts.down_proj", "ffn_down_shexp"),
    ("mlp.shared_expert_gate", "ffn_gate_inp_shexp"),
];

const GPT2_MODULES: Table = &[
    ("ln_1", "attn_norm"),
    ("ln_2", "ffn_norm"),
    ("attn.c_attn", "attn_qkv"),
    ("attn.c_proj", "attn_output"),
    ("mlp.c_fc", "ffn_up"),
    ("mlp.c_proj", "ffn_down"),
];

pub(super) const GPT2: Names = Names {
    roots: &[
        ("transformer.wte", "token_embd"),
        ("wte", "token_embd"),
        ("transformer.wpe", "position_embd"),
        ("wpe", "position_embd"),
        ("transformer.ln_f", "output_norm"),
        ("ln_f", "output_norm"),
        ("lm_head", "output"),
    ],
    layers: &[
        Layers { prefix: "transformer.h.", to: "blk.", modules: GPT2_MODULES },
        Layers { prefix: "h.", to: "blk.", modules: GPT2_MODULES },
    ],
    allows: "token_embd position_embd output_norm output attn_norm attn_qkv attn_output ffn_norm ffn_down ffn_up",
};

pub(super) const GPT_NEOX: Names = Names {
    roots: &[
        ("gpt_neox.embed_in", "token_embd"),
        ("embed_out", "output"),
        ("lm_head", "output"),
        ("gpt_neox.final_layer_norm", "output_norm"),
    ],
    layers: &[Layers {
        prefix: "gpt_neox.layers.",
        to: "blk.",
        modules: &[
            ("input_layernorm", "attn_norm"),
            ("attention.query_key_value", "attn_qkv"),
            ("attention.dense", "attn_output"),
            ("post_attention_layernorm", "ffn_norm"),
            ("mlp.dense_h_to_4h", "ffn_up"),
            ("mlp.dense_4h_to_h", "ffn_down"),
        ],
    }],
    allows: "token_embd output_norm output attn_norm attn_qkv attn_output ffn_norm ffn_down ffn_up",
};

const BLOOM_MODULES: Table = &[
    ("input_layernorm", "attn_norm"),
    ("self_attention.query_key_value", "attn_qkv"),
    ("self_attention.dense", "attn_output"),
    ("post_attention_layernorm", "ffn_norm"),
    ("mlp.dense_h_to_4h", "ffn_up"),
    ("mlp.dense_4h_to_h", "ffn_down"),
];

pub(super) const BLOOM: Names = Names {
    roots: &[
        ("transformer.word_embeddings", "token_embd"),
        ("word_embeddings", "token_embd"),
        ("transformer.word_embeddings_layernorm", "token_embd_norm"),
        ("word_embeddings_layernorm", "token_embd_norm"),
        ("transformer.ln_f", "output_norm"),
        ("ln_f", "output_norm"),
        ("lm_head", "output"),
    ],
    layers: &[
        Layers { prefix: "transformer.h.", to: "blk.", modules: BLOOM_MODULES },
        Layers { prefix: "h.", to: "blk.", modules: BLOOM_MODULES },
    ],
    allows: "token_embd token_embd_norm output_norm output attn_norm attn_qkv attn_output ffn_norm ffn_down ffn_up",
};

pub(super) const FALCON: Names = Names {
    roots: &[("transformer.word_embeddings", "token_embd"), ("transformer.ln_f", "output_norm"), ("lm_head", "output")],
    layers: &[Layers {
        prefix: "transformer.h.",
        to: "blk.",
        modules: &[
            ("input_layernorm", "attn_norm"),
            ("ln_mlp", "attn_norm"),
            ("ln_attn", "attn_norm_2"),
            ("self_attention.query_key_value", "attn_qkv"),
            ("self_attention.dense", "attn_output"),
            ("mlp.dense_h_to_4h", "ffn_up"),
            ("mlp.dense_4h_to_h", "ffn_down"),
        ],
    }],
    allows: "token_embd output_norm output attn_norm attn_norm_2 attn_qkv attn_output ffn_down ffn_up",
};

const BERT_ROOTS: Table = &[
    ("embeddings.word_embeddings", "token_embd"),
    ("embeddings.position_embeddings", "position_embd"),
    ("embeddings.token_type_embeddings", "token_types"),
    ("embeddings.LayerNorm", "token_embd_norm"),
    ("emb_ln", "token_embd_norm"),
    ("classifier", "cls"),
    ("classifier.dense", "cls"),
    ("classifier.out_proj", "cls.output"),
    ("pre_classifier", "cls"),
    ("embeddings.tok_embeddings", "token_embd"),
    ("embeddings.norm", "token_embd_norm"),
    ("final_norm", "output_norm"),
    ("head.dense", "cls"),
    ("head.norm", "cls.norm"),
];

pub(super) const BERT: Names = Names {
    roots: BERT_ROOTS,
    layers: &[
        Layers {
            prefix: "encoder.layer.",
            to: "blk.",
            modules: &[
                ("attention.self.query", "attn_q"),
                ("attention.self.key", "attn_k"),
                ("attention.self.value", "attn_v"),
                ("attention.output.dense", "attn_output"),
                ("attention.output.LayerNorm", "attn_output_norm"),
                ("intermediate.dense", "ffn_up"),
                ("output.dense", "ffn_down"),
                ("output.LayerNorm", "layer_output_norm"),
            ],
        },
        Layers {
            prefix: "transformer.layer.",
            to: "blk.",
            modules: &[
                ("attention.q_lin", "attn_q"),
                ("attention.k_lin", "attn_k"),
                ("attention.v_lin", "attn_v"),
                ("attention.out_lin", "attn_output"),
                ("sa_layer_norm", "attn_output_norm"),
                ("ffn.lin1", "ffn_up"),
                ("ffn.lin2", "ffn_down"),
                ("output_layer_norm", "layer_output_norm"),
            ],
        },
    ],
    allows: "token_embd token_embd_norm token_types position_embd attn_output_norm attn_q attn_k attn_v attn_output ffn_down ffn_up layer_output_norm cls cls.output",
};

pub(super) const NOMIC_BERT: Names = Names {
    roots: BERT_ROOTS,
    layers: &[Layers {
        prefix: "encoder.layers.",
        to: "blk.",
        modules: &[
            ("attn.Wqkv", "attn_qkv"),
            ("attn.out_proj", "attn_output"),
            ("norm1", "attn_output_norm"),
            ("norm2", "layer_output_norm"),
            ("mlp.fc11", "ffn_up"),
            ("mlp.fc12", "ffn_gate"),
            ("mlp.fc2", "ffn_down"),
        ],
    }],
    allows: "token_embd token_embd_norm token_types position_embd attn_output_norm attn_qkv attn_output ffn_gate ffn_down ffn_up layer_output_norm",
};

pub(super) const MODERN_BERT: Names = Names {
    roots: BERT_ROOTS,
    layers: &[Layers {
        prefix: "layers.",
        to: "blk.",
        modules: &[
            ("attn_norm", "attn_norm"),
            ("attn.Wqkv", "attn_qkv"),
            ("attn.Wo", "attn_output"),
            ("mlp_norm", "ffn_norm"),
            ("mlp.Wi", "ffn_up"),
            ("mlp.Wo", "ffn_down"),
        ],
    }],
    allows: "token_embd token_embd_norm output_norm attn_norm attn_output attn_qkv ffn_up ffn_down ffn_norm cls cls.output cls.norm",
};

pub(super) const MAMBA: Names = Names {
    roots: &[
        ("backbone.embeddings", "token_embd"),
        ("backbone.embedding", "token_embd"),
        ("backbone.norm_f", "output_norm"),
        ("lm_head", "output"),
    ],
    layers: &[Layers {
        prefix: "backbone.layers.",
        to: "blk.",
        modules: &[
            ("norm", "attn_norm"),
            ("mixer.in_proj", "ssm_in"),
            ("mixer.conv1d", "ssm_conv1d"),
            ("mixer.x_proj", "ssm_x"),
            ("mixer.dt_proj", "ssm_dt"),
            ("mixer.A_log", "ssm_a"),
            ("mixer.D", "ssm_d"),
            ("mixer.norm", "ssm_norm"),
            ("mixer.out_proj", "ssm_out"),
        ],
    }],
    allows: "token_embd output_norm output attn_norm ssm_in ssm_conv1d ssm_x ssm_dt ssm_a ssm_d ssm_out",
};

pub(super) const MAMBA2: Names =
    Names { allows: "token_embd output_norm output attn_norm ssm_in ssm_conv1d ssm_dt ssm_a ssm_d ssm_norm ssm_out", ..MAMBA };

pub(super) const T5_ENCODER: Names = Names {
    allows: "token_embd enc.output_norm attn_q attn_k attn_v attn_o attn_rel_b attn_norm ffn_up ffn_gate ffn_down ffn_norm output",
    ..T5
};

pub(super) const T5: Names = Names {
    roots: &[
        ("shared", "token_embd"),
        ("lm_head", "output"),
        ("encoder.final_layer_norm", "enc.output_norm"),
        ("decoder.final_layer_norm", "dec.output_norm"),
    ],
    layers: &[
        Layers {
            prefix: "encoder.block.",
            to: "enc.blk.",
            modules: &[
                ("layer.0.SelfAttention.q", "attn_q"),
                ("layer.0.SelfAttention.k", "attn_k"),
                ("layer.0.SelfAttention.v", "attn_v"),
                ("layer.0.SelfAttention.o", "attn_o"),
                ("layer.0.SelfAttention.relative_attention_bias", "attn_rel_b"),
                ("layer.0.layer_norm", "attn_norm"),
                ("layer.1.DenseReluDense.wi", "ffn_up"),
                ("layer.1.DenseReluDense.wi_0", "ffn_gate"),
                ("layer.1.DenseReluDense.wi_1", "ffn_up"),
                ("layer.1.DenseReluDense.wo", "ffn_down"),
                ("layer.1.layer_norm", "ffn_norm"),
            ],
        },
        Layers {
            prefix: "decoder.block.",
            to: "dec.blk.",
            modules: &[
                ("layer.0.SelfAttention.q", "attn_q"),
                ("layer.0.SelfAttention.k", "attn_k"),
                ("layer.0.SelfAttention.v", "attn_v"),
                ("layer.0.SelfAttention.o", "attn_o"),
                ("layer.0.SelfAttention.relative_attention_bias", "attn_rel_b"),
                ("layer.0.layer_norm", "attn_norm"),
                ("layer.1.EncDecAttention.q", "cross_attn_q"),
                ("layer.1.EncDecAttention.k", "cross_attn_k"),
                ("layer.1.EncDecAttention.v", "cross_attn_v"),
                ("layer.1.EncDecAttention.o", "cross_attn_o"),
                ("layer.1.EncDecAttention.relative_attention_bias", "cross_attn_rel_b"),
                ("layer.1.layer_norm", "cross_attn_norm"),
                ("layer.2.DenseReluDense.wi", "ffn_up"),
                ("layer.2.DenseReluDense.wi_0", "ffn_gate"),
                ("layer.2.DenseReluDense.wi_1", "ffn_up"),
                ("layer.2.DenseReluDense.wo", "ffn_down"),
                ("layer.2.layer_norm", "ffn_norm"),
            ],
        },
    ],
    allows: "token_embd output enc.output_norm dec.output_norm attn_q attn_k attn_v attn_o attn_rel_b attn_norm ffn_up ffn_gate ffn_down ffn_norm cross_attn_q cross_attn_k cross_attn_v cross_attn_o cross_attn_rel_b cross_attn_norm",
};
