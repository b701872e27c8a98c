"""Minimal writers for what other people's writers cannot or will not write."""

import json
import struct

GGUF_STRING, GGUF_U32 = 8, 4


def safetensors_bytes(tensors, metadata=None, align=8):
    """`tensors`: (name, dtype, shape, data) in file order. `align`: what the
    header is padded to with spaces; 1 leaves it as it comes."""
    header, end = {}, 0
    if metadata:
        header["__metadata__"] = metadata
    for name, dtype, shape, data in tensors:
        header[name] = {"dtype": dtype, "shape": list(shape),
                        "data_offsets": [end, end + len(data)]}
        end += len(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % align)
    return struct.pack("<Q", len(text)) + text + b"".join(data for *_, data in tensors)


def gguf_bytes(tensors, metadata, version=3, alignment=32):
    """`tensors`: (name, ggml type id, shape with the fastest dimension last,
    data). `metadata`: key to str or int (u32). Little endian. Version 1 has
    32-bit counts, lengths and dimensions."""
    wide = "<I" if version == 1 else "<Q"

    def count(n):
        return struct.pack(wide, n)

    def string(text):
        return count(len(text.encode())) + text.encode()

    out = b"GGUF" + struct.pack("<I", version) + count(len(tensors)) + count(len(metadata))
    for key, value in metadata.items():
        out += string(key)
        if isinstance(value, str):
            out += struct.pack("<I", GGUF_STRING) + string(value)
        else:
            out += struct.pack("<II", GGUF_U32, value)
    body = b""
    for name, ggml_type, shape, data in tensors:
        out += string(name) + struct.pack("<I", len(shape))
        out += b"".join(count(n) for n in reversed(shape))
        out += struct.pack("<IQ", ggml_type, len(body))
        body += data + bytes(-len(data) % alignment)
    out += bytes(-len(out) % alignment)
    return out + body
