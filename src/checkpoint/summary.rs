//! Sums over the selected tensors: in all, per dtype, role, layer and file.

use serde::Serialize;

use super::config::{ActiveParams, ParamCounts, active_params};
use super::{Checkpoint, Part, Role, Tensor, TiedEmbeddings};
use crate::dtype::Dtype;
use crate::units::bits_per_weight;

/// Sums over a group of tensors. Elements as stored, parameters as logical weights, bytes on disk. The names are those of the JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Sums {
    /// How many tensors.
    pub tensors: u64,
    /// Elements as the headers declare them.
    pub stored_elements: u64,
    /// Logical weights: packed ones unpacked; bookkeeping and buffers left out.
    pub logical_params: u64,
    /// Bytes of the tensors' data.
    pub bytes: u64,
}

impl Sums {
    /// Adds one tensor.
    pub fn add(&mut self, tensor: &Tensor<'_>) {
        self.tensors += 1;
        self.stored_elements = self.stored_elements.saturating_add(tensor.info.elements);
        self.logical_params = self.logical_params.saturating_add(tensor.logical_params);
        self.bytes = self.bytes.saturating_add(tensor.info.bytes);
    }

    /// Adds another group.
    pub fn merge(&mut self, other: &Self) {
        self.tensors += other.tensors;
        self.stored_elements = self.stored_elements.saturating_add(other.stored_elements);
        self.logical_params = self.logical_params.saturating_add(other.logical_params);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }
}

/// The sums of a checkpoint.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Summary {
    /// Over all selected tensors.
    pub total: Sums,
    /// Per dtype name, most bytes first.
    pub dtypes: Vec<(String, Sums)>,
    /// Per role, most bytes first.
    pub roles: Vec<(Role, Sums)>,
    /// Per block index; `None` for what stands outside of blocks. In block order.
    pub layers: Vec<(Option<u32>, Sums)>,
    /// Buffers that are no weights.
    pub buffers: Sums,
    /// Bookkeeping of a quantization.
    pub auxiliary: Sums,
    /// Lengths of the selected files.
    pub file_bytes: u64,
    /// How many selected files.
    pub files: u64,
}

/// The sums of the selected weight sets in one row: `totals` of the JSON.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Totals {
    /// Selected files.
    pub files: u64,
    /// Tensors.
    pub tensors: u64,
    /// Elements as the headers declare them.
    pub stored_elements: u64,
    /// Logical weights.
    pub logical_params: u64,
    /// Logical weights with each tied weight once, where tying is proved.
    pub unique_params: u64,
    /// Bytes of tensor data.
    pub tensor_bytes: u64,
    /// Bytes of the files.
    pub file_bytes: u64,
    /// 8 x tensor bytes / logical parameters; null without parameters.
    pub bits_per_weight: Option<f64>,
}

impl Summary {
    /// Sums up the selected tensors in one pass.
    pub fn of(checkpoint: &Checkpoint) -> Self {
        let mut summary = Self::default();
        let mut dtypes: Vec<(Dtype, String, Sums)> = Vec::new();
        let mut roles: std::collections::BTreeMap<Role, Sums> = std::collections::BTreeMap::new();
        let mut layers: std::collections::BTreeMap<Option<u32>, Sums> = std::collections::BTreeMap::new();
        for tensor in checkpoint.tensors() {
            summary.total.add(&tensor);
            let name = tensor.dtype_name();
            // Unknown dtypes are told apart by spelling: their numbers differ from file to file.
            match dtypes.iter_mut().find(|(dtype, spelling, _)| *dtype == tensor.info.dtype && spelling == name) {
                Some((_, _, sums)) => sums.add(&tensor),
                None => {
                    let mut sums = Sums::default();
                    sums.add(&tensor);
                    dtypes.push((tensor.info.dtype, name.to_owned(), sums));
                }
            }
            roles.entry(tensor.naming.role).or_default().add(&tensor);
            layers.entry(tensor.naming.layer).or_default().add(&tensor);
            match tensor.part {
                Part::Weight => {}
                Part::Buffer => summary.buffers.add(&tensor),
                Part::Auxiliary => summary.auxiliary.add(&tensor),
            }
        }
        let mut by_name: Vec<(String, Sums)> = Vec::new();
        for (_, name, sums) in dtypes {
            match by_name.iter_mut().find(|(n, _)| *n == name) {
                Some((_, total)) => total.merge(&sums),
                None => by_name.push((name, sums)),
            }
        }
        by_name.sort_by(|a, b| b.1.bytes.cmp(&a.1.bytes).then_with(|| a.0.cmp(&b.0)));
        summary.dtypes = by_name;
        summary.roles = roles.into_iter().collect();
        summary.roles.sort_by(|a, b| b.1.bytes.cmp(&a.1.bytes).then_with(|| a.0.cmp(&b.0)));
        summary.layers = layers.into_iter().collect();
        let selected = checkpoint.selected_files();
        summary.files = selected.len() as u64;
        summary.file_bytes = selected.iter().fold(0, |sum: u64, &i| sum.saturating_add(checkpoint.files[i].container.file_len));
        summary
    }
    /// The sums of the selected weight sets in one row.
    pub fn totals(&self) -> Totals {
        let sums = &self.total;
        Totals {
            files: self.files,
            tensors: sums.tensors,
            stored_elements: sums.stored_elements,
            logical_params: sums.logical_params,
            unique_params: sums.logical_params,
            tensor_bytes: sums.bytes,
            file_bytes: self.file_bytes,
            bits_per_weight: bits_per_weight(sums.bytes, sums.logical_params),
        }
    }

    /// Parameters that work on one token of text: all but the routed experts that it does not pass, multi-token prediction layers, towers
    /// and adapters. `None` where the experts are not known.
    pub fn active_params(&self, checkpoint: &Checkpoint) -> Option<ActiveParams> {
        let of = |role: Role| self.roles.iter().find(|(r, _)| *r == role).map_or(0, |(_, sums)| sums.logical_params);
        let aside: u64 = [Role::Mtp, Role::Vision, Role::Audio, Role::Projector, Role::Adapter].into_iter().map(of).sum();
        let counts = ParamCounts {
            total: self.total.logical_params - aside,
            routed_experts: of(Role::Expert),
            embedding: of(Role::Embedding),
            lm_head: of(Role::LmHead),
        };
        let (model, tied) = (&checkpoint.model, matches!(checkpoint.tied, TiedEmbeddings::Shared));
        active_params(counts, model.experts, model.experts_used, tied)
    }
}
