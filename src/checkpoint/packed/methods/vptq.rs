//! VPTQ: `indices` into `centroids`, with those of the residue and of outliers. The widths of a layer stand in the configuration alone
//! (`config_for_layers`). Source: vptq `layers/vqlinear.py`.

use smallvec::smallvec;

use crate::checkpoint::packed::claim::{Claim, Method};
use crate::checkpoint::packed::tensors::Tensors;

pub(super) const METHOD: Method = Method { anchors: &[".indices"], claim };

const AUXILIARY: &[&str] = &[
    ".centroids.weight",
    ".res_centroids.weight",
    ".outlier_centroids.weight",
    ".res_indices",
    ".outlier_indices",
    ".weight_scale",
    ".weight_bias",
    ".perm",
    ".invert_perm",
];

fn claim(all: &Tensors<'_>, index: usize, stem: &str) -> Option<Claim> {
    all.find(stem, ".centroids.weight")?;
    let claim = Claim::new("vptq", "`.indices` with `.centroids`", index).with(all, stem, AUXILIARY);
    Some(match all.configured.widths_of(stem).or_else(|| all.hints.shape(stem)) {
        Some([outputs, inputs]) => claim.shaped(smallvec![outputs, inputs]),
        None => claim,
    })
}
