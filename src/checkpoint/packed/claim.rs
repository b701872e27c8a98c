//! What a method says about one module.

use smallvec::SmallVec;

use super::tensors::Tensors;
use crate::dtype::Dtype;
use crate::format::Shape;

/// One way of packing: a row of `METHODS`.
pub(super) struct Method {
    /// Ends of tensor names that make a module worth a look. One a module, the rarest it has.
    pub(super) anchors: &'static [&'static str],
    /// Looks at the module: the place of the anchor, and its name without the anchor. `None`: not this method.
    pub(super) claim: fn(&Tensors<'_>, usize, &str) -> Option<Claim>,
}

/// A packed weight and its bookkeeping.
#[derive(Debug)]
pub(super) struct Claim {
    /// The name of the method.
    pub(super) method: &'static str,
    /// What it was recognised by.
    pub(super) evidence: &'static str,
    /// Place of the tensor that holds the packed weight.
    pub(super) weight: usize,
    /// Places of its bookkeeping.
    pub(super) auxiliary: SmallVec<[usize; 8]>,
    /// Logical parameters; `None` where shapes and configuration do not tell.
    pub(super) logical: Option<u64>,
    /// The shape before packing.
    pub(super) shape: Option<Shape>,
    /// Bits of one stored weight.
    pub(super) bits: Option<u32>,
    /// Weights per scale along a row.
    pub(super) group: Option<u64>,
}

impl Claim {
    /// A claim without shape, to be filled in.
    pub(super) fn new(method: &'static str, evidence: &'static str, weight: usize) -> Self {
        Self { method, evidence, weight, auxiliary: SmallVec::new(), logical: None, shape: None, bits: None, group: None }
    }

    /// Adds those of these tensors that exist as bookkeeping.
    pub(super) fn with(mut self, all: &Tensors<'_>, stem: &str, suffixes: &[&str]) -> Self {
        self.auxiliary.extend(suffixes.iter().filter_map(|suffix| all.find(stem, suffix)));
        self
    }

    /// Sets the shape before packing, and the parameters it gives.
    pub(super) fn shaped(mut self, shape: Shape) -> Self {
        self.logical = shape.iter().try_fold(1u64, |product, &d| product.checked_mul(d));
        self.shape = self.logical.is_some().then_some(shape);
        self
    }

    pub(super) fn bits(mut self, bits: u32) -> Self {
        self.bits = Some(bits);
        self
    }

    pub(super) fn group(mut self, group: Option<u64>) -> Self {
        self.group = group;
        self
    }
}

/// Whether weights of a dtype are 8-bit floats.
pub(super) fn is_f8(dtype: Dtype) -> bool {
    matches!(dtype, Dtype::F8_E4M3 | Dtype::F8_E5M2 | Dtype::F8_E4M3FNUZ | Dtype::F8_E5M2FNUZ)
}

/// A shape with its last dimension replaced.
pub(super) fn with_row(shape: &[u64], row: u64) -> Shape {
    let mut shape = Shape::from_slice(shape);
    if let Some(last) = shape.last_mut() {
        *last = row;
    }
    shape
}

/// Weights per scale along a row: `row / groups` where it divides and there is more than one group.
pub(super) fn group_of(row: u64, groups: u64) -> Option<u64> {
    (groups > 1 && row > 0 && row.is_multiple_of(groups) && row > groups).then(|| row / groups)
}
