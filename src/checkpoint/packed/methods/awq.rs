//! AWQ: `qweight` I32 [I, O/8], `qzeros` I32 [G, O/8], `scales` [G, O], 4 bits. GEMV files turn it: [O, I/8].
//! Source: AutoAWQ `modules/linear/{gemm,gemv}.py`; GEMM measured on files of gptqmodel 7.7.0.

use smallvec::smallvec;

use crate::checkpoint::packed::claim::{Claim, Method, group_of};
use crate::checkpoint::packed::tensors::Tensors;
use crate::dtype::Dtype;

pub(super) const METHOD: Method = Method { anchors: &[".qweight"], claim };

/// 4-bit values in one I32.
const VALUES: u64 = 8;

fn claim(all: &Tensors<'_>, index: usize, stem: &str) -> Option<Claim> {
    let packed = &all.views[index];
    let scales = all.view(stem, ".scales")?;
    let (&[rows, columns], &[first, second]) = (packed.shape, scales.shape) else { return None };
    if !matches!(packed.dtype, Dtype::I32 | Dtype::U32) {
        return None;
    }
    let wide = columns.checked_mul(VALUES)?;
    let base = Claim::new("awq", "`.qweight` and `.scales` without `.g_idx`, and their shapes", index)
        .with(all, stem, &[".qzeros", ".scales", ".g_idx"])
        .bits(4);
    if wide == second {
        return Some(base.shaped(smallvec![wide, rows]).group(group_of(rows, first)));
    }
    // GEMV pads the groups of a row, so only the rows of the scales tell.
    (rows == first && all.configured.is("awq")).then(|| base.shaped(smallvec![rows, wide]).group(all.configured.group()))
}
