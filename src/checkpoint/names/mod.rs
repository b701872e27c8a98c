//! What a tensor's name tells: role, layer, expert.
//!
//! [`classify`] knows the names that Hugging Face models, Meta's consolidated files, diffusers, PEFT and kohya adapters and GGUF
//! use. It looks names up in const tables piece by piece, allocates nothing, and says [`Role::Other`] for what is in no table.

mod adapter;
mod buffer;
mod gguf;
mod hugging_face;
mod segments;
mod vocabulary;

pub use buffer::is_buffer;

pub use crate::families::Role;

use crate::format::Format;

/// Role, layer and expert of a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Naming {
    /// What it is for.
    pub role: Role,
    /// Index of the block it stands in.
    pub layer: Option<u32>,
    /// Index of the expert, where experts are stored one by one.
    pub expert: Option<u32>,
}

impl Naming {
    /// A role outside any block.
    pub(crate) const fn of(role: Role) -> Self {
        Self { role, layer: None, expert: None }
    }

    /// The same naming with a stack of as many weights as there are routed experts taken as theirs: JetMoE and others give it the
    /// name of a dense block (`mlp.input_linear`).
    #[must_use]
    pub(crate) fn with_experts(mut self, experts: Option<u64>, shape: &[u64]) -> Self {
        if self.role == Role::Mlp && shape.len() == 3 && experts.is_some_and(|n| n > 1 && n == shape[0]) {
            self.role = Role::Expert;
        }
        self
    }

    /// The same naming with layers from `main_layers` on taken as multi-token prediction.
    ///
    /// DeepSeek-V3 and its like store the prediction layer as `model.layers.61` beside `num_hidden_layers: 61`, so the name alone
    /// does not tell. Only the roles of a text block move: a vision tower may well have more layers than the text model.
    #[must_use]
    pub fn with_main_layers(mut self, main_layers: u64) -> Self {
        use Role::{Attention, Embedding, Expert, Head, LmHead, Mlp, Norm, Other, Recurrent, Router, SharedExpert};
        let beyond = self.layer.is_some_and(|layer| u64::from(layer) >= main_layers);
        let of_a_block = matches!(
            self.role,
            Attention | Embedding | Expert | Head | LmHead | Mlp | Norm | Other | Recurrent | Router | SharedExpert
        );
        if beyond && of_a_block {
            self.role = Role::Mtp;
        }
        self
    }
}

/// What a tensor's name tells. Costs some hundred nanoseconds and allocates nothing.
///
/// Names of packed weights (`.qweight`, `.weight_packed`, `_blocks`) have the role of the module they stand for; scales, zero points
/// and index tensors whose name alone gives them away are [`Role::QuantAux`]; those that need a look at their neighbours
/// (`.scale`, `.bias`es of MLX) are settled by [`super::packed::interpret`].
pub fn classify(name: &str, format: Format) -> Naming {
    match format {
        Format::Gguf => gguf::classify(name),
        Format::Safetensors => hugging_face::classify(name),
    }
}

/// A tensor's name cut at the block it stands in: what stands before the number, the number, and the name inside the block.
/// `model.layers.3.mlp.up_proj.weight` is `model.layers`, 3 and `mlp.up_proj.weight`.
pub(crate) fn in_stack(name: &str) -> Option<(&str, u32, &str)> {
    let mut start = 0;
    let mut container = false;
    for piece in name.split('.') {
        let end = start + piece.len();
        if container && let Some(number) = segments::index(piece) {
            let rest = name.get(end + 1..)?;
            return Some((name.get(..start - 1)?, number, rest));
        }
        // GGUF calls its blocks `blk`.
        container = piece == "blk" || vocabulary::CONTAINERS.contains(&piece);
        start = end + 1;
    }
    None
}

/// Whether a tensor's name is that of a projection that GPT-2's classes hold turned, as [in, out] (`pytorch_utils.Conv1D` of
/// transformers). `family` is `model_type`.
pub fn is_conv1d(family: &str, name: &str) -> bool {
    crate::families::by_model_type(family).is_some_and(|row| row.transposed_linears) && is_turned_name(name)
}

/// Whether the name alone may be that of a `Conv1D` projection.
pub(crate) fn is_turned_name(name: &str) -> bool {
    [".c_attn.weight", ".c_proj.weight", ".c_fc.weight", ".q_attn.weight"].iter().any(|end| name.ends_with(end))
}

/// Whether the name alone says that a tensor is bookkeeping of a quantization (`X.qzeros`, `X.weight_scale`, `k_scale`).
pub(crate) fn is_auxiliary_name(name: &str) -> bool {
    hugging_face::is_auxiliary(name.rsplit('.').next().unwrap_or(name))
}

#[cfg(test)]
mod tests;
