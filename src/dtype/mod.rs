//! Element types as rows of one table.
//!
//! A dtype is a block of `elements_per_block` elements that takes `bytes_per_block` bytes: one element for plain types, 2 or 4
//! for sub-byte safetensors types, 32 to 256 for ggml block quants. Everything that sizes a tensor comes from these two figures.

mod ggml;
mod plain;

use crate::error::{Error, ErrorKind, Result};
use crate::text::escape;
use crate::units::{Bytes, Elements};

/// How the elements of a dtype are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DtypeKind {
    /// IEEE-like floating point, 16 bits and more.
    Float,
    /// Floating point of 8 bits and less, packed where it is less.
    SmallFloat,
    /// Two's complement or unsigned integers.
    Integer,
    /// One byte, 0 or 1.
    Bool,
    /// Pairs of floats.
    Complex,
    /// A ggml block with its own scale.
    BlockQuant,
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct DtypeInfo {
    /// As the format spells it: `BF16`, `F8_E4M3`, `Q4_K`.
    pub name: &'static str,
    /// How the elements are read.
    pub kind: DtypeKind,
    /// Elements in one block; 1 for plain types.
    pub elements_per_block: u64,
    /// Bytes of one block.
    pub bytes_per_block: u64,
    /// The id in a GGUF tensor info, where GGUF has this type.
    pub ggml_id: Option<u32>,
    /// Whether a safetensors header may name this type.
    pub in_safetensors: bool,
}

macro_rules! dtypes {
    ($($variant:ident => $row:expr),* $(,)?) => {
        /// An element type. `Unknown` stands for a spelling or id that is in no table: the tensor still counts, with the bytes
        /// that its offsets give; the number is an index into the container's list of unknown names.
        #[allow(non_camel_case_types, missing_docs)]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Dtype { $($variant,)* Unknown(u16) }

        impl Dtype {
            /// Every known dtype, in table order.
            pub const ALL: &'static [Dtype] = &[$(Dtype::$variant),*];

            /// The row of the table; `None` for an unknown dtype.
            pub const fn info(self) -> Option<&'static DtypeInfo> {
                match self {
                    $(Dtype::$variant => { const ROW: DtypeInfo = $row; Some(&ROW) })*
                    Dtype::Unknown(_) => None,
                }
            }
        }
    };
}

dtypes! {
    F64 => plain::both("F64", DtypeKind::Float, 8, 28),
    F32 => plain::both("F32", DtypeKind::Float, 4, 0),
    F16 => plain::both("F16", DtypeKind::Float, 2, 1),
    BF16 => plain::both("BF16", DtypeKind::Float, 2, 30),
    C64 => plain::safetensors("C64", DtypeKind::Complex, 1, 8),
    F8_E4M3 => plain::safetensors("F8_E4M3", DtypeKind::SmallFloat, 1, 1),
    F8_E5M2 => plain::safetensors("F8_E5M2", DtypeKind::SmallFloat, 1, 1),
    F8_E4M3FNUZ => plain::safetensors("F8_E4M3FNUZ", DtypeKind::SmallFloat, 1, 1),
    F8_E5M2FNUZ => plain::safetensors("F8_E5M2FNUZ", DtypeKind::SmallFloat, 1, 1),
    F8_E8M0 => plain::safetensors("F8_E8M0", DtypeKind::SmallFloat, 1, 1),
    F6_E2M3 => plain::safetensors("F6_E2M3", DtypeKind::SmallFloat, 4, 3),
    F6_E3M2 => plain::safetensors("F6_E3M2", DtypeKind::SmallFloat, 4, 3),
    F4 => plain::safetensors("F4", DtypeKind::SmallFloat, 2, 1),
    I64 => plain::both("I64", DtypeKind::Integer, 8, 27),
    I32 => plain::both("I32", DtypeKind::Integer, 4, 26),
    I16 => plain::both("I16", DtypeKind::Integer, 2, 25),
    I8 => plain::both("I8", DtypeKind::Integer, 1, 24),
    U64 => plain::safetensors("U64", DtypeKind::Integer, 1, 8),
    U32 => plain::safetensors("U32", DtypeKind::Integer, 1, 4),
    U16 => plain::safetensors("U16", DtypeKind::Integer, 1, 2),
    U8 => plain::safetensors("U8", DtypeKind::Integer, 1, 1),
    BOOL => plain::safetensors("BOOL", DtypeKind::Bool, 1, 1),
    Q4_0 => ggml::block("Q4_0", 2, 32, 18),
    Q4_1 => ggml::block("Q4_1", 3, 32, 20),
    Q5_0 => ggml::block("Q5_0", 6, 32, 22),
    Q5_1 => ggml::block("Q5_1", 7, 32, 24),
    Q8_0 => ggml::block("Q8_0", 8, 32, 34),
    Q8_1 => ggml::block("Q8_1", 9, 32, 36),
    Q2_K => ggml::block("Q2_K", 10, 256, 84),
    Q3_K => ggml::block("Q3_K", 11, 256, 110),
    Q4_K => ggml::block("Q4_K", 12, 256, 144),
    Q5_K => ggml::block("Q5_K", 13, 256, 176),
    Q6_K => ggml::block("Q6_K", 14, 256, 210),
    Q8_K => ggml::block("Q8_K", 15, 256, 292),
    IQ2_XXS => ggml::block("IQ2_XXS", 16, 256, 66),
    IQ2_XS => ggml::block("IQ2_XS", 17, 256, 74),
    IQ3_XXS => ggml::block("IQ3_XXS", 18, 256, 98),
    IQ1_S => ggml::block("IQ1_S", 19, 256, 50),
    IQ4_NL => ggml::block("IQ4_NL", 20, 32, 18),
    IQ3_S => ggml::block("IQ3_S", 21, 256, 110),
    IQ2_S => ggml::block("IQ2_S", 22, 256, 82),
    IQ4_XS => ggml::block("IQ4_XS", 23, 256, 136),
    IQ1_M => ggml::block("IQ1_M", 29, 256, 56),
    TQ1_0 => ggml::block("TQ1_0", 34, 256, 54),
    TQ2_0 => ggml::block("TQ2_0", 35, 256, 66),
    MXFP4 => ggml::block("MXFP4", 39, 32, 17),
    NVFP4 => ggml::block("NVFP4", 40, 64, 36),
    Q1_0 => ggml::block("Q1_0", 41, 128, 18),
    Q2_0 => ggml::block("Q2_0", 42, 64, 18),
}

impl Dtype {
    /// The dtype that a safetensors header spells so. Case-sensitive, as the reference reader is.
    pub fn from_safetensors(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|d| d.info().is_some_and(|row| row.in_safetensors && row.name.len() == name.len() && row.name == name))
    }

    /// The dtype behind an id in a GGUF tensor info; `None` for ids that were removed or never given.
    pub fn from_ggml(id: u32) -> Option<Self> {
        Self::ALL.iter().copied().find(|d| d.info().is_some_and(|row| row.ggml_id == Some(id)))
    }

    /// Reads the name of a type that a GGUF may hold, in upper or lower case: `q8_0`, `F16`.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] for any other word.
    pub fn parse_ggml(text: &str) -> Result<Self> {
        let is_named = |row: &DtypeInfo| row.ggml_id.is_some() && row.name.eq_ignore_ascii_case(text.trim());
        Self::ALL.iter().copied().find(|d| d.info().is_some_and(is_named)).ok_or_else(|| {
            Error::new(ErrorKind::Usage, format!("`{}` is no ggml type", escape(text))).help("write q8_0, q6_k, f16, ...")
        })
    }

    /// The name of a known dtype.
    pub fn name(self) -> Option<&'static str> {
        self.info().map(|row| row.name)
    }

    /// Whether this is a ggml block quant.
    pub fn is_block_quant(self) -> bool {
        self.info().is_some_and(|row| row.kind == DtypeKind::BlockQuant)
    }

    /// Whether elements are floating point (not integers, not block quants), complex included.
    pub fn is_float(self) -> bool {
        self.info().is_some_and(|row| matches!(row.kind, DtypeKind::Float | DtypeKind::SmallFloat | DtypeKind::Complex))
    }

    /// Exact bytes of `elements` elements; `None` when the dtype is unknown, the elements do not fill whole blocks, or the
    /// product does not fit 64 bits.
    pub fn bytes_of(self, elements: Elements) -> Option<Bytes> {
        let row = self.info()?;
        if !elements.0.is_multiple_of(row.elements_per_block) {
            return None;
        }
        (elements.0 / row.elements_per_block).checked_mul(row.bytes_per_block).map(Bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_and_ids_are_unique() {
        let mut names = HashSet::new();
        let mut ids = HashSet::new();
        for row in Dtype::ALL.iter().filter_map(|d| d.info()) {
            assert!(names.insert(row.name), "{} twice", row.name);
            if let Some(id) = row.ggml_id {
                assert!(ids.insert(id), "id {id} twice");
            }
            assert!(row.in_safetensors || row.ggml_id.is_some(), "{} belongs to no format", row.name);
        }
    }

    #[test]
    fn bytes_come_in_whole_blocks() {
        assert_eq!(Dtype::Q4_K.bytes_of(Elements(256)), Some(Bytes(144)));
        assert_eq!(Dtype::Q4_K.bytes_of(Elements(255)), None);
        assert_eq!(Dtype::F6_E2M3.bytes_of(Elements(4)), Some(Bytes(3)));
        assert_eq!(Dtype::F64.bytes_of(Elements(u64::MAX)), None);
    }
}
