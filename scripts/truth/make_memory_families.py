#!/usr/bin/env python3
"""Makes fixtures/memory/families.json: small models of many families, and what llama.cpp reserves for each.

usage: make_memory_families.py MEMORY_BREAKDOWN > fixtures/memory/families.json ; the program is memory_breakdown.cpp, linked with llama.cpp commit
0c1e570. The models have the tensors and keys that the loader of their family asks for, and no data. Needs only the standard library."""
import json
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from compact_memory_truth import folded, kept_keys  # noqa: E402
import gguf_head  # noqa: E402

F32, F16 = 0, 1
SETTINGS = [
    "1024:512:2048:1:0:f16:f16:1:0",
    "8192:512:2048:1:0:f16:f16:0:0:server",
    "8192:1024:2048:3:0:f16:f16:1:0:server",
    "8192:1024:2048:3:0:f16:f16:0:0",
    "4096:512:512:4:1:q8_0:q8_0:1:0",
    "100:64:2048:1:0:f16:f16:1:0",
    "65536:256:2048:1:1:q8_0:f16:1:0:server",
    "3000:2048:1000:2:0:f32:f32:0:0",
    "3000:2048:1000:2:0:f32:f32:1:0",
    "8192:512:2048:2:1:f16:f16:1:1:server",
]
E, H, KV, D, FF, V = 512, 8, 2, 64, 1408, 5000
ATTENDS = (2, 5)


class Block:
    """Adds the tensors of one block."""

    def __init__(self, tensors, layer):
        self.tensors, self.prefix = tensors, f"blk.{layer}."

    def weight(self, name, *shape, kind=F16):
        self.tensors.append((f"{self.prefix}{name}.weight", kind, list(shape)))

    def bias(self, name, n):
        self.tensors.append((f"{self.prefix}{name}.bias", F32, [n]))

    def plain(self, name, *shape):
        self.tensors.append((f"{self.prefix}{name}", F32, list(shape)))


def model(arch, L=5, kv=KV, d=D, norms=("attn_norm", "ffn_norm"), fused=False, biases=(), gate=True, ffup=1, head=True, layer_norm=False, heads_norm=None,
          experts=None, state=None, more=None, extra=None, keys=None, ffn=True):
    own = {"block_count": L, "context_length": 32768, "embedding_length": E, "feed_forward_length": FF, "vocab_size": V, "attention.head_count": H,
           "attention.head_count_kv": kv, "attention.key_length": d, "attention.value_length": d, "rope.dimension_count": d,
           "attention.layer_norm_rms_epsilon": 1e-6, "attention.layer_norm_epsilon": 1e-6, "rope.freq_base": 10000.0}
    if experts:
        own |= {"expert_count": experts[0], "expert_used_count": experts[1], "expert_feed_forward_length": experts[2]}
    own |= keys or {}
    own = {k: v for k, v in own.items() if v is not None}
    # LFM2 calls its last norm by another name.
    last_norm = "token_embd_norm" if arch == "lfm2" else "output_norm"
    tensors = [("token_embd.weight", F16, [E, V]), (f"{last_norm}.weight", F32, [E])]
    if layer_norm:
        tensors.append(("output_norm.bias", F32, [E]))
    if head:
        tensors.append(("output.weight", F16, [E, V]))
    tensors += extra or []
    q, k = H * d, (max(kv) if isinstance(kv, list) else kv) * d
    for i in range(L):
        b = Block(tensors, i)
        for name in norms:
            b.weight(name, E, kind=F32)
            if layer_norm:
                b.bias(name, E)
        kind = state(b, i) if state else "attention"
        if kind == "attention":
            if fused:
                b.weight("attn_qkv", E, q + 2 * k)
                if "qkv" in biases:
                    b.bias("attn_qkv", q + 2 * k)
            else:
                for name, n in (("attn_q", q), ("attn_k", k), ("attn_v", k)):
                    b.weight(name, E, n)
                    if "qkv" in biases:
                        b.bias(name, n)
            b.weight("attn_output", q, E)
            if "o" in biases:
                b.bias("attn_output", E)
            if heads_norm == "heads":
                b.weight("attn_q_norm", d, kind=F32), b.weight("attn_k_norm", d, kind=F32)
            if heads_norm == "flat":
                b.weight("attn_q_norm", q, kind=F32), b.weight("attn_k_norm", k, kind=F32)
        if experts and (len(experts) < 4 or experts[3](i)):
            n, _, f = experts[:3]
            b.weight("ffn_gate_inp", E, n, kind=F32)
            b.weight("ffn_up_exps", E, f, n), b.weight("ffn_gate_exps", E, f, n), b.weight("ffn_down_exps", f, E, n)
        elif ffn is True or (ffn and ffn(i)):
            b.weight("ffn_up", E, FF * ffup), b.weight("ffn_down", FF, E)
            if gate:
                b.weight("ffn_gate", E, FF)
            if "ff" in biases:
                b.bias("ffn_up", FF), b.bias("ffn_down", E)
        if more:
            more(b, i)
    return [("general.architecture", arch), ("tokenizer.ggml.model", "no_vocab")] + [(f"{arch}.{k}", v) for k, v in own.items()], tensors


def shared(f, gated=False, where=lambda i: True):
    def add(b, i):
        if where(i):
            b.weight("ffn_up_shexp", E, f), b.weight("ffn_gate_shexp", E, f), b.weight("ffn_down_shexp", f, E)
            if gated:
                b.weight("ffn_gate_inp_shexp", E, kind=F32)
    return add


def mamba2(inner, state, heads, groups, attends=(), neither=()):
    def add(b, i):
        if i in attends:
            return "attention"
        if i in neither:
            return "neither"
        channels = inner + 2 * groups * state
        b.weight("ssm_in", E, 2 * inner + 2 * groups * state + heads), b.weight("ssm_conv1d", 4, channels, kind=F32)
        b.bias("ssm_conv1d", channels), b.bias("ssm_dt", heads), b.plain("ssm_a", 1, heads), b.plain("ssm_d", 1, heads)
        b.weight("ssm_norm", inner // groups, groups, kind=F32), b.weight("ssm_out", inner, E)
        return "state"
    return add


def mamba1(inner, state, rank, attends=(), norms=True):
    def add(b, i):
        if i in attends:
            return "attention"
        b.weight("ssm_in", E, 2 * inner), b.weight("ssm_conv1d", 4, inner, kind=F32), b.bias("ssm_conv1d", inner)
        b.weight("ssm_x", inner, rank + 2 * state), b.weight("ssm_dt", rank, inner), b.bias("ssm_dt", inner)
        if norms:
            b.weight("ssm_dt_norm", rank, kind=F32), b.weight("ssm_b_norm", state, kind=F32), b.weight("ssm_c_norm", state, kind=F32)
        b.plain("ssm_a", state, inner), b.plain("ssm_d", inner), b.weight("ssm_out", inner, E)
        return "state"
    return add


def short_convolution(length):
    def add(b, i):
        if i in ATTENDS:
            return "attention"
        b.weight("shortconv.in_proj", E, 3 * E), b.weight("shortconv.out_proj", E, E), b.weight("shortconv.conv", length, E, kind=F32)
        return "state"
    return add


def ssm(inner, state, rank, groups=None):
    keys = {"ssm.conv_kernel": 4, "ssm.inner_size": inner, "ssm.state_size": state, "ssm.time_step_rank": rank}
    return keys | ({} if groups is None else {"ssm.group_count": groups})


def attends(L, kv):
    return [kv if i in ATTENDS else 0 for i in range(L)]


POST = ("post_attention_norm", "post_ffw_norm")
GEMMA = ("attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm")
NO_ATTENTION = {k: None for k in ("attention.head_count", "attention.head_count_kv", "attention.key_length", "attention.value_length", "rope.dimension_count")}
SCALES = {"embedding_scale": 12.0, "residual_scale": 0.22, "logit_scale": 8.0, "attention.scale": 0.0156}
WINDOW = {"attention.sliding_window": 1024}
MODELS = {
    "llama, biases": model("llama", biases=("qkv", "o")),
    "llama, narrow feed-forward": model("llama", kv=H, keys={"feed_forward_length": FF}),
    "llama, 16 experts": model("llama", experts=(16, 4, FF)),
    "mistral3": model("mistral3"),
    "qwen2": model("qwen2", biases=("qkv",), head=False),
    "qwen3": model("qwen3", heads_norm="heads", head=False),
    "qwen3moe": model("qwen3moe", heads_norm="heads", experts=(32, 8, 192)),
    "qwen2moe": model("qwen2moe", biases=("qkv",), experts=(16, 4, 256), more=shared(704, True), keys={"expert_shared_feed_forward_length": 704}),
    "internlm2": model("internlm2"),
    "granite": model("granite", keys=SCALES, head=False),
    "granitemoe": model("granitemoe", experts=(8, 2, FF), keys=SCALES),
    "olmoe": model("olmoe", heads_norm="flat", kv=H, experts=(16, 4, FF)),
    "olmo2": model("olmo2", heads_norm="flat", kv=H, norms=POST),
    "olmo2, windows (OLMo 3)": model("olmo2", L=8, heads_norm="flat", kv=H, norms=POST, keys=WINDOW),
    "exaone4": model("exaone4", L=8, heads_norm="heads", norms=POST, keys=WINDOW),
    "exaone4, 64 layers": model("exaone4", L=64, heads_norm="heads", norms=POST, keys=WINDOW),
    "smollm3": model("smollm3", L=6),
    "gemma": model("gemma", head=False, kv=1),
    "gemma2": model("gemma2", L=6, head=False, norms=GEMMA, keys=WINDOW | {"attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0}),
    "gemma3": model("gemma3", L=8, head=False, heads_norm="heads", d=128, norms=GEMMA, keys={"attention.sliding_window": 512}),
    "phi3": model("phi3", fused=True, gate=False, ffup=2, kv=H),
    "llama4": model("llama4", L=8, experts=(4, 1, 512), more=shared(512), keys={"interleave_moe_layer_step": 1}),
    "llama4, interleaved": model("llama4", L=8, experts=(4, 1, 512, lambda i: i % 2 == 1), more=shared(512, where=lambda i: i % 2 == 1), keys={"interleave_moe_layer_step": 2}),
    "starcoder2": model("starcoder2", layer_norm=True, gate=False, biases=("qkv", "o", "ff")),
    "gpt2": model("gpt2", layer_norm=True, gate=False, fused=True, kv=H, biases=("qkv", "o", "ff"), extra=[("position_embd.weight", F16, [E, 32768])]),
    "gptneox": model("gptneox", layer_norm=True, gate=False, fused=True, kv=H, biases=("qkv", "o", "ff"), keys={"use_parallel_residual": True}),
    "gptneox, sequential": model("gptneox", layer_norm=True, gate=False, fused=True, kv=H, biases=("qkv", "o", "ff"), keys={"use_parallel_residual": False}),
    "falcon, two norms": model("falcon", layer_norm=True, gate=False, fused=True, norms=("attn_norm", "attn_norm_2")),
    "phi2": model("phi2", layer_norm=True, gate=False, kv=H, norms=("attn_norm",), biases=("qkv", "o", "ff"), extra=[("output.bias", F32, [V])]),
    "command-r": model("command-r", norms=("attn_norm",), head=False, keys={"logit_scale": 0.0625}),
    "cohere2": model("cohere2", L=8, norms=("attn_norm",), head=False, keys={"logit_scale": 0.0625} | WINDOW),
    "mamba": model("mamba", norms=("attn_norm",), ffn=False, state=mamba1(1024, 16, 32, norms=False), keys=NO_ATTENTION | ssm(1024, 16, 32) | {"feed_forward_length": 0}),
    "mamba2": model("mamba2", norms=("attn_norm",), ffn=False, state=mamba2(1024, 128, 16, 1), keys=NO_ATTENTION | ssm(1024, 128, 16, 1) | {"feed_forward_length": 0}),
    "granitehybrid": model("granitehybrid", L=8, kv=attends(8, KV), state=mamba2(1024, 64, 16, 1, ATTENDS), keys=SCALES | ssm(1024, 64, 16, 1) | {"rope.scaling.finetuned": False}),
    "granitehybrid, experts": model("granitehybrid", L=8, kv=attends(8, KV), state=mamba2(1024, 64, 16, 1, ATTENDS), experts=(8, 2, FF), more=shared(512),
                                    keys=SCALES | ssm(1024, 64, 16, 1) | {"expert_shared_feed_forward_length": 512}),
    "jamba": model("jamba", L=8, kv=attends(8, KV), state=mamba1(1024, 16, 32, ATTENDS), experts=(4, 2, FF, lambda i: i % 2 == 1),
                   keys=ssm(1024, 16, 32) | {"rope.dimension_count": None}),
    "lfm2": model("lfm2", L=8, head=False, kv=attends(8, KV), state=short_convolution(3), keys={"shortconv.l_cache": 3},
                  more=lambda b, i: (b.weight("attn_q_norm", D, kind=F32), b.weight("attn_k_norm", D, kind=F32)) if i in ATTENDS else None),
    "stablelm": model("stablelm", layer_norm=True),
    "stablelm, one norm": model("stablelm", layer_norm=True, norms=("attn_norm",), keys={"use_parallel_residual": True}),
    "qwen": model("qwen", fused=True, kv=H, biases=("qkv",), keys={"feed_forward_length": 2 * FF}),
    "ernie4_5": model("ernie4_5"),
    "deepseek": model("deepseek", kv=H, experts=(8, 2, FF, lambda i: i > 0), more=shared(2 * FF, where=lambda i: i > 0),
                      keys={"leading_dense_block_count": 1, "expert_shared_count": 2, "expert_weights_scale": 1.0}),
    "glm4": model("glm4", norms=GEMMA, gate=False, ffup=2, biases=("qkv",)),
    "orion": model("orion", layer_norm=True),
    "nemotron": model("nemotron", layer_norm=True, gate=False),
    "arcee": model("arcee", gate=False),
    "exaone": model("exaone"),
    "minicpm": model("minicpm", keys=SCALES),
    "seed_oss": model("seed_oss", norms=("attn_norm", "post_attention_norm"), biases=("qkv",)),
    "xverse": model("xverse", kv=H),
    "nemotron_h": model("nemotron_h", L=8, kv=attends(8, KV), norms=("attn_norm",), gate=False, state=mamba2(1024, 64, 16, 1, ATTENDS, (1, 4, 7)), ffn=lambda i: i in (1, 4, 7),
                        keys=ssm(1024, 64, 16, 1) | {"feed_forward_length": [FF if i in (1, 4, 7) else 0 for i in range(8)]}),
}


def main(program):
    rows = []
    for name, (keys, tensors) in MODELS.items():
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "model.gguf"
            gguf_head.write(path, keys, tensors)
            run = subprocess.run([program, path], input="\n".join(SETTINGS), capture_output=True, text=True)
        if run.returncode:
            sys.exit(f"{name}: {run.stderr}")
        measured = [line.split(" ") for line in run.stdout.splitlines()]
        kept = [[cfg, int(cache), int(compute)] for cfg, cache, compute in measured if compute != "0"]
        keys = {k: v for k, v in kept_keys(dict(keys)).items()}
        rows.append(f" {json.dumps(name)}: {json.dumps({'keys': keys, 'tensors': folded(tensors), 'rows': kept}, separators=(',', ':'))}")
    about = "llama.cpp commit 0c1e570, CPU back end, scripts/truth/make_memory_families.py; rows: settings, bytes of cache and states, bytes of the compute buffer"
    print('{"about": %s,\n"models": {\n%s\n}}' % (json.dumps(about), ",\n".join(rows)))


if __name__ == "__main__":
    main(sys.argv[1])
