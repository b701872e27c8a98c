//! Block FP8 and the Metal scheme of transformers.
//!
//! Source: transformers 5.23 `integrations/finegrained_fp8.py` and `metal`, formulas A and correction 6: a weight whose shape the
//! block does not divide stays, yet its `weight_scale_inv` is written; UE8M0 scales take a byte.

use crate::dtype::Dtype;
use crate::format::Format;
use crate::project::quantize::grammar;
use crate::project::quantize::packing::{Experts, Module, Packed, Packing, piece};
use crate::project::quantize::rule::{Rule, Scheme};
use crate::project::quantize::seen::Tool;

struct Block {
    /// Side of a square; `None`: one scale per tensor.
    side: Option<u64>,
    scale: Dtype,
}

impl Packing for Block {
    fn tool(&self) -> Tool {
        Tool::FineGrainedFp8
    }

    fn unties_head(&self) -> Result<bool, String> {
        Err("transformers writes the scales of a tied head and leaves its weight: no file to load".to_owned())
    }

    fn experts(&self) -> Experts {
        Experts::FusedScales
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
        Tool::Metal
    }

    fn unties_head(&self) -> Result<bool, String> {
        Err("transformers writes the scales of a tied head and leaves its weight: no file to load".to_owned())
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
}

/// `fp8-block64`, `fp8-block128-ue8m0`; `metal-4bit-g64`.
pub(super) fn parse(name: &str) -> Option<Box<dyn Rule>> {
    if let Some(rest) = name.strip_prefix("metal-") {
        let (bits, group) = grammar::bits(rest)?;
        let group = grammar::group(group)??;
        return matches!(bits, 2 | 4 | 8).then(|| -> Box<dyn Rule> { Box::new(Metal { bits, group }) });
    }
    let rest = name.strip_prefix("fp8-block")?;
    let (side, scale) = rest.strip_suffix("-ue8m0").map_or((rest, Dtype::F32), |side| (side, Dtype::F8_E8M0));
    Some(Box::new(Block { side: Some(grammar::count(side)?), scale }))
}

/// Rows of the registry.
pub(super) const SCHEMES: &[Scheme] = schemes! {
    ["transformers 5.23"]
    "fp8-block128" => Block { side: Some(128), scale: Dtype::F32 };
    "fp8-block128-ue8m0" => Block { side: Some(128), scale: Dtype::F8_E8M0 };
    "fp8-block64" => Block { side: Some(64), scale: Dtype::F32 };
    "fp8-tensor" => Block { side: None, scale: Dtype::F32 };
    "metal-4bit-g64" => Metal { bits: 4, group: 64 };
    "metal-8bit-g32" => Metal { bits: 8, group: 32 };
};
