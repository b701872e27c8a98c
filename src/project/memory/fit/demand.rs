//! What rows of engines and recipes take, in the form that the judgement reads.

use super::verdict::{Demand, Held};
use crate::project::input::ProjectInput;
use crate::project::memory::places::Places;
use crate::project::memory::terms::Place;
use crate::project::memory::training::TrainingRow;
use crate::project::plan::Basis;

/// Set aside on every device where something is not estimated: the upper end of the range of a GPU's runtime.
pub(super) const ALLOWANCE: u64 = 3 << 29;

/// Terms without which no high figure is given, and how a sentence names them.
const ESSENTIAL: &[(&str, &str)] = &[
    ("weights", "the weights are not known"),
    ("kv_cache", "the KV cache is not known"),
    ("recurrent_state", "the state is not known"),
];

/// Why no verdict stands on the tensors of an input.
pub(super) fn lacking(input: &ProjectInput<'_>) -> Option<String> {
    let stated = input.provenance.shortfall.as_ref().map(|shortfall| shortfall.reason.clone());
    stated.or_else(|| (input.tensor_bytes() == 0).then(|| "no weights were read".to_owned()))
}

/// The sum of the highs where all are known; else the known ones, and the allowance instead of what has none (a stated range for
/// the runtime lies within it).
fn allowing(place: &Place) -> Held {
    let known = place.terms.iter().filter(|t| t.name != "runtime").filter_map(|t| t.high).fold(ALLOWANCE, u64::saturating_add);
    Held { low: place.low, high: Some(place.high.unwrap_or(known).max(place.low)) }
}

impl Demand {
    /// What an engine's run takes.
    pub(super) fn of_engine(row: &Places, input: &ProjectInput<'_>) -> Self {
        let refused = row.devices.iter().flat_map(|d| &d.terms).filter(|t| t.basis == Basis::Refused).find_map(|term| {
            let (_, words) = ESSENTIAL.iter().find(|(name, _)| *name == term.name)?;
            Some(format!("{words}: {}", term.formula))
        });
        let host = &row.host;
        Self {
            devices: row.devices.iter().map(|device| (allowing(device), 1)).collect(),
            host: (!host.terms.is_empty()).then_some(Held { low: host.low, high: host.high }),
            host_weights: host.terms.iter().any(|t| t.is_weights() && t.low != Some(0)),
            unknown: refused,
            lacking: lacking(input),
        }
    }

    /// Of a training run whose places stand for so many devices each. Nothing is allowed for what is refused there: activations
    /// alone may be more than all the rest.
    pub(super) fn of_training(row: &TrainingRow, alike: u64, input: &ProjectInput<'_>) -> Self {
        let mut refused = row.devices.iter().flat_map(|d| &d.terms).filter(|t| t.basis == Basis::Refused);
        let unknown = refused.next().map(|term| format!("{} not known: {}", term.name.replace('_', " "), term.formula));
        Self {
            devices: row.devices.iter().map(|d| (Held { low: d.low, high: d.high }, alike)).collect(),
            unknown,
            lacking: lacking(input),
            ..Self::default()
        }
    }
}

/// Whether something is set aside for what is not estimated.
pub(super) fn allows(row: &Places) -> bool {
    row.devices.iter().any(|device| device.high.is_none())
}
