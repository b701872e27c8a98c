//! optimum-quanto 0.2.7: `weight._data` (a byte a weight), or `weight._data._data` U8 packed along the first dimension of
//! [groups, group] (qint4, qint2), with `weight._scale`, `weight._shift`, `input_scale` and `output_scale`.

use crate::checkpoint::packed::claim::{Claim, Method};
use crate::checkpoint::packed::tensors::Tensors;
use crate::dtype::Dtype;
use crate::format::Shape;

pub(super) const METHOD: Method = Method { anchors: &[".weight._data", ".weight._data._data"], claim };

fn claim(all: &Tensors<'_>, index: usize, stem: &str) -> Option<Claim> {
    let data = &all.views[index];
    let scale = all.view(stem, ".weight._scale")?;
    // The inner name ends as the outer one, so the stem tells which it is.
    let stem = stem.strip_suffix(".weight._data").unwrap_or(stem);
    let claim = Claim::new("quanto", "`.weight._data` and `.weight._scale`", index).with(
        all,
        stem,
        &[".weight._scale", ".weight._shift", ".input_scale", ".output_scale"],
    );
    if !data.name.ends_with("._data._data") {
        let shape = Shape::from_slice(data.shape);
        return Some(claim.shaped(shape).bits(8));
    }
    let &[rows, group] = data.shape else { return Some(claim) };
    let groups = *scale.shape.first()?;
    let count = groups.checked_mul(group)?;
    let bits = rows.checked_mul(8)?.checked_div(groups)?;
    if data.dtype != Dtype::U8 || !matches!(bits, 2 | 4) {
        return Some(claim);
    }
    let shape = all.hints.shape(stem).filter(|[o, i]| o.checked_mul(*i) == Some(count)).map(|shape| Shape::from_slice(&shape));
    Some(Claim { logical: Some(count), shape, ..claim }.group(Some(group)).bits(u32::try_from(bits).ok()?))
}
