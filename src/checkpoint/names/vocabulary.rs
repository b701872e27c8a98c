//! The pieces of Hugging Face names that are no modules.

/// Pieces that hold numbered blocks; the number behind the first of them is the layer.
pub(super) const CONTAINERS: &[&str] = &[
    "layers",
    "h",
    "layer",
    "block",
    "blocks",
    "resblocks",
    "transformer_blocks",
    "single_transformer_blocks",
    "double_blocks",
    "single_blocks",
];

/// Beginnings of UNet and VAE paths, whose numbers are no layers of a stack.
pub(super) const NO_LAYERS: &[&str] = &["down_blocks", "up_blocks", "mid_block", "down", "up"];

/// Last pieces, or ends of them, that only bookkeeping of a quantization has. Shared with the quantization room, which marks
/// such tensors as auxiliary even where the weight they belong to is not packed.
pub(super) const AUXILIARY: &[&str] = &[
    "qzeros",
    "scales",
    "g_idx",
    "SCB",
    "weight_format",
    "absmax",
    "nested_absmax",
    "quant_map",
    "nested_quant_map",
    "bitsandbytes__nf4",
    "bitsandbytes__fp4",
    "bitsandbytes__int8",
    "weight_scale",
    "weight_scale_2",
    "weight_scale_inv",
    "weight_zero_point",
    "weight_shape",
    "weight_g_idx",
    "weight_global_scale",
    "input_global_scale",
    "output_global_scale",
    "input_scale",
    "input_zero_point",
    "output_scale",
    "output_zero_point",
    "input_scale_ub",
    "activation_scale",
    "k_scale",
    "v_scale",
    "q_scale",
    "kv_scale",
    "prob_scale",
    "k_zero_point",
    "v_zero_point",
    "_weight_scale",
    "_weight_zero_point",
    "_scale",
    "_shift",
    "scale_inv",
    "scale_packed",
    "q_scale_max",
    "q_groups",
    "q_group_map",
    "q_invperm",
    "q_perm",
    "suh",
    "svh",
    "su",
    "sv",
    "mcg",
    "mul1",
    "qbiases",
];

/// Ends of last pieces that only bookkeeping has: the stacked experts of gpt-oss (`gate_up_proj_scales`) and of block FP8
/// (`gate_up_proj_scale_inv`).
pub(super) const AUXILIARY_ENDS: &[&str] = &["_proj_scales", "_scale_inv", "_weight_scale", "_weight_zero_point", "_proj_scale"];
