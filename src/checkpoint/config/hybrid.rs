//! Layers with a state of fixed size, from `config.json`. State sizes: vLLM `mamba_utils.py`;
//! keys: the configuration classes of transformers ([`crate::pins::TRANSFORMERS_CODE`]).

use serde_json::Value;

use super::config_kv::{check_length, repeat};
use super::keys::{Keys, whole};
use super::layers::{self, recurrent};
use super::{KvKind, KvLayer, StateSize};
use crate::families::config_keys::{CONV_KERNEL, HIDDEN_SIZE, LAYER_TYPES, SSM_GROUPS};

const RANGE: &str = "the state of a recurrent layer is out of range";

pub(super) fn mamba(keys: &Keys<'_>, count: u64) -> Result<Vec<KvLayer>, String> {
    let inner = inner_size(keys, &["intermediate_size"], "expand")?;
    let state = layers::mamba1(keys.need(&["conv_kernel"])?, inner, keys.need(&["state_size"])?).ok_or(RANGE)?;
    Ok(repeat(recurrent(state), count))
}

pub(super) fn mamba2(keys: &Keys<'_>, count: u64) -> Result<Vec<KvLayer>, String> {
    let inner = product(keys.need(&["num_heads"])?, keys.need(&["head_dim"])?)?;
    let state = layers::mamba2(keys.need(&["conv_kernel"])?, inner, keys.need(&["n_groups"])?, keys.need(&["state_size"])?);
    Ok(repeat(recurrent(state.ok_or(RANGE)?), count))
}

pub(super) fn jamba(keys: &Keys<'_>, count: u64, full: KvLayer) -> Result<Vec<KvLayer>, String> {
    let period = keys.need(&["attn_layer_period"])?;
    let offset = keys.need(&["attn_layer_offset"])?;
    if period == 0 {
        return Err("key `attn_layer_period` is 0".to_owned());
    }
    let inner = inner_size(keys, &[], "mamba_expand")?;
    let state = layers::mamba1(keys.need(&["mamba_d_conv"])?, inner, keys.need(&["mamba_d_state"])?).ok_or(RANGE)?;
    Ok((0..count).map(|i| if i % period == offset { full } else { recurrent(state) }).collect())
}

pub(super) fn mamba2_hybrid(keys: &Keys<'_>, count: u64, full: KvLayer) -> Result<Vec<KvLayer>, String> {
    let state = recurrent(mamba2_state(keys)?);
    for &name in LAYER_TYPES.names {
        let Some(kinds) = keys.list(name)? else { continue };
        check_length(name, kinds.len(), count)?;
        let one = |kind: &Value| match kind.as_str() {
            Some("attention" | "full_attention") => Ok(full),
            Some("mamba" | "linear_attention") => Ok(state),
            _ => Err(format!("`{name}` holds a kind of layer that is not known")),
        };
        return kinds.iter().map(one).collect();
    }
    if let Some(indices) = keys.list("attn_layer_indices")? {
        let at: Vec<u64> = indices.iter().filter_map(whole).collect();
        return Ok((0..count).map(|i| if at.contains(&i) { full } else { state }).collect());
    }
    Err(keys.missing("layer_types"))
}

pub(super) fn mamba2_parallel(keys: &Keys<'_>, count: u64, full: KvLayer) -> Result<Vec<KvLayer>, String> {
    let mut rows = repeat(full, count);
    rows.extend(repeat(recurrent(mamba2_state(keys)?), count));
    Ok(rows)
}

pub(super) fn gated_delta(keys: &Keys<'_>, count: u64, full: KvLayer, interval: Option<u64>) -> Result<Vec<KvLayer>, String> {
    let key = product(keys.need(&["linear_num_key_heads"])?, keys.need(&["linear_key_head_dim"])?)?;
    let value = product(keys.need(&["linear_num_value_heads"])?, keys.need(&["linear_value_head_dim"])?)?;
    let channels = key.checked_mul(2).and_then(|k| k.checked_add(value)).ok_or(RANGE)?;
    let conv = keys.need(&["linear_conv_kernel_dim"])?.saturating_sub(1).checked_mul(channels).ok_or(RANGE)?;
    let state = recurrent(StateSize { conv, recurrent: product(value, keys.need(&["linear_key_head_dim"])?)? });
    if let Some(kinds) = keys.list("layer_types")? {
        check_length("layer_types", kinds.len(), count)?;
        let one = |kind: &Value| match kind.as_str() {
            Some("full_attention") => Ok(full),
            Some("linear_attention") => Ok(state),
            _ => Err("`layer_types` holds a kind of layer that is not known".to_owned()),
        };
        return kinds.iter().map(one).collect();
    }
    let n = keys.count(&["full_attention_interval"])?.or(interval).filter(|&n| n > 0);
    let n = n.ok_or_else(|| keys.missing("full_attention_interval"))?;
    Ok((0..count).map(|i| if (i + 1) % n != 0 { state } else { full }).collect())
}

/// Nemotron-H: `M` or `linear_attention` is Mamba-2, `*` or `full_attention` attention; `-`, `E`, `mlp` and `moe` keep nothing.
pub(super) fn nemotron_h(keys: &Keys<'_>, count: u64, full: KvLayer) -> Result<Vec<KvLayer>, String> {
    let inner = product(keys.need(&["mamba_num_heads"])?, keys.need(&["mamba_head_dim"])?)?;
    let groups = keys.need(SSM_GROUPS.names)?;
    let conv = keys.need(CONV_KERNEL.names)?;
    let state = recurrent(layers::mamba2(conv, inner, groups, keys.need(&["ssm_state_size"])?).ok_or(RANGE)?);
    let one = |kind: &str| match kind {
        "M" | "linear_attention" | "mamba" => Ok(state),
        "*" | "full_attention" | "attention" => Ok(full),
        "-" | "E" | "mlp" | "moe" => Ok(layers::nothing(KvKind::None)),
        _ => Err("the layer pattern holds a kind of layer that is not known".to_owned()),
    };
    if let Some(kinds) = keys.list("layers_block_type")? {
        check_length("layers_block_type", kinds.len(), count)?;
        return kinds.iter().map(|kind| one(kind.as_str().unwrap_or(""))).collect();
    }
    let pattern = keys.text_of(&["hybrid_override_pattern"]).ok_or_else(|| keys.missing("hybrid_override_pattern"))?;
    check_length("hybrid_override_pattern", pattern.chars().count(), count)?;
    let mut buffer = [0u8; 4];
    pattern.chars().map(|c| one(c.encode_utf8(&mut buffer))).collect()
}

/// The number of layers that Nemotron-H's pattern gives.
pub(super) fn pattern_length(keys: &Keys<'_>) -> Option<u64> {
    let listed = keys.list("layers_block_type").ok().flatten().map(|kinds| kinds.len() as u64);
    listed.or_else(|| keys.text_of(&["hybrid_override_pattern"]).map(|pattern| pattern.chars().count() as u64))
}

/// Granite 4, Bamba, Falcon-H1 spell their Mamba-2 keys alike; `mamba_d_ssm` goes before `mamba_expand x hidden_size`.
fn mamba2_state(keys: &Keys<'_>) -> Result<StateSize, String> {
    let inner = inner_size(keys, &["mamba_d_ssm"], "mamba_expand")?;
    let groups = keys.need(&["mamba_n_groups"])?;
    layers::mamba2(keys.need(&["mamba_d_conv"])?, inner, groups, keys.need(&["mamba_d_state"])?).ok_or_else(|| RANGE.to_owned())
}

fn inner_size(keys: &Keys<'_>, names: &[&str], expand: &str) -> Result<u64, String> {
    match keys.count(names)? {
        Some(inner) => Ok(inner),
        None => product(keys.need(HIDDEN_SIZE.names)?, keys.need(&[expand])?),
    }
}

fn product(a: u64, b: u64) -> Result<u64, String> {
    a.checked_mul(b).ok_or_else(|| RANGE.to_owned())
}
