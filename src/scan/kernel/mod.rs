//! The kernels: from the bytes of a leaf to its figures.
//!
//! [`KERNELS`] is the registry of all types but block quants, which have a table of their own in `blocks`. A dtype without a row in
//! either is reported as not scanned. To add one, write its file and its row.

mod codes;
mod complex;
mod double;
mod float;
mod raw_bits;
mod small;
mod scalar;

pub(super) use small::value_table;

use crate::dtype::Dtype;
use crate::error::Result;
use crate::stats::LeafStats;

use super::blocks::{Block, block};
use super::simd::Level;

/// One row of the registry.
#[derive(Debug, Clone, Copy)]
pub struct Kernel {
    /// What it reads.
    pub dtype: Dtype,
    run: fn(&[u8], Level) -> LeafStats,
}

const fn row(dtype: Dtype, run: fn(&[u8], Level) -> LeafStats) -> Kernel {
    Kernel { dtype, run }
}

/// The kernels of all types but block quants.
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
];

/// What computes the figures of a leaf of one dtype.
#[derive(Clone, Copy)]
pub(super) enum LeafKernel {
    /// A row of [`KERNELS`].
    Plain(&'static Kernel),
    /// A row of the table of block types.
    Block(&'static Block),
}

impl LeafKernel {
    /// The kernel of a dtype.
    pub(super) fn of(dtype: Dtype) -> Option<Self> {
        let plain = || KERNELS.iter().find(|kernel| kernel.dtype == dtype).map(Self::Plain);
        block(dtype).map(Self::Block).or_else(plain)
    }

    /// The figures of some whole blocks of the dtype, at most [`crate::stats::LEAF_ELEMENTS`] elements.
    pub(super) fn leaf(self, bytes: &[u8], level: Level) -> LeafStats {
        match self {
            Self::Plain(kernel) => (kernel.run)(bytes, level),
            Self::Block(block) => block.leaf(level, bytes),
        }
    }
}

/// Whether a dtype can be scanned.
pub fn has_kernel(dtype: Dtype) -> bool {
    LeafKernel::of(dtype).is_some()
}

/// The figures of some whole blocks of a dtype, computed with the best instructions of this processor; `None` for a dtype without a
/// kernel, and for bytes that are not whole blocks. For up to [`crate::stats::LEAF_ELEMENTS`] elements.
pub fn leaf(dtype: Dtype, bytes: &[u8]) -> Option<LeafStats> {
    let block = usize::try_from(dtype.info()?.bytes_per_block).ok()?;
    let kernel = LeafKernel::of(dtype)?;
    bytes.len().is_multiple_of(block).then(|| kernel.leaf(bytes, Level::best()))
}

/// The kernel of a dtype for the instructions chosen; `None` for a dtype without a kernel. For tests and benchmarks.
///
/// # Errors
/// [`ErrorKind::Usage`](crate::error::ErrorKind::Usage) when this processor lacks the instructions.
#[doc(hidden)]
pub fn leaf_with(simd: super::Simd, dtype: Dtype) -> Result<Option<impl Fn(&[u8]) -> LeafStats>> {
    let level = Level::choose(simd)?;
    Ok(LeafKernel::of(dtype).map(|kernel| move |bytes: &[u8]| kernel.leaf(bytes, level)))
}

#[cfg(test)]
mod tests;
