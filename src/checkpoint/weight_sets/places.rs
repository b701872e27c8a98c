//! Where weight sets stand: folders of parts, of copies, of a trainer's states, of other forms of what stands above or beside them.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};

use super::super::CheckpointFile;
use super::super::fingerprint::{Likeness, Obstacle, Side, compare};
use super::super::names::{Role, classify};
use super::{COMPARED, Place, Set, Surroundings, states, stems};
use crate::dtype::Dtype;
use crate::families::parts;
use crate::format::{Container, Format, Shape};

/// Folders that hold another copy of what stands in their parent.
const COPY_FOLDERS: [&str; 13] =
    ["original", "metal", "consolidated", "gguf", "fp16", "fp32", "bf16", "int8", "int4", "quantized", "mlx", "ema", "non_ema"];

/// What a set is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Kind {
    Model,
    Adapter,
    Projector,
}

pub(super) fn is_copy_folder(folder: &str) -> bool {
    folder.rsplit('/').next().is_some_and(|last| COPY_FOLDERS.contains(&last.to_ascii_lowercase().as_str()))
}

/// Whether the name of a file or the last folder of a path is that of a part.
pub(super) fn is_part(name: &str) -> bool {
    let last = name.rsplit('/').next().unwrap_or(name);
    let own: Vec<String> = stems::own_pieces(last).into_iter().filter(|piece| !piece.bytes().all(|b| b.is_ascii_digit())).collect();
    let numbered =
        |list: &[&str], text: &str| list.contains(&text.trim_end_matches(|c: char| c.is_ascii_digit())) || list.contains(&text);
    let whole = own.concat();
    // The whole name, or its last words: `text_encoder_2`, `wan_2.1_vae`.
    let ends = |n: usize| numbered(&parts::NAMES, &own[own.len() - n..].concat());
    numbered(&parts::ENCODERS, &whole) || (1..=own.len().min(3)).any(ends)
}

/// Whether a folder is one of the main parts of pipelines, of which each has one.
pub(super) fn is_main_part(folder: &str) -> bool {
    let last = folder.rsplit('/').next().unwrap_or(folder);
    let own: Vec<String> = stems::own_pieces(last).into_iter().filter(|piece| !piece.bytes().all(|b| b.is_ascii_digit())).collect();
    parts::MAIN.contains(&own.concat().as_str())
}

/// What a set is for, and where.
pub(super) fn place_of(set: &Set<'_>, files: &[CheckpointFile], pipeline: bool) -> (Kind, String) {
    let first = &files[set.files[0]].container;
    let mut folder = set.folder.as_str();
    while is_copy_folder(folder) {
        folder = folder.rsplit_once('/').map_or("", |(above, _)| above);
    }
    if set.format == Format::Gguf {
        let (kind, architecture) = (first.metadata.text("general.type"), first.metadata.text("general.architecture"));
        if architecture == Some(parts::PROJECTOR) || kind == Some("mmproj") || set.stem.contains("mmproj") {
            return (Kind::Projector, String::new());
        }
        if kind == Some("adapter") || architecture == Some(parts::CONTROL_VECTOR) {
            return (Kind::Adapter, folder.to_owned());
        }
        // Quants lie in folders of any name: what the headers say tells models apart, not the folder.
        return (Kind::Model, if pipeline || is_part(folder) { folder.to_owned() } else { String::new() });
    }
    let kind = if is_adapter(set, first) { Kind::Adapter } else { Kind::Model };
    (kind, folder.to_owned())
}

pub(super) fn component_name(kind: Kind, folder: &str, pipeline: bool) -> String {
    match (kind, folder) {
        (Kind::Projector, _) => "mmproj",
        (Kind::Adapter, "") => "adapter",
        (Kind::Model, "") if pipeline => "all-in-one",
        (Kind::Model, "") => "model",
        (_, folder) => folder,
    }
    .to_owned()
}

fn is_adapter(set: &Set<'_>, container: &Container) -> bool {
    // Alpha tensors say nothing by themselves.
    let is_part = |t| classify(&container.name(t), container.format).role == Role::Adapter;
    let mut first = container.tensors.iter().take(8);
    let fits = first.all(|t| is_part(t) || container.name(t).ends_with(".alpha"));
    set.stem == "adapter_model" || fits && container.tensors.iter().take(64).any(is_part)
}

/// Whether a set goes beside a model: by its name, or by the architecture that a GGUF states.
pub(super) fn is_part_of_a_model(set: &Set<'_>, folder: &str, files: &[CheckpointFile]) -> bool {
    let architecture = files[set.files[0]].container.metadata.text("general.architecture").unwrap_or_default();
    is_part(folder) || (!set.is_main() && is_part(&set.stem)) || parts::ARCHITECTURES.contains(&architecture)
}

/// Whether two sets seem to be of one model in one or two forms: the same modules, and no plain matrix in two shapes.
fn alike(a: &Set<'_>, b: &Set<'_>) -> bool {
    if a.side.same_structure_as(&b.side) {
        return true;
    }
    let (of_a, of_b) = (a.modules(), b.modules());
    let (smaller, larger) = if of_a.len() <= of_b.len() { (of_a, of_b) } else { (of_b, of_a) };
    let common = smaller.iter().filter(|name| larger.contains(*name)).count();
    common * 2 >= larger.len() && common > 0 && same_shapes(&a.side, &b.side)
}

/// Whether nine of ten floats of one name have one shape in both: a vocabulary that was made longer is no other model.
fn same_shapes(a: &Side<'_>, b: &Side<'_>) -> bool {
    let plain = |dtype: Dtype| matches!(dtype, Dtype::F32 | Dtype::F16 | Dtype::BF16);
    let of_a: HashMap<&[u8], &Shape> =
        a.tensors().filter(|(_, t)| plain(t.dtype)).map(|(container, t)| (container.name_bytes(t), &t.shape)).collect();
    let (mut same, mut other) = (0usize, 0usize);
    for (container, t) in b.tensors().filter(|(_, t)| plain(t.dtype)) {
        match of_a.get(container.name_bytes(t)) {
            Some(shape) if **shape == t.shape => same += 1,
            Some(_) => other += 1,
            None => {}
        }
    }
    other == 0 || same >= 9 * other
}

/// Joins the groups of folders that hold earlier states, or other forms, of what stands in another folder.
pub(super) fn merge<'a>(mut places: Vec<Place<'a>>, around: &Surroundings<'_>, read: &Cell<u64>) -> Vec<Place<'a>> {
    if places.len() > 1 && around.is_folder && !around.pipeline {
        earlier_states(&mut places);
        forms(&mut places, around, read);
    }
    places.retain(|place| place.groups.iter().any(|group| !group.sets.is_empty()));
    places
}

fn first<'p, 'a>(places: &'p [Place<'a>], at: usize) -> Option<&'p Set<'a>> {
    places[at].groups.first()?.sets.first().map(|(set, _)| set)
}

/// Moves what a place holds to the first group of another.
fn take_in<'a>(places: &mut [Place<'a>], from: usize, to: usize, likeness: &Likeness) {
    let groups = std::mem::take(&mut places[from].groups);
    let sets =
        groups.into_iter().flat_map(|group| group.sets).map(|(set, of_its_own)| (set, of_its_own.or(Some(likeness.clone()))));
    let moved: Vec<_> = sets.collect();
    if let Some(group) = places[to].groups.first_mut() {
        group.sets.extend(moved);
    }
}

fn join(above: &str, below: &str) -> String {
    match (above, below) {
        ("", one) | (one, "") => one.to_owned(),
        (above, below) => format!("{above}/{below}"),
    }
}

/// A folder and those above it, up to the root.
fn upwards(folder: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(folder), |folder| {
        let above = folder.rsplit_once('/').map_or("", |(above, _)| above);
        (!folder.is_empty()).then_some(above)
    })
}

/// `checkpoint-500` beside the final model, or beside `checkpoint-1000`.
fn earlier_states(places: &mut [Place<'_>]) {
    let by_folder: HashMap<(Kind, String), usize> =
        places.iter().enumerate().map(|(i, place)| ((place.kind, place.folder.clone()), i)).collect();
    type Run = (Kind, String, String, String);
    let mut runs: BTreeMap<Run, Vec<(Vec<u64>, usize)>> = BTreeMap::new();
    let mut moves: Vec<(usize, usize)> = Vec::new();
    for (i, place) in places.iter().enumerate() {
        let Some(state) = states::of_folder(&place.folder) else { continue };
        let beside = join(&state.above, &state.below);
        let final_place = std::iter::once(beside.as_str()).chain(upwards(&state.above)).find_map(|folder| {
            // Adapters that were saved on the way to a model that they were merged into are its states too.
            let kinds = [place.kind, Kind::Model];
            let of_kind = |kind: &Kind| by_folder.get(&(*kind, folder.to_owned())).copied().filter(|&p| p != i);
            kinds.iter().find_map(of_kind)
        });
        let is_state_of = |to: &usize| {
            let (Some(a), Some(b)) = (first(places, *to), first(places, i)) else { return false };
            (place.kind == Kind::Adapter && places[*to].kind == Kind::Model) || alike(a, b)
        };
        match final_place.filter(is_state_of) {
            Some(to) => moves.push((i, to)),
            None => {
                let run = (place.kind, state.above, state.base, state.below);
                runs.entry(run).or_default().push((state.order, i));
            }
        }
    }
    for mut states in runs.into_values().filter(|states| states.len() > 1) {
        states.sort_unstable();
        let Some((_, last)) = states.pop() else { continue };
        let of_one_run = |at: usize| first(places, last).zip(first(places, at)).is_some_and(|(a, b)| alike(a, b));
        moves.extend(states.into_iter().filter(|(_, at)| of_one_run(*at)).map(|(_, at)| (at, last)));
    }
    for (from, to) in moves {
        take_in(places, from, to, &Likeness::Incomparable(Obstacle::EarlierState));
    }
}

/// A folder of another form of what stands above it or beside it, under any name: `4bit`, `mlx-8bit`.
fn forms(places: &mut [Place<'_>], around: &Surroundings<'_>, read: &Cell<u64>) {
    let mut by_folder: HashMap<(Kind, String), usize> = HashMap::new();
    for (i, place) in places.iter().enumerate().filter(|(_, place)| !place.groups.is_empty()) {
        by_folder.insert((place.kind, place.folder.clone()), i);
    }
    // Those that others in the same folder are compared with.
    let mut heads: BTreeMap<(Kind, String), Vec<usize>> = BTreeMap::new();
    for i in 0..places.len() {
        let place = &places[i];
        if place.groups.is_empty() || place.folder.is_empty() || place.kind == Kind::Projector || is_part(&place.folder) {
            continue;
        }
        let above = place.folder.rsplit_once('/').map_or("", |(above, _)| above);
        let root = upwards(above).find_map(|folder| by_folder.get(&(place.kind, folder.to_owned())).copied());
        let Some(set) = first(places, i) else { continue };
        if let Some(to) = root {
            let Some(root) = first(places, to).filter(|root| alike(root, set)) else { continue };
            // `ema/` beside `model/`: the copy is the form, whichever folder stands above.
            if is_copy_folder(&root.folder) && !is_copy_folder(&set.folder) && set.bytes >= root.bytes {
                let likeness = compare(&set.side, &root.side, read);
                take_in(places, to, i, &likeness);
            } else {
                let likeness = compare(&root.side, &set.side, read);
                take_in(places, i, to, &likeness);
            }
            continue;
        }
        let key = (place.kind, above.to_owned());
        let others = heads.get(&key).map_or(&[][..], |heads| &heads[..heads.len().min(COMPARED)]);
        let form = others.iter().find_map(|&to| {
            let head = first(places, to).filter(|head| alike(head, set))?;
            let likeness = compare(&head.side, &set.side, read);
            let name = |place: usize| stems::own_pieces(places[place].folder.rsplit('/').next().unwrap_or_default());
            // Of names that say nothing but the form, values that differ are those of another quantizer.
            let one_name = name(to) == name(i);
            (!likeness.is_different() || (one_name && !(around.configured)(""))).then_some((to, likeness))
        });
        let Some((to, likeness)) = form else {
            heads.entry(key).or_default().push(i);
            continue;
        };
        // The larger of two forms is the more faithful one.
        match first(places, to).filter(|head| head.bytes < set.bytes).map(|head| compare(&set.side, &head.side, read)) {
            Some(likeness) => {
                take_in(places, to, i, &likeness);
                heads.entry(key).or_default().iter_mut().filter(|head| **head == to).for_each(|head| *head = i);
            }
            None => take_in(places, i, to, &likeness),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_part;

    #[test]
    fn names_of_parts() {
        for part in
            ["vae", "text_encoder_2", "text_encoders", "wan_2.1_vae", "1_Pooling", "2_Dense", "x/vision_tower", "silero-vad"]
        {
            assert!(is_part(part), "{part}");
        }
        for model in ["llama-3-8b", "Alpha", "toy-Q8_0", "models", "4bit", "", "qwen2.5-vl", "decoder-only-1b", "vae-gan"] {
            assert!(!is_part(model), "{model}");
        }
    }
}
