//! Weights of a byte or less that no method recognised, with something beside them that looks like their scales.

use std::collections::HashMap;

use super::{AUXILIARY, Interpretation, Part, TensorView};
use crate::dtype::{Dtype, DtypeKind};

/// Parts of the last piece of a name that only bookkeeping of a quantization has.
const TELLING: &[&str] = &["scale", "zero_point", "zeros", "codebook", "centroid", "absmax", "qmin", "lut"];

/// Counts those weights as not understood, so that what they hold is said to be a lower bound, and takes what looks like scales beside
/// them for bookkeeping. Gives how many weights they are.
pub(super) fn mark(out: &mut Interpretation, tensors: &[TensorView<'_>]) -> u64 {
    let open = |out: &Interpretation, index: usize| out.parts[index].part == Part::Weight && !out.parts[index].packed;
    let weights: Vec<usize> =
        (0..tensors.len()).filter(|&i| tensors[i].shape.len() > 1 && is_narrow(tensors[i].dtype) && open(out, i)).collect();
    if weights.is_empty() {
        return 0;
    }
    let mut scales: HashMap<&str, Vec<usize>> = HashMap::new();
    for (index, tensor) in tensors.iter().enumerate() {
        let Some((module, leaf)) = tensor.name.rsplit_once('.') else { continue };
        if open(out, index) && TELLING.iter().any(|part| leaf.contains(part)) {
            scales.entry(module).or_default().push(index);
        }
    }
    let mut unknown = 0;
    for &weight in &weights {
        let module = tensors[weight].name.rsplit_once('.').map_or("", |(module, _)| module);
        // Smaller than the weight, or it is no scale of it.
        let beside: Vec<usize> = scales.get(module).into_iter().flatten().copied().collect();
        let mut found = false;
        for index in beside.into_iter().filter(|&i| i != weight && tensors[i].bytes < tensors[weight].bytes) {
            out.parts[index] = AUXILIARY;
            found = true;
        }
        unknown += u64::from(found);
    }
    unknown
}

fn is_narrow(dtype: Dtype) -> bool {
    dtype.info().is_none_or(|row| matches!(row.kind, DtypeKind::Integer)) || super::claim::is_f8(dtype) || dtype == Dtype::F4
}
