//! Ways to quantize, as rows of a registry, and the names by which they are asked for.
//!
//! A scheme is spelled as the tool that writes it spells its option, in lower case. A name that two containers share (`f16`)
//! means the source's own; `gguf:f16` and `safetensors:f16` choose.

mod bitsandbytes;
mod cast;
mod compressed_tensors;
mod fp8;
mod ggml;
mod gptq;
mod hqq;
mod linears;
mod mlx;
mod module;
mod quanto;

use std::cell::OnceCell;

use serde::Serialize;

use super::Options;
use super::bridge::Origins;
use super::gguf::{Conversions, Prepared};
use super::plan::{Change, PlanResult};
use super::row::QuantizedRow;
use super::shard::greedy::natural;
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
    ggml::SCHEMES,
];

/// Every scheme in registry order.
pub fn all() -> impl Iterator<Item = &'static Scheme> {
    SCHEMES.iter().flat_map(|family| family.iter())
}

/// A scheme as asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The container chosen by a prefix.
    pub container: Option<Format>,
    /// The name in lower case, without prefix.
    pub name: String,
}

impl Target {
    /// Reads `q4_k_m`, `int8`, `gguf:f16`. Any text is a target: an unknown one becomes a refused row.
    pub fn parse(text: &str) -> Self {
        let text = text.trim().to_lowercase();
        let (container, name) = match text.split_once(':') {
            Some(("gguf", name)) => (Some(Format::Gguf), name),
            Some(("safetensors", name)) => (Some(Format::Safetensors), name),
            _ => (None, text.as_str()),
        };
        Self { container, name: name.trim().to_owned() }
    }

    /// Reads a comma-separated list; `all` stands for every scheme that the source's container has, and for a safetensors source
    /// the GGUF targets too. A name asked for twice is kept once.
    pub fn parse_list(text: &str, source: Option<Format>) -> Vec<Self> {
        let mut out: Vec<Self> = Vec::new();
        for part in text.split(',').filter(|p| !p.trim().is_empty()) {
            let targets = if part.trim().eq_ignore_ascii_case("all") { Self::all(source) } else { vec![Self::parse(part)] };
            for target in targets {
                if !out.contains(&target) {
                    out.push(target);
                }
            }
        }
        out
    }

    /// Every scheme that a source can be projected to.
    pub fn all(source: Option<Format>) -> Vec<Self> {
        all()
            // From a GGUF there are only GGUF targets, and `auto` is the converter's word.
            .filter(|s| source != Some(Format::Gguf) || (s.container == Format::Gguf && s.name != "auto"))
            .map(|s| Self { container: Some(s.container), name: s.name.to_owned() })
            .collect()
    }

    /// The row of the registry that is meant, given the source's format.
    pub fn resolve(&self, source: Option<Format>) -> Option<&'static Scheme> {
        let named = |s: &&Scheme| s.name == self.name || s.aliases.contains(&self.name.as_str());
        let of = |container: Format| all().filter(named).find(|s| s.container == container);
        match self.container {
            Some(container) => of(container),
            None => source.and_then(of).or_else(|| all().find(named)),
        }
    }
}

/// The projected tensors and files one by one; `None` for an unknown scheme.
pub fn plan<'a>(context: &Context<'_, 'a>, target: &Target) -> Option<PlanResult<'a>> {
    target.resolve(context.input.format).map(|scheme| scheme.rule.plan(context))
}

/// One row of the report.
pub fn row(context: &Context<'_, '_>, target: &Target) -> QuantizedRow {
    let Some(scheme) = target.resolve(context.input.format) else {
        let reason = format!("unknown scheme `{}`", escape(&target.name));
        return QuantizedRow::refused(&target.name, target.container, reason);
    };
    if context.input.tensors.is_empty() {
        return QuantizedRow::refused(scheme.name, Some(scheme.container), "there are no tensors to project".to_owned());
    }
    let mut plan = Some(scheme.rule.plan(context));
    let mut row = None;
    scheme.rule.with_origins(context, &mut |origins| {
        row = plan.take().map(|plan| QuantizedRow::of(context.input, scheme.name, scheme.container, plan, origins));
    });
    row.unwrap_or_else(|| QuantizedRow::refused(scheme.name, Some(scheme.container), "no plan was made".to_owned()))
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
    let scheme = target.resolve(context.input.format);
    let told = scheme.and_then(|scheme| scheme.rule.explain(context, tensor));
    Explained {
        tensor: escape(tensor).to_string(),
        scheme: scheme.map_or_else(|| escape(&target.name).to_string(), |s| s.name.to_owned()),
        rule: told.or_else(|| {
            // Schemes of other containers tell only what becomes of it.
            let plan = plan(context, target)?.ok()?;
            let i = context.input.tensors.iter().position(|t| t.name == tensor).and_then(|i| u32::try_from(i).ok());
            let out = plan.tensors.iter().find(|t| t.name == tensor || (i.is_some() && t.source == i))?;
            let dtype = out.dtype.name().unwrap_or("unknown");
            Some(match out.change {
                Change::Kept => format!("left as stored ({dtype})"),
                Change::Added => format!("added by the scheme ({dtype})"),
                Change::Retyped => format!("stored as {dtype}"),
                Change::Fallback { wanted } => format!("{} does not fit its rows: {dtype}", wanted.name().unwrap_or("the type")),
            })
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_are_unique_per_container_and_lower_case() {
        let mut seen = HashSet::new();
        for scheme in all() {
            for name in scheme.aliases.iter().chain([&scheme.name]) {
                assert!(seen.insert((scheme.container, *name)), "{name} twice");
                assert_eq!(name.to_lowercase(), **name);
            }
        }
    }

    #[test]
    fn aliases_prefixes_and_shared_names_resolve() {
        let name = |text: &str, source| Target::parse(text).resolve(source).map(|s| (s.container, s.name));
        let (st, gguf) = (Some(Format::Safetensors), Some(Format::Gguf));
        assert_eq!(name("INT8", st), Some((Format::Safetensors, "ct-w8a8")));
        assert_eq!(name("fp8", st), Some((Format::Safetensors, "ct-fp8-dynamic")));
        assert_eq!(name("fp16", st), Some((Format::Safetensors, "f16")));
        assert_eq!(name("fp16", gguf), Some((Format::Gguf, "f16")));
        assert_eq!(name("gguf:bf16", st), Some((Format::Gguf, "bf16")));
        assert_eq!(name("safetensors:fp32", gguf), Some((Format::Safetensors, "f32")));
        assert_eq!(name("Q4_K_M", st), Some((Format::Gguf, "q4_k_m")));
        assert_eq!(name("q4_k", gguf), Some((Format::Gguf, "q4_k_m")));
        assert_eq!(name("gguf:int8", st), None);
        assert_eq!(name("q9_x", gguf), None);
    }
}
