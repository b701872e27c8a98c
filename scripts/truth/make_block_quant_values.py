#!/usr/bin/env python3
"""Write fixtures/truth/block_quant_values.json: the CRC-32 of every decoded block-quant tensor of fixtures/dtypes.

    scripts/truth/make_block_quant_values.py        (needs gguf 0.19.0 and libgguf 0.2.2)

The values are what gguf.quants.dequantize and libgguf.dequantize_rows give (both must agree to the bit where both decode a
type), as little-endian float32 with every NaN written as 0x7fc00000. Types that neither decodes are left out.
"""

import json
import zlib
from pathlib import Path

import gguf
import libgguf
import numpy as np

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"


def checksum(values):
    bits = np.ascontiguousarray(values, dtype="<f4").view("<u4").copy()
    bits[np.isnan(values.reshape(bits.shape))] = 0x7FC00000
    return f"{zlib.crc32(bits.tobytes()):08x}"


def main():
    truth = json.loads((FIXTURES / "dtypes/truth.json").read_text())["files"]
    out, tensors_seen = {}, 0
    for name, entry in truth.items():
        elements, size = gguf.GGML_QUANT_SIZES.get(entry.get("ggml_type", -1), (1, 1))
        if entry["format"] != "gguf" or elements == 1:
            continue
        if entry["ggml_type"] in (9, 15):  # Q8_1 and Q8_K: neither decodes them, and gguf has a wrong size for Q8_1
            continue
        rows = {}
        for tensor in gguf.GGUFReader(FIXTURES / "dtypes" / name).tensors:
            raw = np.array(tensor.data, copy=True).view(np.uint8).reshape(-1, size)
            kind, sums = int(tensor.tensor_type), []
            with np.errstate(all="ignore"):
                try:
                    sums.append(checksum(gguf.quants.dequantize(raw, gguf.GGMLQuantizationType(kind))))
                except NotImplementedError:
                    pass
                if kind in libgguf._SUPPORTED_QUANTIZED_QTYPES:
                    decoded = libgguf.dequantize_rows_raw(kind, raw.tobytes(), raw.shape[0], elements)
                    sums.append(checksum(np.frombuffer(decoded, dtype="<f4")))
            assert len(set(sums)) <= 1, (name, tensor.name, sums)
            if sums:
                rows[tensor.name] = sums[0]
                tensors_seen += 1
        if rows:
            out[name] = rows
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(rows)}" for name, rows in out.items())
    (FIXTURES / "truth/block_quant_values.json").write_text("{\n" + lines + "\n}\n")
    print(f"{tensors_seen} tensors in {len(out)} files")


if __name__ == "__main__":
    main()
