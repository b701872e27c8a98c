//! Weights under the names of a wrapper that was around the model when it was saved.

use crate::audit::check::{Check, code};
use crate::audit::finding::Severity::Warning;
use crate::audit::finding::{Code, Finding, Findings};
use crate::audit::subject::Subject;
use crate::audit::tensors::main_tensors;
use crate::format::Format;
use crate::units::grouped;

const WRAPPED: Code = code(
    "wrapped-names",
    "Names of a wrapper",
    Warning,
    "The names of the tensors carry what a wrapper puts before them: `_orig_mod.` of torch.compile, `module.` of DataParallel and DeepSpeed, `_fsdp_wrapped_module.` of FSDP, \
     `.base_layer.` of an adapter that was not merged. Loaders look for the names of the model itself: transformers starts from random values, vLLM stops. Save the model that \
     is inside the wrapper, or merge the adapter (`merge_and_unload`).",
);

pub(super) const CHECK: Check = Check { name: "wrapped_names", codes: &[WRAPPED], run };

/// Pieces of names, and the wrapper that puts them there.
const WRAPPERS: &[(&str, &str)] = &[
    ("_orig_mod", "torch.compile"),
    ("_fsdp_wrapped_module", "FSDP"),
    ("_checkpoint_wrapped_module", "activation checkpointing"),
    ("_forward_module", "Lightning Fabric"),
    ("base_layer", "an adapter of PEFT that was not merged"),
    ("modules_to_save", "an adapter of PEFT that was not merged"),
    (MODULE, "DataParallel or DeepSpeed"),
];

/// Models have parts of this name too: it is a wrapper's where every name begins with it, or what follows another wrapper does.
const MODULE: &str = "module";

fn run(subject: &Subject<'_>, out: &mut Findings) {
    let Some(checkpoint) = subject.checkpoint else { return };
    if checkpoint.components.iter().all(|component| component.name == "adapter") {
        return;
    }
    let mut all = 0u64;
    // How often each stands in a name, and the first place.
    let mut found: Vec<Option<(u64, usize, String)>> = vec![None; WRAPPERS.len()];
    for tensor in main_tensors(checkpoint).filter(|t| t.container.format == Format::Safetensors) {
        let name = tensor.name();
        all += 1;
        for (row, (word, _)) in found.iter_mut().zip(WRAPPERS) {
            let wraps = if *word == MODULE { begins_with_module(&name) } else { name.split('.').any(|piece| piece == *word) };
            if wraps {
                row.get_or_insert_with(|| (0, tensor.file, name.clone().into_owned())).0 += 1;
            }
        }
    }
    for (row, (word, wrapper)) in found.into_iter().zip(WRAPPERS) {
        let Some((count, file, example)) = row.filter(|(count, ..)| *word != MODULE || *count == all) else { continue };
        let message = format!("{} of {} names carry `{word}.` of {wrapper}", grouped(count), grouped(all));
        out.push(Finding::new(&WRAPPED, message).file(&checkpoint.files[file].name).tensor(&example));
    }
}

fn begins_with_module(name: &str) -> bool {
    let is_wrapper = |piece: &&str| WRAPPERS.iter().any(|(word, _)| word == piece && *word != MODULE);
    name.split('.').find(|piece| !is_wrapper(piece)) == Some(MODULE)
}
