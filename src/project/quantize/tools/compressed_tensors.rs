//! compressed-tensors and llm-compressor.
//!
//! Source: compressed-tensors 0.20.0 through transformers 5.23 (`apply_quantization_config`, `ModelCompressor.compress_model`,
//! `ignore: [lm_head]`), formulas A. Scales have the dtype of the module's weight; embeddings, norms, biases and the output head
//! stay. A row length that the group does not divide is refused. llm-compressor 0.14 writes the same for dense models.

use crate::dtype::Dtype;
use crate::format::{Format, Shape};
use crate::project::quantize::grammar;
use crate::project::quantize::packing::{Experts, Layout, Module, Packed, Packing, Piece, Tool, piece};
use crate::project::quantize::rule::{GroupRefusal, Regrouped, Rule, Schemes};
use crate::project::quantize::seen::ToolId;

/// llm-compressor makes linear layers of them first.
const ELSEWHERE: &str = "llm-compressor takes them one by one: the `lc-` scheme of the same name";

/// Embeddings can be named as targets.
const COMPRESSED_TENSORS: Tool = Tool {
    unties_head: Ok(true),
    takes_heads_of_other_names: true,
    can_take_embedding: true,
    experts_elsewhere: Some(ELSEWHERE),
    ..Tool::new(ToolId::CompressedTensors)
};

const LLM_COMPRESSOR: Tool = Tool {
    id: ToolId::LlmCompressor,
    layout: Layout::LlmCompressor,
    experts: Experts::Modules,
    experts_elsewhere: None,
    ..COMPRESSED_TENSORS
};

/// Which of the two tools writes a scheme.
#[derive(Clone, Copy)]
enum Writer {
    CompressedTensors,
    LlmCompressor,
}

impl Writer {
    fn tool(self) -> Tool {
        match self {
            Self::CompressedTensors => COMPRESSED_TENSORS,
            Self::LlmCompressor => LLM_COMPRESSOR,
        }
    }

    /// The beginning of its schemes' names.
    fn word(self) -> &'static str {
        match self {
            Self::CompressedTensors => "ct",
            Self::LlmCompressor => "lc",
        }
    }
}

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
    writer: Writer,
    dtype: Dtype,
    scale: Scale,
    /// A static scale of the activations, [1].
    input_scale: bool,
    /// Static scales of the cached keys and values, [1] per layer.
    cache_scales: bool,
}

impl Packing for Byte {
    fn tool(&self) -> Tool {
        self.writer.tool()
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
    writer: Writer,
    bits: u64,
    scale: Scale,
    zero_point: bool,
    /// What follows the group in the name; `None` where the group cannot be chosen.
    suffix: Option<&'static str>,
}

impl Packing for Words {
    fn tool(&self) -> Tool {
        self.writer.tool()
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

    fn regrouped(&self, size: u64) -> Result<Regrouped, GroupRefusal> {
        let suffix = self.suffix.ok_or(GroupRefusal::NoGroups)?;
        let group = grammar::chosen(size)?;
        let name = format!("{}-w{}a16-g{group}{suffix}", self.writer.word(), self.bits);
        Ok(Regrouped::new(name, Self { scale: Group(group), suffix: Some(suffix), ..*self }))
    }
}

/// Microscaling and NVFP4: small floats with a scale per 32 or 16.
struct Micro {
    writer: Writer,
    bits: u64,
    /// NVFP4: F8 scales per 16 and a global F32 one; `Some(true)` with one for the activations too.
    nvidia: Option<bool>,
}

impl Packing for Micro {
    fn tool(&self) -> Tool {
        self.writer.tool()
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

use Scale::{Block, Channel, Group, Tensor};

/// `ct-w8a8`; weights of 2 to 8 bits with a group of their own: `ct-w4a16-g64-asym`, `lc-w8a16-channel-sym`, symmetric where nothing
/// is said.
fn parse(name: &str) -> Option<Box<dyn Rule>> {
    let (tool, kind) = name.split_once('-')?;
    let writer = match tool {
        "ct" => Writer::CompressedTensors,
        "lc" => Writer::LlmCompressor,
        _ => return None,
    };
    let byte = |dtype, scale| Byte { writer, dtype, scale, input_scale: false, cache_scales: false };
    let fp8 = |cache_scales| Byte { input_scale: true, cache_scales, ..byte(Dtype::F8_E4M3, Tensor) };
    let words = |bits, scale, suffix| -> Box<dyn Rule> {
        Box::new(Words { writer, bits, scale, zero_point: suffix == Some("-asym"), suffix })
    };
    let micro = |bits, nvidia| -> Box<dyn Rule> { Box::new(Micro { writer, bits, nvidia }) };
    Some(match (writer, kind) {
        (_, "w8a8") => Box::new(byte(Dtype::I8, Channel)),
        (_, "fp8-dynamic") => Box::new(byte(Dtype::F8_E4M3, Channel)),
        (_, "fp8") => Box::new(fp8(false)),
        (Writer::LlmCompressor, "fp8-kv") => Box::new(fp8(true)),
        (_, "fp8-block") => Box::new(byte(Dtype::F8_E4M3, Block)),
        (_, "w4a8" | "w4afp8") | (Writer::CompressedTensors, "w4a4") => Box::new(byte(Dtype::I8, Group(128))),
        (Writer::CompressedTensors, "w2a16") => words(2, Group(128), Some("-sym")),
        (_, "w3a16") => words(3, Group(128), Some("-sym")),
        (_, "w4a16") => words(4, Group(128), Some("-sym")),
        (_, "w4a16-asym") => words(4, Group(128), Some("-asym")),
        (Writer::LlmCompressor, "gptq-w4a16") => words(4, Group(128), None),
        (Writer::CompressedTensors, "w6a16") => words(6, Group(128), Some("-sym")),
        (_, "w8a16") => words(8, Group(128), Some("-sym")),
        (Writer::CompressedTensors, "w8a16-tensor") => words(8, Tensor, None),
        (_, "mxfp4" | "mxfp4a16") => micro(4, None),
        (Writer::CompressedTensors, "mxfp6a16") => micro(6, None),
        (_, "mxfp8" | "mxfp8a16") => micro(8, None),
        (_, "nvfp4") => micro(4, Some(true)),
        (_, "nvfp4a16") => micro(4, Some(false)),
        (_, kind) => {
            let (bits, rest) = kind.strip_prefix('w')?.split_once("a16-")?;
            let bits = grammar::count(bits).filter(|bits| (2..=8).contains(bits))?;
            let (group, suffix) = match rest.rsplit_once('-') {
                Some((group, "asym")) => (group, "-asym"),
                Some((group, "sym")) => (group, "-sym"),
                _ => (rest, ""),
            };
            words(bits, grammar::group(group)?.map_or(Channel, Group), Some(suffix))
        }
    })
}

/// Names that `--to all` and the tests go through, and the grammar that reads them.
pub(super) const SCHEMES: Schemes = Schemes {
    container: Format::Safetensors,
    names: &[
        "ct-w8a8",
        "ct-fp8-dynamic",
        "ct-fp8",
        "ct-fp8-block",
        "ct-w4a8",
        "ct-w4a4",
        "ct-w4afp8",
        "ct-w2a16",
        "ct-w3a16",
        "ct-w4a16",
        "ct-w4a16-asym",
        "ct-w4a16-g32-sym",
        "ct-w4a16-g32-asym",
        "ct-w4a16-g64-sym",
        "ct-w4a16-g64-asym",
        "ct-w4a16-channel-sym",
        "ct-w4a16-channel-asym",
        "ct-w6a16",
        "ct-w8a16",
        "ct-w8a16-g32-sym",
        "ct-w8a16-g32-asym",
        "ct-w8a16-g64-sym",
        "ct-w8a16-g64-asym",
        "ct-w8a16-g128-sym",
        "ct-w8a16-g128-asym",
        "ct-w8a16-channel-sym",
        "ct-w8a16-channel-asym",
        "ct-w8a16-tensor",
        "ct-mxfp4",
        "ct-mxfp4a16",
        "ct-mxfp6a16",
        "ct-mxfp8",
        "ct-mxfp8a16",
        "ct-nvfp4",
        "ct-nvfp4a16",
        "lc-w8a8",
        "lc-fp8-dynamic",
        "lc-fp8",
        "lc-fp8-kv",
        "lc-fp8-block",
        "lc-w4a8",
        "lc-w4afp8",
        "lc-w3a16",
        "lc-w4a16",
        "lc-gptq-w4a16",
        "lc-w4a16-asym",
        "lc-w8a16",
        "lc-mxfp4",
        "lc-mxfp4a16",
        "lc-mxfp8",
        "lc-mxfp8a16",
        "lc-nvfp4",
        "lc-nvfp4a16",
    ],
    aliases: &[("int8", "ct-w8a8"), ("fp8", "ct-fp8-dynamic")],
    parse,
};
