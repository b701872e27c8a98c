//! Ways to quantize, as rows of a registry, and the names by which they are asked for.
//!
//! A scheme is spelled as the tool that writes it spells its option, in lower case. A name that two containers share (`f16`)
//! means the source's own; `gguf:f16` and `safetensors:f16` choose.

pub mod context;
mod experts;
mod grammar;
mod hash_order;
mod heads;
mod linears;
pub mod llama_quantize;
mod modules;
pub mod options;
pub(crate) mod packed_source;
mod packing;
mod resolve;
pub mod rule;
mod seen;
mod source;
mod stacks;
mod tool_files;
mod tools;

pub use context::Context;
pub use llama_quantize::target::QuantTarget;
pub use options::Options;
pub use resolve::{Resolved, Target};
pub use rule::{GroupRefusal, Listed, Regrouped, Rule, Schemes};
pub use tools::{SCHEMES, all};

use serde::Serialize;

use crate::checkpoint::Role;
use crate::project::plan::{Change, PlanResult};
use crate::project::row::QuantizedRow;
use crate::text::escape;

/// The scheme that is meant for a checkpoint. `fp8` and `int8` are what people make with llm-compressor, which takes experts one by
/// one; compressed-tensors alone leaves them, and has its name where there are none and the two write the same.
fn resolve(context: &Context<'_, '_>, target: &Target) -> Option<Resolved> {
    let scheme = target.resolve(context.input.format)?;
    let Some(preset) = scheme.name.strip_prefix("ct-").filter(|_| target.name != scheme.name) else { return Some(scheme) };
    let experts = context.input.tensors.iter().any(|t| t.role == Role::Expert);
    let other = Target { container: target.container, name: format!("lc-{preset}") };
    other.resolve(context.input.format).filter(|_| experts).or(Some(scheme))
}

/// The projected tensors and files one by one; `None` for an unknown scheme.
pub fn plan<'a>(context: &Context<'_, 'a>, target: &Target) -> Option<PlanResult<'a>> {
    resolve(context, target).map(|scheme| scheme.plan(context))
}

/// Plans a target and returns its row of the report, a refusal included.
pub fn row(context: &Context<'_, '_>, target: &Target) -> QuantizedRow {
    let Some(scheme) = resolve(context, target) else {
        return QuantizedRow::refused(&target.name, target.container, unknown(target));
    };
    if context.input.tensors.is_empty() {
        return QuantizedRow::refused(&scheme.name, Some(scheme.container), "there are no tensors to project".to_owned());
    }
    let scheme = match context.options.group.map(|size| scheme.regrouped(size)) {
        None | Some(Ok(None)) => scheme,
        Some(Ok(Some(scheme))) => scheme,
        Some(Err(reason)) => return QuantizedRow::refused(&scheme.name, Some(scheme.container), reason),
    };
    let mut plan = Some(scheme.plan(context));
    let mut row = None;
    scheme.rule().with_origins(context, &mut |origins| {
        row = plan.take().map(|plan| QuantizedRow::of(context.input, &scheme.name, scheme.container, plan, origins));
    });
    row.unwrap_or_else(|| QuantizedRow::refused(&scheme.name, Some(scheme.container), "no plan was made".to_owned()))
}

/// Why a name means no scheme, and where the names are that do.
fn unknown(target: &Target) -> String {
    let name = escape(&target.name);
    let elsewhere = target.container.and_then(|_| Target { container: None, ..target.clone() }.resolve(None));
    match elsewhere {
        Some(scheme) => format!("unknown scheme `{name}` of this format; it is one of {}", scheme.container.name()),
        None => format!("unknown scheme `{name}`; `--to all` lists those that the source can be projected to"),
    }
}

/// Why a tensor has its type under a scheme.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Explained {
    /// Name of the tensor as the user wrote it, escaped.
    pub tensor: String,
    /// Canonical name of the scheme.
    pub scheme: String,
    /// The rule with its figures; `None` where it is not known.
    pub rule: Option<String>,
}

/// Explains a tensor of the source, or one that the scheme writes.
pub fn explain(context: &Context<'_, '_>, target: &Target, tensor: &str) -> Explained {
    let scheme = resolve(context, target);
    let told = scheme.as_ref().and_then(|scheme| scheme.rule().explain(context, tensor));
    Explained {
        tensor: escape(tensor).to_string(),
        scheme: scheme.map_or_else(|| escape(&target.name).to_string(), |s| s.name.into_owned()),
        rule: told.or_else(|| {
            // Schemes of other containers tell only what becomes of it.
            let plan = plan(context, target)?.ok()?;
            let i = context.input.tensors.iter().position(|t| t.name == tensor).and_then(|i| u32::try_from(i).ok());
            let out = plan.tensors.iter().find(|t| t.name == tensor || (i.is_some() && t.source == i))?;
            let dtype = out.dtype.name().unwrap_or("unknown");
            Some(match out.change {
                Change::Kept => format!("left as stored ({dtype})"),
                Change::Added => format!("added by the scheme ({dtype})"),
                Change::Untied => format!("a tensor of its own, no longer the embedding ({dtype})"),
                Change::Retyped => format!("stored as {dtype}"),
                Change::Fallback { wanted } => format!("{} does not fit its rows: {dtype}", wanted.name().unwrap_or("the type")),
            })
        }),
    }
}
