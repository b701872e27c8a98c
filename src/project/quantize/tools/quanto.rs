//! optimum-quanto.
//!
//! Source: optimum-quanto 0.2.7 through transformers 5.23, formulas A and correction 5: 8-bit `weight._data` and `_scale` [O, 1],
//! two scalar activation scales; 4 and 2 bits in groups of 128, lowered by 32 until the row divides, with `_scale` and `_shift`.

use crate::dtype::Dtype;
use crate::format::Format;
use crate::project::quantize::grammar;
use crate::project::quantize::packing::{Module, Packed, Packing, piece};
use crate::project::quantize::rule::{Rule, Scheme};
use crate::project::quantize::seen::Tool;

struct Quanto {
    bits: u64,
    dtype: Dtype,
    /// Weights per scale at fewer than 8 bits, lowered by 32 until they divide the row.
    group: u64,
}

impl Packing for Quanto {
    fn tool(&self) -> Tool {
        Tool::Quanto
    }

    fn takes_heads_of_other_names(&self) -> bool {
        true
    }

    fn unties_head(&self) -> Result<bool, String> {
        Ok(true)
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
}

/// `quanto-qint4-g64`.
pub(super) fn parse(name: &str) -> Option<Box<dyn Rule>> {
    let (kind, group) = name.strip_prefix("quanto-qint")?.split_once('-')?;
    let bits = grammar::count(kind).filter(|bits| matches!(bits, 2 | 4))?;
    let group = grammar::group(group)??;
    (group >= 32 && group.is_multiple_of(32)).then(|| -> Box<dyn Rule> { Box::new(Quanto { bits, dtype: Dtype::U8, group }) })
}

/// Rows of the registry.
pub(super) const SCHEMES: &[Scheme] = schemes! {
    ["optimum-quanto 0.2.7, transformers 5.23"]
    "quanto-qint8" => Quanto { bits: 8, dtype: Dtype::I8, group: 128 };
    "quanto-qfloat8" => Quanto { bits: 8, dtype: Dtype::F8_E4M3, group: 128 };
    "quanto-qint4" => Quanto { bits: 4, dtype: Dtype::U8, group: 128 };
    "quanto-qint2" => Quanto { bits: 2, dtype: Dtype::U8, group: 128 };
};
