//! Tensors as a configuration's quantization stores them: block FP8 of DeepSeek, MXFP4 of gpt-oss.
//!
//! Source: the published `modules_to_not_convert` of gpt-oss and the element counts of DeepSeek-V3's files, to which this is equal.

use serde_json::{Map, Value};

use super::{Declared, Row};
use crate::checkpoint::Role;
use crate::checkpoint::names::classify;
use crate::dtype::Dtype;
use crate::format::{Format, Shape};
use crate::text::escape_limited;

pub(super) fn pack(declared: Declared<'_>) -> Result<Vec<Row>, String> {
    let section = declared.config.get("quantization_config").and_then(Value::as_object);
    let Some(section) = section else { return Ok(declared.rows) };
    let pack = match section.get("quant_method").and_then(Value::as_str) {
        Some("fp8") => block_fp8,
        Some("mxfp4") => mxfp4,
        other => {
            let shown = escape_limited(other.unwrap_or("?"), 40);
            return Err(format!("how `{shown}` packs is not said by a configuration alone"));
        }
    };
    let mut out = Vec::with_capacity(declared.rows.len() * 2);
    for row in declared.rows {
        pack(row, section, &mut out)?;
    }
    Ok(out)
}

/// `weight` F8_E4M3 and `weight_scale_inv` F32 of every linear layer but routers, heads and the projection of prediction blocks.
fn block_fp8(row: Row, section: &Map<String, Value>, out: &mut Vec<Row>) -> Result<(), String> {
    let role = classify(&row.name, Format::Safetensors).role;
    let linear =
        matches!(role, Role::Attention | Role::Mlp | Role::Expert | Role::SharedExpert) && row.name.ends_with("proj.weight");
    let matrix = linear || row.name.ends_with(".kv_a_proj_with_mqa.weight");
    let &[rows, columns] = row.shape.as_slice() else {
        out.push(row);
        return Ok(());
    };
    if !matrix || row.name.ends_with(".eh_proj.weight") {
        out.push(row);
        return Ok(());
    }
    let side = |i: usize| section.get("weight_block_size").and_then(|s| s.get(i)).and_then(Value::as_u64).filter(|&n| n > 0);
    let (Some(high), Some(wide)) = (side(0), side(1)) else {
        return Err("key `weight_block_size` is missing in quantization_config".to_owned());
    };
    let scale = Row {
        name: format!("{}_scale_inv", row.name),
        dtype: Dtype::F32,
        shape: Shape::from_slice(&[rows.div_ceil(high), columns.div_ceil(wide)]),
    };
    out.push(Row { dtype: Dtype::F8_E4M3, ..row });
    out.push(scale);
    Ok(())
}

/// The experts' fused tensors, [experts, in, out], become `_blocks` [experts, out, in / 32, 16] and `_scales`.
fn mxfp4(row: Row, _: &Map<String, Value>, out: &mut Vec<Row>) -> Result<(), String> {
    let fused = row.name.ends_with(".experts.gate_up_proj") || row.name.ends_with(".experts.down_proj");
    let (true, &[experts, inputs, outputs]) = (fused, row.shape.as_slice()) else {
        out.push(row);
        return Ok(());
    };
    if !inputs.is_multiple_of(32) {
        return Err(format!("MXFP4 blocks of 32 do not divide {inputs}"));
    }
    let groups = inputs / 32;
    for (end, shape) in [("_blocks", &[experts, outputs, groups, 16][..]), ("_scales", &[experts, outputs, groups][..])] {
        out.push(Row { name: format!("{}{end}", row.name), dtype: Dtype::U8, shape: Shape::from_slice(shape) });
    }
    Ok(())
}
