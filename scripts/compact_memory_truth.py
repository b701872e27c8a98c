#!/usr/bin/env python3
"""Makes fixtures/memory/llama_memory.json from the full record of llama.cpp memory breakdowns.

usage: compact_memory_truth.py llama_memory.json > fixtures/memory/llama_memory.json

Kept: per model its shape, the bytes of its weights, and per row the settings with the bytes of the cache or the error. cfg is
n_ctx:n_ubatch:n_batch:n_seq_max:kv_unified:type_k:type_v:flash_attn:swa_full."""
import json
import sys


def main(path):
    record = json.load(open(path))
    lines = []
    for name, model in record["models"].items():
        row = lambda r: [r["cfg"], r["context"] if "context" in r else r["error"], r.get("compute")]
        kept = {
            "model_bytes": model["model_bytes"],
            "hparams": {k: v for k, v in (model.get("hparams") or {}).items() if k != "name"},
            "rows": [row(r) for r in model["rows"]],
            "server_rows": [row(r) for r in model["server_mode_rows"]],
        }
        lines.append(f" {json.dumps(name)}: {json.dumps(kept, separators=(',', ':'))}")
    about = {k: record["about"][k] for k in ("tool", "cfg", "fields")}
    print('{"about": %s,\n"models": {\n%s\n}}' % (json.dumps(about), ",\n".join(lines)))


if __name__ == "__main__":
    main(*sys.argv[1:])
