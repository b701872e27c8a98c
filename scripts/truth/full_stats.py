"""What `weigh scan --stats full` must say of an array, by numpy and scipy.

Used by make_full_stats.py (fixtures) and compare_full_stats.py (real weights).
Nothing here looks at weigh's own output.
"""

import heapq

import ml_dtypes
import numpy as np
import scipy.stats

QUANTILES = {"p01": 10, "p05": 50, "p10": 100, "p25": 250, "p50": 500, "p75": 750, "p90": 900, "p95": 950, "p99": 990, "p999": 999}
PATTERNS = {"2:4": (2, 4), "1:4": (1, 4), "4:8": (4, 8)}
BLOCKS = {"1x4": (1, 4), "4x1": (4, 1), "16x16": (16, 16), "32x32": (32, 32)}
CASTS = {"F16": np.float16, "BF16": ml_dtypes.bfloat16, "F8_E4M3": ml_dtypes.float8_e4m3fn, "F8_E5M2": ml_dtypes.float8_e5m2}

# dtype -> numpy type, unsigned type of its bits, bits of exponent, bits of mantissa
FLOATS = {
    "F64": (np.float64, np.uint64, 11, 52),
    "F32": (np.float32, np.uint32, 8, 23),
    "F16": (np.float16, np.uint16, 5, 10),
    "BF16": (ml_dtypes.bfloat16, np.uint16, 8, 7),
    "F8_E4M3": (ml_dtypes.float8_e4m3fn, np.uint8, 4, 3),
    "F8_E5M2": (ml_dtypes.float8_e5m2, np.uint8, 5, 2),
    "F8_E4M3FNUZ": (ml_dtypes.float8_e4m3fnuz, np.uint8, 4, 3),
    "F8_E5M2FNUZ": (ml_dtypes.float8_e5m2fnuz, np.uint8, 5, 2),
}
INTS = {"I64": np.int64, "U64": np.uint64, "I32": np.int32, "U32": np.uint32, "I16": np.int16, "U16": np.uint16, "I8": np.int8,
        "U8": np.uint8}


def huffman_bits(counts):
    """Total bits of a Huffman code, from the lengths of its words (not by adding up inner nodes)."""
    leaves = [n for n in counts if n > 0]
    if len(leaves) < 2:
        return 0
    heap = [(n, i, [i]) for i, n in enumerate(leaves)]
    heapq.heapify(heap)
    lengths = [0] * len(leaves)
    order = len(heap)
    while len(heap) > 1:
        a, _, left = heapq.heappop(heap)
        b, _, right = heapq.heappop(heap)
        for leaf in left + right:
            lengths[leaf] += 1
        heapq.heappush(heap, (a + b, order, left + right))
        order += 1
    return sum(n * length for n, length in zip(leaves, lengths))


def cast_loss(values, target):
    """Of finite values, as float64 (numpy rounds float64 to float16 once; ml_dtypes goes through float32, so give it float32 values)."""
    x = values[np.isfinite(values)]
    with np.errstate(over="ignore", invalid="ignore"):
        narrow = x.astype(np.float32) if np.all(x.astype(np.float32).astype(np.float64) == x) else x
        y = narrow.astype(CASTS[target]).astype(np.float64)
    over = ~np.isfinite(y)
    compared = (x != 0) & ~over
    relative = np.abs(y[compared] - x[compared]) / np.abs(x[compared])
    return {
        "values": int(x.size),
        "overflow": int(over.sum()),
        "underflow": int(((x != 0) & (y == 0)).sum()),
        "changed": int((y != x).sum()),
        "max_relative_error": float(relative.max()) if relative.size else None,
        "rms_relative_error": float(np.sqrt(np.mean(relative**2))) if relative.size else None,
    }


def groups(zero, sparsity):
    """zero: planes x rows x columns, the reduction axis last."""
    out = {}
    for name, (n, m) in PATTERNS.items():
        whole = zero[:, :, : zero.shape[2] // m * m].reshape(-1, m)
        filled = m - whole.sum(axis=1)
        out[name] = {
            "groups": int(whole.shape[0]),
            "groups_ok": int((filled <= n).sum()),
            "groups_exact": int((filled == n).sum()),
            "chance": float(scipy.stats.binom.cdf(n, m, 1 - sparsity)) if whole.shape[0] else None,
        }
    return out


def structure(zero, reduction, heads, channels):
    """zero: planes x rows x columns. heads: (axis, size). channels: axis."""
    planes, rows, columns = zero.shape
    sparsity = float(zero.mean())
    out = {
        "zero_rows": int(zero.all(axis=2).sum()),
        "zero_columns": int(zero.all(axis=(0, 1)).sum()),
        "zero_heads": None,
        "zero_channels": None,
        "block_sparsity": {},
        "n_m": None,
    }
    for name, (r, c) in BLOCKS.items():
        whole = zero[:, : rows // r * r, : columns // c * c].reshape(planes, rows // r, r, columns // c, c)
        tiles = whole.all(axis=(2, 4))
        out["block_sparsity"][name] = {
            "blocks": int(tiles.size),
            "zero": int(tiles.sum()),
            "chance": float(scipy.stats.binom.pmf(r * c, r * c, sparsity)) if tiles.size else None,
        }
    out["zero_blocks"] = out["block_sparsity"]["16x16"]["zero"]
    if reduction is not None:
        out["n_m"] = groups(zero if reduction == "columns" else zero.transpose(0, 2, 1), sparsity)

    def lines(axis, size):
        z = zero[0] if axis == "rows" else zero[0].T
        runs = z.reshape(z.shape[0] // size, -1)
        return {"count": int(runs.shape[0]), "zero": int(runs.all(axis=1).sum())}

    if heads is not None:
        out["zero_heads"] = lines(*heads)
    if channels is not None:
        out["zero_channels"] = lines(channels, 1)
    return out


def full(array, dtype, matrix=None, reduction=None, heads=None, channels=None, casts=()):
    """array: the stored values (or decoded ones, as float32, for dtypes in none of the tables). matrix: (planes, rows, columns)."""
    flat = np.ascontiguousarray(array).reshape(-1)
    with np.errstate(invalid="ignore"):
        values = flat.astype(np.float64)
    finite = np.isfinite(values)
    first = lambda mask: int(np.argmax(mask)) if mask.any() else None
    out = {
        "elements": int(flat.size),
        "zeros": int((values == 0).sum()),
        "subnormals": 0,
        "first_nan": first(np.isnan(values)),
        "first_inf": first(np.isinf(values)),
        "exponent_entropy_bits": None,
        "lossless_bytes": None,
        "f32_lossless": None,
    }
    if dtype in FLOATS:
        _, unsigned, exponent_bits, mantissa_bits = FLOATS[dtype]
        bits = flat.view(unsigned).astype(np.uint64)
        exponent = (bits >> np.uint64(mantissa_bits)) & np.uint64((1 << exponent_bits) - 1)
        mantissa = bits & np.uint64((1 << mantissa_bits) - 1)
        out["subnormals"] = int(((exponent == 0) & (mantissa != 0)).sum())
        counts = np.bincount(exponent.astype(np.int64), minlength=1 << exponent_bits)
        out["exponent_entropy_bits"] = float(scipy.stats.entropy(counts, base=2))
        coded = huffman_bits(counts.tolist())
        out["exponent_huffman_bits"] = coded / flat.size
        out["lossless_bytes"] = -(-(flat.size * (1 + mantissa_bits) + coded) // 8)
    if dtype == "F32":
        numbers = flat[~np.isnan(flat)]
        with np.errstate(over="ignore"):
            same = lambda t: int((numbers.astype(t).astype(np.float32) == numbers).sum())
            out["f32_lossless"] = {"values": int(numbers.size), "bf16": same(ml_dtypes.bfloat16), "f16": same(np.float16)}
    elif dtype not in FLOATS and dtype not in INTS:
        # Decoded blocks: F32 values.
        magnitude = flat.astype(np.float32).view(np.uint32) & np.uint32(0x7FFFFFFF)
        out["subnormals"] = int(((magnitude > 0) & (magnitude < 0x800000)).sum())
    magnitudes = np.abs(values[finite]) if dtype not in ("I64", "U64") else values
    if dtype in ("I64", "U64"):
        # Exact in integers; each is then taken as a float64.
        magnitudes = np.array(sorted(abs(int(x)) for x in flat), dtype=object)
    else:
        magnitudes = np.sort(magnitudes)
    n = len(magnitudes)
    # The smallest magnitude that is not exceeded by the share: numpy's "inverted_cdf", with the place found in integers.
    out["quantiles_abs"] = {q: float(magnitudes[max(-(-n * share // 1000) - 1, 0)]) for q, share in QUANTILES.items()} if n else None
    if matrix is not None:
        out.update(structure((values == 0).reshape(matrix), reduction, heads, channels))
    out["cast"] = {target: cast_loss(values, target) for target in casts}
    return out
