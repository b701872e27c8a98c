//! compressed-tensors: linears in one byte per weight with a scale per output row.
//!
//! Source: compressed-tensors 0.20.0 through transformers 5.23 (`apply_quantization_config`, `ModelCompressor.compress_model`,
//! `ignore: [lm_head]`), formulas A: `weight` I8 or F8_E4M3 [O, I] and `weight_scale` [O, 1] in the dtype of the module's weight;
//! embeddings, norms, biases and the output head as they were. n + 2 x O bytes per linear for a 16-bit base.

use super::cast::require_float_safetensors;
use super::linears::{Doubts, Linear, classify};
use super::{Context, Rule, Scheme};
use crate::dtype::Dtype;
use crate::format::Format;
use crate::project::storage::plan::{Basis, OutTensor, Plan, PlanResult, Refusal, too_large};
use crate::project::storage::safetensors_file::FORMAT_PT;
use crate::project::storage::shard::transformers_files;
use crate::text::escape;

const TOOL: &str = "compressed-tensors 0.20.0, transformers 5.23";

/// Rows of the registry.
pub(super) const SCHEMES: &[Scheme] = &[
    Scheme {
        name: "ct-w8a8",
        aliases: &["int8"],
        container: Format::Safetensors,
        tool: TOOL,
        rule: &ChannelWise { dtype: Dtype::I8 },
    },
    Scheme {
        name: "ct-fp8-dynamic",
        aliases: &["fp8"],
        container: Format::Safetensors,
        tool: TOOL,
        rule: &ChannelWise { dtype: Dtype::F8_E4M3 },
    },
];

/// One scale per output row.
struct ChannelWise {
    dtype: Dtype,
}

impl Rule for ChannelWise {
    fn plan<'a>(&self, context: &Context<'_, 'a>) -> PlanResult<'a> {
        require_float_safetensors(context)?;
        let input = context.input;
        let mut doubts = Doubts::default();
        let mut tensors = Vec::with_capacity(input.tensors.len() * 2);
        let mut linears = 0u64;
        for (i, t) in input.tensors.iter().enumerate() {
            let linear = classify(input, t);
            match linear {
                Linear::Expert => doubts.experts += 1,
                Linear::Unclear => {
                    doubts.unclear += 1;
                    doubts.unclear_example.get_or_insert_with(|| escape(&t.name));
                }
                _ => {}
            }
            if !matches!(linear, Linear::Yes | Linear::Unclear) {
                tensors.push(OutTensor::kept(i, t));
                continue;
            }
            linears += 1;
            tensors.push(OutTensor::retyped(i, t, self.dtype).ok_or_else(|| too_large(&t.name))?);
            let rows = t.shape.first().copied().unwrap_or(1);
            let scale = OutTensor::added(format!("{}_scale", t.name), t.dtype, &[rows, 1]);
            tensors.push(scale.ok_or_else(|| too_large(&t.name))?);
        }
        if linears == 0 {
            return Err(Refusal::new("no tensor was recognised as the weight of a linear layer"));
        }
        let notes = doubts.notes();
        let basis = if notes.is_empty() { Basis::Exact } else { Basis::Estimate };
        let metadata: Vec<(String, String)> = FORMAT_PT.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let file = transformers_files(&tensors, Some(&metadata));
        Ok(Plan { tensors, basis, file: Some(file), notes })
    }
}
