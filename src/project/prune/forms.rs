//! The ways to store a matrix with zeros, their bytes, and from what share of zeros each pays.

use super::spec::PruneSpec;

/// The forms, in report order; the last stands for the N:M pattern that is asked for.
pub(super) const FORMS: &[(&str, &str)] = &[
    ("dense", "everything; a pruned dense file is as large as before"),
    ("bitmask", "compressed-tensors up to March 2026 (sparse-bitmask); no current library writes it"),
    ("csr16", "nothing off the shelf: 16-bit column indices"),
    ("csr32", "scipy"),
    ("csr64", "torch.sparse_csr; no model class loads it as a checkpoint"),
    ("coo32", "scipy"),
    ("coo64", "torch.sparse_coo; no model class loads it as a checkpoint"),
    ("2:4", "GPUs with 2:4 tensor cores, through torch semi-structured or older compressed-tensors and vLLM"),
];

/// Forms of blocks, shown where blocks are asked for.
pub(super) const BLOCK_FORMS: &[(&str, &str)] = &[
    ("bsr32", "scipy.sparse.bsr_array; no model class loads it as a checkpoint"),
    ("bsr64", "torch.sparse_bsr; no model class loads it as a checkpoint"),
];

/// What other patterns than 2:4 are good for.
pub(super) const OTHER_PATTERN: &str = "nothing off the shelf: tensor cores take 2:4";

/// One matrix of a tensor: stacked experts are several.
pub(super) struct Matrix {
    pub(super) count: u64,
    pub(super) rows: u64,
    pub(super) columns: u64,
    pub(super) width: u64,
    pub(super) bytes: u64,
    pub(super) elements: u64,
    pub(super) nnz: Option<u64>,
}

impl Matrix {
    /// Tiles of all matrices together; `None` where they do not tile the matrix, which scipy and torch refuse.
    pub(super) fn tiles(&self, rows: u64, columns: u64) -> Option<u64> {
        let whole = self.rows.is_multiple_of(rows) && self.columns.is_multiple_of(columns);
        whole.then(|| self.elements / (rows * columns))
    }
}

/// Bytes of a form; `None` where it cannot hold the matrix or what it needs is not known.
pub(super) fn bytes(form: &str, spec: &PruneSpec, m: &Matrix) -> Option<u128> {
    let nnz = m.nnz?;
    let wide = u128::from;
    let (rows, width) = (wide(m.rows) * wide(m.count), wide(m.width));
    // 32-bit pointers while the non-zeros of one matrix fit them; an upper bound where experts are stacked.
    let pointer = |wanted: u64| if wanted == 4 && nnz >= 1 << 31 { 8 } else { wanted };
    let csr = |index: u64, ptr: u64| wide(nnz) * (width + wide(index)) + (rows + wide(m.count)) * wide(ptr);
    match form {
        "dense" => Some(wide(m.bytes)),
        "bitmask" => Some(wide(nnz) * width + rows * wide(m.columns.div_ceil(8))),
        "csr16" => (m.columns <= 65_536).then(|| csr(2, pointer(4))),
        "csr32" => (m.columns <= 1 << 32).then(|| csr(4, pointer(4))),
        "csr64" => Some(csr(8, 8)),
        "coo32" => (m.columns.max(m.rows) <= 1 << 32).then(|| wide(nnz) * (width + 8)),
        "coo64" => Some(wide(nnz) * (width + 16)),
        "bsr32" => blocked(spec, m, 4),
        "bsr64" => blocked(spec, m, 8),
        _ => pattern(spec, m),
    }
}

/// Block compressed rows: the values of the tiles that are kept, an index a tile, a pointer a row of tiles and one more a matrix.
fn blocked(spec: &PruneSpec, m: &Matrix, index: u64) -> Option<u128> {
    let PruneSpec::Block { rows, columns, .. } = *spec else { return None };
    if m.tiles(rows, columns).is_none() {
        return Some(u128::from(m.bytes));
    }
    let wide = u128::from;
    let tile_rows = wide(m.rows / rows) * wide(m.count) + wide(m.count);
    let nnz = wide(m.nnz?);
    Some(nnz * wide(m.width) + nnz / (wide(rows) * wide(columns)) * wide(index) + tile_rows * wide(index))
}

/// N:M: the kept values and, for each, its place in the group in ceil(log2 M) bits.
fn pattern(spec: &PruneSpec, m: &Matrix) -> Option<u128> {
    let PruneSpec::Pattern { of, .. } = *spec else { return None };
    if !m.columns.is_multiple_of(of) {
        return Some(u128::from(m.bytes));
    }
    let nnz = u128::from(m.nnz?);
    Some(nnz * u128::from(m.width) + (nnz * u128::from(of.next_power_of_two().trailing_zeros())).div_ceil(8))
}

/// The share of zeros above which a form is smaller than dense, for values of `bits` bits, row pointers left out: indices of i bits
/// for each kept value pay above i / (bits + i), a bit for every value above 1 / bits (formulas B). `None` for forms whose share
/// is fixed, and for dense.
pub fn break_even(form: &str, bits: u64) -> Option<f64> {
    let index = match form {
        "bitmask" => return (bits > 0).then(|| 1.0 / bits as f64),
        "csr16" => 16,
        "csr32" => 32,
        "csr64" | "coo32" => 64,
        "coo64" => 128,
        _ => return None,
    };
    Some(index as f64 / (bits + index) as f64)
}
