//! HQQ.
//!
//! Source: hqq 0.2.8.post1, formulas A and correction 7: groups run over the flattened weight; codes are packed along the first
//! dimension of [groups, group] (axis 1) or [group, groups] (axis 0); scale and zero have the compute dtype; sixteen small tensors
//! of settings per module.

use std::borrow::Cow;

use crate::dtype::Dtype;
use crate::format::Format;
use crate::project::expert_names;
use crate::project::quantize::grammar;
use crate::project::quantize::packing::{Experts, Layout, Module, Packed, Packing, Tool, piece};
use crate::project::quantize::rule::{GroupRefusal, Regrouped, Rule, Schemes};
use crate::project::quantize::seen::ToolId;

const TOOL: Tool = Tool { layout: Layout::Hqq, experts: Experts::Fused, ..Tool::new(ToolId::Hqq) };

struct Hqq {
    bits: u64,
    /// `None`: a group per row.
    group: Option<u64>,
    axis: u64,
}

impl Packing for Hqq {
    fn tool(&self) -> Tool {
        TOOL
    }

    fn rename<'n>(&self, family: &str, name: &'n str) -> Cow<'n, str> {
        expert_names::held(family, name)
    }

    fn pack(&self, m: &Module<'_>) -> Result<Packed, String> {
        let n = m.weights().ok_or("too large")?;
        let group = self.group.unwrap_or(m.columns);
        if group == 0 || n % group != 0 {
            return Err(format!("{n} weights are not divisible by the group size {group}"));
        }
        let groups = n / group;
        // Codes to a word: two to a byte at 4 bits, ten to an int32 at 3, the last word padded.
        let (word, codes) = match self.bits {
            // 5 and 6 bits take a byte too.
            5 | 6 | 8 => (Dtype::U8, 1),
            4 => (Dtype::U8, 2),
            3 => (Dtype::I32, 10),
            2 => (Dtype::U8, 4),
            _ => (Dtype::U8, 8),
        };
        let (packed, scale) = match self.axis {
            0 => ([group.div_ceil(codes), groups], [1, groups]),
            _ => ([groups.div_ceil(codes), group], [groups, 1]),
        };
        let text = match m.dtype {
            Dtype::BF16 => "torch.bfloat16",
            Dtype::F16 => "torch.float16",
            _ => "torch.float32",
        };
        let mut pieces = vec![
            piece(".W_q", word, &packed),
            piece(".scale", m.dtype, &scale),
            piece(".zero", m.dtype, &scale),
            piece(".shape", Dtype::I64, &[2]),
            piece(".compute_dtype", Dtype::U8, &[text.len() as u64]),
            // `4bit_u8` and `3bit_32` are of one length.
            piece(".packing", Dtype::U8, &["4bit_u8".len() as u64]),
            piece(".unpack_view_dtype", Dtype::U8, &["torch.uint8".len() as u64]),
        ];
        pieces.extend([".axis", ".nbits"].map(|name| piece(name, Dtype::I32, &[])));
        pieces.push(piece(".group_size", Dtype::I32, &[]));
        let flags = [
            ".channel_wise",
            ".encoded_state_dict",
            ".offload_meta",
            ".optimize",
            ".quant_scale",
            ".quant_zero",
            ".round_zero",
            ".stores_quant_config",
            ".view_as_float",
        ];
        pieces.extend(flags.map(|name| piece(name, Dtype::U8, &[])));
        Ok(Packed::As(pieces))
    }

    fn regrouped(&self, size: u64) -> Result<Regrouped, GroupRefusal> {
        let group = grammar::chosen(size)?;
        let name = format!("hqq-{}bit-g{group}-axis{}", self.bits, self.axis);
        Ok(Regrouped::new(name, Self { group: Some(group), ..*self }))
    }
}

/// `hqq-4bit-g64-axis1`, `hqq-3bit-channel-axis0`.
fn parse(name: &str) -> Option<Box<dyn Rule>> {
    let (bits, rest) = grammar::bits(name.strip_prefix("hqq-")?)?;
    let (group, axis) = rest.split_once("-axis")?;
    let axis = axis.parse::<u64>().ok().filter(|axis| *axis < 2)?;
    let group = grammar::group(group)?;
    (matches!(bits, 1..=6 | 8)).then(|| -> Box<dyn Rule> { Box::new(Hqq { bits, group, axis }) })
}

/// Names that `--to all` and the tests go through, and the grammar that reads them.
pub(super) const SCHEMES: Schemes = Schemes {
    container: Format::Safetensors,
    names: &[
        "hqq-1bit-g64-axis0",
        "hqq-1bit-g64-axis1",
        "hqq-2bit-g32-axis1",
        "hqq-2bit-g64-axis0",
        "hqq-2bit-g64-axis1",
        "hqq-2bit-g128-axis1",
        "hqq-3bit-g64-axis0",
        "hqq-3bit-g64-axis1",
        "hqq-4bit-g32-axis1",
        "hqq-4bit-g64-axis0",
        "hqq-4bit-g64-axis1",
        "hqq-4bit-g128-axis1",
        "hqq-4bit-channel-axis1",
        "hqq-8bit-g64-axis0",
        "hqq-8bit-g64-axis1",
    ],
    aliases: &[],
    parse,
};
