//! Which projections need what lies beside the weights of a Hugging Face folder, and the projections of a whole checkpoint.

use super::input::ProjectInput;
use super::memory::{MemoryReport, MemoryRequest, engines, memory};
use super::projection::{Projection, Request, project};
use super::quantize::Target;
use crate::checkpoint::{Checkpoint, HfFolder};
use crate::format::Format;

/// The tokenizer, card and configuration beside the weights, read only where a GGUF target is asked of a Hugging Face folder. `pre` names
/// the pre-tokenizer that the converter finds by running it.
pub fn folder_for_targets(checkpoint: &Checkpoint, targets: &[Target], pre: Option<&str>) -> Option<HfFolder> {
    let format = checkpoint.format();
    let to_gguf = |target: &Target| target.resolve(format).is_some_and(|scheme| scheme.container == Format::Gguf);
    if format != Some(Format::Safetensors) || !targets.iter().any(to_gguf) {
        return None;
    }
    let mut folder = HfFolder::of(checkpoint)?;
    folder.pre = pre.map(str::to_owned);
    Some(folder)
}

/// The same for memory: read only where an engine is asked about that needs the weights converted.
pub fn folder_for_engines(checkpoint: &Checkpoint, request: &MemoryRequest) -> Option<HfFolder> {
    let converts = |name: &String| engines::find(name).is_some_and(|engine| engine.reads_gguf());
    if !request.engines.iter().any(converts) {
        return None;
    }
    HfFolder::declared(checkpoint).or_else(|| HfFolder::of(checkpoint))
}

/// Projects a checkpoint, with what lies beside its weights where that is needed.
pub fn project_checkpoint(checkpoint: &Checkpoint, request: &Request) -> Projection {
    let folder = folder_for_targets(checkpoint, &request.targets, None);
    project(&ProjectInput::from_checkpoint(checkpoint).with_folder(folder.as_ref()), request)
}

/// Projects the memory of a checkpoint. Without engines and without training in the request, the engines that read its format are taken;
/// where its weights are in files that are not read, those that config.json declares stand for them, which a note says.
pub fn memory_of_checkpoint(checkpoint: &Checkpoint, request: &MemoryRequest) -> MemoryReport {
    let request = request.clone().with_default_engines(checkpoint.format());
    let of = |weights: &Checkpoint| {
        let folder = folder_for_engines(weights, &request);
        memory(&ProjectInput::from_checkpoint(weights).with_folder(folder.as_ref()), &request)
    };
    match checkpoint.stand_in() {
        Some(stand_in) => {
            let mut report = of(&stand_in.checkpoint);
            report.notes.push(stand_in.note);
            report
        }
        None => of(checkpoint),
    }
}
