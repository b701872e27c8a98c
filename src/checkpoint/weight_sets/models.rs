//! Whether a folder holds one model or several: a collection is never weighed as one.
//!
//! One model is what a configuration of the root stands for (`config.json`, `model_index.json`, `modules.json`), with all that lies below.
//! Without one, what is not a part, a form or a state of another is a model of its own.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::super::{CheckpointFile, declared};
use super::places::{Kind, is_main_part, is_part_of_a_model};
use super::{Group, OneModel, Place, Surroundings, module_of, stems};
use crate::format::Format;

/// The models that are here: two or more, or none where all of it is one.
pub(super) fn find(places: &[Place<'_>], files: &[CheckpointFile], around: &Surroundings<'_>) -> Vec<OneModel> {
    if !around.is_folder {
        return Vec::new();
    }
    let caches = of_caches(files);
    if caches.len() > 1 {
        return caches;
    }
    if around.pipeline {
        return Vec::new();
    }
    let heads = heads(places, files, around);
    if heads.len() < 2 {
        return Vec::new();
    }
    let owners = owners(&heads, files);
    heads.iter().enumerate().map(|(i, group)| model(i, group, files, &owners)).collect()
}

/// The repositories of a hub cache: each folder `models--ORG--NAME` is one, and what lies elsewhere another.
fn of_caches(files: &[CheckpointFile]) -> Vec<OneModel> {
    let mut repos: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (i, file) in files.iter().enumerate() {
        let mut end = 0;
        let repo = file.name.split('/').find_map(|part| {
            end += part.len() + 1;
            (part.starts_with("models--") && end <= file.name.len()).then_some(&file.name[..end - 1])
        });
        // What lies in no repository is told apart once it is given by itself.
        repos.entry(repo.unwrap_or_else(|| file.name.split('/').next().unwrap_or_default())).or_default().push(i);
    }
    if !repos.keys().any(|repo| repo.rsplit('/').next().is_some_and(|name| name.starts_with("models--"))) {
        return Vec::new();
    }
    let model = |(path, files): (&str, Vec<usize>)| {
        let name = path.rsplit('/').next().unwrap_or(path);
        OneModel { name: name.strip_prefix("models--").unwrap_or(name).replace("--", "/"), path: path.to_owned(), files }
    };
    repos.into_iter().map(model).collect()
}

/// The groups that are models of their own; fewer than two where all is one model.
fn heads<'g, 'a>(places: &'g [Place<'a>], files: &[CheckpointFile], around: &Surroundings<'_>) -> Vec<&'g Group<'a>> {
    let configured = (around.configured)("");
    let of_kind = |kind: Kind| places.iter().filter(move |place| place.kind == kind);
    let groups = |place: &'g Place<'a>| {
        // The second of two experts that both count is no model of its own.
        let alone = |group: &&'g Group<'a>| !group.sets.is_empty() && (group.apart.is_none() || !group.counts);
        place.groups.iter().filter(alone)
    };
    let whole = |place: &'g Place<'a>| groups(place).filter(|group| !is_part_of_a_model(&group.sets[0].0, &place.folder, files));
    let gguf = |group: &&'g Group<'a>| group.sets[0].0.format == Format::Gguf;
    let models: Vec<(&Place<'a>, &Group<'a>)> =
        of_kind(Kind::Model).flat_map(|place| whole(place).map(move |group| (place, group))).collect();
    if models.is_empty() {
        let adapters: Vec<(&Place<'a>, &Group<'a>)> =
            of_kind(Kind::Adapter).flat_map(|p| groups(p).map(move |group| (p, group))).collect();
        // Beside parts (a text encoder alone) an adapter is one too.
        let alone = of_kind(Kind::Model).next().is_none();
        return match alone {
            true => told_apart(&adapters, configured, around),
            false if configured => Vec::new(),
            false => of_pipelines(places),
        };
    }
    let found = told_apart(&models, configured, around);
    // Files of llama.cpp are whole models, whatever lies beside them; those that were made of what lies beside them are its forms.
    let of_llama_cpp: Vec<&Group<'a>> = models.iter().map(|(_, group)| *group).filter(gguf).collect();
    let others: Vec<&Group<'a>> = found.iter().copied().filter(|group| !gguf(group)).collect();
    if of_llama_cpp.is_empty() || others.len() + of_llama_cpp.len() < 2 { found } else { [others, of_llama_cpp].concat() }
}

fn told_apart<'g, 'a>(
    groups: &[(&'g Place<'a>, &'g Group<'a>)],
    configured: bool,
    around: &Surroundings<'_>,
) -> Vec<&'g Group<'a>> {
    let (at_root, below): (Vec<_>, Vec<_>) = groups.iter().copied().partition(|(place, _)| place.folder.is_empty());
    let flat = |groups: &[(&'g Place<'a>, &'g Group<'a>)], configured: bool| -> Vec<&'g Group<'a>> {
        let main = groups.iter().find(|(_, group)| group.sets[0].0.is_main());
        let collide = groups.iter().any(|(_, group)| group.apart.is_some());
        match main {
            // What a loader takes by its name; the rest goes with it, or is left out.
            Some((_, main)) => vec![*main],
            None if configured && !collide && !other_than_declared(groups, around) => {
                groups.first().map(|(_, group)| *group).into_iter().collect()
            }
            None => groups.iter().map(|(_, group)| *group).collect(),
        }
    };
    let mut out = flat(&at_root, configured);
    if configured {
        return out;
    }
    let mut by_folder: BTreeMap<&str, Vec<(&Place<'a>, &Group<'a>)>> = BTreeMap::new();
    for (place, group) in below {
        by_folder.entry(&place.folder).or_default().push((place, group));
    }
    let own_name = |folder: &str| stems::own_pieces(folder.rsplit('/').next().unwrap_or(folder));
    let folders: Vec<&str> = by_folder.keys().copied().collect();
    for (folder, groups) in by_folder {
        // The second of two experts goes with the first, wherever that stands.
        let name = own_name(folder);
        let low = name.iter().any(|piece| piece.starts_with("low"));
        if low && folders.iter().any(|other| stems::are_experts(&own_name(other), &name)) {
            continue;
        }
        let own = (around.configured)(folder);
        // Below weights without a configuration, a folder that has one is another model, and any other a part.
        if at_root.is_empty() || own {
            out.extend(flat(&groups, own));
        }
    }
    out
}

/// Whether the configuration of the root declares the modules of one group and none of another's: that one is of something else.
fn other_than_declared(groups: &[(&Place<'_>, &Group<'_>)], around: &Surroundings<'_>) -> bool {
    if groups.len() < 2 {
        return false;
    }
    let Some(declared) = (around.config)("").and_then(|config| declared::shapes(&config)) else { return false };
    let modules: HashSet<&[u8]> = declared.keys().map(|name| module_of(name.as_bytes())).collect();
    let known = |group: &Group<'_>| {
        let set = &group.sets[0].0;
        (set.modules().iter().filter(|module| modules.contains(*module)).count(), set.modules().len())
    };
    let known: Vec<(usize, usize)> = groups.iter().map(|(_, group)| known(group)).collect();
    known.iter().any(|(here, all)| here * 2 > *all) && known.iter().any(|(here, _)| *here == 0)
}

/// Several files in a folder that holds the main parts of pipelines: each is of another pipeline.
fn of_pipelines<'g, 'a>(places: &'g [Place<'a>]) -> Vec<&'g Group<'a>> {
    let main = places.iter().filter(|place| place.kind == Kind::Model && is_main_part(&place.folder));
    let is_beside = |group: &Group<'_>| group.apart.is_some() && group.counts;
    let several = main.map(|place| place.groups.iter().filter(|group| !group.sets.is_empty() && !is_beside(group)));
    several.map(Iterator::collect::<Vec<_>>).filter(|groups| groups.len() > 1).flatten().collect()
}

/// Which model the files below a folder are of; `None` where they are of several.
fn owners<'f>(heads: &[&Group<'_>], files: &'f [CheckpointFile]) -> HashMap<&'f str, Option<usize>> {
    let mut owners: HashMap<&str, Option<usize>> = HashMap::new();
    for (i, group) in heads.iter().enumerate() {
        for &file in group.sets.iter().flat_map(|(set, _)| &set.files) {
            let mut folder = files[file].name.as_str();
            while let Some((above, _)) = folder.rsplit_once('/') {
                folder = above;
                let owner = owners.entry(folder).or_insert(Some(i));
                if *owner != Some(i) {
                    *owner = None;
                }
            }
        }
    }
    owners
}

fn model(i: usize, group: &Group<'_>, files: &[CheckpointFile], owners: &HashMap<&str, Option<usize>>) -> OneModel {
    let set = &group.sets[0].0;
    let all: BTreeSet<usize> = group.sets.iter().flat_map(|(set, _)| set.files.iter().copied()).collect();
    let first = set.files.first().map_or("", |&file| files[file].name.as_str());
    // The highest folder that holds nothing of another model and all forms of this one, else all of the form that is taken.
    let holds = |folder: &str, file: &usize| files[*file].name.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
    let highest = |needed: &[usize]| {
        let above = std::iter::successors(first.rsplit_once('/'), |(folder, _)| folder.rsplit_once('/')).map(|(folder, _)| folder);
        above.filter(|folder| owners.get(folder) == Some(&Some(i)) && needed.iter().all(|file| holds(folder, file))).last()
    };
    let every: Vec<usize> = all.iter().copied().collect();
    let folder = highest(&every).or_else(|| highest(&set.files));
    let stated =
        set.files.first().and_then(|&file| files[file].container.metadata.text("general.name")).filter(|n| !n.trim().is_empty());
    let by_place = || folder.map_or(set.stem.as_str(), |folder| folder.rsplit('/').next().unwrap_or(folder));
    OneModel {
        name: stated.map_or_else(|| by_place().to_owned(), str::to_owned),
        path: folder.unwrap_or(first).to_owned(),
        files: all.into_iter().collect(),
    }
}
