//! AQLM: `codes` [O/o, I/i, codebooks], `codebooks` [codebooks, entries, o, i], `scales` [O/o, 1, 1, 1]. Source: aqlm `inference.py`.

use smallvec::smallvec;

use crate::checkpoint::packed::claim::{Claim, Method};
use crate::checkpoint::packed::tensors::Tensors;

pub(super) const METHOD: Method = Method { anchors: &[".codes"], claim };

fn claim(all: &Tensors<'_>, index: usize, stem: &str) -> Option<Claim> {
    let codebooks = all.view(stem, ".codebooks")?;
    let claim = Claim::new("aqlm", "`.codes` with `.codebooks`", index).with(all, stem, &[".codebooks", ".scales"]);
    let (&[outputs, inputs, _], &[_, _, o, i]) = (all.views[index].shape, codebooks.shape) else { return Some(claim) };
    Some(claim.shaped(smallvec![outputs.checked_mul(o)?, inputs.checked_mul(i)?]))
}
