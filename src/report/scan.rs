//! The body of `weigh scan`: what the values of the weights tell.

pub mod full;
mod gather;
mod remarks;
mod tensors;

use serde::Serialize;

use crate::checkpoint::Checkpoint;
use crate::report::page::Walked;
use crate::report::show::ErrorRow;
use crate::scan::full::FullOutcome;
use crate::scan::{Comparisons, CopyCheck, ScanOutcome, Selection, TieCheck};
use crate::stats::{Pairwise, ScaleHealth, TensorStats};

use full::{ClaimRow, DuplicateRow, FullRow, FullSums};
use gather::{Gather, Group};

/// STATS of the report. Counts are of stored elements; extremes and moments are over finite values, null where there are none.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct StatsRow {
    pub elements: u64,
    pub zeros: u64,
    pub negative_zeros: u64,
    pub nan: u64,
    pub pos_inf: u64,
    pub neg_inf: u64,
    pub min: Option<f64>,
    pub max: Option<f64>,
    pub abs_max: Option<f64>,
    pub mean: Option<f64>,
    pub std: Option<f64>,
    pub l2: Option<f64>,
    pub sparsity: Option<f64>,
}

impl StatsRow {
    /// The figures as the report spells them.
    pub fn of(stats: &TensorStats) -> Self {
        Self {
            elements: stats.elements,
            zeros: stats.zeros,
            negative_zeros: stats.negative_zeros,
            nan: stats.nan,
            pos_inf: stats.pos_inf,
            neg_inf: stats.neg_inf,
            min: stats.min(),
            max: stats.max(),
            abs_max: stats.abs_max(),
            mean: stats.mean(),
            std: stats.std(),
            l2: stats.l2(),
            sparsity: stats.sparsity(),
        }
    }

    /// NaN and infinite elements.
    pub fn non_finite(&self) -> u64 {
        self.nan + self.pos_inf + self.neg_inf
    }
}

/// Health of block scales.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[allow(missing_docs)]
pub struct ScalesRow {
    pub blocks: u64,
    pub nan: u64,
    pub inf: u64,
    pub zero: u64,
}

impl ScalesRow {
    fn of(scales: ScaleHealth) -> Option<Self> {
        (scales.blocks > 0).then_some(Self { blocks: scales.blocks, nan: scales.nan, inf: scales.inf, zero: scales.zero })
    }
}

/// A row of `dtypes`.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs)]
pub struct DtypeStats {
    pub dtype: String,
    pub tensors: u64,
    pub scales: Option<ScalesRow>,
    #[serde(flatten)]
    pub stats: StatsRow,
    #[serde(flatten)]
    pub full: Option<FullRow>,
}

/// A row of `roles`.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs)]
pub struct RoleStats {
    pub role: &'static str,
    pub tensors: u64,
    #[serde(flatten)]
    pub stats: StatsRow,
    #[serde(flatten)]
    pub full: Option<FullRow>,
}

/// A row of `tensors`. Figures are null where the tensor was not scanned, with the reason in `why`.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs)]
pub struct TensorStatsRow {
    pub name: String,
    pub dtype: String,
    pub shape: Vec<u64>,
    pub file: String,
    pub role: &'static str,
    pub scanned: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<&'static str>,
    pub scales: Option<ScalesRow>,
    /// What is wrong with or remarkable about it.
    pub remarks: Vec<&'static str>,
    #[serde(flatten)]
    pub stats: Option<StatsRow>,
    #[serde(flatten)]
    pub full: Option<Box<FullRow>>,
}

/// The sum of all tensors.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs)]
pub struct Totals {
    #[serde(flatten)]
    pub stats: StatsRow,
    #[serde(flatten)]
    pub full: Option<FullRow>,
}

/// How much a remark matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Weight {
    /// The weights cannot be right.
    Warning,
    /// Something to know; sane models bear it.
    Note,
}

/// Something remarkable about a tensor.
#[derive(Debug, Clone, Serialize)]
pub struct Remark {
    /// How much it matters.
    pub severity: Weight,
    /// The tensor, as its file names it.
    pub tensor: String,
    /// Its file.
    pub file: String,
    /// What is remarkable, with its figures.
    pub message: String,
}

/// The body of `weigh scan`.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs)]
pub struct ScanBody<'a> {
    pub bytes_read: u64,
    pub seconds: Option<f64>,
    pub bytes_per_second: Option<f64>,
    pub threads: Option<usize>,
    pub io: Option<&'static str>,
    pub stats: &'static str,
    pub complete: bool,
    pub interrupted: bool,
    pub not_scanned: u64,
    pub totals: Totals,
    pub dtypes: Vec<DtypeStats>,
    pub roles: Vec<RoleStats>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tensors: Option<Walked<'a, TensorStatsRow>>,
    pub remarks: Vec<Remark>,
    pub sparsest: Vec<SparseRow>,
    pub tied: Option<TiedRow>,
    #[serde(flatten)]
    pub full: Option<FullBody>,
    pub errors: Vec<ErrorRow>,
    pub notes: Vec<String>,
}

/// What `--stats full` adds to the body.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs)]
pub struct FullBody {
    /// N:M patterns that are there: every group passes, far beyond chance.
    pub patterns: Vec<ClaimRow>,
    /// Tensors that have a reduction axis, along which patterns are looked for.
    pub tensors_with_axis: u64,
    /// Tensors of the same bytes, the largest first; null where they were not looked for.
    pub duplicates: Option<Vec<DuplicateRow>>,
}

/// A tensor among those with the largest share of zeros.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs)]
pub struct SparseRow {
    pub name: String,
    pub dtype: String,
    pub elements: u64,
    pub zeros: u64,
    pub sparsity: f64,
}

/// What the values tell of a tied embedding that may be stored twice.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs)]
pub struct TiedRow {
    pub embedding: String,
    pub head: String,
    /// `equal`: byte by byte; `copy`: the decoded rows agree, as after quantizing anew; `different`; `not-compared`.
    pub verdict: &'static str,
    pub rows_compared: Option<u64>,
    pub least_cosine: Option<f64>,
    /// Parameters that count twice if it is a copy.
    pub params: u64,
}

impl TiedRow {
    /// The row of a comparison.
    pub fn of(tie: &TieCheck<'_>) -> Self {
        let TieCheck { embedding, head, check } = *tie;
        let (rows_compared, least_cosine) = match check {
            CopyCheck::Rows { rows, least_cosine } => (Some(rows), Some(least_cosine)),
            _ => (None, None),
        };
        let verdict = match check {
            CopyCheck::Equal => "equal",
            CopyCheck::NotCompared => "not-compared",
            CopyCheck::Rows { .. } if check.is_copy() => "copy",
            CopyCheck::Rows { .. } => "different",
        };
        let (embedding, params) = (embedding.name().into_owned(), head.logical_params);
        Self { embedding, head: head.name().into_owned(), verdict, rows_compared, least_cosine, params }
    }
}

/// How many tensors are listed as the sparsest.
const SPARSEST: usize = 5;
/// Share of zeros from which a tensor is worth naming: far above what rounding to a coarse grid gives.
const SPARSE: f64 = 0.2;
/// Remarks listed; the rest is counted.
const MAX_REMARKS: usize = 200;
/// Experts named in one remark.
const MAX_SLICES: usize = 8;

impl ScanBody<'static> {
    /// Gathers the body, without a row per tensor: [`ScanBody::with_tensors`]. `order` holds, per file and tensor of the outcomes,
    /// the index into the checkpoint's selected tensors; `full` the full pass where there was one.
    pub fn of(checkpoint: &Checkpoint, outcome: &ScanOutcome, full: Option<&FullOutcome>, order: &[Vec<usize>]) -> Self {
        let mut gather = Gather {
            checkpoint,
            dtypes: Vec::new(),
            roles: Vec::new(),
            remarks: Vec::new(),
            remarked: 0,
            all: Pairwise::default(),
            full: full.map(FullSums::new),
        };
        let mut not_scanned = 0;
        for (f, (file, order)) in outcome.files.iter().zip(order).enumerate() {
            for (t, (found, &place)) in file.tensors.iter().zip(order).enumerate() {
                not_scanned += u64::from(found.stats.is_none());
                let Some(tensor) = checkpoint.tensor(place) else { continue };
                gather.tensor(&tensor, found, full.and_then(|full| full.of(f, t)));
            }
        }
        let sums = gather.full.take();
        let sparsest = gather::sparsest(checkpoint, outcome, order);
        let totals = Totals { stats: StatsRow::of(&gather.all.finish()), full: sums.as_ref().map(FullSums::total) };
        gather.remarks.sort_by_key(|r| r.severity);
        gather.remarks.truncate(MAX_REMARKS);
        let over = gather.remarked - gather.remarks.len() as u64;
        let mut notes = Vec::new();
        if over > 0 {
            notes.push(format!("{over} further remarks are not listed; --tensors has every tensor"));
        }
        if checkpoint.tensors().any(|t| t.part == crate::checkpoint::Part::Auxiliary) {
            let method = checkpoint.quantization.as_ref().map_or("packed", |q| q.method.as_str());
            notes.push(format!(
                "weights are packed ({}): the values are those stored, codes and scales, not the weights",
                crate::text::escape(method)
            ));
        }
        if outcome.interrupted {
            notes.push("interrupted: the figures are of what was read until then".to_owned());
        }
        let mut roles: Vec<RoleStats> = gather
            .roles
            .into_iter()
            .map(|(role, group)| RoleStats {
                role: role.name(),
                tensors: group.tensors,
                stats: StatsRow::of(&group.stats.finish()),
                full: sums.as_ref().and_then(|sums| sums.role(role)),
            })
            .collect();
        roles.sort_by(|a, b| b.stats.elements.cmp(&a.stats.elements).then_with(|| a.role.cmp(b.role)));
        let mut dtypes: Vec<DtypeStats> =
            gather.dtypes.into_iter().map(|(dtype, group)| dtype_row(&dtype, group, sums.as_ref())).collect();
        dtypes.sort_by(|a, b| b.stats.elements.cmp(&a.stats.elements).then_with(|| a.dtype.cmp(&b.dtype)));
        let measured = outcome.threads > 0;
        let bytes_read = outcome.bytes_read.saturating_add(full.map_or(0, |full| full.bytes_read));
        let seconds = outcome.seconds + full.map_or(0.0, |full| full.seconds);
        Self {
            bytes_read,
            // Merged parts were read at other times, perhaps on other machines.
            seconds: measured.then_some(seconds),
            bytes_per_second: (measured && seconds > 0.0).then(|| bytes_read as f64 / seconds),
            threads: measured.then_some(outcome.threads),
            io: measured.then(|| outcome.io.name()),
            stats: if full.is_some() { "full" } else { "base" },
            complete: outcome.complete && !outcome.interrupted,
            interrupted: outcome.interrupted,
            not_scanned,
            totals,
            dtypes,
            roles,
            tensors: None,
            remarks: gather.remarks,
            sparsest,
            tied: None,
            full: sums.map(|sums| FullBody { patterns: sums.claims(), tensors_with_axis: sums.with_axis, duplicates: None }),
            errors: outcome.files.iter().filter_map(|f| f.error.as_ref()).map(ErrorRow::of).collect(),
            notes,
        }
    }
}

impl ScanBody<'_> {
    /// The same with what comparing values after the scan told.
    #[must_use]
    pub fn with_comparisons(mut self, checkpoint: &Checkpoint, selection: &Selection, compared: &Comparisons<'_>) -> Self {
        if let Some(full) = &mut self.full {
            match &compared.duplicates {
                Some(Ok(groups)) => full.duplicates = Some(full::duplicate_rows(checkpoint, selection, groups)),
                Some(Err(error)) => self.notes.push(format!("equal tensors were not looked for: {}", error.message())),
                None => {}
            }
        }
        self.tied = compared.tie.as_ref().map(TiedRow::of);
        self
    }
}

fn dtype_row(dtype: &str, group: Group, sums: Option<&FullSums<'_>>) -> DtypeStats {
    let total = group.stats.finish();
    DtypeStats {
        dtype: dtype.to_owned(),
        tensors: group.tensors,
        scales: ScalesRow::of(total.scales),
        stats: StatsRow::of(&total),
        full: sums.and_then(|sums| sums.dtype(dtype)),
    }
}
