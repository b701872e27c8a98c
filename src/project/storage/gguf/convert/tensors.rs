//! What each family does to its tensors: left out, renamed, stacked, split, reshaped, computed. Source: `filter_tensors`,
//! `modify_tensors` and `generate_extra_tensors` of each class.

use serde_json::Value;

use super::hparams::whole;
use super::job::{Job, Loaded};
use super::model_keys::{labels, phi_rope_dims};
use super::vocab::gemma3_rows;
use crate::text::escape;

pub(super) type Done = Result<(), String>;

/// Starts of names of other towers.
const OTHER_STARTS: [&str; 10] = [
    "mlp",
    "vit.",
    "vpm.",
    "siglip2.",
    "conformer.",
    "merger.",
    "resampler.",
    "sound_encoder.",
    "sound_projection.",
    "speech_embeddings.",
];

/// Parts of names of other towers.
const OTHER_PARTS: [&str; 17] = [
    "visual.",
    "vision.",
    "audio.",
    "talker.",
    "vision_",
    "audio_",
    "token2wav.",
    "code2wav.",
    "projector.",
    "pre_mm_projector_norm",
    "image_newline",
    "view_seperator",
    "patch_embed",
    "patch_merger.",
    "patch_merge_mlp.",
    "model.connector.",
    "speech_embeddings.",
];

/// What every family does to names: other towers are left out, one prefix is taken away.
pub(super) fn text_name(name: &str) -> Option<String> {
    if OTHER_STARTS.iter().any(|s| name.starts_with(s)) || OTHER_PARTS.iter().any(|p| name.contains(p)) {
        return None;
    }
    let mut name = name.to_owned();
    if name.ends_with("e_score_correction_bias") {
        name = name.replace("e_score_correction_bias", "e_score_correction.bias");
    }
    Some(name.replace("language_model.", ""))
}

pub(super) fn same_name(name: &str) -> Option<String> {
    text_name(&name.replace("text_model.", ""))
}

pub(super) fn without_head(name: &str) -> Option<String> {
    if name == "lm_head.weight" { None } else { text_name(name) }
}

pub(super) fn bert_name(name: &str) -> Option<String> {
    let name = name.strip_prefix("bert.").unwrap_or(name);
    let name = match (name.strip_suffix(".gamma"), name.strip_suffix(".beta")) {
        (Some(stem), _) => format!("{stem}.weight"),
        (_, Some(stem)) => format!("{stem}.bias"),
        _ => name.to_owned(),
    };
    let dropped = matches!(name.as_str(), "embeddings.position_ids" | "pooler.dense.weight" | "pooler.dense.bias")
        || name.starts_with("cls.predictions")
        || name.starts_with("cls.seq_relationship");
    if dropped { None } else { text_name(&name) }
}

pub(super) fn gpt_oss_name(name: &str) -> Option<String> {
    text_name(&if name.contains("sinks") { format!("{name}.weight") } else { name.to_owned() })
}

pub(super) fn nothing(_: &mut Job<'_>) -> Done {
    Ok(())
}

pub(super) fn plain(job: &mut Job<'_>, t: &Loaded) -> Done {
    job.write_same(t)
}

pub(super) fn heads(job: &Job<'_>) -> Result<(u64, u64), String> {
    let heads = job.hparams.need(&["n_heads", "num_attention_heads"])?;
    Ok((heads, job.hparams.need(&["n_kv_heads", "num_key_value_heads"]).unwrap_or(heads)))
}

/// Q and K rows change places: only values change, but the rows must divide.
pub(super) fn check_permute(t: &Loaded, heads: (u64, u64)) -> Done {
    let is = |name: &str| t.name.ends_with(&format!("{name}.weight")) || t.name.ends_with(&format!("{name}.bias"));
    let n = match () {
        () if is("q_proj") => heads.0,
        () if is("k_proj") => heads.1,
        () => return Ok(()),
    };
    let rows = t.shape.first().copied().unwrap_or(0);
    if n == 0 || rows % n.saturating_mul(2) != 0 {
        return Err(format!("`{}` has {rows} rows, which {n} heads do not divide: the converter stops", escape(&t.name)));
    }
    Ok(())
}

pub(super) fn llama_start(job: &mut Job<'_>) -> Done {
    if job.hparams.find(&["draft_vocab_size", "transformer_layer_config"]).is_some() {
        return Err("draft models need their target model's folder, which is not given".to_owned());
    }
    let rope = job.hparams.rope.get("full_attention").and_then(Value::as_object).unwrap_or(&job.hparams.rope);
    if rope.get("rope_type").and_then(Value::as_str).is_some_and(|t| t.eq_ignore_ascii_case("llama3")) {
        let head = match job.hparams.some(&["head_dim"]).and_then(Value::as_u64) {
            Some(dim) => dim,
            None => job.hparams.need(&["hidden_size"])? / job.hparams.need(&["num_attention_heads"])?.max(1),
        };
        job.compute("rope_freqs.weight", head.div_ceil(2));
    }
    Ok(())
}

pub(super) fn llama(job: &mut Job<'_>, t: &Loaded) -> Done {
    check_permute(t, heads(job)?)?;
    if t.name.contains("block_sparse_moe.experts") {
        let experts = job.hparams.need(&["num_local_experts"])?;
        let parts = [("w1", "ffn_gate_exps"), ("w2", "ffn_down_exps"), ("w3", "ffn_up_exps")];
        return job.expert(t, ".experts.", &parts, experts);
    }
    if job.hparams.architecture() == Some("LlamaModel") {
        return job.write(&format!("model.{}", t.name), &t.shape, t, (1, 1));
    }
    job.write_same(t)
}

pub(super) fn qwen2(job: &mut Job<'_>, t: &Loaded) -> Done {
    if job.hparams.architecture() == Some("Qwen2Model") {
        return job.write(&format!("model.{}", t.name), &t.shape, t, (1, 1));
    }
    job.write_same(t)
}

pub(super) fn qwen3_start(job: &mut Job<'_>) -> Done {
    let hints = [job.folder.name.as_str(), job.folder.config.get("_name_or_path").and_then(Value::as_str).unwrap_or_default()];
    if hints.iter().any(|h| h.to_lowercase().contains("qwen3-reranker")) {
        job.doubtful = true;
        job.notes.push("rerankers get a head of two rows and keys of their own, which are not modelled".to_owned());
    }
    Ok(())
}

pub(super) const EXPERT_PARTS: [(&str, &str); 3] =
    [("down_proj", "ffn_down_exps"), ("gate_proj", "ffn_gate_exps"), ("up_proj", "ffn_up_exps")];

pub(super) fn qwen_moe(job: &mut Job<'_>, t: &Loaded) -> Done {
    let stem = t.name.strip_suffix(".weight").unwrap_or(&t.name);
    if stem.ends_with("mlp.experts.down_proj") {
        return job.write(&format!("{stem}.weight"), &t.shape, t, (1, 1));
    }
    if let Some(base) = stem.strip_suffix(".gate_up_proj").filter(|b| b.ends_with("mlp.experts")) {
        let [n, rows, columns] = t.shape[..] else {
            return Err(format!("`{}` has an unexpected shape: the converter stops", escape(&t.name)));
        };
        if rows % 2 != 0 {
            return Err(format!("`{}` has an odd number of rows: the converter stops", escape(&t.name)));
        }
        job.write(&format!("{base}.gate_proj.weight"), &[n, rows / 2, columns], t, (1, 2))?;
        return job.write(&format!("{base}.up_proj.weight"), &[n, rows / 2, columns], t, (1, 2));
    }
    if t.name.contains("experts") {
        let experts = job.hparams.need(&["num_local_experts", "num_experts"])?;
        return job.expert(t, "mlp.experts.", &EXPERT_PARTS, experts);
    }
    job.write_same(t)
}

pub(super) fn gemma3(job: &mut Job<'_>, t: &Loaded) -> Done {
    if t.name.contains("embed_tokens.weight") && t.shape.len() == 2 {
        let rows = gemma3_rows(job.folder, job.hparams).ok_or("there is no tokenizer.json: the converter stops")?;
        return job.write(&t.name, &[t.shape[0].min(rows), t.shape[1]], t, (1, 1));
    }
    job.write_same(t)
}

pub(super) fn phi3_start(job: &mut Job<'_>) -> Done {
    let rope = &job.hparams.rope;
    let list = |key: &str| rope.get(key).and_then(Value::as_array).map(|l| l.len() as u64);
    let Some(long) = list("long_factor").filter(|n| *n > 0) else { return Ok(()) };
    match rope.get("rope_type").and_then(Value::as_str) {
        Some("su" | "longrope" | "yarn") => {}
        _ => return Err("rope_scaling is of a kind that the converter does not know".to_owned()),
    }
    let dims = phi_rope_dims(job.hparams)?;
    if list("short_factor") != Some(long) || long * 2 != dims {
        return Err(format!("rope_scaling must have {} factors: the converter stops", dims / 2));
    }
    job.compute("rope_factors_long.weight", long);
    job.compute("rope_factors_short.weight", long);
    Ok(())
}

pub(super) fn gpt2(job: &mut Job<'_>, t: &Loaded) -> Done {
    let transposed = [".c_attn.weight", ".c_proj.weight", ".c_fc.weight"].iter().any(|s| t.name.ends_with(s));
    match t.shape[..] {
        [a, b] if transposed => job.write(&t.name, &[b, a], t, (1, 1)),
        _ => job.write_same(t),
    }
}

pub(super) fn reshape_fails(t: &Loaded) -> String {
    format!("`{}` cannot be reshaped with the heads of config.json: the converter stops", escape(&t.name))
}

pub(super) fn gpt_neox(job: &mut Job<'_>, t: &Loaded) -> Done {
    let n = job.hparams.need(&["n_head", "num_attention_heads"])?;
    let width = job.hparams.need(&["hidden_size", "n_embed"])?;
    let head = width.checked_div(n).unwrap_or(0);
    let expected = n.saturating_mul(3).saturating_mul(head);
    let wrong = (t.name.ends_with("attention.query_key_value.weight") && t.elements() != expected.saturating_mul(width))
        || (t.name.ends_with("attention.query_key_value.bias") && t.elements() != expected);
    if wrong { Err(reshape_fails(t)) } else { job.write_same(t) }
}

pub(super) fn falcon(job: &mut Job<'_>, t: &Loaded) -> Done {
    if t.name.contains("query_key_value") {
        let n = job.hparams.need(&["num_attention_heads", "n_head"])?;
        let kv = job.hparams.find(&["num_kv_heads", "n_head_kv"]).and_then(Value::as_u64).filter(|&n| n > 0).unwrap_or(1);
        let head = job.hparams.need(&["hidden_size"])?.checked_div(n).unwrap_or(0);
        let rows = kv.saturating_mul(n / kv + 2).saturating_mul(head);
        if t.elements() != rows.saturating_mul(head.saturating_mul(n)) {
            return Err(reshape_fails(t));
        }
    }
    job.write_same(t)
}

pub(super) fn bert(job: &mut Job<'_>, t: &Loaded) -> Done {
    if let Some(suffix) = t.name.strip_prefix("classifier.").filter(|s| matches!(*s, "weight" | "bias"))
        && !labels(job.hparams).is_empty()
    {
        return job.write(&format!("classifier.out_proj.{suffix}"), &t.shape, t, (1, 1));
    }
    job.write_same(t)
}

pub(super) fn nomic_start(job: &mut Job<'_>) -> Done {
    if job.hparams.some(&["moe_every_n_layers"]).and_then(Value::as_u64).is_some_and(|n| n > 0) {
        return Err("the mixture of experts of nomic-bert is not modelled".to_owned());
    }
    let positions = job.hparams.need(&["n_positions"])?;
    let trained = match job.hparams.find(&["max_trained_positions"]) {
        None => Some(2048),
        Some(n) => whole(n),
    };
    if !matches!(positions, 8192 | 2048) || trained != Some(2048) {
        return Err("n_positions and max_trained_positions are not as the converter knows them: it stops".to_owned());
    }
    Ok(())
}

pub(super) fn mamba(job: &mut Job<'_>, t: &Loaded) -> Done {
    if t.name.ends_with("conv1d.weight") {
        let squeezed: Vec<u64> = t.shape.iter().copied().filter(|&d| d != 1).collect();
        return job.write(&t.name, &squeezed, t, (1, 1));
    }
    if t.name == "lm_head.weight" {
        // Left out when its values equal the embedding's, which only the values tell.
        job.doubtful = true;
        let tied = job.hparams.some(&["tie_word_embeddings"]).and_then(Value::as_bool).unwrap_or(true);
        let what = if tied { "left out" } else { "written" };
        job.notes.push(format!(
            "the head is {what}, as tie_word_embeddings says: the converter compares its values with the embedding's"
        ));
        if tied {
            return Ok(());
        }
    }
    job.write_same(t)
}

pub(super) fn t5(job: &mut Job<'_>, t: &Loaded) -> Done {
    if matches!(t.name.as_str(), "decoder.embed_tokens.weight" | "encoder.embed_tokens.weight" | "shared.weight") {
        if job.shared_seen {
            return Ok(());
        }
        job.shared_seen = true;
        return job.write("shared.weight", &t.shape, t, (1, 1));
    }
    job.write_same(t)
}

pub(super) fn deepseek(job: &mut Job<'_>, t: &Loaded) -> Done {
    check_permute(t, heads(job)?)?;
    if t.name.contains("mlp.experts") {
        return job.expert(t, "mlp.experts.", &EXPERT_PARTS, job.hparams.need(&["n_routed_experts"])?);
    }
    job.write_same(t)
}

pub(super) fn deepseek2(job: &mut Job<'_>, t: &Loaded) -> Done {
    let tied = job.hparams.some(&["tie_word_embeddings"]).and_then(Value::as_bool) == Some(true);
    if tied && matches!(t.name.as_str(), "lm_head.weight" | "model.lm_head.weight") {
        return Ok(());
    }
    // Layers of multi-token prediction.
    let layers = job.hparams.need(&["num_hidden_layers"])?;
    let layer = t.name.strip_prefix("model.layers.").and_then(|n| n.split('.').next()?.parse::<u64>().ok());
    if layer.is_some_and(|n| n >= layers) {
        return Ok(());
    }
    if t.name.contains("mlp.experts") {
        return job.expert(t, "mlp.experts.", &EXPERT_PARTS, job.hparams.need(&["n_routed_experts"])?);
    }
    if t.name.ends_with("kv_b_proj.weight") {
        let h = job.hparams;
        let heads = h.need(&["num_key_value_heads"])?;
        let (v, nope) = (h.need(&["v_head_dim"])?, h.need(&["qk_nope_head_dim"])?);
        let [rows, rank] = t.shape[..] else { return Err(reshape_fails(t)) };
        if rows != heads.saturating_mul(v.saturating_add(nope)) || v + nope == 0 {
            return Err(reshape_fails(t));
        }
        // The key part is transposed; both together have the same elements.
        job.write(&t.name.replace("kv_b_proj", "k_b_proj"), &[heads, rank, nope], t, (nope, v + nope))?;
        return job.write(&t.name.replace("kv_b_proj", "v_b_proj"), &[heads, v, rank], t, (v, v + nope));
    }
    job.write_same(t)
}

pub(super) fn gpt_oss(job: &mut Job<'_>, t: &Loaded) -> Done {
    if t.fixed.is_some() {
        return job.write_same(t);
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
        job.write(&gate, &halves[0], t, (1, 2))?;
        return job.write(&up, &halves[1], t, (1, 2));
    }
    if t.name.contains("down_proj") {
        if t.name.ends_with("_bias") {
            return job.write(&t.name.replace("down_proj_bias", "down_proj.bias"), &t.shape, t, (1, 1));
        }
        if let [n, a, b] = t.shape[..] {
            return job.write(&t.name.replace("down_proj", "down_proj.weight"), &[n, b, a], t, (1, 1));
        }
    }
    job.write_same(t)
}
