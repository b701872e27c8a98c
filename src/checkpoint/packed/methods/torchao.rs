//! torchao 0.18: `_weight_qdata` with `_weight_scale` and `_weight_zero_point`; types with names like int4 and int2 keep a byte a
//! weight unless they are packed (`Int4Tensor`: scales turned round, zero points not I8).

use crate::checkpoint::packed::claim::{Claim, Method, group_of, with_row};
use crate::checkpoint::packed::tensors::Tensors;
use crate::dtype::Dtype;

pub(super) const METHOD: Method = Method { anchors: &["_weight_qdata"], claim };

fn claim(all: &Tensors<'_>, index: usize, stem: &str) -> Option<Claim> {
    let data = &all.views[index];
    let scale = all.view(stem, "_weight_scale")?;
    let claim = Claim::new("torchao", "`_weight_qdata` and `_weight_scale`", index).with(
        all,
        stem,
        &["_weight_scale", "_weight_zero_point", "_weight_scale_and_zero", "_weight_act_pre_scale", "_weight_act_scale"],
    );
    let row = data.shape.last().copied().unwrap_or(1);
    let zero = all.dtype(stem, "_weight_zero_point");
    let turned = matches!((data.shape, scale.shape), (&[rows, _], &[groups, outputs]) if outputs == rows && groups != rows);
    if turned && zero.is_some_and(|dtype| dtype != Dtype::I8) && matches!(data.dtype, Dtype::I8 | Dtype::U8) {
        let row = row.checked_mul(2)?;
        let group = scale.shape.first().and_then(|&groups| group_of(row, groups));
        return Some(claim.shaped(with_row(data.shape, row)).bits(4).group(group));
    }
    let groups = scale.shape.last().copied().filter(|_| scale.shape.len() > 1).unwrap_or(1);
    Some(claim.shaped(with_row(data.shape, row)).bits(8).group(group_of(row, groups)))
}
