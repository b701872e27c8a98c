#!/usr/bin/env python3
"""Writes fixtures/memory/transformers_caches.jsonl: caches that transformers itself filled, beside the configurations of the models.

usage: compact_cache_truth.py FOLDER > fixtures/memory/transformers_caches.jsonl

FOLDER holds a folder a model with its config.json, and NAME.truth.json beside it: `n_tokens` and `cache.bytes`, the bytes of every tensor
in the cache after that many tokens (transformers 5.24.0, toy sizes, bfloat16). Models whose cache was cut otherwise than by tokens
(`cache.was`) and those with a window are left out: once a window is full transformers stores a token less than it holds in a step.
"""

import json
import sys
from pathlib import Path

TEXT = ("architectures", "transformers_version", "bos_token_id", "eos_token_id", "pad_token_id", "initializer_range", "use_cache", "id2label", "label2id")

for path in sorted(Path(sys.argv[1]).glob("*.truth.json")):
    truth = json.loads(path.read_text())
    cache = truth.get("cache")
    config = path.with_name(path.name.removesuffix(".truth.json")) / "config.json"
    if not isinstance(cache, dict) or not cache.get("bytes") or cache.get("was") or not config.is_file():
        continue
    keys = {key: value for key, value in json.loads(config.read_text()).items() if key not in TEXT}
    # Encoders feed a second cache, whose length is that of their own input.
    text = json.dumps(keys)
    if any(word in text for word in ("sliding", "chunk", "is_encoder_decoder", "encoder_layers")):
        continue
    row = {"model": path.name.split("--")[0], "tokens": truth["n_tokens"], "bytes": cache["bytes"], "config": keys}
    print(json.dumps(row, separators=(",", ":"), sort_keys=True))
