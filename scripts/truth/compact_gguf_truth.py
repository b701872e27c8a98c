#!/usr/bin/env python3
"""Makes fixtures/gguf-project/llama_quantize.json from the full record of llama-quantize runs and the GGUF headers it was run on.

usage: compact_gguf_truth.py llama_quantize.json gguf_heads/ > fixtures/gguf-project/llama_quantize.json

Tensors that differ only in their layer are one group: [name with {}, layers, ggml dimensions, stored type]. The types of a target
are one run-length list per group, in layer order. The order of tensors in the record is checked here, so it need not be kept."""
import json
import re
import struct
import sys


def kv_bytes(head):
    """Length of the key section of a GGUF head."""
    u = lambda fmt, at: struct.unpack_from(fmt, head, at)[0]
    sizes = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
    at = 24
    for _ in range(u("<q", 16)):
        at += 8 + u("<Q", at)
        kind = u("<i", at)
        at += 4
        if kind == 8:
            at += 8 + u("<Q", at)
        elif kind == 9:
            kind, n = u("<i", at), u("<Q", at + 4)
            at += 12
            if kind == 8:
                for _ in range(n):
                    at += 8 + u("<Q", at)
            else:
                at += n * sizes[kind]
        else:
            at += sizes[kind]
    return at - 24


def runs(values):
    out = []
    for v in values:
        if out and out[-1][0] == v:
            out[-1][1] += 1
        else:
            out.append([v, 1])
    return " ".join(v if n == 1 else f"{v}*{n}" for v, n in out)


def expand(text):
    out = []
    for part in text.split():
        name, _, n = part.partition("*")
        out += [name] * int(n or 1)
    return out


def layers(numbers):
    if numbers == list(range(numbers[0], numbers[-1] + 1)):
        return f"{numbers[0]}-{numbers[-1]}"
    return ",".join(map(str, numbers))


def main(truth, heads):
    record = json.load(open(truth))
    models = {}
    for name, model in record["models"].items():
        tensors = model["tensors"]
        block = lambda n: int(m.group(1)) if (m := re.match(r"blk\.(\d+)\.", n)) else -1
        assert [t[0] for t in tensors] == sorted((t[0] for t in tensors), key=lambda n: (block(n), n.encode())), name
        # The record lists stored types in the source's order; what COPY wrote has them in output order.
        copied = model["targets"]["COPY"]
        stored = expand(copied.get("types") or model["targets"][copied["same_types_as"]]["types"])
        groups = {}
        for i, (tensor, dims) in enumerate(tensors):
            n = block(tensor)
            key = (re.sub(r"^blk\.\d+\.", "blk.{}.", tensor), tuple(dims), stored[i])
            groups.setdefault(key, []).append((n, i))
        infos = sum(24 + len(t.encode()) + 8 * len(d) for t, d in tensors)
        try:
            kv = kv_bytes(open(f"{heads}/{name}.gguf.head", "rb").read())
        except FileNotFoundError:
            # No head: the data offset is known, so the keys are known but for the padding.
            kv = model["source"]["data_offset"] - 24 - infos
        keep = ("general.architecture", "general.file_type", "general.quantization_version")
        metadata = {
            k: v
            for k, v in model["source"]["metadata"].items()
            if k in keep or k.endswith((".block_count", ".head_count", ".head_count_kv", ".expert_count"))
        }
        targets = {}
        for target, row in model["targets"].items():
            if "error" in row:
                targets[target] = {"error": row["error"].split("  ")[0], "tensor": row.get("first_offending_tensor")}
                continue
            out = {"kind": row["kind"]}
            for field in ("file_bytes", "tensor_bytes", "dry_warns_imatrix"):
                if field in row:
                    out[field] = row[field]
            if "same_types_as" in row:
                out["same_types_as"] = row["same_types_as"]
            else:
                types = expand(row["types"])
                out["types"] = [runs([types[i] for _, i in members]) for members in groups.values()]
            targets[target] = out
        models[name] = {
            "file_bytes": model["source"]["file_bytes"],
            "kv_bytes": kv,
            "metadata": metadata,
            "groups": [
                [t, layers([n for n, _ in members]) if members[0][0] >= 0 else "", list(dims), kind]
                for (t, dims, kind), members in groups.items()
            ],
            "targets": targets,
        }
    about = {"made_by": record["about"]["tool"], "kind": record["about"]["kind"]}
    lines = ",\n".join(f" {json.dumps(n)}: {json.dumps(m, separators=(',', ':'))}" for n, m in models.items())
    print(f'{{"about": {json.dumps(about)},\n"models": {{\n{lines}\n}}}}')


if __name__ == "__main__":
    main(*sys.argv[1:])
