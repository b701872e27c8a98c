//! The type that the converter gives a tensor. Source: `prepare_tensors`, first match wins.

use crate::dtype::Dtype;

/// What decides a tensor's type, before the outtype is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TypeRule {
    /// Stored as it comes, whatever the outtype.
    Fixed(Dtype),
    /// One dimension, or a norm.
    SmallOrNorm,
    /// The name does not end in `.weight`.
    NoWeight,
    /// One of the names that are always F32.
    Listed,
    /// Embedding or output: F16 in the ternary outtypes.
    Embedding,
    /// The outtype, where the row fills its blocks.
    Outtype,
}

/// Names that are always F32, without `blk.N.` and `.weight`.
const F32_NAMES: &[&str] = &[
    "ffn_gate_inp",
    "ffn_gate_inp_shexp",
    "position_embd",
    "token_types",
    "ssm_conv1d",
    "ssm_conv1d_q",
    "ssm_conv1d_k",
    "ssm_conv1d_v",
    "shortconv.conv",
    "time_mix_first",
    "time_mix_w1",
    "time_mix_w2",
    "time_mix_decay_w1",
    "time_mix_decay_w2",
    "time_mix_lerp_fused",
    "altup_correct_coef",
    "altup_predict_coef",
    "indexer.proj",
];

impl TypeRule {
    /// By name and number of dimensions, none dropped.
    pub(super) fn of(name: &str, dims: usize) -> Self {
        if dims <= 1 || name.ends_with("_norm.weight") {
            return Self::SmallOrNorm;
        }
        let Some(stem) = name.strip_suffix(".weight") else { return Self::NoWeight };
        let bare = stem.strip_prefix("blk.").and_then(|n| n.split_once('.')).map_or(stem, |(_, rest)| rest);
        if F32_NAMES.contains(&bare) {
            Self::Listed
        } else if matches!(bare, "token_embd" | "per_layer_token_embd" | "output" | "altup_router" | "laurel_l" | "laurel_r") {
            Self::Embedding
        } else {
            Self::Outtype
        }
    }

    /// The type under an outtype, and what was wanted where rows of this length do not fill its blocks.
    pub(super) fn dtype(self, row: u64, outtype: Dtype) -> (Dtype, Option<Dtype>) {
        match self {
            Self::Fixed(dtype) => (dtype, None),
            Self::SmallOrNorm | Self::NoWeight | Self::Listed => (Dtype::F32, None),
            Self::Embedding if matches!(outtype, Dtype::TQ1_0 | Dtype::TQ2_0) => (Dtype::F16, None),
            Self::Embedding | Self::Outtype => {
                let block = outtype.info().map_or(1, |info| info.elements_per_block);
                if row.is_multiple_of(block) { (outtype, None) } else { (Dtype::F16, Some(outtype)) }
            }
        }
    }

    /// Says in words why a tensor has its type.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::Fixed(_) => "the converter stores it as it comes, whatever the outtype",
            Self::SmallOrNorm => "the converter stores tensors of one dimension and norms in F32",
            Self::NoWeight => "the converter stores what is not named .weight in F32",
            Self::Listed => "its name is on the converter's list of tensors in F32",
            Self::Embedding => "the converter stores embedding and output in the outtype, but in F16 under a ternary one",
            Self::Outtype => "the converter stores matrices in the outtype",
        }
    }
}
