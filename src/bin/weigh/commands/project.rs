//! `weigh project`: what it would weigh.

mod magnitudes;

use serde::Serialize;
use weighbridge::checkpoint::{Checkpoint, HfFolder};
use weighbridge::dtype::Dtype;
use weighbridge::error::{Error, ErrorKind, Result};
use weighbridge::format::Format;
use weighbridge::project::Projection;
use weighbridge::project::copies::{CopyRow, copies};
use weighbridge::project::prune::PruneSpec;
use weighbridge::project::quantize::Options;
use weighbridge::project::quantize::QuantTarget;
use weighbridge::project::shard::ShardSpec;
use weighbridge::project::training_data::{DataRow, project_data};
use weighbridge::project::{Basis, ProjectInput, Request, Target, project};
use weighbridge::report::document::{Document, Head};
use weighbridge::report::sections::{self, Detail};
use weighbridge::report::show::cautions;
use weighbridge::scan::{Io, ScanOptions, ScanOutcome, Selection};
use weighbridge::text::escape;

use super::End;
use super::opened::{complain_of, end_of, open_or_declared};
use super::scan::{ended, select, watch};
use crate::args::{Common, ProjectArgs};
use crate::machine;
use crate::output::Output;

/// Schemes shown when none is asked for, by the source's format: sizes people choose between.
const FROM_SAFETENSORS: &str = "f32,f16,bf16,fp8,int8,gguf:q8_0,gguf:q4_0";
const FROM_GGUF: &str = "f16,q8_0,q6_k,q5_k_m,q4_k_m,q4_0,q2_k";

/// Outtypes of `convert_hf_to_gguf.py`.
const OUTTYPES: [(&str, QuantTarget); 7] = [
    ("f32", QuantTarget::F32),
    ("f16", QuantTarget::F16),
    ("bf16", QuantTarget::Bf16),
    ("q8_0", QuantTarget::Q8_0),
    ("tq1_0", QuantTarget::Tq1_0),
    ("tq2_0", QuantTarget::Tq2_0),
    ("auto", QuantTarget::Auto),
];

#[derive(Serialize)]
pub(crate) struct Body {
    #[serde(flatten)]
    pub(crate) projection: Projection,
    pub(crate) copies: Vec<CopyRow>,
}

#[derive(Serialize)]
struct DataBody {
    data: DataRow,
}

/// Runs it.
pub(crate) fn run(args: &ProjectArgs, common: &Common, output: &Output) -> Result<End> {
    let Some(path) = &args.path else { return run_data(args, output) };
    let checkpoint = open_or_declared(path, args.only_this_file, false)?;
    let mut request = Request {
        targets: targets(&checkpoint, args.to.as_deref(), args.prune.is_none() && args.shard.is_none()),
        budget: args.fit.as_deref().map(budget).transpose()?,
        options: Options {
            imatrix: args.imatrix,
            pure_mixture: args.pure,
            output_type: args.output_type.as_deref().map(ggml_type).transpose()?,
            embedding_type: args.embedding_type.as_deref().map(ggml_type).transpose()?,
            outtype: args.outtype.as_deref().map(outtype).transpose()?,
            group: args.group,
            quantize_head: args.quantize_head,
            quantize_embedding: args.quantize_embedding,
        },
        prune: PruneSpec::parse_list(args.prune.as_deref().unwrap_or_default())?,
        zeros: None,
        cutoffs: None,
        shards: list(args.shard.as_deref(), ShardSpec::parse)?,
        explain: args.explain.clone(),
    };
    let mut end = end_of(&checkpoint);
    let measures = request.prune.iter().any(|spec| matches!(spec, PruneSpec::Measured));
    if checkpoint.declared && (measures || args.scan) {
        let message = "there are no weights to measure zeros or magnitudes in, only a config.json";
        return Err(Error::new(ErrorKind::Usage, message)
            .with_path(path)
            .help("give a share of zeros, as --prune 0.5, without --scan"));
    }
    if measures {
        let selection = select(&checkpoint, None)?;
        let outcome = watch(&selection, &ScanOptions { io: Io::Auto, ..ScanOptions::default() }, !common.no_progress)?;
        end = end.max(ended(&checkpoint, &outcome));
        request.zeros = Some(zeros(&checkpoint, &selection, &outcome));
    }
    let folder = hf_folder(&checkpoint, &request.targets, args.pre.as_deref());
    let input = ProjectInput::from_checkpoint(&checkpoint).with_folder(folder.as_ref());
    if args.scan {
        let (cutoffs, ended) = magnitudes::read(&checkpoint, &input, &request.prune, !common.no_progress)?;
        (request.cutoffs, end) = (cutoffs, end.max(ended));
    }
    let mut projection = project(&input, &request);
    estimate(&checkpoint, &mut projection);
    if !projection.quantized.is_empty() && projection.quantized.iter().all(|row| row.basis == Basis::Refused) {
        end = end.max(End::Incomplete);
    }
    if !projection.pruned.is_empty() && projection.pruned.iter().all(|row| row.logical_params.is_none()) {
        end = end.max(End::Incomplete);
    }
    let body = Body { copies: copies(&checkpoint), projection };
    let head = Head { notes: Some(cautions(&checkpoint)), ..Head::new("project", Some(path.to_string_lossy().into_owned())) };
    let mut sections = sections::errors(&checkpoint);
    sections.extend(sections::cautions(&cautions(&checkpoint)));
    sections.extend(sections::project(&body.projection, Detail::Full));
    sections.extend(sections::copies(&body.copies));
    output.write(&Document { head, body }, &sections)?;
    if !output.streams() {
        complain_of(&checkpoint);
    }
    Ok(end)
}

/// Makes estimates of the rows of weights that are only declared, or stored in slices.
pub(crate) fn estimate(checkpoint: &Checkpoint, projection: &mut Projection) {
    let why = match () {
        () if checkpoint.declared => "exact if the weights are those that config.json declares",
        () if checkpoint.is_sliced() => "of the model that the slices of all ranks make: no converter reads them as they are",
        () => return,
    };
    for row in projection.quantized.iter_mut().filter(|row| row.basis == Basis::Exact) {
        row.basis = Basis::Estimate;
        row.notes.push(why.to_owned());
    }
}

/// The targets asked for; a choice of common ones where nothing at all was asked.
pub(crate) fn targets(checkpoint: &Checkpoint, to: Option<&str>, default: bool) -> Vec<Target> {
    let format = checkpoint.format();
    let common = if format == Some(Format::Gguf) { FROM_GGUF } else { FROM_SAFETENSORS };
    match to {
        Some(text) => Target::parse_list(text, format),
        None if default => Target::parse_list(common, format),
        None => Vec::new(),
    }
}

/// What lies beside the weights, read only where a GGUF target is asked of a Hugging Face folder.
pub(crate) fn hf_folder(checkpoint: &Checkpoint, targets: &[Target], pre: Option<&str>) -> Option<HfFolder> {
    let format = checkpoint.format();
    let to_gguf = |target: &Target| target.resolve(format).is_some_and(|scheme| scheme.container == Format::Gguf);
    if format != Some(Format::Safetensors) || !targets.iter().any(to_gguf) {
        return None;
    }
    let mut folder = HfFolder::of(checkpoint)?;
    folder.pre = pre.map(str::to_owned);
    Some(folder)
}

/// Bytes of all devices of a budget.
fn budget(text: &str) -> Result<u64> {
    machine::budget(text).map(|b| b.bytes.saturating_mul(b.devices.unwrap_or(1)))
}

fn outtype(text: &str) -> Result<QuantTarget> {
    OUTTYPES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text.trim())).map(|(_, target)| *target).ok_or_else(|| {
        let names: Vec<&str> = OUTTYPES.iter().map(|(name, _)| *name).collect();
        Error::new(ErrorKind::Usage, format!("`{}` is no outtype of the converter", escape(text)))
            .help(format!("write one of {}", names.join(", ")))
    })
}

/// Zeros per selected tensor, for the tensors whose stored elements are the weights themselves. None of slices: their tensors are not
/// those of the projection.
pub(crate) fn zeros(checkpoint: &Checkpoint, selection: &Selection, outcome: &ScanOutcome) -> Vec<Option<u64>> {
    if checkpoint.is_sliced() {
        return Vec::new();
    }
    let mut zeros = vec![None; checkpoint.tensors().len()];
    for (file, order) in outcome.files.iter().zip(&selection.order) {
        for (tensor, &index) in file.tensors.iter().zip(order) {
            zeros[index] = tensor.stats.map(|s| s.zeros);
        }
    }
    zeros
}

fn list<T>(text: Option<&str>, parse: fn(&str) -> Result<T>) -> Result<Vec<T>> {
    text.unwrap_or_default().split(',').filter(|part| !part.trim().is_empty()).map(parse).collect()
}

fn ggml_type(text: &str) -> Result<Dtype> {
    let found = Dtype::ALL
        .iter()
        .copied()
        .find(|d| d.info().is_some_and(|row| row.ggml_id.is_some() && row.name.eq_ignore_ascii_case(text.trim())));
    found.ok_or_else(|| {
        Error::new(ErrorKind::Usage, format!("`{}` is no ggml type", escape(text))).help("write q8_0, q6_k, f16, ...")
    })
}

fn run_data(args: &ProjectArgs, output: &Output) -> Result<End> {
    let refuse = |text: &str| {
        Error::new(ErrorKind::Usage, format!("`{}` is no size of a training set", escape(text)))
            .help("write ROWSxCOLUMNS, as 1000000x10000")
    };
    let text = args.data.as_deref().unwrap_or_default();
    let (rows, columns) = text.split_once(['x', 'X']).ok_or_else(|| refuse(text))?;
    let number = |s: &str| s.trim().replace('_', "").parse::<u64>().map_err(|_| refuse(text));
    let name = args.dtype.to_ascii_uppercase();
    let dtype = Dtype::ALL.iter().copied().find(|d| d.name() == Some(name.as_str()));
    let dtype = dtype.ok_or_else(|| {
        Error::new(ErrorKind::Usage, format!("`{}` is no element type", escape(&args.dtype))).help("write F32, BF16, I8, ...")
    })?;
    let data = project_data(number(rows)?, number(columns)?, args.sparsity.unwrap_or(0.0), dtype)?;
    let sections = sections::data(&data);
    output.write(&Document { head: Head::new("project", None), body: DataBody { data } }, &sections)?;
    Ok(End::Done)
}
