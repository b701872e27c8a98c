//! compressed-tensors and llm-compressor.
//!
//! Source: compressed-tensors 0.20.0 through transformers 5.23 (`apply_quantization_config`, `ModelCompressor.compress_model`,
//! `ignore: [lm_head]`), formulas A. Scales have the dtype of the module's weight; embeddings, norms, biases and the output head
//! stay. A row length that the group does not divide is refused. llm-compressor 0.14 writes the same for dense models.

use crate::dtype::Dtype;
use crate::format::{Format, Shape};
use crate::project::quantize::grammar;
use crate::project::quantize::packing::{Module, OfExperts, Packed, Packing, Piece, piece};
use crate::project::quantize::rule::{Rule, Scheme};
use crate::project::quantize::seen::Tool;

/// llm-compressor makes linear layers of them first.
const ELSEWHERE: &str = "llm-compressor takes them one by one: the `lc-` scheme of the same name";

/// What one scale covers.
#[derive(Clone, Copy)]
enum Scale {
    Tensor,
    Channel,
    Group(u64),
    /// Squares of 128.
    Block,
}

impl Scale {
    fn shape(self, m: &Module<'_>) -> Result<Vec<u64>, String> {
        Ok(match self {
            Self::Tensor => vec![1],
            Self::Channel => vec![m.rows, 1],
            Self::Block => vec![m.rows.div_ceil(128), m.columns.div_ceil(128)],
            Self::Group(group) if m.columns.is_multiple_of(group) => vec![m.rows, m.columns / group],
            Self::Group(group) => return Err(format!("rows of {} are not divisible by the group size {group}", m.columns)),
        })
    }
}

/// A byte per weight: `weight` and `weight_scale`.
struct Byte {
    dtype: Dtype,
    scale: Scale,
    /// A static scale of the activations, [1].
    input_scale: bool,
    /// Static scales of the cached keys and values, [1] per layer.
    cache_scales: bool,
}

impl Packing for Byte {
    fn tool(&self) -> Tool {
        Tool::CompressedTensors
    }

    fn experts_elsewhere(&self) -> Option<&'static str> {
        Some(ELSEWHERE)
    }

    fn unties_head(&self) -> Result<bool, String> {
        Ok(true)
    }

    fn takes_heads_of_other_names(&self) -> bool {
        true
    }

    fn can_take_embedding(&self) -> Result<(), String> {
        Ok(())
    }

    fn pack(&self, m: &Module<'_>) -> Result<Packed, String> {
        let mut pieces =
            vec![piece(".weight", self.dtype, &[m.rows, m.columns]), piece(".weight_scale", m.dtype, &self.scale.shape(m)?)];
        if self.input_scale {
            pieces.push(piece(".input_scale", m.dtype, &[1]));
        }
        Ok(Packed::As(pieces))
    }

    fn beside(&self, stem: &str) -> Option<(String, Shape)> {
        let (attention, which) = stem.rsplit_once('.').filter(|_| self.cache_scales)?;
        let scale = match which {
            "k_proj" => "k_scale",
            "v_proj" => "v_scale",
            _ => return None,
        };
        Some((format!("{attention}.{scale}"), Shape::from_slice(&[1])))
    }
}

/// `pack-quantized`: weights in I32 words along the rows, densely; zero points packed along the columns.
struct Words {
    bits: u64,
    scale: Scale,
    zero_point: bool,
}

impl Packing for Words {
    fn tool(&self) -> Tool {
        Tool::CompressedTensors
    }

    fn experts_elsewhere(&self) -> Option<&'static str> {
        Some(ELSEWHERE)
    }

    fn unties_head(&self) -> Result<bool, String> {
        Ok(true)
    }

    fn takes_heads_of_other_names(&self) -> bool {
        true
    }

    fn can_take_embedding(&self) -> Result<(), String> {
        Ok(())
    }

    fn pack(&self, m: &Module<'_>) -> Result<Packed, String> {
        let words = m.columns.checked_mul(self.bits).ok_or("too large")?.div_ceil(32);
        let scales = self.scale.shape(m)?;
        let mut pieces = vec![piece(".weight_packed", Dtype::I32, &[m.rows, words]), piece(".weight_scale", m.dtype, &scales)];
        if self.zero_point {
            let rows = m.rows.checked_mul(self.bits).ok_or("too large")?.div_ceil(32);
            let groups = scales.get(1).copied().unwrap_or(1);
            pieces.push(piece(".weight_zero_point", Dtype::I32, &[rows, groups]));
        }
        pieces.push(piece(".weight_shape", Dtype::I64, &[2]));
        Ok(Packed::As(pieces))
    }
}

/// Microscaling and NVFP4: small floats with a scale per 32 or 16.
struct Micro {
    bits: u64,
    /// NVFP4: F8 scales per 16 and a global F32 one; `Some(true)` with one for the activations too.
    nvidia: Option<bool>,
}

impl Packing for Micro {
    fn tool(&self) -> Tool {
        Tool::CompressedTensors
    }

    fn experts_elsewhere(&self) -> Option<&'static str> {
        Some(ELSEWHERE)
    }

    fn unties_head(&self) -> Result<bool, String> {
        Ok(true)
    }

    fn takes_heads_of_other_names(&self) -> bool {
        true
    }

    fn can_take_embedding(&self) -> Result<(), String> {
        Ok(())
    }

    fn pack(&self, m: &Module<'_>) -> Result<Packed, String> {
        let group = if self.nvidia.is_some() { 16 } else { 32 };
        let scales = Scale::Group(group).shape(m)?;
        let bytes = m.columns.checked_mul(self.bits).ok_or("too large")?.div_ceil(8);
        let weight: Piece = match self.bits {
            8 => piece(".weight", Dtype::F8_E4M3, &[m.rows, m.columns]),
            _ => piece(".weight_packed", Dtype::U8, &[m.rows, bytes]),
        };
        let scale_dtype = if self.nvidia.is_some() { Dtype::F8_E4M3 } else { Dtype::U8 };
        let mut pieces = vec![weight, piece(".weight_scale", scale_dtype, &scales)];
        if let Some(activations) = self.nvidia {
            pieces.push(piece(".weight_global_scale", Dtype::F32, &[1]));
            if activations {
                pieces.push(piece(".input_global_scale", Dtype::F32, &[1]));
            }
        }
        Ok(Packed::As(pieces))
    }
}

const fn byte(dtype: Dtype, scale: Scale) -> Byte {
    Byte { dtype, scale, input_scale: false, cache_scales: false }
}

const fn words(bits: u64, scale: Scale, zero_point: bool) -> Words {
    Words { bits, scale, zero_point }
}

const fn micro(bits: u64) -> Micro {
    Micro { bits, nvidia: None }
}

const CT: &str = "compressed-tensors 0.20.0, transformers 5.23";
const LC: &str = "llm-compressor 0.14.0.1, compressed-tensors";

/// `ct-w4a16-g64-asym`, `lc-w8a16-channel-sym`: symmetric where nothing is said.
pub(super) fn parse(name: &str) -> Option<Box<dyn Rule>> {
    let (tool, rest) = name.split_once("-w")?;
    let (bits, rest) = rest.split_once("a16-")?;
    let bits = grammar::count(bits).filter(|bits| (2..=8).contains(bits))?;
    let (group, zero_point) = match rest.rsplit_once('-') {
        Some((group, "asym")) => (group, true),
        Some((group, "sym")) => (group, false),
        _ => (rest, false),
    };
    let packing = words(bits, grammar::group(group)?.map_or(Channel, Group), zero_point);
    match tool {
        "ct" => Some(Box::new(packing)),
        "lc" => Some(Box::new(OfExperts(packing))),
        _ => None,
    }
}

use Scale::{Block, Channel, Group, Tensor};

/// Rows of the registry.
pub(super) const SCHEMES: &[Scheme] = schemes! {
    [CT]
    "ct-w8a8" or "int8" => byte(Dtype::I8, Channel);
    "ct-fp8-dynamic" or "fp8" => byte(Dtype::F8_E4M3, Channel);
    "ct-fp8" => Byte { dtype: Dtype::F8_E4M3, scale: Tensor, input_scale: true, cache_scales: false };
    "ct-fp8-block" => byte(Dtype::F8_E4M3, Block);
    "ct-w4a8" => byte(Dtype::I8, Group(128));
    "ct-w4a4" => byte(Dtype::I8, Group(128));
    "ct-w4afp8" => byte(Dtype::I8, Group(128));
    "ct-w2a16" => words(2, Group(128), false);
    "ct-w3a16" => words(3, Group(128), false);
    "ct-w4a16" => words(4, Group(128), false);
    "ct-w4a16-asym" => words(4, Group(128), true);
    "ct-w4a16-g32-sym" => words(4, Group(32), false);
    "ct-w4a16-g32-asym" => words(4, Group(32), true);
    "ct-w4a16-g64-sym" => words(4, Group(64), false);
    "ct-w4a16-g64-asym" => words(4, Group(64), true);
    "ct-w4a16-channel-sym" => words(4, Channel, false);
    "ct-w4a16-channel-asym" => words(4, Channel, true);
    "ct-w6a16" => words(6, Group(128), false);
    "ct-w8a16" => words(8, Group(128), false);
    "ct-w8a16-g32-sym" => words(8, Group(32), false);
    "ct-w8a16-g32-asym" => words(8, Group(32), true);
    "ct-w8a16-g64-sym" => words(8, Group(64), false);
    "ct-w8a16-g64-asym" => words(8, Group(64), true);
    "ct-w8a16-g128-sym" => words(8, Group(128), false);
    "ct-w8a16-g128-asym" => words(8, Group(128), true);
    "ct-w8a16-channel-sym" => words(8, Channel, false);
    "ct-w8a16-channel-asym" => words(8, Channel, true);
    "ct-w8a16-tensor" => words(8, Tensor, false);
    "ct-mxfp4" => micro(4);
    "ct-mxfp4a16" => micro(4);
    "ct-mxfp6a16" => micro(6);
    "ct-mxfp8" => micro(8);
    "ct-mxfp8a16" => micro(8);
    "ct-nvfp4" => Micro { bits: 4, nvidia: Some(true) };
    "ct-nvfp4a16" => Micro { bits: 4, nvidia: Some(false) };
    [LC]
    "lc-w8a8" => OfExperts(byte(Dtype::I8, Channel));
    "lc-fp8-dynamic" => OfExperts(byte(Dtype::F8_E4M3, Channel));
    "lc-fp8" => OfExperts(Byte { dtype: Dtype::F8_E4M3, scale: Tensor, input_scale: true, cache_scales: false });
    "lc-fp8-kv" => OfExperts(Byte { dtype: Dtype::F8_E4M3, scale: Tensor, input_scale: true, cache_scales: true });
    "lc-fp8-block" => OfExperts(byte(Dtype::F8_E4M3, Block));
    "lc-w4a8" => OfExperts(byte(Dtype::I8, Group(128)));
    "lc-w4afp8" => OfExperts(byte(Dtype::I8, Group(128)));
    "lc-w3a16" => OfExperts(words(3, Group(128), false));
    "lc-w4a16" => OfExperts(words(4, Group(128), false));
    "lc-gptq-w4a16" => OfExperts(words(4, Group(128), false));
    "lc-w4a16-asym" => OfExperts(words(4, Group(128), true));
    "lc-w8a16" => OfExperts(words(8, Group(128), false));
    "lc-mxfp4" => OfExperts(micro(4));
    "lc-mxfp4a16" => OfExperts(micro(4));
    "lc-mxfp8" => OfExperts(micro(8));
    "lc-mxfp8a16" => OfExperts(micro(8));
    "lc-nvfp4" => OfExperts(Micro { bits: 4, nvidia: Some(true) });
    "lc-nvfp4a16" => OfExperts(Micro { bits: 4, nvidia: Some(false) });
};
