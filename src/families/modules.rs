//! The words of module names: what each says of the tensors under it. A row a word.
//!
//! Sources: the modules of transformers ([`crate::pins::TRANSFORMERS`], `models/*/modeling_*.py`), diffusers 0.42.1, Meta's reference
//! Llama and Mixtral code, mlx-lm 0.32.2 (`switch_mlp`), and the files of `fixtures/`. `nn.Linear` is [out, in], `Conv1D` of GPT-2
//! [in, out].

use super::role::Role::{
    self, Attention, Audio, Conv, Embedding, Expert, Head, LmHead, Mlp, Mtp, PositionEmbedding, Projector, Recurrent, Router,
    SharedExpert, Vision,
};
use super::table::Table;
use Axis::{Ffn, GateUp, Hidden, Kv, Query};

/// What a word says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Module {
    /// The role of what stands under it.
    pub(crate) role: Says,
    /// How tensor parallelism cuts its weight.
    pub(crate) cut: Option<RankCut>,
    /// What its outputs and inputs count.
    pub(crate) axes: Option<(Axis, Axis)>,
}

/// Where a word decides the role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Says {
    /// Wherever it stands in a name. Of several in one name the first in [`RANK`] wins.
    Anywhere(Role),
    /// If it is the deepest of its kind in the name: `mlp.c_proj` is feed-forward, `attn.c_proj` attention.
    Deepest(Role),
    /// Nowhere: other words of the name do.
    Nothing,
}

/// How a tensor is cut over tensor-parallel ranks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RankCut {
    /// Every rank holds all of it.
    Whole,
    /// Its outputs are cut.
    Column,
    /// Its inputs are cut; what it adds to the outputs is on every rank.
    Row,
    /// Heads of keys or values are cut.
    Kv,
    /// Heads of queries, keys and values in one matrix are cut.
    Qkv,
    /// Rows of the vocabulary are cut.
    Vocabulary,
    /// Routed experts are spread whole, or cut.
    Expert,
    /// Not known: between whole and cut.
    Unknown,
}

/// What a dimension counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Axis {
    /// Nothing that is cut: vocabulary, positions, experts, a head's own width.
    Fixed,
    /// The residual stream.
    Hidden,
    /// Queries of all heads.
    Query,
    /// Keys, or values, of all heads.
    Kv,
    /// Queries, keys and values in one matrix.
    Qkv,
    /// Channels of the feed-forward block.
    Ffn,
    /// Its gate and up projections in one matrix.
    GateUp,
    /// The channels of so many experts, one below the other.
    FfnOf(u64),
}

const WORD: Module = Module { role: Says::Nothing, cut: None, axes: None };

const fn anywhere(role: Role) -> Module {
    Module { role: Says::Anywhere(role), ..WORD }
}

const fn deepest(role: Role) -> Module {
    Module { role: Says::Deepest(role), ..WORD }
}

impl Module {
    const fn cut(self, cut: RankCut) -> Self {
        Self { cut: Some(cut), ..self }
    }

    const fn axes(self, outputs: Axis, inputs: Axis) -> Self {
        Self { axes: Some((outputs, inputs)), ..self }
    }
}

/// A projector inside a vision tower (`visual.merger`) is a projector, a router inside a prediction layer belongs to that layer.
pub(crate) const RANK: &[Role] = &[Projector, Vision, Audio, Mtp, Router, SharedExpert, Expert];

/// What a word says; `None` for a word that is not known.
pub(crate) fn of(word: &str) -> Option<Module> {
    MODULES.get(word)
}

/// What the outputs and inputs of a module count, by its name; the words of the model that stand above it decide where its own word
/// leaves it open.
pub(crate) fn axes(module: &str) -> Option<(Axis, Axis)> {
    let own = module.rsplit('.').next().unwrap_or(module);
    of(own).and_then(|word| word.axes).or_else(|| {
        let ends = |end: &str| module.strip_suffix(end).is_some_and(|before| before.is_empty() || before.ends_with('.'));
        AXES_IN_PLACE.iter().find(|(end, ..)| ends(end)).map(|&(_, outputs, inputs)| (outputs, inputs))
    })
}

/// What outputs and inputs count where one word leaves it open; the longer ends first.
const AXES_IN_PLACE: &[(&str, Axis, Axis)] = &[
    ("self.query", Query, Hidden),
    ("self.key", Kv, Hidden),
    ("self.value", Kv, Hidden),
    ("self_attn.out_proj", Hidden, Query),
    ("attention.output.dense", Hidden, Query),
    ("attn.c_proj", Hidden, Query),
    ("intermediate.dense", Ffn, Hidden),
    ("output.dense", Hidden, Ffn),
    ("mlp.c_proj", Hidden, Ffn),
];

/// Sorted for binary search; a test holds the order.
static MODULES: Table<Module> = Table::new(&[
    ("A_log", deepest(Recurrent)),
    ("DenseReluDense", deepest(Mlp)),
    ("EncDecAttention", deepest(Attention)),
    ("SelfAttention", deepest(Attention)),
    ("Wqkv", deepest(Attention).cut(RankCut::Qkv)),
    ("abstractor", anywhere(Projector)),
    ("add_k_proj", deepest(Attention)),
    ("add_q_proj", deepest(Attention)),
    ("add_v_proj", deepest(Attention)),
    ("aligner", anywhere(Projector)),
    ("apm", anywhere(Audio)),
    ("att", deepest(Recurrent)),
    ("attention", deepest(Attention)),
    ("attentions", deepest(Attention)),
    ("attn", deepest(Attention)),
    ("attn1", deepest(Attention)),
    ("attn2", deepest(Attention)),
    ("audio", anywhere(Audio)),
    ("audio_embed", anywhere(Audio)),
    ("audio_embed_tokens", anywhere(Audio)),
    ("audio_encoder", anywhere(Audio)),
    ("audio_model", anywhere(Audio)),
    ("audio_projection", anywhere(Projector)),
    ("audio_projector", anywhere(Projector)),
    ("audio_tower", anywhere(Audio)),
    ("beit", anywhere(Vision)),
    ("block_sparse_moe", deepest(Mlp)),
    ("c_attn", deepest(Attention).cut(RankCut::Qkv).axes(Axis::Qkv, Hidden)),
    ("c_fc", deepest(Mlp).cut(RankCut::Column).axes(Ffn, Hidden)),
    ("c_proj", WORD.cut(RankCut::Row)),
    ("channel_mix", deepest(Mlp)),
    ("classification_head", deepest(Head)),
    ("classifier", deepest(Head)),
    ("cls", deepest(Head)),
    ("connector", anywhere(Projector)),
    ("conv", deepest(Conv)),
    ("conv1", deepest(Conv)),
    ("conv1d", deepest(Conv)),
    ("conv2", deepest(Conv)),
    ("conv_in", deepest(Conv)),
    ("conv_layers", deepest(Conv)),
    ("conv_out", deepest(Conv)),
    ("conv_shortcut", deepest(Conv)),
    ("cross_attention", deepest(Attention)),
    ("cross_attn", deepest(Attention)),
    ("crossattention", deepest(Attention)),
    ("deepstack_merger_list", anywhere(Projector)),
    ("deit", anywhere(Vision)),
    ("dense", WORD.cut(RankCut::Row)),
    ("dense_4h_to_h", deepest(Mlp).cut(RankCut::Row)),
    ("dense_h_to_4h", deepest(Mlp).cut(RankCut::Column)),
    ("dinov2", anywhere(Vision)),
    ("down_proj", deepest(Mlp).cut(RankCut::Row).axes(Hidden, Ffn)),
    ("downsample", deepest(Conv)),
    ("dt_bias", deepest(Recurrent)),
    ("dt_proj", deepest(Recurrent)),
    ("e_score_correction_bias", anywhere(Router)),
    ("eh_proj", anywhere(Mtp)),
    ("embed_audio", anywhere(Audio)),
    ("embed_in", deepest(Embedding).cut(RankCut::Vocabulary)),
    ("embed_out", deepest(LmHead).cut(RankCut::Vocabulary)),
    ("embed_positions", deepest(PositionEmbedding)),
    ("embed_tokens", deepest(Embedding).cut(RankCut::Vocabulary)),
    ("embed_tokens_per_layer", deepest(Embedding)),
    ("embed_vision", anywhere(Projector)),
    ("encoder_attn", deepest(Attention)),
    ("enorm", anywhere(Mtp)),
    ("expert_bias", anywhere(Router)),
    ("experts", anywhere(Expert)),
    ("fc1", deepest(Mlp).cut(RankCut::Column).axes(Ffn, Hidden)),
    ("fc11", deepest(Mlp)),
    ("fc12", deepest(Mlp)),
    ("fc2", deepest(Mlp).cut(RankCut::Row).axes(Hidden, Ffn)),
    ("fc_in", deepest(Mlp).cut(RankCut::Column)),
    ("fc_out", deepest(Mlp).cut(RankCut::Row)),
    ("feed_forward", deepest(Mlp)),
    ("feedforward", deepest(Mlp)),
    ("ff", deepest(Mlp)),
    ("ff_context", deepest(Mlp)),
    ("ffn", deepest(Mlp)),
    ("gate_proj", deepest(Mlp).cut(RankCut::Column).axes(Ffn, Hidden)),
    ("gate_score_correction_bias", anywhere(Router)),
    ("gate_up_proj", deepest(Mlp).cut(RankCut::Column).axes(GateUp, Hidden)),
    ("gru", deepest(Recurrent)),
    ("hnorm", anywhere(Mtp)),
    ("hubert", anywhere(Audio)),
    ("image_encoder", anywhere(Vision)),
    ("image_newline", anywhere(Projector)),
    ("image_projection", anywhere(Projector)),
    ("img_processor", anywhere(Vision)),
    ("img_projection", anywhere(Projector)),
    ("in_proj_qkv", deepest(Attention)),
    ("indexer", deepest(Attention)),
    ("inter_attention", deepest(Attention)),
    ("intermediate", deepest(Mlp)),
    ("k_lin", deepest(Attention).cut(RankCut::Kv).axes(Kv, Hidden)),
    ("k_proj", deepest(Attention).cut(RankCut::Kv).axes(Kv, Hidden)),
    ("kv_a_proj_with_mqa", deepest(Attention).cut(RankCut::Whole)),
    ("kv_b_proj", deepest(Attention).cut(RankCut::Column)),
    ("lin1", WORD.cut(RankCut::Column).axes(Ffn, Hidden)),
    ("lin2", WORD.cut(RankCut::Row).axes(Hidden, Ffn)),
    ("linear_1_mlp", deepest(Mlp)),
    ("linear_attn", deepest(Recurrent)),
    ("lm_head", deepest(LmHead).cut(RankCut::Vocabulary)),
    ("lstm", deepest(Recurrent)),
    ("mamba", deepest(Recurrent)),
    ("mamba2", deepest(Recurrent)),
    ("merger", anywhere(Projector)),
    ("mixer", deepest(Recurrent)),
    ("mixer_attn", deepest(Attention)),
    ("mlp", deepest(Mlp)),
    ("mlp_AR", anywhere(Projector)),
    ("mlp_moe", deepest(Mlp)),
    ("mm_input_projection_weight", anywhere(Projector)),
    ("mm_projector", anywhere(Projector)),
    ("modality_projection", anywhere(Projector)),
    ("moe", deepest(Mlp)),
    ("moe_block", deepest(Mlp)),
    ("mtp", anywhere(Mtp)),
    ("mtp_block", anywhere(Mtp)),
    ("mtp_blocks", anywhere(Mtp)),
    ("mtp_layers", anywhere(Mtp)),
    ("multi_head_attention", deepest(Attention)),
    ("multi_modal_projector", anywhere(Projector)),
    ("nextn", anywhere(Mtp)),
    ("nextn_predict_layers", anywhere(Mtp)),
    ("o_proj", deepest(Attention).cut(RankCut::Row).axes(Hidden, Query)),
    ("operator_conv", deepest(Recurrent)),
    ("out_lin", deepest(Attention).cut(RankCut::Row).axes(Hidden, Query)),
    ("out_proj", WORD.cut(RankCut::Row)),
    ("patch_embed", anywhere(Vision)),
    ("patch_embedding", anywhere(Vision)),
    ("patch_embeddings", anywhere(Vision)),
    ("patch_merge_mlp", anywhere(Projector)),
    ("per_layer_model_projection", deepest(Embedding)),
    ("pooler", deepest(Head)),
    ("pos_embed", deepest(PositionEmbedding)),
    ("position_embedding", deepest(PositionEmbedding)),
    ("position_embeddings", deepest(PositionEmbedding)),
    ("position_encoding", deepest(PositionEmbedding)),
    ("positional_embedding", deepest(PositionEmbedding)),
    ("positions_embed", deepest(PositionEmbedding)),
    ("post_quant_conv", deepest(Conv)),
    ("pre_classifier", deepest(Head)),
    ("proj_mlp", deepest(Mlp)),
    ("q_a_proj", deepest(Attention).cut(RankCut::Whole)),
    ("q_b_proj", deepest(Attention).cut(RankCut::Column)),
    ("q_lin", deepest(Attention).cut(RankCut::Column).axes(Query, Hidden)),
    ("q_proj", deepest(Attention).cut(RankCut::Column).axes(Query, Hidden)),
    ("qa_outputs", deepest(Head)),
    ("qformer", anywhere(Projector)),
    ("qkv_proj", deepest(Attention).cut(RankCut::Qkv).axes(Axis::Qkv, Hidden)),
    ("quant_conv", deepest(Conv)),
    ("query_key_value", deepest(Attention).cut(RankCut::Qkv)),
    ("recurrent_block", deepest(Recurrent)),
    ("rel_embeddings", deepest(PositionEmbedding)),
    ("relative_attention_bias", deepest(PositionEmbedding)),
    ("resampler", anywhere(Projector)),
    ("reward_head", deepest(Head)),
    ("rg_lru", deepest(Recurrent)),
    ("rnn", deepest(Recurrent)),
    ("router", anywhere(Router)),
    ("router_gate", anywhere(Router)),
    ("score", deepest(Head)),
    ("self_attention", deepest(Attention)),
    ("self_attn", deepest(Attention)),
    ("self_attn_proj", deepest(Attention)),
    ("seq_relationship", deepest(Head)),
    ("shared_expert", anywhere(SharedExpert)),
    ("shared_expert_gate", anywhere(Router)),
    ("shared_expert_mlp", anywhere(SharedExpert)),
    ("shared_experts", anywhere(SharedExpert)),
    ("shared_head", anywhere(Mtp)),
    ("shared_mlp", deepest(Mlp)),
    ("shared_mlp_gate", deepest(Mlp)),
    ("short_conv", deepest(Recurrent)),
    ("siglip", anywhere(Vision)),
    ("sinks", deepest(Attention).cut(RankCut::Column)),
    ("speech_encoder", anywhere(Audio)),
    ("ssm", deepest(Recurrent)),
    ("switch_mlp", anywhere(Expert)),
    ("temporal_block", deepest(Recurrent)),
    ("text_projection", anywhere(Projector)),
    ("time_mix", deepest(Recurrent)),
    ("time_mixer", deepest(Recurrent)),
    ("to_add_out", deepest(Attention)),
    ("to_k", deepest(Attention)),
    ("to_out", deepest(Attention)),
    ("to_q", deepest(Attention)),
    ("to_qkv", deepest(Attention)),
    ("to_v", deepest(Attention)),
    ("tok_embedding", deepest(Embedding)),
    ("tok_embeddings", deepest(Embedding).cut(RankCut::Vocabulary)),
    ("token_embd", WORD.cut(RankCut::Vocabulary)),
    ("token_embedding", deepest(Embedding).cut(RankCut::Vocabulary)),
    ("token_embeddings", deepest(Embedding)),
    ("token_type_embeddings", deepest(PositionEmbedding)),
    ("tokens_embed", deepest(Embedding)),
    ("up_proj", deepest(Mlp).cut(RankCut::Column).axes(Ffn, Hidden)),
    ("v_head", deepest(Head)),
    ("v_lin", deepest(Attention).cut(RankCut::Kv).axes(Kv, Hidden)),
    ("v_proj", deepest(Attention).cut(RankCut::Kv).axes(Kv, Hidden)),
    ("value_head", deepest(Head)),
    ("vision", anywhere(Vision)),
    ("vision_backbone", anywhere(Vision)),
    ("vision_embed_tokens", anywhere(Vision)),
    ("vision_embedder", anywhere(Vision)),
    ("vision_encoder", anywhere(Vision)),
    ("vision_language_adapter", anywhere(Vision)),
    ("vision_model", anywhere(Vision)),
    ("vision_proj", anywhere(Projector)),
    ("vision_projector", anywhere(Projector)),
    ("vision_tower", anywhere(Vision)),
    ("visual", anywhere(Vision)),
    ("visual_encoder", anywhere(Vision)),
    ("visual_projection", anywhere(Projector)),
    ("vit", anywhere(Vision)),
    ("vocab_projector", deepest(LmHead)),
    ("vocab_transform", deepest(Head)),
    ("vpm", anywhere(Vision)),
    ("vqmodel", anywhere(Vision)),
    ("w1", WORD.cut(RankCut::Column).axes(Ffn, Hidden)),
    ("w2", WORD.cut(RankCut::Row).axes(Hidden, Ffn)),
    ("w3", WORD.cut(RankCut::Column).axes(Ffn, Hidden)),
    ("wav2vec2", anywhere(Audio)),
    ("wavlm", anywhere(Audio)),
    ("wi", WORD.cut(RankCut::Column)),
    ("wi_0", WORD.cut(RankCut::Column)),
    ("wi_1", WORD.cut(RankCut::Column)),
    ("wk", deepest(Attention).cut(RankCut::Kv)),
    ("wkv", deepest(Attention)),
    ("wo", deepest(Attention).cut(RankCut::Row)),
    ("word_embedding", deepest(Embedding)),
    ("word_embeddings", deepest(Embedding).cut(RankCut::Vocabulary)),
    ("wpe", deepest(PositionEmbedding)),
    ("wq", deepest(Attention).cut(RankCut::Column)),
    ("wte", deepest(Embedding).cut(RankCut::Vocabulary)),
    ("wv", deepest(Attention).cut(RankCut::Kv)),
    ("x_proj", deepest(Recurrent)),
]);

#[cfg(test)]
mod tests {
    #[test]
    fn words_are_sorted() {
        assert!(super::MODULES.is_sorted());
    }
}
