//! BERT, and GPT-2, whose projections are turned.

use super::{Declared, known, times};

type Done = Result<(), String>;

fn norm(d: &mut Declared<'_>, module: &str, width: u64) -> Done {
    d.weight(module, &[width])?;
    d.add(format!("{module}.bias"), &[width])
}

pub(super) fn gpt2(d: &mut Declared<'_>) -> Done {
    let hidden = known(d.model.hidden_size, "n_embd")?;
    let layers = known(d.model.layers, "n_layer")?;
    let ffn = known(d.model.ffn_size, "n_inner")?;
    let turned = |d: &mut Declared<'_>, module: String, inputs: u64, outputs: u64| {
        d.weight(&module, &[inputs, outputs])?;
        d.add(format!("{module}.bias"), &[outputs])
    };
    d.weight("transformer.wte", &[known(d.model.vocab_size, "vocab_size")?, hidden])?;
    d.weight("transformer.wpe", &[d.need("n_positions")?, hidden])?;
    for layer in 0..layers {
        let block = format!("transformer.h.{layer}");
        norm(d, &format!("{block}.ln_1"), hidden)?;
        turned(d, format!("{block}.attn.c_attn"), hidden, times(hidden, 3)?)?;
        turned(d, format!("{block}.attn.c_proj"), hidden, hidden)?;
        norm(d, &format!("{block}.ln_2"), hidden)?;
        turned(d, format!("{block}.mlp.c_fc"), hidden, ffn)?;
        turned(d, format!("{block}.mlp.c_proj"), ffn, hidden)?;
    }
    norm(d, "transformer.ln_f", hidden)
}

/// The encoder with its pooler: the classes `BertModel` and those with a head on it name the encoder's tensors alike, but for a
/// prefix; heads are not declared by a configuration.
pub(super) fn bert(d: &mut Declared<'_>) -> Done {
    let hidden = known(d.model.hidden_size, "hidden_size")?;
    let layers = known(d.model.layers, "num_hidden_layers")?;
    let ffn = known(d.model.ffn_size, "intermediate_size")?;
    d.weight("embeddings.word_embeddings", &[known(d.model.vocab_size, "vocab_size")?, hidden])?;
    d.weight("embeddings.position_embeddings", &[d.need("max_position_embeddings")?, hidden])?;
    d.weight("embeddings.token_type_embeddings", &[d.count("type_vocab_size").unwrap_or(2), hidden])?;
    norm(d, "embeddings.LayerNorm", hidden)?;
    for layer in 0..layers {
        let block = format!("encoder.layer.{layer}");
        for part in ["query", "key", "value"] {
            d.linear(&format!("{block}.attention.self.{part}"), hidden, hidden, true)?;
        }
        d.linear(&format!("{block}.attention.output.dense"), hidden, hidden, true)?;
        norm(d, &format!("{block}.attention.output.LayerNorm"), hidden)?;
        d.linear(&format!("{block}.intermediate.dense"), ffn, hidden, true)?;
        d.linear(&format!("{block}.output.dense"), hidden, ffn, true)?;
        norm(d, &format!("{block}.output.LayerNorm"), hidden)?;
    }
    d.linear("pooler.dense", hidden, hidden, true)
}
