//! The kernels: from the bytes of a leaf to its figures.
//!
//! [`KERNELS`] is the registry: a dtype without a row (and without a block-quant kernel) is reported as not scanned. To add
//! one, write its file and its row.

mod codes;
mod complex;
mod double;
mod float;
mod look;
mod small;
mod tail;

pub(super) use small::value_table;

use crate::dtype::Dtype;
use crate::stats::LeafStats;

use super::blocks;
use super::simd::Level;
use super::simd_quant::SimdLevel;

/// One row of the registry.
#[derive(Debug, Clone, Copy)]
pub struct Kernel {
    /// What it reads.
    pub dtype: Dtype,
    run: fn(&[u8], Level) -> LeafStats,
}

impl Kernel {
    /// The figures of some whole blocks of the dtype, at most [`crate::stats::LEAF_ELEMENTS`] elements.
    pub(super) fn leaf(&self, bytes: &[u8], level: Level) -> LeafStats {
        (self.run)(bytes, level)
    }
}

const fn row(dtype: Dtype, run: fn(&[u8], Level) -> LeafStats) -> Kernel {
    Kernel { dtype, run }
}

/// A row for a block quant: its kernels are registered in `block_quant`.
macro_rules! block {
    ($dtype:ident) => {
        row(Dtype::$dtype, |bytes, level| blocks::leaf_with(level.into(), Dtype::$dtype, bytes).unwrap_or_default())
    };
}

impl From<Level> for SimdLevel {
    fn from(level: Level) -> Self {
        match level {
            Level::Portable(_) => Self::Portable,
            #[cfg(target_arch = "x86_64")]
            Level::Avx2(_) => Self::Avx2,
            #[cfg(target_arch = "x86_64")]
            Level::Avx512(_) => Self::Avx512,
            #[cfg(target_arch = "aarch64")]
            Level::Neon(_) => Self::Neon,
        }
    }
}

/// Every kernel. Rows of block quants count only where `block_quant` has the kernel.
pub const KERNELS: &[Kernel] = &[
    row(Dtype::F64, double::f64),
    row(Dtype::F32, float::f32),
    row(Dtype::F16, float::f16),
    row(Dtype::BF16, float::bf16),
    row(Dtype::C64, complex::c64),
    row(Dtype::F8_E4M3, small::f8_e4m3),
    row(Dtype::F8_E5M2, small::f8_e5m2),
    row(Dtype::F8_E4M3FNUZ, small::f8_e4m3fnuz),
    row(Dtype::F8_E5M2FNUZ, small::f8_e5m2fnuz),
    row(Dtype::F8_E8M0, small::f8_e8m0),
    row(Dtype::F6_E2M3, small::f6_e2m3),
    row(Dtype::F6_E3M2, small::f6_e3m2),
    row(Dtype::F4, small::f4),
    row(Dtype::I64, double::i64),
    row(Dtype::I32, double::i32),
    row(Dtype::I16, double::i16),
    row(Dtype::I8, small::i8),
    row(Dtype::U64, double::u64),
    row(Dtype::U32, double::u32),
    row(Dtype::U16, double::u16),
    row(Dtype::U8, small::u8),
    row(Dtype::BOOL, small::bool),
    block!(Q4_0),
    block!(Q4_1),
    block!(Q5_0),
    block!(Q5_1),
    block!(Q8_0),
    block!(Q8_1),
    block!(Q2_K),
    block!(Q3_K),
    block!(Q4_K),
    block!(Q5_K),
    block!(Q6_K),
    block!(Q8_K),
    block!(IQ2_XXS),
    block!(IQ2_XS),
    block!(IQ3_XXS),
    block!(IQ1_S),
    block!(IQ4_NL),
    block!(IQ3_S),
    block!(IQ2_S),
    block!(IQ4_XS),
    block!(IQ1_M),
    block!(TQ1_0),
    block!(TQ2_0),
    block!(MXFP4),
    block!(NVFP4),
    block!(Q1_0),
    block!(Q2_0),
];

/// The kernel of a dtype.
pub(super) fn kernel(dtype: Dtype) -> Option<&'static Kernel> {
    if dtype.is_block_quant() && !blocks::has_kernel(dtype) {
        return None;
    }
    KERNELS.iter().find(|kernel| kernel.dtype == dtype)
}

/// Whether a dtype can be scanned.
pub fn has_kernel(dtype: Dtype) -> bool {
    kernel(dtype).is_some()
}

/// The figures of some whole blocks of a dtype, computed with the best instructions this processor has; `None` for a dtype
/// without a kernel, or bytes that are no whole blocks. For up to [`crate::stats::LEAF_ELEMENTS`] elements.
pub fn leaf(dtype: Dtype, bytes: &[u8]) -> Option<LeafStats> {
    let block = usize::try_from(dtype.info()?.bytes_per_block).ok()?;
    let level = Level::choose(super::Simd::Auto).ok()?;
    if !bytes.len().is_multiple_of(block) {
        return None;
    }
    kernel(dtype).map(|kernel| kernel.leaf(bytes, level))
}

#[cfg(test)]
mod tests;
