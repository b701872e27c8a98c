//! What a weight set is to another one in the same place.

use std::cell::Cell;

use super::super::CheckpointFile;
use super::super::fingerprint::{Likeness, Obstacle, compare};
use super::{MAIN_STEMS, Names, Set, stems};
use crate::format::{Container, Format};
use crate::text::escape_limited;

/// Two sets may be of one component when at least this share of the smaller one's tensor names stands in the other.
const SAME_NAMES: f64 = 0.5;

/// What a further set is to the first set of a component.
pub(super) enum Kinship {
    /// The same model: a copy, or another form that one chooses among.
    Form {
        likeness: Likeness,
        /// How near: a set that may be a form of several is one of the nearest.
        nearness: u8,
    },
    /// Of the same names, and another model.
    Apart {
        likeness: Likeness,
        /// Whether both are needed.
        counts: bool,
    },
    /// Something else.
    None,
}

/// From here on no nearer one is looked for.
pub(super) const NEAR: u8 = 2;

/// Looks at names, then at headers, and where these say that it may be the same, at values.
pub(super) fn kinship(first: &Set<'_>, set: &Set<'_>, files: &[CheckpointFile], read: &Cell<u64>) -> Kinship {
    if first.format != set.format {
        // A GGUF beside the safetensors it was made from.
        return Kinship::Form { likeness: Likeness::Incomparable(Obstacle::Format), nearness: 0 };
    }
    let main = |set: &Set<'_>| MAIN_STEMS.contains(&set.stem.as_str());
    let one_name = first.own == set.own || (main(first) && main(set));
    // Another variant of one name, or a folder that is kept for a copy of what stands above it.
    let kept_so = first.folder != set.folder || first.stem == set.stem || (main(first) && main(set));
    if set.format == Format::Gguf {
        let (a, b) = (&files[first.files[0]].container, &files[set.files[0]].container);
        if !kept_so && !same_gguf_facts(a, b) {
            return Kinship::None;
        }
        if let Some(at) = stated_otherwise(a, b) {
            return Kinship::Apart { likeness: Likeness::Different { at }, counts: false };
        }
    } else if !kept_so && !first.side.same_structure_as(&set.side) && share_of_names(first.names(), set.names()) < SAME_NAMES {
        return Kinship::None;
    }
    let likeness = compare(&first.side, &set.side, read);
    if likeness.is_different() && !one_name {
        return Kinship::Apart { counts: stems::are_experts(&first.own, &set.own), likeness };
    }
    let nearness = match &likeness {
        likely if likely.is_likely_copy() => 3,
        _ if one_name => NEAR,
        Likeness::EqualSoFar { .. } => 1,
        _ => 0,
    };
    Kinship::Form { likeness, nearness }
}

/// Quants of one model agree in architecture, depth, width and vocabulary.
fn same_gguf_facts(a: &Container, b: &Container) -> bool {
    let facts = |c: &Container| {
        let arch = c.metadata.text("general.architecture").unwrap_or_default().to_owned();
        let count = |key: &str| c.metadata.count(&format!("{arch}.{key}"));
        let facts = (
            count("block_count"),
            count("embedding_length"),
            count("feed_forward_length"),
            c.metadata.array_len("tokenizer.ggml.tokens"),
        );
        (arch, facts)
    };
    facts(a) == facts(b)
}

/// Keys that name a model, whatever its form. Quantizing copies them.
const NAMING_KEYS: [&str; 2] = ["general.name", "general.finetune"];

/// Whether two files say of themselves that they are of two models, in words.
fn stated_otherwise(a: &Container, b: &Container) -> Option<String> {
    NAMING_KEYS.iter().find_map(|key| {
        let (of_a, of_b) = (a.metadata.text(key)?, b.metadata.text(key)?);
        let shown = |text: &str| escape_limited(text, 60);
        (stems::own_pieces(of_a) != stems::own_pieces(of_b))
            .then(|| format!("another model: `{key}` is `{}`, not `{}`", shown(of_b), shown(of_a)))
    })
}

fn share_of_names(a: &Names<'_>, b: &Names<'_>) -> f64 {
    let (smaller, larger) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    if smaller.is_empty() {
        0.0
    } else {
        smaller.iter().filter(|name| larger.contains(*name)).count() as f64 / smaller.len() as f64
    }
}
