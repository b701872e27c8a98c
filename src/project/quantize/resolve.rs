//! Names of schemes as they are asked for, and the rules that they mean.

use std::borrow::Cow;

use super::context::Context;
use super::rule::{GroupRefusal, Regrouped, Rule, Schemes};
use super::tools::{SCHEMES, all};
use crate::format::Format;
use crate::project::plan::PlanResult;

/// The name of a scheme as the user wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Format chosen by a prefix such as `gguf:`.
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

    /// The scheme that is meant, given the source's format: a listed one, or one whose name is made of the same parts.
    pub fn resolve(&self, source: Option<Format>) -> Option<Resolved> {
        let listed = |container: Option<Format>| {
            let tools = SCHEMES.iter().filter(|tool| container.is_none_or(|container| container == tool.container));
            tools.filter_map(|tool| Resolved::listed(tool, &self.name)).next()
        };
        let listed = match self.container {
            Some(container) => listed(Some(container)),
            None => source.and_then(|source| listed(Some(source))).or_else(|| listed(None)),
        };
        // GGUF targets are all listed.
        let made = || {
            let tools = SCHEMES.iter().filter(|tool| tool.container == Format::Safetensors);
            tools.filter_map(|tool| Resolved::of(tool, Cow::Owned(self.name.clone()))).next()
        };
        listed.or_else(|| self.container.is_none_or(|container| container == Format::Safetensors).then(made).flatten())
    }
}

/// A scheme that was found, ready to plan.
pub struct Resolved {
    /// Name as its tool spells it.
    pub name: Cow<'static, str>,
    /// The format it is stored in.
    pub container: Format,
    rule: Box<dyn Rule>,
}

impl Resolved {
    /// Finds a name or alias among those that a tool lists.
    fn listed(tool: &Schemes, name: &str) -> Option<Self> {
        let name = tool.aliases.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, name)| name);
        let name = tool.names.iter().find(|listed| **listed == name)?;
        Self::of(tool, Cow::Borrowed(name))
    }

    fn of(tool: &Schemes, name: Cow<'static, str>) -> Option<Self> {
        let rule = (tool.parse)(&name)?;
        Some(Self { name, container: tool.container, rule })
    }

    /// Returns the rule that plans the tensors and files.
    pub fn rule(&self) -> &dyn Rule {
        self.rule.as_ref()
    }

    /// Plans the projected tensors and files.
    ///
    /// # Errors
    /// As [`Rule::plan`].
    pub fn plan<'a>(&self, context: &Context<'_, 'a>) -> PlanResult<'a> {
        self.rule.plan(context)
    }

    /// The same scheme with another group size; `None` for GGUF targets, whose blocks are their types: they stay as they are.
    ///
    /// # Errors
    /// That the scheme has no groups, or not of this size.
    pub fn regrouped(&self, size: u64) -> Result<Option<Self>, String> {
        if self.container == Format::Gguf {
            return Ok(None);
        }
        match self.rule.regrouped(size) {
            Ok(Regrouped { name, rule }) => Ok(Some(Self { name: Cow::Owned(name), container: self.container, rule })),
            Err(GroupRefusal::NoGroups) => Err("--group: this scheme has no group size to choose".to_owned()),
            Err(GroupRefusal::Size) => Err(format!("--group: this tool has no groups of {size}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_are_unique_per_container_and_lower_case() {
        let mut seen = HashSet::new();
        for tool in SCHEMES {
            for name in tool.names.iter().chain(tool.aliases.iter().map(|(alias, _)| alias)) {
                assert!(seen.insert((tool.container, *name)), "{name} twice");
                assert_eq!(name.to_lowercase(), **name);
            }
        }
    }

    #[test]
    fn every_listed_name_is_read_by_its_tool_alone() {
        for tool in SCHEMES {
            for name in tool.names {
                assert!((tool.parse)(name).is_some(), "{name}");
                let others = SCHEMES.iter().filter(|other| other.container == tool.container && (other.parse)(name).is_some());
                assert_eq!(others.count(), 1, "{name}");
            }
            assert!(tool.aliases.iter().all(|(_, name)| tool.names.contains(name)));
        }
    }

    #[test]
    fn a_group_is_chosen_in_the_parsed_scheme() {
        let grouped = |name: &str, size| match Target::parse(name).resolve(None).unwrap().regrouped(size) {
            Ok(scheme) => {
                let scheme = scheme.unwrap();
                // Its name is read as the same scheme again.
                let again = Target::parse(&scheme.name).resolve(None).unwrap().regrouped(size).ok().flatten().unwrap();
                assert_eq!(again.name, scheme.name);
                scheme.name.into_owned()
            }
            Err(reason) => reason.rsplit(' ').next().unwrap().to_owned(),
        };
        let cases = [
            ("gptq-4bit-g128", "gptq-4bit-g32"),
            ("gptq", "gptq-4bit-g32"),
            ("gptq-4bit-channel", "gptq-4bit-g32"),
            ("gptq-v2-4bit-g64", "gptq-v2-4bit-g32"),
            ("gptq-4bit-g64-asym", "gptq-4bit-g32-asym"),
            ("awq-4bit-g64-modules", "awq-4bit-g32-modules"),
            ("ct-w4a16", "ct-w4a16-g32-sym"),
            ("ct-w4a16-g64", "ct-w4a16-g32"),
            ("lc-w4a16-asym", "lc-w4a16-g32-asym"),
            ("mlx-4bit-f16", "mlx-4bit-g32-f16"),
            ("mlx-mixed-3-6", "mlx-mixed-3-6-g32"),
            ("hqq-4bit-g64-axis1", "hqq-4bit-g32-axis1"),
            ("torchao-int8wo", "torchao-int8wo-g32"),
            ("torchao-int8dyn-int4-channel", "torchao-int8dyn-int4-g32"),
            ("quanto-qint4", "quanto-qint4-g32"),
            ("metal-4bit-g64", "metal-4bit-g32"),
            ("bnb-nf4", "choose"),
            ("ct-fp8-dynamic", "choose"),
            ("ct-w8a16-tensor", "choose"),
            ("mlx-copy", "choose"),
            ("torchao-int4wo-g128", "32"),
        ];
        for (name, expected) in cases {
            assert_eq!(grouped(name, 32), expected, "{name}");
        }
        assert_eq!(grouped("mlx-4bit-g64", 48), "48");
        assert_eq!(grouped("quanto-qint4", 48), "48");
        assert_eq!(grouped("gptq", 0), "0");
        assert!(Target::parse("q4_k_m").resolve(None).unwrap().regrouped(32).unwrap().is_none());
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
