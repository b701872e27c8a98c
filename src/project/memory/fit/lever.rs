//! What would make it fit, or make more of it fit.

use serde::Serialize;

use crate::project::input::ProjectInput;
use crate::project::memory::engine::{Engine, Schemes};
use crate::project::memory::places::{self, Places};
use crate::project::memory::request::Settings;
use crate::project::plan::Basis;
use crate::project::projection::{Request, project};
use crate::project::quantize::Target;
use crate::project::quantize::options::Options;
use crate::units::Bytes;

/// A scheme whose weights leave room for the rest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FittingScheme {
    /// Canonical name of the scheme.
    pub scheme: String,
    /// Bytes of the tensors of the whole model.
    pub bytes: u64,
}

/// The scheme with the largest weights that shrink the `held` bytes of a device to `room`, and whether it needs an importance
/// matrix.
pub(super) fn first_scheme(engine: &dyn Engine, input: &ProjectInput<'_>, room: u64, held: u64) -> Option<(FittingScheme, bool)> {
    let whole = u128::from(input.tensor_bytes());
    let on_device = |bytes: u64| u128::from(bytes) * u128::from(held) / whole.max(1);
    let largest = |names: &[&str], imatrix: bool| {
        let options = Options { imatrix, ..Options::default() };
        let targets = names.iter().map(|name| Target::parse(name)).collect();
        let rows = project(input, &Request { targets, options, ..Request::default() }).quantized;
        let known = rows.into_iter().filter(|row| row.basis != Basis::Refused);
        let sized = known.filter_map(|row| Some(FittingScheme { bytes: row.tensor_bytes?, scheme: row.scheme }));
        let fitting = sized.filter(|row| on_device(row.bytes) <= u128::from(room));
        fitting.reduce(|best, one| if one.bytes > best.bytes { one } else { best })
    };
    let Schemes { plain, with_imatrix } = engine.schemes();
    let found = largest(plain, false).map(|found| (found, false));
    found.or_else(|| largest(with_imatrix, true).map(|found| (found, true)))
}

/// Bytes of all caches at most; `None` where they are not known.
fn cache(row: &Places) -> Option<u64> {
    let mut caches = row.devices.iter().flat_map(|p| &p.terms).filter(|t| t.name == "kv_cache");
    caches.try_fold(0u64, |n, t| Some(n.saturating_add(t.high?)))
}

/// A cache in fewer bits, where it is not one already, or the weights in the scheme that fits, whichever saves more.
pub(super) fn lever(
    engine: &dyn Engine,
    input: &ProjectInput<'_>,
    settings: &Settings,
    now: &Places,
    scheme: Option<&FittingScheme>,
) -> Option<String> {
    let of_cache = engine.small_cache().and_then(|smaller| {
        let then = places::places(engine, input, &Settings { kv_k: smaller, kv_v: smaller, ..*settings });
        Some((cache(now)?.checked_sub(cache(&then)?)?, format!("KV {} saves", smaller.name())))
    });
    let of_weights = scheme
        .and_then(|scheme| Some((input.tensor_bytes().checked_sub(scheme.bytes)?, format!("weights as {} save", scheme.scheme))));
    let known = [of_cache, of_weights].into_iter().flatten().filter(|(saved, _)| *saved > 0);
    let (saved, text) = known.reduce(|best, one| if one.0 > best.0 { one } else { best })?;
    Some(format!("{text} {}", Bytes(saved).binary()))
}
