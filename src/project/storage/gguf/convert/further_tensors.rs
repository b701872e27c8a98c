//! What further families do to their tensors. Source: `filter_tensors` and `modify_tensors` of each class.

use serde_json::Value;

use super::further_keys::mamba2_inner;
use super::hparams::whole;
use super::job::{Job, Loaded};
use super::tensors::{self as base, Done, EXPERT_PARTS, reshape_fails};
use crate::format::Shape;
use crate::text::escape;

pub(super) fn olmo(job: &mut Job<'_>, t: &Loaded) -> Done {
    if t.name.ends_with(".weight") {
        base::check_permute(t, base::heads(job)?)?;
    }
    job.write_same(t)
}

pub(super) fn olmoe(job: &mut Job<'_>, t: &Loaded) -> Done {
    if t.name.contains("experts") {
        let experts = job.hparams.need(&["num_local_experts", "num_experts"])?;
        return job.expert(t, "mlp.experts.", &EXPERT_PARTS, experts);
    }
    job.write_same(t)
}

/// Experts beside shared ones.
pub(super) fn routed(job: &mut Job<'_>, t: &Loaded) -> Done {
    if t.name.contains("mlp.experts") {
        return job.expert(t, "mlp.experts.", &EXPERT_PARTS, job.hparams.need(&["n_routed_experts"])?);
    }
    job.write_same(t)
}

/// Norms of each head are collected but never written, which the converter itself finds at the end.
pub(super) fn stablelm(job: &mut Job<'_>, t: &Loaded) -> Done {
    if t.name.contains("_layernorm.norms") {
        return Err(format!("`{}` is not taken up by the converter: it stops", escape(&t.name)));
    }
    job.write_same(t)
}

pub(super) fn bloom(job: &mut Job<'_>, t: &Loaded) -> Done {
    let heads = job.hparams.need(&["n_head", "num_attention_heads"])?;
    let width = job.hparams.need(&["hidden_size", "n_embed"])?;
    let rows = heads.saturating_mul(3).saturating_mul(width.checked_div(heads).unwrap_or(0));
    let wrong = (t.name.ends_with("query_key_value.weight") && t.elements() != rows.saturating_mul(width))
        || (t.name.ends_with("query_key_value.bias") && t.elements() != rows);
    if wrong { Err(reshape_fails(t)) } else { job.write_same(t) }
}

/// Gate and up, of which one tensor's rows are the first half each.
fn halves(job: &mut Job<'_>, t: &Loaded, rows: u64, gate: &str, up: &str) -> Done {
    let n = t.shape.len();
    if n < 2 || t.shape[n - 2] != rows.saturating_mul(2) {
        return Err(reshape_fails(t));
    }
    let mut shape = t.shape.clone();
    shape[n - 2] = rows;
    job.write(gate, &shape, t, (1, 2))?;
    job.write(up, &shape, t, (1, 2))
}

pub(super) fn granite_moe(job: &mut Job<'_>, t: &Loaded) -> Done {
    if let Some(layer) = t.name.strip_suffix("block_sparse_moe.input_linear.weight") {
        let rows = job.hparams.need(&["intermediate_size"])?;
        let (gate, up) = (format!("{layer}mlp.experts.gate_proj.weight"), format!("{layer}mlp.experts.up_proj.weight"));
        return halves(job, t, rows, &gate, &up);
    }
    if let Some(layer) = t.name.strip_suffix("shared_mlp.input_linear.weight") {
        let rows = job.hparams.need(&["shared_intermediate_size"])?;
        let has_experts = job.hparams.some(&["num_local_experts"]).and_then(whole).is_some_and(|n| n > 0);
        if !has_experts {
            return Err(format!("`{}` without experts: the converter stops", escape(&t.name)));
        }
        let part = |name: &str| format!("{layer}mlp.shared_expert.{name}_proj.weight");
        return halves(job, t, rows, &part("gate"), &part("up"));
    }
    base::llama(job, t)
}

/// Biases must be zeros, and are left out.
pub(super) fn cohere2(job: &mut Job<'_>, t: &Loaded) -> Done {
    if t.name.ends_with(".bias") { Ok(()) } else { job.write_same(t) }
}

/// The norm behind the attention stands before the feed-forward part; the others have names of their own.
/// The names of BLOOM stand in the converter's table without their prefix.
pub(super) fn bloom_name(name: &str) -> Option<String> {
    base::text_name(&name.replace("transformer.", ""))
}

pub(super) fn ernie_name(name: &str) -> Option<String> {
    base::text_name(&name.replace("ernie.", "model."))
}

pub(super) fn thinker_name(name: &str) -> Option<String> {
    base::text_name(&name.replace("thinker.", ""))
}

pub(super) fn phi_moe(job: &mut Job<'_>, t: &Loaded) -> Done {
    if t.name.contains("block_sparse_moe.experts") {
        let experts = job.hparams.need(&["num_local_experts", "num_experts"])?;
        let parts = [("w1", "ffn_gate_exps"), ("w2", "ffn_down_exps"), ("w3", "ffn_up_exps")];
        return job.expert(t, ".experts.", &parts, experts);
    }
    job.write_same(t)
}

/// Experts lie side by side, their last two dimensions the other way round.
pub(super) fn qwen3_vl_moe(job: &mut Job<'_>, t: &Loaded) -> Done {
    let stem = t.name.strip_suffix(".weight").unwrap_or(&t.name);
    if stem.ends_with("mlp.experts.down_proj") {
        let [n, a, b] = t.shape[..] else { return Err(reshape_fails(t)) };
        return job.write(&format!("{stem}.weight"), &[n, b, a], t, (1, 1));
    }
    if let Some(layer) = stem.strip_suffix("gate_up_proj").filter(|l| l.ends_with("mlp.experts.")) {
        let [n, a, b] = t.shape[..] else { return Err(reshape_fails(t)) };
        if b % 2 != 0 {
            return Err(reshape_fails(t));
        }
        job.write(&format!("{layer}gate_proj.weight"), &[n, b / 2, a], t, (1, 2))?;
        return job.write(&format!("{layer}up_proj.weight"), &[n, b / 2, a], t, (1, 2));
    }
    base::qwen_moe(job, t)
}

pub(super) fn distil_name(name: &str) -> Option<String> {
    let name = name.strip_prefix("distilbert.").unwrap_or(name);
    if name.starts_with("vocab_") { None } else { base::bert_name(name) }
}

pub(super) fn roberta_name(name: &str) -> Option<String> {
    base::bert_name(name.strip_prefix("roberta.").unwrap_or(name))
}

pub(super) fn modern_bert_name(name: &str) -> Option<String> {
    base::bert_name(name.strip_prefix("model.").unwrap_or(name))
}

/// Positions begin behind the padding token: the rows before are cut off.
pub(super) fn roberta(job: &mut Job<'_>, t: &Loaded) -> Done {
    let pad = job.hparams.some(&["pad_token_id"]).and_then(Value::as_u64);
    if let ("embeddings.position_embeddings.weight", Some(pad), [rows, columns]) = (t.name.as_str(), pad, &t.shape[..]) {
        return job.write(&t.name, &[rows.saturating_sub(pad.saturating_add(1)), *columns], t, (1, 1));
    }
    base::bert(job, t)
}

pub(super) fn mamba2_name(name: &str) -> Option<String> {
    let name = match name.strip_prefix("model.") {
        Some(rest) if rest.starts_with("backbone") || rest.starts_with("lm_head") => rest,
        _ => name,
    };
    base::text_name(&name.strip_suffix(".dt_bias").map_or(name.to_owned(), |stem| format!("{stem}.dt_proj.bias")))
}

pub(super) fn mamba2(job: &mut Job<'_>, t: &Loaded) -> Done {
    if t.name.ends_with(".conv1d.weight") {
        let squeezed: Vec<u64> = t.shape.iter().copied().filter(|&d| d != 1).collect();
        return job.write(&t.name, &squeezed, t, (1, 1));
    }
    if t.name.ends_with(".A_log") || t.name.ends_with(".D") {
        let mut shape: Shape = t.shape.clone();
        shape.push(1);
        return job.write(&t.name, &shape, t, (1, 1));
    }
    if t.name.ends_with(".mixer.norm.weight") {
        let groups = job.hparams.some(&["n_groups"]).and_then(whole).filter(|&n| n > 0).unwrap_or(1);
        let inner = mamba2_inner(job.hparams)?;
        if t.elements() != (inner / groups).saturating_mul(groups) {
            return Err(reshape_fails(t));
        }
        return job.write(&t.name, &[groups, inner / groups], t, (1, 1));
    }
    job.write_same(t)
}
