#!/usr/bin/env python3
"""Write a sharded checkpoint with the names, shapes and dtypes of DeepSeek-V3:
91,991 tensors in 163 shards, index and config. Headers are real, the data is a
hole (all zeros), so 688.6 GB of files take about 20 MB of disk.

    scripts/truth/make_sharded.py OUT_DIR

The file system must support sparse files. The shards are cut by a size limit,
in layer order, so which tensor lies in which shard is not as in the published
set; the counts per dtype are.
"""

import json
import struct
import sys
from collections import Counter
from pathlib import Path

SIZE = {"F32": 4, "BF16": 2, "F8_E4M3": 1}
SHARDS = 163
EXPECTED = {"F8_E4M3": 680_571_043_840, "BF16": 3_918_786_560, "F32": 41_555_600}
EXPECTED_TENSORS, EXPECTED_BYTES = 91_991, 688_574_839_360

CONFIG = {
    "architectures": ["DeepseekV3ForCausalLM"], "model_type": "deepseek_v3",
    "vocab_size": 129280, "hidden_size": 7168, "intermediate_size": 18432,
    "moe_intermediate_size": 2048, "num_hidden_layers": 61, "num_nextn_predict_layers": 1,
    "num_attention_heads": 128, "num_key_value_heads": 128, "n_shared_experts": 1,
    "n_routed_experts": 256, "num_experts_per_tok": 8, "first_k_dense_replace": 3,
    "moe_layer_freq": 1, "n_group": 8, "topk_group": 4, "topk_method": "noaux_tc",
    "norm_topk_prob": True, "routed_scaling_factor": 2.5, "scoring_func": "sigmoid",
    "q_lora_rank": 1536, "kv_lora_rank": 512, "qk_rope_head_dim": 64, "qk_nope_head_dim": 128,
    "v_head_dim": 128, "hidden_act": "silu", "max_position_embeddings": 163840,
    "rms_norm_eps": 1e-06, "rope_theta": 10000, "tie_word_embeddings": False,
    "attention_bias": False, "torch_dtype": "bfloat16", "bos_token_id": 0, "eos_token_id": 1,
    "rope_scaling": {"type": "yarn", "factor": 40, "original_max_position_embeddings": 4096,
                     "beta_fast": 32, "beta_slow": 1, "mscale": 1.0, "mscale_all_dim": 1.0},
    "quantization_config": {"quant_method": "fp8", "fmt": "e4m3", "activation_scheme": "dynamic",
                            "weight_block_size": [128, 128]},
}


def tensors():
    """(name, dtype, shape) in layer order."""
    c = CONFIG
    hidden, vocab, heads = c["hidden_size"], c["vocab_size"], c["num_attention_heads"]
    nope, rope, value = c["qk_nope_head_dim"], c["qk_rope_head_dim"], c["v_head_dim"]

    def fp8(name, rows, columns):               # a weight and its scale per 128 x 128 block
        yield f"{name}.weight", "F8_E4M3", (rows, columns)
        yield f"{name}.weight_scale_inv", "F32", (-(-rows // 128), -(-columns // 128))

    def bf16(name, *shape):
        yield f"{name}.weight", "BF16", shape

    def mlp(name, width):
        yield from fp8(f"{name}.gate_proj", width, hidden)
        yield from fp8(f"{name}.up_proj", width, hidden)
        yield from fp8(f"{name}.down_proj", hidden, width)

    yield from bf16("model.embed_tokens", vocab, hidden)
    layers = c["num_hidden_layers"]
    for n in range(layers + c["num_nextn_predict_layers"]):
        layer = f"model.layers.{n}"
        if n >= layers:                         # multi-token prediction
            yield from bf16(f"{layer}.embed_tokens", vocab, hidden)
            yield from bf16(f"{layer}.enorm", hidden)
            yield from bf16(f"{layer}.hnorm", hidden)
            yield from bf16(f"{layer}.eh_proj", hidden, 2 * hidden)
        yield from bf16(f"{layer}.input_layernorm", hidden)
        attention = f"{layer}.self_attn"
        yield from fp8(f"{attention}.q_a_proj", c["q_lora_rank"], hidden)
        yield from bf16(f"{attention}.q_a_layernorm", c["q_lora_rank"])
        yield from fp8(f"{attention}.q_b_proj", heads * (nope + rope), c["q_lora_rank"])
        yield from fp8(f"{attention}.kv_a_proj_with_mqa", c["kv_lora_rank"] + rope, hidden)
        yield from bf16(f"{attention}.kv_a_layernorm", c["kv_lora_rank"])
        yield from fp8(f"{attention}.kv_b_proj", heads * (nope + value), c["kv_lora_rank"])
        yield from fp8(f"{attention}.o_proj", hidden, heads * value)
        yield from bf16(f"{layer}.post_attention_layernorm", hidden)
        if n < c["first_k_dense_replace"]:
            yield from mlp(f"{layer}.mlp", c["intermediate_size"])
        else:
            experts, width = c["n_routed_experts"], c["moe_intermediate_size"]
            yield from bf16(f"{layer}.mlp.gate", experts, hidden)
            yield f"{layer}.mlp.gate.e_score_correction_bias", "F32", (experts,)
            yield from mlp(f"{layer}.mlp.shared_experts", c["n_shared_experts"] * width)
            for e in range(experts):
                yield from mlp(f"{layer}.mlp.experts.{e}", width)
        if n >= layers:
            yield from bf16(f"{layer}.shared_head.norm", hidden)
            yield from bf16(f"{layer}.shared_head.head", vocab, hidden)
    yield from bf16("model.norm", hidden)
    yield from bf16("lm_head", vocab, hidden)


def elements(shape):
    product = 1
    for n in shape:
        product *= n
    return product


def nbytes(tensor):
    return elements(tensor[2]) * SIZE[tensor[1]]


def shards(every, limit):
    """A new shard starts when the next tensor would pass the limit."""
    result, used = [[]], 0
    for tensor in every:
        if result[-1] and used + nbytes(tensor) > limit:
            result.append([])
            used = 0
        result[-1].append(tensor)
        used += nbytes(tensor)
    return result


def write_shard(path, part):
    # Within a file as the safetensors writer sorts them: wide dtypes first, then by name.
    header, end = {"__metadata__": {"format": "pt"}}, 0
    for tensor in sorted(part, key=lambda t: (-SIZE[t[1]], t[0])):
        name, dtype, shape = tensor
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [end, end + nbytes(tensor)]}
        end += nbytes(tensor)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        f.truncate(8 + len(text) + end)


def main():
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    out = Path(sys.argv[1])
    every = list(tensors())
    counts = Counter()
    for _, dtype, shape in every:
        counts[dtype] += elements(shape)
    total = sum(map(nbytes, every))
    assert len({name for name, *_ in every}) == len(every)
    assert (dict(counts), len(every), total) == (EXPECTED, EXPECTED_TENSORS, EXPECTED_BYTES), \
        (dict(counts), len(every), total)

    low, high = total // SHARDS, 2 * total // SHARDS      # the smallest limit that gives 163
    while low < high:
        middle = (low + high) // 2
        if len(shards(every, middle)) <= SHARDS:
            high = middle
        else:
            low = middle + 1
    parts = shards(every, low)
    assert len(parts) == SHARDS, len(parts)

    out.mkdir(parents=True, exist_ok=True)
    weight_map = {}
    for number, part in enumerate(parts, 1):
        name = f"model-{number:05}-of-{SHARDS:06}.safetensors"   # six digits, as published
        write_shard(out / name, part)
        weight_map |= {tensor: name for tensor, *_ in part}
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    (out / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n")
    (out / "config.json").write_text(json.dumps(CONFIG, indent=2) + "\n")
    print(f"{len(every):,} tensors, {len(parts)} shards, {total:,} bytes; "
          + ", ".join(f"{d} {n:,}" for d, n in counts.items()))


if __name__ == "__main__":
    main()
