//! GGUF targets of a Hugging Face folder: what the converter writes, and the quantizer on that.

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;

use super::convert::{ConvertedModel, Typed, convert};
use super::{QuantTarget, explain_one, generic, quantize};
use crate::dtype::Dtype;
use crate::project::storage::bridge::Origins;
use crate::project::storage::plan::{Change, OutTensor, PlanResult, Refusal};
use crate::project::storage::scheme::Context;

type TypedResult = Rc<Result<Typed<'static>, Refusal<'static>>>;

/// Conversions of one checkpoint, worked out once for all targets.
#[derive(Debug, Default)]
pub(crate) struct Conversions {
    conversion: OnceCell<Option<Result<ConvertedModel, String>>>,
    typed: RefCell<Vec<(Dtype, TypedResult)>>,
}

impl Conversions {
    /// `None` where the family or the folder is not known.
    fn conversion(&self, context: &Context<'_, '_>) -> Option<&Result<ConvertedModel, String>> {
        let input = context.input;
        self.conversion.get_or_init(|| input.folder.and_then(|folder| convert(input, folder))).as_ref()
    }

    fn typed(&self, context: &Context<'_, '_>, conversion: &ConvertedModel, outtype: Dtype) -> TypedResult {
        if let Some((_, typed)) = self.typed.borrow().iter().find(|(t, _)| *t == outtype) {
            return Rc::clone(typed);
        }
        let typed = Rc::new(conversion.typed(context.input, outtype));
        self.typed.borrow_mut().push((outtype, Rc::clone(&typed)));
        typed
    }
}

/// The outtype of the file that a target is, or is made of; and whether the quantizer runs on it.
fn route(context: &Context<'_, '_>, conversion: &ConvertedModel, target: QuantTarget) -> Option<(Dtype, bool)> {
    match context.options.outtype {
        Some(outtype) => Some((conversion.outtype(outtype)?, true)),
        None => match conversion.outtype(target) {
            Some(outtype) => Some((outtype, false)),
            None => Some((conversion.outtype(QuantTarget::Auto)?, true)),
        },
    }
}

/// The converter with an outtype, or the quantizer run on the converter's `auto`; with an outtype given, always the quantizer.
///
/// # Errors
/// What the converter or the quantizer would refuse.
pub fn from_safetensors<'a>(context: &Context<'_, 'a>, target: QuantTarget) -> PlanResult<'a> {
    let conversions = context.conversions();
    let conversion = match conversions.conversion(context) {
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
    let typed = conversions.typed(context, conversion, outtype);
    let typed = typed.as_ref().as_ref().map_err(|refusal| Refusal::new(refusal.reason.clone()))?;
    if !quantized {
        return conversion.plan(context.input, typed);
    }
    let trace = |tensors: &mut Vec<OutTensor<'a>>| {
        for (out, &i) in tensors.iter_mut().zip(&typed.prepared.order) {
            let wanted = match out.change {
                Change::Fallback { wanted } => Some(wanted),
                _ => None,
            };
            out.source = ConvertedModel::source(typed, i as usize);
            out.change = conversion.change(context.input, typed, i as usize, out.dtype, wanted);
        }
    };
    match quantize(&typed.tensors, &typed.prepared, &typed.gguf, target, &context.options) {
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

/// Hands on what the tensors of a target's plan are made of; nothing where it is no conversion.
pub(crate) fn with_origins(context: &Context<'_, '_>, target: QuantTarget, row: &mut dyn FnMut(Option<&Origins>)) {
    let conversions = context.conversions();
    let Some(Ok(conversion)) = conversions.conversion(context) else { return row(None) };
    let Some((outtype, quantized)) = route(context, conversion, target) else { return row(None) };
    match conversions.typed(context, conversion, outtype).as_ref() {
        Ok(typed) => row(Some(if quantized { &typed.sorted_origins } else { &typed.origins })),
        Err(_) => row(None),
    }
}

/// Why a tensor has its type in the converter's file, and then in the quantizer's. The name is the converted tensor's, or that of
/// the one tensor it is made of.
pub(super) fn explain(context: &Context<'_, '_>, target: QuantTarget, name: &str) -> Option<String> {
    let conversions = context.conversions();
    let conversion = conversions.conversion(context)?.as_ref().ok()?;
    let (outtype, quantized) = route(context, conversion, target)?;
    let typed = conversions.typed(context, conversion, outtype);
    let typed = typed.as_ref().as_ref().ok()?;
    let source = context.input.tensors.iter().position(|t| t.name == name).and_then(|i| u32::try_from(i).ok());
    let is = |i: usize| typed.tensors[i].name == name || (source.is_some() && ConvertedModel::source(typed, i) == source);
    let index = (0..typed.tensors.len()).find(|&i| is(i))?;
    let first = conversion.reason(index, typed);
    if !quantized {
        return Some(first);
    }
    let then = explain_one(&typed.tensors, &typed.prepared, &typed.gguf, target, &context.options, index)?;
    Some(format!("{first}; then {then}"))
}
