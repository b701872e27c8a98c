//! Weights without a single element.

use std::collections::HashMap;

use crate::audit::check::{Check, code};
use crate::audit::finding::Severity::{Error as Bad, Note};
use crate::audit::finding::{Code, Finding, Findings};
use crate::audit::subject::Subject;
use crate::checkpoint::{AskedFor, Part, Tensor, asked_for};
use crate::units::grouped;

const EMPTY: Code = code(
    "empty-tensor",
    "A weight holds nothing",
    Bad,
    "A tensor of weights has a dimension of 0, so its name is there and its values are not: an error where the model asks for values, a note elsewhere. A ZeRO-3 save that was not gathered leaves such files: every process wrote \
     the name, none the whole matrix. Loaders stop at the shape, or keep random values. Save again with the weights gathered (`stage3_gather_16bit_weights_on_model_save`, \
     `zero_to_fp32.py`).",
);

pub(super) const CHECK: Check = Check { name: "empty_tensor", codes: &[EMPTY], run };

fn run(subject: &Subject<'_>, out: &mut Findings) {
    let Some(checkpoint) = subject.checkpoint else { return };
    let mut empty = checkpoint.tensors().filter(|t| t.info.elements == 0 && t.info.shape.contains(&0) && is_weight(t)).peekable();
    if empty.peek().is_none() {
        return;
    }
    // What a class asks for with a size is lost. Other dimensions of 0 may be the configuration's, but not that a matrix is a list.
    let asked: HashMap<String, AskedFor> = asked_for(checkpoint).into_iter().flatten().map(|one| (one.name.clone(), one)).collect();
    let is_lost = |name: &str, shape: &[u64]| match asked.get(name) {
        Some(one) => !one.shape.contains(&0),
        None => shape == [0] && name.ends_with(".weight"),
    };
    let (lost, other): (Vec<Tensor<'_>>, Vec<Tensor<'_>>) = empty.partition(|t| is_lost(&t.name(), &t.info.shape));
    for (tensors, severity) in [(lost, Bad), (other, Note)] {
        let Some(first) = tensors.first() else { continue };
        let others = if tensors.len() > 1 { format!(", and {} more", grouped(tensors.len() as u64 - 1)) } else { String::new() };
        let message = format!("no values are stored: its shape is {:?}{others}", first.info.shape.as_slice());
        out.push(Finding::new(&EMPTY, message).severity(severity).file(&checkpoint.files[first.file].name).tensor(first.name()));
    }
}

/// Extra states of modules and buffers may be empty; a weight is a float or a block quant.
fn is_weight(tensor: &Tensor<'_>) -> bool {
    let dtype = tensor.info.dtype;
    tensor.part == Part::Weight && (dtype.is_float() || dtype.is_block_quant()) && !tensor.name().ends_with("_extra_state")
}
