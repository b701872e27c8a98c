//! What is read: tensors in the converter's order, quantized ones unpacked as it does. Source: `dequant_model`, `repack_mxfp4`.
//!
//! FP8, GPTQ and compressed-tensors grow back to floats; MXFP4, where the family keeps it, and NVFP4 stay as they are; everything else stops the
//! converter.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::family::FamilyRules;
use super::hparams::{Hparams, whole};
use super::loaded::{Loaded, Set};
use super::nvfp4;
use super::stop::Stop;
use crate::checkpoint::HfFolder;
use crate::dtype::Dtype;
use crate::families::config_keys::{ConverterPart, EXPERTS};
use crate::format::Shape;
use crate::project::bridge::Group;
use crate::project::input::ProjectInput;
use crate::text::escape;

/// The tensors that the converter reads, unpacked.
pub(super) struct Loading {
    /// Written before all others, whatever the outtype.
    pub(super) first: Vec<Loaded>,
    pub(super) rest: Vec<Loaded>,
    /// The type of the first matrix in 16 bits.
    pub(super) auto: Option<Dtype>,
    /// Bytes of tensors that are not written, by group.
    pub(super) left_out: Vec<(Group, u64)>,
}

/// Reads the folder's tensors in the converter's order and unpacks those that are quantized.
pub(super) fn load(input: &ProjectInput<'_>, folder: &HfFolder, family: &FamilyRules, h: &Hparams) -> Result<Loading, Stop> {
    let mut set = Set { tensors: Vec::with_capacity(folder.order.len()), by_name: HashMap::with_capacity(folder.order.len()) };
    let mut left_out: Vec<(Group, u64)> = Vec::new();
    let mut auto = None;
    let mut is_read = vec![false; input.tensors.len()];
    for &i in &folder.order {
        let Some(t) = input.tensors.get(i as usize) else { continue };
        is_read[i as usize] = true;
        let Some(name) = (family.rename)(&t.name) else {
            left_out.push((Group::of(t), t.bytes));
            continue;
        };
        if auto.is_none() && t.shape.len() >= 2 && matches!(t.dtype, Dtype::BF16 | Dtype::F16) {
            auto = Some(t.dtype);
        }
        let loaded = Loaded {
            shape: t.shape.clone(),
            dtype: t.dtype,
            source: i,
            bytes: t.bytes,
            group: Group::of(t),
            fixed: None,
            name: name.clone(),
        };
        match set.by_name.get(&name) {
            // Of two of one name the later one is read, at the place of the first.
            Some(&at) => set.tensors[at] = Some(loaded),
            None => {
                set.by_name.insert(name, set.tensors.len());
                set.tensors.push(Some(loaded));
            }
        }
    }
    for (t, _) in input.tensors.iter().zip(&is_read).filter(|(_, read)| !**read) {
        left_out.push((Group::of(t), t.bytes));
    }
    let config = h.some(&["quantization_config"]).and_then(Value::as_object);
    let producer = folder.quantization.as_ref().map(|(_, producer)| producer.as_str());
    let method = config.and_then(|c| c.get("quant_method")).and_then(Value::as_str).or(producer);
    let mut first = Vec::new();
    let is_nvfp4 = is_nvfp4(config, folder, method)?;
    if is_nvfp4 {
        if method == Some("compressed-tensors") {
            nvfp4::rename(&mut set);
        }
        let experts = h.some(EXPERTS.asked_by(ConverterPart::Stacked)).and_then(whole).unwrap_or(0);
        nvfp4::take(&mut set, experts, &mut first)?;
    }
    let has_scales = || set.names().iter().any(|n| n.ends_with(".weight_scale") || n.ends_with(".weight_scale_inv"));
    match method {
        None => {}
        Some(_) if is_nvfp4 && !has_scales() => {}
        Some("mxfp4") if family.row.keeps_mxfp4 => mxfp4(&mut set, &mut first)?,
        Some("fp8") => fp8(&mut set)?,
        Some("gptq") => gptq(&mut set, config)?,
        Some("compressed-tensors") => compressed(&mut set, config)?,
        Some("bitnet") => return Err(Stop::new("BitNet's packed weights are not unpacked by the converter: it stops")),
        Some("modelopt") => modelopt(&mut set)?,
        Some(other) => return Err(Stop::new(format!("the converter refuses quant_method `{}`", escape(other)))),
    }
    let unused = [".attention.masked_bias", ".attention.bias", ".rotary_emb.inv_freq"];
    let mut rest: Vec<Loaded> = Vec::new();
    for t in set.tensors.into_iter().flatten() {
        if unused.iter().any(|end| t.name.ends_with(end)) {
            left_out.push((t.group, t.bytes));
        } else {
            rest.push(t);
        }
    }
    Ok(Loading { first, rest, auto, left_out })
}

/// `weight_scale_inv` is multiplied in, activation scales are dropped.
fn fp8(set: &mut Set) -> Result<(), Stop> {
    for name in set.names() {
        if let Some(weight) = name.strip_suffix("_scale_inv") {
            set.fold_into(&name, weight)?;
        } else if name.ends_with(".activation_scale") || name.ends_with("_activation_scale") {
            set.take(&name);
        }
    }
    Ok(())
}

/// Whether compressed-tensors holds NVFP4, and only that.
fn is_packed_nvfp4(config: &Map<String, Value>) -> bool {
    let is = |map: &Map<String, Value>| map.get("format").and_then(Value::as_str) == Some("nvfp4-pack-quantized");
    let mut groups = config.get("config_groups").and_then(Value::as_object).into_iter().flatten().peekable();
    let mixed = config.get("format").and_then(Value::as_str) == Some("mixed-precision");
    is(config) || (mixed && groups.peek().is_some() && groups.filter_map(|(_, g)| g.as_object()).all(is))
}

/// Whether tensors of NVFP4 are kept as they are.
fn is_nvfp4(config: Option<&Map<String, Value>>, folder: &HfFolder, method: Option<&str>) -> Result<bool, Stop> {
    let beside = folder.quantization.as_ref().map(|(map, _)| map);
    let find = |key: &str| beside.and_then(|b| b.get(key)).or_else(|| config?.get(key));
    let algorithm = find("quant_algo").and_then(Value::as_str);
    let layers = find("quantized_layers").and_then(Value::as_object);
    let mixed = layers
        .into_iter()
        .flatten()
        .any(|(_, l)| l.get("quant_algo").and_then(Value::as_str).is_some_and(|a| a.ends_with("NVFP4")));
    if algorithm == Some("W4A16_NVFP4") || (mixed && algorithm != Some("NVFP4")) {
        return Err(Stop::new("NVFP4 of some layers, or with activations in 16 bits, is not modelled"));
    }
    Ok(algorithm == Some("NVFP4") || (method == Some("compressed-tensors") && config.is_some_and(is_packed_nvfp4)))
}

/// FP8 of ModelOpt: scales are multiplied in; those of inputs and caches are dropped.
fn modelopt(set: &mut Set) -> Result<(), Stop> {
    for name in set.names() {
        if let Some(weight) = name.strip_suffix("_scale").filter(|n| n.ends_with(".weight")) {
            if set.shape(weight).is_some() {
                set.fold_into(&name, weight)?;
            } else {
                set.take(&name);
            }
        } else if [".input_scale", ".k_scale", ".v_scale"].iter().any(|end| name.ends_with(end)) {
            set.take(&name);
        }
    }
    Ok(())
}

fn gptq(set: &mut Set, config: Option<&Map<String, Value>>) -> Result<(), Stop> {
    let bits = config.and_then(|c| c.get("bits")).and_then(Value::as_u64).unwrap_or(0);
    if !matches!(bits, 2 | 4 | 8) {
        return Err(Stop::new(format!("GPTQ of {bits} bits is not unpacked by the converter: it stops")));
    }
    for name in set.names() {
        let Some(base) = name.strip_suffix(".qweight") else { continue };
        let mut bytes = 0u64;
        for part in ["g_idx", "qzeros", "scales"] {
            let part = format!("{base}.{part}");
            let t = set.take(&part).ok_or_else(|| format!("there is no `{}`: the converter stops", escape(&part)))?;
            bytes = bytes.saturating_add(t.bytes);
        }
        let Some(packed) = set.take(&name) else { continue };
        let [rows, columns] = packed.shape[..] else { return Err(Stop::new(format!("`{}` is no matrix", escape(&name)))) };
        let shape = [columns, rows.saturating_mul(32 / bits)];
        set.append(format!("{base}.weight"), &shape, &packed, bytes.saturating_add(packed.bytes));
    }
    Ok(())
}

fn compressed(set: &mut Set, config: Option<&Map<String, Value>>) -> Result<(), Stop> {
    let stop = |what: &str| Err(Stop::new(format!("compressed-tensors: {what}: the converter stops")));
    let Some(config) = config else { return stop("there is no quantization_config") };
    let format = config.get("format").and_then(Value::as_str).unwrap_or_default();
    let groups: Vec<&Map<String, Value>> =
        config.get("config_groups").and_then(Value::as_object).into_iter().flatten().filter_map(|(_, g)| g.as_object()).collect();
    if is_packed_nvfp4(config) {
        return Ok(());
    }
    let [group] = groups[..] else { return stop("not one config group") };
    let empty = Map::new();
    let weights = group.get("weights").and_then(Value::as_object).unwrap_or(&empty);
    let strategy = weights.get("strategy").and_then(Value::as_str).unwrap_or_default();
    match format {
        "float-quantized" | "int-quantized" | "naive-quantized" => {
            if !matches!(strategy, "channel" | "block") {
                return stop("a strategy that is neither channel nor block");
            }
            for name in set.names() {
                if name.ends_with(".weight_scale") {
                    set.fold_into(&name, name.trim_end_matches("_scale"))?;
                }
            }
            Ok(())
        }
        "pack-quantized" => {
            let number = |key: &str| weights.get(key).and_then(Value::as_u64);
            let (Some(_), Some(size), "group") = (number("num_bits"), number("group_size"), strategy) else {
                return stop("packed weights without group size");
            };
            for name in set.names() {
                let Some(base) = name.strip_suffix("_packed").filter(|b| b.ends_with(".weight")) else { continue };
                let Some(scale) = set.take(&format!("{base}_scale")) else { return stop("scales are missing") };
                let Some(shape) = set.take(&format!("{base}_shape")) else { return stop("shapes are missing") };
                let zero = set.take(&format!("{base}_zero_point")).map_or(0, |t| t.bytes);
                let Some(packed) = set.take(&name) else { continue };
                let [rows, columns] = scale.shape[..] else { return stop("scales are no matrix") };
                let bytes = packed.bytes.saturating_add(scale.bytes).saturating_add(shape.bytes).saturating_add(zero);
                set.append(base.to_owned(), &[rows, columns.saturating_mul(size)], &packed, bytes);
            }
            Ok(())
        }
        other => stop(&format!("format `{}`", escape(other))),
    }
}

/// Blocks and scales become MXFP4 tensors; gate and up are every other row of one tensor.
fn mxfp4(set: &mut Set, first: &mut Vec<Loaded>) -> Result<(), Stop> {
    for name in set.names() {
        let Some(stem) = name.strip_suffix("_scales").filter(|s| s.contains("mlp.experts.")) else { continue };
        let blocks = format!("{stem}_blocks");
        let stop = || Stop::new(format!("`{}` is not as the converter expects it", escape(&blocks)));
        let scales = set.take(&name).ok_or_else(stop)?;
        let packed = set.take(&blocks).ok_or_else(stop)?;
        let [experts, rows, n, 16] = packed.shape[..] else { return Err(stop()) };
        let bytes = packed.bytes.saturating_add(scales.bytes);
        let columns = n.saturating_mul(32);
        let mut push = |name: String, rows: u64, bytes: u64| {
            let shape = Shape::from_slice(&[experts, rows, columns]);
            first.push(Loaded { name, shape, bytes, fixed: Some(Dtype::MXFP4), ..packed.clone() });
        };
        match stem.strip_suffix("gate_up_proj") {
            Some(base) => {
                push(format!("{base}gate_proj.weight"), rows.div_ceil(2), bytes / 2);
                push(format!("{base}up_proj.weight"), rows / 2, bytes - bytes / 2);
            }
            None => push(format!("{stem}.weight"), rows, bytes),
        }
    }
    Ok(())
}
