//! torchao.
//!
//! Source: torchao 0.18.0 (`quant_api.py`, `core/config.py`, `prototype/safetensors`) through transformers 5.23, formulas A and
//! corrections 5, 8 and 10: a byte per weight whatever the label says; int8 and float8 scales are F32, those of intx have the
//! model's dtype; a zero point per scale but for float8. Every parameter of the model has a line of JSON in `__metadata__`. A group
//! that does not divide the row stops int8 and intx; int4 skips the weight without a word.

use crate::dtype::Dtype;
use crate::format::Format;
use crate::project::quantize::grammar;
use crate::project::quantize::packing::{Layout, Module, Packed, Packing, Tool, piece};
use crate::project::quantize::rule::{GroupRefusal, Regrouped, Rule, Schemes};
use crate::project::quantize::seen::ToolId;

const TOOL: Tool = Tool { layout: Layout::TorchAo, ..Tool::new(ToolId::TorchAo) };

/// The tensor class that holds a weight.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Int8,
    /// With the activations quantized on the fly.
    Int8Dynamic,
    Float8,
    /// Whole numbers of fewer bits, each in a byte.
    Intx {
        bits: u64,
        dynamic: bool,
    },
    /// Packed by a kernel that needs an accelerator; only what it leaves alone is known.
    Int4,
}

#[derive(Clone, Copy)]
struct TorchAo {
    class: Class,
    /// `None`: one group per row.
    group: Option<u64>,
    /// `include_input_output_embeddings`: of these only an untied output head is quantized.
    head: bool,
}

impl Packing for TorchAo {
    fn tool(&self) -> Tool {
        Tool { takes_head: self.head, ..TOOL }
    }

    fn pack(&self, m: &Module<'_>) -> Result<Packed, String> {
        let group = self.group.unwrap_or(m.columns);
        if group == 0 || !m.columns.is_multiple_of(group) {
            if self.class == Class::Int4 {
                return Ok(Packed::Kept);
            }
            return Err(format!("rows of {} are not divisible by the group size {group}", m.columns));
        }
        let scales = [m.rows, m.columns / group];
        let (data, scale, zero) = match self.class {
            Class::Int4 => return Err("packed int4 needs a kernel package and an accelerator: its file was not seen".to_owned()),
            Class::Float8 => (Dtype::F8_E4M3, Dtype::F32, false),
            Class::Int8 | Class::Int8Dynamic => (Dtype::I8, Dtype::F32, true),
            Class::Intx { .. } => (Dtype::I8, m.dtype, true),
        };
        let mut pieces = vec![piece("._weight_qdata", data, &[m.rows, m.columns]), piece("._weight_scale", scale, &scales)];
        if zero {
            pieces.push(piece("._weight_zero_point", Dtype::I8, &scales));
        }
        Ok(Packed::As(pieces))
    }

    fn about(&self, m: &Module<'_>) -> Option<String> {
        let dtype = match m.dtype {
            Dtype::BF16 => "bfloat16",
            Dtype::F16 => "float16",
            _ => "float32",
        };
        let group = self.group.unwrap_or(m.columns);
        let torch = |name: &str| format!(r#"{{"_type": "torch.dtype", "_data": "{name}"}}"#);
        let (block, dtype) = (format!(r#""block_size": [1, {group}]"#), format!(r#""dtype": {}"#, torch(dtype)));
        let int8 = |activations: &str| {
            format!(
                r#"{{"_type": "Int8Tensor", "_data": {{"act_quant_kwargs": {activations}, "reduce_range": false, {block}, {dtype}}}, "_tensor_data_names": ["zero_point", "qdata", "scale"]}}"#
            )
        };
        Some(match self.class {
            Class::Int8 => int8("null"),
            Class::Int8Dynamic => int8(
                r#"{"_type": "QuantizeTensorToInt8Kwargs", "_data": {"granularity": {"_type": "PerRow", "_data": {"dim": -1}}, "mapping_type": {"_type": "MappingType", "_data": "SYMMETRIC"}, "reduce_range": false}}"#,
            ),
            Class::Float8 => format!(
                r#"{{"_type": "Float8Tensor", "_data": {{{block}, "mm_config": null, "act_quant_kwargs": null, "kernel_preference": {{"_type": "KernelPreference", "_data": "AUTO"}}, {dtype}}}, "_tensor_data_names": ["qdata", "scale"]}}"#
            ),
            Class::Intx { bits, dynamic } => {
                let target = torch(&format!("int{bits}"));
                let activations = if dynamic { r#""int8_asym_per_token""# } else { "null" };
                format!(
                    r#"{{"_type": "IntxUnpackedToInt8Tensor", "_data": {{"target_dtype": {target}, {block}, {dtype}, "activation_quantization": {activations}}}, "_tensor_data_names": ["qdata", "scale", "zero_point"]}}"#
                )
            }
            Class::Int4 => return None,
        })
    }

    fn regrouped(&self, size: u64) -> Result<Regrouped, GroupRefusal> {
        let name = match self.class {
            Class::Int8 if !self.head => "torchao-int8wo".to_owned(),
            Class::Intx { bits, dynamic: true } => format!("torchao-int8dyn-int{bits}"),
            Class::Intx { bits, dynamic: false } => format!("torchao-intx-int{bits}"),
            Class::Int4 if Some(size) == self.group => "torchao-int4wo".to_owned(),
            Class::Int4 => return Err(GroupRefusal::Size),
            Class::Int8 | Class::Int8Dynamic | Class::Float8 => return Err(GroupRefusal::NoGroups),
        };
        let group = grammar::chosen(size)?;
        Ok(Regrouped::new(format!("{name}-g{group}"), Self { group: Some(group), ..*self }))
    }
}

/// `torchao-float8wo`, `torchao-int8wo-g64`, `torchao-intx-int3-g32`, `torchao-int8dyn-int4-channel`.
fn parse(name: &str) -> Option<Box<dyn Rule>> {
    let whole = |class| TorchAo { class, group: None, head: false };
    let rest = name.strip_prefix("torchao-")?;
    Some(Box::new(match rest {
        "int8wo" => whole(Class::Int8),
        "int8wo-embed" => TorchAo { head: true, ..whole(Class::Int8) },
        "int8dyn-int8" => whole(Class::Int8Dynamic),
        "float8wo" => whole(Class::Float8),
        "int4wo-g128" => TorchAo { group: Some(128), ..whole(Class::Int4) },
        _ => {
            if let Some(group) = rest.strip_prefix("int8wo-") {
                return Some(Box::new(TorchAo { group: grammar::group(group)?, ..whole(Class::Int8) }));
            }
            let (dynamic, rest) = match rest.strip_prefix("int8dyn-int") {
                Some(rest) => (true, rest),
                None => (false, rest.strip_prefix("intx-int")?),
            };
            let (bits, group) = rest.split_once('-')?;
            let bits = grammar::count(bits).filter(|bits| *bits <= 8)?;
            TorchAo { group: grammar::group(group)?, ..whole(Class::Intx { bits, dynamic }) }
        }
    }))
}

/// Names that `--to all` and the tests go through, and the grammar that reads them.
pub(super) const SCHEMES: Schemes = Schemes {
    container: Format::Safetensors,
    names: &[
        "torchao-int8wo",
        "torchao-int8wo-g32",
        "torchao-int8wo-embed",
        "torchao-int8dyn-int8",
        "torchao-float8wo",
        "torchao-int8dyn-int4-channel",
        "torchao-int8dyn-int4-g32",
        "torchao-intx-int4-g32",
        "torchao-intx-int2-g64",
        "torchao-int4wo-g128",
    ],
    aliases: &[],
    parse,
};
