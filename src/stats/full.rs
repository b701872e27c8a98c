//! What the full pass adds to the figures of a tensor: where its zeros lie, how its magnitudes spread, what its bits could be.

use serde::{Deserialize, Deserializer, Serialize};

use super::exact;

/// Shares of the finite values at which magnitudes are given, in thousandths: p01, p05, ..., p999.
pub const QUANTILES: [u16; 10] = [10, 50, 100, 250, 500, 750, 900, 950, 990, 999];

/// The N:M patterns that are measured: at most N of M neighbours along the reduction axis are not zero.
pub const PATTERNS: [(u64, u64); 3] = [(2, 4), (1, 4), (4, 8)];

/// The blocks that are measured: rows and columns.
pub const BLOCKS: [(u64, u64); 4] = [(1, 4), (4, 1), (16, 16), (32, 32)];

/// A field that must be there, if only as null: an object that leaves it out would take twenty times the memory of its text.
fn stated<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    Option::deserialize(deserializer)
}

/// Figures of one tensor. `None` stands for what its dtype or shape does not have, or what was not requested.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct FullStats {
    /// Elements as stored.
    pub elements: u64,
    /// Elements that decode to +0 or -0.
    pub zeros: u64,
    /// Subnormal elements of the stored type.
    #[serde(deserialize_with = "stated")]
    pub subnormals: Option<u64>,
    /// Index of the first NaN in storage order.
    #[serde(deserialize_with = "stated")]
    pub first_nan: Option<u64>,
    /// Index of the first infinite element in storage order.
    #[serde(deserialize_with = "stated")]
    pub first_inf: Option<u64>,
    /// Where the zeros lie; weights of two and more dimensions only.
    #[serde(deserialize_with = "stated")]
    pub structure: Option<Structure>,
    /// Magnitudes of finite values at the shares of [`QUANTILES`].
    #[serde(deserialize_with = "stated")]
    pub quantiles: Option<Quantiles>,
    /// What a coder of the exponents needs.
    #[serde(deserialize_with = "stated")]
    pub exponents: Option<Exponents>,
    /// F32 that would fit a shorter type.
    #[serde(deserialize_with = "stated")]
    pub narrower: Option<Narrower>,
    /// What a cast would lose.
    #[serde(deserialize_with = "stated")]
    pub cast: Option<CastLoss>,
}

/// Where the zeros of a matrix lie. The matrix of a tensor of more dimensions has its first dimension as rows and all others as
/// columns; of stacked experts, every expert is a matrix, and their figures are summed.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Structure {
    /// Rows, of all planes.
    pub rows: u64,
    /// Columns of a plane.
    pub columns: u64,
    /// Rows without any value but zero; `None` where there are too many rows to keep track of.
    pub zero_rows: Option<u64>,
    /// Columns that are zero in every plane; `None` where there are too many columns to keep track of.
    pub zero_columns: Option<u64>,
    /// One entry for each of [`BLOCKS`].
    pub blocks: [Blocks; 4],
    /// One entry for each of [`PATTERNS`]; `None` for what has no reduction axis (embeddings, convolutions).
    pub groups: Option<[Groups; 3]>,
    /// Attention heads, where the name and the shape say which rows or columns they are.
    pub heads: Option<Lines>,
    /// Channels of a feed-forward block, likewise.
    pub channels: Option<Lines>,
}

/// Whole blocks of a matrix; those that its edges cut are left out.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Blocks {
    /// How many there are.
    pub blocks: u64,
    /// How many hold zeros only.
    pub zero: u64,
    /// How many would if the same number of zeros lay at random.
    #[serde(with = "exact")]
    pub expected: f64,
}

/// Whole groups of M neighbours along the reduction axis.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Groups {
    /// How many there are.
    pub groups: u64,
    /// How many have at most N values that are not zero.
    pub ok: u64,
    /// How many have exactly N.
    pub exact: u64,
    /// How many would have at most N if the same number of zeros lay at random.
    #[serde(with = "exact")]
    pub expected: f64,
    /// Whether the groups fill the reduction axis; kernels for N:M refuse a short last group.
    pub fills: bool,
}

/// How far beyond chance a pattern must be to be claimed: the logarithm of the odds.
const LOG_ODDS: f64 = -20.0;

impl Groups {
    /// Share of groups that would pass by chance.
    pub fn chance(&self) -> Option<f64> {
        (self.groups > 0).then(|| (self.expected / self.groups as f64).min(1.0))
    }

    /// Whether the pattern is there: every group passes, and chance would not bring that about.
    pub fn is_pattern(&self) -> bool {
        let chance = self.chance().unwrap_or(1.0);
        self.fills && self.ok == self.groups && self.exact > 0 && self.groups as f64 * chance.ln() < LOG_ODDS
    }
}

/// Some equal runs of rows or columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Lines {
    /// How many there are.
    pub count: u64,
    /// How many hold zeros only.
    pub zero: u64,
}

/// Magnitudes at the shares of [`QUANTILES`]: the smallest magnitude that is not exceeded by that share of the finite values. Each
/// is the magnitude of a stored value, not interpolated.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Quantiles(#[serde(with = "exact_all")] pub [f64; 10]);

/// What a coder of the exponents needs. The rule is that of DFloat11 (arXiv 2504.11651): sign and mantissa as they are, exponents by a
/// Huffman code of the tensor's own.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Exponents {
    /// Shannon entropy of the exponents, in bits an element.
    #[serde(with = "exact")]
    pub entropy_bits: f64,
    /// Bits of all exponents in a Huffman code.
    pub huffman_bits: u64,
    /// Bits of all signs and mantissas.
    pub raw_bits: u64,
    /// Exponents that occur.
    pub distinct: u32,
    /// Bytes as stored.
    pub stored_bytes: u64,
    /// Elements they are of.
    pub elements: u64,
}

impl Exponents {
    /// Bytes of the data with Huffman-coded exponents. Code tables and the positions that a parallel decoder needs come on top.
    pub fn lossless_bytes(&self) -> u64 {
        self.raw_bits.saturating_add(self.huffman_bits).div_ceil(8)
    }
}

/// How many F32 values a shorter type holds exactly. NaN is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Narrower {
    /// Values that are not NaN.
    pub values: u64,
    /// Those that are BF16 values.
    pub bf16: u64,
    /// Those that are F16 values.
    pub f16: u64,
}

/// What a cast to a shorter type loses, over finite values. Rounding is to nearest, ties to even.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct CastLoss {
    /// Finite values.
    pub values: u64,
    /// Values that the type holds no finite number for: they become infinite, or NaN in F8_E4M3, which has no infinity.
    pub overflow: u64,
    /// Values other than zero that become zero.
    pub underflow: u64,
    /// Values that change, those of both kinds included.
    pub changed: u64,
    /// Values that errors are taken over: not zero, not overflowing.
    pub compared: u64,
    /// Largest relative error of those.
    #[serde(with = "exact")]
    pub max_relative: f64,
    /// Sum of squared relative errors of those.
    #[serde(with = "exact")]
    pub sum_sq_relative: f64,
}

impl CastLoss {
    /// Root of the mean squared relative error; `None` where there is nothing to compare.
    pub fn rms_relative(&self) -> Option<f64> {
        (self.compared > 0).then(|| (self.sum_sq_relative / self.compared as f64).sqrt())
    }

    /// Merges both; `self` is what lies earlier.
    #[must_use]
    pub fn merge(&self, later: &Self) -> Self {
        Self {
            values: self.values + later.values,
            overflow: self.overflow + later.overflow,
            underflow: self.underflow + later.underflow,
            changed: self.changed + later.changed,
            compared: self.compared + later.compared,
            max_relative: self.max_relative.max(later.max_relative),
            sum_sq_relative: self.sum_sq_relative + later.sum_sq_relative,
        }
    }
}

impl FullStats {
    /// Adds another tensor: counts add up, figures of position and order do not and are dropped. The entropy becomes the mean over
    /// elements, each tensor with a code of its own.
    pub fn add(&mut self, other: &Self) {
        let sum = |a: &mut Option<u64>, b: Option<u64>| *a = a.map_or(b, |a| Some(a.saturating_add(b.unwrap_or(0))));
        self.elements = self.elements.saturating_add(other.elements);
        self.zeros = self.zeros.saturating_add(other.zeros);
        sum(&mut self.subnormals, other.subnormals);
        (self.first_nan, self.first_inf, self.quantiles) = (None, None, None);
        merge(&mut self.structure, other.structure.as_ref(), Structure::add);
        merge(&mut self.exponents, other.exponents.as_ref(), |a, b| {
            let n = (a.elements + b.elements).max(1) as f64;
            a.entropy_bits = (a.entropy_bits * a.elements as f64 + b.entropy_bits * b.elements as f64) / n;
            a.huffman_bits = a.huffman_bits.saturating_add(b.huffman_bits);
            a.raw_bits = a.raw_bits.saturating_add(b.raw_bits);
            a.distinct = a.distinct.max(b.distinct);
            a.stored_bytes = a.stored_bytes.saturating_add(b.stored_bytes);
            a.elements += b.elements;
        });
        merge(&mut self.narrower, other.narrower.as_ref(), |a, b| {
            (a.values, a.bf16, a.f16) = (a.values + b.values, a.bf16 + b.bf16, a.f16 + b.f16);
        });
        merge(&mut self.cast, other.cast.as_ref(), |a, b| *a = a.merge(b));
    }
}

impl Structure {
    fn add(&mut self, other: &Self) {
        let sum = |a: &mut Option<u64>, b: Option<u64>| *a = a.zip(b).map(|(a, b)| a + b);
        self.rows += other.rows;
        self.columns += other.columns;
        sum(&mut self.zero_rows, other.zero_rows);
        sum(&mut self.zero_columns, other.zero_columns);
        for (a, b) in self.blocks.iter_mut().zip(&other.blocks) {
            (a.blocks, a.zero, a.expected) = (a.blocks + b.blocks, a.zero + b.zero, a.expected + b.expected);
        }
        merge(&mut self.groups, other.groups.as_ref(), |a, b| {
            for (a, b) in a.iter_mut().zip(b) {
                (a.groups, a.ok, a.exact) = (a.groups + b.groups, a.ok + b.ok, a.exact + b.exact);
                (a.expected, a.fills) = (a.expected + b.expected, a.fills && b.fills);
            }
        });
        for (a, b) in [(&mut self.heads, &other.heads), (&mut self.channels, &other.channels)] {
            merge(a, b.as_ref(), |a, b| (a.count, a.zero) = (a.count + b.count, a.zero + b.zero));
        }
    }
}

fn merge<T: Clone>(into: &mut Option<T>, from: Option<&T>, both: impl FnOnce(&mut T, &T)) {
    match (into.as_mut(), from) {
        (Some(a), Some(b)) => both(a, b),
        (None, Some(b)) => *into = Some(b.clone()),
        _ => {}
    }
}

/// Writes and reads several values as `exact` does one.
mod exact_all {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct One(#[serde(with = "super::exact")] f64);

    pub(super) fn serialize<S: Serializer>(values: &[f64; 10], serializer: S) -> Result<S::Ok, S::Error> {
        values.map(One).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[f64; 10], D::Error> {
        Ok(<[One; 10]>::deserialize(deserializer)?.map(|one| one.0))
    }
}
