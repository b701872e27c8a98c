//! Names of GGUF tensors: which an architecture may have, and under which Hugging Face names the converter finds them.
//!
//! As `TensorNameMap` of gguf-py has it: one table of names for all architectures, of which each allows some tensors.

use super::generated::gguf_architectures;
use super::generated::gguf_tensors::{ALLOWED, NAMES, OWN_NAMES, TENSORS};

/// Every `general.architecture` that llama.cpp loads, in the order of its own table.
pub const LOADED_ARCHITECTURES: &[&str] = gguf_architectures::LOADED;

/// Architectures that gguf-py writes and llama.cpp does not load.
pub const WRITTEN_ARCHITECTURES: &[&str] = gguf_architectures::WRITTEN;

/// Architectures that llama.cpp and gguf-py do not list: of other programs that write GGUF (image models, speech), and of llama.cpp's own
/// past and of what it took up later.
pub const OTHER_ARCHITECTURES: &[&str] = &[
    "flux",
    "sd1",
    "sd3",
    "sdxl",
    "aura",
    "hidream",
    "hyvid",
    "wan",
    "ltxv",
    "cosmos",
    "lumina2",
    "qwen_image",
    "pig",
    "whisper",
    "mllama",
    "gptoss",
    "gpt-neox",
    "rwkv",
    "persimmon",
    "cohere2moe",
    "smolvlm",
    "bitnet-b1.58",
    "bitnet-25",
    "mmproj",
    "controlvector",
    "deepseek4",
    "glm5-next",
    "bailingmoe3",
    "qwen2.5vl",
    "gemma3_text",
    "parakeet",
    "kokoro",
    "dia",
    "orpheus",
    "t5-encoder",
    "umt5",
];

/// The architecture of files that hold a projector beside a model (`mmproj`).
pub const PROJECTOR: &str = "clip";

/// Tensors that an architecture may have, by number; sorted.
fn allowed(architecture: &str) -> &'static [u16] {
    ALLOWED.binary_search_by(|(name, _)| (*name).cmp(architecture)).map_or(&[], |at| ALLOWED[at].1)
}

/// Whether an architecture may have a tensor of this name; `None` for an architecture whose tensors are not listed.
pub fn may_have(architecture: &str, name: &str) -> Option<bool> {
    let allowed = Some(allowed(architecture)).filter(|allowed| !allowed.is_empty())?;
    let whole = [".weight", ".bias", ".scale", ".input_scale"].iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name);
    let is_listed = |pattern: &str| named(pattern).any(|tensor| allowed.binary_search(&tensor).is_ok());
    Some([whole, name].iter().any(|name| spellings(name).any(|(pattern, _)| is_listed(&pattern))))
}

/// The GGUF name of a tensor called `name` in a file of this architecture with this many blocks; `None` where the converter has none
/// and stops. A suffix `.weight` or `.bias` is carried over.
pub fn of_architecture(architecture: &str, name: &str, blocks: u64) -> Option<String> {
    let allowed = allowed(architecture);
    let find = |key: &str| {
        let (tensor, block) = spellings(key).find_map(|(pattern, block)| {
            let below = block.is_none_or(|n| n.parse::<u64>().is_ok_and(|n| n < blocks));
            Some((below.then(|| tensor(architecture, allowed, &pattern))??, block))
        })?;
        Some(spelled(tensor, block))
    };
    find(name).or_else(|| {
        [".weight", ".bias"].iter().find_map(|suffix| {
            let mut found = find(name.strip_suffix(suffix)?)?;
            found.push_str(suffix);
            Some(found)
        })
    })
}

/// The GGUF names that a Hugging Face name (without `.weight` or `.bias`) stands for in any architecture.
pub fn of_any_architecture(name: &str) -> impl Iterator<Item = String> {
    spellings(name).flat_map(|(pattern, block)| {
        let shared = rows(&pattern).iter().map(|(_, tensor)| *tensor);
        let own = OWN_NAMES.iter().filter(|(_, _, names)| names.contains(&pattern.as_str())).map(|(_, tensor, _)| *tensor);
        shared.chain(own).map(move |tensor| spelled(tensor, block)).collect::<Vec<_>>()
    })
}

/// The tensor that a pattern stands for. Where several are allowed the last one counts, as in a dictionary that is filled in order.
fn tensor(architecture: &str, allowed: &[u16], pattern: &str) -> Option<u16> {
    let may_have = |tensor: u16| allowed.binary_search(&tensor).is_ok();
    let own = || OWN_NAMES.iter().filter(|(arch, _, _)| *arch == architecture);
    let replaced = |tensor: u16| own().any(|(_, other, _)| *other == tensor);
    let shared = rows(pattern).iter().map(|(_, tensor)| *tensor).filter(|&t| may_have(t) && !replaced(t));
    let of_its_own = own().filter(|(_, t, names)| may_have(*t) && names.contains(&pattern)).map(|(_, tensor, _)| *tensor);
    let itself = || named(pattern).find(|&tensor| may_have(tensor));
    shared.chain(of_its_own).last().or_else(itself)
}

/// The tensors of one GGUF name: `ffn_norm` is that before the feed-forward part in Gemma and after attention elsewhere.
fn named(pattern: &str) -> impl Iterator<Item = u16> {
    let at = TENSORS.iter().enumerate().filter(move |(_, name)| **name == pattern);
    at.filter_map(|(at, _)| u16::try_from(at).ok())
}

/// Rows of one name.
fn rows(pattern: &str) -> &'static [(&'static str, u16)] {
    let from = NAMES.partition_point(|(name, _)| *name < pattern);
    let to = NAMES.partition_point(|(name, _)| *name <= pattern);
    &NAMES[from..to]
}

/// The name as it is, and with each of its numbers as the number of the block.
fn spellings(name: &str) -> impl Iterator<Item = (String, Option<&str>)> {
    let pieces = name.split('.').scan(0, |at, piece| {
        let start = *at;
        *at += piece.len() + 1;
        Some((start, piece))
    });
    // `007` is no number of a block.
    let numbers =
        pieces.filter(|(_, p)| p.bytes().all(|b| b.is_ascii_digit()) && (p.len() == 1 || !p.is_empty() && !p.starts_with('0')));
    let numbered = numbers.map(move |(at, piece)| (format!("{}{{}}{}", &name[..at], &name[at + piece.len()..]), Some(piece)));
    std::iter::once((name.to_owned(), None)).chain(numbered)
}

fn spelled(tensor: u16, block: Option<&str>) -> String {
    let name = TENSORS.get(usize::from(tensor)).copied().unwrap_or_default();
    block.map_or_else(|| name.to_owned(), |block| name.replace("{}", block))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_architecture_may_have_goes_by_the_name() {
        for (architecture, name, may) in [
            ("gemma3", "blk.3.ffn_norm.weight", Some(true)),
            ("llama", "blk.3.ffn_norm.weight", Some(true)),
            ("llama", "blk.3.ssm_a", Some(false)),
            ("mamba", "blk.3.ssm_a", Some(true)),
            ("llama", "blk.x.attn_q.weight", Some(false)),
            ("llama", "blk.0.attn_q.scale", Some(true)),
            ("no-such", "blk.0.attn_q.weight", None),
        ] {
            assert_eq!(may_have(architecture, name), may, "{architecture} {name}");
        }
    }

    #[test]
    fn tables_are_sorted_so_that_each_row_is_found() {
        assert!(NAMES.windows(2).all(|pair| pair[0].0 <= pair[1].0));
        assert!(ALLOWED.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert!(ALLOWED.iter().all(|(_, tensors)| tensors.windows(2).all(|pair| pair[0] < pair[1])));
        assert!(LOADED_ARCHITECTURES.len() > 150 && LOADED_ARCHITECTURES.contains(&"gemma3"));
    }

    /// Expected values: `get_tensor_name_map(arch, 4).get_name(name, (".weight", ".bias"))` of gguf-py.
    #[test]
    fn names_are_those_of_the_converter() {
        for (architecture, name, expected) in [
            ("llama", "model.layers.3.post_attention_layernorm.weight", Some("blk.3.ffn_norm.weight")),
            ("gemma2", "model.layers.3.post_attention_layernorm.weight", Some("blk.3.post_attention_norm.weight")),
            ("llama", "model.layers.4.self_attn.q_proj.weight", None),
            ("llama", "model.layers.03.self_attn.q_proj.weight", None),
            ("t5", "encoder.block.1.layer.0.SelfAttention.q.weight", Some("enc.blk.1.attn_q.weight")),
            ("gpt2", "transformer.h.0.attn.c_attn.bias", Some("blk.0.attn_qkv.bias")),
            ("arctic", "model.layers.2.post_attention_layernorm.weight", Some("blk.2.ffn_norm_exps.weight")),
            ("llama", "blk.1.attn_q.weight", Some("blk.1.attn_q.weight")),
            ("llama", "visual.patch_embed.proj.weight", None),
            ("no-such", "model.embed_tokens.weight", None),
        ] {
            assert_eq!(of_architecture(architecture, name, 4).as_deref(), expected, "{architecture}: {name}");
        }
    }
}
