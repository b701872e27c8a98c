//! Budgets: bytes on disk, parameters, memory at inference.

use crate::audit::check::{Check, code};
use crate::audit::finding::Severity::{Error as Bad, Warning};
use crate::audit::finding::{Code, Finding, Findings};
use crate::audit::subject::Subject;
use crate::project::memory::{Budget, Verdict};
use crate::project::{MemoryRequest, ProjectInput, memory};
use crate::units::{Bytes, Params, grouped};

const SIZE: Code = code(
    "over-size",
    "More bytes on disk than allowed",
    Bad,
    "The selected files take more than `--max-size` (or `max_size` of the policy) allows. Copies and alternatives that are not selected do not count.",
);
const PARAMS: Code = code(
    "over-params",
    "More parameters than allowed",
    Bad,
    "The selected weights have more logical parameters than `--max-params` allows: packed weights are counted unpacked.",
);
const RAM: Code = code(
    "over-ram",
    "More memory at inference than allowed",
    Bad,
    "Weights and KV cache at the stated context, by an engine's conventions, take more than `--max-ram` even at the low end. It is a warning where only the high end does; \
     `weigh memory` shows the terms.",
);
const RAM_UNKNOWN: Code = code(
    "ram-unknown",
    "No verdict on the memory at inference",
    Warning,
    "`--max-ram` (or `max_ram` of the policy) asks for a bound that cannot be judged: no weights were read, a shard is missing or cut short, or the cache of this architecture is \
     not known. What was asked for is not answered, so the exit code is 2; `--allow ram-unknown` takes that for good.",
);

pub(super) const CHECK: Check = Check { name: "budget", codes: &[SIZE, PARAMS, RAM, RAM_UNKNOWN], run };

/// Whether a finding says that a budget could not be judged.
pub(crate) fn is_unanswered(finding: &Finding) -> bool {
    finding.code == RAM_UNKNOWN.code
}

fn run(subject: &Subject<'_>, out: &mut Findings) {
    let Some(checkpoint) = subject.checkpoint else { return };
    let bounds = subject.bounds;
    if let Some(most) = bounds.max_size {
        let bytes =
            checkpoint.selected_files().iter().fold(0u64, |sum, &i| sum.saturating_add(checkpoint.files[i].container.file_len));
        if bytes > most {
            let message = format!(
                "the selected files take {} ({} bytes), more than {}",
                Bytes(bytes).binary(),
                grouped(bytes),
                Bytes(most).binary()
            );
            out.push(Finding::new(&SIZE, message));
        }
    }
    if let Some(most) = bounds.max_params {
        let params = checkpoint.logical_params();
        if params > most {
            let message =
                format!("{} parameters ({}), more than {}", Params(params).short(), grouped(params), Params(most).short());
            out.push(Finding::new(&PARAMS, message));
        }
    }
    let Some(most) = bounds.max_ram else { return };
    let request = MemoryRequest {
        engines: MemoryRequest::default_engines(checkpoint.format()),
        ctx: bounds.ctx,
        fit: vec![Budget::total(most)],
        ..MemoryRequest::default()
    };
    let report = memory(&ProjectInput::from_checkpoint(checkpoint), &request);
    let mut unknown: Vec<(String, Vec<&str>)> = Vec::new();
    for row in &report.fit {
        let engine = row.engine.unwrap_or_default();
        let needs = match row.needs_high {
            Some(high) => format!("{} to {}", Bytes(row.needs_low).binary(), Bytes(high).binary()),
            None => format!("over {}", Bytes(row.needs_low).binary()),
        };
        let ctx = grouped(report.inputs.ctx);
        let message = format!("{engine} at a context of {ctx} needs {needs}; allowed are {}", Bytes(most).binary());
        match row.verdict {
            Verdict::No => out.push(Finding::new(&RAM, message)),
            Verdict::Tight => out.push(Finding::new(&RAM, message).severity(Warning)),
            Verdict::Unknown => match unknown.iter_mut().find(|(why, _)| *why == row.why) {
                Some((_, engines)) => engines.push(engine),
                None => unknown.push((row.why.clone(), vec![engine])),
            },
            Verdict::Fits => {}
        }
    }
    for (why, engines) in unknown {
        let message = format!("no verdict on whether {} takes at most {}: {why}", engines.join(" or "), Bytes(most).binary());
        out.push(Finding::new(&RAM_UNKNOWN, message));
    }
}
