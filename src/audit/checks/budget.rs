//! Budgets: bytes on disk, parameters, memory at inference.

use super::super::Severity::{Error as Bad, Warning};
use super::super::finding::{Code, Finding, Findings};
use super::super::subject::Subject;
use super::{Check, code};
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
    "Weights and KV cache at the stated context, by an engine's conventions, take more than `--max-ram` even at the low end. It is a warning where only the high end does, or \
     where the cache is not known; `weigh memory` shows the terms.",
);

pub(super) const CHECK: Check = Check { name: "budget", codes: &[SIZE, PARAMS, RAM], run };

fn run(subject: &Subject<'_>, out: &mut Findings) {
    let Some(checkpoint) = subject.checkpoint else { return };
    let policy = subject.policy;
    if let Some(most) = policy.max_size {
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
    if let Some(most) = policy.max_params {
        let params = checkpoint.logical_params();
        if params > most {
            let message =
                format!("{} parameters ({}), more than {}", Params(params).short(), grouped(params), Params(most).short());
            out.push(Finding::new(&PARAMS, message));
        }
    }
    let Some(most) = policy.max_ram.filter(|_| checkpoint.tensors().len() > 0) else { return };
    let request = MemoryRequest {
        engines: MemoryRequest::default_engines(checkpoint.format()),
        ctx: policy.ctx,
        fit: vec![Budget { text: Bytes(most).binary(), bytes: most, devices: 1 }],
        ..MemoryRequest::default()
    };
    let report = memory(&ProjectInput::from_checkpoint(checkpoint), &request);
    for row in &report.fit {
        let needs = match row.needs_high {
            Some(high) => format!("{} to {}", Bytes(row.needs_low).binary(), Bytes(high).binary()),
            None => format!("over {}", Bytes(row.needs_low).binary()),
        };
        let message = format!(
            "{} at a context of {} needs {needs}; allowed are {}",
            row.engine,
            grouped(report.inputs.ctx),
            Bytes(most).binary()
        );
        match row.verdict {
            Some(Verdict::No) => out.push(Finding::new(&RAM, message)),
            Some(Verdict::Tight) => out.push(Finding::new(&RAM, message).severity(Warning)),
            None => out.push(Finding::new(&RAM, format!("{message}; the KV cache is not known")).severity(Warning)),
            Some(Verdict::Fits) => {}
        }
    }
}
