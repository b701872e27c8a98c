#!/usr/bin/env python3
"""Copies the small cases of the hostile corpus as seeds.

usage: seeds.py CORPUS     (made by tests/hostile/gen.py; writes fuzz/corpus/TARGET/)
"""
import os, sys

corpus, here = sys.argv[1], os.path.dirname(os.path.abspath(__file__))
LIMIT = 64 * 1024


def put(target, name, data):
    folder = os.path.join(here, "corpus", target)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name), "wb") as f:
        f.write(data)


for kind, targets in (("st", ["safetensors_header", "differential", "escaping"]), ("gguf", ["gguf_header", "escaping"])):
    for name in sorted(os.listdir(os.path.join(corpus, kind))):
        path = os.path.join(corpus, kind, name)
        if os.path.getsize(path) <= LIMIT:
            data = open(path, "rb").read()
            for target in targets:
                put(target, name, data)
NAMES = ["model.safetensors.index.json", "config.json", "tokenizer.json", "tokenizer_config.json", "README.md", "model-00001-of-00002.safetensors"]
for case in sorted(os.listdir(os.path.join(corpus, "repo"))):
    pieces = []
    for name in NAMES:
        path = os.path.join(corpus, "repo", case, name)
        good = os.path.isfile(path) and os.path.getsize(path) <= LIMIT and os.access(path, os.R_OK)
        pieces.append(open(path, "rb").read().replace(b"\xff", b"") if good else b"")
    put("index_and_repo", case, b"\xff".join(pieces))
