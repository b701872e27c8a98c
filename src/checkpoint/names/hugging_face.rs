//! Names as Hugging Face models, Meta's consolidated files and diffusers spell them.
//!
//! A name is cut at its dots. What settles it alone comes first (buffers, adapters, bookkeeping), then pieces that decide wherever
//! they stand (towers, experts, routers), then a norm in last place, then the piece deepest in the name that is in a table.

use super::segments::{Segments, index};
use super::vocabulary::{AUXILIARY, AUXILIARY_ENDS, CONTAINERS, NO_LAYERS};
use super::{Naming, Role, adapter, buffer};
use crate::families::modules::{self, RANK, Says};

pub(super) fn classify(name: &str) -> Naming {
    let segments = Segments::of(name);
    let pieces = strip_wrappers(segments.all());
    let (layer, expert) = numbers(pieces);
    let role = role(&segments, pieces);
    Naming { role, layer, expert }
}

/// Whether the name alone says that a tensor is bookkeeping of a quantization.
pub(super) fn is_auxiliary(leaf: &str) -> bool {
    // Nearly every name ends in one of these two.
    if matches!(leaf, "weight" | "bias") {
        return false;
    }
    AUXILIARY.contains(&leaf) || AUXILIARY_ENDS.iter().any(|end| leaf.ends_with(end))
}

/// Drops what training and compilation wrap around a model; what is left starts with the model's own names.
fn strip_wrappers<'a, 'b>(mut pieces: &'b [&'a str]) -> &'b [&'a str] {
    const WRAPPERS: &[&str] =
        &["base_model", "module", "_orig_mod", "_fsdp_wrapped_module", "base_layer", "model", "language_model"];
    while let [first, rest @ ..] = pieces {
        // `model.norm.weight`: at least a module and a leaf must stay.
        if rest.len() < 2 || !WRAPPERS.contains(first) {
            break;
        }
        pieces = rest;
    }
    pieces
}

fn role(segments: &Segments<'_>, pieces: &[&str]) -> Role {
    if buffer::named_so(segments) {
        return Role::Buffer;
    }
    if adapter::is_adapter(segments) {
        return Role::Adapter;
    }
    let leaf = segments.leaf();
    // fracast and its like: `X.weight.scale` beside `X.weight.qweight`.
    if is_auxiliary(leaf) || matches!(pieces, [.., module, "scale" | "zero_point"] if module.ends_with("weight")) {
        return Role::QuantAux;
    }
    if let Some(role) = anywhere(pieces) {
        return role;
    }
    let (module, parents) = module_and_parents(pieces);
    if is_norm(module) || is_norm(leaf) {
        return Role::Norm;
    }
    if let Some(role) = whole_name(pieces) {
        return role;
    }
    if let Some(role) = gate_or_stack(pieces) {
        return role;
    }
    deepest(module, parents, leaf)
}

fn anywhere(pieces: &[&str]) -> Option<Role> {
    let mut best: Option<usize> = None;
    for piece in pieces {
        let rank = modules::of(piece).and_then(|module| match module.role {
            Says::Anywhere(role) => RANK.iter().position(|&r| r == role),
            _ => None,
        });
        best = match (best, rank) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }
    best.map(|rank| RANK[rank])
}

/// The module that owns the parameter, and what stands above it. Parameters without a module of their own (`mixer.A_log`,
/// `self_attn.sinks`, `experts.gate_up_proj`) are taken as the module.
fn module_and_parents<'a, 'b>(pieces: &'b [&'a str]) -> (&'a str, &'b [&'a str]) {
    const PARAMETERS: &[&str] =
        &["weight", "bias", "qweight", "weight_packed", "W_q", "_weight_qdata", "_data", "trellis", "q_weight", "scale", "zero"];
    let mut end = pieces.len();
    while end > 1 && PARAMETERS.contains(&pieces[end - 1]) {
        end -= 1;
    }
    match pieces[..end].split_last() {
        Some((module, parents)) => (module, parents),
        None => ("", &[]),
    }
}

/// `input_layernorm`, `q_norm`, `LayerNorm`, `ln_1`, `ln_f`, `norm1`, `norm_f`, `attention_norm`, `final_layer_norm`, `group_norm`,
/// `self_attn_layer_norm`, `norm_out`, `ln0`, `word_embeddings_layernorm`, `emb_ln`.
fn is_norm(piece: &str) -> bool {
    let numbered = piece.trim_end_matches(|c: char| c.is_ascii_digit());
    numbered.ends_with("norm")
        || numbered.ends_with("LayerNorm")
        || numbered.ends_with("_norm_")
        || numbered.starts_with("norm_")
        || numbered.ends_with("_ln")
        || (numbered == "ln" && piece != "ln")
        || piece.starts_with("ln_")
        || piece == "conv_norm_out"
}

/// Names whose meaning hangs on where they stand, or on being all there is.
fn whole_name(pieces: &[&str]) -> Option<Role> {
    Some(match pieces {
        // Meta's consolidated files and RWKV.
        ["output", "weight" | "bias" | "qweight"] | ["head", "weight"] => Role::LmHead,
        ["head", "bias"] => Role::Head,
        // T5 and BART; RWKV's and DeepSeek's own files.
        ["shared" | "emb" | "embed", "weight"] => Role::Embedding,
        // InternVL.
        ["mlp1", n, _] if index(n).is_some() => Role::Projector,
        // Mamba, RWKV, GPT-NeoX-like stacks: one table under this name. In BERT `embeddings` has children.
        ["embeddings" | "embedding", "weight"] | ["backbone" | "rwkv", "embeddings" | "embedding", "weight"] => Role::Embedding,
        ["cls", "predictions", "decoder", ..] | ["cls", "predictions", "bias"] => Role::LmHead,
        // BERT and its like: the second half of the feed-forward block is `layer.N.output.dense`.
        [.., "layer", n, "output", "dense", _] if index(n).is_some() => Role::Mlp,
        // LFM2: a short convolution in the place of attention.
        [.., "layers", n, "conv", _, _] if index(n).is_some() => Role::Recurrent,
        // RWKV under its transformers names: the same pieces as attention, another mechanism.
        ["rwkv", "blocks", _, "attention", ..] => Role::Recurrent,
        // RWKV's own names.
        ["blocks", n, "att", ..] if index(n).is_some() => Role::Recurrent,
        ["blocks", n, "ffn", ..] if index(n).is_some() => Role::Mlp,
        _ => return None,
    })
}

/// A `gate` right under a feed-forward module is a router (`mlp.gate`, `block_sparse_moe.gate`, consolidated
/// `feed_forward.gate`); Granite's stacked experts stand right under `block_sparse_moe`, Step's right under `moe`.
fn gate_or_stack(pieces: &[&str]) -> Option<Role> {
    match pieces {
        [.., "mlp" | "feed_forward" | "block_sparse_moe" | "moe" | "mixer" | "ffn", "gate", _] => Some(Role::Router),
        [.., "block_sparse_moe", "input_linear" | "output_linear", _] => Some(Role::Expert),
        [.., "moe", "gate_proj" | "up_proj" | "down_proj", _] => Some(Role::Expert),
        _ => None,
    }
}

fn deepest(module: &str, parents: &[&str], leaf: &str) -> Role {
    // A convolution is only called one where nothing above it says what it is for (`mixer.conv1d` is the mixer's).
    let mut found = Role::Other;
    let own = [leaf, module];
    // A leaf like `weight` is in no table; a parameter of its own (`A_log`, `sinks`) is leaf and module at once.
    for piece in own.into_iter().chain(parents.iter().rev().copied()) {
        match role_of(piece).or_else(|| stem(piece)) {
            Some(Role::Conv) if found == Role::Other => found = Role::Conv,
            Some(Role::Conv) | None => {}
            Some(role) => return role,
        }
    }
    found
}

/// `gate_up_proj_blocks`, `gate_up_proj_bias`, `in_proj_weight`: parameters that carry their kind in the module's name.
fn stem(piece: &str) -> Option<Role> {
    let stem = ["_blocks", "_bias", "_weight"].iter().find_map(|end| piece.strip_suffix(end))?;
    role_of(stem)
}

fn role_of(piece: &str) -> Option<Role> {
    match modules::of(piece)?.role {
        Says::Deepest(role) => Some(role),
        _ => None,
    }
}

fn numbers(pieces: &[&str]) -> (Option<u32>, Option<u32>) {
    let mut layer = None;
    let mut expert = None;
    let stack = !pieces.first().is_some_and(|first| NO_LAYERS.contains(first))
        && !pieces.get(1).is_some_and(|second| NO_LAYERS.contains(second));
    for pair in pieces.windows(2) {
        let Some(number) = index(pair[1]) else { continue };
        if pair[0] == "experts" {
            expert = expert.or(Some(number));
        } else if stack && layer.is_none() && CONTAINERS.contains(&pair[0]) {
            layer = Some(number);
        }
    }
    (layer, expert)
}
