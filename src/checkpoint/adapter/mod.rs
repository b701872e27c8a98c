//! What an adapter is: its kind, rank, strength, the modules it changes, and the model it goes with.
//!
//! Ranks come from the shapes of its tensors. Alpha stands in tensors (kohya), in `adapter_config.json` (PEFT, [`crate::pins::PEFT`]), in
//! the metadata of the header (kohya, diffusers, SGLang) or in GGUF keys; the scale is alpha over the rank, over its root for
//! rank-stabilised LoRA.

mod modules;
mod stated;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

use super::boundary::Boundary;
use super::names::{Role, classify};
use super::{Checkpoint, WeightSet};
use crate::format::{Budget, Container, limits, python_json_past_mark};
use crate::source::read_exact_at;
use crate::text::escape_limited;
pub(super) use modules::is_alpha;
use stated::{AdapterFiles, Statement};

/// Adapters of one folder that are looked at; a library of more is told by its files.
const MAX_ADAPTERS: usize = 1024;

/// Modules whose alpha tensors are read, of all adapters together.
const MAX_ALPHAS: usize = 65_536;

/// Target modules that are named.
const MAX_TARGETS: usize = 64;

/// Length of a name from a file.
const NAME: usize = 200;

/// One adapter; the names are those of the JSON.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Adapter {
    /// Its files, as reports name them.
    pub files: Vec<String>,
    /// `lora`, `loha`, `lokr`, `dora`, `ia3`, ...
    pub kind: String,
    /// The model it goes with, as it says itself.
    pub base_model: Option<String>,
    /// The architecture of that model, where it is stated apart from its name.
    pub architecture: Option<String>,
    /// The one rank of all modules; `None` where there are several, or none.
    pub rank: Option<u64>,
    /// Every rank, ascending.
    pub ranks: Vec<u64>,
    /// The one alpha of all modules; `None` where there are several, or none is stated.
    pub alpha: Option<f64>,
    /// Every alpha, ascending.
    pub alphas: Vec<f64>,
    /// The one factor that its product is added with; `None` where there are several, or it is not known.
    pub scale: Option<f64>,
    /// Every such factor, ascending.
    pub scales: Vec<f64>,
    /// Where alpha stands: `tensors`, a file's name, `metadata`, or `keys`.
    pub alpha_from: Option<String>,
    /// Modules that it changes.
    pub modules: u64,
    /// What those modules are called, at most 64.
    pub targets: Vec<String>,
    /// Whether the scale is alpha over the root of the rank.
    pub rslora: bool,
    /// Whether it has magnitudes beside the directions (DoRA).
    pub dora: bool,
    /// Where what is stated differs: between places, or from the shapes of the tensors; escaped.
    pub conflicts: Vec<String>,
    /// What a reader should know; escaped.
    pub notes: Vec<String>,
}

/// The adapters of a checkpoint, selected or not, in the order of its components.
pub(super) fn read(checkpoint: &Checkpoint, root: &Path, boundary: &Arc<Boundary>) -> Vec<Adapter> {
    let sets = checkpoint.components.iter().flat_map(|c| &c.weight_sets).filter(|set| is_adapter(checkpoint, set));
    let budget = Budget::new(limits::MAX_CONFIG_TREES);
    let mut configs: BTreeMap<String, Option<Statement>> = BTreeMap::new();
    let mut alphas = MAX_ALPHAS;
    let mut out = Vec::new();
    for set in sets.take(MAX_ADAPTERS) {
        let name = set.files.first().map_or("", |&file| checkpoint.files[file].name.as_str());
        let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
        let config = configs.entry(folder.clone()).or_insert_with(|| {
            let path = root.join(&folder).join(stated::FILE);
            let found = boundary.find(&path, String::new()).ok()?;
            let bytes = found.read_small(limits::MAX_CONFIG).ok()?;
            Statement::of_config(&python_json_past_mark(&bytes, &budget).ok()?.0)
        });
        out.push(adapter(checkpoint, set, config.as_ref(), &mut alphas));
    }
    out
}

/// Whether most of the first tensors of a set are parts of an adapter.
pub(super) fn is_adapter(checkpoint: &Checkpoint, set: &WeightSet) -> bool {
    const LOOKED_AT: usize = 64;
    let Some(container) = set.files.first().map(|&file| &checkpoint.files[file].container) else { return false };
    if container.metadata.text("general.type") == Some("adapter") {
        return true;
    }
    let is_part = |name: &str| classify(name, container.format).role == Role::Adapter || modules::part_of(name).is_some();
    let first: Vec<bool> = container.tensors.iter().take(LOOKED_AT).map(|t| is_part(&container.name(t))).collect();
    first.iter().filter(|part| **part).count() * 2 > first.len()
}

fn adapter(checkpoint: &Checkpoint, set: &WeightSet, config: Option<&Statement>, budget: &mut usize) -> Adapter {
    let files: Vec<(usize, &Container)> = set.files.iter().map(|&file| (file, &checkpoint.files[file].container)).collect();
    let mut read = modules::Modules::default();
    for &(file, container) in &files {
        read.add(file, container);
    }
    let header = files.first().and_then(|(_, container)| Statement::of_metadata(container));
    let stated = AdapterFiles { config, header: header.as_ref() };
    let mut conflicts = stated.conflicts();
    let mut notes = Vec::new();
    let mut by_tensor = 0usize;
    let (mut ranks, mut alphas, mut scales) = (Vec::new(), Vec::new(), Vec::new());
    let (mut uneven, mut half, mut others) = (Vec::new(), Vec::new(), Vec::new());
    for (name, module) in &read.modules {
        let Some(rank) = module.rank else {
            if module.is_half() {
                half.push(name);
            }
            continue;
        };
        // Of parameters that are targets, all experts stand one below the other.
        let said = stated.rank_of(name).map(|(said, _)| said);
        let stacked = stated.of_parameters() && said.is_some_and(|said| said > 0 && rank.is_multiple_of(said));
        let rank = said.filter(|_| stacked).unwrap_or(rank);
        if module.is_uneven() {
            uneven.push(name);
        }
        keep(&mut ranks, rank as f64);
        if said.is_some_and(|said| said != rank) {
            others.push(name);
        }
        let own = module.alpha.filter(|_| *budget > 0).and_then(|(file, index)| {
            *budget -= 1;
            scalar(checkpoint, file, index)
        });
        by_tensor += usize::from(own.is_some());
        if let Some(alpha) = own.or_else(|| stated.alpha_of(name)) {
            keep(&mut alphas, alpha);
            keep(&mut scales, scale(alpha, rank, stated.rslora(), own.is_none() && stated.zero_is_one()));
        } else if let Some(scale) = stated.scale() {
            keep(&mut scales, scale);
        }
    }
    let shown = |names: &[&String]| escape_limited(names.first().map_or("", |name| name.as_str()), 80);
    if !half.is_empty() {
        conflicts.push(format!("{} modules have one of their two matrices alone (`{}`)", half.len(), shown(&half)));
    }
    if !uneven.is_empty() {
        conflicts.push(format!("the two matrices of {} modules are of different ranks (`{}`)", uneven.len(), shown(&uneven)));
    }
    if let Some((said, place)) = others.first().and_then(|name| stated.rank_of(name)) {
        let here = numbers(&ranks);
        conflicts.push(format!(
            "{place} states rank {said}, the tensors of {} modules have another (`{}`; ranks here: {here})",
            others.len(),
            shown(&others)
        ));
    }
    if by_tensor > 0 {
        for (said, place) in stated.alphas().into_iter().filter(|(said, _)| !alphas.contains(said)) {
            conflicts.push(format!("{place} states alpha {said}, the alpha tensors hold {}", numbers(&alphas)));
        }
    }
    let alpha_from = if by_tensor > 0 { Some("tensors".to_owned()) } else { stated.alpha_place().filter(|_| !alphas.is_empty()) };
    if scales.is_empty() && !ranks.is_empty() {
        notes.push("no alpha is stated: loaders differ (most take the rank, which is a scale of 1)".to_owned());
    }
    let dora = stated.dora() || read.has_magnitudes;
    let mut targets = stated.targets();
    if targets.is_empty() {
        targets = read.targets(MAX_TARGETS);
    }
    targets.truncate(MAX_TARGETS);
    let one = |values: &[f64]| if let [value] = values { Some(*value) } else { None };
    let kind = match read.kind() {
        "lora" if dora => "dora".to_owned(),
        "other" => stated.kind().unwrap_or_else(|| "other".to_owned()),
        kind => kind.to_owned(),
    };
    Adapter {
        files: files.iter().map(|(file, _)| checkpoint.files[*file].name.clone()).collect(),
        kind,
        base_model: stated.base_model(),
        architecture: stated.architecture(),
        rank: one(&ranks).map(|rank| rank as u64),
        ranks: ranks.iter().map(|rank| *rank as u64).collect(),
        alpha: one(&alphas),
        scale: one(&scales),
        alphas,
        scales,
        alpha_from,
        modules: read.modules.len() as u64,
        targets,
        rslora: stated.rslora(),
        dora,
        conflicts,
        notes,
    }
}

/// The factor of a module: alpha over its rank, or over the rank's root. llama.cpp takes 1 where a GGUF file says 0.
fn scale(alpha: f64, rank: u64, rslora: bool, zero_is_one: bool) -> f64 {
    let rank = rank.max(1) as f64;
    match alpha {
        alpha if alpha == 0.0 && zero_is_one => 1.0,
        alpha if rslora => alpha / rank.sqrt(),
        alpha => alpha / rank,
    }
}

/// Distinct values that are kept, ascending.
const DISTINCT: usize = 64;

fn keep(values: &mut Vec<f64>, value: f64) {
    if let Err(place) = values.binary_search_by(|known| known.total_cmp(&value))
        && values.len() < DISTINCT
        && value.is_finite()
    {
        values.insert(place, value);
    }
}

fn numbers(values: &[f64]) -> String {
    values.iter().map(f64::to_string).collect::<Vec<_>>().join(", ")
}

/// The value of a tensor of one float.
fn scalar(checkpoint: &Checkpoint, file: usize, index: usize) -> Option<f64> {
    let (file, info) = (&checkpoint.files[file], checkpoint.files[file].container.tensors.get(index)?);
    let width = usize::try_from(info.bytes).ok().filter(|bytes| *bytes <= 8 && info.elements == 1)?;
    let mut bytes = [0u8; 8];
    read_exact_at(&file.open().ok()?, info.offset, bytes.get_mut(..width)?).ok()?;
    modules::float(info.dtype, &bytes)
}

impl Adapter {
    /// One line: what it is, how strong, where it goes; escaped.
    pub fn describe(&self) -> String {
        let kind = match self.kind.as_str() {
            "lora" => "LoRA",
            "loha" => "LoHa",
            "lokr" => "LoKr",
            "dora" => "DoRA",
            other => other,
        };
        let several = |what: &str, values: &[f64]| match values {
            [] => String::new(),
            [one] => format!(", {what} {one}"),
            _ => format!(", {what} {}", numbers(values)),
        };
        let mut line = escape_limited(kind, 40);
        let ranks: Vec<f64> = self.ranks.iter().map(|&rank| rank as f64).collect();
        line.push_str(&several(if ranks.len() > 1 { "ranks" } else { "rank" }, &ranks));
        line.push_str(&several("alpha", &self.alphas));
        line.push_str(&several("scale", &self.scales));
        if self.rslora {
            line.push_str(" (rank-stabilised)");
        }
        let names: Vec<String> = self.targets.iter().take(8).map(|name| escape_limited(name, 40)).collect();
        let more = if self.targets.len() > 8 { ", ..." } else { "" };
        let plural = if self.modules == 1 { "module" } else { "modules" };
        line.push_str(&format!(", on {} {plural} ({}{more})", crate::units::grouped(self.modules), names.join(", ")));
        match (&self.base_model, &self.architecture) {
            (Some(base), _) => line.push_str(&format!(", for {}", escape_limited(base, 80))),
            (None, Some(architecture)) => line.push_str(&format!(", for {}", escape_limited(architecture, 80))),
            (None, None) => line.push_str("; its base model is not stated"),
        }
        line
    }
}

/// Text from a file as it is kept.
fn named(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty() && text != "None").then(|| text.chars().take(NAME).collect())
}
