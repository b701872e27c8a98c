#!/usr/bin/env python3
"""Write fixtures/dtypes/: one small file per dtype of safetensors and per ggml
type of GGUF, and truth.json with what a value scan must find in them.

Needs scripts/truth/requirements.txt. The output is the same on every run. The rules
and the conventions stand in RULES below, which truth.json repeats.
"""

import itertools
import json
import math
import struct
import zlib
from pathlib import Path

import gguf
import libgguf
import ml_dtypes
import numpy as np
import safetensors
from gguf.quants import dequantize, quantize

from handmade import gguf_bytes, safetensors_bytes

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "fixtures" / "dtypes"

RULES = {
    "zeros": "elements whose decoded value is +0.0 or -0.0; negative_zeros counts the -0.0 among them",
    "moments": "min, max, abs_max, mean, std (population, ddof = 0) and l2 are over the finite decoded "
               "values, each taken as a float64 (I64 and U64 rounded to it); sums are correctly "
               "rounded, so a scan may differ in the last digits. Where huge values cancel (planted, "
               "raw_blocks) the difference is small beside abs_max, not beside the mean. -0.0 is "
               "written 0.0. null: there is no finite value",
    "overflow": "true on a tensor whose squares do not fit a float64: mean, std and l2 are exact "
                "(null where the result itself does not fit), a scan that sums in float64 may say null",
    "C64": "an element is zero if both parts are zero (a negative zero if both are -0.0), NaN if any "
           "part is NaN, else infinite if any part is (sign of the real part if that is infinite, else "
           "of the imaginary part). Moments and extremes are null. A convention chosen here",
    "BOOL": "the byte 0 is 0, any other byte is 1",
    "F8_E4M3": "E4M3FN: no infinity, NaN is 0x7F and 0xFF",
    "F8_E4M3FNUZ, F8_E5M2FNUZ": "no infinity, no -0.0; NaN is 0x80 alone",
    "F8_E8M0": "2^(code - 127); 0xFF is NaN; there is no zero",
    "F4": "E2M1, two to a byte, the low nibble first, as torch.float4_e2m1fn_x2, which "
          "the safetensors package writes as F4",
    "F6_E2M3, F6_E3M2": "four codes in three bytes, the first in the lowest bits. A convention chosen "
                        "here: the format does not say, and no writer of these dtypes was found",
    "shape": "the fastest dimension last, also for GGUF",
    "decoder": "GGUF block types: `gguf` is gguf.quants.dequantize, `libgguf` is libgguf.dequantize_rows; where both "
               "are named they agree in every value and in the sign of every zero. `script` is this "
               "script: numpy float32 in ggml's order of operations. The values are float32",
}


def rng_for(label):
    return np.random.default_rng(zlib.crc32(label.encode()))


# --------------------------------------------------------------------- truth

def moments(values):
    """Of float64 values, all finite."""
    if values.size == 0:
        return dict.fromkeys(("min", "max", "abs_max", "mean", "std", "l2"))
    largest = float(np.max(np.abs(values)))
    result = {"min": float(values.min()) + 0.0, "max": float(values.max()) + 0.0,
              "abs_max": largest}
    # Scaling by a power of two keeps squares of huge values in range, and is exact.
    power = max(0, math.frexp(largest)[1] - 400)
    scaled = [math.ldexp(v, -power) for v in values.tolist()]
    n = len(scaled)
    mean = math.fsum(scaled) / n
    std = math.sqrt(math.fsum((v - mean) ** 2 for v in scaled) / n)
    l2 = math.sqrt(math.fsum(v * v for v in scaled))
    for name, value in (("mean", mean), ("std", std), ("l2", l2)):
        try:
            result[name] = math.ldexp(value, power)
        except OverflowError:
            result[name] = None
    if largest > 1e150:
        result["overflow"] = True
    return result


def stats(values):
    """What a scan must say about decoded values."""
    if np.iscomplexobj(values):
        re, im = values.real, values.imag
        nan = np.isnan(re) | np.isnan(im)
        infinite = (np.isinf(re) | np.isinf(im)) & ~nan
        sign = np.where(np.isinf(re), re, im)
        zero = (re == 0) & (im == 0)
        negative = zero & np.signbit(re) & np.signbit(im)
        rest = moments(np.zeros(0))
    else:
        values = values.astype(np.float64)
        nan, infinite, sign = np.isnan(values), np.isinf(values), values
        zero = values == 0
        negative = zero & np.signbit(values)
        rest = moments(values[np.isfinite(values)])
    return {"elements": int(values.size), "zeros": int(zero.sum()),
            "negative_zeros": int(negative.sum()), "nan": int(nan.sum()),
            "pos_inf": int((infinite & (sign > 0)).sum()),
            "neg_inf": int((infinite & (sign < 0)).sum())} | rest


# --------------------------------------------------------------- safetensors

# dtype: (numpy dtype of one code, numpy dtype of the value, name in the writer)
SAFETENSORS = {
    "BOOL": ("u1", None, "bool"),
    "F4": ("u1", ml_dtypes.float4_e2m1fn, "float4_e2m1fn_x2"),
    "F6_E2M3": ("u1", ml_dtypes.float6_e2m3fn, None),
    "F6_E3M2": ("u1", ml_dtypes.float6_e3m2fn, None),
    "U8": ("u1", "u1", "uint8"),
    "I8": ("u1", "i1", "int8"),
    "F8_E5M2": ("u1", ml_dtypes.float8_e5m2, "float8_e5m2"),
    "F8_E4M3": ("u1", ml_dtypes.float8_e4m3fn, "float8_e4m3fn"),
    "F8_E8M0": ("u1", ml_dtypes.float8_e8m0fnu, "float8_e8m0fnu"),
    "F8_E4M3FNUZ": ("u1", ml_dtypes.float8_e4m3fnuz, "float8_e4m3fnuz"),
    "F8_E5M2FNUZ": ("u1", ml_dtypes.float8_e5m2fnuz, "float8_e5m2fnuz"),
    "I16": ("u2", "i2", "int16"),
    "U16": ("u2", "u2", "uint16"),
    "F16": ("u2", "f2", "float16"),
    "BF16": ("u2", ml_dtypes.bfloat16, "bfloat16"),
    "I32": ("u4", "i4", "int32"),
    "U32": ("u4", "u4", "uint32"),
    "F32": ("u4", "f4", "float32"),
    "C64": ("u4", "f4", "complex64"),        # two codes an element
    "F64": ("u8", "f8", "float64"),
    "I64": ("u8", "i8", "int64"),
    "U64": ("u8", "u8", "uint64"),
}
CODE_BITS = {"F4": 4, "F6_E2M3": 6, "F6_E3M2": 6}
IEEE = {"F16": (5, 10), "BF16": (8, 7), "F32": (8, 23), "F64": (11, 52)}


def is_float(dtype):
    return dtype.startswith(("F", "BF", "C"))


def decode(dtype, codes):
    if dtype == "BOOL":
        return (codes != 0).astype(np.float64)
    values = codes.view(SAFETENSORS[dtype][1])
    if dtype == "C64":
        return values.view(np.complex64)
    with np.errstate(invalid="ignore"):      # converting a signalling NaN says so
        return values.astype(np.float64)


def encode(dtype, values):
    """Codes of normal values."""
    code_type, value_type, _ = SAFETENSORS[dtype]
    if dtype == "BOOL":
        return (values > 0).astype(code_type)
    if dtype == "F8_E8M0":
        return np.clip(np.rint(127 + 4 * values), 1, 254).astype(code_type)
    if not is_float(dtype):
        spread = {"1": 30, "2": 3e3, "4": 3e8, "8": 3e17}[code_type[1]]
        values = np.rint(values * spread)
        if dtype.startswith("U"):
            values = np.abs(values)
    return values.astype(value_type).view(code_type)


def pack(dtype, codes):
    if dtype == "F4":
        return (codes[0::2] | codes[1::2] << 4).tobytes()
    if dtype in CODE_BITS:
        a, b, c, d = (codes[i::4].astype(np.uint32) for i in range(4))
        word = a | b << 6 | c << 12 | d << 18
        return np.stack([word & 255, word >> 8 & 255, word >> 16], 1).astype(np.uint8).tobytes()
    return codes.astype(codes.dtype.newbyteorder("<")).tobytes()


def ieee_specials(exponent, mantissa):
    sign, top = 1 << (exponent + mantissa), ((1 << exponent) - 1) << mantissa
    half = 1 << (mantissa - 1)
    positive = [0, top, top | half, top | 1,         # 0, inf, quiet NaN, signalling NaN
                1, (1 << mantissa) - 1, 1 << mantissa,   # subnormals, smallest normal
                top - 1]                                  # largest finite
    return [code | s for code in positive for s in (0, sign)]


def specials(dtype):
    """Codes worth planting in an element, odd ones first."""
    bits = CODE_BITS.get(dtype, 8 * np.dtype(SAFETENSORS[dtype][0]).itemsize)
    if dtype in IEEE:
        return ieee_specials(*IEEE[dtype])
    if is_float(dtype):
        return list(range(1 << bits))
    return [0, 1, (1 << bits) - 1, 1 << (bits - 1), (1 << (bits - 1)) - 1]


def planted(dtype, rng, count):
    """Specials between random values, runs of zeros at odd places, and the
    specials again next to the end, where a vector loop has its remainder."""
    codes = encode(dtype, rng.standard_normal(count))
    odd = np.array(specials(dtype), codes.dtype)
    for place, code in zip(itertools.count(3, 3), odd):
        codes[place] = code
    codes[800:833] = 0
    codes[867:900] = 0
    if is_float(dtype) and dtype != "F8_E8M0":
        codes[905:910] = 1 << (CODE_BITS.get(dtype, 8 * codes.itemsize) - 1)
    tail = odd[:16]
    codes[count - len(tail):] = tail
    return codes


def complex_planted(rng, count):
    parts = [0.0, -0.0, 1.5, -2.0, np.nan, np.inf, -np.inf, 1e-45]
    pairs = np.array(list(itertools.product(parts, parts)), np.float32)
    values = rng.standard_normal((count, 2)).astype(np.float32)
    values[5:5 + 3 * len(pairs):3] = pairs
    values[800:833] = 0
    values[-len(pairs):] = pairs
    return values.reshape(-1).view("u4")


def safetensors_tensors(dtype):
    """(name, shape, codes) in the order to write them."""
    code_type, _, _ = SAFETENSORS[dtype]
    rng = rng_for(f"safetensors {dtype}")
    bits = CODE_BITS.get(dtype, 8)
    wide = {4: 130, 6: 132}.get(bits, 129)
    prime = {4: 1020, 6: 1020}.get(bits, 1021)
    per = 2 if dtype == "C64" else 1
    result = [("random", (37, wide), encode(dtype, rng.standard_normal(37 * wide * per)))]
    plant = complex_planted(rng, prime) if dtype == "C64" else planted(dtype, rng, prime)
    result.append(("planted", (prime,), plant))
    if code_type == "u1" or dtype in ("F16", "BF16"):
        count = 1 << CODE_BITS.get(dtype, 8 * np.dtype(code_type).itemsize)
        side = int(math.isqrt(count))
        result.append(("every_code", (side, count // side), np.arange(count).astype(code_type)))
    if dtype in ("F32", "F64"):
        top = np.finfo(SAFETENSORS[dtype][1]).max
        values = np.array([top, -top, top, 1, 0, -1, np.inf], SAFETENSORS[dtype][1])
        result.append(("extremes", (7,), values.view(code_type)))
        codes = result[1][2]                      # F64 squares overflow: keep that apart
        if dtype == "F64":
            codes[np.abs(decode(dtype, codes)) == top] = 0x7FE << 48
    result.append(("all_zero", (5, 7, 4), np.zeros(140 * per, code_type)))
    if is_float(dtype):
        sign = 1 << (CODE_BITS.get(dtype, 8 * np.dtype(code_type).itemsize) - 1)
        result.append(("sign_bit_only", (3, 44), np.full(132 * per, sign, code_type)))
    if dtype not in CODE_BITS:
        result.append(("scalar", (), encode(dtype, np.ones(per))))
    result.append(("empty", (0, 3), np.zeros(0, code_type)))
    return result


def write_safetensors(path, dtype, tensors):
    # The text is part of the files and of every figure that was taken from them; it stays as it was.
    metadata = {"made_by": "scripts/make_dtype_fixtures.py"}
    name_in_writer = SAFETENSORS[dtype][2]
    data = {name: pack(dtype, codes) for name, _, codes in tensors}
    if name_in_writer is None:
        path.write_bytes(safetensors_bytes(
            [(name, dtype, shape, data[name]) for name, shape, _ in tensors], metadata))
        writer = "scripts/truth/handmade.py"
    else:
        arrays = {name: np.frombuffer(raw, np.uint8) for name, raw in data.items()}

        def spec(name, shape):
            if dtype == "F4":                     # the writer wants the shape in bytes
                shape = (*shape[:-1], (shape[-1] + 1) // 2)
            return safetensors.TensorSpec(dtype=name_in_writer, shape=list(shape),
                                          data_ptr=arrays[name].ctypes.data,
                                          data_len=arrays[name].size)
        path.write_bytes(safetensors.serialize(
            {name: spec(name, shape) for name, shape, _ in tensors}, metadata))
        writer = f"safetensors {safetensors.__version__}"
    read = dict(safetensors.deserialize(path.read_bytes()))
    assert all(bytes(read[name]["data"]) == raw for name, raw in data.items())
    return writer, {name: tuple(read[name]["shape"]) for name in data}


def make_safetensors(truth):
    for dtype in SAFETENSORS:
        path = OUT / f"{dtype.lower()}.safetensors"
        tensors = safetensors_tensors(dtype)
        writer, shapes = write_safetensors(path, dtype, tensors)
        truth[path.name] = {"format": "safetensors", "dtype": dtype, "writer": writer, "tensors": {
            name: {"shape": list(shapes[name]), "bytes": len(pack(dtype, codes))}
            | stats(decode(dtype, codes)) for name, _, codes in tensors}}


# ---------------------------------------------------------------------- GGUF

Q2_0 = 42                            # not in gguf 0.19.0
PLAIN = {"F32": "F32", "F16": "F16", "BF16": "BF16", "F64": "F64",
         "I8": "I8", "I16": "I16", "I32": "I32", "I64": "I64"}
# Where each block type keeps its scales: (offset, kind).
SCALES = {
    "Q4_0": [(0, "f16")], "Q4_1": [(0, "f16"), (2, "f16")],
    "Q5_0": [(0, "f16")], "Q5_1": [(0, "f16"), (2, "f16")],
    "Q8_0": [(0, "f16")], "Q8_1": [(0, "f16"), (2, "f16")],
    "Q2_K": [(80, "f16"), (82, "f16")], "Q3_K": [(108, "f16")],
    "Q4_K": [(0, "f16"), (2, "f16")], "Q5_K": [(0, "f16"), (2, "f16")],
    "Q6_K": [(208, "f16")], "Q8_K": [(0, "f32")],
    "IQ2_XXS": [(0, "f16")], "IQ2_XS": [(0, "f16")], "IQ2_S": [(0, "f16")],
    "IQ3_XXS": [(0, "f16")], "IQ3_S": [(0, "f16")], "IQ1_S": [(0, "f16")],
    "IQ1_M": [(48, "spread")], "IQ4_NL": [(0, "f16")], "IQ4_XS": [(0, "f16")],
    "TQ1_0": [(52, "f16")], "TQ2_0": [(64, "f16")],
    "MXFP4": [(0, "e8m0")], "NVFP4": [(i, "ue4m3") for i in range(4)],
    "Q1_0": [(0, "f16")], "Q2_0": [(0, "f16")],
}
ODD_SCALES = {
    # +0, -0, NaN, -NaN, +inf, -inf, subnormals, largest finite
    "f16": [0x0000, 0x8000, 0x7E00, 0xFE01, 0x7C00, 0xFC00, 0x0001, 0x83FF, 0x7BFF, 0xFBFF],
    "f32": [0x00000000, 0x80000000, 0x7FC00000, 0xFFC00001, 0x7F800000, 0xFF800000,
            0x00000001, 0x807FFFFF, 0x7F7FFFFF, 0xFF7FFFFF],
    "e8m0": [0, 1, 2, 3, 126, 127, 128, 252, 253, 254, 255],
    # 0x00 and 0x7F decode to 0. ggml ignores the top bit, yet 0xFF is 480 and not 0.
    "ue4m3": [0x00, 0x01, 0x07, 0x08, 0x38, 0x7E, 0x7F, 0x80, 0x81, 0xFE, 0xFF],
}
ODD_SCALES["spread"] = ODD_SCALES["f16"]


def ggml_table():
    types = json.loads((ROOT / "fixtures/truth/ggml_types.json").read_text())["types"]
    return {row["name"]: (row["id"], row["block_elements"], row["block_bytes"]) for row in types}


def put_scale(block, offset, kind, bits):
    if kind == "f16":
        block[offset:offset + 2] = np.frombuffer(struct.pack("<H", bits), np.uint8)
    elif kind == "f32":
        block[offset:offset + 4] = np.frombuffer(struct.pack("<I", bits), np.uint8)
    elif kind == "spread":                      # IQ1_M: one nibble on top of each of four words
        for i in range(4):
            at = offset + 2 * i + 1
            block[at] = block[at] & 0x0F | (bits >> 4 * i & 15) << 4
    else:
        block[offset] = bits


def sane_scale(kind, rng):
    value = rng.uniform(0.001, 0.1) * rng.choice([-1, 1])
    if kind in ("f16", "spread"):
        return int(np.float16(value).view("u2"))
    if kind == "f32":
        return int(np.float32(value).view("u4"))
    return int(rng.integers(115, 130) if kind == "e8m0" else rng.integers(0x01, 0x7F))


def raw_blocks(name, size, rng):
    """Blocks of random bytes with sane scales, then odd ones."""
    scales = SCALES[name]

    def block(fill=None, sane=True):
        b = rng.integers(0, 256, size, dtype=np.uint8) if fill is None else np.full(size, fill, np.uint8)
        for offset, kind in scales if sane else []:
            put_scale(b, offset, kind, sane_scale(kind, rng))
        return b

    blocks = [block() for _ in range(16)]
    for offset, kind in scales:
        for bits in ODD_SCALES[kind]:
            b = block()
            put_scale(b, offset, kind, bits)
            blocks.append(b)
    if len(scales) == 2:                        # scale and minimum odd at once
        for first, second in [(0, 0), (0x8000, 0x8000), (0, 0x8000), (0x8000, 0),
                              (0x7C00, 0x7C00), (0x7C00, 0xFC00), (0x7E00, 0), (0, 0x7E00)]:
            b = block()
            for (offset, kind), bits in zip(scales, (first, second)):
                put_scale(b, offset, kind, bits)
            blocks.append(b)
    # All-same codes, twice for the random sign of the scale, and zero bytes throughout.
    blocks += [block(fill) for fill in (0x00, 0x88, 0x80, 0x55, 0xFF) for _ in range(2)]
    blocks.append(block(0, sane=False))
    while len(blocks) % 4:
        blocks.append(block())
    return np.stack(blocks).reshape(-1, 4 * size)


def f16_at(blocks, offset):
    return blocks[:, offset:offset + 2].copy().view("<f2").astype(np.float32)


def script_decode(name, raw, size):
    """The types that neither package decodes, and Q1_0 that only one does."""
    blocks = raw.reshape(-1, size)
    if name == "Q8_1":                           # d, s, 32 x i8: d * q
        return f16_at(blocks, 0) * blocks[:, 4:36].view("i1").astype(np.float32)
    if name == "Q8_K":                           # d as f32, 256 x i8, sums: d * q
        d = blocks[:, :4].copy().view("<f4")
        return d * blocks[:, 4:260].view("i1").astype(np.float32)
    if name == "Q1_0":                           # bit set: d, clear: -d
        d = f16_at(blocks, 0)
        bits = np.unpackbits(blocks[:, 2:], axis=1, bitorder="little")
        return np.where(bits == 1, d, -d)
    if name == "Q2_0":                           # two bits, low first: (q - 1) * d
        q = np.stack([blocks[:, 2:] >> s & 3 for s in (0, 2, 4, 6)], -1).reshape(len(blocks), -1)
        return (q.astype(np.float32) - 1) * f16_at(blocks, 0)
    raise AssertionError(name)


def script_quantize(name, values, elements):
    """A plain quantizer for the types that no package writes."""
    x = values.reshape(-1, elements)
    top = np.abs(x).max(1, keepdims=True)
    if name == "Q2_0":
        q = np.clip(np.rint(x / top) + 1, 0, 3).astype(np.uint8).reshape(len(x), -1, 4)
        packed = q[..., 0] | q[..., 1] << 2 | q[..., 2] << 4 | q[..., 3] << 6
        return np.hstack([top.astype("<f2").view("u1"), packed]).reshape(len(values), -1)
    d = (top / 127).astype(np.float32)
    q = np.clip(np.rint(x / d), -127, 127).astype(np.int8)
    if name == "Q8_1":
        sums = d * q.sum(1, keepdims=True, dtype=np.int32)
        head = np.hstack([d.astype("<f2").view("u1"), sums.astype("<f2").view("u1")])
        return np.hstack([head, q.view("u1")]).reshape(len(values), -1)
    sums = q.reshape(len(q), 16, 16).sum(2, dtype="<i2").view("u1")     # Q8_K
    return np.hstack([d.view("u1"), q.view("u1"), sums]).reshape(len(values), -1)


def same(a, b):
    nan = np.isnan(a)
    return np.array_equal(nan, np.isnan(b)) and np.array_equal(
        np.where(nan, 0, a).view("u4"), np.where(nan, 0, b).view("u4"))


def gguf_decode(name, raw, size):
    """(decoded float32 values, names of the decoders that agree)"""
    found = {}
    kind = getattr(gguf.GGMLQuantizationType, name, None)
    with np.errstate(all="ignore"):
        if name in ("Q8_1", "Q8_K", "Q1_0", "Q2_0"):
            found["script"] = script_decode(name, raw, size).reshape(-1)
        else:
            found["gguf"] = dequantize(raw, kind).astype(np.float32).reshape(-1)
    if name not in ("Q8_1", "Q8_K", "Q2_0"):
        found["libgguf"] = np.asarray(libgguf.dequantize_rows(raw, int(kind))).reshape(-1)
    first = next(iter(found.values()))
    for other in found.values():
        if not same(first, other):
            wrong = np.flatnonzero((first.view("u4") != other.view("u4"))
                                   & ~(np.isnan(first) & np.isnan(other)))
            raise SystemExit(f"{name}: {list(found)} disagree on {len(wrong)} values, first at {wrong[0]}: "
                             f"{[float(f[wrong[0]]) for f in found.values()]}")
    return first, list(found)


def gguf_quantize(name, values, elements):
    kind = getattr(gguf.GGMLQuantizationType, name, None)
    if name in ("Q8_1", "Q8_K", "Q2_0"):
        return script_quantize(name, values, elements), "script"
    try:
        return quantize(values, kind), "gguf"
    except NotImplementedError:
        return np.asarray(libgguf.quantize_rows(values, int(kind))), "libgguf"


def write_gguf(path, name, number, tensors):
    """`tensors`: (name, shape in elements, raw bytes as a numpy array)."""
    label = f"weighbridge {name} fixture"
    if name in ("Q8_1", "Q2_0"):      # gguf 0.19.0 has no Q2_0 and a wrong size for Q8_1
        path.write_bytes(gguf_bytes(
            [(tensor, number, shape, raw.tobytes()) for tensor, shape, raw in tensors],
            {"general.architecture": "fixture", "general.name": label}))
        return "scripts/truth/handmade.py"
    writer = gguf.GGUFWriter(path, "fixture")
    writer.add_name(label)
    for tensor, _, raw in tensors:
        writer.add_tensor(tensor, raw, raw_dtype=gguf.GGMLQuantizationType(number))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    # Its own reader must find the same bytes again.
    for read, (tensor, _, raw) in zip(gguf.GGUFReader(path).tensors, tensors, strict=True):
        assert read.name == tensor and read.tensor_type == number, path
        assert read.data.tobytes() == raw.tobytes(), (path, tensor)
    return "gguf 0.19.0"


def make_gguf(truth):
    for name, (number, elements, size) in ggml_table().items():
        path = OUT / f"{name.lower()}.gguf"
        rng = rng_for(f"gguf {name}")
        normal = rng.standard_normal((9, 512)).astype(np.float32)
        rows, tensors = {}, []
        if name in PLAIN:
            for tensor, codes, shape in (
                    ("random", encode(name, normal.reshape(-1)), normal.shape),
                    ("planted", planted(name, rng, 1021), (1021,))):
                value_type = SAFETENSORS[name][1]
                if name == "F64" and tensor == "planted":
                    codes[np.abs(decode(name, codes)) == np.finfo("f8").max] = 0x7FE << 48
                raw = codes.view("u2") if name == "BF16" else codes.view(value_type)
                if name == "BF16":               # the writer takes BF16 as bytes
                    raw = codes.view("u1")
                    raw = raw.reshape(*shape[:-1], 2 * shape[-1])
                else:
                    raw = raw.reshape(shape)
                tensors.append((tensor, shape, raw))
                rows[tensor] = {"shape": list(shape), "bytes": raw.nbytes,
                                "quantizer": None, "decoder": ["numpy"]} \
                    | stats(decode(name, codes))
        else:
            raw, quantizer = gguf_quantize(name, normal, elements)
            odd = raw_blocks(name, size, rng)
            for tensor, data, maker in (("random", raw, quantizer), ("raw_blocks", odd, None)):
                data = np.ascontiguousarray(data, np.uint8)
                shape = (len(data), data.shape[1] // size * elements)
                values, decoders = gguf_decode(name, data, size)
                tensors.append((tensor, shape, data))
                rows[tensor] = {"shape": list(shape), "bytes": data.nbytes,
                                "quantizer": maker, "decoder": decoders} | stats(values)
                assert rows[tensor]["elements"] == math.prod(shape)
        writer = write_gguf(path, name, number, tensors)
        truth[path.name] = {"format": "gguf", "dtype": name, "ggml_type": number,
                            "writer": writer, "tensors": rows}


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    for old in OUT.iterdir():
        old.unlink()
    truth = {}
    make_safetensors(truth)
    make_gguf(truth)
    tools = {"numpy": np.__version__, "ml_dtypes": ml_dtypes.__version__,
             "safetensors": safetensors.__version__, "gguf": "0.19.0", "libgguf": "0.2.2"}
    with open(OUT / "truth.json", "w") as f:
        f.write(f'{{"rules": {json.dumps(RULES, indent=1)},\n"tools": {json.dumps(tools)},\n"files": {{\n')
        files = []
        for name, file in truth.items():
            head = json.dumps({k: v for k, v in file.items() if k != "tensors"})[:-1]
            rows = ",\n".join(f"  {json.dumps(tensor)}: {json.dumps(row, allow_nan=False)}"
                              for tensor, row in file["tensors"].items())
            files.append(f'{json.dumps(name)}: {head}, "tensors": {{\n{rows}}}}}')
        f.write(",\n".join(files) + "\n}}\n")
    total = sum(p.stat().st_size for p in OUT.iterdir())
    print(f"{len(truth)} files, {total:,} bytes")


if __name__ == "__main__":
    main()
