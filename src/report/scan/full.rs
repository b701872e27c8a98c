//! What `--stats full` adds to the rows of a scan.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::checkpoint::{Checkpoint, Role, Tensor};
use crate::dtype::Dtype;
use crate::scan::Selection;
use crate::scan::full::{CastTarget, DuplicateGroup, FullOutcome, Pooled};
use crate::stats::full::{CastLoss, FullStats, Groups, Lines, Narrower, Quantiles, Structure};

/// Further fields of STATS. Null: not applicable, or, in rows of several tensors, a figure of one tensor only.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[allow(missing_docs)]
#[non_exhaustive]
pub struct FullRow {
    pub subnormals: Option<u64>,
    pub first_nan: Option<u64>,
    pub first_inf: Option<u64>,
    /// Blocks of 16 x 16 that are all zero; other blocks are in `block_sparsity`.
    pub zero_blocks: Option<u64>,
    pub zero_rows: Option<u64>,
    pub zero_columns: Option<u64>,
    pub zero_heads: Option<Lines>,
    pub zero_channels: Option<Lines>,
    pub n_m: Option<PatternRows>,
    pub block_sparsity: Option<BlockRows>,
    /// In rows of several tensors of all floating-point values together.
    pub quantiles_abs: Option<QuantileRow>,
    /// By how much a quantile may be off, relative to it; 0: exact.
    pub quantiles_relative_error: Option<f64>,
    /// In rows of several tensors the mean over elements, every tensor with a code of its own.
    pub exponent_entropy_bits: Option<f64>,
    /// With one code for all tensors of the row, where their exponents have as many bits; null in rows of one tensor.
    pub exponent_entropy_pooled_bits: Option<f64>,
    pub exponent_huffman_bits: Option<f64>,
    /// Sign and mantissa as they are, exponents Huffman-coded; of the tensors whose type has an exponent.
    pub lossless_bytes: Option<u64>,
    /// Beside the bytes that these tensors take as stored.
    pub lossless_ratio: Option<f64>,
    pub f32_lossless: Option<Narrower>,
    pub cast: Option<CastRow>,
}

/// One pattern.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[allow(missing_docs)]
#[non_exhaustive]
pub struct PatternRow {
    pub groups: u64,
    pub groups_ok: u64,
    pub groups_exact: u64,
    /// Share of groups that would pass if as many zeros lay at random.
    pub chance: Option<f64>,
}

/// The patterns.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct PatternRows {
    #[serde(rename = "2:4")]
    pub two_of_four: PatternRow,
    #[serde(rename = "1:4")]
    pub one_of_four: PatternRow,
    #[serde(rename = "4:8")]
    pub four_of_eight: PatternRow,
}

/// Blocks of one size.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[allow(missing_docs)]
#[non_exhaustive]
pub struct BlockRow {
    pub blocks: u64,
    pub zero: u64,
    pub chance: Option<f64>,
}

/// Blocks by size, rows x columns.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct BlockRows {
    #[serde(rename = "1x4")]
    pub one_by_four: BlockRow,
    #[serde(rename = "4x1")]
    pub four_by_one: BlockRow,
    #[serde(rename = "16x16")]
    pub sixteen: BlockRow,
    #[serde(rename = "32x32")]
    pub thirty_two: BlockRow,
}

/// Magnitudes that a share of the finite values does not exceed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct QuantileRow {
    pub p01: f64,
    pub p05: f64,
    pub p10: f64,
    pub p25: f64,
    pub p50: f64,
    pub p75: f64,
    pub p90: f64,
    pub p95: f64,
    pub p99: f64,
    pub p999: f64,
}

/// What a cast loses, of finite values.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[allow(missing_docs)]
#[non_exhaustive]
pub struct CastRow {
    pub to: &'static str,
    pub values: u64,
    pub overflow: u64,
    pub underflow: u64,
    pub changed: u64,
    pub max_relative_error: Option<f64>,
    pub rms_relative_error: Option<f64>,
}

impl FullRow {
    /// The figures as the report spells them.
    pub fn of(stats: &FullStats, cast: Option<CastTarget>) -> Self {
        let structure = stats.structure.as_ref();
        let exponents = stats.exponents;
        let mean = |bits: u64, n: u64| (n > 0).then(|| bits as f64 / n as f64);
        Self {
            subnormals: stats.subnormals,
            first_nan: stats.first_nan,
            first_inf: stats.first_inf,
            zero_blocks: structure.map(|s| s.blocks[2].zero),
            zero_rows: structure.and_then(|s| s.zero_rows),
            zero_columns: structure.and_then(|s| s.zero_columns),
            zero_heads: structure.and_then(|s| s.heads),
            zero_channels: structure.and_then(|s| s.channels),
            n_m: structure.and_then(|s| s.groups).map(|[two, one, four]| PatternRows {
                two_of_four: pattern(two),
                one_of_four: pattern(one),
                four_of_eight: pattern(four),
            }),
            block_sparsity: structure.map(blocks),
            quantiles_abs: stats.quantiles.map(quantile_row),
            quantiles_relative_error: stats.quantiles.map(|_| 0.0),
            exponent_entropy_pooled_bits: None,
            exponent_entropy_bits: exponents.filter(|e| e.elements > 0).map(|e| e.entropy_bits),
            exponent_huffman_bits: exponents.and_then(|e| mean(e.huffman_bits, e.elements)),
            lossless_bytes: exponents.map(|e| e.lossless_bytes()),
            lossless_ratio: exponents.and_then(|e| mean(e.lossless_bytes(), e.stored_bytes)),
            f32_lossless: stats.narrower,
            cast: stats.cast.zip(cast).map(|(loss, to)| cast_row(&loss, to)),
        }
    }
}

fn quantile_row(quantiles: Quantiles) -> QuantileRow {
    let [p01, p05, p10, p25, p50, p75, p90, p95, p99, p999] = quantiles.0;
    QuantileRow { p01, p05, p10, p25, p50, p75, p90, p95, p99, p999 }
}

fn pattern(groups: Groups) -> PatternRow {
    PatternRow { groups: groups.groups, groups_ok: groups.ok, groups_exact: groups.exact, chance: groups.chance() }
}

fn blocks(structure: &Structure) -> BlockRows {
    let [one_by_four, four_by_one, sixteen, thirty_two] = structure.blocks.map(|b| BlockRow {
        blocks: b.blocks,
        zero: b.zero,
        chance: (b.blocks > 0).then(|| b.expected / b.blocks as f64),
    });
    BlockRows { one_by_four, four_by_one, sixteen, thirty_two }
}

fn cast_row(loss: &CastLoss, to: CastTarget) -> CastRow {
    CastRow {
        to: to.name(),
        values: loss.values,
        overflow: loss.overflow,
        underflow: loss.underflow,
        changed: loss.changed,
        max_relative_error: (loss.compared > 0).then_some(loss.max_relative),
        rms_relative_error: loss.rms_relative(),
    }
}

/// The pattern that a tensor has, the tightest first.
pub(super) fn claimed(stats: &FullStats) -> Option<&'static str> {
    let [two, one, four] = stats.structure.as_ref()?.groups?;
    [(one, "1:4"), (two, "2:4"), (four, "4:8")].into_iter().find(|(groups, _)| groups.is_pattern()).map(|(_, name)| name)
}

/// Tensors that have a pattern.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[allow(missing_docs)]
#[non_exhaustive]
pub struct ClaimRow {
    pub pattern: &'static str,
    pub tensors: u64,
    pub elements: u64,
}

/// Tensors that hold the same bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[allow(missing_docs)]
#[non_exhaustive]
pub struct DuplicateRow {
    pub sha256: String,
    pub dtype: String,
    /// Of each.
    pub bytes: u64,
    pub tensors: Vec<MemberRow>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[allow(missing_docs)]
#[non_exhaustive]
pub struct MemberRow {
    pub name: String,
    pub file: String,
}

/// The groups of equal tensors as rows.
pub fn duplicate_rows(checkpoint: &Checkpoint, selection: &Selection, groups: &[DuplicateGroup]) -> Vec<DuplicateRow> {
    let tensors: Vec<Tensor<'_>> = checkpoint.tensors().collect();
    let member = |&(file, tensor): &(usize, usize)| tensors.get(*selection.order.get(file)?.get(tensor)?);
    let row = |group: &DuplicateGroup| {
        let members: Vec<&Tensor<'_>> = group.members.iter().filter_map(member).collect();
        DuplicateRow {
            sha256: group.sha256.iter().map(|byte| format!("{byte:02x}")).collect(),
            dtype: members.first().map_or_else(String::new, |t| t.dtype_name().to_owned()),
            bytes: group.bytes,
            tensors: members
                .iter()
                .map(|t| MemberRow { name: t.name().into_owned(), file: checkpoint.files[t.file].name.clone() })
                .collect(),
        }
    };
    groups.iter().map(row).collect()
}

/// Codes of integers, as packed weights have them, are no magnitudes beside those of floats.
fn is_float(dtype: Dtype) -> bool {
    dtype.is_float() || dtype.is_block_quant()
}

/// Sums of the full figures, by dtype, by role, of all.
#[derive(Debug, Default)]
pub(super) struct FullSums<'a> {
    cast: Option<CastTarget>,
    pooled: Option<&'a Pooled>,
    dtypes: BTreeMap<String, FullStats>,
    roles: BTreeMap<Role, FullStats>,
    all: FullStats,
    claims: BTreeMap<&'static str, (u64, u64)>,
    /// Tensors with a reduction axis.
    pub(super) with_axis: u64,
}

impl<'a> FullSums<'a> {
    pub(super) fn new(full: &'a FullOutcome) -> Self {
        Self { cast: full.cast, pooled: full.pooled.as_ref(), ..Self::default() }
    }

    pub(super) fn add(&mut self, dtype: &str, role: Role, stats: &FullStats) {
        self.dtypes.entry(dtype.to_owned()).or_default().add(stats);
        self.roles.entry(role).or_default().add(stats);
        self.all.add(stats);
        self.with_axis += u64::from(stats.structure.as_ref().is_some_and(|s| s.groups.is_some()));
        if let Some(pattern) = claimed(stats) {
            let claim = self.claims.entry(pattern).or_default();
            *claim = (claim.0 + 1, claim.1 + stats.elements);
        }
    }

    pub(super) fn row(&self, stats: &FullStats) -> FullRow {
        FullRow::of(stats, self.cast)
    }

    /// A row of several tensors, with the magnitudes of those that `takes` takes.
    fn pooled_row(&self, stats: &FullStats, takes: &dyn Fn(Role, Dtype) -> bool) -> FullRow {
        let Some(pooled) = self.pooled.map(|pooled| pooled.figures(takes)) else { return self.row(stats) };
        FullRow {
            quantiles_abs: pooled.quantiles.map(quantile_row),
            quantiles_relative_error: pooled.quantiles.map(|_| pooled.relative_error),
            exponent_entropy_pooled_bits: pooled.exponent_entropy_bits,
            ..self.row(stats)
        }
    }

    pub(super) fn dtype(&self, dtype: &str) -> Option<FullRow> {
        self.dtypes.get(dtype).map(|stats| self.pooled_row(stats, &|_, d| d.name() == Some(dtype)))
    }

    pub(super) fn role(&self, role: Role) -> Option<FullRow> {
        self.roles.get(&role).map(|stats| self.pooled_row(stats, &|r, d| r == role && is_float(d)))
    }

    pub(super) fn total(&self) -> FullRow {
        self.pooled_row(&self.all, &|_, d| is_float(d))
    }

    pub(super) fn claims(&self) -> Vec<ClaimRow> {
        let row = |(pattern, (tensors, elements)): (&&'static str, &(u64, u64))| ClaimRow {
            pattern,
            tensors: *tensors,
            elements: *elements,
        };
        let mut rows: Vec<ClaimRow> = self.claims.iter().map(row).collect();
        rows.sort_by(|a, b| b.elements.cmp(&a.elements).then_with(|| a.pattern.cmp(b.pattern)));
        rows
    }
}
