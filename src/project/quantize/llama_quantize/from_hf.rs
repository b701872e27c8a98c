//! GGUF targets of a Hugging Face folder: what the converter writes, and the quantizer on that.

use super::from_gguf::{explain_one, quantize};
use super::target::QuantTarget;
use super::{conversions, generic};
use crate::dtype::Dtype;
use crate::project::bridge::Origins;
use crate::project::convert::ConvertedModel;
use crate::project::plan::{Change, OutTensor, PlanResult, Refusal};
use crate::project::quantize::context::Context;

/// The outtype of the file that a target is, or is made of; and whether the quantizer runs on it.
fn route(context: &Context<'_, '_>, conversion: &ConvertedModel, target: QuantTarget) -> Option<(Dtype, bool)> {
    match context.options.outtype {
        Some(outtype) => Some((conversions::outtype(conversion, outtype)?, true)),
        None => match conversions::outtype(conversion, target) {
            Some(outtype) => Some((outtype, false)),
            None => Some((conversions::outtype(conversion, QuantTarget::Auto)?, true)),
        },
    }
}

/// The converter with an outtype, or the quantizer run on the converter's `auto`; with an outtype given, always the quantizer.
///
/// # Errors
/// What the converter or the quantizer would refuse.
pub fn from_safetensors<'a>(context: &Context<'_, 'a>, target: QuantTarget) -> PlanResult<'a> {
    let conversions = context.conversions();
    let conversion = match conversions.conversion(context.input) {
        None => return generic::estimate(context, target),
        Some(Err(reason)) => return Err(Refusal::new(reason.clone())),
        Some(Ok(conversion)) => conversion,
    };
    if target == QuantTarget::Auto && context.options.outtype.is_some() {
        return Err(Refusal::new("auto is an outtype of the converter, no target of the quantizer"));
    }
    let Some((outtype, quantized)) = route(context, conversion, target) else {
        return Err(Refusal::new("the converter has no such outtype"));
    };
    let typed = conversions.typed(context.input, conversion, outtype);
    let file = typed.as_ref().as_ref().map_err(|refusal| Refusal::new(refusal.reason.clone()))?;
    if !quantized {
        return conversion.plan(context.input, &file.typed);
    }
    let trace = |tensors: &mut Vec<OutTensor<'a>>| {
        for (out, &i) in tensors.iter_mut().zip(&file.prepared.order) {
            let wanted = match out.change {
                Change::Fallback { wanted } => Some(wanted),
                _ => None,
            };
            out.source = ConvertedModel::source(&file.typed, i as usize);
            out.change = conversion.change(context.input, &file.typed, i as usize, out.dtype, wanted);
        }
    };
    match quantize(&file.typed.tensors, &file.prepared, &file.typed.gguf, target, &context.options) {
        Ok(mut plan) => {
            trace(&mut plan.tensors);
            let name = outtype.name().unwrap_or("auto").to_lowercase();
            plan.notes.push(format!("llama-quantize on what the converter writes as {name}"));
            conversion.say(&mut plan);
            Ok(plan)
        }
        Err(mut refusal) => {
            if let Some(tensors) = &mut refusal.would_be {
                trace(tensors);
            }
            Err(refusal)
        }
    }
}

/// Passes on what the tensors of a target's plan are made of; `None` where the family has no known conversion.
pub(crate) fn with_origins(context: &Context<'_, '_>, target: QuantTarget, row: &mut dyn FnMut(Option<&Origins>)) {
    let conversions = context.conversions();
    let Some(Ok(conversion)) = conversions.conversion(context.input) else { return row(None) };
    let Some((outtype, quantized)) = route(context, conversion, target) else { return row(None) };
    match conversions.typed(context.input, conversion, outtype).as_ref() {
        Ok(file) => row(Some(if quantized { &file.sorted_origins } else { &file.typed.origins })),
        Err(_) => row(None),
    }
}

/// Why a tensor has its type in the converter's file, and then in the quantizer's. The name is the converted tensor's, or that of
/// the one tensor it is made of.
pub(super) fn explain(context: &Context<'_, '_>, target: QuantTarget, name: &str) -> Option<String> {
    let conversions = context.conversions();
    let conversion = conversions.conversion(context.input)?.as_ref().ok()?;
    let (outtype, quantized) = route(context, conversion, target)?;
    let typed = conversions.typed(context.input, conversion, outtype);
    let file = typed.as_ref().as_ref().ok()?;
    let typed = &file.typed;
    let source = context.input.tensors.iter().position(|t| t.name == name).and_then(|i| u32::try_from(i).ok());
    let is = |i: usize| typed.tensors[i].name == name || (source.is_some() && ConvertedModel::source(typed, i) == source);
    let index = (0..typed.tensors.len()).find(|&i| is(i))?;
    let first = conversion.reason(index, typed);
    if !quantized {
        return Some(first);
    }
    let then = explain_one(&typed.tensors, &file.prepared, &typed.gguf, target, &context.options, index)?;
    Some(format!("{first}; then {then}"))
}
