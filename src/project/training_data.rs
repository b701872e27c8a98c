//! Storage of a training set, dense against sparse, with the bytes that indices take.

use serde::Serialize;

use crate::dtype::Dtype;
use crate::error::{Error, ErrorKind, Result};
use crate::units::Elements;

/// Size of the training set in one storage form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DataForm {
    /// `dense`, `values`, `bitmask`, `csr16`, `csr32`, `csr64`, `coo32`, `coo64`.
    pub form: &'static str,
    /// Bytes; `None` where the form cannot hold it.
    pub bytes: Option<u64>,
}

/// Size of a training set: a matrix of examples.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct DataRow {
    /// Number of examples.
    pub rows: u64,
    /// Number of features of an example.
    pub columns: u64,
    /// Share of values that are zero.
    pub sparsity: f64,
    /// Element type of a value.
    pub dtype: &'static str,
    /// rows x columns x (1 - sparsity): the count of values that is often taken for bytes.
    pub naive: u64,
    /// Bytes in each storage form.
    pub forms: Vec<DataForm>,
}

/// Bytes of `rows` x `columns` values of a plain dtype of which `sparsity` are zeros. CSR has 64-bit row pointers: 32-bit ones
/// overflow at 2^31 non-zeros.
///
/// # Errors
/// [`ErrorKind::Usage`] for a sparsity outside 0 to 1, a dtype of block quants, or a size that does not fit 64 bits.
pub fn project_data(rows: u64, columns: u64, sparsity: f64, dtype: Dtype) -> Result<DataRow> {
    let refuse = |why: &str| Error::new(ErrorKind::Usage, why.to_owned());
    if !(0.0..=1.0).contains(&sparsity) {
        return Err(refuse("sparsity lies between 0 and 1"));
    }
    let info = dtype.info().filter(|i| i.elements_per_block == 1).ok_or_else(|| refuse("a training set has a plain dtype"))?;
    let cells = rows.checked_mul(columns).ok_or_else(|| refuse("rows x columns does not fit 64 bits"))?;
    let dense = dtype.bytes_of(Elements(cells)).ok_or_else(|| refuse("the size does not fit 64 bits"))?.0;
    let width = info.bytes_per_block;
    let nnz = cells - super::prune::rounded_share(cells, sparsity);
    let fit = |n: u128| u64::try_from(n).ok();
    let wide = u128::from;
    let csr = |index: u64| fit(wide(nnz) * wide(width + index) + (wide(rows) + 1) * 8);
    let coo = |index: u64| fit(wide(nnz) * wide(width + 2 * index));
    let form = |form, bytes| DataForm { form, bytes };
    let forms = vec![
        form("dense", Some(dense)),
        form("values", fit(wide(nnz) * wide(width))),
        form("bitmask", fit(wide(nnz) * wide(width) + wide(rows) * wide(columns.div_ceil(8)))),
        form("csr16", if columns <= 65_536 { csr(2) } else { None }),
        form("csr32", if columns <= 1 << 32 { csr(4) } else { None }),
        form("csr64", csr(8)),
        form("coo32", if columns.max(rows) <= 1 << 32 { coo(4) } else { None }),
        form("coo64", coo(8)),
    ];
    Ok(DataRow { rows, columns, sparsity, dtype: info.name, naive: nnz, forms })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_a_million_rows() {
        // m = 1e6, k = 1e4, s = 0.9, f32.
        let row = project_data(1_000_000, 10_000, 0.9, Dtype::F32).unwrap();
        let bytes = |form: &str| row.forms.iter().find(|f| f.form == form).unwrap().bytes.unwrap();
        assert_eq!(row.naive, 1_000_000_000);
        assert_eq!(bytes("dense"), 40_000_000_000);
        assert_eq!(bytes("values"), 4_000_000_000);
        assert_eq!(bytes("csr32"), 8_008_000_008);
        assert_eq!(bytes("csr16"), 6_008_000_008);
        assert_eq!(bytes("csr64"), 12_008_000_008);
        assert_eq!(bytes("coo32"), 12_000_000_000);
        assert_eq!(bytes("coo64"), 20_000_000_000);
        assert_eq!(bytes("bitmask"), 5_250_000_000);
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(project_data(1, 1, 1.5, Dtype::F32).is_err());
        assert!(project_data(1, 1, f64::NAN, Dtype::F32).is_err());
        assert!(project_data(u64::MAX, 2, 0.5, Dtype::F32).is_err());
        assert!(project_data(1, 256, 0.5, Dtype::Q4_K).is_err());
    }
}
