//! MLX: every module with rows that the group divides, the embedding and the output head too.
//!
//! Source: mlx-lm 0.32.2 `convert`, MLX 0.32.4 `nn.quantize`, formulas A: affine `weight` U32 with `scales` and `biases` in the
//! model's dtype; MX and NV modes with U8 `scales` and no `biases`. A row that the group does not divide is left alone in silence.

use std::borrow::Cow;

use crate::dtype::Dtype;
use crate::families::{by_model_type, routers};
use crate::format::Format;
use crate::project::quantize::grammar;
use crate::project::quantize::packing::{Experts, Layout, Module, Packed, Packing, piece};
use crate::project::quantize::rule::{Rule, Scheme};
use crate::project::quantize::seen::Tool;

struct Mlx {
    /// `None`: a copy.
    bits: Option<u64>,
    /// `--quant-predicate mixed_L_H`: more bits for the parts that suffer most.
    high: Option<u64>,
    group: u64,
    affine: bool,
    /// `convert --dtype`: everything else in this type.
    cast: Option<Dtype>,
}

impl Packing for Mlx {
    fn tool(&self) -> Tool {
        Tool::Mlx
    }

    fn takes_conv1d(&self) -> bool {
        true
    }

    fn turns_conv1d(&self) -> bool {
        true
    }

    fn takes_routers(&self) -> bool {
        true
    }

    fn experts(&self) -> Experts {
        Experts::Stacked
    }

    fn leaves_all(&self) -> bool {
        self.bits.is_none()
    }

    fn rename<'n>(&self, family: &str, name: &'n str) -> Cow<'n, str> {
        if !by_model_type(family).is_some_and(|row| row.mlx_blocks_in_model) {
            return Cow::Borrowed(name);
        }
        match name.strip_prefix("transformer.") {
            Some(rest) => Cow::Owned(format!("model.{rest}")),
            None if !name.starts_with("model.") => Cow::Owned(format!("model.{name}")),
            None => Cow::Borrowed(name),
        }
    }

    fn pack(&self, m: &Module<'_>) -> Result<Packed, String> {
        let Some(low) = self.bits.filter(|_| m.columns.is_multiple_of(self.group)) else { return Ok(Packed::Kept) };
        // A recipe takes the place of the class's own choice.
        let router = self.high.is_none() && routers::has_8_bits_in_mlx(m.family) && m.name.ends_with("mlp.gate");
        let (bits, group, affine) = match (router, self.high) {
            (true, _) => (8, 64, true),
            (_, Some(high)) if has_more_bits(m) => (high, self.group, true),
            _ => (low, self.group, self.affine),
        };
        if !m.columns.is_multiple_of(group) {
            return Err(format!("rows of {} are not divisible by the group size {group}", m.columns));
        }
        let words = m.columns.checked_mul(bits).ok_or("too large")?.div_ceil(32);
        let groups = [m.rows, m.columns / group];
        let mut pieces = vec![piece(".weight", Dtype::U32, &[m.rows, words])];
        if affine {
            let dtype = self.kept(m.dtype);
            pieces.push(piece(".scales", dtype, &groups));
            pieces.push(piece(".biases", dtype, &groups));
        } else {
            pieces.push(piece(".scales", Dtype::U8, &groups));
        }
        Ok(Packed::As(pieces))
    }

    fn takes_head(&self) -> bool {
        true
    }

    fn takes_embedding(&self) -> bool {
        true
    }

    fn kept(&self, dtype: Dtype) -> Dtype {
        self.cast.unwrap_or(dtype)
    }

    fn layout(&self) -> Layout {
        Layout::Mlx
    }
}

const fn affine(bits: u64, group: u64) -> Mlx {
    Mlx { bits: Some(bits), high: None, group, affine: true, cast: None }
}

const fn micro(bits: u64, group: u64) -> Mlx {
    Mlx { bits: Some(bits), high: None, group, affine: false, cast: None }
}

const fn mixed(low: u64, high: u64, group: u64) -> Mlx {
    Mlx { bits: Some(low), high: Some(high), group, affine: true, cast: None }
}

/// Whether a recipe gives a module its higher number of bits: the output head, and in the first and last eighth of the blocks and
/// every third between them the value and down projections (mlx-lm `convert.py`, `mixed_quant_predicate_builder`).
fn has_more_bits(m: &Module<'_>) -> bool {
    let layer = m.name.split('.').find_map(|part| part.parse::<u64>().ok()).unwrap_or(0);
    let eighth = m.layers / 8;
    let more = layer < eighth || layer >= 7 * m.layers / 8 || (layer - eighth) % 3 == 2;
    let has = |part: &str| m.name.contains(part);
    has("lm_head") || (more && (has("v_proj") || has("v_a_proj") || has("v_b_proj") || has("down_proj")))
}

/// `mlx-4bit-g64`, `mlx-6bit-g32-f16`, `mlx-mixed-3-6-g64`.
pub(super) fn parse(name: &str) -> Option<Box<dyn Rule>> {
    let rest = name.strip_prefix("mlx-")?;
    let valid = |group: u64| matches!(group, 32 | 64 | 128);
    if let Some(rest) = rest.strip_prefix("mixed-") {
        let (recipe, group) = rest.rsplit_once('-')?;
        let (low, high) = match recipe {
            "2-6" => (2, 6),
            "3-4" => (3, 4),
            "3-6" => (3, 6),
            "4-6" => (4, 6),
            _ => return None,
        };
        let group = grammar::group(group)?.filter(|group| valid(*group))?;
        return Some(Box::new(mixed(low, high, group)));
    }
    let (bits, rest) = grammar::bits(rest)?;
    let (group, cast) = rest.split_once('-').unwrap_or((rest, ""));
    let cast = match cast {
        "" => None,
        "f16" => Some(Dtype::F16),
        "bf16" => Some(Dtype::BF16),
        "f32" => Some(Dtype::F32),
        _ => return None,
    };
    let group = grammar::group(group)?.filter(|group| valid(*group))?;
    matches!(bits, 2..=6 | 8).then(|| -> Box<dyn Rule> { Box::new(Mlx { cast, ..affine(bits, group) }) })
}

/// Rows of the registry.
pub(super) const SCHEMES: &[Scheme] = schemes! {
    ["mlx-lm 0.32.2"]
    "mlx-copy" => Mlx { bits: None, ..affine(0, 64) };
    "mlx-mixed-2-6" => mixed(2, 6, 64);
    "mlx-mixed-3-4" => mixed(3, 4, 64);
    "mlx-mixed-3-6" => mixed(3, 6, 64);
    "mlx-mixed-4-6" => mixed(4, 6, 32);
    "mlx-2bit-g64" => affine(2, 64);
    "mlx-3bit-g64" => affine(3, 64);
    "mlx-4bit-g32" => affine(4, 32);
    "mlx-4bit-g64" => affine(4, 64);
    "mlx-4bit-g128" => affine(4, 128);
    "mlx-4bit-f16" => Mlx { cast: Some(Dtype::F16), ..affine(4, 64) };
    "mlx-5bit-g32" => affine(5, 32);
    "mlx-6bit-g64" => affine(6, 64);
    "mlx-8bit-g32" => affine(8, 32);
    "mlx-8bit-g64" => affine(8, 64);
    "mlx-mxfp4" => micro(4, 32);
    "mlx-nvfp4" => micro(4, 16);
    "mlx-mxfp8" => micro(8, 32);
};
