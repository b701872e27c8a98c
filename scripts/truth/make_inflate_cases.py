#!/usr/bin/env python3
"""Writes fixtures/audit/inflate.txt: short texts as CPython's zlib and gzip pack them. Standard library only."""
import gzip
import io
import pathlib
import random
import zlib

random.seed(1)


def raw(data, level, strategy=zlib.Z_DEFAULT_STRATEGY):
    packer = zlib.compressobj(level, zlib.DEFLATED, -15, 9, strategy)
    return packer.compress(data) + packer.flush()


text = b'{"class_name": "Lambda", "module": "keras.layers", "config": {"name": "l"}}'
pickle = b"\x80\x02cos\nsystem\nX\x04\0\0\0true\x85R."
letters = bytes(random.choice(b"abcdefghijklmnopqrstuvwxyz \n") for _ in range(700))
named = io.BytesIO()
with gzip.GzipFile("model.pkl", "wb", 9, named, mtime=0) as file:
    file.write(text)
cases = [
    ("deflate", raw(text, 9), text, 1),
    ("deflate", raw(text, 9, zlib.Z_FIXED), text, 1),
    ("deflate", raw(text, 0), text, 1),
    ("deflate", raw(text * 200, 6), text, 200),
    ("deflate", raw(letters * 60, 9), letters, 60),
    ("zlib", zlib.compress(pickle), pickle, 1),
    ("gzip", named.getvalue(), text, 1),
    ("gzip", gzip.compress(b"", mtime=0), b"", 0),
    ("deflate", raw(b"\0" * 300000, 9), b"\0", 300000),
]
lines = ["# KIND PACKED PLAINxTIMES, in hexadecimal; written by scripts/truth/make_inflate_cases.py"]
lines += [f"{kind} {packed.hex()} {plain.hex()}x{times}" for kind, packed, plain, times in cases]
path = pathlib.Path(__file__).resolve().parents[2] / "fixtures/audit/inflate.txt"
path.write_text("\n".join(lines) + "\n")
