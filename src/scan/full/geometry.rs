//! Which matrix a tensor is, and what its rows and columns stand for.

use crate::checkpoint::{Checkpoint, Part, Role, Tensor};
use crate::families::by_model_type;

/// A direction in a matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Axis {
    /// One row after another.
    Rows,
    /// One column after another.
    Columns,
}

impl Axis {
    fn other(self) -> Self {
        if self == Self::Rows { Self::Columns } else { Self::Rows }
    }
}

/// A tensor as matrices: `planes` of `rows` x `columns`, rows contiguous.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// Experts that are stacked in one tensor; 1 for any other.
    pub planes: u64,
    /// Rows of one plane.
    pub rows: u64,
    /// Columns.
    pub columns: u64,
    /// Along which a matrix product sums: the direction of N:M groups. `None` for embeddings, convolutions and the like.
    pub reduction: Option<Axis>,
    /// Where the attention heads lie, and how many rows or columns one has.
    pub heads: Option<(Axis, u64)>,
    /// Where the channels of a feed-forward block lie.
    pub channels: Option<Axis>,
}

/// Modules whose outputs are heads: transformers' and Meta's names, and GGUF's.
const MAKES_HEADS: &[&str] = &[
    "q_proj", "k_proj", "v_proj", "query", "key", "value", "q_lin", "k_lin", "v_lin", "wq", "wk", "wv", "attn_q", "attn_k",
    "attn_v", "c_attn", "qkv_proj", "Wqkv", "attn_qkv",
];
/// Modules whose inputs are heads.
const TAKES_HEADS: &[&str] = &["o_proj", "out_proj", "wo", "out_lin", "attn_output"];
/// Modules whose outputs are the channels of a feed-forward block.
const MAKES_CHANNELS: &[&str] = &[
    "gate_proj",
    "up_proj",
    "gate_up_proj",
    "w1",
    "w3",
    "fc1",
    "fc_in",
    "c_fc",
    "lin1",
    "intermediate",
    "ffn_gate",
    "ffn_up",
    "wi",
    "wi_0",
    "wi_1",
    "dense_h_to_4h",
];
/// Modules whose inputs are.
const TAKES_CHANNELS: &[&str] = &["down_proj", "w2", "fc2", "fc_out", "lin2", "ffn_down", "wo", "output", "dense_4h_to_h"];

impl Geometry {
    /// The matrix of a tensor; `None` for vectors, bookkeeping, buffers, and packed weights, whose codes are not weights.
    pub fn of(checkpoint: &Checkpoint, tensor: &Tensor<'_>) -> Option<Self> {
        let info = tensor.info;
        if tensor.part != Part::Weight || tensor.logical_params != info.elements || info.elements == 0 {
            return None;
        }
        let first = info.shape.iter().position(|&d| d != 1)?;
        let shape = &info.shape[first..];
        let stacked = tensor.naming.role == Role::Expert && shape.len() == 3;
        let (planes, rows) = if stacked { (shape[0], shape[1]) } else { (1, shape[0]) };
        let columns = info.elements.checked_div(planes.checked_mul(rows)?)?;
        let block = info.dtype.info()?.elements_per_block;
        // A single column or row is a vector.
        if rows < 2 || columns < 2 || !columns.is_multiple_of(block) {
            return None;
        }
        let mut geometry = Self { planes, rows, columns, reduction: None, heads: None, channels: None };
        if shape.len() == 2 || stacked {
            geometry.read_name(checkpoint, tensor);
        }
        Some(geometry)
    }

    fn read_name(&mut self, checkpoint: &Checkpoint, tensor: &Tensor<'_>) {
        use Role::{Buffer, Conv, Embedding, Norm, PositionEmbedding, QuantAux};
        let role = tensor.naming.role;
        if matches!(role, Buffer | Conv | Embedding | Norm | PositionEmbedding | QuantAux) {
            return;
        }
        let name = tensor.name();
        let module = |name: &str| name.rsplit('.').find(|piece| !matches!(*piece, "weight" | "bias" | "dense")).map(str::to_owned);
        let Some(module) = module(&name) else { return };
        let family = checkpoint.model.family.as_deref().unwrap_or_default();
        let transposed = tensor.container.format == crate::format::Format::Safetensors
            && by_model_type(family).is_some_and(|row| row.transposed_linears)
            && matches!(module.as_str(), "c_attn" | "c_proj" | "c_fc");
        // [in, out] for Conv1D; stacked experts of transformers are [experts, in, out] for some families and [experts, out, in] for
        // others, which shapes alone do not tell: no N:M there unless the file is a GGUF, whose rows are always inputs.
        let stacked_unknown = self.planes > 1 && tensor.container.format == crate::format::Format::Safetensors;
        self.reduction = match (stacked_unknown, transposed) {
            (true, _) => None,
            (_, true) => Some(Axis::Rows),
            _ => Some(Axis::Columns),
        };
        let Some(inputs) = self.reduction else { return };
        let module = module.strip_suffix("_exps").or_else(|| module.strip_suffix("_shexp")).unwrap_or(&module);
        let attention = role == Role::Attention;
        if attention && self.planes == 1 {
            let axis = match module {
                m if MAKES_HEADS.contains(&m) => Some(inputs.other()),
                m if TAKES_HEADS.contains(&m) || (m == "c_proj" && transposed) || is_bert_output(&name) => Some(inputs),
                _ => None,
            };
            let size = checkpoint.model.head_dim.filter(|&d| d > 0);
            self.heads = axis.zip(size).filter(|(axis, size)| self.length(*axis).is_multiple_of(*size));
        }
        if matches!(role, Role::Mlp | Role::Expert | Role::SharedExpert) && self.planes == 1 {
            self.channels = match module {
                m if MAKES_CHANNELS.contains(&m) => Some(inputs.other()),
                m if TAKES_CHANNELS.contains(&m) || (m == "c_proj" && transposed) => Some(inputs),
                _ => None,
            };
        }
    }

    /// Rows or columns of one plane.
    pub fn length(&self, axis: Axis) -> u64 {
        if axis == Axis::Rows { self.rows } else { self.columns }
    }
}

/// `attention.output.dense` of BERT and its like.
fn is_bert_output(name: &str) -> bool {
    name.contains("attention.output.dense")
}
