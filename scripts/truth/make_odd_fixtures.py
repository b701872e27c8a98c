#!/usr/bin/env python3
"""Write fixtures/odd/: tiny files that are legal but unusual, or that are not
what their name says, and expected.json with the figures a reader must report.

Nothing here does anything when it is loaded. The output is the same on every run.
"""

import io
import json
import shutil
import zipfile
from pathlib import Path

import gguf
import numpy as np

from handmade import gguf_bytes, safetensors_bytes

OUT = Path(__file__).resolve().parents[2] / "fixtures" / "odd"
F32, Q8_0 = 0, 8
EXPECTED = {}


def put(name, data, **figures):
    path = OUT / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    EXPECTED[name] = {"file_bytes": len(data)} | figures


def ramp(count, dtype="<f4"):
    return np.arange(count).astype(dtype).tobytes()


def unaligned_safetensors():
    """MLX pads the header to nothing, so tensors start wherever it ends."""
    tensors = [("model.norm.weight", "F32", (5,), ramp(5)),
               ("model.embed.weight", "F32", (3, 7), ramp(21)),
               ("model.half", "F16", (3,), ramp(3, "<f2"))]
    metadata = {"format": "mlx"}
    data = safetensors_bytes(tensors, metadata, align=1)
    if len(data) % 2 == 0:                      # the data section is 110 bytes
        data = safetensors_bytes(tensors, {"format": "mlx "}, align=1)
    start = len(data) - 110
    assert start % 2 == 1
    put("unaligned_header.safetensors", data, dtypes={"F32": 26, "F16": 3}, tensors=3,
        tensor_bytes=110, data_start=start, zeros={"F32": 2, "F16": 1})


def ggufs():
    q8 = np.concatenate([np.array([0.5], "<f2").view("u1"), np.arange(-16, 16, dtype="i1").view("u1")])
    tensors = [("token_embd.weight", F32, (3, 5), ramp(15)), ("output.weight", Q8_0, (1, 32), q8.tobytes())]
    metadata = {"general.architecture": "fixture", "fixture.block_count": 1}
    for version in (1, 2):
        put(f"version{version}.gguf", gguf_bytes(tensors, metadata, version), version=version,
            tensors=2, dtypes={"F32": 15, "Q8_0": 32}, tensor_bytes=94, zeros={"F32": 1, "Q8_0": 1})
    put("no_tensors.gguf", gguf_bytes([], metadata, alignment=1), version=3,
        tensors=0, tensor_bytes=0, dtypes={})
    path = OUT / "big_endian.gguf"
    writer = gguf.GGUFWriter(path, "fixture", endianess=gguf.GGUFEndian.BIG)
    writer.add_block_count(1)
    writer.add_tensor("token_embd.weight", np.arange(15, dtype="f4").reshape(3, 5))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    data = path.read_bytes()
    assert data[4:8] == b"\0\0\0\3"
    put("big_endian.gguf", data, version=3, tensors=1, dtypes={"F32": 15}, tensor_bytes=60,
        zeros={"F32": 1}, sum=105.0)
    whole = gguf_bytes(tensors, metadata)
    cut = len(whole) - 64 - 24                  # inside the first tensor (its slot is 64 bytes)
    put("truncated.gguf", whole[:cut], tensors=2, dtypes={"F32": 15, "Q8_0": 32}, tensor_bytes=94,
        declared_end=len(whole) - 30, missing_bytes=len(whole) - 30 - cut)


def truncated_safetensors():
    tensors = [("a", "F32", (16, 16), ramp(256)), ("b", "F16", (8, 8), ramp(64, "<f2")),
               ("c", "U8", (10,), ramp(10, "u1"))]
    whole = safetensors_bytes(tensors)
    start = len(whole) - 1162
    cut = start + 1024 + 50                     # 25 of the 64 elements of b
    put("truncated/model.safetensors", whole[:cut], data_start=start, tensors=3,
        dtypes={"F32": 256, "F16": 64, "U8": 10}, tensor_bytes=1162,
        declared_end=len(whole), missing_bytes=len(whole) - cut,
        cut_tensors=["b", "c"], whole_tensors=["a"])


def other_things():
    put("lfs_pointer/model.safetensors",
        b"version https://git-lfs.github.com/spec/v1\n"
        b"oid sha256:0d678f123f3d1f91c5065cca2b5d40eccc469360afc2381b27290486011ded2c\n"
        b"size 344412\n", is_really="Git LFS pointer", points_to_bytes=344412)
    put("html_page/model.safetensors",
        b"<!DOCTYPE html>\n<html><head><title>404 Not Found</title></head>\n"
        b"<body><h1>Not Found</h1></body></html>\n", is_really="HTML page")
    put("empty/model.safetensors", b"", is_really="empty file")
    nothing = b"\x80\x02}q\x00."                # the pickle of an empty dict
    box = io.BytesIO()
    with zipfile.ZipFile(box, "w", zipfile.ZIP_STORED) as z:
        z.writestr(zipfile.ZipInfo("archive/data.pkl", (1980, 1, 1, 0, 0, 0)), nothing)
        z.writestr(zipfile.ZipInfo("archive/version", (1980, 1, 1, 0, 0, 0)), b"3\n")
    put("pickle_zip/model.safetensors", box.getvalue(),
        is_really="zip archive with a pickle, as torch.save writes it")
    put("pickle_raw/model.safetensors", nothing, is_really="pickle, protocol 2")


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    unaligned_safetensors()
    ggufs()
    truncated_safetensors()
    other_things()
    lines = ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in EXPECTED.items())
    (OUT / "expected.json").write_text("{\n" + lines + "\n}\n")
    rows = "\n".join(f"| `{k}` | " + ", ".join(f"{a} {b}" for a, b in v.items()) + " |"
                     for k, v in EXPECTED.items())
    (OUT / "README.md").write_text(f"""# Odd files

Written by `scripts/truth/make_odd_fixtures.py`; `expected.json` has the same figures for tests. Licence: as the repository.

| file | figures |
| --- | --- |
{rows}

- `dtypes` gives elements, `zeros` the zeros a scan must count; `tensor_bytes` what the header declares.
- `declared_end` is where the last tensor ends by the header; `missing_bytes` is what lies beyond the end of the file.
- `unaligned_header`: its header is not padded (as MLX writes), so F32 data starts at an odd offset.
- `version1`: 32-bit counts, lengths and dimensions; today's llama.cpp refuses it. `big_endian`: by python `gguf`.
- `no_tensors.gguf` ends with its last key: with no tensor there is no padding, and none is missing.
- The last five are not what their name says. The two pickles hold an empty dict and do nothing.
""")
    print(f"{len(EXPECTED)} files")


if __name__ == "__main__":
    main()
