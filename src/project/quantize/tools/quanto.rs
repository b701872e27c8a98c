//! optimum-quanto.
//!
//! Source: optimum-quanto 0.2.7 through transformers 5.23, formulas A and correction 5: 8-bit `weight._data` and `_scale` [O, 1],
//! two scalar activation scales; 4 and 2 bits in groups of 128, lowered by 32 until the row divides, with `_scale` and `_shift`.

use crate::dtype::Dtype;
use crate::format::Format;
use crate::project::quantize::grammar;
use crate::project::quantize::packing::{Module, Packed, Packing, Tool, piece};
use crate::project::quantize::rule::{GroupRefusal, Regrouped, Rule, Schemes};
use crate::project::quantize::seen::ToolId;

const TOOL: Tool = Tool { unties_head: Ok(true), takes_heads_of_other_names: true, ..Tool::new(ToolId::Quanto) };

struct Quanto {
    bits: u64,
    dtype: Dtype,
    /// Weights per scale at fewer than 8 bits, lowered by 32 until they divide the row.
    group: u64,
}

impl Packing for Quanto {
    fn tool(&self) -> Tool {
        TOOL
    }

    fn pack(&self, m: &Module<'_>) -> Result<Packed, String> {
        let mut pieces = if self.bits == 8 {
            vec![piece(".weight._data", self.dtype, &[m.rows, m.columns]), piece(".weight._scale", m.dtype, &[m.rows, 1])]
        } else {
            let group = (1..=self.group / 32).rev().map(|n| n * 32).find(|g| m.columns.is_multiple_of(*g));
            let group = group.ok_or_else(|| format!("rows of {} are not divisible by 32", m.columns))?;
            let n = m.weights().ok_or("too large")?;
            let groups = n / group;
            let packed = groups.checked_mul(self.bits).ok_or("too large")?.div_ceil(8);
            vec![
                piece(".weight._data._data", self.dtype, &[packed, group]),
                piece(".weight._scale", m.dtype, &[groups, 1]),
                piece(".weight._shift", m.dtype, &[groups, 1]),
            ]
        };
        pieces.push(piece(".input_scale", m.dtype, &[]));
        pieces.push(piece(".output_scale", m.dtype, &[]));
        Ok(Packed::As(pieces))
    }

    fn regrouped(&self, size: u64) -> Result<Regrouped, GroupRefusal> {
        if self.bits == 8 {
            return Err(GroupRefusal::NoGroups);
        }
        let group = grammar::chosen(size)?;
        if !group.is_multiple_of(32) {
            return Err(GroupRefusal::Size);
        }
        Ok(Regrouped::new(format!("quanto-qint{}-g{group}", self.bits), Self { group, ..*self }))
    }
}

/// `quanto-qint8`, `quanto-qint4-g64`.
fn parse(name: &str) -> Option<Box<dyn Rule>> {
    let quanto = |bits, dtype, group| -> Box<dyn Rule> { Box::new(Quanto { bits, dtype, group }) };
    Some(match name.strip_prefix("quanto-")? {
        "qint8" => quanto(8, Dtype::I8, 128),
        "qfloat8" => quanto(8, Dtype::F8_E4M3, 128),
        "qint4" => quanto(4, Dtype::U8, 128),
        "qint2" => quanto(2, Dtype::U8, 128),
        rest => {
            let (bits, group) = rest.strip_prefix("qint")?.split_once('-')?;
            let bits = grammar::count(bits).filter(|bits| matches!(bits, 2 | 4))?;
            let group = grammar::group(group)?.filter(|group| group.is_multiple_of(32))?;
            quanto(bits, Dtype::U8, group)
        }
    })
}

/// Names that `--to all` and the tests go through, and the grammar that reads them.
pub(super) const SCHEMES: Schemes = Schemes {
    container: Format::Safetensors,
    names: &["quanto-qint8", "quanto-qfloat8", "quanto-qint4", "quanto-qint2"],
    aliases: &[],
    parse,
};
