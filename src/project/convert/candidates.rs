//! The GGUF tensor that a Hugging Face one may have become, whatever its family: for comparing two files, where the other side
//! tells which names there are.

use crate::families::gguf_names;

/// Prefixes under which the tables know a name.
const SPELLINGS: &[&str] = &["", "model.", "transformer.", "encoder.", "gpt_neox.", "backbone."];

/// Experts stored one by one, and the module that stacks them.
const EXPERTS: &[(&str, &str)] = &[("w1", "gate_proj"), ("w2", "down_proj"), ("w3", "up_proj")];

/// The names of the table that `exists` knows: one, two where the converter splits the tensor, none where nothing fits.
pub(crate) fn gguf_candidates(name: &str, exists: impl Fn(&str) -> bool) -> Vec<String> {
    let stacked = without_expert(name);
    let name = stacked.as_deref().unwrap_or(name);
    let mut spelled = String::with_capacity(name.len() + 16);
    for prefix in SPELLINGS {
        spelled.clear();
        spelled.push_str(prefix);
        spelled.push_str(name);
        for suffix in ["", ".weight", ".bias"] {
            let Some(key) = spelled.strip_suffix(suffix) else { continue };
            if let Some(found) = lookup(key, suffix, &exists) {
                return vec![found];
            }
        }
    }
    split_in_two(name, exists)
}

fn lookup(key: &str, suffix: &str, exists: &impl Fn(&str) -> bool) -> Option<String> {
    gguf_names::of_any_architecture(key).map(|to| to + suffix).find(|to| exists(to))
}

/// Turns `experts.7.w1` into `experts.gate_proj`; `None` for tensors that are not a single expert.
fn without_expert(name: &str) -> Option<String> {
    let (before, rest) = name.split_once(".experts.")?;
    let (number, module) = rest.split_once('.')?;
    number.bytes().all(|b| b.is_ascii_digit()).then_some(())?;
    let (module, suffix) = module.split_once('.')?;
    let module = EXPERTS.iter().find(|(short, _)| *short == module).map_or(module, |(_, long)| *long);
    let before = before.strip_suffix("block_sparse_moe").map_or_else(|| before.to_owned(), |layer| format!("{layer}mlp"));
    Some(format!("{before}.experts.{module}.{suffix}"))
}

/// MLA's `kv_b_proj`, which the converter parts into keys and values.
fn split_in_two(name: &str, exists: impl Fn(&str) -> bool) -> Vec<String> {
    let layer = name.rsplit_once(".self_attn.kv_b_proj.").and_then(|(before, _)| before.rsplit_once('.')).map(|(_, n)| n);
    let Some(n) = layer else { return Vec::new() };
    let parts = [format!("blk.{n}.attn_k_b.weight"), format!("blk.{n}.attn_v_b.weight")];
    if parts.iter().all(|part| exists(part)) { parts.into() } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use crate::project::convert::candidates::gguf_candidates;

    #[test]
    fn the_other_side_decides_between_names() {
        for (name, there, found) in [
            ("layers.3.self_attn.q_proj.weight", "blk.3.attn_q.weight", true),
            ("layers.3.post_attention_layernorm.weight", "blk.3.ffn_norm.weight", true),
            ("layers.3.post_attention_layernorm.weight", "blk.3.post_attention_norm.weight", true),
            ("h.0.attn.c_attn.bias", "blk.0.attn_qkv.bias", true),
            ("layers.1.block_sparse_moe.experts.5.w2.weight", "blk.1.ffn_down_exps.weight", true),
            ("embeddings.word_embeddings.weight", "token_embd.weight", true),
            ("layers.x.self_attn.q_proj.weight", "blk.x.attn_q.weight", false),
            ("layers.3.self_attn.q_proj.weight", "blk.4.attn_q.weight", false),
        ] {
            let got = gguf_candidates(name, |candidate| candidate == there);
            assert_eq!(got == [there.to_owned()], found, "{name}: {got:?}");
        }
        let both = gguf_candidates("layers.2.self_attn.kv_b_proj.weight", |c| c != "blk.2.attn_kv_b.weight");
        assert_eq!(both, ["blk.2.attn_k_b.weight", "blk.2.attn_v_b.weight"]);
    }
}
