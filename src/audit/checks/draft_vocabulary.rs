//! Draft models whose vocabulary is a part of their target's, and the tables that say which part.

use serde_json::Value;

use crate::audit::check::{Check, code};
use crate::audit::finding::Severity::{Note, Warning};
use crate::audit::finding::{Code, Finding, Findings};
use crate::audit::subject::Subject;
use crate::audit::tensors::main_tensors;
use crate::families::config_keys::{VOCAB_SIZE, text_part};
use crate::format::Format;
use crate::units::grouped;

const DRAFT: Code = code(
    "draft-vocabulary",
    "A draft model of a smaller vocabulary lacks a table",
    Warning,
    "The draft model (EAGLE-3) predicts fewer tokens than its target knows, and `d2t`, which says which of the target's they are, is not stored. vLLM then takes the \
     first ids of the target, and hardly any draft is accepted. Where `d2t` is there and `t2d` is not, that is a note: vLLM needs the first alone, trainers and SGLang read both.",
);

pub(super) const CHECK: Check = Check { name: "draft_vocabulary", codes: &[DRAFT], run };

fn run(subject: &Subject<'_>, out: &mut Findings) {
    let Some(checkpoint) = subject.checkpoint else { return };
    let Some(config) = checkpoint.config_json().and_then(Value::as_object) else { return };
    // A part that could not be read may hold the table.
    if checkpoint.format() != Some(Format::Safetensors) || !checkpoint.problems.is_empty() {
        return;
    }
    let Some(draft) = config.get("draft_vocab_size").and_then(Value::as_u64).filter(|&n| n > 0) else { return };
    // Drafts of speculators keep the target's shape in a part of their own.
    let inner = config.get("transformer_layer_config").and_then(Value::as_object);
    let stated = |map: &serde_json::Map<String, Value>| VOCAB_SIZE.names.iter().find_map(|name| map.get(*name)?.as_u64());
    let Some(target) = stated(text_part(config)).or_else(|| inner.and_then(stated)) else { return };
    if draft >= target {
        return;
    }
    let mut has = [false, false];
    for tensor in main_tensors(checkpoint) {
        let name = tensor.name();
        let leaf = name.rsplit('.').next().unwrap_or_default();
        has[0] |= leaf == "d2t";
        has[1] |= leaf == "t2d";
    }
    let sizes = format!("the draft predicts {} of the {} tokens of its target", grouped(draft), grouped(target));
    let finding = match has {
        [true, true] => return,
        [true, false] => Finding::new(&DRAFT, format!("{sizes}, and `t2d` is not stored")).severity(Note),
        [false, _] => Finding::new(&DRAFT, format!("{sizes}, and `d2t`, which says which, is not stored")),
    };
    out.push(finding.file(checkpoint.model.origin.clone().unwrap_or_default()).tensor("draft_vocab_size"));
}
