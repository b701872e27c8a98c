#!/usr/bin/env python3
"""Makes fixtures/families/values.json: the numbers that llama.cpp's converter writes under the architecture's keys.

usage: make_converted_values.py LLAMA_CPP WORK OUT [CASE...|PREFIX*...]

The folders are those of `make_convert_truth.py`, whose versions hold here too; each is made anew in WORK, converted with outtype f16 and
read back with gguf-py. Of every file: its architecture, the number of its tokens, and the numbers under `ARCHITECTURE.`, the prefix left
out; floats are rounded to 9 digits, all that an f32 holds, arrays of one number many times over are kept whole."""
import json
import shutil
import sys
from pathlib import Path

import convert_truth_cases as cases
from make_convert_truth import chosen, convert, prepare


def number(value):
    if hasattr(value, "item"):
        value = value.item()
    return float(f"{value:.9g}") if isinstance(value, float) else value


def values(gguf, path):
    reader = gguf.GGUFReader(path)
    arch = reader.get_field("general.architecture").contents()
    found = {}
    for field in reader.fields.values():
        kind = field.types[-1]
        if not field.name.startswith(arch + ".") or kind == gguf.GGUFValueType.STRING:
            continue
        content = field.contents()
        name = field.name[len(arch) + 1:]
        found[name] = [number(v) for v in content] if isinstance(content, list) else number(content)
    tokens = reader.get_field("tokenizer.ggml.tokens")
    return {"architecture": arch, "tokens": len(tokens.data) if tokens else None, "keys": found}


def main(llama_cpp, work, out, *wanted):
    work, out = Path(work), Path(out)
    tools = prepare(llama_cpp)
    for kind, make in cases.TOKENIZERS.items():
        where = work / "tokenizers" / kind
        if not where.is_dir():
            where.mkdir(parents=True)
            make(where)
    rows = json.loads(out.read_text()) if out.exists() and wanted else {}
    for case in cases.CASES:
        name = case["name"]
        if not chosen(name, wanted):
            continue
        folder = work / "folders" / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        file = work / "values.gguf"
        file.unlink(missing_ok=True)
        cases.make(case, folder, work / "tokenizers")
        try:
            convert(tools, folder, "f16", file)
        except Exception as error:
            print("refused", name, type(error).__name__, str(error)[:100], flush=True)
            continue
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        rows[name] = values(tools[2], file)
        print(name, len(rows[name]["keys"]), flush=True)
    lines = [f" {json.dumps(name)}: {json.dumps(rows[name], separators=(',', ':'))}" for name in sorted(rows)]
    out.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
