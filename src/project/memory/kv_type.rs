//! The types that engines cache keys and values in.

use crate::dtype::Dtype;
use crate::error::{Error, ErrorKind, Result};
use crate::units::Elements;

/// Type of the cached keys or values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KvType {
    name: &'static str,
    dtype: Dtype,
}

/// The type where none is asked for.
pub(super) const DEFAULT_KV_TYPE: KvType = KvType { name: "f16", dtype: Dtype::F16 };

/// Every type that an engine caches in, as their options spell it; which engine has which, the engine says.
const KV_TYPES: &[KvType] = &[
    KvType { name: "f32", dtype: Dtype::F32 },
    DEFAULT_KV_TYPE,
    KvType { name: "bf16", dtype: Dtype::BF16 },
    KvType { name: "fp8", dtype: Dtype::F8_E4M3 },
    KvType { name: "q8_0", dtype: Dtype::Q8_0 },
    KvType { name: "q5_1", dtype: Dtype::Q5_1 },
    KvType { name: "q5_0", dtype: Dtype::Q5_0 },
    KvType { name: "q4_1", dtype: Dtype::Q4_1 },
    KvType { name: "q4_0", dtype: Dtype::Q4_0 },
    KvType { name: "iq4_nl", dtype: Dtype::IQ4_NL },
];

impl KvType {
    /// Reads `f16`, `q8_0`, ...
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] for an unknown type.
    pub fn parse(text: &str) -> Result<Self> {
        let name = text.trim().to_lowercase();
        let found = KV_TYPES.iter().copied().find(|t| t.name == name || (name == "fp8_e4m3" && t.name == "fp8"));
        found.ok_or_else(|| {
            let names: Vec<&str> = KV_TYPES.iter().map(|t| t.name).collect();
            Error::new(ErrorKind::Usage, format!("unknown cache type `{}`", crate::text::escape(text)))
                .help(format!("known: {}", names.join(", ")))
        })
    }

    /// Reads `K` or `K/V`.
    ///
    /// # Errors
    /// As [`KvType::parse`].
    pub fn parse_pair(text: &str) -> Result<(Self, Self)> {
        match text.split_once('/') {
            Some((k, v)) => Ok((Self::parse(k)?, Self::parse(v)?)),
            None => Self::parse(text).map(|t| (t, t)),
        }
    }

    /// As it is spelled.
    pub fn name(self) -> &'static str {
        self.name
    }

    /// Whether values come in blocks with a scale.
    pub fn is_quantized(self) -> bool {
        self.dtype.is_block_quant()
    }

    /// Elements of a block.
    pub fn block(self) -> u64 {
        self.dtype.info().map_or(1, |row| row.elements_per_block)
    }

    /// Bytes of `n` values; `None` when they do not fill whole blocks or do not fit 64 bits.
    pub fn bytes(self, n: u64) -> Option<u64> {
        Some(self.dtype.bytes_of(Elements(n))?.0)
    }
}
