#!/usr/bin/env python3
"""Makes fixtures/hf-project/hf.json from the record of safetensors checkpoints as quantizers write them (truth/hf).

usage: compact_hf_truth.py truth/hf > fixtures/hf-project/hf.json

Base models keep every tensor; schemes keep their totals: files, bytes, and tensors and bytes per dtype. Shard plans are kept as
they are, without the names."""
import json
import sys


def main(folder):
    bases, rows = {}, []
    for line in json.load(open(f"{folder}/index.json")):
        base, scheme = line["base"], line["scheme"]
        path = f"{folder}/{base}.json" if scheme == "base" else f"{folder}/{base}/{scheme}.json"
        record = json.load(open(path))
        if scheme == "base":
            config = record["config"]
            bases[base] = {
                "family": config["model_type"],
                "tied": config["tie_word_embeddings"],
                "metadata": record["metadata"],
                "file_bytes": record["total"]["file_bytes"],
                "tensors": [t[:3] for t in record["tensors"]],
            }
        else:
            types = {}
            for _, dtype, _, size in record["tensors"]:
                row = types.setdefault(dtype, [0, 0])
                row[0] += 1
                row[1] += size
            total = record["total"]
            rows.append({"base": base, "scheme": scheme, "tool": line["tool"], "tensor_bytes": total["data_bytes"],
                         "file_bytes": total["file_bytes"], "files": len(record["files"]), "whole_model": record["whole_model"],
                         "types": types})
    refused = [{k: r[k] for k in ("base", "scheme", "cause", "message")} for r in json.load(open(f"{folder}/refused.json"))]
    record = json.load(open(f"{folder}/sharding.json"))
    real = [
        {
            "base": r["base"], "limit": r["limit"], "how": r["how"], "state_dict_order": r["state_dict_order"],
            "files": [[f["name"], f["file_bytes"], f["tensors"], f["data_bytes"]] for f in r["files"]],
            "index_bytes": r["index_file_bytes"], "index_metadata": r["index_metadata"],
        }
        for r in record["real"]
    ]
    # The order is a property of the base, not of the row; the names are long.
    orders = {r["base"]: r["state_dict_order"] for r in real}
    assert all(orders[r["base"]] == r.pop("state_dict_order") for r in real)
    split = lambda rows: [
        {"label": r["label"], "limit": r["limit_bytes"], "sizes": [t[1] for t in r["tensors"]],
         "shards": [[int(n[1:]) for n in s] for s in r["shards"]]}
        for r in rows if all(t[0][0] == "t" and t[0][1:].isdigit() and isinstance(t[1], int) for t in r["tensors"])
        and len(r["tensors"]) < 200
    ]
    dump = lambda x: json.dumps(x, separators=(",", ":"))
    lines = lambda xs: "[\n" + ",\n".join(map(dump, xs)) + "\n]"
    print("{" + ",\n".join([
        f'"about":{dump({"made_by": record["tool"]})}', f'"bases":{dump(bases)}', f'"schemes":{lines(rows)}', f'"refused":{lines(refused)}',
        f'"state_dict_order":{dump(orders)}', f'"real":{lines(real)}',
        f'"huggingface":{lines(split(record["huggingface_hub_split"]))}', f'"mlx":{lines(split(record["mlx_make_shards"]))}',
    ]) + "}")


if __name__ == "__main__":
    main(*sys.argv[1:])
