//! Names of schemes as they are asked for, and the rules that they mean.

use std::borrow::Cow;

use super::context::Context;
use super::grammar;
use super::rule::{Rule, Scheme};
use super::tools::{GRAMMARS, all};
use crate::format::Format;
use crate::project::plan::PlanResult;

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

    /// The scheme that is meant, given the source's format: a row of the registry, or a name whose parameters make a rule.
    pub fn resolve(&self, source: Option<Format>) -> Option<Resolved> {
        let named = |s: &&Scheme| s.name == self.name || s.aliases.contains(&self.name.as_str());
        let of = |container: Format| all().filter(named).find(|s| s.container == container);
        let row = match self.container {
            Some(container) => of(container),
            None => source.and_then(of).or_else(|| all().find(named)),
        };
        row.map(Resolved::of)
            .or_else(|| self.container.is_none_or(|c| c == Format::Safetensors).then(|| made(&self.name)).flatten())
    }
}

/// A rule made of the parameters in a name.
fn made(name: &str) -> Option<Resolved> {
    GRAMMARS.iter().find_map(|(parse, tool)| {
        let rule = Held::Made(parse(name)?);
        Some(Resolved { name: Cow::Owned(name.to_owned()), container: Format::Safetensors, tool, rule })
    })
}

enum Held {
    Row(&'static dyn Rule),
    Made(Box<dyn Rule>),
}

/// A scheme with its rule.
pub struct Resolved {
    /// Canonical name.
    pub name: Cow<'static, str>,
    /// The format it is stored in.
    pub container: Format,
    /// The tool that writes it, with the version the rule was read from.
    pub tool: &'static str,
    rule: Held,
}

impl Resolved {
    fn of(row: &'static Scheme) -> Self {
        Self { name: Cow::Borrowed(row.name), container: row.container, tool: row.tool, rule: Held::Row(row.rule) }
    }

    /// How it turns a checkpoint into another.
    pub fn rule(&self) -> &dyn Rule {
        match &self.rule {
            Held::Row(rule) => *rule,
            Held::Made(rule) => rule.as_ref(),
        }
    }

    /// The projected tensors and files.
    ///
    /// # Errors
    /// As [`Rule::plan`].
    pub fn plan<'a>(&self, context: &Context<'_, 'a>) -> PlanResult<'a> {
        self.rule().plan(context)
    }

    /// The same scheme with another group size. GGUF targets are left as they are: their blocks are their types.
    ///
    /// # Errors
    /// That the scheme has no groups, or not of this size.
    pub fn regrouped(&self, size: u64) -> Result<Self, String> {
        if self.container == Format::Gguf {
            return Target { container: Some(self.container), name: self.name.clone().into_owned() }
                .resolve(Some(self.container))
                .ok_or_else(|| "unknown scheme".to_owned());
        }
        let name =
            grammar::regrouped(&self.name, size).ok_or_else(|| "--group: this scheme has no group size to choose".to_owned())?;
        let target = Target { container: Some(self.container), name };
        target.resolve(Some(self.container)).ok_or_else(|| format!("--group: this tool has no groups of {size}"))
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
    fn rows_with_parameters_are_read_by_their_grammar_too() {
        let read = all().filter(|s| s.container == Format::Safetensors && made(s.name).is_some()).count();
        assert!(read > 60, "{read}");
        for scheme in all().filter(|s| {
            s.container == Format::Safetensors && s.name.split('-').any(|part| grammar::group(part).flatten().is_some())
        }) {
            assert!(made(scheme.name).is_some() || scheme.name.contains("int4wo"), "{}", scheme.name);
        }
        let grouped = Target::parse("gptq").resolve(None).unwrap().regrouped(32).map(|s| s.name.into_owned());
        assert_eq!(grouped.as_deref(), Ok("gptq-4bit-g32"));
        assert!(Target::parse("nf4").resolve(None).unwrap().regrouped(32).is_err());
        assert!(Target::parse("mlx-4bit-g64").resolve(None).unwrap().regrouped(48).is_err());
    }

    #[test]
    fn aliases_prefixes_and_shared_names_resolve() {
        let name = |text: &str, source| Target::parse(text).resolve(source).map(|s| (s.container, s.name.into_owned()));
        let is = |c: Format, name: &str| Some((c, name.to_owned()));
        let (st, gguf) = (Some(Format::Safetensors), Some(Format::Gguf));
        assert_eq!(name("INT8", st), is(Format::Safetensors, "ct-w8a8"));
        assert_eq!(name("fp8", st), is(Format::Safetensors, "ct-fp8-dynamic"));
        assert_eq!(name("fp16", st), is(Format::Safetensors, "f16"));
        assert_eq!(name("fp16", gguf), is(Format::Gguf, "f16"));
        assert_eq!(name("gguf:bf16", st), is(Format::Gguf, "bf16"));
        assert_eq!(name("safetensors:fp32", gguf), is(Format::Safetensors, "f32"));
        assert_eq!(name("Q4_K_M", st), is(Format::Gguf, "q4_k_m"));
        assert_eq!(name("q4_k", gguf), is(Format::Gguf, "q4_k_m"));
        assert_eq!(name("gguf:int8", st), None);
        assert_eq!(name("q9_x", gguf), None);
        assert_eq!(name("gptq-3bit-g64", gguf), is(Format::Safetensors, "gptq-3bit-g64"));
        assert_eq!(name("gptq-7bit-g64", st), None);
        assert_eq!(name("gguf:gptq-3bit-g64", st), None);
    }
}
