#!/usr/bin/env python3
"""Compare the lossless floor of `weigh scan --stats full` with a Huffman code of numpy's counts, on real weights as BF16.

    scripts/compare/compare_lossless_floor.py target/release/weigh CHECKPOINT.gguf|CHECKPOINT.safetensors [WORK_DIR]

Needs scripts/truth/requirements.txt. Weights of another type are decoded (by gguf) and rounded to BF16 (by ml_dtypes); matrices only.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import ml_dtypes
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "truth"))
from full_stats import huffman_bits


def matrices(path):
    if path.suffix == ".gguf":
        import gguf

        for t in gguf.GGUFReader(path).tensors:
            if len(t.shape) > 1:
                yield t.name, gguf.dequantize(t.data, t.tensor_type)
    else:
        from safetensors import safe_open

        with safe_open(path, "numpy") as f:
            for name in f.keys():
                if len((x := f.get_tensor(name)).shape) > 1 and x.dtype.kind == "f":
                    yield name, x


def main():
    weigh, source = sys.argv[1], Path(sys.argv[2])
    work = Path(sys.argv[3] if len(sys.argv) > 3 else tempfile.mkdtemp())
    header, offset, bits, pooled = {}, 0, 0, np.zeros(256, np.int64)
    body = work / "body"
    with body.open("wb") as out:
        for name, x in matrices(source):
            codes = np.ascontiguousarray(x, np.float32).astype(ml_dtypes.bfloat16).view(np.uint16)
            counts = np.bincount((codes >> 7 & 255).ravel(), minlength=256)
            bits += 8 * codes.size + huffman_bits(counts.tolist())
            pooled += counts
            header[name] = {"dtype": "BF16", "shape": list(codes.shape), "data_offsets": [offset, offset + codes.nbytes]}
            out.write(codes.tobytes())
            offset += codes.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with (work / "model.safetensors").open("wb") as out, body.open("rb") as data:
        out.write(len(text).to_bytes(8, "little") + text)
        while chunk := data.read(1 << 24):
            out.write(chunk)
    body.unlink()
    command = [weigh, "scan", str(work / "model.safetensors"), "--stats", "full", "--format", "json", "--no-progress"]
    totals = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)["scan"]["totals"]
    share = pooled[pooled > 0] / pooled.sum()
    entropy = float(-(share * np.log2(share)).sum())
    if totals["lossless_bytes"] != -(-bits // 8) or abs(totals["exponent_entropy_pooled_bits"] - entropy) > 1e-9:
        sys.exit(f"{-(-bits // 8)} bytes, {entropy} bits by numpy; weigh says {totals}")
    print(f"{source.name}: {offset:,} bytes of BF16, {totals['lossless_bytes']:,} at least ({totals['lossless_ratio']:.2%}), entropy of all"
          f" exponents {entropy:.3f} bits: both agree")


if __name__ == "__main__":
    main()
