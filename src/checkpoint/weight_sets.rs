//! Groups files into components and their alternative weight sets, and selects one of each.
//!
//! A folder may hold the same model several times (consolidated beside sharded, several GGUF quants, an fp16 variant, a copy under
//! `original/`); counting all of them is the most common wrong total. Names decide first, headers where names do not.

use std::cell::OnceCell;
use std::collections::{BTreeMap, HashMap, HashSet};

use super::discover::ShardName;
use super::{CheckpointFile, Component, WeightSet};
use crate::format::{Container, Format};

/// Folders that hold another copy of what stands in their parent.
const COPY_FOLDERS: [&str; 13] =
    ["original", "metal", "consolidated", "gguf", "fp16", "fp32", "bf16", "int8", "int4", "quantized", "mlx", "ema", "non_ema"];

/// Names of the main weights of a folder, in order of preference.
const MAIN_STEMS: [&str; 6] =
    ["model", "diffusion_pytorch_model", "pytorch_model", "consolidated", "adapter_model", "open_clip_model"];

/// Names of precision variants, as `model.fp16.safetensors` carries them.
const VARIANTS: [&str; 12] = ["fp16", "fp32", "bf16", "fp8", "int8", "int4", "ema", "non_ema", "q8", "q4", "f16", "f32"];

/// Two sets are copies of one component when at least this share of the smaller one's tensor names stands in the other.
const SAME_NAMES: f64 = 0.5;

/// A set of files before it is known what it is a copy of.
struct Candidate {
    folder: String,
    /// File name without shard numbers, variant and extension.
    stem: String,
    /// Precision variant in the name.
    variant: Option<String>,
    files: Vec<usize>,
    indexed: bool,
    format: Format,
    bytes: u64,
}

/// Groups the files. `indexed` marks files that a shard index names.
pub(super) fn group(files: &[CheckpointFile], indexed: &HashSet<usize>, pipeline: bool) -> Vec<Component> {
    let mut components: BTreeMap<(u8, String), Vec<Candidate>> = BTreeMap::new();
    for candidate in candidates(files, indexed) {
        let name = component_name(&candidate, files, pipeline);
        // The main model first, then the others by name.
        let rank = u8::from(name != "model");
        components.entry((rank, name)).or_default().push(candidate);
    }
    let mut out = Vec::new();
    for ((_, name), candidates) in components {
        out.extend(split_by_content(name, candidates, files));
    }
    // A single-file pipeline beside its own parts holds them again.
    if out.len() > 1 {
        for set in out.iter_mut().filter(|c| c.name == "all-in-one").flat_map(|c| &mut c.weight_sets) {
            set.selected = false;
        }
    }
    out
}

/// Files of one set stand together: same folder, same name but for the shard number.
fn candidates(files: &[CheckpointFile], indexed: &HashSet<usize>) -> Vec<Candidate> {
    let mut sets: BTreeMap<(String, String, bool), Candidate> = BTreeMap::new();
    for (i, file) in files.iter().enumerate() {
        let (folder, base) = file.name.rsplit_once('/').unwrap_or(("", &file.name));
        let format = file.container.format;
        let full =
            ShardName::parse(base).map_or_else(|| base.rsplit_once('.').map_or(base, |(stem, _)| stem), |shard| shard.prefix);
        let (stem, variant) = split_variant(full);
        let is_indexed = indexed.contains(&i);
        let key = (folder.to_owned(), format!("{full}.{}", format.name()), is_indexed);
        let set = sets.entry(key).or_insert_with(|| Candidate {
            folder: folder.to_owned(),
            stem: stem.to_owned(),
            variant: variant.map(str::to_owned),
            files: Vec::new(),
            indexed: is_indexed,
            format,
            bytes: 0,
        });
        set.files.push(i);
        set.bytes = set.bytes.saturating_add(file.container.tensor_bytes());
    }
    sets.into_values().collect()
}

/// `model.fp16` is the variant fp16 of `model`.
fn split_variant(stem: &str) -> (&str, Option<&str>) {
    match stem.rsplit_once('.') {
        Some((base, variant)) if VARIANTS.contains(&variant.to_ascii_lowercase().as_str()) => (base, Some(variant)),
        _ => (stem, None),
    }
}

fn component_name(set: &Candidate, files: &[CheckpointFile], pipeline: bool) -> String {
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

fn is_adapter(set: &Candidate, container: &Container) -> bool {
    let looks = |t| {
        let name = container.name(t);
        [".lora_A", ".lora_B", "lora_up.", "lora_down.", ".lora_a", ".lora_b", "lora_embedding_"]
            .iter()
            .any(|mark| name.contains(mark))
    };
    set.stem == "adapter_model" || (!container.tensors.is_empty() && container.tensors.iter().take(8).all(looks))
}

/// Groups of one place that a further set is compared with; beyond it a set stands for itself. Folders with so many different
/// models are collections, and comparing each with each would take the square of their number.
const COMPARED: usize = 64;

/// Within one place: sets that hold the same tensors are copies of one component, others are components of their own.
fn split_by_content<'a>(name: String, mut sets: Vec<Candidate>, files: &'a [CheckpointFile]) -> Vec<Component> {
    sets.sort_by_cached_key(preference);
    let mut groups: Vec<(Vec<Candidate>, OnceCell<Names<'a>>)> = Vec::new();
    for set in sets {
        let names = OnceCell::new();
        let same = |(group, first): &&mut (Vec<Candidate>, OnceCell<Names<'a>>)| {
            is_copy(&group[0], &set, files, || {
                let (a, b) = (first.get_or_init(|| names_of(&group[0], files)), names.get_or_init(|| names_of(&set, files)));
                share_of_names(a, b)
            })
        };
        match groups.iter_mut().take(COMPARED).find(same) {
            Some((group, _)) => group.push(set),
            None => groups.push((vec![set], names)),
        }
    }
    let several = groups.len() > 1;
    groups
        .into_iter()
        .enumerate()
        .map(|(i, (group, _))| {
            let name = if several && i > 0 { format!("{name}/{}", group[0].stem) } else { name.clone() };
            component(name, group, files)
        })
        .collect()
}

/// Smaller is better: no copy folder, safetensors, indexed, a main name, no variant, more bytes (the most faithful of several
/// quants), then the name.
fn preference(set: &Candidate) -> impl Ord + use<> {
    let copy = set.folder.rsplit('/').next().is_some_and(|last| COPY_FOLDERS.contains(&last.to_ascii_lowercase().as_str()));
    let main = MAIN_STEMS.iter().position(|stem| *stem == set.stem).unwrap_or(MAIN_STEMS.len());
    let by_size = std::cmp::Reverse(set.bytes);
    (copy, set.format != Format::Safetensors, !set.indexed, main, set.variant.is_some(), by_size, set.stem.clone())
}

fn is_copy(a: &Candidate, b: &Candidate, files: &[CheckpointFile], share: impl FnOnce() -> f64) -> bool {
    if a.folder != b.folder || a.stem == b.stem {
        // Another variant of one name; a copy folder of this component's folder.
        return true;
    }
    let main = |set: &Candidate| MAIN_STEMS.contains(&set.stem.as_str());
    if a.format == b.format && main(a) && main(b) {
        return true;
    }
    let (first_a, first_b) = (&files[a.files[0]].container, &files[b.files[0]].container);
    if a.format == Format::Gguf && b.format == Format::Gguf {
        return same_gguf_model(first_a, first_b);
    }
    // A GGUF beside the safetensors it was made from.
    a.format != b.format || share() >= SAME_NAMES
}

/// Quants of one model agree in architecture, depth, width and vocabulary.
fn same_gguf_model(a: &Container, b: &Container) -> bool {
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

/// Tensor names of a set.
type Names<'a> = HashSet<&'a [u8]>;

fn names_of<'a>(set: &Candidate, files: &'a [CheckpointFile]) -> Names<'a> {
    set.files.iter().flat_map(|&i| files[i].container.tensors.iter().map(move |t| files[i].container.name_bytes(t))).collect()
}

fn share_of_names(a: &Names<'_>, b: &Names<'_>) -> f64 {
    let (smaller, larger) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    if smaller.is_empty() {
        0.0
    } else {
        smaller.iter().filter(|name| larger.contains(*name)).count() as f64 / smaller.len() as f64
    }
}

fn component(name: String, group: Vec<Candidate>, files: &[CheckpointFile]) -> Component {
    let several_folders = group.iter().any(|other| other.folder != group[0].folder);
    let mut alike: HashMap<(&str, &str, Option<&str>), usize> = HashMap::new();
    for set in &group {
        *alike.entry((&set.folder, &set.stem, set.variant.as_deref())).or_default() += 1;
    }
    let twice =
        |set: &Candidate| alike.get(&(set.folder.as_str(), set.stem.as_str(), set.variant.as_deref())).is_some_and(|&n| n > 1);
    let weight_sets = group
        .iter()
        .enumerate()
        .map(|(i, set)| WeightSet {
            name: set_name(set, several_folders, twice(set), files),
            files: set.files.clone(),
            tensor_bytes: set.bytes,
            selected: i == 0,
        })
        .collect();
    Component { name, weight_sets }
}

/// The shortest name that tells a set from its alternatives.
fn set_name(set: &Candidate, several_folders: bool, twice: bool, files: &[CheckpointFile]) -> String {
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
mod tests {
    use super::*;
    use crate::source::MemorySource;

    fn file(name: &str, tensors: &[&str]) -> CheckpointFile {
        let mut entries = Vec::new();
        for (i, tensor) in tensors.iter().enumerate() {
            entries.push(format!(r#""{tensor}":{{"dtype":"U8","shape":[1],"data_offsets":[{i},{}]}}"#, i + 1));
        }
        let header = format!("{{{}}}", entries.join(","));
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(header.as_bytes());
        bytes.resize(bytes.len() + tensors.len(), 0);
        let container = crate::format::read(&MemorySource::new(name, bytes)).unwrap();
        CheckpointFile {
            path: name.into(),
            name: name.into(),
            container,
            identity: None,
            opinion: crate::format::SecondOpinion::NotAsked("no file"),
        }
    }

    /// `component: set*, set` with a star at the selected one.
    fn shown(files: &[CheckpointFile], indexed: &[usize], pipeline: bool) -> Vec<String> {
        group(files, &indexed.iter().copied().collect(), pipeline)
            .iter()
            .map(|c| {
                let sets: Vec<String> = c
                    .weight_sets
                    .iter()
                    .map(|s| format!("{}{}×{}", s.name, if s.selected { "*" } else { "" }, s.files.len()))
                    .collect();
                format!("{}: {}", c.name, sets.join(", "))
            })
            .collect()
    }

    #[test]
    fn shards_are_one_set_and_a_consolidated_copy_another() {
        let files = [
            file("consolidated.safetensors", &["layers.0.w"]),
            file("model-00001-of-00002.safetensors", &["a"]),
            file("model-00002-of-00002.safetensors", &["b"]),
            file("original/model.safetensors", &["x"]),
        ];
        assert_eq!(shown(&files, &[1, 2], false), ["model: model*×2, consolidated×1, original/model×1"]);
    }

    #[test]
    fn a_variant_is_a_copy_and_an_unrelated_file_is_a_component() {
        let files = [
            file("model.int8.safetensors", &["a", "b", "b.scale"]),
            file("model.safetensors", &["a", "b"]),
            file("vae.safetensors", &["decoder.x"]),
        ];
        assert_eq!(shown(&files, &[], false), ["model: model*×1, model.int8×1", "model/vae: vae*×1"]);
    }

    #[test]
    fn a_pipeline_has_a_component_per_folder() {
        let files = [
            file("sd_xl.safetensors", &["all"]),
            file("text_encoder/model.fp16.safetensors", &["t"]),
            file("text_encoder/model.safetensors", &["t"]),
            file("unet/diffusion_pytorch_model.safetensors", &["u"]),
        ];
        assert_eq!(
            shown(&files, &[], true),
            ["all-in-one: sd_xl×1", "text_encoder: model*×1, model.fp16×1", "unet: diffusion_pytorch_model*×1"]
        );
    }

    #[test]
    fn an_adapter_counts_beside_the_model() {
        let files = [file("adapter_model.safetensors", &["q.lora_A.weight"]), file("model.safetensors", &["q.weight"])];
        assert_eq!(shown(&files, &[], false), ["model: model*×1", "adapter: adapter_model*×1"]);
    }
}
