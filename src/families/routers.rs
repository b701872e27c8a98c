//! What quantizers make of routers, by `model_type`: a trait of single model types, many of which have no row.

/// Routers that are `nn.Linear` in transformers ([`crate::pins::TRANSFORMERS`]), by the end of their name; of other model types they are
/// parameters or modules of their own, which no tool takes.
const LINEAR: &[(&str, &str)] = &[
    ("aria_text", ".mlp.router.weight"),
    ("hunyuan_v1_moe", ".mlp.gate.wg.weight"),
    ("jamba", ".feed_forward.router.weight"),
    ("jetmoe", ".router.layer.weight"),
    ("llama4", ".feed_forward.router.weight"),
    ("llama4_text", ".feed_forward.router.weight"),
    ("phimoe", ".block_sparse_moe.gate.weight"),
];

/// Whether a tensor is a router that is an `nn.Linear`.
pub fn is_linear(model_type: &str, name: &str) -> bool {
    LINEAR.iter().any(|(of, end)| *of == model_type && name.ends_with(end))
}

/// Whether mlx-lm's class asks for 8 bits in groups of 64 for its routers, `mlp.gate` (`quant_predicate` of all Qwen3 classes).
pub fn has_8_bits_in_mlx(model_type: &str) -> bool {
    model_type.starts_with("qwen3")
}
