//! The body of `weigh scan`: what the values of the weights tell.

pub mod full;
mod gather;
mod remarks;
mod tensors;

use serde::Serialize;

use crate::checkpoint::Checkpoint;
use crate::error::Error;
use crate::report::page::Walked;
use crate::scan::full::FullOutcome;
use crate::scan::{Comparisons, CopyCheck, ScanOutcome, Selection, TieCheck};
use crate::stats::{Pairwise, ScaleHealth, TensorStats};

use full::{ClaimRow, DuplicateRow, FullRow, FullSums};
use gather::{Gather, Group};

/// STATS of the report: figures worked out of [`TensorStats`], which serialises its exact sums for parts of a scan. Counts are of stored elements; extremes and moments are over finite values, null where there are none.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct StatsRow {
    /// Number of stored elements.
    pub elements: u64,
    /// Elements that decode to +0 or -0.
    pub zeros: u64,
    /// Those of them that are -0.
    pub negative_zeros: u64,
    /// Elements that are NaN.
    pub nan: u64,
    /// Elements that are +Inf.
    pub pos_inf: u64,
    /// Elements that are -Inf.
    pub neg_inf: u64,
    /// Smallest finite value.
    pub min: Option<f64>,
    /// Largest finite value.
    pub max: Option<f64>,
    /// Largest magnitude of a finite value.
    pub abs_max: Option<f64>,
    /// Mean of the finite values.
    pub mean: Option<f64>,
    /// Population standard deviation of the finite values.
    pub std: Option<f64>,
    /// Euclidean norm of the finite values.
    pub l2: Option<f64>,
    /// Share of zeros among the elements.
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

/// The health of block scales; `None` where there are no blocks.
fn scales(health: ScaleHealth) -> Option<ScaleHealth> {
    (health.blocks > 0).then_some(health)
}

/// A row of `dtypes`.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct DtypeStats {
    /// Element type as the format spells it.
    pub dtype: String,
    /// Number of tensors that were scanned.
    pub tensors: u64,
    /// Health of block scales; null for types without.
    pub scales: Option<ScaleHealth>,
    /// Figures of the base pass over all of them.
    #[serde(flatten)]
    pub stats: StatsRow,
    /// Figures of the full pass, where there was one.
    #[serde(flatten)]
    pub full: Option<FullRow>,
}

/// A row of `roles`.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct RoleStats {
    /// What the tensors are for, by their names.
    pub role: &'static str,
    /// Number of tensors that were scanned.
    pub tensors: u64,
    /// Figures of the base pass over all of them.
    #[serde(flatten)]
    pub stats: StatsRow,
    /// Figures of the full pass, where there was one.
    #[serde(flatten)]
    pub full: Option<FullRow>,
}

/// A row of `tensors`. Figures are null where the tensor was not scanned, with the reason in `why`.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct TensorStatsRow {
    /// Name in the file; bytes that are no UTF-8 are U+FFFD.
    pub name: String,
    /// Element type as the format spells it.
    pub dtype: String,
    /// Dimensions in the format's own order.
    pub shape: Vec<u64>,
    /// File that it stands in, relative to the folder asked for.
    pub file: String,
    /// What it is for, by its name.
    pub role: &'static str,
    /// Whether it has figures.
    pub scanned: bool,
    /// Why it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<&'static str>,
    /// Health of block scales; null for types without.
    pub scales: Option<ScaleHealth>,
    /// What is wrong with or remarkable about it.
    pub remarks: Vec<&'static str>,
    /// Figures of the base pass.
    #[serde(flatten)]
    pub stats: Option<StatsRow>,
    /// Figures of the full pass, where there was one.
    #[serde(flatten)]
    pub full: Option<Box<FullRow>>,
}

/// The sum of all tensors.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Totals {
    /// Figures of the base pass over all tensors.
    #[serde(flatten)]
    pub stats: StatsRow,
    /// Figures of the full pass, where there was one.
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
#[non_exhaustive]
pub struct Remark {
    /// How much it matters.
    pub severity: Weight,
    /// The tensor, as its file names it.
    pub tensor: String,
    /// The file that the tensor stands in, relative to the folder asked for.
    pub file: String,
    /// What is remarkable, with its figures.
    pub message: String,
}

/// The fields of the document of `weigh scan`.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct ScanBody<'a> {
    /// Bytes of weights that were read, in both passes.
    pub bytes_read: u64,
    /// Wall time; null for merged parts.
    pub seconds: Option<f64>,
    /// Bytes read by wall time; null for merged parts.
    pub bytes_per_second: Option<f64>,
    /// Number of threads; null for merged parts.
    pub threads: Option<usize>,
    /// How the bytes were read: `mmap`, `read`, `mixed`, `none`; null for merged parts.
    pub io: Option<&'static str>,
    /// `base` or `full`.
    pub stats: &'static str,
    /// Whether every tensor has its figures.
    pub complete: bool,
    /// Whether the scan was stopped before its end.
    pub interrupted: bool,
    /// Number of tensors without figures.
    pub not_scanned: u64,
    /// Figures of all tensors together.
    pub totals: Totals,
    /// Figures per element type, most elements first.
    pub dtypes: Vec<DtypeStats>,
    /// Figures per role, most elements first.
    pub roles: Vec<RoleStats>,
    /// One row a tensor; absent where they were not asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tensors: Option<Walked<'a, TensorStatsRow>>,
    /// What is wrong or remarkable, warnings first.
    pub remarks: Vec<Remark>,
    /// Sparse tensors, those with most zeros first.
    pub sparsest: Vec<SparseRow>,
    /// What the values tell of a possible copy of the embedding.
    pub tied: Option<TiedRow>,
    /// What the full pass adds, where there was one.
    #[serde(flatten)]
    pub full: Option<FullBody>,
    /// Files that could not be read, or changed meanwhile.
    pub errors: Vec<Error>,
    /// What a reader of the figures should know; escaped.
    pub notes: Vec<String>,
}

/// What `--stats full` adds to the body.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
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
#[non_exhaustive]
pub struct SparseRow {
    /// Name in the file.
    pub name: String,
    /// Element type as the format spells it.
    pub dtype: String,
    /// Number of stored elements.
    pub elements: u64,
    /// Elements that are zero.
    pub zeros: u64,
    /// Share of zeros among the elements.
    pub sparsity: f64,
}

/// What the values tell of a tied embedding that may be stored twice.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct TiedRow {
    /// Name of the input embedding.
    pub embedding: String,
    /// Name of the output head.
    pub head: String,
    /// `equal`: byte by byte; `copy`: the decoded rows agree, as after quantizing anew; `different`; `not-compared`.
    pub verdict: &'static str,
    /// Number of rows that were decoded and compared.
    pub rows_compared: Option<u64>,
    /// Least cosine of two rows of one index.
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
            errors: outcome.files.iter().filter_map(|f| f.error.as_ref()).cloned().collect(),
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
        scales: scales(total.scales),
        stats: StatsRow::of(&total),
        full: sums.and_then(|sums| sums.dtype(dtype)),
    }
}
