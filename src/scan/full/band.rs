//! How a tensor is cut into bands that one thread takes in one piece.

use super::class::{ElementClass, Storage};
use super::geometry::Geometry;
use super::structure::Rectangle;
use crate::checkpoint::Role;
use crate::scan::ScanTensor;

/// Bytes of a band, about: it stays in a second-level cache for a second pass.
pub(super) const BAND_BYTES: u64 = 1 << 20;
/// Elements of a band of block quants, which are decoded to 4 bytes each.
const BLOCK_ELEMENTS: u64 = 1 << 18;
/// Rows that a band has a multiple of: the largest block that is looked for.
const ROWS: u64 = 32;
/// Elements that a piece of a row has a multiple of: a word of bits, and a block of any type.
const PIECE: u64 = 256;

/// How a tensor is cut. Rows that are too long are cut as well.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cut {
    pub(super) class: ElementClass,
    pub(super) tensor: ScanTensor,
    pub(super) geometry: Option<Geometry>,
    /// What the tensor is for; `Other` where nobody said.
    pub(super) role: Role,
    rows: u64,
    columns: u64,
    /// Bands of rows in a plane, and pieces of a row.
    row_bands: u64,
    pieces: u64,
    planes: u64,
    per_block: u64,
    block_bytes: u64,
}

/// A band: where it lies in the matrix, its first element, and where its bytes are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Band {
    pub(super) index: u64,
    pub(super) place: Rectangle,
    /// Byte offset of its first row in the file, bytes of one of its rows, bytes from one row to the next.
    pub(super) offset: u64,
    pub(super) row_bytes: u64,
    pub(super) stride: u64,
}

impl Cut {
    /// `None` for a tensor of a dtype without a kernel, and for one without elements.
    pub(super) fn new(tensor: &ScanTensor, geometry: Option<Geometry>) -> Option<Self> {
        let class = ElementClass::of(tensor.dtype)?;
        let info = tensor.dtype.info()?;
        let (per_block, block_bytes) = (info.elements_per_block, info.bytes_per_block);
        let fits = |g: &Geometry| {
            g.columns.is_multiple_of(per_block)
                && g.planes.checked_mul(g.rows).and_then(|rows| rows.checked_mul(g.columns)) == Some(tensor.elements)
        };
        let geometry = geometry.filter(fits);
        if tensor.elements == 0 {
            return None;
        }
        // Elements of a band, by bytes and by what they are decoded to.
        let mut most = BAND_BYTES / block_bytes * per_block;
        if class.storage == Storage::Blocks {
            most = most.min(BLOCK_ELEMENTS);
        }
        let most = most.min(1 << 20);
        // Without a geometry, the tensor is one long row.
        let (planes, rows, columns) = geometry.map_or((1, 1, tensor.elements), |g| (g.planes, g.rows, g.columns));
        let height = ROWS.min(rows);
        let (band_rows, piece) = if columns <= 2 * most / height {
            ((most / columns / ROWS * ROWS).max(ROWS).min(rows), columns)
        } else {
            (height, (most / height / PIECE * PIECE).max(PIECE).min(columns))
        };
        Some(Self {
            class,
            tensor: *tensor,
            geometry,
            role: Role::Other,
            rows: band_rows,
            columns: piece,
            row_bands: rows.div_ceil(band_rows),
            pieces: columns.div_ceil(piece),
            planes,
            per_block,
            block_bytes,
        })
    }

    /// How many bands there are.
    pub(super) fn bands(&self) -> u64 {
        self.planes * self.row_bands * self.pieces
    }

    fn shape(&self) -> (u64, u64) {
        self.geometry.map_or((1, self.tensor.elements), |g| (g.rows, g.columns))
    }

    /// Columns of the whole matrix.
    pub(super) fn width(&self) -> u64 {
        self.shape().1
    }

    /// A band by its number.
    pub(super) fn band(&self, index: u64) -> Band {
        let (rows, columns) = self.shape();
        let (piece, rest) = (index % self.pieces, index / self.pieces);
        let (row_band, plane) = (rest % self.row_bands, rest / self.row_bands);
        let (first, column) = (row_band * self.rows, piece * self.columns);
        let place = Rectangle {
            row: plane * rows + first,
            rows: usize::try_from(self.rows.min(rows - first)).unwrap_or(usize::MAX),
            column,
            columns: usize::try_from(self.columns.min(columns - column)).unwrap_or(usize::MAX),
        };
        // Whole blocks, but for the end of a tensor that is one long row.
        let bytes = |elements: u64| elements.div_ceil(self.per_block) * self.block_bytes;
        let stride = bytes(columns);
        let offset = self.tensor.offset + place.row * stride + bytes(column);
        Band { index, place, offset, row_bytes: bytes(place.columns as u64), stride }
    }
}

impl Band {
    /// Bytes of the band.
    pub(super) fn bytes(&self) -> u64 {
        self.row_bytes * self.place.rows as u64
    }

    /// Whether its bytes lie one after another.
    pub(super) fn is_one_piece(&self) -> bool {
        self.place.rows == 1 || self.row_bytes == self.stride
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dtype::Dtype;
    use crate::units::Elements;

    #[test]
    fn bands_tile_the_tensor() {
        let shapes = [(1, 2, 3), (1, 33, 64), (3, 100, 256), (1, 7, 1 << 21), (1, 100, 1 << 20), (1, 70_000, 16), (5, 64, 1 << 16)];
        for dtype in [Dtype::BF16, Dtype::F64, Dtype::Q4_K, Dtype::F4] {
            for (planes, rows, columns) in shapes {
                let per_block = dtype.info().unwrap().elements_per_block;
                let columns = columns * per_block;
                let elements = planes * rows * columns;
                let bytes = dtype.bytes_of(Elements(elements)).unwrap().0;
                let tensor = ScanTensor { dtype, offset: 11, bytes, elements, slices: 1 };
                let geometry = Geometry { planes, rows, columns, reduction: None, heads: None, channels: None };
                for geometry in [Some(geometry), None] {
                    let cut = Cut::new(&tensor, geometry).unwrap();
                    let (mut sum, mut end) = (0, 0);
                    for index in 0..cut.bands() {
                        let band = cut.band(index);
                        sum += band.bytes();
                        end = end.max(band.offset + band.stride * (band.place.rows as u64 - 1) + band.row_bytes);
                        assert!(band.bytes() <= 4 * BAND_BYTES && band.place.column.is_multiple_of(64), "{dtype:?} {band:?}");
                        assert!(geometry.is_none() || (band.place.row % rows).is_multiple_of(32));
                    }
                    assert_eq!((sum, end), (bytes, 11 + bytes), "{dtype:?} {geometry:?}");
                }
            }
        }
    }
}
