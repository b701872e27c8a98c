//! Real names and what they are.

use super::*;
use crate::format::Format;

const HF: &[(&str, Role, Option<u32>)] = &[
    // Llama, Mistral, Qwen2, Qwen3 (fixtures, transformers 5.23.0)
    ("model.embed_tokens.weight", Role::Embedding, None),
    ("model.layers.0.self_attn.q_proj.weight", Role::Attention, Some(0)),
    ("model.layers.0.self_attn.q_proj.bias", Role::Attention, Some(0)),
    ("model.layers.31.self_attn.o_proj.weight", Role::Attention, Some(31)),
    ("model.layers.0.self_attn.q_norm.weight", Role::Norm, Some(0)),
    ("model.layers.0.mlp.down_proj.weight", Role::Mlp, Some(0)),
    ("model.layers.0.input_layernorm.weight", Role::Norm, Some(0)),
    ("model.layers.0.post_attention_layernorm.weight", Role::Norm, Some(0)),
    ("model.layers.0.pre_feedforward_layernorm.weight", Role::Norm, Some(0)),
    ("model.norm.weight", Role::Norm, None),
    ("lm_head.weight", Role::LmHead, None),
    ("model.layers.0.self_attn.rotary_emb.inv_freq", Role::Buffer, Some(0)),
    // Mixtral, Qwen3-MoE, DeepSeek-V3, gpt-oss, Jamba, Granite, DBRX
    ("model.layers.3.block_sparse_moe.gate.weight", Role::Router, Some(3)),
    ("model.layers.3.block_sparse_moe.experts.7.w2.weight", Role::Expert, Some(3)),
    ("model.layers.0.mlp.experts.12.down_proj.weight", Role::Expert, Some(0)),
    ("model.layers.0.mlp.gate.weight", Role::Router, Some(0)),
    ("model.layers.0.mlp.shared_expert.up_proj.weight", Role::SharedExpert, Some(0)),
    ("model.layers.0.mlp.shared_expert_gate.weight", Role::Router, Some(0)),
    ("model.layers.3.mlp.shared_experts.gate_proj.weight", Role::SharedExpert, Some(3)),
    ("model.layers.3.mlp.gate.e_score_correction_bias", Role::Router, Some(3)),
    ("model.layers.3.self_attn.kv_a_proj_with_mqa.weight", Role::Attention, Some(3)),
    ("model.layers.3.self_attn.kv_a_layernorm.weight", Role::Norm, Some(3)),
    ("model.layers.3.self_attn.kv_b_proj.weight_scale_inv", Role::QuantAux, Some(3)),
    ("model.layers.61.eh_proj.weight", Role::Mtp, Some(61)),
    ("model.layers.61.shared_head.norm.weight", Role::Mtp, Some(61)),
    ("mtp.layers.0.self_attn.q_proj.weight", Role::Mtp, Some(0)),
    ("model.layers.0.mlp.experts.gate_up_proj_blocks", Role::Expert, Some(0)),
    ("model.layers.0.mlp.experts.gate_up_proj_scales", Role::QuantAux, Some(0)),
    ("model.layers.0.mlp.experts.gate_up_proj_bias", Role::Expert, Some(0)),
    ("model.layers.0.mlp.router.weight", Role::Router, Some(0)),
    ("model.layers.0.self_attn.sinks", Role::Attention, Some(0)),
    ("model.layers.1.feed_forward.experts.3.up_proj.weight", Role::Expert, Some(1)),
    ("model.layers.1.feed_forward.router.weight", Role::Router, Some(1)),
    ("model.layers.1.mamba.A_log", Role::Recurrent, Some(1)),
    ("model.layers.1.mamba.dt_layernorm.weight", Role::Norm, Some(1)),
    ("model.layers.1.mamba.conv1d.weight", Role::Recurrent, Some(1)),
    ("model.layers.0.block_sparse_moe.input_linear.weight", Role::Expert, Some(0)),
    ("model.layers.0.block_sparse_moe.router.layer.weight", Role::Router, Some(0)),
    ("model.layers.0.shared_mlp.input_linear.weight", Role::Mlp, Some(0)),
    ("model.layers.0.mlp.switch_mlp.gate_proj.weight", Role::Expert, Some(0)),
    // Qwen3-Next, LFM2, Mamba, RWKV
    ("model.layers.0.linear_attn.in_proj_qkvz.weight", Role::Recurrent, Some(0)),
    ("model.layers.0.linear_attn.norm.weight", Role::Norm, Some(0)),
    ("model.layers.0.conv.in_proj.weight", Role::Recurrent, Some(0)),
    ("backbone.embeddings.weight", Role::Embedding, None),
    ("backbone.layers.5.mixer.D", Role::Recurrent, Some(5)),
    ("backbone.layers.5.mixer.in_proj.weight", Role::Recurrent, Some(5)),
    ("backbone.layers.5.mixer.q_proj.weight", Role::Attention, Some(5)),
    ("backbone.norm_f.weight", Role::Norm, None),
    ("rwkv.blocks.2.attention.key.weight", Role::Recurrent, Some(2)),
    ("rwkv.blocks.2.feed_forward.key.weight", Role::Mlp, Some(2)),
    ("blocks.2.att.time_decay", Role::Recurrent, Some(2)),
    ("blocks.2.ln1.weight", Role::Norm, Some(2)),
    ("emb.weight", Role::Embedding, None),
    ("head.weight", Role::LmHead, None),
    // GPT-2 with and without `transformer.`, GPT-NeoX, Falcon, BLOOM, MPT, OPT, Phi, Starcoder2
    ("wte.weight", Role::Embedding, None),
    ("transformer.wpe.weight", Role::PositionEmbedding, None),
    ("h.0.attn.c_attn.weight", Role::Attention, Some(0)),
    ("transformer.h.0.attn.c_proj.bias", Role::Attention, Some(0)),
    ("transformer.h.0.mlp.c_proj.weight", Role::Mlp, Some(0)),
    ("transformer.h.0.ln_1.bias", Role::Norm, Some(0)),
    ("transformer.ln_f.weight", Role::Norm, None),
    ("transformer.h.0.attn.masked_bias", Role::Buffer, Some(0)),
    ("gpt_neox.embed_in.weight", Role::Embedding, None),
    ("gpt_neox.layers.0.attention.query_key_value.weight", Role::Attention, Some(0)),
    ("gpt_neox.layers.0.attention.dense.weight", Role::Attention, Some(0)),
    ("gpt_neox.layers.0.mlp.dense_h_to_4h.weight", Role::Mlp, Some(0)),
    ("gpt_neox.final_layer_norm.weight", Role::Norm, None),
    ("embed_out.weight", Role::LmHead, None),
    ("transformer.word_embeddings.weight", Role::Embedding, None),
    ("transformer.word_embeddings_layernorm.weight", Role::Norm, None),
    ("transformer.h.0.self_attention.dense.weight", Role::Attention, Some(0)),
    ("transformer.h.0.ln_attn.weight", Role::Norm, Some(0)),
    ("transformer.blocks.0.attn.Wqkv.weight", Role::Attention, Some(0)),
    ("transformer.blocks.0.ffn.up_proj.weight", Role::Mlp, Some(0)),
    ("transformer.blocks.0.norm_1.weight", Role::Norm, Some(0)),
    ("model.decoder.embed_positions.weight", Role::PositionEmbedding, None),
    ("model.decoder.layers.0.fc1.weight", Role::Mlp, Some(0)),
    ("model.decoder.layers.0.self_attn_layer_norm.weight", Role::Norm, Some(0)),
    ("model.layers.0.self_attn.dense.weight", Role::Attention, Some(0)),
    ("model.layers.0.self_attn.qkv_proj.weight", Role::Attention, Some(0)),
    ("model.layers.0.mlp.gate_up_proj.weight", Role::Mlp, Some(0)),
    ("model.layers.0.mlp.c_fc.weight", Role::Mlp, Some(0)),
    // BERT, RoBERTa, DistilBERT, Nomic
    ("embeddings.position_ids", Role::Buffer, None),
    ("bert.embeddings.word_embeddings.weight", Role::Embedding, None),
    ("embeddings.position_embeddings.weight", Role::PositionEmbedding, None),
    ("embeddings.token_type_embeddings.weight", Role::PositionEmbedding, None),
    ("embeddings.LayerNorm.weight", Role::Norm, None),
    ("encoder.layer.0.attention.self.query.weight", Role::Attention, Some(0)),
    ("encoder.layer.0.attention.output.dense.weight", Role::Attention, Some(0)),
    ("encoder.layer.0.attention.output.LayerNorm.bias", Role::Norm, Some(0)),
    ("encoder.layer.0.intermediate.dense.weight", Role::Mlp, Some(0)),
    ("encoder.layer.0.output.dense.weight", Role::Mlp, Some(0)),
    ("pooler.dense.weight", Role::Head, None),
    ("cls.predictions.transform.dense.weight", Role::Head, None),
    ("cls.predictions.decoder.weight", Role::LmHead, None),
    ("distilbert.transformer.layer.0.attention.q_lin.weight", Role::Attention, Some(0)),
    ("distilbert.transformer.layer.0.ffn.lin1.weight", Role::Mlp, Some(0)),
    ("distilbert.transformer.layer.0.sa_layer_norm.weight", Role::Norm, Some(0)),
    ("vocab_projector.weight", Role::LmHead, None),
    ("encoder.layers.0.attn.out_proj.weight", Role::Attention, Some(0)),
    ("encoder.layers.0.mlp.fc11.weight", Role::Mlp, Some(0)),
    ("emb_ln.weight", Role::Norm, None),
    // T5, Whisper
    ("shared.weight", Role::Embedding, None),
    ("decoder.block.0.layer.1.EncDecAttention.q.weight", Role::Attention, Some(0)),
    ("encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight", Role::PositionEmbedding, Some(0)),
    ("encoder.block.3.layer.1.DenseReluDense.wi_0.weight", Role::Mlp, Some(3)),
    ("encoder.block.3.layer.1.layer_norm.weight", Role::Norm, Some(3)),
    ("model.encoder.conv1.weight", Role::Conv, None),
    ("model.decoder.layers.2.encoder_attn.out_proj.weight", Role::Attention, Some(2)),
    // Consolidated Meta names
    ("tok_embeddings.weight", Role::Embedding, None),
    ("layers.0.attention.wq.weight", Role::Attention, Some(0)),
    ("layers.0.feed_forward.w1.weight", Role::Mlp, Some(0)),
    ("layers.0.attention_norm.weight", Role::Norm, Some(0)),
    ("norm.weight", Role::Norm, None),
    ("output.weight", Role::LmHead, None),
    ("rope.freqs", Role::Buffer, None),
    ("layers.0.feed_forward.gate.weight", Role::Router, Some(0)),
    // Vision, audio, projectors, text towers
    ("model.vision_tower.vision_model.encoder.layers.3.self_attn.k_proj.weight", Role::Vision, Some(3)),
    ("visual.blocks.0.norm1.weight", Role::Vision, Some(0)),
    ("visual.merger.mlp.0.weight", Role::Projector, None),
    ("vision_model.embeddings.position_ids", Role::Buffer, None),
    ("multi_modal_projector.linear_1.weight", Role::Projector, None),
    ("language_model.model.layers.2.self_attn.q_proj.weight", Role::Attention, Some(2)),
    ("model.language_model.layers.2.mlp.up_proj.weight", Role::Mlp, Some(2)),
    ("text_model.encoder.layers.0.mlp.fc1.weight", Role::Mlp, Some(0)),
    ("text_model.embeddings.token_embedding.weight", Role::Embedding, None),
    ("visual_projection.weight", Role::Projector, None),
    ("logit_scale", Role::Other, None),
    ("mlp1.1.weight", Role::Projector, None),
    ("transformer_blocks.0.norm1.emb.timestep_embedder.linear_1.weight", Role::Other, Some(0)),
    ("model.shared.weight", Role::Embedding, None),
    ("_model.decoder.rnn.weight_ih", Role::Recurrent, None),
    ("audio_tower.layers.0.fc1.weight", Role::Audio, Some(0)),
    // diffusers
    ("down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q.weight", Role::Attention, None),
    ("down_blocks.0.attentions.0.transformer_blocks.0.ff.net.0.proj.weight", Role::Mlp, None),
    ("down_blocks.0.resnets.0.conv1.weight", Role::Conv, None),
    ("down_blocks.0.resnets.0.norm1.weight", Role::Norm, None),
    ("conv_norm_out.weight", Role::Norm, None),
    ("encoder.mid_block.attentions.0.to_q.weight", Role::Attention, None),
    ("time_embedding.linear_1.weight", Role::Other, None),
    ("transformer_blocks.3.attn.to_out.0.weight", Role::Attention, Some(3)),
    // Adapters
    ("base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight", Role::Adapter, Some(0)),
    ("lora_unet_down_blocks_0_attentions_0_proj_in.lora_down.weight", Role::Adapter, None),
    ("lora_te_text_model_encoder_layers_0_mlp_fc1.alpha", Role::Adapter, None),
    // Packed weights and their bookkeeping
    ("model.layers.0.self_attn.k_proj.qweight", Role::Attention, Some(0)),
    ("model.layers.0.self_attn.k_proj.qzeros", Role::QuantAux, Some(0)),
    ("model.layers.0.mlp.up_proj.weight_packed", Role::Mlp, Some(0)),
    ("model.layers.0.mlp.up_proj.weight.quant_state.bitsandbytes__nf4", Role::QuantAux, Some(0)),
    ("model.layers.0.mlp.up_proj.weight._data._data", Role::Mlp, Some(0)),
    ("model.layers.0.mlp.up_proj._weight_qdata", Role::Mlp, Some(0)),
    ("core.in_proj.weight.scale", Role::QuantAux, None),
    // In no table
    ("head.queries", Role::Other, None),
    ("_model.stft.forward_basis_buffer", Role::Other, None),
    ("", Role::Other, None),
    ("weight", Role::Other, None),
    ("....", Role::Other, None),
];

const GGUF: &[(&str, Role, Option<u32>)] = &[
    ("token_embd.weight", Role::Embedding, None),
    ("token_embd_norm.weight", Role::Norm, None),
    ("token_types.weight", Role::PositionEmbedding, None),
    ("position_embd.weight", Role::PositionEmbedding, None),
    ("output_norm.weight", Role::Norm, None),
    ("output.weight", Role::LmHead, None),
    ("output.bias", Role::LmHead, None),
    ("rope_freqs.weight", Role::Buffer, None),
    ("rope_factors_long.weight", Role::Buffer, None),
    ("blk.0.attn_q.weight", Role::Attention, Some(0)),
    ("blk.0.attn_q_norm.weight", Role::Norm, Some(0)),
    ("blk.0.attn_q_a_norm.weight", Role::Norm, Some(0)),
    ("blk.0.attn_kv_a_mqa.weight", Role::Attention, Some(0)),
    ("blk.0.attn_sinks.weight", Role::Attention, Some(0)),
    ("blk.10.ffn_norm.weight", Role::Norm, Some(10)),
    ("blk.0.ffn_norm", Role::Norm, Some(0)),
    ("blk.0.ffn_gate.weight", Role::Mlp, Some(0)),
    ("blk.3.ffn_gate.7.weight", Role::Expert, Some(3)),
    ("blk.3.ffn_gate_exps.weight", Role::Expert, Some(3)),
    ("blk.3.ffn_gate_inp.weight", Role::Router, Some(3)),
    ("blk.3.ffn_gate_inp_shexp.weight", Role::Router, Some(3)),
    ("blk.3.ffn_up_shexp.weight", Role::SharedExpert, Some(3)),
    ("blk.3.exp_probs_b.bias", Role::Router, Some(3)),
    ("blk.0.ssm_a", Role::Recurrent, Some(0)),
    ("blk.0.ssm_conv1d.bias", Role::Recurrent, Some(0)),
    ("blk.0.ssm_norm.weight", Role::Norm, Some(0)),
    ("blk.0.post_ffw_norm.weight", Role::Norm, Some(0)),
    ("blk.61.nextn.eh_proj.weight", Role::Mtp, Some(61)),
    ("blk.0.time_mix_key.weight", Role::Recurrent, Some(0)),
    ("v.blk.5.attn_q.weight", Role::Vision, Some(5)),
    ("v.patch_embd.weight", Role::Vision, None),
    ("mm.0.weight", Role::Projector, None),
    ("a.blk.1.ffn_up.weight", Role::Audio, Some(1)),
    ("enc.blk.2.attn_rel_b.weight", Role::PositionEmbedding, Some(2)),
    ("dec.blk.2.cross_attn_q.weight", Role::Attention, Some(2)),
    ("blk.0.attn_q.weight.lora_a", Role::Adapter, Some(0)),
    ("model.layers.0.mlp.up_proj.weight", Role::Other, None),
    ("blk.x.attn_q.weight", Role::Other, None),
];

fn wrong(table: &[(&str, Role, Option<u32>)], format: Format) -> Vec<String> {
    let judge = |&(name, role, layer): &(&str, Role, Option<u32>)| {
        let naming = classify(name, format);
        ((naming.role, naming.layer) != (role, layer)).then(|| format!("{name}: {:?} {:?}", naming.role, naming.layer))
    };
    table.iter().filter_map(judge).collect()
}

#[test]
fn hugging_face_names_have_their_role_and_layer() {
    assert_eq!(wrong(HF, Format::Safetensors), Vec::<String>::new());
}

#[test]
fn gguf_names_have_their_role_and_layer() {
    assert_eq!(wrong(GGUF, Format::Gguf), Vec::<String>::new());
}

#[test]
fn experts_are_numbered() {
    let naming = classify("model.layers.3.block_sparse_moe.experts.7.w2.weight", Format::Safetensors);
    assert_eq!((naming.layer, naming.expert), (Some(3), Some(7)));
    assert_eq!(classify("model.layers.0.mlp.experts.gate_up_proj_blocks", Format::Safetensors).expert, None);
}

#[test]
fn layers_behind_the_last_one_are_multi_token_prediction() {
    let at = |name| classify(name, Format::Safetensors).with_main_layers(61).role;
    assert_eq!(at("model.layers.60.mlp.experts.0.up_proj.weight"), Role::Expert);
    assert_eq!(at("model.layers.61.mlp.experts.0.up_proj.weight"), Role::Mtp);
    assert_eq!(at("model.layers.61.mlp.experts.0.up_proj.weight_scale_inv"), Role::QuantAux);
    assert_eq!(at("vision_model.encoder.layers.70.mlp.fc1.weight"), Role::Vision);
}

#[test]
fn tables_are_sorted() {
    assert!(gguf::OUTSIDE.is_sorted());
    assert!(gguf::IN_BLOCK.is_sorted());
}

#[test]
fn buffers_are_told_by_name_and_shape() {
    use crate::dtype::Dtype;
    assert!(is_buffer("embeddings.position_ids", Dtype::I64, &[1, 512]));
    assert!(is_buffer("model.layers.0.self_attn.rotary_emb.inv_freq", Dtype::F32, &[64]));
    assert!(is_buffer("h.0.attn.bias", Dtype::F32, &[1, 1, 1024, 1024]));
    assert!(is_buffer("gpt_neox.layers.0.attention.bias", Dtype::BOOL, &[1, 1, 2048, 2048]));
    assert!(is_buffer("rope_freqs.weight", Dtype::F32, &[64]));
    assert!(is_buffer("features.1.num_batches_tracked", Dtype::I64, &[]));
    assert!(!is_buffer("features.1.running_mean", Dtype::F32, &[64]));
    assert!(!is_buffer("h.0.attn.bias", Dtype::F32, &[1024]));
    assert!(!is_buffer("h.0.attn.c_attn.bias", Dtype::F32, &[2304]));
    assert!(!is_buffer("model.layers.3.mlp.gate.e_score_correction_bias", Dtype::F32, &[256]));
}

#[test]
fn every_role_has_its_own_name() {
    let names: std::collections::HashSet<_> = Role::ALL.iter().map(|role| role.name()).collect();
    assert_eq!(names.len(), Role::ALL.len());
}
