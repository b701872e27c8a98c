//! Rows for element types without a scale of their own. Source: the dtype list of safetensors ([`crate::pins::SAFETENSORS`]) (22
//! names, `Dtype::bitsize`) and the ids of `ggml.h`.

use super::{DtypeInfo, DtypeKind};

/// A type that both formats have; safetensors and ggml spell these names alike.
pub(super) const fn both(name: &'static str, kind: DtypeKind, bytes: u64, ggml_id: u32) -> DtypeInfo {
    DtypeInfo { name, kind, elements_per_block: 1, bytes_per_block: bytes, ggml_id: Some(ggml_id), in_safetensors: true }
}

/// A type only safetensors has.
pub(super) const fn safetensors(name: &'static str, kind: DtypeKind, elements: u64, bytes: u64) -> DtypeInfo {
    DtypeInfo { name, kind, elements_per_block: elements, bytes_per_block: bytes, ggml_id: None, in_safetensors: true }
}
