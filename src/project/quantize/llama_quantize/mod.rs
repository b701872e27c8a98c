//! What `llama-quantize` would make of a GGUF: the type of every tensor and the bytes of the file.
//!
//! Source of the rules in this folder: `llama-quant.cpp` at llama.cpp commit 0c1e570 (2026-10-01); every type list and file size
//! in `fixtures/gguf-project` was produced by that program.

mod category;
pub(super) mod conversions;
mod explain;
mod fallback;
mod from_gguf;
mod from_hf;
mod generic;
mod mixture;
pub(super) mod order;
pub mod target;

pub use from_gguf::requantize;
pub use from_hf::from_safetensors;
pub(super) use from_hf::with_origins;
pub use mixture::{Decision, MixtureTensor, Model, decide};

use super::context::Context;
use target::QuantTarget;

/// Why a GGUF target gives a tensor its type.
pub(crate) fn explain(context: &Context<'_, '_>, target: QuantTarget, name: &str) -> Option<String> {
    let input = context.input;
    match &input.gguf {
        Some(gguf) => {
            let index = input.tensors.iter().position(|t| t.name == name)?;
            from_gguf::explain_one(&input.tensors, context.prepared(), gguf, target, &context.options, index)
        }
        None => from_hf::explain(context, target, name),
    }
}
