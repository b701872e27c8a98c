//! bitsandbytes: LLM.int8 and 4-bit.
//!
//! Source: bitsandbytes 0.50.2 through transformers 5.23, formulas A: 8-bit `weight` I8, `SCB` F32 [O], `weight_format` one byte;
//! 4-bit over the flattened tensor in blocks of 64, `absmax` and a table beside it, and a JSON text in `quant_state`. Under double
//! quantization `absmax` is U8 in blocks of 256, and the JSON holds a float whose text has 18 to 20 characters.

use crate::dtype::Dtype;
use crate::format::Format;
use crate::project::quantize::packing::{Module, Packed, Packing, Tool, piece};
use crate::project::quantize::rule::{Rule, Schemes};
use crate::project::quantize::seen::ToolId;

const TOOL: Tool = Tool { takes_conv1d: true, ..Tool::new(ToolId::BitsAndBytes) };

struct Int8 {
    head: bool,
}

impl Packing for Int8 {
    fn tool(&self) -> Tool {
        Tool { takes_head: self.head, ..TOOL }
    }

    fn pack(&self, m: &Module<'_>) -> Result<Packed, String> {
        Ok(Packed::As(vec![
            piece(".weight", Dtype::I8, &[m.rows, m.columns]),
            piece(".SCB", Dtype::F32, &[m.rows]),
            piece(".weight_format", Dtype::U8, &[]),
        ]))
    }
}

struct FourBit {
    kind: &'static str,
    state: &'static str,
    double: bool,
    storage: Dtype,
}

const BLOCK: u64 = 64;
const NESTED_BLOCK: u64 = 256;

impl Packing for FourBit {
    fn tool(&self) -> Tool {
        // The offset of double quantization is written as text.
        Tool { spread: if self.double { (1, 1) } else { (0, 0) }, ..TOOL }
    }

    fn pack(&self, m: &Module<'_>) -> Result<Packed, String> {
        let n = m.weights().ok_or("too large")?;
        let blocks = n.div_ceil(BLOCK);
        let width = self.storage.info().map_or(1, |row| row.bytes_per_block);
        let dtype = match m.dtype {
            Dtype::BF16 => "bfloat16",
            Dtype::F16 => "float16",
            _ => "float32",
        };
        let mut text = format!(
            r#"{{"quant_type": "{}", "blocksize": {BLOCK}, "dtype": "{dtype}", "shape": [{}, {}]}}"#,
            self.kind, m.rows, m.columns
        )
        .len() as u64;
        if self.double {
            let nested = format!(r#", "nested_blocksize": {NESTED_BLOCK}, "nested_dtype": "float32", "nested_offset": "#);
            text += nested.len() as u64 + 19;
        }
        let mut pieces = vec![piece(".weight", self.storage, &[n.div_ceil(2).div_ceil(width), 1])];
        if self.double {
            pieces.push(piece(".weight.absmax", Dtype::U8, &[blocks]));
            pieces.push(piece(".weight.nested_absmax", Dtype::F32, &[blocks.div_ceil(NESTED_BLOCK)]));
            pieces.push(piece(".weight.nested_quant_map", Dtype::F32, &[256]));
        } else {
            pieces.push(piece(".weight.absmax", Dtype::F32, &[blocks]));
        }
        pieces.push(piece(".weight.quant_map", Dtype::F32, &[16]));
        pieces.push(piece(self.state, Dtype::U8, &[text]));
        Ok(Packed::As(pieces))
    }
}

const NF4: &str = ".weight.quant_state.bitsandbytes__nf4";
const FP4: &str = ".weight.quant_state.bitsandbytes__fp4";

fn parse(name: &str) -> Option<Box<dyn Rule>> {
    let four = |kind, state, double, storage| -> Box<dyn Rule> { Box::new(FourBit { kind, state, double, storage }) };
    Some(match name.strip_prefix("bnb-")? {
        "int8" => Box::new(Int8 { head: false }),
        "int8-with-head" => Box::new(Int8 { head: true }),
        "nf4" => four("nf4", NF4, false, Dtype::U8),
        "nf4-dq" => four("nf4", NF4, true, Dtype::U8),
        "nf4-storage-bf16" => four("nf4", NF4, false, Dtype::BF16),
        "fp4" => four("fp4", FP4, false, Dtype::U8),
        "fp4-dq" => four("fp4", FP4, true, Dtype::U8),
        _ => return None,
    })
}

/// Names that `--to all` and the tests go through, and the grammar that reads them.
pub(super) const SCHEMES: Schemes = Schemes {
    container: Format::Safetensors,
    names: &["bnb-int8", "bnb-int8-with-head", "bnb-nf4", "bnb-nf4-dq", "bnb-nf4-storage-bf16", "bnb-fp4", "bnb-fp4-dq"],
    aliases: &[("nf4", "bnb-nf4"), ("fp4", "bnb-fp4")],
    parse,
};
