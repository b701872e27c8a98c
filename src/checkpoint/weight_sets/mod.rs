//! Groups files into components and their alternative weight sets, and selects one of each.
//!
//! A folder may hold the same model several times (consolidated beside sharded, several GGUF quants, an fp16 variant, a copy under
//! `original/`), several models of the same tensor names, or one model in slices; counting all of them, or only one, are the most
//! common wrong totals. Names say what could be the same; shapes and a few ranges of the data say whether it is.

mod contents;
mod kinship;
mod models;
mod numbered;
mod places;
mod ranks;
mod states;
mod stems;

use std::cell::{Cell, OnceCell};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::discover::ShardName;
use super::fingerprint::{Likeness, Obstacle, Side};
use super::{CheckpointFile, Component, WeightSet};
use crate::error::Error;
use crate::format::Format;
pub(crate) use contents::is_imatrix;
use kinship::{Kinship, kinship};
use places::Kind;
pub use ranks::Ranks;
pub(super) use ranks::missing_ranks;

/// Names of the main weights of a folder, in order of preference.
const MAIN_STEMS: [&str; 7] = [
    "model",
    "diffusion_pytorch_model",
    "pytorch_model",
    "consolidated",
    "adapter_model",
    "pytorch_lora_weights",
    "open_clip_model",
];

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
    /// Files that hold no weights, and what they hold.
    pub(super) others: Vec<(usize, &'static str)>,
    /// Parts that are missing.
    pub(super) missing: Vec<Error>,
    /// The models that are here; one where all of it is one, or is not told apart.
    pub(super) models: Vec<OneModel>,
}

/// One of the models of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OneModel {
    /// As it names itself, or as its file or folder is called.
    pub(super) name: String,
    /// The file or folder to give, relative to the root.
    pub(super) path: String,
    /// Its files, all forms of it.
    pub(super) files: Vec<usize>,
}

/// What is known of the folder around the files.
pub(super) struct Surroundings<'a> {
    /// Files that a shard index names, with the number of the index.
    pub(super) indexed: &'a HashMap<usize, usize>,
    /// Whether the root is a pipeline, which names its parts.
    pub(super) pipeline: bool,
    /// Whether a folder was asked for, not a file or an index.
    pub(super) is_folder: bool,
    /// The configuration that stands for a folder.
    pub(super) config: &'a dyn Fn(&str) -> Option<Value>,
    /// Whether a folder has a configuration of its own.
    pub(super) configured: &'a dyn Fn(&str) -> bool,
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
    /// How many shards there are by the names of the files, where these say it.
    count: Option<u64>,
    format: Format,
    bytes: u64,
    side: Side<'a>,
    names: OnceCell<Names<'a>>,
    modules: OnceCell<Names<'a>>,
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

/// The groups of one place.
struct Place<'a> {
    kind: Kind,
    /// The folder; of the forms in folders of their own, the one above them.
    folder: String,
    groups: Vec<Group<'a>>,
}

/// Groups the files.
pub(super) fn group(files: &[CheckpointFile], around: &Surroundings<'_>) -> Grouped {
    let read = Cell::new(0);
    let mut others = Vec::new();
    let mut sets = sets(files, around.indexed);
    sets.retain(|set| match contents::no_weights(files, &set.files) {
        Some(what) => {
            others.extend(set.files.iter().map(|&i| (i, what)));
            // What was asked for by itself is shown as it is.
            !around.is_folder
        }
        None => true,
    });
    if around.is_folder {
        sets = numbered::join(sets, files, around);
    }
    let missing = numbered::missing(&sets, files);
    let mut places: BTreeMap<(Kind, String), Vec<Set<'_>>> = BTreeMap::new();
    for set in sets {
        let place = places::place_of(&set, files, around.pipeline);
        places.entry(place).or_default().push(set);
    }
    let places = places.into_iter().map(|((kind, folder), sets)| {
        let groups = split_by_content(join_ranks(sets, around.config, &read), files, &read);
        Place { kind, folder, groups }
    });
    let places = places::merge(places.collect(), around, &read);
    let models = models::find(&places, files, around);
    let mut named: Vec<(String, Vec<Component>)> = places
        .iter()
        .map(|place| {
            let name = places::component_name(place.kind, &place.folder, around.pipeline);
            let components = components(&name, &place.groups, files);
            (name, components)
        })
        .collect();
    // The main model first, then the others by name.
    named.sort_by(|(a, _), (b, _)| (a != "model", a).cmp(&(b != "model", b)));
    let mut out: Vec<Component> = named.into_iter().flat_map(|(_, components)| components).collect();
    // A single-file pipeline beside its own parts holds them again.
    if out.len() > 1 {
        for set in out.iter_mut().filter(|c| c.name == "all-in-one").flat_map(|c| &mut c.weight_sets) {
            set.selected = false;
            let parts = Against { other: "the parts in folders".to_owned(), likeness: Likeness::Incomparable(Obstacle::Names) };
            set.against.get_or_insert(parts);
        }
    }
    Grouped { components: out, bytes_read: read.get(), others, missing, models }
}

/// Files of one set stand together: same folder, same name but for the shard number, same count.
fn sets<'a>(files: &'a [CheckpointFile], indexed: &HashMap<usize, usize>) -> Vec<Set<'a>> {
    struct Found<'n> {
        stem: &'n str,
        variant: Option<&'n str>,
        files: Vec<usize>,
    }
    type Key<'n> = (&'n str, String, Option<usize>, Option<u64>);
    let mut found: BTreeMap<Key<'_>, Found<'_>> = BTreeMap::new();
    for (i, file) in files.iter().enumerate() {
        let (folder, base) = file.name.rsplit_once('/').unwrap_or(("", &file.name));
        let shard = ShardName::parse(base);
        let full = shard.map_or_else(|| base.rsplit_once('.').map_or(base, |(stem, _)| stem), |shard| shard.prefix);
        let (stem, variant) = split_variant(full);
        // An index says what belongs together, whatever the names are and count.
        let indexed = indexed.get(&i).copied();
        let count = shard.map(|shard| shard.count).filter(|_| indexed.is_none());
        let name = if indexed.is_some() { "" } else { full };
        let key = (folder, format!("{name}.{}", file.container.format.name()), indexed, count);
        found.entry(key).or_insert_with(|| Found { stem, variant, files: Vec::new() }).files.push(i);
    }
    let set = |((folder, _, indexed, count), found): (Key<'_>, Found<'_>)| Set {
        folder: folder.to_owned(),
        stem: found.stem.to_owned(),
        own: stems::own_pieces(found.stem),
        variant: found.variant.map(str::to_owned),
        indexed: indexed.is_some(),
        count,
        format: files[found.files[0]].container.format,
        bytes: found.files.iter().fold(0u64, |sum, &i| sum.saturating_add(files[i].container.tensor_bytes())),
        side: Side::new(found.files.iter().map(|&i| &files[i]).collect()),
        names: OnceCell::new(),
        modules: OnceCell::new(),
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
fn split_by_content<'a>(mut sets: Vec<Set<'a>>, files: &'a [CheckpointFile], read: &Cell<u64>) -> Vec<Group<'a>> {
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
    groups
}

/// Smaller is better: no copy folder, safetensors, indexed, whole, a main name, no variant, the last state of a training, more bytes (the
/// most faithful of several quants), then the name.
fn preference(set: &Set<'_>) -> impl Ord + use<> {
    // Of quants in folders of their own none is the copy of another.
    let copy = set.format == Format::Safetensors && places::is_copy_folder(&set.folder);
    let main = MAIN_STEMS.iter().position(|stem| *stem == set.stem).unwrap_or(MAIN_STEMS.len());
    let state = std::cmp::Reverse(states::of_stem(&set.stem).map_or(vec![u64::MAX], |(_, state)| state));
    let by_size = std::cmp::Reverse(set.bytes);
    let form = (copy, set.format != Format::Safetensors, !set.indexed, !set.is_whole());
    (form, main, set.variant.is_some(), state, by_size, set.stem.clone())
}

/// The name of the module that a tensor belongs to: packing changes what stands behind it.
pub(super) fn module_of(name: &[u8]) -> &[u8] {
    name.iter().rposition(|&byte| byte == b'.').map_or(name, |end| &name[..end])
}

/// Tensor names of a set.
type Names<'a> = HashSet<&'a [u8]>;

impl<'a> Set<'a> {
    /// Whether all shards are here that the names of the files count.
    fn is_whole(&self) -> bool {
        self.count.is_none_or(|count| self.files.len() as u64 >= count)
    }

    fn modules(&self) -> &Names<'a> {
        self.modules.get_or_init(|| self.side.tensors().map(|(container, t)| module_of(container.name_bytes(t))).collect())
    }

    /// Whether tools take it for the model of its folder by its name, or by an index.
    fn is_main(&self) -> bool {
        self.indexed || MAIN_STEMS.contains(&self.stem.as_str())
    }

    fn names(&self) -> &Names<'a> {
        self.names.get_or_init(|| self.side.tensors().map(|(container, t)| container.name_bytes(t)).collect())
    }
}

fn components(name: &str, groups: &[Group<'_>], files: &[CheckpointFile]) -> Vec<Component> {
    let mut out: Vec<Component> = Vec::with_capacity(groups.len());
    // Groups that were merged into those of another place are empty.
    let named = |group: &Group<'_>| group.sets.first().map(|(set, _)| set_name(set, Folders::None, false, files));
    for group in groups.iter().filter(|group| !group.sets.is_empty()) {
        let name = if out.is_empty() { name.to_owned() } else { format!("{name}/{}", group.sets[0].0.stem) };
        let mut component = component(name, group, files);
        if let (Some((other, likeness)), Some(first)) = (&group.apart, component.weight_sets.first_mut()) {
            let other = groups.get(*other).and_then(named).unwrap_or_default();
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
    // Folders of one name, such as that of the model in the folder of each state, are told by their whole paths.
    let mut last: HashMap<&str, BTreeSet<&str>> = HashMap::new();
    for (set, _) in &group.sets {
        last.entry(set.folder.rsplit('/').next().unwrap_or_default()).or_default().insert(&set.folder);
    }
    let whole = last.values().any(|folders| folders.len() > 1);
    let folders = if whole {
        Folders::Whole
    } else if several_folders {
        Folders::Last
    } else {
        Folders::None
    };
    let twice =
        |set: &Set<'_>| alike.get(&(set.folder.as_str(), set.stem.as_str(), set.variant.as_deref())).is_some_and(|&n| n > 1);
    let other = set_name(first, folders, twice(first), files);
    let weight_sets = group
        .sets
        .iter()
        .enumerate()
        .map(|(i, (set, likeness))| WeightSet {
            name: set_name(set, folders, twice(set), files),
            files: set.files.clone(),
            tensor_bytes: set.bytes,
            selected: i == 0 && group.counts,
            against: likeness.clone().map(|likeness| Against { other: other.clone(), likeness }),
            ranks: set.ranks.clone(),
        })
        .collect();
    Component { name, weight_sets }
}

/// How much of its folder the name of a set says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Folders {
    None,
    Last,
    Whole,
}

/// The shortest name that tells a set from its alternatives.
fn set_name(set: &Set<'_>, folders: Folders, twice: bool, files: &[CheckpointFile]) -> String {
    let folder = match folders {
        Folders::None => "",
        Folders::Last => set.folder.rsplit('/').next().unwrap_or_default(),
        Folders::Whole => &set.folder,
    };
    let variant = set.variant.as_deref().map(|v| format!("{}.{v}", set.stem));
    let base = variant.unwrap_or_else(|| set.stem.clone());
    let name = match set.count {
        _ if !twice => base,
        Some(count) if !set.indexed => format!("{base} (of {count})"),
        _ => format!("{base} ({})", if set.indexed { "indexed" } else { files[set.files[0]].container.format.name() }),
    };
    if folder.is_empty() { name } else { format!("{folder}/{name}") }
}

#[cfg(test)]
mod tests;
