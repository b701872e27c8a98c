#!/usr/bin/env python3
"""Thresholds of magnitude pruning by numpy: of each tensor, and one for all, at some shares. Quantiles and exponents by dtype.

    scripts/truth/make_cutoff_truth.py > fixtures/full_stats/cutoffs.json          every float tensor of the fixture
    scripts/truth/make_cutoff_truth.py CHECKPOINT.safetensors target/release/weigh  compares `weigh project --prune ... --scan`

Needs scripts/truth/requirements.txt. The second form takes for linear layers what has two dimensions, ends in `weight`, and is neither embedding nor pooler.
"""

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import scipy.stats

from full_stats import FLOATS, QUANTILES

SHARES = [0.1, 0.5, 0.9, 1.0]
FIXTURE = Path(__file__).resolve().parents[2] / "fixtures/full_stats/llama/model.safetensors"


def load(path):
    data = Path(path).read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    for name, info in json.loads(data[8:start]).items():
        if name != "__metadata__" and info["dtype"] in FLOATS:
            low, high = (start + at for at in info["data_offsets"])
            yield name, info["dtype"], info["shape"], np.frombuffer(data[low:high], FLOATS[info["dtype"]][0])


def magnitudes(values):
    with np.errstate(over="ignore"):
        x = np.abs(values.astype(np.float32))
    return np.sort(x[np.isfinite(x)])


def truth(tensors):
    of = {name: magnitudes(values) for name, values in tensors.items()}
    everything = np.sort(np.concatenate(list(of.values())))

    def cutoff(x, share):
        threshold = np.quantile(x, share, method="inverted_cdf")
        return {"threshold": float(threshold), "dropped": int((x <= threshold).sum())}

    out = {"numpy": np.__version__, "shares": SHARES, "global": [cutoff(everything, s) for s in SHARES], "tensors": {}}
    for name, x in of.items():
        out["tensors"][name] = {
            "finite": int(x.size),
            "own": [cutoff(x, s) for s in SHARES] if x.size else None,
            "by_global": [int((x <= all["threshold"]).sum()) for all in out["global"]],
        }
    return out


def pooled():
    """All tensors of a dtype together: quantiles of magnitudes, entropy of the exponents."""
    by_dtype = {}
    for _, dtype, _, values in load(FIXTURE):
        by_dtype.setdefault(dtype, []).append(values)
    out = {}
    for dtype, values in by_dtype.items():
        values, (_, bits, exponent, mantissa) = np.concatenate(values), FLOATS[dtype]
        x = np.abs(values.astype(np.float64))
        x = x[np.isfinite(x)]
        counts = np.bincount((values.view(bits) >> mantissa & ((1 << exponent) - 1)).astype(np.int64))
        out[dtype] = {
            "quantiles": {name: float(np.quantile(x, q / 1000, method="inverted_cdf")) for name, q in QUANTILES.items()},
            "exponent_entropy_bits": float(scipy.stats.entropy(counts, base=2)),
        }
    return out


def compare(path, weigh):
    linear = {n: v for n, _, shape, v in load(path) if len(shape) == 2 and n.endswith("weight") and not any(w in n.lower() for w in ("embedding", "pooler"))}
    expected = truth(linear)
    command = [weigh, "project", path, "--prune", ",".join(map(str, SHARES)), "--scan", "--format", "json", "--no-progress"]
    rows = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)["pruned"]
    compared = 0

    def same(a, b, what):
        nonlocal compared
        compared += 1
        if not math.isclose(a, b, rel_tol=1e-12):
            sys.exit(f"{what}: {a} by numpy, {b} by weigh")

    for i, row in enumerate(rows):
        found, at = row["magnitude"], f"{SHARES[i]} "
        total = sum(t["finite"] for t in expected["tensors"].values())
        same(len(linear), found["tensors"], at + "tensors")
        same(total, found["weights"], at + "weights")
        same(expected["global"][i]["threshold"], row["threshold"], at + "threshold")
        same(expected["global"][i]["dropped"] / total, found["global"]["sparsity"], at + "sparsity")
        for rule, key, values in [
            ("global", "tensor_sparsity", [t["by_global"][i] / t["finite"] for t in expected["tensors"].values()]),
            ("per_tensor", "tensor_sparsity", [t["own"][i]["dropped"] / t["finite"] for t in expected["tensors"].values()]),
            ("per_tensor", "threshold", [t["own"][i]["threshold"] for t in expected["tensors"].values()]),
        ]:
            spread = found[rule][key]
            same(min(values), spread["min"], f"{at}{rule} {key} min")
            same(max(values), spread["max"], f"{at}{rule} {key} max")
            same(sorted(values)[(len(values) - 1) // 2], spread["median"], f"{at}{rule} {key} median")
            if abs(np.std(values) - spread["std"]) > 1e-12:
                sys.exit(f"{at}{rule} {key} std")
        print(f"{at}: threshold {row['threshold']:.6g}, matrices lose {found['global']['tensor_sparsity']['min']:.4%}"
              f" to {found['global']['tensor_sparsity']['max']:.4%}")
    print(f"{compared} figures agree, {len(linear)} matrices")


if __name__ == "__main__":
    if len(sys.argv) > 2:
        compare(sys.argv[1], sys.argv[2])
    else:
        print(json.dumps(truth({name: values for name, _, _, values in load(FIXTURE)}) | {"pooled": pooled()}))
