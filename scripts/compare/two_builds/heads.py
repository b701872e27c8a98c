"""Checkpoints without their values: whole headers, and tensor data that is a hole in the file.

Sizes of the types come from the tables in `fixtures/truth`, which were read from the packages that own them.
"""

import json
import math
import os
import struct
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
TRUTH = ROOT / "fixtures" / "truth"


def table(name, rows):
    return json.loads((TRUTH / name).read_text(encoding="utf-8"))[rows]


BITS = {row["name"]: row["bits"] for row in table("safetensors_dtypes.json", "dtypes")}
GGML = {row["id"]: row for row in table("ggml_types.json", "types")}
GGML_IDS = {row["name"]: row["id"] for row in GGML.values()}

# Widths of the values of a GGUF key by its type number, as the format states them; 8 is a text and 9 an array.
KEY_WIDTHS = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
GGUF_ALIGNMENT = 32


def sparse(path, head, size):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(head)
    os.truncate(path, max(size, len(head)))


def safetensors(path, tensors, metadata=None):
    """Writes (name, dtype, shape) rows as one file."""
    header, at = {}, 0
    if metadata:
        header["__metadata__"] = metadata
    for name, dtype, shape in tensors:
        end = at + math.prod(shape) * BITS[dtype] // 8
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, end]}
        at = end
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    sparse(path, struct.pack("<Q", len(text)) + text, 8 + len(text) + at)


def text(value):
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def key_value(key, value):
    """A GGUF key, of the type that fits the JSON value."""
    if key == "tokens":
        # A record states how many tokens there are, not which.
        return text("tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, 8, value) + bytes(8 * value)
    if isinstance(value, bool):
        return text(key) + struct.pack("<IB", 7, value)
    if isinstance(value, str):
        return text(key) + struct.pack("<I", 8) + text(value)
    if isinstance(value, int):
        return text(key) + struct.pack("<IQ", 10, value)
    if isinstance(value, float):
        return text(key) + struct.pack("<Id", 12, value)
    if all(isinstance(v, bool) for v in value):
        kind, form = 7, "<B"
    elif all(isinstance(v, int) and v >= 0 for v in value):
        kind, form = 4, "<I"
    else:
        kind, form = 12, "<d"
    return text(key) + struct.pack("<IIQ", 9, kind, len(value)) + b"".join(struct.pack(form, v) for v in value)


def gguf(path, keys, tensors):
    """Writes keys and (name, type number, shape with the fastest dimension first) rows as one file."""
    out = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys))
    out += b"".join(key_value(key, value) for key, value in keys.items())
    at = 0
    for name, kind, shape in tensors:
        out += text(name) + struct.pack("<I", len(shape)) + struct.pack(f"<{len(shape)}Q", *shape)
        out += struct.pack("<IQ", kind, at)
        at += data_bytes(kind, shape)
        at += -at % GGUF_ALIGNMENT
    out += b"\0" * (-len(out) % GGUF_ALIGNMENT)
    sparse(path, out, len(out) + at)


def data_bytes(kind, shape):
    row = GGML[kind]
    return math.prod(shape) // row["block_elements"] * row["block_bytes"]


def whole(head, path):
    """Makes a file of its head: the data is a hole as long as the header says."""
    data = Path(head).read_bytes()
    end = gguf_end(data) if data[:4] == b"GGUF" else safetensors_end(data)
    sparse(path, data, end)


def safetensors_end(data):
    length = struct.unpack_from("<Q", data)[0]
    header = json.loads(data[8:8 + length])
    ends = [row["data_offsets"][1] for name, row in header.items() if name != "__metadata__"]
    return 8 + length + max(ends, default=0)


def gguf_end(data):
    """Where the data of the last tensor ends."""
    tensors, keys = struct.unpack_from("<QQ", data, 8)
    at, alignment = 24, GGUF_ALIGNMENT

    def word(form):
        nonlocal at
        value = struct.unpack_from(form, data, at)[0]
        at += struct.calcsize(form)
        return value

    def skip_text():
        nonlocal at
        length = word("<Q")
        at += length

    def skip(kind):
        nonlocal at
        if kind == 8:
            skip_text()
        elif kind == 9:
            inner, count = word("<I"), word("<Q")
            if inner in KEY_WIDTHS:
                at += KEY_WIDTHS[inner] * count
            else:
                for _ in range(count):
                    skip(inner)
        else:
            at += KEY_WIDTHS[kind]

    for _ in range(keys):
        length = word("<Q")
        key = data[at:at + length]
        at += length
        kind = word("<I")
        if key == b"general.alignment":
            alignment = struct.unpack_from("<I", data, at)[0]
        skip(kind)
    end = 0
    for _ in range(tensors):
        skip_text()
        shape = [word("<Q") for _ in range(word("<I"))]
        kind, offset = word("<I"), word("<Q")
        end = max(end, offset + data_bytes(kind, shape))
    return at + -at % alignment + end
