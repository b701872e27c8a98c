//! GPTQ and AWQ as GPTQModel writes them.
//!
//! Source: GPTQModel 7.7.0, formulas A and corrections 5 and 9: GPTQ takes a last group that is short, AWQ refuses; GPTQ's scales
//! are F16, AWQ's BF16; an output head, where asked for, gets 8 bits in groups of 32. On a CPU what is not quantized is written as
//! BF16, biases of modules that GPTQ quantized as F16. Experts are modules under the names that transformers gives them.

use std::borrow::Cow;

use crate::dtype::Dtype;
use crate::format::Format;
use crate::project::expert_names;
use crate::project::quantize::grammar;
use crate::project::quantize::packing::{Experts, Layout, Module, Packed, Packing, Tool, piece};
use crate::project::quantize::rule::{GroupRefusal, Regrouped, Rule, Schemes};
use crate::project::quantize::seen::ToolId;

const GPTQ: Tool = Tool {
    layout: Layout::GptqModel,
    unties_head: Err("GPTQModel does not quantize an lm_head that is tied to the embedding"),
    takes_conv1d: true,
    experts: Experts::Modules,
    kept: Some(Dtype::BF16),
    bias: Some(Dtype::F16),
    ..Tool::new(ToolId::GptqModel)
};

/// AutoAWQ unties a head: a tied Gemma grew by it (huggingface/transformers issue 31474).
const AWQ: Tool = Tool { unties_head: Ok(true), bias: None, ..GPTQ };

/// What a name may ask for behind the group; only the head changes sizes.
const OPTIONS: &[&str] = &["", "-actorder", "-asym", LM_HEAD];
const LM_HEAD: &str = "-lmhead";

struct Gptq {
    /// `v2-` or nothing: the version of the format, which changes values only.
    version: &'static str,
    bits: u64,
    /// `None`: one group per row.
    group: Option<u64>,
    /// One of [`OPTIONS`].
    option: &'static str,
}

impl Gptq {
    fn pieces(m: &Module, bits: u64, group: Option<u64>) -> Result<Packed, String> {
        let groups = group.map_or(1, |g| m.columns.div_ceil(g));
        let words = |n: u64| n.checked_mul(bits).map(|b| b.div_ceil(32)).ok_or("too large");
        Ok(Packed::As(vec![
            piece(".qweight", Dtype::I32, &[words(m.columns)?, m.rows]),
            piece(".qzeros", Dtype::I32, &[groups, words(m.rows)?]),
            piece(".scales", Dtype::F16, &[groups, m.rows]),
            piece(".g_idx", Dtype::I32, &[m.columns]),
        ]))
    }
}

impl Packing for Gptq {
    fn tool(&self) -> Tool {
        Tool { takes_head: self.option == LM_HEAD, ..GPTQ }
    }

    fn rename<'n>(&self, family: &str, name: &'n str) -> Cow<'n, str> {
        expert_names::held(family, name)
    }

    fn pack(&self, m: &Module<'_>) -> Result<Packed, String> {
        Self::pieces(m, self.bits, self.group)
    }

    fn pack_head(&self, m: &Module<'_>) -> Result<Packed, String> {
        Self::pieces(m, 8, Some(32))
    }

    fn regrouped(&self, size: u64) -> Result<Regrouped, GroupRefusal> {
        let group = grammar::chosen(size)?;
        let name = format!("gptq-{}{}bit-g{group}{}", self.version, self.bits, self.option);
        Ok(Regrouped::new(name, Self { group: Some(group), ..*self }))
    }
}

struct Awq {
    group: u64,
    /// By the quantizer, whose search for clips takes rows in multiples of 64; else by the modules alone.
    searched: bool,
}

impl Packing for Awq {
    fn tool(&self) -> Tool {
        Tool { layout: if self.searched { Layout::GptqModel } else { Layout::Transformers }, ..AWQ }
    }

    fn rename<'n>(&self, family: &str, name: &'n str) -> Cow<'n, str> {
        expert_names::held(family, name)
    }

    fn pack(&self, m: &Module<'_>) -> Result<Packed, String> {
        if !m.columns.is_multiple_of(self.group) {
            return Err(format!("rows of {} are not divisible by the group size {}", m.columns, self.group));
        }
        if self.searched && !m.rows.is_multiple_of(64) {
            return Err(format!("the clip search takes output rows in multiples of 64, not {}", m.rows));
        }
        let groups = m.columns / self.group;
        Ok(Packed::As(vec![
            piece(".qweight", Dtype::I32, &[m.columns, m.rows / 8]),
            piece(".qzeros", Dtype::I32, &[groups, m.rows / 8]),
            // The quantizer loads every model in BF16; modules made alone have F16.
            piece(".scales", if self.searched { Dtype::BF16 } else { Dtype::F16 }, &[groups, m.rows]),
        ]))
    }

    fn regrouped(&self, size: u64) -> Result<Regrouped, GroupRefusal> {
        let group = grammar::chosen(size)?;
        let name = format!("awq-4bit-g{group}{}", if self.searched { "" } else { "-modules" });
        Ok(Regrouped::new(name, Self { group, ..*self }))
    }
}

/// `gptq-4bit-g128`, `gptq-v2-3bit-channel`, `gptq-8bit-g32-lmhead`; `awq-4bit-g64`, `awq-4bit-g32-modules`.
fn parse(name: &str) -> Option<Box<dyn Rule>> {
    if let Some(rest) = name.strip_prefix("awq-4bit-") {
        let (group, modules) = rest.strip_suffix("-modules").map_or((rest, false), |rest| (rest, true));
        return Some(Box::new(Awq { group: grammar::group(group)??, searched: !modules }));
    }
    let rest = name.strip_prefix("gptq-")?;
    let (version, rest) = rest.strip_prefix("v2-").map_or(("", rest), |rest| ("v2-", rest));
    let (bits, rest) = grammar::bits(rest)?;
    let (group, option) = rest.split_at(rest.find('-').unwrap_or(rest.len()));
    let option = OPTIONS.iter().copied().find(|known| *known == option)?;
    let group = grammar::group(group)?;
    matches!(bits, 2 | 3 | 4 | 8).then(|| -> Box<dyn Rule> { Box::new(Gptq { version, bits, group, option }) })
}

/// Names that `--to all` and the tests go through, and the grammar that reads them.
pub(super) const SCHEMES: Schemes = Schemes {
    container: Format::Safetensors,
    names: &[
        "gptq-2bit-g32",
        "gptq-3bit-g32",
        "gptq-4bit-g32",
        "gptq-4bit-g64",
        "gptq-4bit-g128",
        "gptq-4bit-channel",
        "gptq-4bit-g32-actorder",
        "gptq-4bit-g32-asym",
        "gptq-4bit-g32-lmhead",
        "gptq-v2-4bit-g32",
        "gptq-8bit-g32",
        "gptq-8bit-g128",
        "awq-4bit-g32-modules",
        "awq-4bit-g32",
        "awq-4bit-g64",
        "awq-4bit-g128",
    ],
    aliases: &[("gptq", "gptq-4bit-g128"), ("awq", "awq-4bit-g128")],
    parse,
};
