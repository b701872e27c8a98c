//! MLX: every module with rows that the group divides, the embedding and the output head too.
//!
//! Source: mlx-lm 0.32.2 `convert`, MLX 0.32.4 `nn.quantize`, formulas A: affine `weight` U32 with `scales` and `biases` in the
//! model's dtype; MX and NV modes with U8 `scales` and no `biases`. A row that the group does not divide is left alone in silence.

use super::Scheme;
use super::module::{Layout, Module, Packed, Packing, piece};
use crate::dtype::Dtype;
use crate::format::Format;

struct Mlx {
    bits: u64,
    group: u64,
    affine: bool,
    /// `convert --dtype`: everything else in this type.
    cast: Option<Dtype>,
}

impl Packing for Mlx {
    fn takes_conv1d(&self) -> bool {
        true
    }

    fn takes_experts(&self) -> bool {
        true
    }

    fn pack(&self, m: &Module) -> Result<Packed, String> {
        if !m.columns.is_multiple_of(self.group) {
            return Ok(Packed::Kept);
        }
        let words = m.columns.checked_mul(self.bits).ok_or("too large")?.div_ceil(32);
        let groups = [m.rows, m.columns / self.group];
        let mut pieces = vec![piece(".weight", Dtype::U32, &[m.rows, words])];
        if self.affine {
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
    Mlx { bits, group, affine: true, cast: None }
}

const fn micro(bits: u64, group: u64) -> Mlx {
    Mlx { bits, group, affine: false, cast: None }
}

macro_rules! schemes {
    ($($name:literal $rule:expr;)*) => {
        &[$(Scheme {
            name: $name,
            aliases: &[],
            container: Format::Safetensors,
            tool: "mlx-lm 0.32.2",
            rule: &$rule,
        }),*]
    };
}

/// Rows of the registry.
pub(super) const SCHEMES: &[Scheme] = schemes! {
    "mlx-2bit-g64" affine(2, 64);
    "mlx-3bit-g64" affine(3, 64);
    "mlx-4bit-g32" affine(4, 32);
    "mlx-4bit-g64" affine(4, 64);
    "mlx-4bit-g128" affine(4, 128);
    "mlx-4bit-f16" Mlx { bits: 4, group: 64, affine: true, cast: Some(Dtype::F16) };
    "mlx-5bit-g32" affine(5, 32);
    "mlx-6bit-g64" affine(6, 64);
    "mlx-8bit-g32" affine(8, 32);
    "mlx-8bit-g64" affine(8, 64);
    "mlx-mxfp4" micro(4, 32);
    "mlx-nvfp4" micro(4, 16);
    "mlx-mxfp8" micro(8, 32);
};
