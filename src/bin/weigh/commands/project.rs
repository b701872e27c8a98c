//! `weigh project`: what it would weigh.

use serde::Serialize;
use weighbridge::checkpoint::OpenOptions;
use weighbridge::dtype::Dtype;
use weighbridge::error::{Error, ErrorKind, Result};
use weighbridge::project::prune::PruneSpec;
use weighbridge::project::quantize::{Options, QuantTarget};
use weighbridge::project::shard::ShardSpec;
use weighbridge::project::training_data::{DataRow, project_data};
use weighbridge::project::{ProjectInput, Request, Target, folder_for_targets, project};
use weighbridge::report::document::{Document, Head};
use weighbridge::report::project::ProjectBody;
use weighbridge::report::sections::{self, Detail};
use weighbridge::scan::{Io, ScanOptions, Selection};
use weighbridge::text::escape;

use crate::args::{Common, ProjectArgs};
use crate::opened::{named, outcome_of, warn_of_problems};
use crate::outcome::Outcome;
use crate::output::Output;
use crate::scanning::{outcome_of_scan, watch};
use crate::{machine, magnitudes};

#[derive(Serialize)]
struct DataBody {
    data: DataRow,
}

/// Opens PATH and prints its projections; with `--data`, the storage of a training set.
pub(crate) fn run(args: &ProjectArgs, common: &Common, output: &Output) -> Result<Outcome> {
    let Some(path) = &args.path else { return run_data(args, output) };
    let opening = OpenOptions { only_this_file: args.only_this_file, ..OpenOptions::default() };
    let checkpoint = named(path, common)?.open_or_declared(&opening)?;
    let targets = match args.to.as_deref() {
        Some(names) => Target::parse_list(names, checkpoint.format()),
        None if args.prune.is_none() && args.shard.is_none() => Target::common(checkpoint.format()),
        None => Vec::new(),
    };
    let mut request = Request {
        targets,
        budget: args.fit.as_deref().map(budget).transpose()?,
        options: Options {
            imatrix: args.imatrix,
            pure_mixture: args.pure,
            output_type: args.output_type.as_deref().map(Dtype::parse_ggml).transpose()?,
            embedding_type: args.embedding_type.as_deref().map(Dtype::parse_ggml).transpose()?,
            outtype: args.outtype.as_deref().map(QuantTarget::parse_outtype).transpose()?,
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
    let mut outcome = outcome_of(&checkpoint);
    let measures = request.prune.iter().any(|spec| matches!(spec, PruneSpec::Measured));
    if checkpoint.declared && (measures || args.scan) {
        let message = "there are no weights to measure zeros or magnitudes in, only a config.json";
        return Err(Error::new(ErrorKind::Usage, message)
            .with_path(path)
            .help("give a share of zeros, as --prune 0.5, without --scan"));
    }
    if measures {
        let selection = Selection::of(&checkpoint, &|_| true);
        let found = watch(&selection, &ScanOptions { io: Io::Auto, ..ScanOptions::default() }, !common.no_progress)?;
        outcome = outcome.max(outcome_of_scan(&checkpoint, &found));
        request.zeros = Some(selection.zeros(&checkpoint, &found));
    }
    let folder = folder_for_targets(&checkpoint, &request.targets, args.pre.as_deref());
    let input = ProjectInput::from_checkpoint(&checkpoint).with_folder(folder.as_ref());
    if args.scan {
        let (cutoffs, of_reading) = magnitudes::read(&checkpoint, &input, &request.prune, !common.no_progress)?;
        (request.cutoffs, outcome) = (cutoffs, outcome.max(of_reading));
    }
    let projection = project(&input, &request);
    if projection.has_only_refusals() {
        outcome = outcome.max(Outcome::Incomplete);
    }
    let body = ProjectBody::of(&checkpoint, projection);
    let cautions = checkpoint.cautions();
    let head = Head { notes: Some(cautions.clone()), ..Head::new("project", Some(path.to_string_lossy().into_owned())) };
    let mut sections = sections::errors(&checkpoint);
    sections.extend(sections::cautions(&cautions));
    sections.extend(sections::project(&body.projection, Detail::Full));
    sections.extend(sections::copies(&body.copies));
    output.write(&Document { head, body }, &sections)?;
    if !output.streams() {
        warn_of_problems(&checkpoint);
    }
    Ok(outcome)
}

/// Bytes of all devices of a budget.
fn budget(text: &str) -> Result<u64> {
    machine::budget(text).map(|b| b.bytes.saturating_mul(b.devices.unwrap_or(1)))
}

fn list<T>(text: Option<&str>, parse: fn(&str) -> Result<T>) -> Result<Vec<T>> {
    text.unwrap_or_default().split(',').filter(|part| !part.trim().is_empty()).map(parse).collect()
}

fn run_data(args: &ProjectArgs, output: &Output) -> Result<Outcome> {
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
    Ok(Outcome::Done)
}
