//! The quantizer run on a GGUF.

use super::category::Category;
use super::explain;
use super::mixture::{MixtureTensor, Model, decide};
use super::order::Prepared;
use super::target::QuantTarget;
use crate::project::input::{GgufSource, ProjectTensor};
use crate::project::plan::{Basis, Change, OutTensor, Plan, PlanResult, Refusal, too_large};
use crate::project::quantize::context::Context;
use crate::project::quantize::options::Options;
use crate::project::written::gguf_file;
use crate::text::escape;

/// `llama-quantize` on the GGUF that is projected.
///
/// # Errors
/// What the program would refuse: a missing importance matrix, a type without a fallback, a stored type it cannot decode.
pub fn requantize<'a>(context: &Context<'_, 'a>, target: QuantTarget) -> PlanResult<'a> {
    let input = context.input;
    if target == QuantTarget::Auto {
        return Err(Refusal::new("auto is an outtype of the Hugging Face converter: the source is a GGUF already"));
    }
    let Some(gguf) = &input.gguf else {
        return Err(Refusal::new("the header of the GGUF is not known"));
    };
    quantize(&input.tensors, context.prepared(), gguf, target, &context.options)
}

/// Lists what the mixture reads of each tensor, in output order.
fn view<'t>(source: &'t [ProjectTensor<'_>], prepared: &Prepared) -> Vec<MixtureTensor<'t>> {
    prepared
        .order
        .iter()
        .map(|&i| {
            let t = &source[i as usize];
            let (category, block, may_quantize) = prepared.facts[i as usize];
            MixtureTensor {
                name: &t.name,
                category,
                block,
                row: t.row_len(),
                dims: t.effective_dims(),
                dtype: t.dtype,
                may_quantize,
            }
        })
        .collect()
}

fn model_of(gguf: &GgufSource) -> Model<'_> {
    Model {
        architecture: &gguf.architecture,
        layers: gguf.block_count,
        heads: gguf.head_count,
        kv_heads: gguf.head_count_kv,
        experts: gguf.expert_count,
    }
}

/// Why the quantizer gives a tensor its type; `index` is that of the source.
pub(super) fn explain_one(
    source: &[ProjectTensor<'_>],
    prepared: &Prepared,
    gguf: &GgufSource,
    target: QuantTarget,
    options: &Options,
    index: usize,
) -> Option<String> {
    let (tensors, model) = (view(source, prepared), model_of(gguf));
    let outcome = decide(&tensors, &model, target, options);
    let at = prepared.order.iter().position(|&i| i as usize == index)?;
    let decision = outcome.decisions.get(at)?;
    let figures = explain::Figures {
        model,
        target,
        options,
        tied: !tensors.iter().any(|t| t.category == Category::Output),
        values: tensors.iter().filter(|t| t.category == Category::V).count() as u64,
        place: outcome.places.get(at).copied().flatten(),
    };
    Some(explain::rule(&tensors[at], decision.dtype, decision.fell_back_from, &figures))
}

/// The quantizer on the tensors and header facts of a GGUF.
pub(super) fn quantize<'a>(
    source: &[ProjectTensor<'a>],
    prepared: &Prepared,
    gguf: &GgufSource,
    target: QuantTarget,
    options: &Options,
) -> PlanResult<'a> {
    if let Some(t) = source.iter().find(|t| t.dtype.name().is_none()) {
        return Err(Refusal::new(format!("`{}` is of a type that llama.cpp does not know", escape(&t.name))));
    }
    let (tensors, model) = (view(source, prepared), model_of(gguf));
    let outcome = decide(&tensors, &model, target, options);
    let mut out = Vec::with_capacity(tensors.len());
    for (decision, &i) in outcome.decisions.iter().zip(&prepared.order) {
        let t = &source[i as usize];
        let mut one = OutTensor::retyped(i as usize, t, decision.dtype).ok_or_else(|| too_large(&t.name))?;
        if let Some(wanted) = decision.fell_back_from {
            one.change = Change::Fallback { wanted };
        }
        out.push(one);
    }
    if let Some(refusal) = outcome.refusal {
        return Err(Refusal { reason: refusal.reason, would_be: refusal.types_are_known.then_some(out) });
    }
    let mut notes = outcome.notes;
    if source.iter().any(|t| t.dtype.is_block_quant()) && target != QuantTarget::Copy {
        notes.push("quantizes what is already quantized (--allow-requantize): the size is right, the values lose twice".to_owned());
    }
    if gguf.alignment != 32 {
        notes.push(format!(
            "general.alignment is {}: llama-quantize pads data to 32 all the same and writes a file that cannot be loaded",
            gguf.alignment
        ));
    }
    let file = gguf_file::quantized_size(gguf, prepared.infos, &out, options.imatrix);
    if file.range.is_some() {
        notes.push(
            "with an importance matrix the file holds its path and the name of its data set: the range is for 1 to 255 bytes each"
                .to_owned(),
        );
    }
    Ok(Plan { tensors: out, basis: outcome.basis.unwrap_or(Basis::Exact), file: Some(file), tensor_range: None, notes })
}
