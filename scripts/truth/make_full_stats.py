#!/usr/bin/env python3
"""Write fixtures/full_stats/: small checkpoints, and truth.json with what `weigh scan --stats full` must say of them.

Needs scripts/truth/requirements.txt. The output is the same on every run.
"""

import json
import zlib
from pathlib import Path

import gguf
import ml_dtypes
import numpy as np
import scipy
from gguf.quants import dequantize, quantize

from full_stats import CASTS, FLOATS, INTS, full
from handmade import safetensors_bytes

OUT = Path(__file__).resolve().parents[2] / "fixtures" / "full_stats"
HEAD_DIM = 16

LLAMA = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 64, "num_hidden_layers": 1, "num_attention_heads": 4,
    "num_key_value_heads": 4, "head_dim": HEAD_DIM, "intermediate_size": 96, "vocab_size": 40, "max_position_embeddings": 64,
    "tie_word_embeddings": False, "rms_norm_eps": 1e-6,
}
GPT2 = {
    "architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "n_embd": 48, "n_layer": 1, "n_head": 3, "n_positions": 32,
    "vocab_size": 40,
}


def rng_for(label):
    return np.random.default_rng(zlib.crc32(label.encode()))


def normal(label, *shape, sigma=0.05):
    return rng_for(label).normal(0, sigma, shape).astype(np.float32)


def pruned(x, n, m, axis=-1):
    """The smallest M - N magnitudes of every whole group of M are set to zero."""
    x = np.moveaxis(x.copy(), axis, -1)
    whole = x[..., : x.shape[-1] // m * m]
    shaped = np.ascontiguousarray(whole).reshape(-1, m)
    order = np.argsort(np.abs(shaped), axis=1, kind="stable")
    np.put_along_axis(shaped, order[:, : m - n], 0, axis=1)
    x[..., : x.shape[-1] // m * m] = shaped.reshape(whole.shape)
    return np.ascontiguousarray(np.moveaxis(x, -1, axis))


def half_zero(label, x):
    """Exactly half of the values, at random places, some as -0."""
    x = x.copy().reshape(-1)
    places = rng_for("places " + label).permutation(x.size)[: x.size // 2]
    x[places] = 0.0
    x[places[::5]] = -0.0
    return x


def planted(dtype, label, n):
    """Random values with everything odd that the dtype has."""
    kind, unsigned, exponent_bits, mantissa_bits = FLOATS[dtype]
    x = (rng_for(label).normal(0, 0.05, n)).astype(kind)
    bits = x.view(unsigned)
    sign = 1 << (exponent_bits + mantissa_bits)
    inf = ((1 << exponent_bits) - 1) << mantissa_bits
    special = [0, sign, 1, sign | 1, 2, inf - 1, sign | (inf - 1), inf, sign | inf, inf | 1, sign - 1, 2 * sign - 1]
    for i, code in enumerate(special * 2):
        bits[137 + 61 * i] = code
    bits[-7:] = 0
    return x


def llama():
    bf16 = lambda x: x.astype(ml_dtypes.bfloat16)
    pre = "model.layers.0."
    embed = normal("embed", 40, 64)
    embed[[3, 4, 39]] = 0
    embed[:, [0, 63]] = 0
    q = normal("q", 64, 64)
    q[HEAD_DIM : 2 * HEAD_DIM] = 0
    o = normal("o", 64, 64)
    o[:, 2 * HEAD_DIM :] = 0
    blocks = normal("blocks", 70, 133)
    blocks[32:64, 64:96] = 0
    blocks[:16, :48] = 0
    blocks[64:, 128:] = 0
    up = normal("up", 96, 64)
    up[[5, 6, 7, 95]] = 0
    down = normal("down", 64, 96)
    down[:, [5, 40]] = 0
    columns, rows = "columns", "rows"
    # name -> dtype, values, what the name and the shape say
    tensors = {
        "model.embed_tokens.weight": ("BF16", bf16(embed), {}),
        pre + "self_attn.q_proj.weight": ("F32", q, {"reduction": columns, "heads": (rows, HEAD_DIM)}),
        pre + "self_attn.k_proj.weight": ("BF16", bf16(pruned(normal("k", 64, 64), 2, 4)), {"reduction": columns, "heads": (rows, HEAD_DIM)}),
        pre + "self_attn.v_proj.weight": ("F16", half_zero("v", normal("v", 64, 64)).reshape(64, 64).astype(np.float16), {"reduction": columns, "heads": (rows, HEAD_DIM)}),
        pre + "self_attn.o_proj.weight": ("F16", o.astype(np.float16), {"reduction": columns, "heads": (columns, HEAD_DIM)}),
        pre + "mlp.up_proj.weight": ("BF16", bf16(up), {"reduction": columns, "channels": rows}),
        pre + "mlp.gate_proj.weight": ("F32", pruned(normal("gate", 96, 64), 1, 4), {"reduction": columns, "channels": rows}),
        pre + "mlp.down_proj.weight": ("F16", down.astype(np.float16), {"reduction": columns, "channels": columns}),
        "lm_head.weight": ("BF16", bf16(half_zero("head", normal("head", 40, 66)).reshape(40, 66)), {"reduction": columns}),
        # Another width than the groups and the words have; what is not named is measured, too.
        "blocks.weight": ("BF16", bf16(blocks), {"reduction": columns}),
        "eights.weight": ("F32", pruned(normal("eights", 33, 136), 4, 8), {"reduction": columns}),
        "short.weight": ("BF16", bf16(pruned(normal("short", 20, 70), 2, 4)), {"reduction": columns}),
        "random_half.weight": ("F32", half_zero("random half", normal("random half", 128, 96)).reshape(128, 96), {"reduction": columns}),
        "doubles.weight": ("F64", half_zero("doubles", rng_for("doubles").normal(0, 0.05, 40 * 36)).reshape(40, 36), {"reduction": columns}),
        # Already narrow: F32 that is BF16, and F16.
        "was_bf16": ("F32", bf16(normal("was bf16", 500)).astype(np.float32), {}),
        "was_f16": ("F32", normal("was f16", 500, sigma=1e-3).astype(np.float16).astype(np.float32), {}),
        "wide_range": ("F32", (rng_for("range").normal(0, 1, 2000) * np.exp(rng_for("exp").uniform(-40, 40, 2000))).astype(np.float32), {}),
        "constant": ("BF16", bf16(np.full(300, 0.5)), {}),
        "not_finite": ("F32", np.array([np.nan, np.inf, -np.inf, np.nan], np.float32), {}),
    }
    for dtype in FLOATS:
        tensors["planted." + dtype.lower()] = (dtype, planted(dtype, "planted " + dtype, 2500), {})
    for dtype, kind in INTS.items():
        info = np.iinfo(kind)
        x = rng_for("ints " + dtype).integers(info.min, info.max, 600, dtype=kind, endpoint=True)
        x[::7] = 0
        x[1], x[2] = info.min, info.max
        tensors["ints." + dtype.lower()] = (dtype, x, {})
    for i in range(3):
        tensors[f"twin.{i}"] = ("F32", normal("twin" if i < 2 else "third", 300), {})
    return tensors


def gpt2():
    attention = pruned(normal("gpt2 attention", 48, 144), 2, 4, axis=0)
    attention[:, 16:32] = 0
    up = normal("gpt2 up", 48, 192)
    up[:, :3] = 0
    down = pruned(normal("gpt2 down", 192, 48), 4, 8, axis=0)
    rows, columns = "rows", "columns"
    return {
        "transformer.h.0.attn.c_attn.weight": ("F32", attention, {"reduction": rows, "heads": (columns, 16)}),
        "transformer.h.0.mlp.c_fc.weight": ("F32", up, {"reduction": rows, "channels": columns}),
        "transformer.h.0.mlp.c_proj.weight": ("F32", down, {"reduction": rows, "channels": rows}),
    }


def truth_of(dtype, array, says, casts):
    matrix = (1, array.shape[0], array[0].size) if array.ndim > 1 else None
    return full(array, dtype, matrix=matrix, casts=casts if dtype in FLOATS or dtype not in INTS else (), **says)


def write(folder, tensors, config):
    out = OUT / folder
    out.mkdir(parents=True, exist_ok=True)
    data = [(name, dtype, list(array.shape), array.tobytes()) for name, (dtype, array, _) in tensors.items()]
    (out / "model.safetensors").write_bytes(safetensors_bytes(data))
    (out / "config.json").write_text(json.dumps(config) + "\n")
    return {name: truth_of(dtype, array, says, list(CASTS)) for name, (dtype, array, says) in tensors.items()}


def write_gguf():
    """Block types: what the decoder gives is measured."""
    path = OUT / "blocks.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_uint32("llama.attention.key_length", 32)
    writer.add_uint32("llama.attention.head_count", 2)
    truth = {}
    q = half_zero("gguf q", normal("gguf q", 64, 256)).reshape(64, 256)
    q[32:] = 0
    rows = "rows"
    up = pruned(normal("gguf up", 48, 256), 2, 4)
    for name, kind, x, says in [
        ("blk.0.attn_q.weight", gguf.GGMLQuantizationType.Q8_0, q, {"reduction": "columns", "heads": (rows, 32)}),
        ("blk.0.ffn_up.weight", gguf.GGMLQuantizationType.Q4_0, up, {"reduction": "columns", "channels": rows}),
        ("blk.0.ffn_down.weight", gguf.GGMLQuantizationType.Q5_1, normal("gguf down", 64, 96), {"reduction": "columns", "channels": "columns"}),
    ]:
        raw = quantize(x, kind)
        writer.add_tensor(name, raw, raw_shape=raw.shape, raw_dtype=kind)
        truth[name] = truth_of(kind.name, dequantize(raw, kind).astype(np.float32), says, ["F16", "F8_E4M3"])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return truth


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    truth = {
        "made_by": {"script": "scripts/truth/make_full_stats.py", "numpy": np.__version__, "scipy": scipy.__version__,
                    "ml_dtypes": "0.6.0", "gguf": "0.19.0"},
        "llama/model.safetensors": write("llama", llama(), LLAMA),
        "gpt2/model.safetensors": write("gpt2", gpt2(), GPT2),
        "blocks.gguf": write_gguf(),
    }
    (OUT / "truth.json").write_text(json.dumps(truth, indent=None, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
