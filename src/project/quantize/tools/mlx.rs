//! MLX: every module with rows that the group divides, the embedding and the output head too.
//!
//! Source: mlx-lm 0.32.2 `convert`, MLX 0.32.4 `nn.quantize`, formulas A: affine `weight` U32 with `scales` and `biases` in the
//! model's dtype; MX and NV modes with U8 `scales` and no `biases`. A row that the group does not divide is left alone without a word.

use std::borrow::Cow;

use crate::dtype::Dtype;
use crate::families::{by_model_type, routers};
use crate::format::Format;
use crate::project::quantize::grammar;
use crate::project::quantize::packing::{Experts, Layout, Module, Packed, Packing, Tool, piece};
use crate::project::quantize::rule::{GroupRefusal, Regrouped, Rule, Schemes};
use crate::project::quantize::seen::ToolId;

const TOOL: Tool = Tool {
    layout: Layout::Mlx,
    takes_head: true,
    takes_embedding: true,
    takes_conv1d: true,
    turns_conv1d: true,
    takes_routers: true,
    experts: Experts::Stacked,
    ..Tool::new(ToolId::Mlx)
};

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
        Tool { leaves_all: self.bits.is_none(), kept: self.cast, ..TOOL }
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
            let dtype = self.cast.unwrap_or(m.dtype);
            pieces.push(piece(".scales", dtype, &groups));
            pieces.push(piece(".biases", dtype, &groups));
        } else {
            pieces.push(piece(".scales", Dtype::U8, &groups));
        }
        Ok(Packed::As(pieces))
    }

    fn regrouped(&self, size: u64) -> Result<Regrouped, GroupRefusal> {
        let low = self.bits.filter(|_| self.affine).ok_or(GroupRefusal::NoGroups)?;
        if !GROUPS.contains(&size) {
            return Err(GroupRefusal::Size);
        }
        let name = match self.high {
            Some(high) => format!("mlx-mixed-{low}-{high}-g{size}"),
            None => {
                let cast = CASTS.iter().find(|(_, dtype)| *dtype == self.cast).map_or("", |(word, _)| word);
                format!("mlx-{low}bit-g{size}{cast}")
            }
        };
        Ok(Regrouped::new(name, Self { group: size, ..*self }))
    }
}

const fn affine(bits: u64, group: u64) -> Mlx {
    Mlx { bits: Some(bits), high: None, group, affine: true, cast: None }
}

const fn micro(bits: u64, group: u64) -> Mlx {
    Mlx { bits: Some(bits), high: None, group, affine: false, cast: None }
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

/// The sizes of groups that MLX has kernels for.
const GROUPS: [u64; 3] = [32, 64, 128];

/// The end of a name that asks for a cast.
const CASTS: [(&str, Option<Dtype>); 4] =
    [("", None), ("-f16", Some(Dtype::F16)), ("-bf16", Some(Dtype::BF16)), ("-f32", Some(Dtype::F32))];

/// The recipes, and the size of their groups where none is said.
const RECIPES: [(&str, u64, u64, u64); 4] = [("2-6", 2, 6, 64), ("3-4", 3, 4, 64), ("3-6", 3, 6, 64), ("4-6", 4, 6, 32)];

/// `mlx-4bit-g64`, `mlx-6bit-g32-f16`, `mlx-mixed-3-6`, `mlx-mixed-3-6-g64`, `mlx-mxfp4`, `mlx-copy`.
fn parse(name: &str) -> Option<Box<dyn Rule>> {
    let rest = name.strip_prefix("mlx-")?;
    let known = |group: &str| grammar::group(group).flatten().filter(|group| GROUPS.contains(group));
    Some(Box::new(match rest {
        "copy" => Mlx { bits: None, ..affine(0, 64) },
        "4bit-f16" => Mlx { cast: Some(Dtype::F16), ..affine(4, 64) },
        "mxfp4" => micro(4, 32),
        "nvfp4" => micro(4, 16),
        "mxfp8" => micro(8, 32),
        _ => {
            if let Some(rest) = rest.strip_prefix("mixed-") {
                let (_, low, high, default) = RECIPES.into_iter().find(|(word, ..)| rest.starts_with(word))?;
                let group = match &rest[3..] {
                    "" => default,
                    group => known(group.strip_prefix('-')?)?,
                };
                return Some(Box::new(Mlx { high: Some(high), ..affine(low, group) }));
            }
            let (bits, rest) = grammar::bits(rest)?;
            let (group, cast) = rest.split_at(rest.find('-').unwrap_or(rest.len()));
            let (_, cast) = CASTS.into_iter().find(|(word, _)| *word == cast)?;
            let group = known(group).filter(|_| matches!(bits, 2..=6 | 8))?;
            Mlx { cast, ..affine(bits, group) }
        }
    }))
}

/// Names that `--to all` and the tests go through, and the grammar that reads them.
pub(super) const SCHEMES: Schemes = Schemes {
    container: Format::Safetensors,
    names: &[
        "mlx-copy",
        "mlx-mixed-2-6",
        "mlx-mixed-3-4",
        "mlx-mixed-3-6",
        "mlx-mixed-4-6",
        "mlx-2bit-g64",
        "mlx-3bit-g64",
        "mlx-4bit-g32",
        "mlx-4bit-g64",
        "mlx-4bit-g128",
        "mlx-4bit-f16",
        "mlx-5bit-g32",
        "mlx-6bit-g64",
        "mlx-8bit-g32",
        "mlx-8bit-g64",
        "mlx-mxfp4",
        "mlx-nvfp4",
        "mlx-mxfp8",
    ],
    aliases: &[],
    parse,
};
