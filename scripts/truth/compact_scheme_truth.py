#!/usr/bin/env python3
"""Makes fixtures/hf-project/families.json from what make_scheme_truth.py wrote.

usage: compact_scheme_truth.py OUT > fixtures/hf-project/families.json

Bases keep every tensor; schemes keep files, bytes, and tensors and bytes per dtype; refusals their message."""
import glob
import json
import os
import sys

SIZES = {"F64": 8, "I64": 8, "F32": 4, "I32": 4, "U32": 4, "BF16": 2, "F16": 2}


def size(dtype, shape):
    n = SIZES.get(dtype, 1)
    for d in shape:
        n *= d
    return n


def main(folder):
    bases, rows, refused = {}, [], []
    for base in sorted(os.listdir(folder)):
        if not os.path.exists(f"{folder}/{base}/base.json"):
            continue
        record = json.load(open(f"{folder}/{base}/base.json"))
        (file,), config = record["files"], json.load(open(f"{folder}/{base}/base/config.json"))
        tied = config.get("tie_word_embeddings")
        if tied is None:
            tied = not any("lm_head" in t[0] for t in file["tensors"])
        bases[base] = {"family": config["model_type"], "tied": tied, "file_bytes": file["file_bytes"], "tensors": file["tensors"],
                       "layers": config.get("num_hidden_layers") or config.get("n_layer")}
        for path in sorted(glob.glob(f"{folder}/{base}/*.json")):
            scheme = os.path.basename(path)[:-5]
            if scheme == "base":
                continue
            record = json.load(open(path))
            if "refused" in record:
                refused.append({"base": base, "scheme": scheme, "message": record["refused"].split("\n")[0][:160]})
                continue
            types = {}
            for f in record["files"]:
                for _, dtype, shape in f["tensors"]:
                    row = types.setdefault(dtype, [0, 0])
                    row[0] += 1
                    row[1] += size(dtype, shape)
            rows.append({"base": base, "scheme": scheme, "files": len(record["files"]),
                         "file_bytes": sum(f["file_bytes"] for f in record["files"]),
                         "tensor_bytes": sum(b for _, b in types.values()), "types": types})
    dump = lambda x: json.dumps(x, separators=(",", ":"))
    lines = lambda xs: "[\n" + ",\n".join(map(dump, xs)) + "\n]"
    print("{" + ",\n".join(['"about":"scripts/truth/make_scheme_truth.py names the tools and versions"', f'"bases":{dump(bases)}',
                            f'"schemes":{lines(rows)}', f'"refused":{lines(refused)}']) + "}")


if __name__ == "__main__":
    main(*sys.argv[1:])
