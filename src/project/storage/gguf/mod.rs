//! What `llama-quantize` would make of a GGUF: the type of every tensor and the bytes of the file.
//!
//! Source of the rules in this folder: `llama-quant.cpp` at llama.cpp commit 0c1e570 (2026-10-01); every type list and file size
//! in `fixtures/gguf-project` was produced by that program.

mod convert;
mod explain;
mod fallback;
mod file;
mod from_hf;
mod generic;
mod mixture;
mod names;
mod target;

pub(crate) use convert::{ConvertedHeader, gguf_candidates, header};
pub(crate) use file::split_key_bytes;
pub(crate) use file::{Infos, info_bytes, pad_to};
pub use from_hf::from_safetensors;
pub(crate) use from_hf::{Conversions, with_origins};
pub use mixture::{Decision, Model, decide};
pub use target::QuantTarget;

use super::plan::{Basis, Change, OutTensor, Plan, PlanResult, Refusal, too_large};
use super::scheme::Context;
use crate::dtype::Dtype;
use crate::project::input::{GgufSource, ProjectTensor};
use crate::project::storage::Options;
use crate::text::escape;
use names::Category;

/// What the mixture reads of one tensor.
#[derive(Debug, Clone, Copy)]
pub struct MixtureTensor<'t> {
    /// GGUF name.
    pub name: &'t str,
    /// Category by name.
    category: Category,
    /// N of `blk.N.`.
    block: Option<u64>,
    /// Elements of one row (ggml's dimension 0).
    pub row: u64,
    /// Dimensions, outer ones of size 1 dropped.
    pub dims: usize,
    /// Stored type.
    pub dtype: Dtype,
    /// Whether any quantizing target may touch it.
    may_quantize: bool,
}

impl<'t> MixtureTensor<'t> {
    /// From name, shape (outermost first) and type.
    pub fn new(name: &'t str, shape: &[u64], dtype: Dtype) -> Self {
        let ones = shape.iter().take_while(|&&d| d == 1).count();
        let dims = (shape.len() - ones).max(1);
        Self {
            name,
            category: Category::of(name),
            block: names::block(name),
            row: shape.last().copied().unwrap_or(1),
            dims,
            dtype,
            may_quantize: names::may_quantize(name, dims),
        }
    }
}

/// Order and categories, worked out once for all targets of a checkpoint.
#[derive(Debug)]
pub struct Prepared {
    /// Indices of the tensors in output order.
    order: Vec<u32>,
    /// Category, block, and whether it may be quantized; in source order.
    facts: Vec<(Category, Option<u64>, bool)>,
    infos: u64,
}

impl Prepared {
    /// Sorts and classifies. Output order: N of `blk.N.` (other names first), then the name byte by byte.
    pub(crate) fn of(tensors: &[ProjectTensor<'_>]) -> Self {
        let facts: Vec<_> = tensors
            .iter()
            .map(|t| (Category::of(&t.name), names::block(&t.name), names::may_quantize(&t.name, t.effective_dims())))
            .collect();
        let mut order: Vec<u32> = (0..u32::try_from(tensors.len()).unwrap_or(u32::MAX)).collect();
        order.sort_by(|&a, &b| {
            let key = |i: u32| (facts[i as usize].1.map_or(0, |n| n + 1), tensors[i as usize].name.as_bytes());
            key(a).cmp(&key(b))
        });
        let infos = tensors.iter().map(|t| info_bytes(t.name_bytes, t.effective_dims())).sum();
        Self { order, facts, infos }
    }
}

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

/// What the mixture reads, in output order.
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
fn explain_one(
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

/// Why a GGUF target gives a tensor its type.
pub(crate) fn explain(context: &Context<'_, '_>, target: QuantTarget, name: &str) -> Option<String> {
    let input = context.input;
    match &input.gguf {
        Some(gguf) => {
            let index = input.tensors.iter().position(|t| t.name == name)?;
            explain_one(&input.tensors, context.prepared(), gguf, target, &context.options, index)
        }
        None => from_hf::explain(context, target, name),
    }
}

/// The quantizer on the tensors and header facts of a GGUF.
fn quantize<'a>(
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
    let file = file::quantized_size(gguf, prepared.infos, &out, options.imatrix);
    if file.range.is_some() {
        notes.push(
            "with an importance matrix the file holds its path and the name of its data set: the range is for 1 to 255 bytes each"
                .to_owned(),
        );
    }
    Ok(Plan { tensors: out, basis: outcome.basis.unwrap_or(Basis::Exact), file: Some(file), tensor_range: None, notes })
}
