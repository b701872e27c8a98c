//! Weights that are not all here, or only declared: their terms say so.

use super::terms::{Place, Term};
use crate::project::input::ProjectInput;
use crate::project::plan::Basis;

/// A place whose terms of weights have no more certainty than the tensors they are made of.
pub(super) fn mark(place: Place, input: &ProjectInput<'_>) -> Place {
    let provenance = &input.provenance;
    let shortfall = provenance.shortfall.as_ref().filter(|shortfall| !shortfall.sizes_known);
    if shortfall.is_none() && !provenance.declared {
        return place;
    }
    let terms = place.terms.into_iter().map(|term| match shortfall {
        _ if !term.is_weights() || term.basis == Basis::Refused => term,
        Some(shortfall) if input.tensor_bytes() == 0 => Term::refused(term.name, shortfall.reason.clone()),
        Some(shortfall) => Term {
            high: None,
            basis: Basis::Estimate,
            formula: format!("{}; of what is here, at least that: {}", term.formula, shortfall.reason),
            ..term
        },
        None => {
            let basis = if term.basis == Basis::Exact { Basis::Estimate } else { term.basis };
            Term { basis, formula: format!("{}, if the weights are those that config.json declares", term.formula), ..term }
        }
    });
    Place::new(place.name, terms.collect())
}
