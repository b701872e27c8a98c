//! GPTQ: `qweight` I32 [ceil(I*b/32), O], `qzeros` I32 [G, ceil(O*b/32)], `scales` [G, O], `g_idx` I32 [I].
//! Measured on files of gptqmodel 7.7.0; v1 and v2 differ in a zero-point offset, not in size.

use smallvec::smallvec;

use crate::checkpoint::packed::claim::{Claim, Method, group_of};
use crate::checkpoint::packed::tensors::Tensors;
use crate::dtype::Dtype;

pub(super) const METHOD: Method = Method { anchors: &[".qweight"], claim };

/// Widths GPTQModel packs.
const WIDTHS: &[u64] = &[2, 3, 4, 5, 6, 8];

fn claim(all: &Tensors<'_>, index: usize, stem: &str) -> Option<Claim> {
    let packed = &all.views[index];
    let scales = all.view(stem, ".scales")?;
    let (&[rows, columns], &[groups, outputs]) = (packed.shape, scales.shape) else { return None };
    if !matches!(packed.dtype, Dtype::I32 | Dtype::U32) || columns != outputs {
        return None;
    }
    let base = Claim::new("gptq", "`.qweight`, `.scales` and their shapes", index).with(
        all,
        stem,
        &[".qzeros", ".scales", ".g_idx", ".wf", ".perm"],
    );
    let inputs = all.view(stem, ".g_idx").map(|g_idx| g_idx.elements);
    let Some((inputs, bits)) = inputs_and_bits(all, stem, rows, outputs, inputs) else { return Some(base) };
    let stated = all.configured.group().filter(|g| inputs.div_ceil(*g) == groups && groups > 1);
    let shaped = base.shaped(smallvec![outputs, inputs]).group(stated.or_else(|| group_of(inputs, groups)));
    Some(shaped.bits(u32::try_from(bits).ok()?))
}

fn inputs_and_bits(all: &Tensors<'_>, stem: &str, rows: u64, outputs: u64, inputs: Option<u64>) -> Option<(u64, u64)> {
    let packs = |values: u64, words: u64, bits: u64| values.checked_mul(bits).map(|b| b.div_ceil(32)) == Some(words);
    if let Some(inputs) = inputs {
        let bits = WIDTHS.iter().find(|bits| packs(inputs, rows, **bits))?;
        return Some((inputs, *bits));
    }
    // Without g_idx the zero points give the width, and without them the configuration.
    let zeros = all.view(stem, ".qzeros").and_then(|qzeros| qzeros.shape.last().copied());
    let bits = match zeros {
        Some(words) => *WIDTHS.iter().find(|bits| packs(outputs, words, **bits))?,
        None => all.configured.bits().filter(|bits| WIDTHS.contains(bits))?,
    };
    Some((rows.checked_mul(32)? / bits, bits))
}
