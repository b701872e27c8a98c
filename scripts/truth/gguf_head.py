"""Writes GGUF files that are a whole header and a hole for the tensors' data."""
import struct

BYTES = {0: 4, 1: 2}


def text(value):
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def value(v):
    if isinstance(v, str):
        return struct.pack("<I", 8) + text(v)
    if isinstance(v, bool):
        return struct.pack("<IB", 7, v)
    if isinstance(v, int):
        return struct.pack("<II", 4, v)
    if isinstance(v, float):
        return struct.pack("<If", 6, v)
    return struct.pack("<IIQ", 9, 4, len(v)) + struct.pack(f"<{len(v)}I", *v)


def write(path, keys, tensors):
    """Keys and (name, ggml type 0 or 1, dimensions fastest first), in their order."""
    out = bytearray(b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys)))
    for name, v in keys:
        out += text(name) + value(v)
    offset = 0
    for name, kind, shape in tensors:
        out += text(name) + struct.pack("<I", len(shape)) + b"".join(struct.pack("<Q", n) for n in shape) + struct.pack("<IQ", kind, offset)
        size = BYTES[kind]
        for n in shape:
            size *= n
        offset += (size + 31) // 32 * 32
    out += b"\0" * (-len(out) % 32)
    with open(path, "wb") as file:
        file.write(out)
        file.truncate(len(out) + offset)
