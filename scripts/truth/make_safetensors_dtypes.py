#!/usr/bin/env python3
"""Write fixtures/truth/safetensors_dtypes.json: the dtypes of the installed
safetensors package and their size in bits.

The names come from the package's own error message for an unknown dtype. The
bits are found by trial: the one size per 8 elements that its reader accepts.
"""

import json
import re
import struct
from importlib.metadata import version
from pathlib import Path

from safetensors import SafetensorError, deserialize

OUT = Path(__file__).resolve().parents[2] / "fixtures/truth/safetensors_dtypes.json"


def one_tensor(dtype, shape, size):
    header = json.dumps({"t": {"dtype": dtype, "shape": shape, "data_offsets": [0, size]}})
    return struct.pack("<Q", len(header)) + header.encode() + bytes(size)


def accepted(dtype, shape, size):
    try:
        deserialize(one_tensor(dtype, shape, size))
        return True
    except SafetensorError:
        return False


def main():
    try:
        deserialize(one_tensor("?", [1], 1))
        raise SystemExit("an unknown dtype was accepted")
    except SafetensorError as error:
        names = re.findall(r"`([A-Z]\w*)`", str(error).partition("expected")[2])
    rows = []
    for name in names:
        # The bits of one element are the bytes of eight of them.
        bits = [n for n in range(1, 257) if accepted(name, [8], n)]
        assert len(bits) == 1, (name, bits)
        rows.append({"name": name, "bits": bits[0]})
    assert len(rows) == 22, names
    source = f"python safetensors {version('safetensors')}"
    head = {"source": {
        "names": f"{source}: its error message for an unknown dtype",
        "bits": f"{source}: the byte size its reader accepts for eight elements",
    }}
    lines = ",\n".join("  " + json.dumps(row) for row in rows)
    OUT.write_text(f'{{"source": {json.dumps(head["source"], indent=1)},\n"dtypes": [\n{lines}\n]}}\n')
    print(f"{OUT.name}: {len(rows)} dtypes")


if __name__ == "__main__":
    main()
