//! What each family does to its tensors: stacked, split, reshaped, computed. Source: `modify_tensors` and `generate_extra_tensors` of
//! each class.

use serde_json::Value;

use super::common_keys::{labels, mamba2_inner, phi_rope_dims};
use super::conversion::Conversion;
use super::hparams::whole;
use super::loaded::Loaded;
use super::stop::Stop;
use super::vocab::gemma3_rows;
use crate::families::config_keys::ConverterPart::{Bloom, Falcon, Permutation, Stacked};
use crate::families::config_keys::{EXPERTS, HEADS, HIDDEN_SIZE, KV_HEADS};
use crate::format::Shape;
use crate::text::escape;

pub(super) fn nothing(_: &mut Conversion<'_>) -> Result<(), Stop> {
    Ok(())
}

pub(super) fn plain(conversion: &mut Conversion<'_>, t: &Loaded) -> Result<(), Stop> {
    conversion.write_same(t)
}

pub(super) fn heads(conversion: &Conversion<'_>) -> Result<(u64, u64), Stop> {
    let heads = conversion.hparams.need(HEADS.asked_by(Permutation))?;
    Ok((heads, conversion.hparams.need(KV_HEADS.asked_by(Permutation)).unwrap_or(heads)))
}

/// Q and K rows change places: only values change, but the rows must divide.
pub(super) fn check_permute(t: &Loaded, heads: (u64, u64)) -> Result<(), Stop> {
    let is = |name: &str| t.name.ends_with(&format!("{name}.weight")) || t.name.ends_with(&format!("{name}.bias"));
    let n = match () {
        () if is("q_proj") => heads.0,
        () if is("k_proj") => heads.1,
        () => return Ok(()),
    };
    let rows = t.shape.first().copied().unwrap_or(0);
    if n == 0 || rows % n.saturating_mul(2) != 0 {
        return Err(Stop::new(format!(
            "`{}` has {rows} rows, which {n} heads do not divide: the converter stops",
            escape(&t.name)
        )));
    }
    Ok(())
}

pub(super) fn llama_start(conversion: &mut Conversion<'_>) -> Result<(), Stop> {
    if conversion.hparams.find(&["draft_vocab_size", "transformer_layer_config"]).is_some() {
        return Err(Stop::new("draft models need their target model's folder, which is not given"));
    }
    let rope = conversion.hparams.rope.get("full_attention").and_then(Value::as_object).unwrap_or(&conversion.hparams.rope);
    if rope.get("rope_type").and_then(Value::as_str).is_some_and(|t| t.eq_ignore_ascii_case("llama3")) {
        let head = match conversion.hparams.some(&["head_dim"]).and_then(Value::as_u64) {
            Some(dim) => dim,
            None => conversion.hparams.need(&["hidden_size"])? / conversion.hparams.need(&["num_attention_heads"])?.max(1),
        };
        conversion.compute("rope_freqs.weight", head.div_ceil(2));
    }
    Ok(())
}

pub(super) fn llama(conversion: &mut Conversion<'_>, t: &Loaded) -> Result<(), Stop> {
    check_permute(t, heads(conversion)?)?;
    if t.name.contains("block_sparse_moe.experts") {
        let experts = conversion.hparams.need(&["num_local_experts"])?;
        let parts = [("w1", "ffn_gate_exps"), ("w2", "ffn_down_exps"), ("w3", "ffn_up_exps")];
        return conversion.expert(t, ".experts.", &parts, experts);
    }
    if conversion.is_headless() {
        return conversion.write(&format!("model.{}", t.name), &t.shape, t, (1, 1));
    }
    conversion.write_same(t)
}

pub(super) fn qwen2(conversion: &mut Conversion<'_>, t: &Loaded) -> Result<(), Stop> {
    if conversion.is_headless() {
        return conversion.write(&format!("model.{}", t.name), &t.shape, t, (1, 1));
    }
    conversion.write_same(t)
}

pub(super) fn qwen3_start(conversion: &mut Conversion<'_>) -> Result<(), Stop> {
    let hints = [
        conversion.folder.name.as_str(),
        conversion.folder.config.get("_name_or_path").and_then(Value::as_str).unwrap_or_default(),
    ];
    if hints.iter().any(|h| h.to_lowercase().contains("qwen3-reranker")) {
        conversion.doubtful = true;
        conversion.notes.push("rerankers get a head of two rows and keys of their own, which are not modelled".to_owned());
    }
    Ok(())
}

pub(super) const EXPERT_PARTS: [(&str, &str); 3] =
    [("down_proj", "ffn_down_exps"), ("gate_proj", "ffn_gate_exps"), ("up_proj", "ffn_up_exps")];

pub(super) fn qwen_moe(conversion: &mut Conversion<'_>, t: &Loaded) -> Result<(), Stop> {
    let stem = t.name.strip_suffix(".weight").unwrap_or(&t.name);
    if stem.ends_with("mlp.experts.down_proj") {
        return conversion.write(&format!("{stem}.weight"), &t.shape, t, (1, 1));
    }
    if let Some(base) = stem.strip_suffix(".gate_up_proj").filter(|b| b.ends_with("mlp.experts")) {
        let [n, rows, columns] = t.shape[..] else {
            return Err(Stop::new(format!("`{}` has an unexpected shape: the converter stops", escape(&t.name))));
        };
        if rows % 2 != 0 {
            return Err(Stop::new(format!("`{}` has an odd number of rows: the converter stops", escape(&t.name))));
        }
        conversion.write(&format!("{base}.gate_proj.weight"), &[n, rows / 2, columns], t, (1, 2))?;
        return conversion.write(&format!("{base}.up_proj.weight"), &[n, rows / 2, columns], t, (1, 2));
    }
    if t.name.contains("experts") {
        let experts = conversion.hparams.need(EXPERTS.asked_by(Stacked))?;
        return conversion.expert(t, "mlp.experts.", &EXPERT_PARTS, experts);
    }
    conversion.write_same(t)
}

pub(super) fn gemma3(conversion: &mut Conversion<'_>, t: &Loaded) -> Result<(), Stop> {
    if t.name.contains("embed_tokens.weight") && t.shape.len() == 2 {
        let rows = gemma3_rows(conversion.folder, conversion.hparams).ok_or("there is no tokenizer.json: the converter stops")?;
        return conversion.write(&t.name, &[t.shape[0].min(rows), t.shape[1]], t, (1, 1));
    }
    conversion.write_same(t)
}

pub(super) fn phi3_start(conversion: &mut Conversion<'_>) -> Result<(), Stop> {
    let rope = &conversion.hparams.rope;
    let list = |key: &str| rope.get(key).and_then(Value::as_array).map(|l| l.len() as u64);
    let Some(long) = list("long_factor").filter(|n| *n > 0) else { return Ok(()) };
    match rope.get("rope_type").and_then(Value::as_str) {
        Some("su" | "longrope" | "yarn") => {}
        _ => return Err(Stop::new("rope_scaling is of a kind that the converter does not know")),
    }
    let dims = phi_rope_dims(conversion.hparams)?;
    if list("short_factor") != Some(long) || long * 2 != dims {
        return Err(Stop::new(format!("rope_scaling must have {} factors: the converter stops", dims / 2)));
    }
    conversion.compute("rope_factors_long.weight", long);
    conversion.compute("rope_factors_short.weight", long);
    Ok(())
}

pub(super) fn gpt2(conversion: &mut Conversion<'_>, t: &Loaded) -> Result<(), Stop> {
    let transposed = [".c_attn.weight", ".c_proj.weight", ".c_fc.weight"].iter().any(|s| t.name.ends_with(s));
    match t.shape[..] {
        [a, b] if transposed => conversion.write(&t.name, &[b, a], t, (1, 1)),
        _ => conversion.write_same(t),
    }
}

pub(super) fn reshape_fails(t: &Loaded) -> Stop {
    Stop::new(format!("`{}` cannot be reshaped with the heads of config.json: the converter stops", escape(&t.name)))
}

pub(super) fn gpt_neox(conversion: &mut Conversion<'_>, t: &Loaded) -> Result<(), Stop> {
    let n = conversion.hparams.need(HEADS.asked_by(Bloom))?;
    let width = conversion.hparams.need(HIDDEN_SIZE.asked_by(Bloom))?;
    let head = width.checked_div(n).unwrap_or(0);
    let expected = n.saturating_mul(3).saturating_mul(head);
    let wrong = (t.name.ends_with("attention.query_key_value.weight") && t.elements() != expected.saturating_mul(width))
        || (t.name.ends_with("attention.query_key_value.bias") && t.elements() != expected);
    if wrong { Err(reshape_fails(t)) } else { conversion.write_same(t) }
}

pub(super) fn falcon(conversion: &mut Conversion<'_>, t: &Loaded) -> Result<(), Stop> {
    if t.name.contains("query_key_value") {
        let n = conversion.hparams.need(HEADS.asked_by(Falcon))?;
        let kv = conversion.hparams.find(KV_HEADS.asked_by(Falcon)).and_then(Value::as_u64).filter(|&n| n > 0).unwrap_or(1);
        let head = conversion.hparams.need(&["hidden_size"])?.checked_div(n).unwrap_or(0);
        let rows = kv.saturating_mul(n / kv + 2).saturating_mul(head);
        if t.elements() != rows.saturating_mul(head.saturating_mul(n)) {
            return Err(reshape_fails(t));
        }
    }
    conversion.write_same(t)
}

pub(super) fn bert(conversion: &mut Conversion<'_>, t: &Loaded) -> Result<(), Stop> {
    if let Some(suffix) = t.name.strip_prefix("classifier.").filter(|s| matches!(*s, "weight" | "bias"))
        && !labels(conversion.hparams).is_empty()
    {
        return conversion.write(&format!("classifier.out_proj.{suffix}"), &t.shape, t, (1, 1));
    }
    conversion.write_same(t)
}

pub(super) fn nomic_start(conversion: &mut Conversion<'_>) -> Result<(), Stop> {
    if conversion.hparams.some(&["moe_every_n_layers"]).and_then(Value::as_u64).is_some_and(|n| n > 0) {
        return Err(Stop::new("the mixture of experts of nomic-bert is not modelled"));
    }
    let positions = conversion.hparams.need(&["n_positions"])?;
    let trained = match conversion.hparams.find(&["max_trained_positions"]) {
        None => Some(2048),
        Some(n) => whole(n),
    };
    if !matches!(positions, 8192 | 2048) || trained != Some(2048) {
        return Err(Stop::new("n_positions and max_trained_positions are not as the converter knows them: it stops"));
    }
    Ok(())
}

pub(super) fn mamba(conversion: &mut Conversion<'_>, t: &Loaded) -> Result<(), Stop> {
    if t.name.ends_with("conv1d.weight") {
        let squeezed: Vec<u64> = t.shape.iter().copied().filter(|&d| d != 1).collect();
        return conversion.write(&t.name, &squeezed, t, (1, 1));
    }
    if t.name == "lm_head.weight" {
        // Left out when its values equal the embedding's, which only the values tell.
        conversion.doubtful = true;
        let tied = conversion.hparams.some(&["tie_word_embeddings"]).and_then(Value::as_bool).unwrap_or(true);
        let what = if tied { "left out" } else { "written" };
        conversion.notes.push(format!(
            "the head is {what}, as tie_word_embeddings says: the converter compares its values with the embedding's"
        ));
        if tied {
            return Ok(());
        }
    }
    conversion.write_same(t)
}

pub(super) fn t5(conversion: &mut Conversion<'_>, t: &Loaded) -> Result<(), Stop> {
    if matches!(t.name.as_str(), "decoder.embed_tokens.weight" | "encoder.embed_tokens.weight" | "shared.weight") {
        if conversion.shared_seen {
            return Ok(());
        }
        conversion.shared_seen = true;
        return conversion.write("shared.weight", &t.shape, t, (1, 1));
    }
    conversion.write_same(t)
}

pub(super) fn deepseek(conversion: &mut Conversion<'_>, t: &Loaded) -> Result<(), Stop> {
    check_permute(t, heads(conversion)?)?;
    if t.name.contains("mlp.experts") {
        return conversion.expert(t, "mlp.experts.", &EXPERT_PARTS, conversion.hparams.need(&["n_routed_experts"])?);
    }
    conversion.write_same(t)
}

pub(super) fn deepseek2(conversion: &mut Conversion<'_>, t: &Loaded) -> Result<(), Stop> {
    let tied = conversion.hparams.some(&["tie_word_embeddings"]).and_then(Value::as_bool) == Some(true);
    if tied && matches!(t.name.as_str(), "lm_head.weight" | "model.lm_head.weight") {
        return Ok(());
    }
    // Layers of multi-token prediction.
    let layers = conversion.hparams.need(&["num_hidden_layers"])?;
    let layer = t.name.strip_prefix("model.layers.").and_then(|n| n.split('.').next()?.parse::<u64>().ok());
    if layer.is_some_and(|n| n >= layers) {
        return Ok(());
    }
    if t.name.contains("mlp.experts") {
        return conversion.expert(t, "mlp.experts.", &EXPERT_PARTS, conversion.hparams.need(&["n_routed_experts"])?);
    }
    if t.name.ends_with("kv_b_proj.weight") {
        let h = conversion.hparams;
        let heads = h.need(&["num_key_value_heads"])?;
        let (v, nope) = (h.need(&["v_head_dim"])?, h.need(&["qk_nope_head_dim"])?);
        let [rows, rank] = t.shape[..] else { return Err(reshape_fails(t)) };
        if rows != heads.saturating_mul(v.saturating_add(nope)) || v + nope == 0 {
            return Err(reshape_fails(t));
        }
        // The key part is transposed; both together have the same elements.
        conversion.write(&t.name.replace("kv_b_proj", "k_b_proj"), &[heads, rank, nope], t, (nope, v + nope))?;
        return conversion.write(&t.name.replace("kv_b_proj", "v_b_proj"), &[heads, v, rank], t, (v, v + nope));
    }
    conversion.write_same(t)
}

pub(super) fn gpt_oss(conversion: &mut Conversion<'_>, t: &Loaded) -> Result<(), Stop> {
    if t.fixed.is_some() {
        return conversion.write_same(t);
    }
    if t.name.contains("gate_up_proj") {
        let bias = t.name.ends_with("_bias");
        let (gate, up) = if bias {
            (t.name.replace("gate_up_proj_bias", "gate_proj.bias"), t.name.replace("gate_up_proj_bias", "up_proj.bias"))
        } else {
            (t.name.replace("gate_up_proj", "gate_proj.weight"), t.name.replace("gate_up_proj", "up_proj.weight"))
        };
        // Weights are transposed, then every other row (bias: element) is the gate's.
        let halves = match t.shape[..] {
            [n, width] if bias => [vec![n, width.div_ceil(2)], vec![n, width / 2]],
            [n, columns, rows] if !bias => [vec![n, rows.div_ceil(2), columns], vec![n, rows / 2, columns]],
            _ => return Err(reshape_fails(t)),
        };
        conversion.write(&gate, &halves[0], t, (1, 2))?;
        return conversion.write(&up, &halves[1], t, (1, 2));
    }
    if t.name.contains("down_proj") {
        if t.name.ends_with("_bias") {
            return conversion.write(&t.name.replace("down_proj_bias", "down_proj.bias"), &t.shape, t, (1, 1));
        }
        if let [n, a, b] = t.shape[..] {
            return conversion.write(&t.name.replace("down_proj", "down_proj.weight"), &[n, b, a], t, (1, 1));
        }
    }
    conversion.write_same(t)
}

pub(super) fn olmo(conversion: &mut Conversion<'_>, t: &Loaded) -> Result<(), Stop> {
    if t.name.ends_with(".weight") {
        check_permute(t, heads(conversion)?)?;
    }
    conversion.write_same(t)
}

pub(super) fn olmoe(conversion: &mut Conversion<'_>, t: &Loaded) -> Result<(), Stop> {
    if t.name.contains("experts") {
        let experts = conversion.hparams.need(EXPERTS.asked_by(Stacked))?;
        return conversion.expert(t, "mlp.experts.", &EXPERT_PARTS, experts);
    }
    conversion.write_same(t)
}

/// Stacks routed experts that stand beside shared ones.
pub(super) fn routed(conversion: &mut Conversion<'_>, t: &Loaded) -> Result<(), Stop> {
    if t.name.contains("mlp.experts") {
        return conversion.expert(t, "mlp.experts.", &EXPERT_PARTS, conversion.hparams.need(&["n_routed_experts"])?);
    }
    conversion.write_same(t)
}

/// Norms of each head are collected but never written, which the converter itself finds at the end.
pub(super) fn stablelm(conversion: &mut Conversion<'_>, t: &Loaded) -> Result<(), Stop> {
    if t.name.contains("_layernorm.norms") {
        return Err(Stop::new(format!("`{}` is not taken up by the converter: it stops", escape(&t.name))));
    }
    conversion.write_same(t)
}

pub(super) fn bloom(conversion: &mut Conversion<'_>, t: &Loaded) -> Result<(), Stop> {
    let heads = conversion.hparams.need(HEADS.asked_by(Bloom))?;
    let width = conversion.hparams.need(HIDDEN_SIZE.asked_by(Bloom))?;
    let rows = heads.saturating_mul(3).saturating_mul(width.checked_div(heads).unwrap_or(0));
    let wrong = (t.name.ends_with("query_key_value.weight") && t.elements() != rows.saturating_mul(width))
        || (t.name.ends_with("query_key_value.bias") && t.elements() != rows);
    if wrong { Err(reshape_fails(t)) } else { conversion.write_same(t) }
}

/// Gate and up, of which one tensor's rows are the first half each.
fn halves(conversion: &mut Conversion<'_>, t: &Loaded, rows: u64, gate: &str, up: &str) -> Result<(), Stop> {
    let n = t.shape.len();
    if n < 2 || t.shape[n - 2] != rows.saturating_mul(2) {
        return Err(reshape_fails(t));
    }
    let mut shape = t.shape.clone();
    shape[n - 2] = rows;
    conversion.write(gate, &shape, t, (1, 2))?;
    conversion.write(up, &shape, t, (1, 2))
}

pub(super) fn granite_moe(conversion: &mut Conversion<'_>, t: &Loaded) -> Result<(), Stop> {
    if let Some(layer) = t.name.strip_suffix("block_sparse_moe.input_linear.weight") {
        let rows = conversion.hparams.need(&["intermediate_size"])?;
        let (gate, up) = (format!("{layer}mlp.experts.gate_proj.weight"), format!("{layer}mlp.experts.up_proj.weight"));
        return halves(conversion, t, rows, &gate, &up);
    }
    if let Some(layer) = t.name.strip_suffix("shared_mlp.input_linear.weight") {
        let rows = conversion.hparams.need(&["shared_intermediate_size"])?;
        let has_experts = conversion.hparams.some(&["num_local_experts"]).and_then(whole).is_some_and(|n| n > 0);
        if !has_experts {
            return Err(Stop::new(format!("`{}` without experts: the converter stops", escape(&t.name))));
        }
        let part = |name: &str| format!("{layer}mlp.shared_expert.{name}_proj.weight");
        return halves(conversion, t, rows, &part("gate"), &part("up"));
    }
    llama(conversion, t)
}

/// Leaves out biases, which must be zeros.
pub(super) fn cohere2(conversion: &mut Conversion<'_>, t: &Loaded) -> Result<(), Stop> {
    if t.name.ends_with(".bias") { Ok(()) } else { conversion.write_same(t) }
}

pub(super) fn phi_moe(conversion: &mut Conversion<'_>, t: &Loaded) -> Result<(), Stop> {
    if t.name.contains("block_sparse_moe.experts") {
        let experts = conversion.hparams.need(EXPERTS.asked_by(Stacked))?;
        let parts = [("w1", "ffn_gate_exps"), ("w2", "ffn_down_exps"), ("w3", "ffn_up_exps")];
        return conversion.expert(t, ".experts.", &parts, experts);
    }
    conversion.write_same(t)
}

/// Experts lie side by side, their last two dimensions the other way round.
pub(super) fn qwen3_vl_moe(conversion: &mut Conversion<'_>, t: &Loaded) -> Result<(), Stop> {
    let stem = t.name.strip_suffix(".weight").unwrap_or(&t.name);
    if stem.ends_with("mlp.experts.down_proj") {
        let [n, a, b] = t.shape[..] else { return Err(reshape_fails(t)) };
        return conversion.write(&format!("{stem}.weight"), &[n, b, a], t, (1, 1));
    }
    if let Some(layer) = stem.strip_suffix("gate_up_proj").filter(|l| l.ends_with("mlp.experts.")) {
        let [n, a, b] = t.shape[..] else { return Err(reshape_fails(t)) };
        if b % 2 != 0 {
            return Err(reshape_fails(t));
        }
        conversion.write(&format!("{layer}gate_proj.weight"), &[n, b / 2, a], t, (1, 2))?;
        return conversion.write(&format!("{layer}up_proj.weight"), &[n, b / 2, a], t, (1, 2));
    }
    qwen_moe(conversion, t)
}

/// Positions begin behind the padding token: the rows before are cut off.
pub(super) fn roberta(conversion: &mut Conversion<'_>, t: &Loaded) -> Result<(), Stop> {
    let pad = conversion.hparams.some(&["pad_token_id"]).and_then(Value::as_u64);
    if let ("embeddings.position_embeddings.weight", Some(pad), [rows, columns]) = (t.name.as_str(), pad, &t.shape[..]) {
        return conversion.write(&t.name, &[rows.saturating_sub(pad.saturating_add(1)), *columns], t, (1, 1));
    }
    bert(conversion, t)
}

pub(super) fn mamba2(conversion: &mut Conversion<'_>, t: &Loaded) -> Result<(), Stop> {
    if t.name.ends_with(".conv1d.weight") {
        let squeezed: Vec<u64> = t.shape.iter().copied().filter(|&d| d != 1).collect();
        return conversion.write(&t.name, &squeezed, t, (1, 1));
    }
    if t.name.ends_with(".A_log") || t.name.ends_with(".D") {
        let mut shape: Shape = t.shape.clone();
        shape.push(1);
        return conversion.write(&t.name, &shape, t, (1, 1));
    }
    if t.name.ends_with(".mixer.norm.weight") {
        let groups = conversion.hparams.some(&["n_groups"]).and_then(whole).filter(|&n| n > 0).unwrap_or(1);
        let inner = mamba2_inner(conversion.hparams)?;
        if t.elements() != (inner / groups).saturating_mul(groups) {
            return Err(reshape_fails(t));
        }
        return conversion.write(&t.name, &[groups, inner / groups], t, (1, 1));
    }
    conversion.write_same(t)
}
