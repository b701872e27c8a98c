//! NVFP4 of ModelOpt and compressed-tensors: written as it is, before everything else, with its scales beside it.
//!
//! Source: `_generate_nvfp4_tensors` and `_nvfp4_pack`: 16 weights a scale, four scales a block of ggml.

use super::conversion::Loaded;
use super::dequantize::Set;
use crate::dtype::Dtype;
use crate::format::Shape;
use crate::text::escape;

/// Names of compressed-tensors, and those of ModelOpt that they stand for.
const RENAMED: [(&str, &str); 3] =
    [(".weight_packed", ".weight"), (".weight_global_scale", ".weight_scale_2"), (".input_global_scale", ".input_scale")];

/// Gives compressed-tensors the names of ModelOpt.
pub(super) fn rename(set: &mut Set) {
    for name in set.names() {
        let Some((stem, to)) = RENAMED.iter().find_map(|(from, to)| Some((name.strip_suffix(from)?, to))) else { continue };
        set.rename(&name, format!("{stem}{to}"));
    }
}

/// Experts of one projection of one layer.
struct Stack {
    layer: u64,
    projection: String,
    seen: u64,
    weight: Loaded,
    /// Bytes of the scales of weights and inputs, where the files have them.
    scales: [Option<Loaded>; 2],
}

/// Moves the tensors of NVFP4 from the set to what is written first. `experts`: how many a layer has, 0 where it is not said.
///
/// # Errors
/// Shapes that do not fill blocks of 64.
pub(super) fn take(set: &mut Set, experts: u64, first: &mut Vec<Loaded>) -> Result<(), String> {
    let mut stacks: Vec<Stack> = Vec::new();
    for name in set.names() {
        let Some(stem) = name.strip_suffix(".weight") else { continue };
        let scale_name = format!("{stem}.weight_scale");
        let Some([rows, groups]) = set.shape(&scale_name).and_then(|s| <[u64; 2]>::try_from(s.as_slice()).ok()) else { continue };
        let stop = || format!("`{}` does not fill blocks of 64 weights: the converter stops", escape(&name));
        let (Some(mut weight), Some(scale)) = (set.take(&name), set.take(&scale_name)) else { continue };
        if groups % 4 != 0
            || weight.elements() != rows.saturating_mul(groups).saturating_mul(8)
            || weight.shape.first() != Some(&rows)
        {
            return Err(stop());
        }
        weight.bytes = weight.bytes.saturating_add(scale.bytes);
        weight.shape = Shape::from_slice(&[rows, groups * 16]);
        weight.fixed = Some(Dtype::NVFP4);
        let scales = ["weight_scale_2", "input_scale"].map(|part| set.take(&format!("{stem}.{part}")));
        match expert(stem) {
            None => write(first, weight, scales, 1),
            Some((layer, projection)) => {
                let found = stacks.iter_mut().position(|s| s.layer == layer && s.projection == projection);
                let at = match found {
                    Some(at) => {
                        add(&mut stacks[at], &weight, scales).ok_or_else(stop)?;
                        at
                    }
                    None => {
                        stacks.push(Stack { layer, projection: projection.to_owned(), seen: 1, weight, scales });
                        stacks.len() - 1
                    }
                };
                if experts > 0 && stacks[at].seen >= experts {
                    flush(first, stacks.remove(at));
                }
            }
        }
    }
    stacks.into_iter().for_each(|stack| flush(first, stack));
    for name in set.names() {
        if name.ends_with(".k_scale") || name.ends_with(".v_scale") {
            set.take(&name);
        }
    }
    Ok(())
}

/// Layer and projection of `…layers.N….experts.E.gate_proj`.
fn expert(stem: &str) -> Option<(u64, &str)> {
    let (before, rest) = stem.rsplit_once(".experts.")?;
    let (number, projection) = rest.split_once('.')?;
    number.parse::<u64>().ok().filter(|_| matches!(projection, "gate_proj" | "up_proj" | "down_proj"))?;
    let layer = before.split_once(".layers.").and_then(|(_, rest)| rest.split('.').next()?.parse().ok()).unwrap_or(0);
    Some((layer, projection))
}

fn add(stack: &mut Stack, weight: &Loaded, scales: [Option<Loaded>; 2]) -> Option<()> {
    if stack.weight.shape != weight.shape {
        return None;
    }
    stack.seen += 1;
    stack.weight.bytes = stack.weight.bytes.saturating_add(weight.bytes);
    for (sum, scale) in stack.scales.iter_mut().zip(scales) {
        match (sum.as_mut(), scale) {
            (Some(sum), Some(scale)) => sum.bytes = sum.bytes.saturating_add(scale.bytes),
            (None, Some(scale)) => *sum = Some(scale),
            _ => {}
        }
    }
    Some(())
}

fn flush(first: &mut Vec<Loaded>, stack: Stack) {
    let Stack { layer, projection, seen, mut weight, scales } = stack;
    weight.name = format!("model.layers.{layer}.mlp.experts.{projection}.weight");
    weight.shape.insert(0, seen);
    write(first, weight, scales, seen);
}

/// The weight and its scales, one for each expert. A scale of exactly 1 would not be written: that is not looked at.
fn write(first: &mut Vec<Loaded>, weight: Loaded, scales: [Option<Loaded>; 2], count: u64) {
    let name = weight.name.clone();
    first.push(weight);
    for (scale, suffix) in scales.into_iter().zip([".scale", ".input_scale"]) {
        if let Some(mut scale) = scale {
            scale.name = name.replace(".weight", suffix);
            scale.shape = Shape::from_slice(&[count]);
            first.push(scale);
        }
    }
}
