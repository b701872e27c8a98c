//! What a scan found, gathered tensor by tensor: sums by dtype and role, rows, remarks.

use super::full::FullSums;
use super::{MAX_SLICES, Remark, SPARSE, ScalesRow, SparseRow, StatsRow, TensorStatsRow, Weight};
use crate::checkpoint::{Checkpoint, Role, Tensor};
use crate::report::show::stated_shape;
use crate::scan::ScanOutcome;
use crate::stats::TensorStats;
use crate::stats::full::FullStats;

pub(super) struct Gather<'a> {
    pub(super) checkpoint: &'a Checkpoint,
    pub(super) dtypes: Vec<(String, Vec<TensorStats>)>,
    pub(super) roles: Vec<(Role, Vec<TensorStats>)>,
    pub(super) rows: Vec<TensorStatsRow>,
    pub(super) remarks: Vec<Remark>,
    pub(super) all: Vec<TensorStats>,
    pub(super) full: Option<FullSums<'a>>,
}

impl Gather<'_> {
    pub(super) fn tensor(
        &mut self,
        tensor: &Tensor<'_>,
        outcome: &crate::scan::TensorOutcome,
        full: Option<&FullStats>,
        with_row: bool,
    ) {
        let (dtype, role) = (tensor.dtype_name(), tensor.naming.role);
        let mut remarks = Vec::new();
        if let Some(stats) = outcome.stats {
            push(&mut self.dtypes, dtype.to_owned(), stats);
            push(&mut self.roles, role, stats);
            self.all.push(stats);
            remarks = self.remarks_on(tensor, &stats, &outcome.slices);
        }
        if let (Some(sums), Some(stats)) = (&mut self.full, full) {
            sums.add(dtype, role, stats);
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
                full: self.full.as_ref().zip(full).map(|(sums, stats)| sums.row(stats)),
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

    pub(super) fn sparsest(&self, selected: &[Tensor<'_>], outcome: &ScanOutcome, order: &[Vec<usize>]) -> Vec<SparseRow> {
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
