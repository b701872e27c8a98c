//! Weight sets of the same tensor names in one repository: copies, forms that one chooses among, other weights, slices.

use crate::audit::check::{Check, code};
use crate::audit::finding::Severity::{Note, Warning};
use crate::audit::finding::{Code, Finding, Findings};
use crate::audit::subject::Subject;
use crate::checkpoint::{Against, Checkpoint, Component, Likeness, Obstacle, WeightSet};
use crate::format::Format;
use crate::text::escape_limited;
use crate::units::{Bytes, grouped};

const TWICE: Code = code(
    "duplicate-weights",
    "The same model more than once",
    Warning,
    "The folder holds one component several times (sharded beside consolidated, a copy under original/): only one is loaded, and a plain download fetches all. The message \
     says what it rests on: names alone, some ranges of the values, or all of them. Equal ranges make a copy likely and prove none: compare the files whole (their sha256) \
     before one of them goes. Alternative quants and precision variants are a note: one chooses among them.",
);
const OTHER: Code = code(
    "different-weights",
    "Other weights under the same names",
    Warning,
    "Two weight sets have the same tensor names, and their values, shapes or names differ: two models, two states of one, or a variant that is none. Nothing here is a copy. \
     All figures are of the one that the message names; give the file of the other to have it weighed. Averages of training (ema) are a note.",
);
const SLICES: Code = code(
    "tensor-parallel-slices",
    "Each file is one rank's slice of the model",
    Warning,
    "The weights were saved by an inference engine as its tensor-parallel ranks hold them: each file has the same tensor names, and a part of each matrix. All files together \
     are the model. transformers, llama.cpp's converter and other engines do not load them; shapes differ from the configuration by the number of ranks.",
);

pub(super) const CHECK: Check = Check { name: "copies", codes: &[TWICE, OTHER, SLICES], run };

/// Names listed in one message.
const LISTED: usize = 6;

fn run(subject: &Subject<'_>, out: &mut Findings) {
    let Some(checkpoint) = subject.checkpoint else { return };
    for component in &checkpoint.components {
        for (set, ranks) in component.weight_sets.iter().filter(|s| s.selected).filter_map(|s| Some((s, s.ranks.as_ref()?))) {
            out.push(at(checkpoint, set, Finding::new(&SLICES, ranks.note())));
        }
        different(checkpoint, component, out);
        let Some(kept) = component.weight_sets.iter().find(|s| s.selected) else { continue };
        let others = component.weight_sets.iter().filter(|s| !s.selected).filter_map(|s| Some((s, s.against.as_ref()?)));
        let (mut equal, mut likely, mut named) = (Vec::new(), Vec::new(), Vec::new());
        for (set, Against { likeness, .. }) in others {
            match likeness {
                Likeness::Different { .. } | Likeness::Incomparable(Obstacle::Shapes(_) | Obstacle::EarlierState) => {}
                // A stray shard of other tensors stands for nothing.
                Likeness::Incomparable(Obstacle::Names) if set.tensor_bytes < kept.tensor_bytes / 2 => {}
                _ if likeness.is_copy() => equal.push(set),
                _ if likeness.is_likely_copy() => likely.push(set),
                _ => named.push(set),
            }
        }
        let compared =
            |sets: &[&WeightSet]| -> u64 { sets.iter().filter_map(|s| s.against.as_ref()).map(|a| a.likeness.compared()).sum() };
        let of = |sets: &[&WeightSet]| sets.iter().fold(0u64, |sum, set| sum.saturating_add(set.tensor_bytes));
        let all = format!("every byte of tensors was compared and is equal ({})", grouped(compared(&equal)));
        twice(checkpoint, component, kept, &equal, &all, Some("one of them is enough"), out);
        let some = format!("likely a copy, {} of {} bytes compared", grouped(compared(&likely)), grouped(of(&likely)));
        let help = "compare the whole files before one of them goes";
        twice(checkpoint, component, kept, &likely, &some, Some(help), out);
        let part = match compared(&named) {
            0 => "values not compared".to_owned(),
            part => format!("{} of {} bytes compared and equal, the rest not compared", grouped(part), grouped(of(&named))),
        };
        let forms = format!("forms of one model by their names, {part}");
        twice(checkpoint, component, kept, &named, &forms, None, out);
    }
}

/// A finding of sets of which the same is known beside the selected one.
fn twice(
    checkpoint: &Checkpoint,
    component: &Component,
    kept: &WeightSet,
    others: &[&WeightSet],
    known: &str,
    help: Option<&'static str>,
    out: &mut Findings,
) {
    let Some(first) = others.first() else { return };
    let bytes = |set: &WeightSet| set.files.iter().fold(0u64, |sum, &f| sum.saturating_add(checkpoint.files[f].container.file_len));
    let files = others.iter().fold(0u64, |sum, set| sum.saturating_add(bytes(set)));
    let names: Vec<String> = others.iter().take(LISTED).map(|s| shown(&s.name)).collect();
    let more = if others.len() > LISTED { format!(" and {} more", others.len() - LISTED) } else { String::new() };
    let message = format!(
        "duplicate weights: {} holds {} and also {}{more} ({}, {} bytes): {known}",
        shown(&component.name),
        shown(&kept.name),
        names.join(", "),
        Bytes(files).binary(),
        grouped(files),
    );
    let finding = at(checkpoint, first, Finding::new(&TWICE, message));
    let finding = match help {
        Some(help) => finding.help(help),
        None => finding,
    };
    let chosen = others.iter().all(|set| is_choice(set, kept, |f| checkpoint.files[f].container.format));
    out.push(if chosen { finding.severity(Note) } else { finding });
}

/// Sets that are proven to hold something else than the one they could be taken for, and do not count.
fn different(checkpoint: &Checkpoint, component: &Component, out: &mut Findings) {
    for set in component.weight_sets.iter().filter(|s| !s.selected) {
        let Some(against) = set.against.as_ref().filter(|a| a.likeness.is_different()) else { continue };
        let (name, other) = (shown(&set.name), shown(&against.other));
        let message = format!("{name} holds other weights than {other} ({}); the figures are of {other}", against.likeness);
        let finding = at(checkpoint, set, Finding::new(&OTHER, message));
        let averaged = set.name.split(['.', '/']).any(|piece| matches!(piece, "ema" | "non_ema"));
        out.push(if averaged { finding.severity(Note) } else { finding });
    }
}

fn shown(name: &str) -> String {
    format!("`{}`", escape_limited(name, 60))
}

/// The finding at the set's first file.
fn at(checkpoint: &Checkpoint, set: &WeightSet, finding: Finding) -> Finding {
    match set.files.first() {
        Some(&file) => finding.file(&checkpoint.files[file].name),
        None => finding,
    }
}

/// Whether one is meant to choose: another format, another quant, a named precision.
fn is_choice(set: &WeightSet, kept: &WeightSet, format: impl Fn(usize) -> Format) -> bool {
    let of = |set: &WeightSet| set.files.first().map(|&f| format(f));
    of(set) == Some(Format::Gguf) || of(set) != of(kept) || set.name.contains('.')
}
