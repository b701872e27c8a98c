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

/// Every type that an engine caches in; which engine has which, the engine says.
pub(super) const KV_TYPES: &[KvType] = &[
    KvType::F32,
    KvType::F16,
    KvType::BF16,
    KvType::FP8,
    KvType::NVFP4,
    KvType::Q8_0,
    KvType::Q5_1,
    KvType::Q5_0,
    KvType::Q4_1,
    KvType::Q4_0,
    KvType::IQ4_NL,
];

/// The types, under the names that the engines' own options have for them.
#[expect(missing_docs, reason = "each is the dtype that it names")]
impl KvType {
    pub const F32: Self = Self { name: "f32", dtype: Dtype::F32 };
    pub const F16: Self = Self { name: "f16", dtype: Dtype::F16 };
    pub const BF16: Self = Self { name: "bf16", dtype: Dtype::BF16 };
    pub const FP8: Self = Self { name: "fp8", dtype: Dtype::F8_E4M3 };
    pub const NVFP4: Self = Self { name: "nvfp4", dtype: Dtype::NVFP4 };
    pub const Q8_0: Self = Self { name: "q8_0", dtype: Dtype::Q8_0 };
    pub const Q5_1: Self = Self { name: "q5_1", dtype: Dtype::Q5_1 };
    pub const Q5_0: Self = Self { name: "q5_0", dtype: Dtype::Q5_0 };
    pub const Q4_1: Self = Self { name: "q4_1", dtype: Dtype::Q4_1 };
    pub const Q4_0: Self = Self { name: "q4_0", dtype: Dtype::Q4_0 };
    pub const IQ4_NL: Self = Self { name: "iq4_nl", dtype: Dtype::IQ4_NL };
}

impl KvType {
    /// Reads a type as the options spell it: `f16`, `q8_0`, ...
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] for an unknown type.
    pub fn parse(text: &str) -> Result<Self> {
        let name = text.trim().to_lowercase();
        let found = KV_TYPES.iter().copied().find(|t| t.name == name || (name == "fp8_e4m3" && *t == Self::FP8));
        found.ok_or_else(|| {
            let names: Vec<&str> = KV_TYPES.iter().map(|t| t.name).collect();
            Error::new(ErrorKind::Usage, format!("unknown cache type `{}`", crate::text::escape(text)))
                .help(format!("known: {}", names.join(", ")))
        })
    }

    /// Reads the types of keys and values, `K/V`; a single one is of both.
    ///
    /// # Errors
    /// As [`KvType::parse`].
    pub fn parse_pair(text: &str) -> Result<(Self, Self)> {
        match text.split_once('/') {
            Some((k, v)) => Ok((Self::parse(k)?, Self::parse(v)?)),
            None => Self::parse(text).map(|t| (t, t)),
        }
    }

    /// Its name, as the options spell it.
    pub fn name(self) -> &'static str {
        self.name
    }

    /// Whether values come in blocks with a scale.
    pub fn is_quantized(self) -> bool {
        self.dtype.is_block_quant()
    }

    /// Number of elements in a block; 1 for a plain type.
    pub fn block(self) -> u64 {
        self.dtype.info().map_or(1, |row| row.elements_per_block)
    }

    /// Bytes of `n` values; `None` when they do not fill whole blocks or do not fit 64 bits.
    pub fn bytes(self, n: u64) -> Option<u64> {
        Some(self.dtype.bytes_of(Elements(n))?.0)
    }
}
