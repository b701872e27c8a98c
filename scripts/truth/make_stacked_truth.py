#!/usr/bin/env python3
"""Makes fixtures/stacked.json: models whose experts one tensor holds, at their published sizes, and what llama.cpp's converter makes
of them.

usage: make_stacked_truth.py LLAMA_CPP WORK OUT

LLAMA_CPP holds `convert_hf_to_gguf.py`, `conversion/` and `gguf-py/` (the sdist llama-cpp-python 0.3.36 vendors commit 0c1e570).
Versions: transformers==4.57.6 torch==2.15.0 numpy==2.2.6 safetensors==0.8.0.

The weights are a header before a hole, and the converter is run without writing (`dry_run`), which gives names, shapes and types. No
tokenizer is converted. Names and shapes: the published repositories' config.json and index; Granite MoE SWA and Step by their classes
of transformers 5.24."""
import json
import logging
import os
import sys
from pathlib import Path


def llama4(experts, step):
    """Llama 4 Scout (16 experts in each block) and Maverick (128 in every second one)."""
    h, f, dense = 5120, 8192, 16384
    p = 'language_model.model.layers.*.'
    moe = f'{step - 1}:48:{step}'
    rows = [('language_model.model.embed_tokens.weight', [202048, h]), ('language_model.lm_head.weight', [202048, h]),
            ('language_model.model.norm.weight', [h])]
    rows += [(p + n + '.weight', [h], '0:48:1') for n in ('input_layernorm', 'post_attention_layernorm')]
    rows += [(f'{p}self_attn.{n}_proj.weight', s, '0:48:1') for n, s in (('q', [h, h]), ('k', [1024, h]), ('v', [1024, h]), ('o', [h, h]))]
    rows += [(p + 'feed_forward.experts.gate_up_proj', [experts, h, 2 * f], moe), (p + 'feed_forward.experts.down_proj', [experts, f, h], moe),
             (p + 'feed_forward.router.weight', [experts, h], moe)]
    rows += [(f'{p}feed_forward.shared_expert.{n}_proj.weight', s, moe) for n, s in (('gate', [f, h]), ('up', [f, h]), ('down', [h, f]))]
    if step == 2:
        rows += [(f'{p}feed_forward.{n}_proj.weight', s, '0:48:2') for n, s in (('gate', [dense, h]), ('up', [dense, h]), ('down', [h, dense]))]
    rows += [('vision_model.model.layers.*.self_attn.q_proj.weight', [1408, 1408], '0:34:1'), ('multi_modal_projector.linear_1.weight', [h, 4096])]
    text = dict(model_type='llama4_text', hidden_size=h, num_hidden_layers=48, num_attention_heads=40, num_key_value_heads=8, head_dim=128,
                num_local_experts=experts, num_experts_per_tok=1, intermediate_size=f, intermediate_size_mlp=dense,
                interleave_moe_layer_step=step, vocab_size=202048, max_position_embeddings=262144, rms_norm_eps=1e-5,
                attention_chunk_size=8192, rope_theta=500000.0)
    return dict(architectures=['Llama4ForConditionalGeneration'], model_type='llama4', tie_word_embeddings=False, text_config=text), rows


def qwen35():
    """Qwen3.5-35B-A3B, experts stacked as published; three of four blocks are linear attention."""
    h, p = 2048, 'model.language_model.layers.*.'
    rows = [('model.language_model.embed_tokens.weight', [248320, h]), ('lm_head.weight', [248320, h]), ('model.language_model.norm.weight', [h])]
    for start in range(3):
        at = f'{start}:40:4'
        rows += [(f'{p}linear_attn.{n}', s, at) for n, s in (
            ('dt_bias', [32]), ('A_log', [32]), ('conv1d.weight', [8192, 1, 4]), ('norm.weight', [128]), ('out_proj.weight', [h, 4096]),
            ('in_proj_qkv.weight', [8192, h]), ('in_proj_z.weight', [4096, h]), ('in_proj_b.weight', [32, h]), ('in_proj_a.weight', [32, h]))]
    rows += [(f'{p}self_attn.{n}.weight', s, '3:40:4') for n, s in (
        ('q_proj', [8192, h]), ('k_proj', [512, h]), ('v_proj', [512, h]), ('o_proj', [h, 4096]), ('q_norm', [256]), ('k_norm', [256]))]
    rows += [(p + n, s, '0:40:1') for n, s in (
        ('mlp.gate.weight', [256, h]), ('mlp.experts.gate_up_proj', [256, 1024, h]), ('mlp.experts.down_proj', [256, h, 512]),
        ('mlp.shared_expert.gate_proj.weight', [512, h]), ('mlp.shared_expert.up_proj.weight', [512, h]),
        ('mlp.shared_expert.down_proj.weight', [h, 512]), ('mlp.shared_expert_gate.weight', [1, h]), ('input_layernorm.weight', [h]),
        ('post_attention_layernorm.weight', [h]))]
    text = dict(model_type='qwen3_5_moe_text', hidden_size=h, num_hidden_layers=40, num_attention_heads=16, num_key_value_heads=2, head_dim=256,
                num_experts=256, num_experts_per_tok=8, moe_intermediate_size=512, shared_expert_intermediate_size=512, vocab_size=248320,
                max_position_embeddings=262144, rms_norm_eps=1e-6, linear_conv_kernel_dim=4, linear_key_head_dim=128, linear_num_key_heads=16,
                linear_num_value_heads=32, linear_value_head_dim=128, tie_word_embeddings=False,
                layer_types=(['linear_attention'] * 3 + ['full_attention']) * 10,
                rope_parameters=dict(partial_rotary_factor=0.25, rope_theta=10000.0, rope_type='default'))
    return dict(architectures=['Qwen3_5MoeForConditionalGeneration'], model_type='qwen3_5_moe', tie_word_embeddings=False, text_config=text), rows


def mistral4():
    """Mistral Small 4, in the layout that transformers saves."""
    h, p = 4096, 'model.language_model.layers.*.'
    rows = [('model.language_model.embed_tokens.weight', [131072, h]), ('lm_head.weight', [131072, h]), ('model.language_model.norm.weight', [h])]
    rows += [(p + n, s, '0:36:1') for n, s in (
        ('self_attn.q_a_proj.weight', [1024, h]), ('self_attn.q_a_layernorm.weight', [1024]), ('self_attn.q_b_proj.weight', [4096, 1024]),
        ('self_attn.kv_a_proj_with_mqa.weight', [320, h]), ('self_attn.kv_a_layernorm.weight', [256]),
        ('self_attn.kv_b_proj.weight', [6144, 256]), ('self_attn.o_proj.weight', [h, h]), ('mlp.experts.gate_up_proj', [128, 4096, h]),
        ('mlp.experts.down_proj', [128, h, 2048]), ('mlp.gate.weight', [128, h]), ('mlp.shared_experts.gate_proj.weight', [2048, h]),
        ('mlp.shared_experts.up_proj.weight', [2048, h]), ('mlp.shared_experts.down_proj.weight', [h, 2048]), ('input_layernorm.weight', [h]),
        ('post_attention_layernorm.weight', [h]))]
    text = dict(model_type='mistral4', hidden_size=h, num_hidden_layers=36, num_attention_heads=32, num_key_value_heads=32, head_dim=128,
                kv_lora_rank=256, q_lora_rank=1024, qk_nope_head_dim=64, qk_rope_head_dim=64, v_head_dim=128, n_routed_experts=128,
                n_shared_experts=1, num_experts_per_tok=4, moe_intermediate_size=2048, intermediate_size=12288, first_k_dense_replace=0,
                vocab_size=131072, max_position_embeddings=1048576, rms_norm_eps=1e-6, n_group=1, topk_group=1, norm_topk_prob=True,
                routed_scaling_factor=1.0, rope_parameters=dict(rope_type='yarn', factor=128.0, rope_theta=10000.0, mscale_all_dim=1.0,
                                                                llama_4_scaling_beta=0.1, original_max_position_embeddings=8192))
    return dict(architectures=['Mistral3ForConditionalGeneration'], model_type='mistral3', tie_word_embeddings=False, text_config=text), rows


def dbrx():
    """DBRX, 132B: the experts of a projection one below the other."""
    h, f, p = 6144, 10752, 'transformer.blocks.*.'
    rows = [('transformer.wte.weight', [100352, h]), ('lm_head.weight', [100352, h]), ('transformer.norm_f.weight', [h])]
    rows += [(p + n, s, '0:40:1') for n, s in (
        ('norm_attn_norm.norm_1.weight', [h]), ('norm_attn_norm.norm_2.weight', [h]), ('norm_attn_norm.attn.Wqkv.weight', [8192, h]),
        ('norm_attn_norm.attn.out_proj.weight', [h, h]), ('ffn.router.layer.weight', [16, h]), ('ffn.experts.mlp.w1', [16 * f, h]),
        ('ffn.experts.mlp.v1', [16 * f, h]), ('ffn.experts.mlp.w2', [16 * f, h]))]
    return dict(architectures=['DbrxForCausalLM'], model_type='dbrx', d_model=h, n_heads=48, n_layers=40, max_seq_len=32768, vocab_size=100352,
                tie_word_embeddings=False, attn_config=dict(kv_n_heads=8, clip_qkv=8, rope_theta=500000),
                ffn_config=dict(ffn_hidden_size=f, moe_num_experts=16, moe_top_k=4)), rows


def step35():
    """Step 3.5 Flash: 288 experts under `moe`, in three dimensions with `.weight`."""
    h, f, dense, p = 4096, 1280, 11264, 'model.layers.*.'
    rows = [('model.embed_tokens.weight', [128896, h]), ('lm_head.weight', [128896, h]), ('model.norm.weight', [h])]
    rows += [(p + n + '.weight', [h], '0:45:1') for n in ('input_layernorm', 'post_attention_layernorm')]
    for at, q in (('0:45:4', 64), ('1:45:4', 96), ('2:45:4', 96), ('3:45:4', 96)):
        rows += [(f'{p}self_attn.{n}.weight', s, at) for n, s in (
            ('q_proj', [q * 128, h]), ('k_proj', [1024, h]), ('v_proj', [1024, h]), ('o_proj', [h, q * 128]), ('q_norm', [128]),
            ('k_norm', [128]), ('g_proj', [q, h]))]
    rows += [(f'{p}mlp.{n}_proj.weight', s, '0:3:1') for n, s in (('gate', [dense, h]), ('up', [dense, h]), ('down', [h, dense]))]
    rows += [(p + n, s, '3:45:1') for n, s in (
        ('moe.gate.weight', [288, h]), ('moe.router_bias', [288]), ('moe.gate_proj.weight', [288, f, h]), ('moe.up_proj.weight', [288, f, h]),
        ('moe.down_proj.weight', [288, h, f]), ('share_expert.gate_proj.weight', [f, h]), ('share_expert.up_proj.weight', [f, h]),
        ('share_expert.down_proj.weight', [h, f]))]
    kinds = ['full_attention' if i % 4 == 0 else 'sliding_attention' for i in range(45)]
    return dict(architectures=['Step3p5ForCausalLM'], model_type='step3p5', hidden_size=h, num_hidden_layers=45, num_attention_heads=64,
                num_attention_groups=8, head_dim=128, moe_num_experts=288, moe_top_k=8, moe_intermediate_size=f, share_expert_dim=f,
                intermediate_size=dense, vocab_size=128896, max_position_embeddings=262144, rms_norm_eps=1e-5, rope_theta=10000.0,
                tie_word_embeddings=False, layer_types=kinds, sliding_window=512, moe_layers_enum=','.join(str(i) for i in range(3, 45)),
                attention_other_setting=dict(num_attention_heads=96, num_attention_groups=8, head_dim=128)), rows


def granite_swa():
    """Granite MoE with sliding windows, at a toy's size: `experts` below `block_sparse_moe`."""
    h, f, p = 256, 128, 'model.layers.*.'
    rows = [('model.embed_tokens.weight', [1000, h]), ('model.norm.weight', [h])]
    rows += [(p + n, s, '0:4:1') for n, s in (
        ('self_attn.q_proj.weight', [h, h]), ('self_attn.k_proj.weight', [128, h]), ('self_attn.v_proj.weight', [128, h]),
        ('self_attn.o_proj.weight', [h, h]), ('block_sparse_moe.experts.gate_up_proj', [8, 2 * f, h]),
        ('block_sparse_moe.experts.down_proj', [8, h, f]), ('block_sparse_moe.router.layer.weight', [8, h]), ('input_layernorm.weight', [h]),
        ('post_attention_layernorm.weight', [h]))]
    return dict(architectures=['GraniteMoeSWAForCausalLM'], model_type='granitemoe_swa', hidden_size=h, num_hidden_layers=4, num_attention_heads=8,
                num_key_value_heads=4, num_local_experts=8, num_experts_per_tok=2, intermediate_size=f, vocab_size=1000,
                max_position_embeddings=1024, rms_norm_eps=1e-6, tie_word_embeddings=True, embedding_multiplier=1.0, attention_multiplier=1.0,
                residual_multiplier=1.0, logits_scaling=1.0, sliding_window=64, rope_theta=10000.0), rows


MODELS = {'llama-4-scout': llama4(16, 1), 'llama-4-maverick': llama4(128, 2), 'qwen3.5-35b-a3b': qwen35(), 'mistral-small-4': mistral4(),
          'dbrx': dbrx(), 'step-3.5-flash': step35(), 'granite-moe-swa': granite_swa()}


def expanded(rows):
    for name, shape, *at in rows:
        numbers = range(*map(int, at[0].split(':'))) if at else [None]
        for i in numbers:
            yield (name if i is None else name.replace('*', str(i))), shape


def write_folder(folder, config, rows):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / 'config.json').write_text(json.dumps(config))
    header, at = {}, 0
    for name, shape in expanded(rows):
        size = 2
        for d in shape:
            size *= d
        header[name] = dict(dtype='BF16', shape=shape, data_offsets=[at, at + size])
        at += size
    raw = json.dumps(header).encode()
    raw += b' ' * (-len(raw) % 8)
    path = folder / 'model.safetensors'
    path.write_bytes(len(raw).to_bytes(8, 'little') + raw)
    os.truncate(path, 8 + len(raw) + at)


def main(llama_cpp, work, out):
    sys.path[:0] = [llama_cpp, llama_cpp + '/gguf-py']
    os.environ.update(PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION='python', TQDM_DISABLE='1')
    import gguf
    import torch
    from conversion import ModelBase, ModelType, get_model_architecture, get_model_class
    logging.disable(logging.CRITICAL)
    types = {'f16': 'MOSTLY_F16', 'q8_0': 'MOSTLY_Q8_0'}

    def converted(folder, outtype):
        with torch.inference_mode():
            kind = get_model_class(get_model_architecture(ModelBase.load_hparams(folder, False), ModelType.TEXT))
            kind.no_mtp = True
            model = kind(folder, getattr(gguf.LlamaFileType, types[outtype]), folder / 'out.gguf', dry_run=True)
            model = getattr(model, 'impl', model)
            model.prepare_tensors()
            return {k: v for shard in model.gguf_writer.tensors for k, v in shard.items()}

    def bytes_of(tensors):
        sums = {}
        for t in tensors.values():
            sums[t.dtype.name] = sums.get(t.dtype.name, 0) + t.nbytes
        return sums

    models = []
    for name, (config, rows) in MODELS.items():
        folder = Path(work) / name
        write_folder(folder, config, rows)
        row = dict(name=name, config=config, tensors=[list(r) for r in rows], converted={})
        for outtype in types:
            tensors = converted(folder, outtype)
            row['converted'][outtype] = dict(tensors=len(tensors), bytes=bytes_of(tensors))
        models.append(row)
        print(name, row['converted'], flush=True)
    about = ('scripts/truth/make_stacked_truth.py: bytes of tensors by type under outtypes of the converter of llama.cpp commit 0c1e570. '
             'Tensors are name, shape, and blocks as start:stop:step; all are BF16.')
    with open(out, 'w') as f:
        f.write('{"about": ' + json.dumps(about) + ',\n"models": [\n' + ',\n'.join(json.dumps(m) for m in models) + '\n]}\n')


main(*sys.argv[1:])
