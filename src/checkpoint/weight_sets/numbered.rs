//! Parts of one model in files that are numbered without a form that all tools know: `weights.00`, `model_part_01`, parts of a split
//! GGUF under other names. Numbers alone prove nothing: the tensors must be different ones, and must belong together.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::super::{CheckpointFile, ShardName, declared};
use super::{Set, Surroundings, module_of};
use crate::error::{Error, ErrorKind};
use crate::format::{Format, Shape};

/// A name taken apart at its numbers: the text around them, and the numbers.
fn numbers(stem: &str) -> Option<(String, Vec<u64>)> {
    let (mut text, mut numbers, mut digits) = (String::new(), Vec::new(), String::new());
    for c in stem.chars().chain([' ']) {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        if !digits.is_empty() {
            text.push('#');
            numbers.push(digits.parse().ok()?);
            digits.clear();
        }
        text.push(c);
    }
    text.pop();
    (!numbers.is_empty()).then_some((text, numbers))
}

/// Joins the sets that are parts of one model.
pub(super) fn join<'a>(sets: Vec<Set<'a>>, files: &'a [CheckpointFile], around: &Surroundings<'_>) -> Vec<Set<'a>> {
    let mut sets: Vec<Set<'a>> =
        sets.into_iter().flat_map(|set| if repeats(&set, files) { alone(&set, files) } else { vec![set] }).collect();
    let mut joined = splits(&sets, files);
    // By folder, format and what stands around the numbers.
    type Series<'s> = BTreeMap<(&'s str, &'s str, String), Vec<(usize, Vec<u64>)>>;
    let mut series: Series<'_> = BTreeMap::new();
    for (i, set) in sets.iter().enumerate() {
        let single = set.files.len() == 1 && !set.indexed && set.count.is_none() && set.variant.is_none();
        if let Some((text, numbers)) = numbers(&set.stem).filter(|_| single && !joined.iter().flatten().any(|j| *j == i)) {
            series.entry((&set.folder, set.format.name(), text)).or_default().push((i, numbers));
        }
    }
    let mut counted: Vec<Option<u64>> = vec![None; joined.len()];
    for ((folder, _, text), members) in series {
        if let Some((members, count)) = parts(&sets, folder, &text, members, around) {
            joined.push(members);
            counted.push(count);
        }
    }
    for (members, count) in joined.into_iter().zip(counted) {
        let found: Vec<usize> = members.iter().flat_map(|&m| sets[m].files.clone()).collect();
        let bytes = members.iter().fold(0u64, |sum, &m| sum.saturating_add(sets[m].bytes));
        let side = found.iter().map(|&i| &files[i]).collect();
        let first = &mut sets[members[0]];
        (first.side, first.bytes, first.files) = (super::Side::new(side), bytes, found);
        let stem = first.stem.split(|c: char| c.is_ascii_digit()).next().unwrap_or_default();
        let stem = stem.trim_end_matches(['-', '_', '.', ' ']).to_owned();
        if !stem.is_empty() && first.count.is_none() {
            first.own = super::stems::own_pieces(&stem);
            first.stem = stem;
        }
        first.count = first.count.or(count);
        for &m in &members[1..] {
            sets[m].files.clear();
        }
    }
    sets.retain(|set| !set.files.is_empty());
    sets
}

/// Parts that the names count and that are not here. Gaps in the usual numbering are told by the names alone.
pub(super) fn missing(sets: &[Set<'_>], files: &[CheckpointFile]) -> Vec<Error> {
    let short = |set: &Set<'_>| {
        let first = &files[*set.files.first()?];
        let (here, count) = (set.files.len() as u64, set.count?);
        let usual = ShardName::parse(first.name.rsplit('/').next().unwrap_or_default()).is_some();
        let message = format!("one of {count} parts, of which {} are missing", count.saturating_sub(here));
        let error = || Error::new(ErrorKind::MissingShard, message).with_path(&first.path).help("fetch the missing parts");
        (here < count && !usual).then(error)
    };
    sets.iter().filter_map(short).collect()
}

/// Whether files with the names of shards hold the same tensors: slices of ranks, or copies, and no parts of one whole. The first tensors of
/// the others tell.
fn repeats(set: &Set<'_>, files: &[CheckpointFile]) -> bool {
    let [first, others @ ..] = set.files.as_slice() else { return false };
    if set.count.is_none() || others.is_empty() || set.format != Format::Safetensors {
        return false;
    }
    let of_first = &files[*first].container;
    let names: HashSet<&[u8]> = of_first.tensors.iter().map(|t| of_first.name_bytes(t)).collect();
    others.iter().map(|&i| &files[i].container).all(|other| {
        let mut first = other.tensors.iter().take(FIRST).map(|t| other.name_bytes(t)).peekable();
        first.peek().is_some() && first.all(|name| names.contains(name))
    })
}

/// Tensors of a file that are looked for in another.
const FIRST: usize = 8;

/// A set for each of its files.
fn alone<'a>(set: &Set<'a>, files: &'a [CheckpointFile]) -> Vec<Set<'a>> {
    let one = |&i: &usize| {
        let base = files[i].name.rsplit('/').next().unwrap_or_default();
        let stem = base.rsplit_once('.').map_or(base, |(stem, _)| stem).to_owned();
        Set {
            folder: set.folder.clone(),
            own: super::stems::own_pieces(&stem),
            stem,
            variant: None,
            files: vec![i],
            indexed: false,
            count: None,
            format: set.format,
            bytes: files[i].container.tensor_bytes(),
            side: super::Side::new(vec![&files[i]]),
            names: OnceCell::new(),
            modules: OnceCell::new(),
            ranks: None,
        }
    };
    set.files.iter().map(one).collect()
}

/// The members in the order of their numbers, where they are parts of one model, and how many there are where the names say it.
fn parts(
    sets: &[Set<'_>],
    folder: &str,
    text: &str,
    mut members: Vec<(usize, Vec<u64>)>,
    around: &Surroundings<'_>,
) -> Option<(Vec<usize>, Option<u64>)> {
    let (_, first) = members.first().filter(|_| members.len() > 1)?;
    let mut varying = (0..first.len()).filter(|&n| members.iter().any(|(_, numbers)| numbers[n] != first[n]));
    let (at, None) = (varying.next()?, varying.next()) else { return None };
    members.sort_by_key(|(_, numbers)| numbers[at]);
    let number = |(_, numbers): &(usize, Vec<u64>)| numbers[at];
    let (least, most) = (number(&members[0]), number(&members[members.len() - 1]));
    // `1_of_3`: the number after the one that varies is the count.
    let between = text.split('#').nth(at + 1)?;
    let is_of = between.trim_matches(|c: char| !c.is_alphanumeric()).eq_ignore_ascii_case("of");
    let count = members[0].1.get(at + 1).copied().filter(|_| is_of);
    let distinct = members.windows(2).all(|pair| number(&pair[0]) < number(&pair[1]));
    let whole = most - least + 1 == members.len() as u64 && least <= 1;
    if !distinct || !whole || count.is_some_and(|count| most - least + 1 > count) {
        return None;
    }
    let order: Vec<usize> = members.into_iter().map(|(i, _)| i).collect();
    let belong = || count == Some(order.len() as u64) || belong_together(sets, &order, folder, around);
    (are_disjoint(sets, &order) && belong()).then_some((order, count))
}

/// Whether no tensor stands in two of them. Two models of one architecture differ from parts in the first tensor already.
fn are_disjoint(sets: &[Set<'_>], members: &[usize]) -> bool {
    let mut names: HashSet<&[u8]> = HashSet::new();
    members.iter().flat_map(|&m| sets[m].side.tensors()).all(|(container, t)| names.insert(container.name_bytes(t)))
}

/// Whether the configuration declares what they hold or, where it does not tell, their tensors are of the same kinds: the same names but for
/// the numbers in them, and the same shapes.
fn belong_together(sets: &[Set<'_>], members: &[usize], folder: &str, around: &Surroundings<'_>) -> bool {
    if let Some(declared) = (around.config)(folder).and_then(|config| declared::shapes(&config)) {
        let modules: HashSet<&[u8]> = declared.keys().map(|name| module_of(name.as_bytes())).collect();
        return members.iter().all(|&m| {
            let of_part =
                sets[m].side.tensors().filter(|(container, t)| modules.contains(module_of(container.name_bytes(t)))).count();
            of_part * 2 > sets[m].side.len()
        });
    }
    let mut kinds: HashMap<(Vec<u8>, &Shape), BTreeSet<usize>> = HashMap::new();
    for &m in members {
        for (container, t) in sets[m].side.tensors() {
            let kind = container.name_bytes(t).iter().filter(|b| !b.is_ascii_digit()).copied().collect();
            kinds.entry((kind, &t.shape)).or_default().insert(m);
        }
    }
    let shared: BTreeSet<usize> = kinds.into_values().filter(|parts| parts.len() > 1).flatten().collect();
    // The first and the last part may hold an embedding or a head alone.
    shared.len() >= 2 && shared.len() + 2 >= members.len()
}

/// Parts of a split GGUF that do not bear the names of parts: they say their number and how many there are.
fn splits(sets: &[Set<'_>], files: &[CheckpointFile]) -> Vec<Vec<usize>> {
    type Members = Vec<(u64, usize)>;
    let mut found: BTreeMap<(&str, u64, Option<u64>), Members> = BTreeMap::new();
    for (i, set) in sets.iter().enumerate().filter(|(_, set)| set.format == Format::Gguf) {
        let metadata = &files[set.files[0]].container.metadata;
        let Some(count) = metadata.count("split.count").filter(|&n| n > 1 && (set.files.len() as u64) < n) else { continue };
        let number = metadata.count("split.no").unwrap_or(0);
        found.entry((&set.folder, count, metadata.count("split.tensors.count"))).or_default().push((number, i));
    }
    let together = |((_, count, _), mut members): ((&str, u64, Option<u64>), Members)| {
        members.sort_unstable();
        let distinct = members.windows(2).all(|pair| pair[0].0 < pair[1].0);
        let order: Vec<usize> = members.into_iter().map(|(_, i)| i).collect();
        let parts: usize = order.iter().map(|&i| sets[i].files.len()).sum();
        (order.len() > 1 && distinct && parts as u64 <= count && are_disjoint(sets, &order)).then_some(order)
    };
    found.into_iter().filter_map(together).collect()
}

#[cfg(test)]
mod tests {
    use super::numbers;

    #[test]
    fn names_are_taken_apart_at_their_numbers() {
        assert_eq!(numbers("model_part_01"), Some(("model_part_#".to_owned(), vec![1])));
        assert_eq!(numbers("m2.1_of_3"), Some(("m#.#_of_#".to_owned(), vec![2, 1, 3])));
        assert_eq!(numbers("weights"), None);
        assert_eq!(numbers("hash-123456789012345678901234567890"), None);
    }
}
