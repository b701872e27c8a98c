//! Decoders of one kind: attention and a gated feed-forward part in each block.

use super::{Declared, known, times};

type Done = Result<(), String>;

/// The norms of queries and keys.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum QkNorm {
    None,
    /// Over one head.
    Head,
    /// Over all heads.
    Whole,
}

/// How a family's blocks differ from Llama's.
#[derive(Clone, Copy)]
pub(super) struct Style {
    pub(super) qkv_bias: bool,
    pub(super) o_bias: bool,
    pub(super) mlp_bias: bool,
    pub(super) qk_norm: QkNorm,
    pub(super) norms: &'static [&'static str],
    /// One tensor for queries, keys and values, one for gate and up.
    pub(super) fused: bool,
}

const PRE: &[&str] = &["input_layernorm", "post_attention_layernorm"];
const AROUND: &[&str] = &["input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm"];
const POST: &[&str] = &["post_attention_layernorm", "post_feedforward_layernorm"];

impl Style {
    pub(super) const LLAMA: Self =
        Self { qkv_bias: false, o_bias: false, mlp_bias: false, qk_norm: QkNorm::None, norms: PRE, fused: false };
}

/// `attention_bias` gives all four projections one.
fn biased(d: &Declared<'_>, style: Style) -> Style {
    let all = d.flag("attention_bias");
    Style { qkv_bias: style.qkv_bias || all, o_bias: style.o_bias || all, ..style }
}

pub(super) fn llama(d: &mut Declared<'_>) -> Done {
    let style = Style { mlp_bias: d.flag("mlp_bias"), ..biased(d, Style::LLAMA) };
    dense(d, style)
}

pub(super) fn mistral(d: &mut Declared<'_>) -> Done {
    dense(d, Style::LLAMA)
}

pub(super) fn qwen2(d: &mut Declared<'_>) -> Done {
    dense(d, Style { qkv_bias: true, ..Style::LLAMA })
}

pub(super) fn qwen3(d: &mut Declared<'_>) -> Done {
    let style = biased(d, Style { qk_norm: QkNorm::Head, ..Style::LLAMA });
    dense(d, style)
}

pub(super) fn gemma2(d: &mut Declared<'_>) -> Done {
    let style = biased(d, Style { norms: AROUND, ..Style::LLAMA });
    dense(d, style)
}

pub(super) fn gemma3(d: &mut Declared<'_>) -> Done {
    let style = biased(d, Style { norms: AROUND, qk_norm: QkNorm::Head, ..Style::LLAMA });
    dense(d, style)
}

pub(super) fn phi3(d: &mut Declared<'_>) -> Done {
    dense(d, Style { fused: true, ..Style::LLAMA })
}

pub(super) fn olmo2(d: &mut Declared<'_>) -> Done {
    let style = biased(d, Style { norms: POST, qk_norm: QkNorm::Whole, ..Style::LLAMA });
    dense(d, style)
}

fn dense(d: &mut Declared<'_>, style: Style) -> Done {
    let ffn = known(d.model.ffn_size, "intermediate_size")?;
    model(d, |d, block, _| {
        attention(d, &format!("{block}.self_attn"), style)?;
        mlp(d, &format!("{block}.mlp"), ffn, style)?;
        norms(d, block, style)
    })
}

/// Embedding, blocks, last norm, head.
pub(super) fn model(d: &mut Declared<'_>, mut write_block: impl FnMut(&mut Declared<'_>, &str, u64) -> Done) -> Done {
    let hidden = known(d.model.hidden_size, "hidden_size")?;
    let vocab = known(d.model.vocab_size, "vocab_size")?;
    let layers = known(d.model.layers, "num_hidden_layers")?;
    d.weight("model.embed_tokens", &[vocab, hidden])?;
    for layer in 0..layers {
        write_block(d, &format!("model.layers.{layer}"), layer)?;
    }
    d.weight("model.norm", &[hidden])?;
    if d.model.tied_embeddings == Some(true) { Ok(()) } else { d.weight("lm_head", &[vocab, hidden]) }
}

pub(super) fn norms(d: &mut Declared<'_>, block: &str, style: Style) -> Done {
    let hidden = known(d.model.hidden_size, "hidden_size")?;
    style.norms.iter().try_for_each(|norm| d.weight(&format!("{block}.{norm}"), &[hidden]))
}

pub(super) fn attention(d: &mut Declared<'_>, module: &str, style: Style) -> Done {
    let hidden = known(d.model.hidden_size, "hidden_size")?;
    let heads = known(d.model.heads, "num_attention_heads")?;
    let kv_heads = known(d.model.kv_heads, "num_key_value_heads")?;
    let head = known(d.model.head_dim, "head_dim")?;
    let (queries, keys) = (times(heads, head)?, times(kv_heads, head)?);
    if style.fused {
        let all = times(keys, 2)?.checked_add(queries).ok_or("the heads do not fit 64 bits")?;
        d.linear(&format!("{module}.qkv_proj"), all, hidden, style.qkv_bias)?;
    } else {
        for (part, rows) in [("q_proj", queries), ("k_proj", keys), ("v_proj", keys)] {
            d.linear(&format!("{module}.{part}"), rows, hidden, style.qkv_bias)?;
        }
    }
    d.linear(&format!("{module}.o_proj"), hidden, queries, style.o_bias)?;
    let norms = match style.qk_norm {
        QkNorm::None => return Ok(()),
        QkNorm::Head => [("q_norm", head), ("k_norm", head)],
        QkNorm::Whole => [("q_norm", queries), ("k_norm", keys)],
    };
    norms.into_iter().try_for_each(|(part, width)| d.weight(&format!("{module}.{part}"), &[width]))
}

pub(super) fn mlp(d: &mut Declared<'_>, module: &str, width: u64, style: Style) -> Done {
    let hidden = known(d.model.hidden_size, "hidden_size")?;
    if style.fused {
        d.linear(&format!("{module}.gate_up_proj"), times(width, 2)?, hidden, style.mlp_bias)?;
    } else {
        d.linear(&format!("{module}.gate_proj"), width, hidden, style.mlp_bias)?;
        d.linear(&format!("{module}.up_proj"), width, hidden, style.mlp_bias)?;
    }
    d.linear(&format!("{module}.down_proj"), hidden, width, style.mlp_bias)
}
