#!/usr/bin/env python3
"""Write fixtures/truth/ggml_types.json: id, name, block elements and block bytes
of every live ggml type, from the tables of gguf-py.

    scripts/truth/make_ggml_types.py LLAMA_CPP_PYTHON_SDIST

gguf 0.19.0 as published lacks type 42 (Q2_0) and gives Q8_1 40 bytes. The copy of gguf-py inside the
sdist of llama-cpp-python 0.3.36 (scripts/fetch_checkpoints.py --keep-downloads
leaves it in .downloads/) calls itself 0.19.0 too, has Q2_0, and gives Q8_1 36 bytes,
which is what ggml-common.h has (two f16 and 32 bytes). Only its constants.py is
loaded, which is tables alone. Any other difference is an error.
"""

import importlib.util
import json
import sys
import tarfile
import tempfile
from importlib.metadata import version
from pathlib import Path

import gguf

OUT = Path(__file__).resolve().parents[2] / "fixtures/truth/ggml_types.json"
MEMBER = "/vendor/llama.cpp/gguf-py/gguf/constants.py"


def table(constants):
    sizes = constants.GGML_QUANT_SIZES
    return {int(t): {"id": int(t), "name": t.name, "block_elements": sizes[t][0],
                     "block_bytes": sizes[t][1]} for t in constants.GGMLQuantizationType}


def vendored(sdist):
    with tarfile.open(sdist) as tar, tempfile.TemporaryDirectory() as folder:
        for info in tar:
            if info.name.endswith(MEMBER):
                path = Path(folder) / "vendored_constants.py"
                path.write_bytes(tar.extractfile(info).read())
                spec = importlib.util.spec_from_file_location("vendored_constants", path)
                module = importlib.util.module_from_spec(spec)
                spec.loader.exec_module(module)
                return module
    raise SystemExit(f"no {MEMBER} in the sdist")


def main():
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    published, newer = table(gguf), table(vendored(sys.argv[1]))
    differ = {number for number, row in published.items() if newer[number] != row}
    assert differ <= {9}, [newer[number] for number in differ]
    old, new = f"gguf {version('gguf')}", "gguf-py inside the llama-cpp-python 0.3.36 sdist"
    rows = [row | {"source": old if number in published and number not in differ else new}
            for number, row in sorted(newer.items())]
    lines = ",\n".join("  " + json.dumps(row) for row in rows)
    note = f"{old} lacks " + ", ".join(
        f"type {n} ({row['name']})" for n, row in newer.items() if n not in published)
    note += "".join(f"; it gives {published[n]['name']} {published[n]['block_bytes']} bytes a "
                    f"block, {new} {newer[n]['block_bytes']}, as ggml itself" for n in differ)
    OUT.write_text(f'{{"note": {json.dumps(note)},\n"types": [\n{lines}\n]}}\n')
    print(f"{OUT.name}: {len(rows)} types; {note}")


if __name__ == "__main__":
    main()
