//! GPTQ and AWQ as GPTQModel writes them.
//!
//! Source: GPTQModel 7.7.0, formulas A and corrections 5 and 9: GPTQ takes a last group that is short, AWQ refuses; GPTQ's scales
//! are F16, AWQ's of the base's type; an output head, where asked for, gets 8 bits. On a CPU what is not
//! quantized is written as BF16, biases of quantized modules as F16.

use super::Scheme;
use super::module::{Layout, Module, Packed, Packing, piece};
use crate::dtype::Dtype;
use crate::format::Format;

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
    fn takes_conv1d(&self) -> bool {
        true
    }

    fn takes_experts(&self) -> bool {
        true
    }

    fn pack(&self, m: &Module) -> Result<Packed, String> {
        Self::pieces(m, self.bits, self.group)
    }

    fn takes_head(&self) -> bool {
        self.head
    }

    fn pack_head(&self, m: &Module) -> Result<Packed, String> {
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
}

impl Packing for Awq {
    fn takes_conv1d(&self) -> bool {
        true
    }

    fn takes_experts(&self) -> bool {
        true
    }

    fn pack(&self, m: &Module) -> Result<Packed, String> {
        if !m.columns.is_multiple_of(self.group) {
            return Err(format!("rows of {} are not divisible by the group size {}", m.columns, self.group));
        }
        if !m.rows.is_multiple_of(64) {
            return Err(format!("the clip search takes output rows in multiples of 64, not {}", m.rows));
        }
        let groups = m.columns / self.group;
        Ok(Packed::As(vec![
            piece(".qweight", Dtype::I32, &[m.columns, m.rows / 8]),
            piece(".qzeros", Dtype::I32, &[groups, m.rows / 8]),
            piece(".scales", if m.dtype == Dtype::BF16 { Dtype::BF16 } else { Dtype::F16 }, &[groups, m.rows]),
        ]))
    }

    fn kept(&self, _: Dtype) -> Dtype {
        Dtype::BF16
    }

    fn layout(&self) -> Layout {
        Layout::GptqModel
    }
}

const fn gptq(bits: u64, group: u64) -> Gptq {
    Gptq { bits, group: Some(group), head: false }
}

macro_rules! schemes {
    ($($name:literal [$($alias:literal),*] $rule:expr;)*) => {
        &[$(Scheme {
            name: $name,
            aliases: &[$($alias),*],
            container: Format::Safetensors,
            tool: "GPTQModel 7.7.0",
            rule: &$rule,
        }),*]
    };
}

/// Rows of the registry.
pub(super) const SCHEMES: &[Scheme] = schemes! {
    "gptq-2bit-g32" [] gptq(2, 32);
    "gptq-3bit-g32" [] gptq(3, 32);
    "gptq-4bit-g32" [] gptq(4, 32);
    "gptq-4bit-g64" [] gptq(4, 64);
    "gptq-4bit-g128" ["gptq"] gptq(4, 128);
    "gptq-4bit-channel" [] Gptq { bits: 4, group: None, head: false };
    "gptq-4bit-g32-actorder" [] gptq(4, 32);
    "gptq-4bit-g32-asym" [] gptq(4, 32);
    "gptq-4bit-g32-lmhead" [] Gptq { bits: 4, group: Some(32), head: true };
    "gptq-v2-4bit-g32" [] gptq(4, 32);
    "gptq-8bit-g32" [] gptq(8, 32);
    "gptq-8bit-g128" [] gptq(8, 128);
    "awq-4bit-g32" [] Awq { group: 32 };
    "awq-4bit-g64" [] Awq { group: 64 };
    "awq-4bit-g128" ["awq"] Awq { group: 128 };
};
