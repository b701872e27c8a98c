//! Rows for ggml block quants: ids 0 to 42 of `ggml.h` as of llama.cpp ([`crate::pins::LLAMA_CPP`]), less the removed ones
//! (4, 5, 31 to 33, 36 to 38).

use super::{DtypeInfo, DtypeKind};

/// A block quant: `elements` weights in `bytes` bytes, scales included.
pub(super) const fn block(name: &'static str, id: u32, elements: u64, bytes: u64) -> DtypeInfo {
    DtypeInfo {
        name,
        kind: DtypeKind::BlockQuant,
        elements_per_block: elements,
        bytes_per_block: bytes,
        ggml_id: Some(id),
        in_safetensors: false,
    }
}
