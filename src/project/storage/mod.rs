//! Storage: the checkpoint quantized, pruned, sharded, and the bridge that says where the bytes went.

pub mod bridge;
pub mod copies;
pub mod data;
pub mod gguf;
mod narrowest;
mod part;
pub mod plan;
pub mod prune;
pub mod row;
pub mod safetensors_file;
pub mod scheme;
pub mod shard;
mod stacked;
pub mod unpack;

pub use plan::Basis;
pub use row::{Actual, FellBack, QuantizedRow, TypeRow};
pub use scheme::Target;

use serde::Serialize;

use crate::dtype::Dtype;
use crate::format::limits;
use crate::project::input::ProjectInput;
use crate::stats::magnitude::Cutoffs;
use crate::units::grouped;

/// What a projection is asked for.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Schemes, in the order of the rows.
    pub targets: Vec<Target>,
    /// Bytes that the files of a scheme may take; marks the rows that fit.
    pub budget: Option<u64>,
    /// How the quantizers are run.
    pub options: Options,
    /// Pruned forms.
    pub prune: Vec<prune::PruneSpec>,
    /// Exact zeros of each tensor, aligned with [`ProjectInput::tensors`]; `None` for a tensor that was not scanned.
    pub zeros: Option<Vec<Option<u64>>>,
    /// Thresholds of magnitude pruning, aligned likewise, at the shares that [`Request::prune`] asks for.
    pub cutoffs: Option<Cutoffs>,
    /// Shard plans.
    pub shards: Vec<shard::ShardSpec>,
    /// A tensor whose type is to be explained under every target.
    pub explain: Option<String>,
}

/// Options of the quantizers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// An importance matrix is given to `llama-quantize`.
    pub imatrix: bool,
    /// `llama-quantize --pure`: no mixture.
    pub pure_mixture: bool,
    /// `llama-quantize --output-tensor-type`.
    pub output_type: Option<Dtype>,
    /// `llama-quantize --token-embedding-type`.
    pub embedding_type: Option<Dtype>,
    /// Outtype of the Hugging Face converter whose file `llama-quantize` starts from; without one, `auto`.
    pub outtype: Option<gguf::QuantTarget>,
    /// Weights per scale, for safetensors schemes whose groups can be chosen.
    pub group: Option<u64>,
    /// Safetensors schemes quantize the output head.
    pub quantize_head: bool,
    /// Safetensors schemes quantize the input embedding.
    pub quantize_embedding: bool,
}

/// The answers, in the field names of the JSON report.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Projection {
    /// What is there now.
    pub actual: Actual,
    /// One row per target.
    pub quantized: Vec<QuantizedRow>,
    /// One row per pruning asked for.
    pub pruned: Vec<prune::PrunedRow>,
    /// One row per shard plan.
    pub sharded: Vec<shard::ShardedRow>,
    /// Why the tensor asked for has its type, one row per target.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub explained: Vec<scheme::Explained>,
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
    let stored = scheme::Context::new(input, request.options);
    let floats = unpack::is_needed(input).then(|| unpack::unpack(input));
    let folder = match (&floats, input.folder) {
        (Some(Ok(unpacked)), Some(folder)) => Some(unpack::folder_of(folder, unpacked)),
        _ => None,
    };
    let unpacked = floats.as_ref().and_then(|floats| floats.as_ref().ok());
    let unpacked = unpacked.map(|unpacked| unpacked.input.clone().with_folder(folder.as_ref()));
    let of_floats = unpacked.as_ref().map(|floats| scheme::Context::new(floats, request.options));
    let context = of_floats.as_ref().unwrap_or(&stored);
    let mut projection = Projection {
        actual: Actual::of(input),
        quantized: request
            .targets
            .iter()
            .map(|target| unpack::row(&stored, floats.as_ref(), of_floats.as_ref(), target).against(request.budget))
            .collect(),
        pruned: request.prune.iter().map(|spec| prune::row_under(input, spec, request)).collect(),
        explained: match &request.explain {
            Some(name) => request.targets.iter().map(|target| scheme::explain(context, target, name)).collect(),
            None => Vec::new(),
        },
        sharded: request.shards.iter().map(|spec| shard::row(input, spec)).collect(),
    };
    if let Some(shortfall) = &input.provenance.shortfall {
        part::mark(&mut projection, shortfall);
    }
    if let Some(why) = input.provenance.estimate_reason() {
        for row in projection.quantized.iter_mut().filter(|row| row.basis == Basis::Exact) {
            row.basis = Basis::Estimate;
            row.notes.push(why.to_owned());
        }
    }
    projection
}
