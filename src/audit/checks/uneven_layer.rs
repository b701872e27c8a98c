//! A tensor that every layer has but one.

use std::collections::BTreeMap;

use crate::audit::check::{Check, code};
use crate::audit::finding::Severity::Warning;
use crate::audit::finding::{Code, Finding, Findings};
use crate::audit::subject::Subject;
use crate::audit::tensors::{layer_of, main_tensors};
use crate::checkpoint::Part;

const UNEVEN: Code = code(
    "uneven-layer",
    "One layer lacks what the others have",
    Warning,
    "All layers of a stack have a tensor but one in its midst, and that one has the tensors around it. Layers of one kind are alike in every published family, so the tensor \
     was lost: loaders stop at it, or leave it at random values. Compare with the source of the checkpoint.",
);

pub(super) const CHECK: Check = Check { name: "uneven_layer", codes: &[UNEVEN], run };

/// Fewer layers do not show what is usual.
const LEAST: usize = 5;
/// Places in blocks that are kept, all layers of a stack having one; beyond it nothing is said. Models of hundreds of experts have some 3,000.
const MOST: usize = 1 << 16;
/// Findings of one stack; a stack with more differs in kind.
const MOST_FOUND: usize = 3;
/// Places of one stack that may be lost and are looked at: with more, the layers differ in kind.
const MOST_LOOKED_AT: usize = 64;
/// Longest name, and most pieces below a layer: no module is nested deeper, and each piece is kept with all before it.
const LONGEST: usize = 512;
const DEEPEST: usize = 12;

/// The layers that have a place, in the order in which they came.
type Layers = Vec<u32>;

fn run(subject: &Subject<'_>, out: &mut Findings) {
    let Some(checkpoint) = subject.checkpoint.filter(|c| !c.is_part() && !c.declared) else { return };
    // Each place below a layer, as `self_attn`, `self_attn.q_proj` and `self_attn.q_proj.weight`, by the stack it is in.
    let mut stacks: BTreeMap<String, BTreeMap<String, Layers>> = BTreeMap::new();
    let mut places = 0;
    for tensor in main_tensors(checkpoint).filter(|t| t.part == Part::Weight) {
        let name = tensor.name();
        if name.len() > LONGEST {
            continue;
        }
        let Some((stack, layer, below)) = layer_of(&name).filter(|(_, _, below)| below.split('.').count() <= DEEPEST) else {
            continue;
        };
        let stack = stacks.entry(stack.to_owned()).or_default();
        let ends = below.match_indices('.').map(|(at, _)| at).chain([below.len()]);
        for place in std::iter::once("").chain(ends.map(|end| &below[..end])) {
            let layers = match stack.get_mut(place) {
                Some(layers) => layers,
                None => {
                    places += 1;
                    if places > MOST {
                        return;
                    }
                    stack.entry(place.to_owned()).or_default()
                }
            };
            if layers.last() != Some(&layer) {
                layers.push(layer);
            }
        }
    }
    let origin = checkpoint.files.first().map(|file| file.name.clone()).unwrap_or_default();
    for (stack, mut places) in stacks {
        for layers in places.values_mut() {
            layers.sort_unstable();
            layers.dedup();
        }
        let lost = lost(&places);
        if lost.len() > MOST_FOUND {
            continue;
        }
        for (place, layer, of) in lost {
            let message = format!("layer {layer} has no `{place}`, which the {} others of {of} layers have", of - 1);
            out.push(Finding::new(&UNEVEN, message).file(&origin).tensor(format!("{stack}.{layer}.{place}")));
        }
    }
}

/// Places that one layer lacks though it has the place around it, the outermost of each, with that layer and how many layers there are.
fn lost(places: &BTreeMap<String, Layers>) -> Vec<(&str, u32, usize)> {
    let mut found: Vec<(&str, u32, usize)> = Vec::new();
    let mut looked_at = 0;
    for (place, layers) in places.iter().filter(|(place, _)| !place.is_empty()) {
        let around = place.rsplit_once('.').map_or("", |(around, _)| around);
        let Some(of) = places.get(around).filter(|of| of.len() >= LEAST && of.len() == layers.len() + 1) else { continue };
        // Whole parts of a block that one layer does without are its architecture: only what has no parts of its own is lost.
        if around.is_empty() && has_parts(places, place) {
            continue;
        }
        let Some(layer) = of.iter().zip(layers.iter().chain([&u32::MAX])).find(|(a, b)| a != b).map(|(a, _)| *a) else { continue };
        // First and last layers may differ: some have no norm before, some no projection after.
        let inner = of.first() != Some(&layer) && of.last() != Some(&layer);
        let told =
            found.iter().any(|(known, at, _)| *at == layer && place.strip_prefix(known).is_some_and(|rest| rest.starts_with('.')));
        if !inner || told {
            continue;
        }
        looked_at += 1;
        if looked_at > MOST_LOOKED_AT {
            return Vec::new();
        }
        if !has_instead(places, around, layer, of.len()) {
            found.push((place, layer, of.len()));
        }
    }
    found
}

/// Whether a layer has something beside the place that few others have: it is made otherwise, as a layer that was not quantized.
fn has_instead(places: &BTreeMap<String, Layers>, around: &str, layer: u32, of: usize) -> bool {
    let below = if around.is_empty() { String::new() } else { format!("{around}.") };
    let beside = places.range(below.clone()..).take_while(|(name, _)| name.starts_with(&below));
    let direct = beside.filter(|(name, _)| !name[below.len()..].contains('.') && !name.is_empty());
    direct.into_iter().any(|(_, layers)| layers.len() * 2 < of && layers.contains(&layer))
}

/// Whether something below a place has parts itself, as `self_attn` has `q_proj.weight`.
fn has_parts(places: &BTreeMap<String, Layers>, place: &str) -> bool {
    let below = format!("{place}.");
    places
        .range(below.clone()..)
        .take_while(|(name, _)| name.starts_with(&below))
        .any(|(name, _)| name[below.len()..].contains('.'))
}
