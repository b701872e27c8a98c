//! Decoders with routed experts.

use serde_json::Value;

use super::decoder::{QkNorm, Style, attention, mlp, model, norms};
use super::{Declared, known, times};
use crate::dtype::Dtype;

type Done = Result<(), String>;

pub(super) fn mixtral(d: &mut Declared<'_>) -> Done {
    let ffn = known(d.model.ffn_size, "intermediate_size")?;
    let hidden = known(d.model.hidden_size, "hidden_size")?;
    let experts = known(d.model.experts, "num_local_experts")?;
    model(d, |d, block, _| {
        attention(d, &format!("{block}.self_attn"), Style::LLAMA)?;
        d.weight(&format!("{block}.block_sparse_moe.gate"), &[experts, hidden])?;
        for expert in 0..experts {
            let expert = format!("{block}.block_sparse_moe.experts.{expert}");
            d.weight(&format!("{expert}.w1"), &[ffn, hidden])?;
            d.weight(&format!("{expert}.w2"), &[hidden, ffn])?;
            d.weight(&format!("{expert}.w3"), &[ffn, hidden])?;
        }
        norms(d, block, Style::LLAMA)
    })
}

/// A router and its experts, each with gate, up and down.
fn moe(d: &mut Declared<'_>, module: &str) -> Done {
    let hidden = known(d.model.hidden_size, "hidden_size")?;
    let experts = known(d.model.experts, "num_experts")?;
    let width = known(d.model.expert_ffn_size, "moe_intermediate_size")?;
    d.weight(&format!("{module}.gate"), &[experts, hidden])?;
    (0..experts).try_for_each(|expert| mlp(d, &format!("{module}.experts.{expert}"), width, Style::LLAMA))
}

pub(super) fn qwen3_moe(d: &mut Declared<'_>) -> Done {
    let bias = d.flag("attention_bias");
    let style = Style { qk_norm: QkNorm::Head, qkv_bias: bias, o_bias: bias, ..Style::LLAMA };
    let step = d.count("decoder_sparse_step").unwrap_or(1).max(1);
    let dense: Vec<u64> =
        d.config.get("mlp_only_layers").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_u64).collect();
    model(d, |d, block, layer| {
        attention(d, &format!("{block}.self_attn"), style)?;
        if dense.contains(&layer) || !(layer + 1).is_multiple_of(step) {
            let ffn = known(d.model.ffn_size, "intermediate_size")?;
            mlp(d, &format!("{block}.mlp"), ffn, style)?;
        } else {
            moe(d, &format!("{block}.mlp"))?;
        }
        norms(d, block, style)
    })
}

/// Latent attention, shared and routed experts after the first blocks, and blocks that predict further tokens, each with an embedding
/// and a head of its own.
pub(super) fn deepseek_v3(d: &mut Declared<'_>) -> Done {
    let hidden = known(d.model.hidden_size, "hidden_size")?;
    let layers = known(d.model.layers, "num_hidden_layers")?;
    let vocab = known(d.model.vocab_size, "vocab_size")?;
    model(d, deepseek_block)?;
    for layer in 0..d.count("num_nextn_predict_layers").unwrap_or(0) {
        let layer = layers.checked_add(layer).ok_or("too many layers")?;
        let block = format!("model.layers.{layer}");
        deepseek_block(d, &block, layer)?;
        d.weight(&format!("{block}.embed_tokens"), &[vocab, hidden])?;
        d.weight(&format!("{block}.enorm"), &[hidden])?;
        d.weight(&format!("{block}.hnorm"), &[hidden])?;
        d.weight(&format!("{block}.eh_proj"), &[hidden, times(hidden, 2)?])?;
        d.weight(&format!("{block}.shared_head.norm"), &[hidden])?;
        d.weight(&format!("{block}.shared_head.head"), &[vocab, hidden])?;
    }
    Ok(())
}

fn deepseek_block(d: &mut Declared<'_>, block: &str, layer: u64) -> Done {
    let hidden = known(d.model.hidden_size, "hidden_size")?;
    let attn = format!("{block}.self_attn");
    let heads = known(d.model.heads, "num_attention_heads")?;
    let (latent, nope) = (d.need("kv_lora_rank")?, d.need("qk_nope_head_dim")?);
    let (rope, value) = (d.need("qk_rope_head_dim")?, d.need("v_head_dim")?);
    let sum = |a: u64, b: u64| a.checked_add(b).ok_or_else(|| "a head does not fit 64 bits".to_owned());
    let queries = times(heads, sum(nope, rope)?)?;
    match d.count("q_lora_rank") {
        Some(rank) => {
            d.weight(&format!("{attn}.q_a_proj"), &[rank, hidden])?;
            d.weight(&format!("{attn}.q_a_layernorm"), &[rank])?;
            d.weight(&format!("{attn}.q_b_proj"), &[queries, rank])?;
        }
        None => d.weight(&format!("{attn}.q_proj"), &[queries, hidden])?,
    }
    d.weight(&format!("{attn}.kv_a_proj_with_mqa"), &[sum(latent, rope)?, hidden])?;
    d.weight(&format!("{attn}.kv_a_layernorm"), &[latent])?;
    d.weight(&format!("{attn}.kv_b_proj"), &[times(heads, sum(nope, value)?)?, latent])?;
    d.weight(&format!("{attn}.o_proj"), &[hidden, times(heads, value)?])?;
    let module = format!("{block}.mlp");
    if layer < d.count("first_k_dense_replace").unwrap_or(0) {
        mlp(d, &module, known(d.model.ffn_size, "intermediate_size")?, Style::LLAMA)?;
    } else {
        moe(d, &module)?;
        let experts = known(d.model.experts, "n_routed_experts")?;
        d.add_as(format!("{module}.gate.e_score_correction_bias"), Dtype::F32, &[experts])?;
        if let Some(shared) = d.model.shared_experts {
            let width = times(known(d.model.expert_ffn_size, "moe_intermediate_size")?, shared)?;
            mlp(d, &format!("{module}.shared_experts"), width, Style::LLAMA)?;
        }
    }
    norms(d, block, Style::LLAMA)
}

/// Experts in fused tensors, [experts, in, out]; biases everywhere; sinks beside the heads.
pub(super) fn gpt_oss(d: &mut Declared<'_>) -> Done {
    let hidden = known(d.model.hidden_size, "hidden_size")?;
    let ffn = known(d.model.ffn_size, "intermediate_size")?;
    let experts = known(d.model.experts, "num_local_experts")?;
    let heads = known(d.model.heads, "num_attention_heads")?;
    let gate_up = times(ffn, 2)?;
    let style = Style { qkv_bias: true, o_bias: true, ..Style::LLAMA };
    model(d, |d, block, _| {
        attention(d, &format!("{block}.self_attn"), style)?;
        d.add(format!("{block}.self_attn.sinks"), &[heads])?;
        d.linear(&format!("{block}.mlp.router"), experts, hidden, true)?;
        let module = format!("{block}.mlp.experts");
        d.add(format!("{module}.gate_up_proj"), &[experts, hidden, gate_up])?;
        d.add(format!("{module}.gate_up_proj_bias"), &[experts, gate_up])?;
        d.add(format!("{module}.down_proj"), &[experts, ffn, hidden])?;
        d.add(format!("{module}.down_proj_bias"), &[experts, hidden])?;
        norms(d, block, style)
    })
}
