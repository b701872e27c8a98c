//! The checkpoint quantized, pruned and sharded: what is asked, and the answers.

use serde::Serialize;

use super::input::ProjectInput;
use super::plan::Basis;
use super::quantize::context::Context;
use super::quantize::options::Options;
use super::quantize::{self, Target};
use super::row::{Actual, QuantizedRow};
use super::{part, prune, shard, unpack};
use crate::format::limits;
use crate::stats::magnitude::Cutoffs;
use crate::units::grouped;

/// Everything a projection is to answer.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Schemes, in the order of the rows.
    pub targets: Vec<Target>,
    /// Bytes that the files of a scheme may take; marks the rows that fit.
    pub budget: Option<u64>,
    /// Options of the quantizers.
    pub options: Options,
    /// Prunings, in the order of the rows.
    pub prune: Vec<prune::PruneSpec>,
    /// Exact zeros of each tensor, aligned with [`ProjectInput::tensors`]; `None` for a tensor that was not scanned.
    pub zeros: Option<Vec<Option<u64>>>,
    /// Thresholds of magnitude pruning, aligned likewise, at the shares that [`Request::prune`] asks for.
    pub cutoffs: Option<Cutoffs>,
    /// Ways to split the checkpoint, in the order of the rows.
    pub shards: Vec<shard::ShardSpec>,
    /// A tensor whose type is to be explained under every target.
    pub explain: Option<String>,
}

/// The answers, in the field names of the JSON report.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Projection {
    /// Size of the checkpoint as it is.
    pub actual: Actual,
    /// One row per target.
    pub quantized: Vec<QuantizedRow>,
    /// One row per pruning asked for.
    pub pruned: Vec<prune::PrunedRow>,
    /// One row per shard plan.
    pub sharded: Vec<shard::ShardedRow>,
    /// Why the tensor asked for has its type, one row per target.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub explained: Vec<quantize::Explained>,
}

impl Projection {
    /// Whether quantized rows, or pruned rows, were asked for and all of them are refused.
    pub fn has_only_refusals(&self) -> bool {
        let (quantized, pruned) = (&self.quantized, &self.pruned);
        !quantized.is_empty() && quantized.iter().all(|row| row.basis == Basis::Refused)
            || !pruned.is_empty() && pruned.iter().all(|row| row.logical_params.is_none())
    }
}

/// Projects a checkpoint. Never fails: what cannot be projected is a row that says why.
pub fn project(input: &ProjectInput<'_>, request: &Request) -> Projection {
    let longest = input.tensors.iter().map(|t| t.name_bytes).max().unwrap_or(0);
    if longest > limits::MAX_PROJECTED_NAME && !(request.targets.is_empty() && request.explain.is_none()) {
        let reason = format!(
            "a tensor has a name of {} bytes: names of more than {} are not projected",
            grouped(longest),
            grouped(limits::MAX_PROJECTED_NAME)
        );
        let refused = |target: &Target| QuantizedRow::refused(&target.name, target.container, reason.clone());
        let rest = Request { targets: Vec::new(), explain: None, ..request.clone() };
        return Projection { quantized: request.targets.iter().map(refused).collect(), ..project(input, &rest) };
    }
    let stored = Context::new(input, request.options);
    let floats = unpack::is_needed(input).then(|| unpack::unpack(input));
    let folder = match (&floats, input.folder) {
        (Some(Ok(unpacked)), Some(folder)) => Some(unpack::folder_of(folder, unpacked)),
        _ => None,
    };
    let unpacked = floats.as_ref().and_then(|floats| floats.as_ref().ok());
    let unpacked = unpacked.map(|unpacked| unpacked.input.clone().with_folder(folder.as_ref()));
    let of_floats = unpacked.as_ref().map(|floats| Context::new(floats, request.options));
    let context = of_floats.as_ref().unwrap_or(&stored);
    let asked = prune::Asked {
        targets: &request.targets,
        options: request.options,
        zeros: request.zeros.as_deref(),
        cutoffs: request.cutoffs.as_ref(),
    };
    let mut projection = Projection {
        actual: Actual::of(input),
        quantized: request
            .targets
            .iter()
            .map(|target| {
                quantize::packed_source::row(&stored, floats.as_ref(), of_floats.as_ref(), target).against(request.budget)
            })
            .collect(),
        pruned: request.prune.iter().map(|spec| prune::row_under(input, spec, &asked)).collect(),
        explained: match &request.explain {
            Some(name) => request.targets.iter().map(|target| quantize::explain(context, target, name)).collect(),
            None => Vec::new(),
        },
        sharded: request.shards.iter().map(|spec| shard::row(input, spec)).collect(),
    };
    if let Some(shortfall) = &input.provenance.shortfall {
        part::mark(&mut projection.quantized, &mut projection.pruned, &mut projection.sharded, shortfall);
    }
    if let Some(why) = input.provenance.estimate_reason() {
        for row in projection.quantized.iter_mut().filter(|row| row.basis == Basis::Exact) {
            row.basis = Basis::Estimate;
            row.notes.push(why.to_owned());
        }
    }
    projection
}
