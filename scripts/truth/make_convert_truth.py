#!/usr/bin/env python3
"""Makes fixtures/families: tiny checkpoints of many families, and what llama.cpp's converter writes of each.

usage: make_convert_truth.py LLAMA_CPP WORK [CASE...|PREFIX*...|new]

LLAMA_CPP holds `convert_hf_to_gguf.py`, `conversion/` and `gguf-py/` (the sdist llama-cpp-python 0.3.36 vendors commit 0c1e570).
WORK gets the folders as they are (`WORK/folders/CASE`) and the compact records (`WORK/records/CASE.json`, `WORK/tokenizers/NAME`).
Versions: transformers==4.57.6 torch==2.15.0 numpy==2.2.6 sentencepiece==0.2.1 protobuf==4.25.9 safetensors==0.8.0 tokenizers==0.22.2.

Weights are random, tokenizers are toys. The converter stops at a tokenizer whose fingerprint it does not know: the name that it then
asks for is given to it, and the record says so (`pre_forced`). Nothing else of it is changed."""
import json
import logging
import os
import shutil
import struct
import sys
from pathlib import Path

import convert_truth_cases as cases

OUTTYPES = ["f32", "f16", "bf16", "q8_0", "tq1_0", "tq2_0", "auto"]
FORCED = "toy-pre"


def prepare(llama_cpp):
    """The converter, loaded once for all cases."""
    sys.path.insert(0, llama_cpp)
    os.environ["PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION"] = "python"
    os.environ["TQDM_DISABLE"] = "1"
    import conversion
    from conversion import TextModel, get_model_class
    import gguf
    import torch
    real = TextModel.get_vocab_base_pre

    def known_or_forced(self, tokenizer):
        try:
            return real(self, tokenizer)
        except NotImplementedError:
            self.forced = True
            return FORCED
    TextModel.get_vocab_base_pre = known_or_forced
    logging.disable(logging.CRITICAL)
    return conversion, get_model_class, gguf, torch


def convert(tools, folder, outtype, out):
    conversion, get_model_class, gguf, torch = tools
    from conversion import ModelBase, ModelType, get_model_architecture
    ftypes = {"f32": "ALL_F32", "f16": "MOSTLY_F16", "bf16": "MOSTLY_BF16", "q8_0": "MOSTLY_Q8_0", "tq1_0": "MOSTLY_TQ1_0",
              "tq2_0": "MOSTLY_TQ2_0", "auto": "GUESSED"}
    with torch.inference_mode():
        hparams = ModelBase.load_hparams(folder, False)
        name = get_model_architecture(hparams, ModelType.TEXT)
        model = get_model_class(name)(folder, getattr(gguf.LlamaFileType, ftypes[outtype]), out)
        model.write()
    return getattr(model, "forced", False)


def architecture(tools, folder):
    """Of several that a folder names, the one that the converter goes by."""
    from conversion import ModelBase, ModelType, get_model_architecture
    return get_model_architecture(ModelBase.load_hparams(folder, False), ModelType.TEXT)


def read(gguf, path):
    """Keys with their encoded bytes, tensors with shape and type, sizes."""
    reader = gguf.GGUFReader(path)
    keys = {}
    for field in reader.fields.values():
        if not field.name.startswith("GGUF."):
            keys[field.name] = sum(int(part.nbytes) for part in field.parts)
    pre = reader.fields.get("tokenizer.ggml.pre")
    tensors = [[t.name, [int(d) for d in t.shape], t.tensor_type.name] for t in reader.tensors]
    size = {"file_bytes": path.stat().st_size, "tensor_bytes": sum(int(t.n_bytes) for t in reader.tensors)}
    return keys, tensors, size, bytes(pre.parts[-1]).decode() if pre else None


def header(path):
    with open(path, "rb") as f:
        n = struct.unpack("<Q", f.read(8))[0]
        rows = json.loads(f.read(n))
    meta = rows.pop("__metadata__", None)
    rows = sorted(rows.items(), key=lambda row: row[1]["data_offsets"])
    return {"header_bytes": n, "metadata": meta, "tensors": [[k, v["dtype"], v["shape"]] for k, v in rows]}


def record(tools, name, folder, work):
    """What the converter writes of a folder, or why it stops."""
    result = {"model": name, "architecture": architecture(tools, folder), "pre": None, "pre_forced": False, "outtypes": OUTTYPES, "outputs": {}, "refused": None}
    tensors = None
    for outtype in OUTTYPES:
        out = work / "out.gguf"
        out.unlink(missing_ok=True)
        try:
            forced = convert(tools, folder, outtype, out)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            if result["outputs"]:
                raise
            result["refused"] = f"{type(error).__name__}: {str(error).replace(str(folder) + '/', '')[:160]}"
            return result
        keys, rows, size, pre = read(tools[2], out)
        result["outputs"][outtype] = size
        result["keys"] = {k: v for k, v in keys.items()}
        if forced or pre not in (None, "default"):
            result["pre"], result["pre_forced"] = pre, forced
        if tensors is None:
            tensors = [[n, shape, []] for n, shape, _ in rows]
        assert [[n, s] for n, s, _ in rows] == [[n, s] for n, s, _ in tensors]
        for row, (_, _, kind) in zip(tensors, rows):
            row[2].append(kind)
        out.unlink()
    # One word where all types are the same.
    result["tensors"] = [[n, s, k if len(set(k)) > 1 else k[0]] for n, s, k in tensors]
    return result


def compact(result, folder, shared, tokenizer):
    """The record with everything that makes the folder again; files of a shared tokenizer are only named."""
    result["sources"], result["files"], result["tokenizer"] = {}, {}, None
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_dir():
            continue
        if name.endswith(".safetensors"):
            result["sources"][name] = header(path)
            continue
        if tokenizer and shared[tokenizer].get(name) == path.read_bytes():
            continue
        text = path.read_bytes().decode()
        # JSON as a value, unless it holds what only Python writes; everything else as text with its line ends.
        is_value = name.endswith(".json") and "Infinity" not in text
        result["files"][name] = json.loads(text) if is_value else text
    if tokenizer:
        result["tokenizer"] = tokenizer
        if gone := [name for name in sorted(shared[tokenizer]) if not (folder / name).exists()]:
            result["without"] = gone
    return result


def dump(result, path):
    lines = []
    for key, value in result.items():
        if key == "tensors":
            rows = ",\n".join("  " + json.dumps(row, separators=(",", ":")) for row in value)
            lines.append(f' "tensors": [\n{rows}]')
        else:
            lines.append(f" {json.dumps(key)}: {json.dumps(value, separators=(',', ':'), ensure_ascii=False)}")
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def chosen(name, wanted):
    """Whether a case is among the wanted ones; `new` are those without a record."""
    return wanted in ((), ("new",)) or any(name == w or (w.endswith("*") and name.startswith(w[:-1])) for w in wanted)


def main(llama_cpp, work, *wanted):
    work = Path(work)
    tools = prepare(llama_cpp)
    for part in ("folders", "records", "tokenizers"):
        (work / part).mkdir(parents=True, exist_ok=True)
    shared = {}
    for kind, make in cases.TOKENIZERS.items():
        where = work / "tokenizers" / kind
        if not where.is_dir():
            where.mkdir()
            make(where)
        shared[kind] = {p.name: p.read_bytes() for p in where.iterdir()}
    for case in cases.CASES:
        name = case["name"]
        if not chosen(name, wanted) or (wanted == ("new",) and (work / "records" / f"{name}.json").exists()):
            continue
        folder = work / "folders" / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        try:
            cases.make(case, folder, work / "tokenizers")
            result = record(tools, name, folder, work)
        except Exception as error:
            import traceback
            print("FAILED", name, type(error).__name__, str(error)[:300])
            traceback.print_exc(limit=4)
            continue
        dump(compact(result, folder, shared, case.get("tok")), work / "records" / f"{name}.json")
        print(name, result["refused"] or result["outputs"]["f16"], flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
