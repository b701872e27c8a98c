//! What a scan found, gathered tensor by tensor: sums by dtype and role, rows, remarks.

use std::cmp::Ordering;

use super::full::FullSums;
use super::{MAX_REMARKS, MAX_SLICES, Remark, SPARSE, SPARSEST, ScalesRow, SparseRow, StatsRow, TensorStatsRow, Weight};
use crate::checkpoint::{Checkpoint, Role, Tensor};
use crate::report::show::stated_shape;
use crate::scan::ScanOutcome;
use crate::stats::full::FullStats;
use crate::stats::{Pairwise, TensorStats};

pub(super) struct Gather<'a> {
    pub(super) checkpoint: &'a Checkpoint,
    pub(super) dtypes: Vec<(String, Group)>,
    pub(super) roles: Vec<(Role, Group)>,
    pub(super) rows: Vec<TensorStatsRow>,
    /// Remarks, no more of each weight than are shown.
    pub(super) remarks: Vec<Remark>,
    pub(super) remarked: u64,
    pub(super) all: Pairwise,
    pub(super) full: Option<FullSums<'a>>,
}

/// Tensors taken together.
#[derive(Default)]
pub(super) struct Group {
    pub(super) tensors: u64,
    pub(super) stats: Pairwise,
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
                full: self.full.as_ref().zip(full).map(|(sums, stats)| Box::new(sums.row(stats))),
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
            self.remarked += 1;
            // Of a weight that has enough of them, none is shown.
            if self.remarks.iter().filter(|known| known.severity == severity).count() >= MAX_REMARKS {
                return;
            }
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
}

/// Of the tensors that are sparse, those with most zeros.
pub(super) fn sparsest(selected: &[Tensor<'_>], outcome: &ScanOutcome, order: &[Vec<usize>]) -> Vec<SparseRow> {
    let mut found: Vec<(usize, TensorStats, f64)> = Vec::new();
    for (file, order) in outcome.files.iter().zip(order) {
        for (tensor, &index) in file.tensors.iter().zip(order) {
            let Some(stats) = tensor.stats else { continue };
            let Some(sparsity) = stats.sparsity().filter(|&s| s >= SPARSE) else { continue };
            let before = |known: &(usize, TensorStats, f64)| match known.1.zeros.cmp(&stats.zeros) {
                Ordering::Equal => selected[known.0].name() <= selected[index].name(),
                unequal => unequal == Ordering::Greater,
            };
            let place = found.partition_point(before);
            if place < SPARSEST {
                found.insert(place, (index, stats, sparsity));
                found.truncate(SPARSEST);
            }
        }
    }
    let row = |(index, stats, sparsity): (usize, TensorStats, f64)| SparseRow {
        name: selected[index].name().into_owned(),
        dtype: selected[index].dtype_name().to_owned(),
        elements: stats.elements,
        zeros: stats.zeros,
        sparsity,
    };
    found.into_iter().map(row).collect()
}

fn push<K: PartialEq>(groups: &mut Vec<(K, Group)>, key: K, stats: TensorStats) {
    let place = groups.iter().position(|(known, _)| *known == key).unwrap_or_else(|| {
        groups.push((key, Group::default()));
        groups.len() - 1
    });
    let group = &mut groups[place].1;
    group.tensors += 1;
    group.stats.push(stats);
}
