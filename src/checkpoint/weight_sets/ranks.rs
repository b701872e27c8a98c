//! Files that each hold one tensor-parallel rank's slice of a model: the same names in each, and together one model.
//!
//! Some saves are not of whole tensors: vLLM's and SGLang's `save_sharded_state`, TensorRT-LLM's checkpoints, what DeepSeek's
//! `convert.py` writes for its own inference code. They are told by their shapes, of which one dimension times the ranks is what
//! config.json declares, or by the file names that these programs give.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Serialize;
use serde_json::Value;

use super::super::fingerprint::compare;
use super::super::{CheckpointFile, Component, WeightSet, declared};
use super::Set;
use crate::error::{Error, ErrorKind};
use crate::format::{Format, Shape};

/// The slices of one model, a rank each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ranks {
    /// How many ranks there are by what the slices are told by; `present` where that is not said.
    pub count: u64,
    /// How many of them are here.
    pub present: u64,
    /// What they were told by; escaped.
    pub evidence: String,
    /// The files of each rank, as indices into [`super::super::Checkpoint::files`].
    #[serde(skip)]
    pub files: Vec<Vec<usize>>,
    /// How each tensor was cut, by its name; `None` where some are not known.
    #[serde(skip)]
    cuts: Option<BTreeMap<Vec<u8>, Cut>>,
}

/// How a tensor was cut into slices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cut {
    /// Dimension that was cut.
    axis: usize,
    /// Into how many parts: fewer than there are ranks where several hold the same part (key and value heads), 1 where all hold all.
    parts: u64,
}

impl Ranks {
    /// The rank of a file.
    pub(crate) fn rank_of(&self, file: usize) -> Option<usize> {
        self.files.iter().position(|files| files.contains(&file))
    }

    /// Whether it is known of every tensor how it was cut.
    pub(crate) fn is_known(&self) -> bool {
        self.cuts.is_some()
    }

    /// The dimension that a tensor was cut along, and into how many parts.
    pub(crate) fn cut(&self, name: &[u8]) -> Option<(usize, u64)> {
        self.cuts.as_ref()?.get(name).map(|cut| (cut.axis, cut.parts))
    }

    /// Whether a rank holds a part of a tensor that an earlier rank holds too.
    pub(crate) fn repeats(&self, rank: usize, name: &[u8]) -> bool {
        self.cut(name).is_some_and(|(_, parts)| !(rank as u64).is_multiple_of((self.count / parts.max(1)).max(1)))
    }

    /// What a reader of the figures should know.
    pub fn note(&self) -> String {
        let here = if self.present == self.count { String::new() } else { format!(", of which {} are here", self.present) };
        format!(
            "each file is one tensor-parallel rank's slice of the model ({}): {} ranks{here}, counted together. Only the engine that wrote them loads \
             them so",
            self.evidence, self.count
        )
    }
}

/// Ranks of a model in slices that are not here.
pub(in super::super) fn missing_ranks(components: &[Component], files: &[CheckpointFile]) -> Vec<Error> {
    let sets = components.iter().flat_map(|c| &c.weight_sets).filter(|set| set.selected);
    let missing = |set: &WeightSet| {
        let ranks = set.ranks.as_ref().filter(|ranks| ranks.present < ranks.count)?;
        let message = format!("one of {} tensor-parallel ranks, of which {} are here", ranks.count, ranks.present);
        let first = &files[*set.files.first()?];
        Some(Error::new(ErrorKind::MissingShard, message).with_path(&first.path).help("fetch the files of the other ranks"))
    };
    sets.filter_map(missing).collect()
}

/// Sets that are ranks of one model, each with what they are together. `config` gives the configuration that stands for a folder.
pub(super) fn find(sets: &[Set<'_>], config: &dyn Fn(&str) -> Option<Value>, read: &Cell<u64>) -> Vec<(Vec<usize>, Ranks)> {
    let mut found = by_names(sets, config, read);
    let taken: BTreeSet<usize> = found.iter().flat_map(|(members, _)| members.iter().copied()).collect();
    let mut alike: BTreeMap<(&str, usize), Vec<usize>> = BTreeMap::new();
    for (i, set) in sets.iter().enumerate().filter(|(i, set)| !taken.contains(i) && set.format == Format::Safetensors) {
        alike.entry((&set.folder, set.side.len())).or_default().push(i);
    }
    for mut members in alike.into_values().flat_map(|members| of_the_same_names(sets, members)) {
        members.sort_by(|a, b| sets[*a].stem.cmp(&sets[*b].stem));
        let ranks: Vec<Vec<usize>> = members.iter().map(|m| vec![*m]).collect();
        if let Shapes::Slices { parts, known, cuts } = shapes(sets, &ranks, config)
            && known * 2 >= sets[members[0]].side.len()
            && parts >= ranks.len() as u64
        {
            let evidence = format!("one dimension times {parts} is what config.json declares");
            found.push((members, together(sets, &ranks, parts, evidence, cuts)));
        }
    }
    found
}

/// More ranks than any model is cut into; so many sets of the same names are a collection.
const MOST_RANKS: usize = 1024;

/// Those of the sets that have the same tensor names and types as another, by their names.
fn of_the_same_names(sets: &[Set<'_>], members: Vec<usize>) -> Vec<Vec<usize>> {
    if members.len() < 2 {
        return Vec::new();
    }
    let mut names: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    for member in members {
        names.entry(sets[member].side.names_number()).or_default().push(member);
    }
    names.into_values().filter(|same| (2..=MOST_RANKS).contains(&same.len())).collect()
}

fn together(sets: &[Set<'_>], ranks: &[Vec<usize>], count: u64, evidence: String, cuts: Option<BTreeMap<Vec<u8>, Cut>>) -> Ranks {
    // With a rank missing it is not known which part a file holds.
    let cuts = cuts.filter(|_| ranks.len() as u64 == count);
    let files = |members: &Vec<usize>| members.iter().flat_map(|&m| sets[m].files.iter().copied()).collect();
    Ranks { count, present: ranks.len() as u64, evidence, files: ranks.iter().map(files).collect(), cuts }
}

/// A file name as one of the writers gives it: what its ranks have in common, the rank, and how many there are where that is said.
struct Written<'n> {
    writer: &'static str,
    prefix: &'n str,
    rank: u64,
    count: Option<u64>,
}

/// vLLM and SGLang: `model-rank-{rank}-part-{part}` (`ShardedStateLoader.DEFAULT_PATTERN`); TensorRT-LLM: `rank{rank}`; DeepSeek-V3's
/// `inference/convert.py`: `model{rank}-mp{count}`.
fn written(stem: &str) -> Option<Written<'_>> {
    if let Some((before, part)) = stem.rsplit_once("-part-")
        && number(part).is_some()
        && let Some((prefix, rank)) = before.rsplit_once("-rank-")
    {
        return Some(Written { writer: "vLLM's sharded saves", prefix, rank: number(rank)?, count: None });
    }
    if let Some(rank) = stem.strip_prefix("rank").and_then(number) {
        return Some(Written { writer: "TensorRT-LLM's checkpoints", prefix: "", rank, count: None });
    }
    let (before, count) = stem.rsplit_once("-mp")?;
    let digits = before.len() - before.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    let (prefix, rank) = before.split_at(before.len() - digits);
    Some(Written { writer: "DeepSeek's converter", prefix, rank: number(rank)?, count: Some(number(count)?) })
}

/// A short number in plain digits.
fn number(text: &str) -> Option<u64> {
    (text.len() <= 5 && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

fn by_names(sets: &[Set<'_>], config: &dyn Fn(&str) -> Option<Value>, read: &Cell<u64>) -> Vec<(Vec<usize>, Ranks)> {
    type Key<'s> = (&'s str, &'static str, &'s str, Option<u64>);
    let mut writers: BTreeMap<Key<'_>, BTreeMap<u64, Vec<usize>>> = BTreeMap::new();
    for (i, set) in sets.iter().enumerate().filter(|(_, set)| set.format == Format::Safetensors && set.variant.is_none()) {
        if let Some(w) = written(&set.stem) {
            let ranks = writers.entry((&set.folder, w.writer, w.prefix, w.count)).or_default();
            ranks.entry(w.rank).or_default().push(i);
        }
    }
    let mut found = Vec::new();
    for ((folder, writer, _, stated), by_rank) in writers {
        let Some((last, _)) = by_rank.last_key_value().filter(|_| by_rank.len() > 1) else { continue };
        let ranks: Vec<Vec<usize>> = by_rank.values().cloned().collect();
        let world = || config(folder)?.get("mapping")?.get("world_size")?.as_u64();
        let stated = stated.or_else(world);
        let count = stated.unwrap_or(last + 1);
        // Where nobody says how many there are, they are counted from 0.
        let begins = stated.is_some() || by_rank.contains_key(&0);
        if count <= *last || !begins || !shapes_agree(sets, &ranks) {
            continue;
        }
        let (mut evidence, mut cuts) = (format!("file names of {writer}"), None);
        match shapes(sets, &ranks, config) {
            // The files of a save that only repeats the model.
            Shapes::Whole => continue,
            Shapes::Slices { parts, cuts: known, .. } if parts == count => {
                evidence.push_str(&format!("; one dimension times {parts} is what config.json declares"));
                cuts = known;
            }
            // Names alone: files that every process wrote of one whole model have them too, and are equal.
            Shapes::Unknown if stated.is_none() && !differ(sets, &ranks, read) => continue,
            Shapes::Slices { .. } | Shapes::Unknown => {}
        }
        let members = ranks.iter().flatten().copied().collect();
        found.push((members, together(sets, &ranks, count, evidence, cuts)));
    }
    found
}

/// Whether the first two ranks hold other values, or other tensors.
fn differ(sets: &[Set<'_>], ranks: &[Vec<usize>], read: &Cell<u64>) -> bool {
    let (first, second) = (&sets[ranks[0][0]].side, &sets[ranks[1][0]].side);
    first.names_number() != second.names_number() || compare(first, second, read).is_different()
}

/// Tensors of one rank by name.
fn shapes_of<'s>(sets: &'s [Set<'_>], rank: &[usize]) -> HashMap<&'s [u8], &'s Shape> {
    rank.iter().flat_map(|&m| sets[m].side.tensors()).map(|(c, t)| (c.name_bytes(t), &t.shape)).collect()
}

/// Whether what the first rank shares with another has one shape in both, and they share something.
fn shapes_agree(sets: &[Set<'_>], ranks: &[Vec<usize>]) -> bool {
    let first = shapes_of(sets, &ranks[0]);
    ranks[1..].iter().all(|rank| {
        let mut common = 0;
        let other = shapes_of(sets, rank);
        let agree = other.iter().all(|(name, shape)| {
            first.get(name).is_none_or(|of_first| {
                common += 1;
                of_first == shape
            })
        });
        agree && common > 0
    })
}

/// What the shapes of ranks are beside those that config.json declares.
enum Shapes {
    /// Every tensor is a slice, or is whole in each rank.
    Slices { parts: u64, known: usize, cuts: Option<BTreeMap<Vec<u8>, Cut>> },
    /// Every rank has the whole model.
    Whole,
    /// Not known, or they fit nothing.
    Unknown,
}

/// vLLM and Megatron fill the vocabulary up to a multiple of 64 rows a rank or of 128 (`pad_vocab_size`, `make_vocab_size_divisible_by`).
const VOCABULARY_PADDING: u64 = 128;

fn shapes(sets: &[Set<'_>], ranks: &[Vec<usize>], config: &dyn Fn(&str) -> Option<Value>) -> Shapes {
    let Some(declared) = config(&sets[ranks[0][0]].folder).and_then(|config| declared::shapes(&config)) else {
        return Shapes::Unknown;
    };
    let all: Vec<HashMap<&[u8], &Shape>> = ranks.iter().map(|rank| shapes_of(sets, rank)).collect();
    let mut cuts: BTreeMap<Vec<u8>, Cut> = BTreeMap::new();
    let mut padded = Vec::new();
    for (name, shape) in &all[0] {
        let Some(whole) = std::str::from_utf8(name).ok().and_then(|name| declared.get(name)) else { continue };
        // Ranks with tensors of their own (experts) are not told by shapes.
        let Some(others) = all.iter().map(|rank| rank.get(name).copied()).collect::<Option<Vec<&Shape>>>() else {
            return Shapes::Unknown;
        };
        if others.iter().any(|other| other != shape) || shape.len() != whole.len() {
            return Shapes::Unknown;
        }
        let mut cut_axes = (0..shape.len()).filter(|&axis| shape[axis] != whole[axis]);
        match (cut_axes.next(), cut_axes.next()) {
            (None, _) => {
                cuts.insert(name.to_vec(), Cut { axis: 0, parts: 1 });
            }
            (Some(axis), None) if shape[axis] > 0 && whole[axis].is_multiple_of(shape[axis]) => {
                cuts.insert(name.to_vec(), Cut { axis, parts: whole[axis] / shape[axis] });
            }
            (Some(0), None) => padded.push((name.to_vec(), shape[0], whole[0])),
            _ => return Shapes::Unknown,
        }
    }
    let parts = cuts.values().map(|cut| cut.parts).max().unwrap_or(1);
    for (name, rows, whole) in padded {
        let together = rows.saturating_mul(parts);
        if together < whole || together - whole >= VOCABULARY_PADDING * parts {
            return Shapes::Unknown;
        }
        cuts.insert(name, Cut { axis: 0, parts });
    }
    let known = cuts.len();
    match () {
        () if cuts.values().any(|cut| !parts.is_multiple_of(cut.parts)) => Shapes::Unknown,
        () if parts > 1 => Shapes::Slices { parts, known, cuts: (known == all[0].len()).then_some(cuts) },
        () if known > 0 && known == all[0].len() => Shapes::Whole,
        () => Shapes::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::written;

    #[test]
    fn names_of_the_writers() {
        for (stem, told) in [
            ("model-rank-0-part-0", Some(("model", 0, None))),
            ("model-rank-11-part-3", Some(("model", 11, None))),
            ("rank7", Some(("", 7, None))),
            ("model3-mp8", Some(("model", 3, Some(8)))),
            ("model-mp8", None),
            ("model", None),
            ("rank", None),
            ("ranked", None),
            ("model-rank-x-part-0", None),
            ("r-part-1", None),
        ] {
            let got = written(stem).map(|w| (w.prefix, w.rank, w.count));
            assert_eq!(got, told, "{stem}");
        }
    }
}
