//! What a scan found, gathered tensor by tensor: sums by dtype and role, remarks, the sparsest.

use std::cmp::Ordering;

use super::full::FullSums;
use super::remarks::remarks_on;
use super::{MAX_REMARKS, Remark, SPARSE, SPARSEST, SparseRow};
use crate::checkpoint::{Checkpoint, Role, Tensor};
use crate::scan::{ScanOutcome, TensorOutcome};
use crate::stats::full::FullStats;
use crate::stats::{Pairwise, TensorStats};

pub(super) struct Gather<'a> {
    pub(super) checkpoint: &'a Checkpoint,
    pub(super) dtypes: Vec<(String, Group)>,
    pub(super) roles: Vec<(Role, Group)>,
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
    pub(super) fn tensor(&mut self, tensor: &Tensor<'_>, outcome: &TensorOutcome, full: Option<&FullStats>) {
        let (dtype, role) = (tensor.dtype_name(), tensor.naming.role);
        if let Some(stats) = outcome.stats {
            push(&mut self.dtypes, dtype.to_owned(), stats);
            push(&mut self.roles, role, stats);
            self.all.push(stats);
            self.remark(tensor, &stats, &outcome.slices);
        }
        if let (Some(sums), Some(stats)) = (&mut self.full, full) {
            sums.add(dtype, role, stats);
        }
    }

    /// Counts what is remarkable about a tensor, and keeps what may be shown of it.
    fn remark(&mut self, tensor: &Tensor<'_>, stats: &TensorStats, slices: &[TensorStats]) {
        remarks_on(tensor, stats, slices, &mut |_, severity, message| {
            self.remarked += 1;
            // Of a weight that has enough of them, none is shown.
            if self.remarks.iter().filter(|known| known.severity == severity).count() >= MAX_REMARKS {
                return;
            }
            let file = self.checkpoint.files[tensor.file].name.clone();
            self.remarks.push(Remark { severity, tensor: tensor.name().into_owned(), file, message });
        });
    }
}

/// Of the tensors that are sparse, those with most zeros.
pub(super) fn sparsest(checkpoint: &Checkpoint, outcome: &ScanOutcome, order: &[Vec<usize>]) -> Vec<SparseRow> {
    let mut found: Vec<(Tensor<'_>, TensorStats, f64)> = Vec::new();
    for (file, order) in outcome.files.iter().zip(order) {
        for (scanned, &place) in file.tensors.iter().zip(order) {
            let (Some(tensor), Some(stats)) = (checkpoint.tensor(place), scanned.stats) else { continue };
            let Some(sparsity) = stats.sparsity().filter(|&s| s >= SPARSE) else { continue };
            let before = |known: &(Tensor<'_>, TensorStats, f64)| match known.1.zeros.cmp(&stats.zeros) {
                Ordering::Equal => known.0.name() <= tensor.name(),
                unequal => unequal == Ordering::Greater,
            };
            let place = found.partition_point(before);
            if place < SPARSEST {
                found.insert(place, (tensor, stats, sparsity));
                found.truncate(SPARSEST);
            }
        }
    }
    let row = |(tensor, stats, sparsity): (Tensor<'_>, TensorStats, f64)| SparseRow {
        name: tensor.name().into_owned(),
        dtype: tensor.dtype_name().to_owned(),
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
