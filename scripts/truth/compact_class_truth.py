#!/usr/bin/env python3
"""Makes fixtures/hf-project/classes.jsonl from what make_class_truth.py wrote.

usage: compact_class_truth.py CLASSES.jsonl OUT > fixtures/hf-project/classes.jsonl

A line is a class: its config.json, the tensors of the model as saved, and under `schemes` what each tool wrote ([files, file bytes,
tensor bytes, {dtype: [tensors, bytes]}]) or why it would not (a text). Tensors that differ in the numbers of their names alone are one:
rows of [beginning of the name with `#` for each number, the numbers, "rest shape dtype;..."], the dtype left out where it is `dtype`;
numbers are "0-3 0-7" for all pairs, "0 1,2 5" for some."""
import itertools
import json
import os
import re
import sys

from compact_scheme_truth import size


NUMBER = re.compile(r"(?:(?<=\.)|^)\d+(?=\.|$)")


def folded(tensors, usual):
    groups, rows = {}, {}
    for name, dtype, shape in tensors:
        key = (NUMBER.sub("#", name), dtype, tuple(shape))
        groups.setdefault(key, []).append(tuple(map(int, NUMBER.findall(name))))
    for (name, dtype, shape), numbers in sorted(groups.items()):
        axes = [sorted(set(axis)) for axis in zip(*numbers)]
        whole = all(axis == list(range(axis[0], axis[-1] + 1)) for axis in axes)
        if whole and sorted(numbers) == list(itertools.product(*axes)):
            numbers = " ".join(f"{axis[0]}-{axis[-1]}" for axis in axes)
        else:
            numbers = ",".join(" ".join(map(str, n)) for n in sorted(numbers))
        start, end = re.fullmatch(r"(.*#\.)?(.*)", name).groups()
        word = f"{end} {'x'.join(map(str, shape))}" + ("" if dtype == usual else f" {dtype}")
        rows.setdefault((start or "", numbers), []).append(word)
    return [[start, numbers, ";".join(words)] for (start, numbers), words in rows.items()]


def totals(record):
    if "refused" in record:
        return record["refused"].split("\n")[0][:100]
    types = {}
    for file in record["files"]:
        for _, dtype, shape in file["tensors"]:
            row = types.setdefault(dtype, [0, 0])
            row[0] += 1
            row[1] += size(dtype, shape)
    return [len(record["files"]), sum(f["file_bytes"] for f in record["files"]), sum(b for _, b in types.values()), types]


def main(classes, out):
    for line in map(json.loads, open(classes)):
        folder = os.path.join(out, line["name"])
        if not os.path.exists(f"{folder}/base.json"):
            continue
        base = json.load(open(f"{folder}/base.json"))
        # A line of the fixture itself may be given: what was made before is made anew.
        line = {k: line[k] for k in ("name", "class", "config", "stack") if k in line}
        (file,) = base["files"]
        line["file_bytes"] = file["file_bytes"]
        line["dtype"] = max({t[1] for t in file["tensors"]}, key=[t[1] for t in file["tensors"]].count)
        line["tensors"] = folded(file["tensors"], line["dtype"])
        line["schemes"] = {}
        for name in sorted(os.listdir(folder)):
            if name.endswith(".json") and name != "base.json":
                line["schemes"][name[:-5]] = totals(json.load(open(f"{folder}/{name}")))
        print(json.dumps(line, separators=(",", ":")))


if __name__ == "__main__":
    main(*sys.argv[1:])
