//! bitsandbytes: LLM.int8 and 4-bit.
//!
//! Source: bitsandbytes 0.50.2 through transformers 5.23, formulas A: 8-bit `weight` I8, `SCB` F32 [O], `weight_format` one byte;
//! 4-bit over the flattened tensor in blocks of 64, `absmax` and a table beside it, and a JSON text in `quant_state`. Under double
//! quantization `absmax` is U8 in blocks of 256, and the JSON holds a float whose text has 18 to 20 characters.

use crate::dtype::Dtype;
use crate::format::Format;
use crate::project::quantize::packing::{Module, Packed, Packing, piece};
use crate::project::quantize::rule::Scheme;
use crate::project::quantize::seen::Tool;

struct Int8 {
    head: bool,
}

impl Packing for Int8 {
    fn tool(&self) -> Tool {
        Tool::BitsAndBytes
    }

    fn takes_conv1d(&self) -> bool {
        true
    }

    fn pack(&self, m: &Module<'_>) -> Result<Packed, String> {
        Ok(Packed::As(vec![
            piece(".weight", Dtype::I8, &[m.rows, m.columns]),
            piece(".SCB", Dtype::F32, &[m.rows]),
            piece(".weight_format", Dtype::U8, &[]),
        ]))
    }

    fn takes_head(&self) -> bool {
        self.head
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
        Tool::BitsAndBytes
    }

    fn takes_conv1d(&self) -> bool {
        true
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

    fn spread(&self) -> (u64, u64) {
        if self.double { (1, 1) } else { (0, 0) }
    }
}

const NF4: &str = ".weight.quant_state.bitsandbytes__nf4";
const FP4: &str = ".weight.quant_state.bitsandbytes__fp4";

const fn four(kind: &'static str, state: &'static str, double: bool, storage: Dtype) -> FourBit {
    FourBit { kind, state, double, storage }
}

/// Rows of the registry.
pub(super) const SCHEMES: &[Scheme] = schemes! {
    ["bitsandbytes 0.50.2, transformers 5.23"]
    "bnb-int8" => Int8 { head: false };
    "bnb-int8-with-head" => Int8 { head: true };
    "bnb-nf4" or "nf4" => four("nf4", NF4, false, Dtype::U8);
    "bnb-nf4-dq" => four("nf4", NF4, true, Dtype::U8);
    "bnb-nf4-storage-bf16" => four("nf4", NF4, false, Dtype::BF16);
    "bnb-fp4" or "fp4" => four("fp4", FP4, false, Dtype::U8);
    "bnb-fp4-dq" => four("fp4", FP4, true, Dtype::U8);
};
