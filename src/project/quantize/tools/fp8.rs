//! Block FP8 and the Metal scheme of transformers.
//!
//! Source: transformers 5.23 `integrations/finegrained_fp8.py` and `metal`, formulas A and correction 6: a weight whose shape the
//! block does not divide stays, yet its `weight_scale_inv` is written; UE8M0 scales take a byte.

use crate::dtype::Dtype;
use crate::format::Format;
use crate::project::quantize::grammar;
use crate::project::quantize::packing::{Experts, Module, Packed, Packing, Tool, piece};
use crate::project::quantize::rule::{GroupRefusal, Regrouped, Rule, Schemes};
use crate::project::quantize::seen::ToolId;

const TIED: &str = "transformers writes the scales of a tied head and leaves its weight: no file to load";

const FP8: Tool = Tool { unties_head: Err(TIED), experts: Experts::FusedScales, ..Tool::new(ToolId::FineGrainedFp8) };

const METAL: Tool = Tool { unties_head: Err(TIED), ..Tool::new(ToolId::Metal) };

struct Block {
    /// Side of a square; `None`: one scale per tensor.
    side: Option<u64>,
    scale: Dtype,
}

impl Packing for Block {
    fn tool(&self) -> Tool {
        FP8
    }

    fn pack(&self, m: &Module<'_>) -> Result<Packed, String> {
        let shape = self.side.map_or([1, 1], |n| [m.rows.div_ceil(n), m.columns.div_ceil(n)]);
        let scale = piece(".weight_scale_inv", self.scale, &shape);
        if self.side.is_some_and(|n| !m.rows.is_multiple_of(n) || !m.columns.is_multiple_of(n)) {
            return Ok(Packed::KeptWith(vec![scale]));
        }
        Ok(Packed::As(vec![piece(".weight", Dtype::F8_E4M3, &[m.rows, m.columns]), scale]))
    }
}

/// MLX's affine layout for linears, under transformers' names.
struct Metal {
    bits: u64,
    group: u64,
}

impl Packing for Metal {
    fn tool(&self) -> Tool {
        METAL
    }

    fn pack(&self, m: &Module<'_>) -> Result<Packed, String> {
        if !m.columns.is_multiple_of(self.group) {
            return Err(format!("rows of {} are not divisible by the group size {}", m.columns, self.group));
        }
        let words = m.columns.checked_mul(self.bits).ok_or("too large")?.div_ceil(32);
        let groups = [m.rows, m.columns / self.group];
        Ok(Packed::As(vec![
            piece(".weight", Dtype::U32, &[m.rows, words]),
            piece(".scales", m.dtype, &groups),
            piece(".qbiases", m.dtype, &groups),
        ]))
    }

    fn regrouped(&self, size: u64) -> Result<Regrouped, GroupRefusal> {
        let group = grammar::chosen(size)?;
        Ok(Regrouped::new(format!("metal-{}bit-g{group}", self.bits), Self { group, ..*self }))
    }
}

/// `fp8-tensor`, `fp8-block64`, `fp8-block128-ue8m0`; `metal-4bit-g64`.
fn parse(name: &str) -> Option<Box<dyn Rule>> {
    if let Some(rest) = name.strip_prefix("metal-") {
        let (bits, group) = grammar::bits(rest)?;
        let group = grammar::group(group)??;
        return matches!(bits, 2 | 4 | 8).then(|| -> Box<dyn Rule> { Box::new(Metal { bits, group }) });
    }
    if name == "fp8-tensor" {
        return Some(Box::new(Block { side: None, scale: Dtype::F32 }));
    }
    let rest = name.strip_prefix("fp8-block")?;
    let (side, scale) = rest.strip_suffix("-ue8m0").map_or((rest, Dtype::F32), |side| (side, Dtype::F8_E8M0));
    Some(Box::new(Block { side: Some(grammar::count(side)?), scale }))
}

/// Names that `--to all` and the tests go through, and the grammar that reads them.
pub(super) const SCHEMES: Schemes = Schemes {
    container: Format::Safetensors,
    names: &["fp8-block128", "fp8-block128-ue8m0", "fp8-block64", "fp8-tensor", "metal-4bit-g64", "metal-8bit-g32"],
    aliases: &[],
    parse,
};
