#!/usr/bin/env python3
"""Writes fixtures/audit/calls.txt: random pickles, and whether CPython's unpicklers call what they name before they stop. Standard library only.

Nothing of them is imported: every name leads to a function that notes the call.
"""
import io
import pathlib
import pickle
import random

random.seed(1)
called = []


def note(*arguments, **named):
    called.append(1)
    return "x"


class Noted:
    def __new__(cls, *arguments, **named):
        called.append(1)
        return object.__new__(cls)


def unpickler(base):
    class Unpickler(base):
        def find_class(self, module, name):
            return Noted if name[0].isupper() else note

        def persistent_load(self, key):
            return 1

    return Unpickler


OPCODES = [
    b"N", b"(", b"0", b"1", b"2", b"]", b"}", b")", b"\x88", b"\x89", b"K\5", b"M\5\0", b"J\1\0\0\0", b"I1\n", b"I01\n", b"L5L\n", b"F1.5\n",
    b"G" + bytes(8), b"S'a'\n", b"Vab\n", b"X\1\0\0\0a", b"U\1b", b"\x8c\1c", b"B\1\0\0\0x", b"C\1y", b"\x8a\1\5", b"Ppid\n", b"Q", b"\x85",
    b"\x86", b"\x87", b"t", b"l", b"d", b"a", b"s", b"e", b"u", b"p1\n", b"q\2", b"r\3\0\0\0", b"g1\n", b"h\2", b"h\0", b"\x94", b"\x8f", b"\x90",
    b"\x91", b"\x80\2", b"\x80\4", b"\x95\1" + bytes(7), b"cfoo\nbar\n", b"cfoo\nBar\n", b"Vfoo\nVbar\n\x93", b"R", b"o", b"ifoo\nbar\n", b"\x81",
    b"\x92", b"b", b".",
]
ENDS = [b"", b"cfoo\nbar\n)R", b"(cfoo\nbar\nNo", b"(ifoo\nbar\n", b"cfoo\nBar\n)\x81", b"cfoo\nBar\n)}\x92"]
lines = ["# Whether an unpickler calls something, and the pickle in hexadecimal; written by scripts/truth/make_pickle_calls.py"]
counts = {True: 0, False: 0}
while min(counts.values()) < 200:
    data = b"".join(random.choices(OPCODES, k=random.randint(3, 14))) + random.choice(ENDS)
    called.clear()
    for base in (pickle._Unpickler, pickle.Unpickler):
        try:
            unpickler(base)(io.BytesIO(data)).load()
        except Exception:
            pass
    if counts[bool(called)] < 200:
        counts[bool(called)] += 1
        lines.append(f"{int(bool(called))} {data.hex()}")
path = pathlib.Path(__file__).resolve().parents[2] / "fixtures/audit/calls.txt"
path.write_text("\n".join(lines) + "\n")
