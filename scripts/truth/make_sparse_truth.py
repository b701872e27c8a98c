#!/usr/bin/env python3
"""Writes fixtures/prune/sparse.json: bytes of the arrays in which scipy and torch hold sparse matrices.

Versions: numpy 2.4.6, scipy 1.17.1, torch 2.15.0.
Run: python scripts/truth/make_sparse_truth.py > fixtures/prune/sparse.json
"""
import json

import numpy
import scipy
import scipy.sparse
import torch


def numpy_bytes(*arrays):
    return sum(a.nbytes for a in arrays)


def torch_bytes(*tensors):
    return sum(t.numel() * t.element_size() for t in tensors)


def matrix(rows, columns, zeros, dtype, seed):
    values = numpy.random.default_rng(seed).integers(1, 100, rows * columns)
    values[numpy.random.default_rng(seed + 1).permutation(rows * columns)[:zeros]] = 0
    return values.reshape(rows, columns).astype(dtype)


def blocks(rows, columns, r, c, zero_blocks, dtype):
    keep = numpy.ones((rows // r) * (columns // c), dtype=dtype)
    keep[numpy.random.default_rng(7).permutation(keep.size)[:zero_blocks]] = 0
    return numpy.kron(keep.reshape(rows // r, columns // c), numpy.ones((r, c), dtype=dtype))


def sparse(rows, columns, zeros, dtype):
    dense = matrix(rows, columns, zeros, dtype, 1)
    csr, coo = scipy.sparse.csr_matrix(dense), scipy.sparse.coo_matrix(dense)
    tensor = torch.from_numpy(dense)
    tcsr, tcoo = tensor.to_sparse_csr(), tensor.to_sparse_coo()
    return {
        "rows": rows, "columns": columns, "zeros": zeros, "dtype": {"float32": "F32", "float16": "F16", "float64": "F64"}[dtype],
        "bytes": {
            "dense": dense.nbytes,
            "bitmask": dense[dense != 0].nbytes + numpy.packbits(dense != 0, axis=1).nbytes,
            "csr32": numpy_bytes(csr.data, csr.indices, csr.indptr) if csr is not None else None,
            "coo32": numpy_bytes(coo.data, coo.row, coo.col),
            "csr64": torch_bytes(tcsr.values(), tcsr.col_indices(), tcsr.crow_indices()),
            "coo64": torch_bytes(tcoo.indices(), tcoo.values()),
        },
    }


def block(rows, columns, r, c, zero_blocks):
    dense = blocks(rows, columns, r, c, zero_blocks, "float32")
    bsr = scipy.sparse.csr_matrix(dense).tobsr(blocksize=(r, c))
    tbsr = torch.from_numpy(dense).to_sparse_bsr((r, c))
    total = (rows // r) * (columns // c)
    return {
        "rows": rows, "columns": columns, "block": [r, c], "zero_blocks": zero_blocks, "share": zero_blocks / total, "dtype": "F32",
        "bytes": {
            "dense": dense.nbytes,
            "bsr32": numpy_bytes(bsr.data, bsr.indices, bsr.indptr),
            "bsr64": torch_bytes(tbsr.values(), tbsr.col_indices(), tbsr.crow_indices()),
        },
    }


def main():
    rows = [
        sparse(2000, 1000, 2_000_000 - 200_014, "float32"),
        sparse(384, 1536, 294_912, "float32"),
        sparse(3, 7, 5, "float32"),
        sparse(33, 100, 3300, "float32"),
        sparse(128, 96, 6000, "float64"),
    ]
    wide = [
        block(64, 128, 16, 16, 16),
        block(1536, 384, 16, 16, 1728),
        block(256, 64, 32, 32, 4),
        block(48, 40, 4, 1, 120),
    ]
    print(json.dumps({
        "about": "scripts/truth/make_sparse_truth.py; bytes of the arrays of scipy (32-bit indices) and torch (64-bit); the bitmask by numpy.packbits",
        "versions": {"numpy": numpy.__version__, "scipy": scipy.__version__, "torch": torch.__version__},
        "matrices": rows, "blocks": wide,
    }, indent=1))


main()
