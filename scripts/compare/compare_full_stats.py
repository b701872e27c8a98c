#!/usr/bin/env python3
"""Compare `weigh scan --stats full` with numpy and scipy on a real checkpoint: as it is, magnitude-pruned to half, and 2:4-pruned.

    scripts/compare/compare_full_stats.py target/release/weigh CHECKPOINT.safetensors [WORK_DIR]

Needs scripts/truth/requirements.txt. Writes the pruned copies to WORK_DIR (a temporary folder if none is given). Says for each how many
figures were compared, and fails at the first that differs.
"""

import json
import math
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "truth"))
from full_stats import full
from make_full_stats import pruned

DTYPES = {"float32": "F32", "float16": "F16", "float64": "F64", "bfloat16": "BF16", "int64": "I64", "int32": "I32"}
CASTS = ["F16", "BF16", "F8_E4M3"]


def compare(truth, ours, at):
    if isinstance(truth, dict):
        if not isinstance(ours, dict):
            sys.exit(f"{at}: {truth} against {ours}")
        return sum(compare(value, ours.get(key), f"{at}.{key}") for key, value in truth.items())
    same = math.isclose(truth, ours, rel_tol=1e-12) if isinstance(truth, float) and isinstance(ours, (int, float)) else truth == ours
    if not same:
        sys.exit(f"{at}: {truth} against {ours}")
    return 1


def is_linear(name, x):
    return x.ndim == 2 and name.endswith("weight") and "embedding" not in name.lower()


def check(weigh, folder, tensors):
    compared = 0
    for cast in CASTS:
        command = [weigh, "scan", str(folder), "--stats", "full", "--cast", cast.lower(), "--tensors", "--format", "json"]
        scan = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)["scan"]
        for row in scan["tensors"]:
            x = tensors[row["name"]]
            weight = row["role"] != "buffer"
            matrix = (1, x.shape[0], x[0].size) if weight and x.ndim > 1 and min(x.shape[0], x[0].size) > 1 else None
            truth = full(x, DTYPES[str(x.dtype)], matrix=matrix, reduction="columns" if is_linear(row["name"], x) else None,
                         casts=[cast] if x.dtype.kind == "f" else [])
            truth["cast"] = truth["cast"].get(cast)
            # Which rows are heads is the fixtures' matter.
            for key in ("zero_heads", "zero_channels"):
                truth.pop(key, None)
            compared += compare(truth, row, row["name"])
    patterns = ", ".join(f"{p['pattern']} in {p['tensors']} tensors" for p in scan["patterns"]) or "no pattern"
    group = scan["totals"]["n_m"]["2:4"]
    print(f"{folder.name}: {compared} figures agree; {patterns}; 2:4 passes in {group['groups_ok'] / group['groups']:.4%} of groups,"
          f" {group['chance']:.4%} by chance; lossless {scan['totals']['lossless_ratio']:.4%}")


def main():
    weigh, source = sys.argv[1], Path(sys.argv[2])
    work = Path(sys.argv[3]) if len(sys.argv) > 3 else Path(tempfile.mkdtemp())
    base = load_file(source)

    def made(name, change):
        folder = work / name
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {k: np.ascontiguousarray(change(k, v)) for k, v in base.items()}
        save_file(tensors, folder / "model.safetensors")
        if (source.parent / "config.json").exists():
            shutil.copy(source.parent / "config.json", folder)
        check(weigh, folder, tensors)

    def half(name, x):
        if not is_linear(name, x):
            return x
        threshold = np.sort(np.abs(x), axis=None)[x.size // 2]
        return np.where(np.abs(x) < threshold, 0, x).astype(x.dtype)

    rng = np.random.default_rng(8)
    made("as it is", lambda name, x: x)
    made("half, by magnitude", half)
    made("half, at random", lambda name, x: np.where(rng.random(x.shape) < 0.5, 0, x).astype(x.dtype) if is_linear(name, x) else x)
    made("2:4", lambda name, x: pruned(x, 2, 4) if is_linear(name, x) else x)


if __name__ == "__main__":
    main()
