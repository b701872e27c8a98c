#!/usr/bin/env python3
"""Hostile files beyond the corpus of gen.py, each through every command of `weigh`: whatever is in them, a run ends by itself.

usage: inventions.py WEIGH FOLDER [--only PART_OF_A_NAME] [--command NAME] [--large | --small] [--list]

Each case is written below FOLDER, looked at and removed. A run fails where it is killed, panics, ends with an exit code other than
0, 1 or 2, says nothing, takes more than 5 s of CPU or 256 MiB of memory (peak resident set; the scan of a mapped file is left out
of that, its pages are the page cache's), writes JSON that is none, or text with control or bidirectional characters.
Exits 1 when a run failed. `--large` are the cases of some ten megabytes and more, `--small` the others.
"""
import gzip, io, json, os, resource, shutil, struct, sys, time, zipfile

U64, I64 = 2**64 - 1, 2**63
SECONDS, MIB = 5, 256
CASES = []


def case(name, large=False):
    """Registers a function that writes a case into an empty folder and gives the path to look at (or None: the folder)."""
    def register(make):
        CASES.append((name, make, large))
        return make
    return register


# Writers ------------------------------------------------------------------------------------------------------------------

def put(path, data, size=None):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(data.encode() if isinstance(data, str) else data)
    if size:
        os.truncate(path, size)
    return path


def t(dtype, shape, begin, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def st(header, data=b""):
    """A safetensors file; the header as an object or as it is to be written."""
    text = header if isinstance(header, bytes) else (header if isinstance(header, str) else json.dumps(header)).encode()
    return struct.pack("<Q", len(text)) + text + data


def text(s):
    s = s.encode() if isinstance(s, str) else s
    return struct.pack("<Q", len(s)) + s


def kv(key, kind, value):
    return text(key) + struct.pack("<I", kind) + value


def array(kind, count, items=b""):
    return struct.pack("<IQ", kind, count) + items


LLAMA = kv("general.architecture", 8, text("llama"))


def gguf(keys, tensors, data=b"", n_tensors=None, n_keys=None):
    head = bytearray(b"GGUF")
    head += struct.pack("<IQQ", 3, len(tensors) if n_tensors is None else n_tensors, len(keys) if n_keys is None else n_keys)
    head += b"".join(keys)
    for name, dims, kind, offset in tensors:
        head += text(name) + struct.pack("<I", len(dims)) + b"".join(struct.pack("<Q", d & U64) for d in dims)
        head += struct.pack("<IQ", kind, offset)
    return bytes(head) + bytes(-len(head) % 32) + data


EMBEDDING = [("token_embd.weight", [8], 0, 0)]
ONE = st({"a": t("F32", [4], 0, 16)}, bytes(16))
CONFIG = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 8, "num_hidden_layers": 1,
    "num_attention_heads": 2, "vocab_size": 16, "intermediate_size": 16, "max_position_embeddings": 64,
}
BASE = {"model.safetensors": st({"model.embed_tokens.weight": t("F32", [16, 8], 0, 512)}, bytes(512))}


def st_file(name, make, large=False, size=None):
    case("safetensors " + name, large)(lambda d: put(d + "/x.safetensors", make(), size))


def gguf_file(name, make, large=False, size=None):
    case("gguf " + name, large)(lambda d: put(d + "/x.gguf", make(), size))


def repo(name, make, large=False):
    def write(d):
        for file, data in make().items():
            put(os.path.join(d, file), data)
    case("repo " + name, large)(write)


def config(**keys):
    return {**BASE, "config.json": json.dumps({**CONFIG, **keys})}


# Safetensors --------------------------------------------------------------------------------------------------------------

ODD_NUMBERS = {
    "negative": "-1", "a fraction": "4.0", "an exponent": "4e0", "NaN": "NaN", "1e400": "1e400", "2^64-1": str(U64), "2^64": str(U64 + 1),
    "2^63": str(I64), "400 digits": "9" * 400, "a string": '"4"', "null": "null", "true": "true", "a list": "[4]", "-0": "-0", "04": "04",
    "an exponent of 10^9": "1e1000000000",
}
for words, number in ODD_NUMBERS.items():
    st_file("dimension " + words, lambda n=number: st('{"a":{"dtype":"F32","shape":[%s],"data_offsets":[0,16]}}' % n, bytes(16)))
    st_file("offset " + words, lambda n=number: st('{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,%s]}}' % n, bytes(16)))

HOSTILE_NAMES = [
    "\u202egnp.exe", "\x1b[2J\x1b]0;x\x07", "a\nb", "\u200b", "\ufeff", "", "a" * 100_000, "../../etc/passwd", "\0", "\U000e0041",
    "<script>alert(1)</script>", "=cmd|x", "| a | b |", "`rm`", "%s%n", "\x9b31m", "{{7*7}}", "\u2066x\u2069",
]
for i, hostile in enumerate(HOSTILE_NAMES):
    st_file("hostile name %d" % i, lambda n=hostile: st({n: t("F32", [4], 0, 16)}, bytes(16)))
    gguf_file("hostile name %d" % i, lambda n=hostile: gguf(
        [LLAMA, kv("general.name", 8, text(n)), kv(n or "k", 8, text(n))], [(n, [8], 0, 0)], bytes(32)))
    gguf_file("hostile architecture %d" % i, lambda n=hostile: gguf(
        [kv("general.architecture", 8, text(n)), kv("tokenizer.chat_template", 8, text(n)), kv("general.license", 8, text(n))],
        EMBEDDING, bytes(32)))

st_file("product of dimensions beyond 64 bits", lambda: st({"a": t("F32", [2**32] * 3, 0, 16)}, bytes(16)))
st_file("zero times huge", lambda: st({"a": t("F32", [0, U64, U64], 0, 0)}))
st_file("offsets at 2^64-1", lambda: st({"a": t("F32", [4], U64 - 16, U64)}))
st_file("65 dimensions", lambda: st({"a": t("F32", [1] * 65, 0, 4)}, bytes(4)))
st_file("100,000 dimensions", lambda: st({"a": t("F32", [1] * 100_000, 0, 4)}, bytes(4)))
st_file("doubled fields", lambda: st(
    b'{"a":{"dtype":"F32","dtype":"I8","shape":[4],"shape":[2],"data_offsets":[0,16],"data_offsets":[0,8]}}', bytes(16)))
st_file("doubled metadata", lambda: st(
    b'{"__metadata__":{"a":"1"},"__metadata__":{"a":"2"},"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}', bytes(16)))
st_file("nested metadata", lambda: st(
    b'{"__metadata__":{"a":{"b":[1,2,{"c":null}]}},"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}', bytes(16)))
st_file("UTF-16", lambda: st(json.dumps({"a": t("F32", [4], 0, 16)}).encode("utf-16"), bytes(16)))
st_file("deep JSON", lambda: st(b'{"a":' * 1_000_000))
st_file("one tebibyte, sparse", lambda: st({"model.embed_tokens.weight": t("F32", [1, 2**38], 0, 2**40)}), size=2**40 + 200)
st_file("tied at one tebibyte, not there", lambda: st(
    {"model.embed_tokens.weight": t("F32", [1, 2**38], 0, 2**40), "lm_head.weight": t("F32", [1, 2**38], 2**40, 2**41)}, bytes(64)))
st_file("layer numbers beyond 32 bits", lambda: st(
    {"model.layers.4294967295.w": t("F32", [1], 0, 4), "model.layers.99999999999999999999.w": t("F32", [1], 4, 8)}, bytes(8)))
st_file("names of dots", lambda: st({".".join("a" * 50_000): t("F32", [1], 0, 4), "." * 100_000: t("F32", [1], 4, 8)}, bytes(8)))

st_file("100 MB of white space", lambda: st(b"{}" + b" " * 99_999_990), True)
st_file("90 MB of one metadata value", lambda: st(b'{"__metadata__":{"a":"' + b"x" * 90_000_000 + b'"}}'), True)
st_file("90 MB of escapes", lambda: st(b'{"__metadata__":{"a":"' + b"\\u0041" * 15_000_000 + b'"}}'), True)
st_file("3,000,000 metadata keys", lambda: st(b'{"__metadata__":{' + b",".join(b'"k%d":"v"' % i for i in range(3_000_000)) + b"}}"), True)
st_file("90 names of 1 MB", lambda: st(b"{" + b",".join(
    b'"' + b"k" * 1_000_000 + b'%d":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}' % i for i in range(90)) + b"}"), True)
st_file("90 names of 1 MB of control characters", lambda: st(b"{" + b",".join(
    b'"' + b"\\u001b" * 160_000 + b'%d":{"dtype":"F32","shape":[1],"data_offsets":[%d,%d]}' % (i, 4 * i, 4 * i + 4)
    for i in range(90)) + b"}", bytes(360)), True)
st_file("2,000 names of 48 KB", lambda: st(b"{" + b",".join(
    b'"model.layers.%d.' % i + b"k" * 48_000 + b'.weight":{"dtype":"BF16","shape":[64,64],"data_offsets":[%d,%d]}' % (8192 * i, 8192 * i + 8192)
    for i in range(2000)) + b"}", bytes(8192 * 2000)), True)
st_file("200,000 unknown dtypes", lambda: st({"t%d" % i: t("Z%d" % i, [1], i, i + 1) for i in range(200_000)}, bytes(200_000)), True)
st_file("90 unknown dtypes of 1 MB", lambda: st(
    {"t%d" % i: t("Z" * 1_000_000 + str(i), [1], i, i + 1) for i in range(90)}, bytes(90)), True)
st_file("300,000 tensors on the same bytes", lambda: st(
    {"t%d" % i: t("U8", [300_000], 0, 300_000) for i in range(300_000)}, bytes(300_000)), True)
st_file("300,000 parts of packed weights", lambda: st(
    {"model.layers.%d.mlp.up_proj.%s" % (i // 3, ("qweight", "qzeros", "scales")[i % 3]): t("I32", [1, 1], 4 * i, 4 * i + 4)
     for i in range(300_000)}, bytes(1_200_000)), True)
st_file("300,000 tensors of a model", lambda: st(
    {"model.layers.%d.mlp.experts.%d.down_proj.weight" % (i // 3000, i % 3000): t("BF16", [8, 8], 128 * i, 128 * i + 128)
     for i in range(300_000)}, bytes(128 * 300_000)), True)
st_file("300,000 shapes", lambda: st(
    {"model.layers.%d.mlp.experts.%d.down_proj.weight" % (i // 3000, i % 3000): t("BF16", [i + 1, 1], 0, 2 * i + 2)
     for i in range(300_000)}, bytes(600_000)), True)
st_file("1,000,000 layers", lambda: st(b"{" + b",".join(
    b'"h.%d.w":{"dtype":"F16","shape":[1,1],"data_offsets":[%d,%d]}' % (i, 2 * i, 2 * i + 2) for i in range(1_000_000)) + b"}",
    bytes(2_000_000)), True)
st_file("1,000,000 holes", lambda: st(b"{" + b",".join(
    b'"h%d":{"dtype":"U8","shape":[1],"data_offsets":[%d,%d]}' % (i, 2 * i, 2 * i + 1) for i in range(1_000_000)) + b"}",
    bytes(2_000_000)), True)
st_file("1,500,000 tensors of 64 dimensions or none", lambda: st(b"{" + b",".join(
    b'"%d":{"dtype":"U8","shape":[%s],"data_offsets":[0,1]}' % (i, b",".join([b"1"] * 64)) for i in range(450_000)) + b"}", bytes(1)), True)

# GGUF ---------------------------------------------------------------------------------------------------------------------

gguf_file("2^64-1 tensors", lambda: gguf([], [], n_tensors=U64))
gguf_file("2^64-1 keys", lambda: gguf([], [], n_keys=U64))
gguf_file("2^63 of both", lambda: gguf([], [], n_tensors=I64, n_keys=I64))
gguf_file("string of 2^63", lambda: gguf([text("k") + struct.pack("<IQ", 8, I64)], []))
gguf_file("key of 2^64-1", lambda: gguf([struct.pack("<Q", U64)], []))
gguf_file("60 arrays deep", lambda: gguf([kv("a", 9, array(9, 1) + array(9, 1) * 60 + array(4, 1, bytes(4)))], []))
gguf_file("1,000,000 arrays deep", lambda: gguf([kv("a", 9, array(9, 1) * 1_000_000)], []))
gguf_file("array of 2^64-1 bytes", lambda: gguf([kv("a", 9, array(0, U64))], []))
gguf_file("array of 2^40 strings", lambda: gguf([kv("a", 9, array(8, 2**40))], []))
gguf_file("0 and 2^63 as dimensions", lambda: gguf([LLAMA], [("a", [0, I64], 0, 0)]))
gguf_file("2^64-1 as dimension", lambda: gguf([], [("a", [U64], 0, 0)]))
gguf_file("no dimensions", lambda: gguf([], [("a", [], 0, 0)], bytes(32)))
gguf_file("offset of 2^64-32", lambda: gguf([], [("a", [8], 0, U64 - 31)]))
gguf_file("offset of 7", lambda: gguf([], [("a", [8], 0, 7)], bytes(64)))
gguf_file("type 2^32-1", lambda: gguf([], [("a", [8], 2**32 - 1, 0)], bytes(32)))
gguf_file("cut in the tensors", lambda: gguf([LLAMA], [("a", [8], 0, 0)])[:60])
gguf_file("one tebibyte, sparse", lambda: gguf([LLAMA], [("token_embd.weight", [2**38], 0, 0)]), size=2**40 + 4096)
for alignment in (0, 1, 3, 2**31, 2**32 - 1):
    gguf_file("alignment %d" % alignment, lambda a=alignment: gguf(
        [kv("general.alignment", 4, struct.pack("<I", a))], [("a", [8], 0, 0)], bytes(64)))
gguf_file("alignment as text", lambda: gguf([kv("general.alignment", 8, text("32"))], [("a", [8], 0, 0)], bytes(64)))
gguf_file("alignment as 64 bits", lambda: gguf([kv("general.alignment", 10, struct.pack("<Q", 2**40))], [("a", [8], 0, 0)], bytes(64)))

HPARAMS = ["block_count", "embedding_length", "attention.head_count", "attention.head_count_kv", "context_length", "feed_forward_length",
           "vocab_size", "expert_count", "expert_used_count", "attention.key_length", "attention.value_length", "attention.sliding_window",
           "ssm.state_size", "ssm.inner_size", "ssm.conv_kernel", "rope.dimension_count"]
ARCHITECTURES = ["llama", "gemma3", "deepseek2", "mamba", "jamba", "qwen3next", "bert", "rwkv7"]
for arch in ARCHITECTURES:
    named = kv("general.architecture", 8, text(arch))
    tensors = [("token_embd.weight", [8], 0, 0), ("blk.0.attn_q.weight", [8], 0, 32)]
    for words, kind, fmt, values in (
        ("2^32-1", 4, "<I", [2**32 - 1]), ("zero", 4, "<I", [0]), ("2^64-1", 10, "<Q", [U64]), ("negative", 5, "<i", [-1]),
        ("odd floats", 12, "<d", [float("nan"), float("inf"), -1.0, 1e308, 0.5, -0.0]),
    ):
        gguf_file("%s with all of %s" % (arch, words), lambda a=arch, n=named, ts=tensors, k=kind, f=fmt, v=values: gguf(
            [n] + [kv(a + "." + key, k, struct.pack(f, v[i % len(v)])) for i, key in enumerate(HPARAMS)], ts, bytes(64)))
gguf_file("heads per layer, negative", lambda: gguf(
    [LLAMA, kv("llama.block_count", 4, struct.pack("<I", 3)),
     kv("llama.attention.head_count_kv", 9, array(5, 3, struct.pack("<iii", -1, 0, 2**31 - 1)))], EMBEDDING, bytes(32)))
gguf_file("NaN as the base of rope", lambda: gguf([LLAMA, kv("llama.rope.freq_base", 6, struct.pack("<f", float("nan")))], EMBEDDING, bytes(32)))
gguf_file("split 65535 of 65535", lambda: gguf(
    [LLAMA, kv("split.count", 2, struct.pack("<H", 65535)), kv("split.no", 2, struct.pack("<H", 65535)),
     kv("split.tensors.count", 5, struct.pack("<i", -1))], [("a", [8], 0, 0)], bytes(32)))

gguf_file("5,000,000 empty arrays", lambda: gguf([kv("a", 9, array(9, 5_000_000, array(4, 0) * 5_000_000))], []), True)
gguf_file("1,000,000 tensors of Q4_K", lambda: gguf(
    [LLAMA], [("blk.%d.w%d" % (i % 60, i), [256], 12, 160 * i) for i in range(1_000_000)]), True)
gguf_file("1,900,000 tensors", lambda: gguf([LLAMA], [("w%d" % i, [8], 0, 32 * i) for i in range(1_900_000)]), True)
gguf_file("300,000 tensors of one name", lambda: gguf([LLAMA], [("a", [8], 0, 0)] * 300_000, bytes(32)), True)
gguf_file("300,000 experts", lambda: gguf(
    [LLAMA, kv("llama.block_count", 4, struct.pack("<I", 100))],
    [("blk.%d.ffn_down.%d.weight" % (i // 3000, i % 3000), [256, 1], 1, 512 * i) for i in range(300_000)]), True)
gguf_file("a key of 200 MB", lambda: b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text(b"k" * 200_000_000) + struct.pack("<I", 0) + b"x", True)
gguf_file("a template of 100 MB", lambda: gguf([kv("tokenizer.chat_template", 8, text(b"{{x}}" * 20_000_000))], [("a", [8], 0, 0)], bytes(32)), True)
gguf_file("90 names of 1 MB", lambda: gguf([LLAMA], [("k" * 1_000_000 + str(i), [8], 0, 32 * i) for i in range(90)], bytes(32 * 90)), True)
gguf_file("900,000 keys", lambda: gguf([LLAMA] + [kv("x.k%d" % i, 4, struct.pack("<I", i)) for i in range(900_000)], []), True)
gguf_file("2,000 arrays of 4,096 numbers", lambda: gguf(
    [LLAMA] + [kv("x.k%d" % i, 9, array(12, 4096, bytes(8 * 4096))) for i in range(2000)], []), True)
gguf_file("3,000,000 tokens", lambda: gguf(
    [LLAMA, kv("tokenizer.ggml.tokens", 9, array(8, 3_000_000, b"".join(text("t%d" % i) for i in range(3_000_000))))], EMBEDDING, bytes(32)), True)

# Repositories -------------------------------------------------------------------------------------------------------------

RAW_JSON = {
    "UTF-16": lambda: json.dumps(CONFIG).encode("utf-16"), "a byte order mark": lambda: b"\xef\xbb\xbf" + json.dumps(CONFIG).encode(),
    "2,000,000 deep": lambda: b'{"a":' + b"[" * 2_000_000, "NaN": lambda: b'{"hidden_size":NaN,"num_hidden_layers":Infinity}',
    "1e400": lambda: b'{"hidden_size":1e400,"model_type":"llama"}',
    "doubled keys": lambda: b'{"model_type":"llama","model_type":"gpt2","hidden_size":8,"hidden_size":-8}', "a list": lambda: b"[]",
    "a string": lambda: b'"x"', "nothing": lambda: b"", "NUL": lambda: bytes(100), "Latin-1": lambda: b'{"model_type":"\xe9"}',
    "half a surrogate": lambda: b'{"model_type":"\\ud800"}', "0xff": lambda: b"\xff" * 100,
}
for words, raw in RAW_JSON.items():
    for file in ("config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors.index.json", "quantize_config.json",
                 "generation_config.json", "model_index.json", "adapter_config.json"):
        repo("%s of %s" % (file, words), lambda f=file, r=raw: {**config(), f: r()})
repo("config.json of 800,000 keys", lambda: {**BASE, "config.json": "{" + ",".join('"k%d":%d' % (i, i) for i in range(800_000)) + "}"}, True)
repo("config.json of 7,000,000 zeros in a list", lambda: config(layer_types=[0] * 5_000_000), True)

VALUES = {
    "-5": -5, "0": 0, "2^64-1": U64, "10^30": 10**30, "1.5": 1.5, "text": "8", "hostile text": "\x1b[2J\u202e", "a list": [1, 2], "a map": {},
    "true": True, "-2^63": -I64, "1e300": 1e300, "null": None, "deep": [[[[[{}]]]]],
}
KEYS = [
    "hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "vocab_size", "intermediate_size", "head_dim",
    "max_position_embeddings", "num_experts", "num_local_experts", "num_experts_per_tok", "sliding_window", "layer_types", "architectures",
    "model_type", "torch_dtype", "dtype", "quantization_config", "tie_word_embeddings", "auto_map", "rope_scaling", "text_config", "vision_config",
    "bos_token_id", "eos_token_id", "moe_intermediate_size", "first_k_dense_replace", "q_lora_rank", "kv_lora_rank", "qk_rope_head_dim",
    "v_head_dim", "attn_layer_period", "full_attention_interval", "state_size", "conv_kernel", "n_routed_experts", "num_nextn_predict_layers",
]
for words, value in VALUES.items():
    repo("every key of config.json is %s" % words, lambda v=value: {**BASE, "config.json": json.dumps({k: v for k in KEYS})})
    repo("every number of config.json is %s" % words, lambda v=value: config(
        **{k: v for k in KEYS if k not in ("architectures", "model_type", "text_config", "layer_types")}))
    repo("every key of quantization_config is %s" % words, lambda v=value: config(quantization_config={k: v for k in (
        "quant_method", "bits", "group_size", "config_groups", "ignore", "weight_block_size", "modules_to_not_convert", "desc_act", "format",
        "load_in_4bit", "bnb_4bit_quant_type", "kv_cache_scheme", "quantization", "dynamic")}))
    for method in ("gptq", "awq", "fp8", "bitsandbytes", "compressed-tensors", "hqq", "torchao", "quanto", "mxfp4", "exl2"):
        repo("%s with all of %s" % (method, words), lambda v=value, m=method: {
            **config(quantization_config={"quant_method": m, **{k: v for k in (
                "bits", "group_size", "weight_block_size", "config_groups", "format", "quant_type", "weights", "weight_quant_params")}}),
            "model.safetensors": st({
                "model.layers.0.mlp.up_proj.qweight": t("I32", [1, 4], 0, 16), "model.layers.0.mlp.up_proj.scales": t("F16", [1, 4], 16, 24),
                "model.layers.0.mlp.up_proj.qzeros": t("I32", [1, 1], 24, 28), "a.weight": t("F8_E4M3", [4, 4], 28, 44),
                "a.weight_scale_inv": t("F32", [1, 1], 44, 48)}, bytes(48))})
repo("50,001 layer types", lambda: config(layer_types=["full_attention"] * 50_000 + ["\x1b[31m"], num_hidden_layers=50_001))
repo("groups of nothing in 2^42 weights", lambda: {**config(quantization_config={"quant_method": "gptq", "bits": -4, "group_size": -999}),
     "model.safetensors": st({"model.layers.0.mlp.up_proj.qweight": t("I32", [2**40, 4], 0, 16),
                              "model.layers.0.mlp.up_proj.scales": t("F16", [0, 4], 16, 16)}, bytes(16))})

repo("tokenizer.json of odd ids", lambda: {**config(), "tokenizer.json": json.dumps(
    {"model": {"type": "BPE", "vocab": {"a": U64 + 1, "b": -1, "c": 1.5, "d": I64}, "merges": ["a"]},
     "added_tokens": [{"id": 10**30, "content": "\x1b[2J"}, 5, None]})})
repo("tokenizer.json of huge ids", lambda: {**config(), "tokenizer.json": json.dumps(
    {"added_tokens": [{"id": 2**32 - 1, "content": "x"}], "model": {"type": "BPE", "vocab": {"a": 4_000_000_000}, "merges": []}})})
repo("tokenizer.json of wrong types", lambda: {**config(), "tokenizer.json": json.dumps({"model": [], "added_tokens": {}, "normalizer": 5})})
repo("tokenizer.json of 1,000,000 tokens and merges", lambda: {**config(), "tokenizer.json": json.dumps(
    {"model": {"type": "BPE", "vocab": {"t%d" % i: i for i in range(1_000_000)}, "merges": ["a b"] * 1_000_000}, "added_tokens": []})}, True)
repo("tokenizer.json of 1,000,000 added tokens", lambda: {**config(), "tokenizer.json": json.dumps(
    {"model": {"type": "BPE", "vocab": {}, "merges": []},
     "added_tokens": [{"id": i, "content": "t%d" % i, "special": True} for i in range(1_000_000)]})}, True)
repo("tokenizer.json of a 100 MB token", lambda: {**config(), "tokenizer.json": '{"model":{"type":"BPE","vocab":{"' + "x" * 100_000_000 + '":1}}}'}, True)
repo("tokenizer_config.json of odd templates", lambda: {**config(), "tokenizer_config.json": json.dumps(
    {"chat_template": [{"name": "\x1b[2J", "template": 5}, 5, None, {"template": "{% import os %}"}],
     "added_tokens_decoder": {"x": 5, "-1": {}}})})
repo("tokenizer.model of garbage", lambda: {**config(), "tokenizer.model": b"\x0a" + b"\xff" * 9 + b"\x01" + b"\x0a\x05" * 100_000})
repo("tokenizer.model of an endless number", lambda: {**config(), "tokenizer.model": b"\x0a" + b"\x80" * 11})
repo("tokenizer.model of 50 MB of empty tokens", lambda: {**config(), "tokenizer.model": b"\x0a\x00" * 25_000_000}, True)

repo("model card of aliases", lambda: {**config(), "README.md": "---\n" + "a: &a [*a,*a]\n" * 1000 + 'license: \x1b[2J\u202e\nbase_model: "../../x\x1b[31m"\n---\n'})
repo("model card, 200,000 deep", lambda: {**config(), "README.md": "---\n" + "[" * 200_000 + "\n---\n"})
repo("model card, 3,000 steps in", lambda: {**config(), "README.md": "---\n" + "\n".join(" " * i + "a:" for i in range(3000)) + "\n---\n"})
repo("model card of bytes", lambda: {**config(), "README.md": b"---\n\xff\xfe\0license: mit\n---"})
repo("template of 1,000,000 braces", lambda: {**config(), "chat_template.jinja": "{{" * 1_000_000})
repo("template that reaches out", lambda: {**config(), "chat_template.jinja": "{{ ''.__class__.__mro__ }}\u202e\x1b[2J"})


def index(weight_map, **metadata):
    return json.dumps({"metadata": metadata, "weight_map": weight_map})


INDEX = "model.safetensors.index.json"
repo("index of deep metadata", lambda: {**BASE, INDEX: '{"metadata":' + '{"a":' * 100_000 + "}" * 100_000 + ',"weight_map":{}}'})
repo("index of odd totals", lambda: {**BASE, INDEX: '{"metadata":{"total_size":1e400,"total_parameters":-1e400},"weight_map":{"model.embed_tokens.weight":"model.safetensors"}}'})
repo("index of a negative total", lambda: {**BASE, INDEX: index({"model.embed_tokens.weight": "model.safetensors"}, total_size=-I64)})
repo("index of hostile paths", lambda: {**BASE, INDEX: index({
    "a": "\x1b[2J.safetensors", "b": "\u202ex", "c": "con", "d": "x" * 5000, "e": "a\0b", "f": "model.safetensors/x", "g": "./model.safetensors",
    "h": "~/.ssh/id", "i": "file:///etc/passwd", "j": "config.json", "k": "", "l": "/", "m": ".", "n": ".."})})
repo("index of wrong types", lambda: {**BASE, INDEX: '{"metadata":[],"weight_map":{"a":5,"b":null,"c":[],"d":{}}}'})
repo("index of doubled keys", lambda: {**BASE, INDEX: '{"weight_map":{"a":"model.safetensors","a":"other.safetensors"},"weight_map":{}}'})
repo("index of itself", lambda: {**BASE, INDEX: index({"a": INDEX})})
repo("999,999,999 shards by name", lambda: {"model-000000001-of-999999999.safetensors": ONE})
repo("shard 0 of 0", lambda: {"model-00000-of-00000.safetensors": ONE})
repo("shard 5 of 2", lambda: {"m-00005-of-00002.gguf": gguf([LLAMA], [("a", [8], 0, 0)], bytes(32))})
repo("two indexes and bytes", lambda: {**BASE, INDEX: index({"model.embed_tokens.weight": "model.safetensors"}, total_size=512),
     "model.bf16.safetensors.index.json": index({"x": "model.safetensors"}), "pytorch_model.bin.index.json": b"\xff"})
repo("index of 1,000,000 tensors in 100,000 missing shards", lambda: {**BASE, INDEX: index(
    {"t%d" % i: "m-%d.safetensors" % (i % 100_000) for i in range(1_000_000)})}, True)
repo("index of 1,000,000 tensors in one shard that has none", lambda: {**BASE, INDEX: index(
    {"t%d" % i: "model.safetensors" for i in range(1_000_000)})}, True)
repo("index of 90 names of 1 MB", lambda: {**BASE, INDEX: index({"k" * 1_000_000 + str(i): "x" * 1_000_000 + str(i) for i in range(45)})}, True)


@case("repo links in circles")
def links(d):
    put(d + "/model.safetensors", ONE)
    for name, to in (
        ("l1", "l2"), ("l2", "l1"), ("self.safetensors", "self.safetensors"), ("up", ".."), ("config.json", "/etc/passwd"),
        ("tokenizer.json", "/dev/stdin"), ("README.md", "/proc/self/environ"), ("abs.gguf", "/etc/shadow"), ("x.index.json", "model.safetensors"),
    ):
        os.symlink(to, os.path.join(d, name))


@case("repo 700 folders deep")
def deep_folders(d):
    put(d + "/model.safetensors", ONE)
    back = os.getcwd()
    os.chdir(d)
    for _ in range(700):
        os.mkdir("d" * 20)
        os.chdir("d" * 20)
    os.chdir(back)


@case("repo of 30,000 empty files")
def empty_files(d):
    for i in range(30_000):
        put("%s/%d.safetensors" % (d, i), b"")


def nested_zip(depth):
    inner = b"\x80\x02cos\nsystem\n."
    for i in range(depth):
        z = io.BytesIO()
        with zipfile.ZipFile(z, "w") as f:
            f.writestr("data.pkl" if i == 0 else "a.zip", inner)
        inner = z.getvalue()
    return inner


repo("archives that lie", lambda: {
    **BASE, "x.pt": nested_zip(6), "y.zip": nested_zip(6), "eocd.pt": b"PK\x03\x04" + b"PK\x05\x06" * 5000,
    "directory.pt": b"PK\x03\x04" + bytes(50) + b"PK\x05\x06" + bytes(6) + struct.pack("<HII", 65535, 2**31, 2**31) + bytes(2),
    "zip64.pt": b"PK\x03\x04" + b"PK\x06\x07" + struct.pack("<IQI", 0, U64, 1) + b"PK\x05\x06" + bytes(8) + b"\xff" * 8 + bytes(2),
    "gz.bin": gzip.compress(bytes(10**7)), "p.pkl": b"(" * 5_000_000, "p0.pkl": b"cos\nsystem\n", "p.joblib": b"\x80\x04\x95" + b"\xff" * 8})
ENTRY = b"PK\x01\x02" + bytes(24) + struct.pack("<HHH", 8, 0, 0) + bytes(12) + b"data.pkl"
repo("archive of 400,000 entries", lambda: {
    **BASE, "x.pt": b"PK\x03\x04" + ENTRY * 400_000 + b"PK\x05\x06" + bytes(8) + struct.pack("<II", len(ENTRY) * 400_000, 4) + bytes(2)}, True)

# Running ------------------------------------------------------------------------------------------------------------------

COMMANDS = [
    ("report", [], ("json", "text")),
    ("show", ["show", "--tensors", "--metadata", "--map"], ("json", "text", "markdown", "csv")),
    ("scan", ["scan", "--io", "read", "--tensors"], ("json", "text")),
    ("project", ["project", "--to", "all", "--shard", "huggingface:5GB", "--prune", "0.5,2:4"], ("json", "text")),
    ("memory", ["memory"], ("json", "text")),
    ("memory of training", ["memory", "--ctx", "8k", "--kv-type", "q8_0", "--tp", "2"], ("json",)),
    ("audit", ["audit"], ("json", "text", "sarif")),
    ("audit with values", ["audit", "--scan"], ("json",)),
    ("diff", ["diff", "--tensors"], ("json", "text")),
    ("merge", ["merge"], ("json",)),
]


def hides(c):
    """Whether a character may do something to a terminal or to the order of text."""
    c = ord(c)
    return (c < 32 and c != 10) or 127 <= c < 160 or 0x200B <= c <= 0x200F or 0x202A <= c <= 0x202E or 0x2060 <= c <= 0x206F \
        or 0xE0000 <= c <= 0xE007F or c in (0x2028, 0x2029, 0xFEFF)


def run(weigh, arguments, folder):
    """Exit status, seconds of CPU, peak resident MiB, stdout, stderr."""
    paths = [os.path.join(folder, name) for name in ("out", "err")]
    pid = os.fork()
    if pid == 0:
        try:
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            for number, path in enumerate(paths, 1):
                os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), number)
            resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
            resource.setrlimit(resource.RLIMIT_DATA, (1 << 30, 1 << 30))
            os.execv(weigh, [weigh, *arguments, "--no-progress"])
        finally:
            os._exit(127)
    _, status, usage = os.wait4(pid, 0)
    outputs = [open(path, "rb").read() for path in paths]
    return status, usage.ru_utime + usage.ru_stime, usage.ru_maxrss >> 10, *outputs


def judge(form, status, cpu, mib, out, err):
    wrong = []
    if os.WIFSIGNALED(status):
        wrong.append("killed by signal %d" % os.WTERMSIG(status))
    elif os.WEXITSTATUS(status) not in (0, 1, 2):
        wrong.append("exit %d" % os.WEXITSTATUS(status))
    if b"panicked" in err or b"memory allocation" in err:
        wrong.append(err.decode(errors="replace")[:200])
    if cpu > SECONDS:
        wrong.append("%.1f s" % cpu)
    if mib > MIB:
        wrong.append("%d MiB" % mib)
    if not out and not err:
        wrong.append("says nothing")
    for what, data in (("stdout", b"" if form in ("json", "sarif") else out), ("stderr", err)):
        try:
            shown = data.decode().replace("\r\n", "\n") if form == "csv" else data.decode()
            found = sorted({hex(ord(c)) for c in set(shown) if hides(c)})
            if found:
                wrong.append("%s has %s" % (what, found[:4]))
        except UnicodeDecodeError:
            wrong.append(what + " is no UTF-8")
    if form in ("json", "sarif") and out:
        try:
            json.loads(out, parse_constant=lambda c: wrong.append("JSON has " + c))
        except ValueError as e:
            wrong.append("no JSON: %s" % e)
    return wrong


def option(name, fallback=""):
    return sys.argv[sys.argv.index(name) + 1] if name in sys.argv else fallback


def main():
    weigh, folder = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
    only, command = option("--only"), option("--command")
    runs, failed, costs, cases = 0, 0, [], 0
    for name, make, large in CASES:
        if only not in name or ("--large" in sys.argv and not large) or ("--small" in sys.argv and large):
            continue
        if "--list" in sys.argv:
            print(name)
            continue
        cases += 1
        at = os.path.join(folder, "case")
        shutil.rmtree(at, ignore_errors=True)
        os.makedirs(at)
        path = make(at) or at
        for words, arguments, forms in COMMANDS:
            # A tebibyte of zeros has no end that anybody would wait for.
            if command not in words or ("tebibyte" in name and words in ("report", "scan", "audit with values")):
                continue
            for form in forms:
                paths = [path, path] if words == "diff" else [path]
                got = run(weigh, [*arguments, *paths, "--format", form], folder)
                runs += 1
                costs.append((*got[1:3], name, words, form))
                wrong = judge(form, *got)
                if wrong:
                    failed += 1
                    print("%s | %s | %s | %s" % (name, words, form, "; ".join(wrong)), flush=True)
    shutil.rmtree(os.path.join(folder, "case"), ignore_errors=True)
    print("%d runs of %d cases, %d failed" % (runs, cases, failed))
    for words, key in (("slowest (CPU s, MiB)", 0), ("largest", 1)):
        print(words + ":", *sorted(costs, key=lambda c: -c[key])[:5], sep="\n  ")
    sys.exit(failed != 0)


if __name__ == "__main__":
    main()
