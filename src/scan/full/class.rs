//! How the elements of a dtype lie in memory, and what their codes stand for.

use super::super::blocks::block;
use super::super::kernel::value_table;
use crate::dtype::Dtype;

/// How elements lie in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Storage {
    /// Two codes a byte, low half first.
    Nibbles,
    /// Four 6-bit codes in three bytes, lowest bits first.
    Sixes,
    /// Codes of a byte.
    Bytes,
    /// Codes of two bytes.
    Halves,
    /// Four bytes.
    Words,
    /// Eight bytes.
    Longs,
    /// ggml blocks, which are decoded to F32.
    Blocks,
}

/// What a 32- or 64-bit element is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NumberKind {
    Float,
    Signed,
    Unsigned,
    /// Without an order of magnitude here.
    Complex,
}

/// A dtype as the full pass sees it.
#[derive(Debug, Clone, Copy)]
pub(super) struct ElementClass {
    pub(super) dtype: Dtype,
    pub(super) storage: Storage,
    pub(super) kind: NumberKind,
    /// An element is zero if none of these bits is set; 0 for a type that has no zero.
    pub(super) mask: u64,
    /// Bits of exponent and mantissa, for floats.
    pub(super) float: Option<(u32, u32)>,
    values: Option<&'static [f64; 256]>,
}

impl ElementClass {
    /// `None` for a dtype that has no kernel.
    pub(super) fn of(dtype: Dtype) -> Option<Self> {
        use Dtype as D;
        use NumberKind::{Complex, Float, Signed, Unsigned};
        use Storage::{Blocks, Bytes, Halves, Longs, Nibbles, Sixes, Words};
        let (storage, kind, mask, float) = match dtype {
            D::F64 => (Longs, Float, u64::MAX >> 1, Some((11, 52))),
            D::F32 => (Words, Float, 0x7fff_ffff, Some((8, 23))),
            D::F16 => (Halves, Float, 0x7fff, Some((5, 10))),
            D::BF16 => (Halves, Float, 0x7fff, Some((8, 7))),
            D::C64 => (Longs, Complex, 0x7fff_ffff_7fff_ffff, None),
            D::F8_E4M3 => (Bytes, Float, 0x7f, Some((4, 3))),
            D::F8_E5M2 => (Bytes, Float, 0x7f, Some((5, 2))),
            // What would be -0 is NaN.
            D::F8_E4M3FNUZ => (Bytes, Float, 0xff, Some((4, 3))),
            D::F8_E5M2FNUZ => (Bytes, Float, 0xff, Some((5, 2))),
            // Powers of two, without sign and zero.
            D::F8_E8M0 => (Bytes, Float, 0, None),
            D::F6_E2M3 => (Sixes, Float, 0x1f, Some((2, 3))),
            D::F6_E3M2 => (Sixes, Float, 0x1f, Some((3, 2))),
            D::F4 => (Nibbles, Float, 7, Some((2, 1))),
            D::I64 => (Longs, Signed, u64::MAX, None),
            D::U64 => (Longs, Unsigned, u64::MAX, None),
            D::I32 => (Words, Signed, u64::MAX, None),
            D::U32 => (Words, Unsigned, u64::MAX, None),
            D::I16 => (Halves, Signed, u64::MAX, None),
            D::U16 => (Halves, Unsigned, u64::MAX, None),
            D::I8 => (Bytes, Signed, u64::MAX, None),
            D::U8 | D::BOOL => (Bytes, Unsigned, u64::MAX, None),
            _ if block(dtype).is_some() => (Blocks, Float, 0x7fff_ffff, Some((8, 23))),
            _ => return None,
        };
        Some(Self { dtype, storage, kind, mask, float, values: value_table(dtype) })
    }

    /// Whether every element is a code of at most 16 bits, so that a histogram tells all.
    pub(super) fn is_coded(&self) -> bool {
        !matches!(self.storage, Storage::Words | Storage::Longs | Storage::Blocks)
    }

    /// Codes of a coded type.
    pub(super) fn codes(&self) -> usize {
        match self.storage {
            Storage::Nibbles => 16,
            Storage::Sixes => 64,
            Storage::Bytes => 256,
            _ => 65_536,
        }
    }

    /// What a code stands for.
    pub(super) fn value(&self, code: u16) -> f64 {
        match (self.dtype, self.values) {
            (Dtype::F16, _) => half::f16::from_bits(code).to_f64(),
            (Dtype::BF16, _) => half::bf16::from_bits(code).to_f64(),
            (Dtype::I16, _) => f64::from(code as i16),
            (_, Some(values)) => values[usize::from(code & 0xff)],
            _ => f64::from(code),
        }
    }

    /// Whether a code is a subnormal of its type.
    pub(super) fn is_subnormal(&self, code: u16) -> bool {
        let Some((exponent, mantissa)) = self.float else { return false };
        let code = u32::from(code);
        code >> mantissa & ((1 << exponent) - 1) == 0 && code & ((1 << mantissa) - 1) != 0
    }

    /// The exponent's bits of a code, for floats; all of an E8M0.
    pub(super) fn exponent(&self, code: u16) -> Option<usize> {
        match self.float {
            Some((exponent, mantissa)) => Some(usize::from(code) >> mantissa & ((1 << exponent) - 1)),
            None => (self.dtype == Dtype::F8_E8M0).then_some(usize::from(code)),
        }
    }

    /// Bits of the order of magnitude of a 32- or 64-bit element; `None` for complex numbers.
    pub(super) fn key_bits(&self) -> Option<u32> {
        match (self.storage, self.kind) {
            (_, NumberKind::Complex) => None,
            (Storage::Words | Storage::Blocks, NumberKind::Float) => Some(31),
            (Storage::Words, _) => Some(32),
            (Storage::Longs, NumberKind::Float) => Some(63),
            _ => Some(64),
        }
    }

    /// Keys of elements are ordered as their magnitudes are.
    #[inline(always)]
    pub(super) fn key32(&self, bits: u32) -> u32 {
        match self.kind {
            NumberKind::Signed => (bits as i32).unsigned_abs(),
            NumberKind::Unsigned => bits,
            _ => bits & 0x7fff_ffff,
        }
    }

    /// The middle of the magnitudes whose keys have these upper 16 bits; 0 for the bin of zero.
    pub(super) fn bin_magnitude(&self, bin: u16) -> f64 {
        let Some(open) = self.key_bits().map(|bits| bits - 16) else { return f64::NAN };
        let low = self.magnitude(u64::from(bin) << open);
        let high = self.magnitude((u64::from(bin) + 1) << open);
        match bin {
            0 => 0.0,
            _ if high.is_finite() => low + (high - low) / 2.0,
            _ => low,
        }
    }

    /// The magnitudes of F32 and F64 elements as bits of an F32; nothing for other types.
    #[inline(always)]
    pub(super) fn f32_keys(&self, bytes: &[u8], mut take: impl FnMut(u32)) {
        match self.storage {
            Storage::Words => bytes.as_chunks::<4>().0.iter().for_each(|word| take(u32::from_le_bytes(*word) & 0x7fff_ffff)),
            Storage::Longs => {
                let narrow = |word: &[u8; 8]| (f64::from_le_bytes(*word) as f32).to_bits() & 0x7fff_ffff;
                bytes.as_chunks::<8>().0.iter().for_each(|word| take(narrow(word)));
            }
            _ => {}
        }
    }

    /// The key of a 64-bit element; see [`ElementClass::key32`].
    #[inline(always)]
    pub(super) fn key64(&self, bits: u64) -> u64 {
        match self.kind {
            NumberKind::Signed => (bits as i64).unsigned_abs(),
            NumberKind::Unsigned => bits,
            _ => bits & (u64::MAX >> 1),
        }
    }

    /// The first key that is not finite; beyond all keys for integers.
    pub(super) fn infinite_key(&self) -> u64 {
        match (self.float, self.key_bits()) {
            (Some((exponent, mantissa)), _) => ((1u64 << exponent) - 1) << mantissa,
            _ => u64::MAX,
        }
    }

    /// The magnitude that a key stands for.
    pub(super) fn magnitude(&self, key: u64) -> f64 {
        match (self.kind, self.storage) {
            (NumberKind::Float, Storage::Longs) => f64::from_bits(key),
            (NumberKind::Float, _) => f64::from(f32::from_bits(key as u32)),
            _ => key as f64,
        }
    }
}
