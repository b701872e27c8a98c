//! The words of Mistral's own `params.json`: its keys beside those of a config.json, and what each kind of model it describes is to
//! transformers. Source: vLLM ([`crate::pins::VLLM`]), `transformers_utils/configs/mistral.py`.

/// Keys of params.json, and those of config.json that mean the same.
pub const SPELLINGS: &[(&str, &str)] = &[
    ("dim", "hidden_size"),
    ("n_layers", "num_hidden_layers"),
    ("n_heads", "num_attention_heads"),
    ("n_kv_heads", "num_key_value_heads"),
    ("hidden_dim", "intermediate_size"),
    ("norm_eps", "rms_norm_eps"),
    ("tied_embeddings", "tie_word_embeddings"),
    ("activation", "hidden_act"),
];

/// Keys of `moe`, and those of a config.json where experts are shared, as in DeepSeek's.
pub const EXPERTS: &[(&str, &str)] = &[
    ("num_experts", "n_routed_experts"),
    ("num_experts_per_tok", "num_experts_per_tok"),
    ("expert_hidden_dim", "moe_intermediate_size"),
    ("num_shared_experts", "n_shared_experts"),
    ("first_k_dense_replace", "first_k_dense_replace"),
    ("route_every_n", "moe_layer_freq"),
    ("routed_scale", "routed_scaling_factor"),
    ("num_expert_groups", "n_group"),
    ("num_expert_groups_per_tok", "topk_group"),
];

/// Context in tokens that vLLM takes where the file states none.
pub const CONTEXT: u64 = 128_000;

/// What transformers calls a kind of model that the file describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParamsKind {
    /// Its `model_type`.
    pub model_type: &'static str,
    /// Its class.
    pub class: &'static str,
}

/// Every token through every weight.
pub const DENSE: ParamsKind = ParamsKind { model_type: "mistral", class: "MistralForCausalLM" };
/// The same with multi-head latent attention.
pub const LATENT: ParamsKind = ParamsKind { model_type: "deepseek_v3", class: "MistralForCausalLM" };
/// Routed experts alone.
pub const ROUTED: ParamsKind = ParamsKind { model_type: "mixtral", class: "MixtralForCausalLM" };
/// Routed and shared experts.
pub const SHARED: ParamsKind = ParamsKind { model_type: "deepseek_v3", class: "MistralLarge3ForCausalLM" };
/// State-space layers, where the file says that it is a `mamba`.
pub const STATE_SPACE: (&str, ParamsKind) = ("mamba", ParamsKind { model_type: "mamba2", class: "Mamba2ForCausalLM" });
/// Meta's files of the same name.
pub const META: ParamsKind = ParamsKind { model_type: "llama", class: "LlamaForCausalLM" };
