#!/usr/bin/env python3
"""One small model of each class of transformers with random weights, and what quantizers make of it: headers only.

usage: make_class_truth.py CLASSES.jsonl OUT bases|tools|llm-compressor [CLASS ...]

CLASSES.jsonl has lines with "class", "name" and "config" (fixtures/hf-project/classes.jsonl is one). `bases` builds and saves the models
as OUT/NAME/base, `tools` and `llm-compressor` write OUT/NAME/SCHEME.json: tensors in file order ([name, dtype, shape]), __metadata__,
header and file bytes, or the tool's refusal. Which modules a tool takes is the same for all of its schemes, so one or two schemes for each
tool are made here; make_scheme_truth.py makes the others of a few families. Stacked: "stack" of a line names what is put in place of single
experts, since some models are published with their experts in one tensor and saved by transformers one by one.

Pinned: transformers 5.23.0, torch 2.15.0, safetensors 0.8.0, bitsandbytes 0.50.2, compressed-tensors 0.20.0, torchao 0.18.0,
hqq 0.2.8.post1;
llm-compressor 0.14.0.1 with its own transformers 5.17.0 and torch 2.14.0, in an environment of its own. Everything runs on the CPU."""
import json
import os
import re
import shutil
import signal
import sys
import warnings

os.environ.update(TRANSFORMERS_VERBOSITY="error", HF_HUB_OFFLINE="1", TQDM_DISABLE="1")
warnings.filterwarnings("ignore")
import torch
import transformers as tf
from safetensors.torch import load_file, save_file

import make_scheme_truth as one
from make_scheme_truth import bnb, ct, fp8, hqq, read, torchao, weights

TOOLS = {
    "f16": lambda base, out: one.load(base).to(torch.float16).save_pretrained(out),
    "ct-fp8-dynamic": ct("FP8_DYNAMIC"),
    "ct-w4a16-g32-asym": ct(weights(4, "group", 32, False)),
    "bnb-int8": bnb(load_in_8bit=True),
    "bnb-nf4": bnb(load_in_4bit=True, bnb_4bit_quant_type="nf4"),
    "torchao-int8wo": torchao(lambda q: q.Int8WeightOnlyConfig(version=2)),
    "fp8-tensor": fp8(weight_block_size=None),
}
# HQQ splits by blocks, from ten on.
DEEP = {"hqq-4bit-g64-axis1": hqq(4, 64, 1)}
LLM_COMPRESSOR = {"lc-fp8-dynamic": "FP8_DYNAMIC", "lc-w4a16-g32-asym": weights(4, "group", 32, False)}
SECONDS = 120


def llm_compressor(scheme):
    def run(base, out):
        from llmcompressor import oneshot
        from llmcompressor.modifiers.quantization import QuantizationModifier
        model = one.load(base)
        how = {"targets": "Linear", "scheme": scheme} if isinstance(scheme, str) else \
            {"config_groups": {"group_0": {"targets": ["Linear"], **scheme}}}
        oneshot(model=model, recipe=QuantizationModifier(ignore=["lm_head"], **how))
        model.save_pretrained(out, save_compressed=True)
    return run


def build(line, base):
    cls = getattr(tf, line["class"])
    os.makedirs(base)
    with open(os.path.join(base, "config.json"), "w") as f:
        json.dump(line["config"], f)
    config = cls.config_class.from_pretrained(base)
    torch.manual_seed(0)
    cls(config).to(getattr(torch, line["config"].get("dtype") or "bfloat16")).save_pretrained(base)
    if line.get("stack"):
        stack(base, line["stack"])


def stack(base, kind):
    """Single experts as the published repositories hold them: one tensor of a projection, [experts, out, in] or [experts, in, out]."""
    path = os.path.join(base, "model.safetensors")
    tensors, groups = load_file(path), {}
    for name in list(tensors):
        m = re.fullmatch(r"(.*\.experts)\.(\d+)\.(gate|up|down)_proj\.weight", name)
        if m:
            groups.setdefault(m[1], {}).setdefault(int(m[2]), {})[m[3]] = tensors.pop(name)
    for block, experts in groups.items():
        order = [experts[i] for i in sorted(experts)]
        tensors[f"{block}.gate_up_proj"] = torch.stack([torch.cat([e["gate"], e["up"]]) for e in order])
        tensors[f"{block}.down_proj"] = torch.stack([e["down"] for e in order])
    for name in tensors if kind == "transposed" else ():
        if re.search(r"\.experts\.(gate_up|down)_proj$", name):
            tensors[name] = tensors[name].transpose(1, 2).contiguous()
    save_file(tensors, path, metadata={"format": "pt"})


def main():
    classes, out, what, *wanted = sys.argv[1:]
    tf.logging.set_verbosity_error()
    tf.utils.logging.disable_progress_bar()
    if what == "llm-compressor":
        from loguru import logger
        logger.remove()
        torch.cuda.is_available = lambda: False
    torch.set_num_threads(1)

    def late(*_):
        raise TimeoutError(f"no answer in {SECONDS} seconds")
    signal.signal(signal.SIGALRM, late)
    runs = {"bases": {}, "tools": TOOLS, "llm-compressor": {k: llm_compressor(v) for k, v in LLM_COMPRESSOR.items()}}[what]
    for line in map(json.loads, open(classes)):
        name = line["name"]
        if wanted and name not in wanted or not hasattr(tf, line["class"]):
            continue
        folder = os.path.join(out, name)
        base = os.path.join(folder, "base")
        if not os.path.exists(base + ".json"):
            if what != "bases":
                continue
            shutil.rmtree(base, ignore_errors=True)
            try:
                build(line, base)
            except Exception as e:
                print(name, "not built:", f"{type(e).__name__}: {e}"[:200], flush=True)
                continue
            with open(base + ".json", "w") as f:
                json.dump(read(base), f)
        cls = getattr(tf, line["class"])
        one.load = lambda base, **more: cls.from_pretrained(base, dtype="auto", **more)
        deep = what == "tools" and (line["config"].get("num_hidden_layers") or 0) >= 10
        for scheme, run in {**runs, **(DEEP if deep else {})}.items():
            done = os.path.join(folder, f"{scheme}.json")
            if os.path.exists(done):
                continue
            made = os.path.join(folder, "made")
            shutil.rmtree(made, ignore_errors=True)
            signal.alarm(SECONDS)
            try:
                run(base, made)
                result = read(made)
            except Exception as e:  # a refusal is a result
                result = {"refused": f"{type(e).__name__}: {e}"[:400]}
            signal.alarm(0)
            with open(done, "w") as f:
                json.dump(result, f)
            shutil.rmtree(made, ignore_errors=True)
        print(name, flush=True)


if __name__ == "__main__":
    main()
