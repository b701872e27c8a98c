//! Groups files into components and their alternative weight sets, and selects one of each.
//!
//! A folder may hold the same model several times (consolidated beside sharded, several GGUF quants, an fp16 variant, a copy under
//! `original/`), several models of the same tensor names, or one model in slices; counting all of them, or only one, are the most
//! common wrong totals. Names say what could be the same; shapes and a few ranges of the data say whether it is.

mod kinship;
mod ranks;
mod stems;

use std::cell::{Cell, OnceCell};
use std::collections::{BTreeMap, HashMap, HashSet};

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::discover::ShardName;
use super::fingerprint::{Likeness, Obstacle, Side};
use super::names::{Role, classify};
use super::{CheckpointFile, Component, WeightSet};
use crate::format::{Container, Format};
use kinship::{Kinship, kinship};
pub use ranks::Ranks;
pub(super) use ranks::missing_ranks;

/// Folders that hold another copy of what stands in their parent.
const COPY_FOLDERS: [&str; 13] =
    ["original", "metal", "consolidated", "gguf", "fp16", "fp32", "bf16", "int8", "int4", "quantized", "mlx", "ema", "non_ema"];

/// Names of the main weights of a folder, in order of preference.
const MAIN_STEMS: [&str; 6] =
    ["model", "diffusion_pytorch_model", "pytorch_model", "consolidated", "adapter_model", "open_clip_model"];

/// Names of precision variants, as `model.fp16.safetensors` carries them.
const VARIANTS: [&str; 12] = ["fp16", "fp32", "bf16", "fp8", "int8", "int4", "ema", "non_ema", "q8", "q4", "f16", "f32"];

/// A weight set beside another that it may be taken for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Against {
    /// The name of the other set.
    pub other: String,
    /// What is known of its values beside those of the other.
    pub likeness: Likeness,
}

/// `beside` of a weight set in the JSON.
impl Serialize for Against {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut row = serializer.serialize_struct("Against", 4)?;
        row.serialize_field("weight_set", &self.other)?;
        row.serialize_field("likeness", self.likeness.code())?;
        row.serialize_field("compared_bytes", &self.likeness.compared())?;
        row.serialize_field("why", &self.likeness.to_string())?;
        row.end()
    }
}

/// What grouping found.
pub(super) struct Grouped {
    pub(super) components: Vec<Component>,
    /// Bytes of tensors that were read to compare sets.
    pub(super) bytes_read: u64,
}

/// A set of files before it is known what it is to others.
struct Set<'a> {
    folder: String,
    /// File name without shard numbers, variant and extension.
    stem: String,
    /// The pieces of that name that do not say how the weights are stored.
    own: Vec<String>,
    /// Precision variant in the name.
    variant: Option<String>,
    files: Vec<usize>,
    indexed: bool,
    format: Format,
    bytes: u64,
    side: Side<'a>,
    names: OnceCell<Names<'a>>,
    ranks: Option<Ranks>,
}

/// Sets that stand for one component.
struct Group<'a> {
    sets: Vec<(Set<'a>, Option<Likeness>)>,
    /// The group that it could be taken for and is not, and why.
    apart: Option<(usize, Likeness)>,
    /// Whether it counts: further models of the same names do not.
    counts: bool,
}

/// Groups the files. `indexed` marks files that a shard index names; `config` gives the configuration that stands for a folder.
pub(super) fn group(
    files: &[CheckpointFile],
    indexed: &HashSet<usize>,
    pipeline: bool,
    config: &dyn Fn(&str) -> Option<Value>,
) -> Grouped {
    let mut places: BTreeMap<(u8, String), Vec<Set<'_>>> = BTreeMap::new();
    for set in sets(files, indexed) {
        let name = component_name(&set, files, pipeline);
        // The main model first, then the others by name.
        let rank = u8::from(name != "model");
        places.entry((rank, name)).or_default().push(set);
    }
    let read = Cell::new(0);
    let mut out = Vec::new();
    for ((_, name), sets) in places {
        out.extend(split_by_content(name, join_ranks(sets, config, &read), files, &read));
    }
    // A single-file pipeline beside its own parts holds them again.
    if out.len() > 1 {
        for set in out.iter_mut().filter(|c| c.name == "all-in-one").flat_map(|c| &mut c.weight_sets) {
            set.selected = false;
            let parts = Against { other: "the parts in folders".to_owned(), likeness: Likeness::Incomparable(Obstacle::Names) };
            set.against.get_or_insert(parts);
        }
    }
    Grouped { components: out, bytes_read: read.get() }
}

/// Files of one set stand together: same folder, same name but for the shard number.
fn sets<'a>(files: &'a [CheckpointFile], indexed: &HashSet<usize>) -> Vec<Set<'a>> {
    struct Found<'n> {
        stem: &'n str,
        variant: Option<&'n str>,
        files: Vec<usize>,
    }
    let mut found: BTreeMap<(&str, String, bool), Found<'_>> = BTreeMap::new();
    for (i, file) in files.iter().enumerate() {
        let (folder, base) = file.name.rsplit_once('/').unwrap_or(("", &file.name));
        let full =
            ShardName::parse(base).map_or_else(|| base.rsplit_once('.').map_or(base, |(stem, _)| stem), |shard| shard.prefix);
        let (stem, variant) = split_variant(full);
        let key = (folder, format!("{full}.{}", file.container.format.name()), indexed.contains(&i));
        found.entry(key).or_insert_with(|| Found { stem, variant, files: Vec::new() }).files.push(i);
    }
    let set = |((folder, _, indexed), found): ((&str, String, bool), Found<'_>)| Set {
        folder: folder.to_owned(),
        stem: found.stem.to_owned(),
        own: stems::own_pieces(found.stem),
        variant: found.variant.map(str::to_owned),
        indexed,
        format: files[found.files[0]].container.format,
        bytes: found.files.iter().fold(0u64, |sum, &i| sum.saturating_add(files[i].container.tensor_bytes())),
        side: Side::new(found.files.iter().map(|&i| &files[i]).collect()),
        names: OnceCell::new(),
        ranks: None,
        files: found.files,
    };
    found.into_iter().map(set).collect()
}

/// `model.fp16` is the variant fp16 of `model`.
fn split_variant(stem: &str) -> (&str, Option<&str>) {
    match stem.rsplit_once('.') {
        Some((base, variant)) if VARIANTS.contains(&variant.to_ascii_lowercase().as_str()) => (base, Some(variant)),
        _ => (stem, None),
    }
}

fn component_name(set: &Set<'_>, files: &[CheckpointFile], pipeline: bool) -> String {
    let first = &files[set.files[0]].container;
    if set.format == Format::Gguf {
        let kind = first.metadata.text("general.type");
        if first.metadata.text("general.architecture") == Some("clip") || kind == Some("mmproj") || set.stem.contains("mmproj") {
            return "mmproj".to_owned();
        }
        if kind == Some("adapter") {
            return "adapter".to_owned();
        }
    }
    let mut parts: Vec<&str> = set.folder.split('/').filter(|p| !p.is_empty()).collect();
    while parts.last().is_some_and(|last| COPY_FOLDERS.contains(&last.to_ascii_lowercase().as_str())) {
        parts.pop();
    }
    if parts.is_empty() && is_adapter(set, first) {
        return "adapter".to_owned();
    }
    if parts.is_empty() && pipeline {
        return "all-in-one".to_owned();
    }
    if parts.is_empty() { "model".to_owned() } else { parts.join("/") }
}

fn is_adapter(set: &Set<'_>, container: &Container) -> bool {
    // Alpha tensors say nothing by themselves.
    let is_part = |t| classify(&container.name(t), container.format).role == Role::Adapter;
    let mut first = container.tensors.iter().take(8);
    let fits = first.all(|t| is_part(t) || container.name(t).ends_with(".alpha"));
    set.stem == "adapter_model" || fits && container.tensors.iter().take(64).any(is_part)
}

/// Sets that are slices of one model become one set.
fn join_ranks<'a>(mut sets: Vec<Set<'a>>, config: &dyn Fn(&str) -> Option<Value>, read: &Cell<u64>) -> Vec<Set<'a>> {
    if sets.len() < 2 {
        return sets;
    }
    for (members, ranks) in ranks::find(&sets, config, read) {
        let files: Vec<usize> = ranks.files.iter().flatten().copied().collect();
        let tensors = members.iter().flat_map(|&m| sets[m].side.files().to_vec()).collect();
        let bytes = members.iter().fold(0u64, |sum, &m| sum.saturating_add(sets[m].bytes));
        let first = &mut sets[members[0]];
        (first.files, first.bytes, first.side) = (files, bytes, Side::new(tensors));
        first.ranks = Some(ranks);
        for &m in &members[1..] {
            sets[m].files.clear();
        }
    }
    sets.retain(|set| !set.files.is_empty());
    sets
}

/// Groups of one place that a further set is compared with; beyond it a set stands for itself. Folders with so many different
/// models are collections, and comparing each with each would take the square of their number.
const COMPARED: usize = 64;

/// Within one place: sets of one model are copies or forms of one component, others are components of their own.
fn split_by_content<'a>(name: String, mut sets: Vec<Set<'a>>, files: &'a [CheckpointFile], read: &Cell<u64>) -> Vec<Component> {
    sets.sort_by_cached_key(preference);
    let mut groups: Vec<Group<'a>> = Vec::new();
    for set in sets {
        // The group it is nearest to, and the first that it stands apart from.
        let (mut nearest, mut apart) = (None, None);
        for (i, group) in groups.iter().enumerate().take(COMPARED) {
            match kinship(&group.sets[0].0, &set, files, read) {
                Kinship::Form { likeness, nearness } => {
                    if nearest.as_ref().is_none_or(|(_, _, other)| nearness > *other) {
                        nearest = Some((i, likeness, nearness));
                    }
                    if nearness >= kinship::NEAR {
                        break;
                    }
                }
                Kinship::Apart { likeness, counts } => {
                    apart.get_or_insert((i, likeness, counts));
                }
                Kinship::None => {}
            }
        }
        match (nearest, apart) {
            (Some((i, likeness, _)), _) => groups[i].sets.push((set, Some(likeness))),
            (None, Some((i, likeness, counts))) => {
                groups.push(Group { sets: vec![(set, None)], apart: Some((i, likeness)), counts: counts && groups[i].counts });
            }
            (None, None) => groups.push(Group { sets: vec![(set, None)], apart: None, counts: true }),
        }
    }
    components(&name, &groups, files)
}

/// Smaller is better: no copy folder, safetensors, indexed, a main name, no variant, more bytes (the most faithful of several
/// quants), then the name.
fn preference(set: &Set<'_>) -> impl Ord + use<> {
    let copy = set.folder.rsplit('/').next().is_some_and(|last| COPY_FOLDERS.contains(&last.to_ascii_lowercase().as_str()));
    let main = MAIN_STEMS.iter().position(|stem| *stem == set.stem).unwrap_or(MAIN_STEMS.len());
    let by_size = std::cmp::Reverse(set.bytes);
    (copy, set.format != Format::Safetensors, !set.indexed, main, set.variant.is_some(), by_size, set.stem.clone())
}

/// Tensor names of a set.
type Names<'a> = HashSet<&'a [u8]>;

impl<'a> Set<'a> {
    fn names(&self) -> &Names<'a> {
        self.names.get_or_init(|| self.side.tensors().map(|(container, t)| container.name_bytes(t)).collect())
    }
}

fn components(name: &str, groups: &[Group<'_>], files: &[CheckpointFile]) -> Vec<Component> {
    let mut out: Vec<Component> = Vec::with_capacity(groups.len());
    for (i, group) in groups.iter().enumerate() {
        let name = if i > 0 { format!("{name}/{}", group.sets[0].0.stem) } else { name.to_owned() };
        let mut component = component(name, group, files);
        if let (Some((other, likeness)), Some(first)) = (&group.apart, component.weight_sets.first_mut()) {
            let other = out.get(*other).and_then(|c| c.weight_sets.first()).map_or_else(String::new, |set| set.name.clone());
            first.against = Some(Against { other, likeness: likeness.clone() });
        }
        out.push(component);
    }
    out
}

fn component(name: String, group: &Group<'_>, files: &[CheckpointFile]) -> Component {
    let first = &group.sets[0].0;
    let several_folders = group.sets.iter().any(|(other, _)| other.folder != first.folder);
    let mut alike: HashMap<(&str, &str, Option<&str>), usize> = HashMap::new();
    for (set, _) in &group.sets {
        *alike.entry((&set.folder, &set.stem, set.variant.as_deref())).or_default() += 1;
    }
    let twice =
        |set: &Set<'_>| alike.get(&(set.folder.as_str(), set.stem.as_str(), set.variant.as_deref())).is_some_and(|&n| n > 1);
    let other = set_name(first, several_folders, twice(first), files);
    let weight_sets = group
        .sets
        .iter()
        .enumerate()
        .map(|(i, (set, likeness))| WeightSet {
            name: set_name(set, several_folders, twice(set), files),
            files: set.files.clone(),
            tensor_bytes: set.bytes,
            selected: i == 0 && group.counts,
            against: likeness.clone().map(|likeness| Against { other: other.clone(), likeness }),
            ranks: set.ranks.clone(),
        })
        .collect();
    Component { name, weight_sets }
}

/// The shortest name that tells a set from its alternatives.
fn set_name(set: &Set<'_>, several_folders: bool, twice: bool, files: &[CheckpointFile]) -> String {
    let folder = set.folder.rsplit('/').next().unwrap_or_default();
    let in_copy_folder = several_folders && !folder.is_empty();
    let variant = set.variant.as_deref().map(|v| format!("{}.{v}", set.stem));
    let base = variant.unwrap_or_else(|| set.stem.clone());
    let name = if twice {
        format!("{base} ({})", if set.indexed { "indexed" } else { files[set.files[0]].container.format.name() })
    } else {
        base
    };
    if in_copy_folder { format!("{folder}/{name}") } else { name }
}

#[cfg(test)]
mod tests;
