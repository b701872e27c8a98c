//! Ways to quantize, as rows of a registry, and the names by which they are asked for.
//!
//! A scheme is spelled as the tool that writes it spells its option, in lower case. A name that two containers share (`f16`)
//! means the source's own; `gguf:f16` and `safetensors:f16` choose.

/// Rows of the registry: under each tool in brackets the name of a scheme, further names after `or`, and its rule.
macro_rules! schemes {
    ($([$tool:expr] $($name:literal $(or $alias:literal)* => $rule:expr;)+)+) => {
        &[$($(Scheme {
            name: $name,
            aliases: &[$($alias),*],
            container: Format::Safetensors,
            tool: $tool,
            rule: &$rule,
        }),+),+]
    };
}

mod bitsandbytes;
mod cast;
mod compressed_tensors;
mod experts;
mod files;
mod fp8;
mod ggml;
mod gptq;
mod grammar;
mod hash_order;
mod heads;
mod hqq;
mod linears;
mod mlx;
mod module;
mod quanto;
mod resolve;
mod seen;
mod stacks;
mod torchao;
mod walk;

pub use resolve::{Resolved, Target};

use std::cell::OnceCell;
use std::collections::BTreeMap;

use serde::Serialize;

use super::Options;
use super::bridge::Origins;
use super::gguf::{Conversions, Prepared};
use super::plan::{Change, PlanResult};
use super::row::QuantizedRow;
use super::shard::greedy::natural;
use crate::checkpoint::Role;
use crate::format::Format;
use crate::project::input::ProjectInput;
use crate::text::escape;

/// What a scheme reads: the checkpoint, the options, and facts worked out once for all targets.
#[derive(Debug)]
pub struct Context<'i, 'a> {
    /// The checkpoint.
    pub input: &'i ProjectInput<'a>,
    /// How the tools are run.
    pub options: Options,
    prepared: OnceCell<Prepared>,
    by_name: OnceCell<Vec<u32>>,
    natural: OnceCell<Vec<u32>>,
    conversions: Conversions,
    blocks: OnceCell<BTreeMap<&'i str, experts::Block>>,
    stacks: OnceCell<BTreeMap<&'i str, (stacks::Stack, stacks::Dims)>>,
    seen: OnceCell<seen::Seen>,
    refusal: OnceCell<Option<String>>,
}

impl<'i, 'a> Context<'i, 'a> {
    /// For one checkpoint.
    pub fn new(input: &'i ProjectInput<'a>, options: Options) -> Self {
        Self {
            input,
            options,
            prepared: OnceCell::new(),
            by_name: OnceCell::new(),
            natural: OnceCell::new(),
            conversions: Conversions::default(),
            blocks: OnceCell::new(),
            stacks: OnceCell::new(),
            seen: OnceCell::new(),
            refusal: OnceCell::new(),
        }
    }

    /// Indices of the tensors in the order of their names: the order, but for types, in which safetensors files hold them.
    pub(crate) fn by_name(&self) -> &[u32] {
        self.by_name.get_or_init(|| {
            let tensors = &self.input.tensors;
            let mut order: Vec<u32> = (0..u32::try_from(tensors.len()).unwrap_or(u32::MAX)).collect();
            order.sort_by(|&a, &b| tensors[a as usize].name.cmp(&tensors[b as usize].name));
            order
        })
    }

    /// Place of each tensor when names are ordered with numbers as numbers.
    pub(crate) fn natural_ranks(&self) -> &[u32] {
        self.natural.get_or_init(|| {
            let tensors = &self.input.tensors;
            let mut order: Vec<u32> = (0..u32::try_from(tensors.len()).unwrap_or(u32::MAX)).collect();
            order.sort_by(|&a, &b| natural(&tensors[a as usize].name, &tensors[b as usize].name));
            let mut ranks = vec![0; tensors.len()];
            for (rank, &i) in (0u32..).zip(&order) {
                ranks[i as usize] = rank;
            }
            ranks
        })
    }

    /// Order and categories of a GGUF's tensors, the same for all targets.
    pub(crate) fn prepared(&self) -> &Prepared {
        self.prepared.get_or_init(|| Prepared::of(&self.input.tensors))
    }

    /// Blocks of routed experts that the file holds one by one.
    fn blocks(&self) -> &BTreeMap<&'i str, experts::Block> {
        self.blocks.get_or_init(|| experts::blocks(self.input))
    }

    /// Blocks of routed experts that the file holds in one tensor of a projection.
    fn stacks(&self) -> &BTreeMap<&'i str, (stacks::Stack, stacks::Dims)> {
        self.stacks.get_or_init(|| stacks::stacks(self.input))
    }

    /// What is known of the checkpoint's class.
    fn seen(&self) -> &seen::Seen {
        self.seen.get_or_init(|| seen::Seen::of(self.input))
    }

    /// Why no safetensors scheme takes the checkpoint.
    fn refusal(&self) -> Option<&str> {
        self.refusal.get_or_init(|| cast::refusal(self.input)).as_deref()
    }

    /// What the Hugging Face converter makes of the checkpoint, for all targets.
    pub(crate) fn conversions(&self) -> &Conversions {
        &self.conversions
    }
}

/// How a scheme turns a checkpoint into another.
pub trait Rule: Sync {
    /// The projected tensors and files.
    ///
    /// # Errors
    /// The reason why the tool would refuse, or why its result is not known.
    fn plan<'a>(&self, context: &Context<'_, 'a>) -> PlanResult<'a>;

    /// What the planned tensors are made of, in their order, where the plan renames, stacks or splits.
    fn with_origins(&self, _context: &Context<'_, '_>, row: &mut dyn FnMut(Option<&Origins>)) {
        row(None);
    }

    /// The rule that decided a tensor's type, in words; `None` where the scheme cannot tell.
    fn explain(&self, _context: &Context<'_, '_>, _tensor: &str) -> Option<String> {
        None
    }
}

/// A row of the registry.
pub struct Scheme {
    /// Canonical name.
    pub name: &'static str,
    /// Other spellings.
    pub aliases: &'static [&'static str],
    /// The format it is stored in.
    pub container: Format,
    /// The tool that writes it, with the version the rule was read from.
    pub tool: &'static str,
    /// How.
    pub rule: &'static dyn Rule,
}

/// Every scheme, a slice per family. To add one: a row in its family's file, or a file and a line here.
pub const SCHEMES: &[&[Scheme]] = &[
    cast::SCHEMES,
    compressed_tensors::SCHEMES,
    bitsandbytes::SCHEMES,
    gptq::SCHEMES,
    fp8::SCHEMES,
    mlx::SCHEMES,
    quanto::SCHEMES,
    hqq::SCHEMES,
    torchao::SCHEMES,
    ggml::SCHEMES,
];

/// Every scheme in registry order.
pub fn all() -> impl Iterator<Item = &'static Scheme> {
    SCHEMES.iter().flat_map(|family| family.iter())
}

/// Grammars of names that no row lists: a function and the tool that writes what it gives.
pub(super) const GRAMMARS: &[(Grammar, &str)] = &[
    (compressed_tensors::parse, "compressed-tensors 0.20.0"),
    (gptq::parse, "GPTQModel 7.7.0"),
    (fp8::parse, "transformers 5.23"),
    (mlx::parse, "mlx-lm 0.32.2"),
    (quanto::parse, "optimum-quanto 0.2.7, transformers 5.23"),
    (hqq::parse, "hqq 0.2.8.post1"),
    (torchao::parse, "torchao 0.18.0, transformers 5.23"),
];

/// Reads a name as the parameters of a rule.
pub(super) type Grammar = fn(&str) -> Option<Box<dyn Rule>>;

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

/// One row of the report.
pub fn row(context: &Context<'_, '_>, target: &Target) -> QuantizedRow {
    let Some(scheme) = resolve(context, target) else {
        let reason = format!("unknown scheme `{}`", escape(&target.name));
        return QuantizedRow::refused(&target.name, target.container, reason);
    };
    if context.input.tensors.is_empty() {
        return QuantizedRow::refused(&scheme.name, Some(scheme.container), "there are no tensors to project".to_owned());
    }
    let scheme = match context.options.group.map(|size| scheme.regrouped(size)) {
        None => scheme,
        Some(Ok(scheme)) => scheme,
        Some(Err(reason)) => return QuantizedRow::refused(&scheme.name, Some(scheme.container), reason),
    };
    let mut plan = Some(scheme.plan(context));
    let mut row = None;
    scheme.rule().with_origins(context, &mut |origins| {
        row = plan.take().map(|plan| QuantizedRow::of(context.input, &scheme.name, scheme.container, plan, origins));
    });
    row.unwrap_or_else(|| QuantizedRow::refused(&scheme.name, Some(scheme.container), "no plan was made".to_owned()))
}

/// Why a tensor has its type under a scheme.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explained {
    /// The tensor as asked for; escaped.
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
