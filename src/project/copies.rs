//! The other weight sets of a component beside the selected one: the same model in another form, and where its bytes differ.

use std::collections::BTreeMap;

use serde::Serialize;

use super::bridge::{self, BridgeTerm};
use super::input::ProjectInput;
use super::narrowest;
use crate::checkpoint::Checkpoint;

/// A weight set that is not selected, compared with the one that is.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct CopyRow {
    /// The component both belong to.
    pub component: String,
    /// The selected weight set.
    pub from: String,
    /// Name of this weight set.
    pub weight_set: String,
    /// Bytes of its tensors.
    pub tensor_bytes: u64,
    /// Bytes of its files.
    pub file_bytes: u64,
    /// Its tensor bytes / the selected one's.
    pub ratio: Option<f64>,
    /// From the selected one's file bytes to its own.
    pub bridge: Vec<BridgeTerm>,
    /// Why its tensor bytes are more than its parameters in its narrowest type: terms that sum to `tensor_bytes`; empty where all
    /// is in one type.
    pub beyond_narrowest: Vec<BridgeTerm>,
    /// As in a projected row.
    pub wider_types: Vec<BridgeTerm>,
}

/// Weight sets compared in one report; further ones are listed by `show`.
const COMPARED: usize = 4;

/// Compares each component's selected weight set with its others, within one format.
pub fn copies(checkpoint: &Checkpoint) -> Vec<CopyRow> {
    let mut rows = Vec::new();
    for (c, component) in checkpoint.components.iter().enumerate() {
        let Some(s) = component.weight_sets.iter().position(|set| set.selected) else { continue };
        if component.weight_sets.len() < 2 {
            continue;
        }
        let selected = checkpoint.with_weight_set(c, s);
        let a = ProjectInput::from_checkpoint(&selected);
        for (o, set) in component.weight_sets.iter().enumerate().filter(|(o, _)| *o != s).take(COMPARED) {
            let other = checkpoint.with_weight_set(c, o);
            let b = ProjectInput::from_checkpoint(&other);
            if a.format != b.format {
                continue;
            }
            let pairs = counterparts(&a, &b);
            let matches: Vec<_> = pairs.iter().map(|(of_a, of_b)| (of_a.as_slice(), of_b.as_slice())).collect();
            let beyond = narrowest::of_input(&b);
            rows.push(CopyRow {
                component: component.name.clone(),
                from: component.weight_sets[s].name.clone(),
                weight_set: set.name.clone(),
                tensor_bytes: b.tensor_bytes(),
                file_bytes: b.file_bytes,
                ratio: (a.tensor_bytes() > 0).then(|| b.tensor_bytes() as f64 / a.tensor_bytes() as f64),
                bridge: bridge::between(&a, &b, &matches),
                beyond_narrowest: beyond.terms,
                wider_types: beyond.wider,
            });
        }
    }
    rows
}

/// What quantizers put after a weight's name, or after its module's, for the packed weight.
const PACKED: &[&str] = &["qweight", "weight_packed", "weight_q", "_weight_qdata", "W_q"];

/// The tensor that holds the same weight: of the same name, or the packed one of its module.
fn counterpart(names: &BTreeMap<&str, usize>, name: &str) -> Option<usize> {
    if let Some(&i) = names.get(name) {
        return Some(i);
    }
    let module = name.strip_suffix(".weight");
    let packed = PACKED
        .iter()
        .flat_map(|suffix| [Some(format!("{name}.{suffix}")), module.map(|m| format!("{m}.{suffix}"))].into_iter().flatten());
    packed.into_iter().find_map(|name| names.get(name.as_str()).copied())
}

/// Every tensor of both once, with its counterpart by name.
fn counterparts(a: &ProjectInput<'_>, b: &ProjectInput<'_>) -> Vec<(Vec<usize>, Vec<usize>)> {
    let names: BTreeMap<&str, usize> = b.tensors.iter().enumerate().map(|(i, t)| (t.name.as_ref(), i)).collect();
    let mut matched = vec![false; b.tensors.len()];
    let mut pairs = Vec::with_capacity(a.tensors.len());
    for (i, from) in a.tensors.iter().enumerate() {
        let to = counterpart(&names, &from.name).filter(|&to| !std::mem::replace(&mut matched[to], true));
        pairs.push((vec![i], to.into_iter().collect()));
    }
    pairs.extend((0..b.tensors.len()).filter(|&i| !matched[i]).map(|i| (Vec::new(), vec![i])));
    pairs
}
