//! The configured number of layers against the layers that are there.

use std::collections::BTreeSet;

use crate::audit::check::{Check, code};
use crate::audit::finding::Severity::Warning;
use crate::audit::finding::{Code, Finding, Findings};
use crate::audit::subject::Subject;
use crate::audit::tensors::{decoder, main_tensors};
use crate::checkpoint::{KvLayers, Part, Role};

const LAYERS: Code = code(
    "layer-count",
    "Layers and configuration disagree",
    Warning,
    "The configuration states a number of layers, and tensors of some of them are missing, or tensors of further layers are there. Loaders leave missing layers at random \
     values and drop the others. The configuration and the weights are not of one model.",
);

pub(super) const CHECK: Check = Check { name: "layer_count", codes: &[LAYERS], run };

/// More layers than are listed one by one.
const MOST: u64 = 100_000;

fn run(subject: &Subject<'_>, out: &mut Findings) {
    let Some(checkpoint) = subject.checkpoint else { return };
    let Some(layers) = checkpoint.model.layers.filter(|&n| n > 0 && n <= MOST) else { return };
    // Only families whose blocks are counted in one row; encoder-decoders and vision models count otherwise.
    if !matches!(&checkpoint.model.kv, KvLayers::Known(rows) if rows.iter().all(|r| r.kind != crate::checkpoint::KvKind::Cross)) {
        return;
    }
    // A set that is not whole is reported as that.
    if !checkpoint.problems.is_empty() || checkpoint.is_part_of_split() {
        return;
    }
    let mut seen = BTreeSet::new();
    // A tower may be deeper than the decoder; where the decoder is not made out, every block counts.
    let stack = decoder(checkpoint);
    for tensor in main_tensors(checkpoint).filter(|t| stack.is_none_or(|stack| stack.inside(&t.name()).is_some())) {
        let block = matches!(
            tensor.naming.role,
            Role::Attention
                | Role::Mlp
                | Role::Expert
                | Role::SharedExpert
                | Role::Router
                | Role::Norm
                | Role::Recurrent
                | Role::Mtp
        );
        if let Some(layer) = tensor.naming.layer.filter(|_| block && tensor.part != Part::Buffer) {
            seen.insert(u64::from(layer));
        }
    }
    if seen.is_empty() {
        return;
    }
    let most = layers + checkpoint.model.mtp_layers.unwrap_or(0);
    let missing: Vec<u64> = (0..layers).filter(|n| !seen.contains(n)).collect();
    let extra: Vec<u64> = seen.iter().copied().filter(|n| *n >= most).collect();
    let origin = checkpoint.model.origin.clone().unwrap_or_default();
    for (what, list) in [("have no tensors", missing), ("are stored though not configured", extra)] {
        if let Some(first) = list.first() {
            let shown =
                if list.len() == 1 { format!("layer {first}") } else { format!("{} layers, the first is {first},", list.len()) };
            let message = format!("{layers} layers are configured; {shown} {what}");
            out.push(Finding::new(&LAYERS, message).file(&origin));
        }
    }
}
