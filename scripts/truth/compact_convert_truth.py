#!/usr/bin/env python3
"""Makes fixtures/hf-project/convert.json from the record of Hugging Face folders as convert_hf_to_gguf.py and llama-quantize wrote them.

usage: compact_convert_truth.py truth/convert > fixtures/hf-project/convert.json

Kept: names, dtypes and shapes of the source's tensors, a few keys of config.json, and per output the bytes of tensors and file."""
import glob
import json
import os
import struct
import sys

KEYS = ("model_type", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "vocab_size", "num_experts",
        "num_local_experts", "tie_word_embeddings")


def header(path):
    data = open(path, "rb").read()
    rows = json.loads(data[8:8 + struct.unpack("<Q", data[:8])[0]])
    rows.pop("__metadata__", None)
    return [[name, row["dtype"], row["shape"]] for name, row in rows.items()]


def main(folder):
    out = {}
    for path in sorted(glob.glob(f"{folder}/*/truth.json")):
        here = os.path.dirname(path)
        truth = json.load(open(path))
        config = json.load(open(f"{here}/config.json"))
        size = lambda row: [row["tensor_bytes"], row["file_bytes"]]
        rows = lambda part: {k: size(v) for k, v in part.items()}
        computed = [t[:2] for t in truth["tensors"] if t[2] == [t[0]] or not t[2]]
        out[os.path.basename(here)] = {
            "config": {k: config[k] for k in KEYS if k in config},
            "tensors": [t for head in sorted(glob.glob(f"{here}/*.safetensors.head")) for t in header(head)],
            "outputs": rows(truth["outputs"]),
            "llama_quantize": rows(truth["llama_quantize"]),
            "computed": computed,
        }
    print("{" + ",\n".join(f"{json.dumps(k)}:{json.dumps(v, separators=(',', ':'))}" for k, v in out.items()) + "}")


if __name__ == "__main__":
    main(*sys.argv[1:])
