//! Which of the stacks of blocks in a file is the decoder that the configuration describes.
//!
//! A file may hold further stacks whose names end alike: vision and audio towers, perceivers, draft heads, the talker of a model that
//! speaks. Names of towers are many and new ones come; what marks the decoder is that its module holds the token embedding beside
//! the blocks (`model.language_model.embed_tokens` beside `model.language_model.layers`).

use std::collections::BTreeMap;

use super::names::in_stack;
use super::{ModelConfig, Role};

/// More stacks than any model has (diffusion pipelines have some 30): a file that claims more is not looked into.
const MOST_STACKS: usize = 1024;

/// Modules that hold the decoder, between the file's root and its blocks.
const OWN: &[&str] = &[
    "_fsdp_wrapped_module",
    "_orig_mod",
    "backbone",
    "base_model",
    "decoder",
    "gpt_neox",
    "language",
    "language_model",
    "llama",
    "llm",
    "lm",
    "model",
    "module",
    "text",
    "text_model",
    "thinker",
    "transformer",
];

/// Modules that hold something else, with an embedding of their own or not.
const OTHERS: &[&str] = &[
    "assistant",
    "code2wav",
    "code_predictor",
    "connector",
    "depth_decoder",
    "draft",
    "draft_model",
    "drafter",
    "eagle",
    "encoder",
    "medusa",
    "mtp",
    "nextn",
    "perceiver",
    "perceiver_resampler",
    "qformer",
    "resampler",
    "speculator",
    "talker",
];

/// One tensor as the search sees it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Named<'n> {
    /// Its name.
    pub(crate) name: &'n str,
    /// What it is for.
    pub(crate) role: Role,
    /// Its dimensions.
    pub(crate) shape: &'n [u64],
}

/// The decoder's stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DecoderStack<'n> {
    /// What stands before the number of a block: `model.layers`, `blk`.
    before: &'n str,
}

/// How much a stack is like the decoder; the greatest wins.
#[derive(PartialEq, Eq, PartialOrd, Ord, Clone, Copy)]
struct Likeness {
    /// No module above it is known for something else.
    not_another: bool,
    embeds: bool,
    /// Every module above it is known to hold decoders.
    own: bool,
    vocabulary: bool,
    layers: bool,
    width: bool,
}

impl<'n> DecoderStack<'n> {
    /// Finds it; `None` where no stack stands out.
    pub(crate) fn find(tensors: impl Iterator<Item = Named<'n>>, model: &ModelConfig) -> Option<Self> {
        // Blocks by the highest number, and embeddings by the module they stand in.
        let mut stacks: BTreeMap<&'n str, u32> = BTreeMap::new();
        let mut embeddings: BTreeMap<&'n str, &'n [u64]> = BTreeMap::new();
        for t in tensors {
            if matches!(t.role, Role::Vision | Role::Audio | Role::Projector | Role::Mtp | Role::Adapter) {
                continue;
            }
            if let Some((before, layer, _)) = in_stack(t.name) {
                let last = stacks.entry(before).or_insert(layer);
                *last = layer.max(*last);
            } else if t.role == Role::Embedding && t.shape.len() == 2 {
                let module = t.name.rsplit_once('.').map_or(t.name, |(module, _)| module);
                embeddings.insert(module.rsplit_once('.').map_or("", |(parent, _)| parent), t.shape);
            }
            if stacks.len() > MOST_STACKS || embeddings.len() > MOST_STACKS {
                return None;
            }
        }
        let single = stacks.len() == 1;
        let likeness = |before: &str, last: u32| {
            let parent = before.rsplit_once('.').map_or("", |(parent, _)| parent);
            let mut above = parent.split('.').filter(|piece| !piece.is_empty());
            let embedding = embeddings.get(parent).copied();
            Likeness {
                not_another: !above.clone().any(|piece| OTHERS.contains(&piece)),
                embeds: embedding.is_some(),
                own: above.all(|piece| OWN.contains(&piece)),
                vocabulary: embedding.is_some_and(|shape| shape.first() == model.vocab_size.as_ref()),
                layers: model.layers == Some(u64::from(last) + 1),
                width: embedding.is_some_and(|shape| shape.get(1) == model.hidden_size.as_ref()),
            }
        };
        let mut found: Vec<(Likeness, &'n str)> = stacks.iter().map(|(before, last)| (likeness(before, *last), *before)).collect();
        found.sort_unstable_by_key(|(likeness, _)| std::cmp::Reverse(*likeness));
        let (best, before) = found.first().copied()?;
        let alone = found.get(1).is_none_or(|(second, _)| *second < best);
        // Without the embedding, as in a part of a sharded model, only known names tell.
        let known = single || (best.not_another && (best.embeds || best.own));
        (alone && known).then_some(Self { before })
    }

    /// The number of the block that a tensor of this stack stands in, and its name inside the block; `None` for all others.
    pub(crate) fn inside<'t>(&self, name: &'t str) -> Option<(u32, &'t str)> {
        let (before, layer, rest) = in_stack(name)?;
        (before == self.before).then_some((layer, rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::names::classify;
    use crate::format::Format;

    /// The stack that is found in a file of these names; embeddings are 100 x 8, as configured.
    fn found(names: &[&str]) -> Option<String> {
        let model = ModelConfig { layers: Some(2), hidden_size: Some(8), vocab_size: Some(100), ..ModelConfig::default() };
        let named = |name| Named { name, role: classify(name, Format::Safetensors).role, shape: &[100, 8] };
        DecoderStack::find(names.iter().map(|&name| named(name)), &model).map(|stack| stack.before.to_owned())
    }

    #[test]
    fn the_decoder_is_told_from_what_stands_beside_it() {
        let cases: [(&[&str], Option<&str>); 14] = [
            (&["model.embed_tokens.weight", "model.layers.0.self_attn.q_proj.weight"], Some("model.layers")),
            (&["embed_tokens.weight", "layers.0.self_attn.q_proj.weight"], Some("layers")),
            // Towers by any name.
            (
                &[
                    "model.language_model.embed_tokens.weight",
                    "model.language_model.layers.1.self_attn.q_proj.weight",
                    "model.eyes.blocks.1.self_attn.q_proj.weight",
                    "model.vision_tower.encoder.layers.1.self_attn.q_proj.weight",
                    "model.perceiver.layers.1.self_attn.q_proj.weight",
                ],
                Some("model.language_model.layers"),
            ),
            // The decoder by any name.
            (
                &["brain.embed_tokens.weight", "brain.layers.1.self_attn.q_proj.weight", "model.layers.1.self_attn.q_proj.weight"],
                Some("brain.layers"),
            ),
            // What has an embedding of its own.
            (
                &[
                    "thinker.model.embed_tokens.weight",
                    "thinker.model.layers.1.self_attn.q_proj.weight",
                    "talker.model.embed_tokens.weight",
                    "talker.model.layers.1.self_attn.q_proj.weight",
                ],
                Some("thinker.model.layers"),
            ),
            (
                &[
                    "model.embed_tokens.weight",
                    "model.layers.1.self_attn.q_proj.weight",
                    "guess.embed_tokens.weight",
                    "guess.layers.0.self_attn.q_proj.weight",
                    "mtp.layers.0.self_attn.q_proj.weight",
                ],
                Some("model.layers"),
            ),
            // A part without the embedding.
            (
                &["language_model.model.layers.1.self_attn.q_proj.weight", "eyes.encoder.layers.1.self_attn.q_proj.weight"],
                Some("language_model.model.layers"),
            ),
            (&["brain.layers.1.self_attn.q_proj.weight", "eyes.layers.1.self_attn.q_proj.weight"], None),
            (&["brain.layers.1.self_attn.q_proj.weight"], Some("brain.layers")),
            (&["talker.model.layers.1.self_attn.q_proj.weight", "code_predictor.layers.1.self_attn.q_proj.weight"], None),
            // Two that are alike.
            (
                &["model.embed_tokens.weight", "model.layers.1.self_attn.q_proj.weight", "model.blocks.1.self_attn.q_proj.weight"],
                None,
            ),
            (&["transformer.wte.weight", "transformer.h.1.attn.c_attn.weight"], Some("transformer.h")),
            (&["transformer.wte.weight", "transformer.blocks.1.ffn.experts.mlp.w1"], Some("transformer.blocks")),
            (&["model.embed_tokens.weight", "lm_head.weight"], None),
        ];
        for (names, wanted) in cases {
            assert_eq!(found(names).as_deref(), wanted, "{names:?}");
        }
    }

    #[test]
    fn names_are_cut_at_the_first_number_of_a_block() {
        let stack = DecoderStack { before: "model.layers" };
        assert_eq!(stack.inside("model.layers.17.self_attn.q_proj.weight"), Some((17, "self_attn.q_proj.weight")));
        assert_eq!(stack.inside("model.layers.17.mtp_block.layers.0.q_proj"), Some((17, "mtp_block.layers.0.q_proj")));
        for other in
            ["model.layers.self_attn.q_proj.weight", "model.layers.1", "layers.1.x", "a.model.layers.1.x", "model.layers.1x.y"]
        {
            assert_eq!(stack.inside(other), None, "{other}");
        }
        assert_eq!(DecoderStack { before: "blk" }.inside("blk.3.attn_q.weight"), Some((3, "attn_q.weight")));
        assert_eq!(DecoderStack { before: "blk" }.inside("v.blk.3.attn_q.weight"), None);
    }
}
