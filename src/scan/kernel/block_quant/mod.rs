//! ggml block quants.

use crate::dtype::Dtype;
use crate::stats::LeafStats;

/// The figures of whole blocks of a block quant; `None` for a dtype without a kernel here.
pub(super) fn leaf(_dtype: Dtype, _bytes: &[u8]) -> Option<LeafStats> {
    None
}

/// Whether [`leaf`] reads this dtype.
pub(super) fn has_kernel(_dtype: Dtype) -> bool {
    false
}
