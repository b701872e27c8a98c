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
use crate::project::quantize::packing::{Experts, Layout, Module, Packed, Packing, piece};
use crate::project::quantize::rule::{Rule, Scheme};
use crate::project::quantize::seen::Tool;

struct Gptq {
    bits: u64,
    /// `None`: one group per row.
    group: Option<u64>,
    head: bool,
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
        Tool::GptqModel
    }

    fn takes_conv1d(&self) -> bool {
        true
    }

    fn experts(&self) -> Experts {
        Experts::Modules
    }

    fn rename<'n>(&self, family: &str, name: &'n str) -> Cow<'n, str> {
        expert_names::held(family, name)
    }

    fn pack(&self, m: &Module<'_>) -> Result<Packed, String> {
        Self::pieces(m, self.bits, self.group)
    }

    fn takes_head(&self) -> bool {
        self.head
    }

    fn unties_head(&self) -> Result<bool, String> {
        Err("GPTQModel does not quantize an lm_head that is tied to the embedding".to_owned())
    }

    fn pack_head(&self, m: &Module<'_>) -> Result<Packed, String> {
        Self::pieces(m, 8, Some(32))
    }

    fn kept(&self, _: Dtype) -> Dtype {
        Dtype::BF16
    }

    fn bias(&self, _: Dtype) -> Dtype {
        Dtype::F16
    }

    fn layout(&self) -> Layout {
        Layout::GptqModel
    }
}

struct Awq {
    group: u64,
    /// By the quantizer, whose search for clips takes rows in multiples of 64; else by the modules alone.
    searched: bool,
}

impl Packing for Awq {
    fn tool(&self) -> Tool {
        Tool::GptqModel
    }

    fn takes_conv1d(&self) -> bool {
        true
    }

    fn experts(&self) -> Experts {
        Experts::Modules
    }

    fn rename<'n>(&self, family: &str, name: &'n str) -> Cow<'n, str> {
        expert_names::held(family, name)
    }

    /// AutoAWQ does: a tied Gemma grew by it (huggingface/transformers issue 31474).
    fn unties_head(&self) -> Result<bool, String> {
        Ok(true)
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

    fn kept(&self, _: Dtype) -> Dtype {
        Dtype::BF16
    }

    fn layout(&self) -> Layout {
        if self.searched { Layout::GptqModel } else { Layout::Transformers }
    }
}

const fn gptq(bits: u64, group: u64) -> Gptq {
    Gptq { bits, group: Some(group), head: false }
}

const fn awq(group: u64) -> Awq {
    Awq { group, searched: true }
}

/// `gptq-4bit-g128`, `gptq-v2-3bit-channel`, `gptq-8bit-g32-lmhead`; `awq-4bit-g64`.
pub(super) fn parse(name: &str) -> Option<Box<dyn Rule>> {
    if let Some(rest) = name.strip_prefix("awq-4bit-") {
        let (group, modules) = rest.strip_suffix("-modules").map_or((rest, false), |rest| (rest, true));
        return Some(Box::new(Awq { group: grammar::group(group)??, searched: !modules }));
    }
    let rest = name.strip_prefix("gptq-")?;
    let rest = rest.strip_prefix("v2-").unwrap_or(rest);
    let (bits, rest) = grammar::bits(rest)?;
    let (group, option) = rest.split_once('-').unwrap_or((rest, ""));
    let known = matches!(option, "" | "actorder" | "asym" | "lmhead") && matches!(bits, 2 | 3 | 4 | 8);
    known.then(|| grammar::group(group))?.map(|group| -> Box<dyn Rule> { Box::new(Gptq { bits, group, head: option == "lmhead" }) })
}

/// Rows of the registry.
pub(super) const SCHEMES: &[Scheme] = schemes! {
    ["GPTQModel 7.7.0"]
    "gptq-2bit-g32" => gptq(2, 32);
    "gptq-3bit-g32" => gptq(3, 32);
    "gptq-4bit-g32" => gptq(4, 32);
    "gptq-4bit-g64" => gptq(4, 64);
    "gptq-4bit-g128" or "gptq" => gptq(4, 128);
    "gptq-4bit-channel" => Gptq { bits: 4, group: None, head: false };
    "gptq-4bit-g32-actorder" => gptq(4, 32);
    "gptq-4bit-g32-asym" => gptq(4, 32);
    "gptq-4bit-g32-lmhead" => Gptq { bits: 4, group: Some(32), head: true };
    "gptq-v2-4bit-g32" => gptq(4, 32);
    "gptq-8bit-g32" => gptq(8, 32);
    "gptq-8bit-g128" => gptq(8, 128);
    "awq-4bit-g32-modules" => Awq { group: 32, searched: false };
    "awq-4bit-g32" => awq(32);
    "awq-4bit-g64" => awq(64);
    "awq-4bit-g128" or "awq" => awq(128);
};
