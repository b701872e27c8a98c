//! The body of `weigh scan`: what the values of the weights tell.

use serde::Serialize;

use crate::checkpoint::{Checkpoint, Role, Tensor};
use crate::report::show::{ErrorRow, stated_shape};
use crate::scan::{CopyCheck, ScanOutcome};
use crate::stats::{ScaleHealth, TensorStats};

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
}

/// A row of `roles`.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs)]
pub struct RoleStats {
    pub role: &'static str,
    pub tensors: u64,
    #[serde(flatten)]
    pub stats: StatsRow,
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
pub struct ScanBody {
    pub bytes_read: u64,
    pub seconds: Option<f64>,
    pub bytes_per_second: Option<f64>,
    pub threads: Option<usize>,
    pub io: Option<&'static str>,
    pub stats: &'static str,
    pub complete: bool,
    pub interrupted: bool,
    pub not_scanned: u64,
    pub totals: StatsRow,
    pub dtypes: Vec<DtypeStats>,
    pub roles: Vec<RoleStats>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tensors: Option<Vec<TensorStatsRow>>,
    pub remarks: Vec<Remark>,
    pub sparsest: Vec<SparseRow>,
    pub tied: Option<TiedRow>,
    pub errors: Vec<ErrorRow>,
    pub notes: Vec<String>,
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
    pub fn of(embedding: &Tensor<'_>, head: &Tensor<'_>, check: CopyCheck) -> Self {
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

impl ScanBody {
    /// Gathers the body. `order` holds, per file and tensor of the outcome, the index into the checkpoint's selected tensors.
    pub fn of(checkpoint: &Checkpoint, outcome: &ScanOutcome, order: &[Vec<usize>], with_tensors: bool) -> Self {
        let selected: Vec<Tensor<'_>> = checkpoint.tensors().collect();
        let mut gather =
            Gather { checkpoint, dtypes: Vec::new(), roles: Vec::new(), rows: Vec::new(), remarks: Vec::new(), all: Vec::new() };
        let mut not_scanned = 0;
        for (file, order) in outcome.files.iter().zip(order) {
            for (tensor, &index) in file.tensors.iter().zip(order) {
                not_scanned += u64::from(tensor.stats.is_none());
                gather.tensor(&selected[index], tensor, with_tensors);
            }
        }
        let totals = StatsRow::of(&TensorStats::total(&gather.all));
        let mut sparsest: Vec<SparseRow> = gather.sparsest(&selected, outcome, order);
        sparsest.truncate(SPARSEST);
        gather.remarks.sort_by_key(|r| r.severity);
        let over = gather.remarks.len().saturating_sub(MAX_REMARKS);
        gather.remarks.truncate(MAX_REMARKS);
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
            .iter()
            .map(|(role, stats)| RoleStats {
                role: role.name(),
                tensors: stats.len() as u64,
                stats: StatsRow::of(&TensorStats::total(stats)),
            })
            .collect();
        roles.sort_by(|a, b| b.stats.elements.cmp(&a.stats.elements).then_with(|| a.role.cmp(b.role)));
        let mut dtypes: Vec<DtypeStats> = gather.dtypes.iter().map(|(dtype, stats)| dtype_row(dtype, stats)).collect();
        dtypes.sort_by(|a, b| b.stats.elements.cmp(&a.stats.elements).then_with(|| a.dtype.cmp(&b.dtype)));
        let measured = outcome.threads > 0;
        Self {
            bytes_read: outcome.bytes_read,
            // Merged parts were read at other times, perhaps on other machines.
            seconds: measured.then_some(outcome.seconds),
            bytes_per_second: (measured && outcome.seconds > 0.0).then(|| outcome.bytes_read as f64 / outcome.seconds),
            threads: measured.then_some(outcome.threads),
            io: measured.then(|| outcome.io.name()),
            stats: "base",
            complete: outcome.complete && !outcome.interrupted,
            interrupted: outcome.interrupted,
            not_scanned,
            totals,
            dtypes,
            roles,
            tensors: with_tensors.then_some(gather.rows),
            remarks: gather.remarks,
            sparsest,
            tied: None,
            errors: outcome.files.iter().filter_map(|f| f.error.as_ref()).map(ErrorRow::of).collect(),
            notes,
        }
    }

    /// Whether anything in it could not be read as asked.
    pub fn has_errors(&self) -> bool {
        !self.errors.is_empty()
    }
}

fn dtype_row(dtype: &str, stats: &[TensorStats]) -> DtypeStats {
    let total = TensorStats::total(stats);
    DtypeStats {
        dtype: dtype.to_owned(),
        tensors: stats.len() as u64,
        scales: ScalesRow::of(total.scales),
        stats: StatsRow::of(&total),
    }
}

struct Gather<'a> {
    checkpoint: &'a Checkpoint,
    dtypes: Vec<(String, Vec<TensorStats>)>,
    roles: Vec<(Role, Vec<TensorStats>)>,
    rows: Vec<TensorStatsRow>,
    remarks: Vec<Remark>,
    all: Vec<TensorStats>,
}

impl Gather<'_> {
    fn tensor(&mut self, tensor: &Tensor<'_>, outcome: &crate::scan::TensorOutcome, with_row: bool) {
        let (dtype, role) = (tensor.dtype_name(), tensor.naming.role);
        let mut remarks = Vec::new();
        if let Some(stats) = outcome.stats {
            push(&mut self.dtypes, dtype.to_owned(), stats);
            push(&mut self.roles, role, stats);
            self.all.push(stats);
            remarks = self.remarks_on(tensor, &stats, &outcome.slices);
        }
        if with_row {
            self.rows.push(TensorStatsRow {
                name: tensor.name().into_owned(),
                dtype: dtype.to_owned(),
                shape: stated_shape(tensor.container.format, &tensor.info.shape),
                file: self.checkpoint.files[tensor.file].name.clone(),
                role: role.name(),
                scanned: outcome.stats.is_some(),
                why: outcome.skipped.map(|s| s.word()),
                scales: outcome.stats.and_then(|s| ScalesRow::of(s.scales)),
                remarks,
                stats: outcome.stats.as_ref().map(StatsRow::of),
            });
        }
    }

    /// What is wrong with or remarkable about a tensor. An all-zero bias is a remark (sane published models have them), an
    /// all-zero matrix a warning.
    fn remarks_on(&mut self, tensor: &Tensor<'_>, stats: &TensorStats, slices: &[TensorStats]) -> Vec<&'static str> {
        use crate::units::grouped;
        let mut codes = Vec::new();
        let matrix = tensor.info.shape.iter().filter(|&&d| d > 1).count() >= 2;
        let weight = tensor.part == crate::checkpoint::Part::Weight;
        let mut say = |code, severity, message: String| {
            codes.push(code);
            let file = self.checkpoint.files[tensor.file].name.clone();
            self.remarks.push(Remark { severity, tensor: tensor.name().into_owned(), file, message });
        };
        let which = |wrong: &dyn Fn(&TensorStats) -> bool| -> String {
            let hit: Vec<String> = slices.iter().enumerate().filter(|(_, s)| wrong(s)).map(|(i, _)| i.to_string()).collect();
            match hit.len() {
                0 => String::new(),
                n if n > MAX_SLICES => {
                    format!(" (in {n} of {} experts, the first are {})", slices.len(), hit[..MAX_SLICES].join(", "))
                }
                _ => format!(" (experts {})", hit.join(", ")),
            }
        };
        if stats.nan > 0 {
            say(
                "nan",
                Weight::Warning,
                format!("{} of {} values are NaN{}", grouped(stats.nan), grouped(stats.elements), which(&|s| s.nan > 0)),
            );
        }
        let inf = stats.pos_inf + stats.neg_inf;
        if inf > 0 {
            let at = which(&|s| s.pos_inf + s.neg_inf > 0);
            say("inf", Weight::Warning, format!("{} of {} values are infinite{at}", grouped(inf), grouped(stats.elements)));
        }
        if stats.scales.nan + stats.scales.inf > 0 {
            let at = which(&|s| s.scales.nan + s.scales.inf > 0);
            let bad = grouped(stats.scales.nan + stats.scales.inf);
            say(
                "bad-scales",
                Weight::Warning,
                format!("{bad} of {} block scales are NaN or infinite{at}", grouped(stats.scales.blocks)),
            );
        }
        let zero_slices = slices.iter().filter(|s| s.all_zero()).count();
        if stats.all_zero() && weight {
            let severity = if matrix { Weight::Warning } else { Weight::Note };
            say("all-zero", severity, format!("all {} values are zero", grouped(stats.elements)));
        } else if zero_slices > 0 {
            say("zero-expert", Weight::Warning, format!("{zero_slices} experts are all zero{}", which(&|s| s.all_zero())));
        } else if stats.constant() && weight && matrix && stats.elements > 1 {
            say(
                "constant",
                Weight::Warning,
                format!("all {} values are {}", grouped(stats.elements), crate::report::text::value(stats.raw_min)),
            );
        }
        codes
    }

    fn sparsest(&self, selected: &[Tensor<'_>], outcome: &ScanOutcome, order: &[Vec<usize>]) -> Vec<SparseRow> {
        let mut rows = Vec::new();
        for (file, order) in outcome.files.iter().zip(order) {
            for (tensor, &index) in file.tensors.iter().zip(order) {
                let Some(stats) = tensor.stats else { continue };
                let Some(sparsity) = stats.sparsity().filter(|&s| s >= SPARSE) else { continue };
                let view = &selected[index];
                rows.push(SparseRow {
                    name: view.name().into_owned(),
                    dtype: view.dtype_name().to_owned(),
                    elements: stats.elements,
                    zeros: stats.zeros,
                    sparsity,
                });
            }
        }
        rows.sort_by(|a, b| b.zeros.cmp(&a.zeros).then_with(|| a.name.cmp(&b.name)));
        rows
    }
}

fn push<K: PartialEq>(groups: &mut Vec<(K, Vec<TensorStats>)>, key: K, stats: TensorStats) {
    match groups.iter_mut().find(|(k, _)| *k == key) {
        Some((_, group)) => group.push(stats),
        None => groups.push((key, vec![stats])),
    }
}
