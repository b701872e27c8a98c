//! What a weight set is to another one in the same place.

use std::cell::Cell;

use super::super::CheckpointFile;
use super::super::fingerprint::{Likeness, Obstacle, Side, compare};
use super::places::is_copy_folder;
use super::{MAIN_STEMS, Names, Set, states, stems};
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
        let (gguf, other) = if set.format == Format::Gguf { (&set.files, &first.side) } else { (&first.files, &set.side) };
        if is_of_other_sizes(&files[gguf[0]].container, other) {
            return Kinship::None;
        }
        return Kinship::Form { likeness: Likeness::Incomparable(Obstacle::Format), nearness: 0 };
    }
    let main = |set: &Set<'_>| MAIN_STEMS.contains(&set.stem.as_str());
    let one_name = first.own == set.own || (main(first) && main(set));
    // Another variant of one name, or a folder that is kept for a copy of what stands above it.
    let copy = is_copy_folder(&first.folder) || is_copy_folder(&set.folder);
    let named_so = (first.folder == set.folder && first.stem == set.stem) || (main(first) && main(set));
    let kept_so = named_so || (first.folder != set.folder && copy);
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
    if first.folder == set.folder
        && first.side.names_number() == set.side.names_number()
        && states::may_be_of_one_run(&first.stem, &set.stem)
    {
        return Kinship::Form { likeness: Likeness::Incomparable(Obstacle::EarlierState), nearness: NEAR };
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

/// Whether a GGUF has a vocabulary and a width that no tensor of the other has: it was not made from that.
fn is_of_other_sizes(gguf: &Container, other: &Side<'_>) -> bool {
    let embedding = gguf.tensors.iter().find(|t| gguf.name_bytes(t) == b"token_embd.weight");
    let Some([rows, columns]) = embedding.map(|t| t.shape.as_slice()) else { return false };
    !other.tensors().any(|(_, t)| t.shape.contains(rows) || t.shape.contains(columns))
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
    let (of_a, of_b) = (facts(a), facts(b));
    // A part of a split that is not the first says nothing of the model.
    of_a.0.is_empty() || of_b.0.is_empty() || of_a == of_b
}

/// Keys that name a model, whatever its form. Quantizing copies them.
const NAMING_KEYS: [&str; 4] = ["general.name", "general.basename", "general.size_label", "general.finetune"];

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
