//! What is stated of an adapter beside its tensors: `adapter_config.json`, the metadata of a header, GGUF keys.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value};

use super::named;
use crate::format::{Budget, Container, Format, Metadata, MetadataValue, python_json};
use crate::text::escape_limited;

/// PEFT's configuration.
pub(super) const FILE: &str = "adapter_config.json";

/// Metadata that holds a configuration as JSON: diffusers, PEFT's own writers, kohya-ss.
const NESTED: &[&str] = &["lora_adapter_metadata", "peft_config", "adapter_config", "lora_config", "ss_network_args"];

/// Memory for the tree of one of them, which has some ten values.
const TREE: u64 = 4 << 20;

const RANKS: &[&str] = &["r", "rank", "lora_rank", "network_dim", "ss_network_dim", "lora_dim"];
/// Keys whose words say that ranks differ by module: `conv_dim` and `block_dims` of kohya-ss.
const VARYING: &str = "dim";
const ALPHAS: &[&str] = &["lora_alpha", "alpha", "network_alpha", "ss_network_alpha"];
const BASES: &[&str] =
    &["base_model_name_or_path", "base_model", "base_model_name", "model", "ss_sd_model_name", "ss_base_model_version"];
const ARCHITECTURES: &[&str] = &["ss_base_model_version", "modelspec.architecture"];

/// What one place states.
#[derive(Debug, Clone, Default)]
pub(super) struct Statement {
    /// The place, as reports name it.
    place: String,
    kind: Option<String>,
    rank: Option<u64>,
    alpha: Option<f64>,
    /// The factor itself, as mlx-lm states it.
    scale: Option<f64>,
    rank_pattern: HashMap<String, f64>,
    alpha_pattern: HashMap<String, f64>,
    /// Of a pipeline: what is stated for the modules under each prefix.
    parts: Vec<(String, Statement)>,
    /// Whether ranks and alphas differ by module in a way that is not read.
    varies: bool,
    /// Whether parameters are targets: the matrices of all experts stand in one then.
    of_parameters: bool,
    rslora: bool,
    dora: bool,
    targets: Vec<String>,
    base_model: Option<String>,
    architecture: Option<String>,
}

impl Statement {
    /// Of an `adapter_config.json`; `None` where it is no object.
    pub(super) fn of_config(config: &Value) -> Option<Self> {
        Some(Self { place: FILE.to_owned(), ..Self::of_map(config.as_object()?) })
    }

    /// Of a header; `None` where it states nothing of an adapter.
    pub(super) fn of_metadata(container: &Container) -> Option<Self> {
        let metadata = &container.metadata;
        if container.format == Format::Gguf {
            return Some(Self::of_gguf(metadata));
        }
        let mut map = Map::new();
        let mut parts: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
        let mut varies = false;
        for (key, value) in metadata.entries() {
            if let MetadataValue::Text { text, .. } = value {
                let nested =
                    NESTED.contains(&key.as_str()).then(|| python_json(text.as_bytes(), &Budget::new(TREE)).ok()).flatten();
                match nested {
                    // diffusers prefixes the keys with the component: `transformer.r`.
                    Some(Value::Object(inner)) => {
                        varies |= key == "ss_network_args" && inner.keys().any(|name| name.contains(VARYING));
                        for (name, value) in inner {
                            match name.rsplit_once('.') {
                                Some((prefix, last)) if parts.len() < PARTS || parts.contains_key(prefix) => {
                                    parts.entry(prefix.to_owned()).or_default().insert(last.to_owned(), value);
                                }
                                _ => drop(map.entry(name).or_insert(value)),
                            }
                        }
                    }
                    _ => drop(map.insert(key.clone(), Value::String(text.clone()))),
                }
            }
        }
        // One component alone is the whole adapter.
        if parts.len() == 1 {
            map.extend(parts.pop_first().map(|(_, only)| only).unwrap_or_default());
        }
        let parts: Vec<(String, Self)> = parts.into_iter().map(|(prefix, inner)| (prefix, Self::of_map(&inner))).collect();
        let read = Self { place: "the metadata of the header".to_owned(), parts, varies, ..Self::of_map(&map) };
        let says = read.rank.is_some()
            || read.alpha.is_some()
            || read.base_model.is_some()
            || read.architecture.is_some()
            || !read.parts.is_empty();
        (says || !read.targets.is_empty()).then_some(read)
    }

    fn of_gguf(metadata: &Metadata) -> Self {
        let number = |key: &str| match *metadata.get(key)? {
            MetadataValue::Float(value) => Some(value),
            MetadataValue::Unsigned(n) => Some(n as f64),
            MetadataValue::Signed(n) => Some(n as f64),
            _ => None,
        };
        let base = ["general.base_model.0.repo_url", "general.base_model.0.name"];
        Self {
            place: "the keys of the file".to_owned(),
            kind: metadata.text("adapter.type").and_then(named),
            alpha: number("adapter.lora.alpha"),
            base_model: base.iter().find_map(|key| metadata.text(key)).and_then(named),
            architecture: metadata.text("general.architecture").and_then(named),
            ..Self::default()
        }
    }

    fn of_map(map: &Map<String, Value>) -> Self {
        // mlx-lm keeps the figures one deeper.
        let inner = map.get("lora_parameters").and_then(Value::as_object);
        let kind = map.get("peft_type").or_else(|| map.get("fine_tune_type")).and_then(Value::as_str).and_then(named);
        let kind = kind.map(|kind| kind.to_lowercase());
        let is_adaptive = kind.as_deref() == Some("adalora");
        let first = |names: &[&str]| {
            names.iter().find_map(|name| map.get(*name).or_else(|| inner?.get(*name)).filter(|value| !value.is_null()))
        };
        let text = |names: &[&str]| names.iter().find_map(|name| named(map.get(*name)?.as_str()?));
        let flag = |name: &str| map.get(name).is_some_and(is_true);
        let patterns = |name: &str| -> HashMap<String, f64> {
            let rows = map.get(name).and_then(Value::as_object).into_iter().flatten();
            let end = |module: &str| module.trim_start_matches('^').trim_end_matches('$').trim_start_matches(".*\\.").to_owned();
            rows.filter_map(|(module, value)| Some((end(module), number(value)?))).take(PATTERNS).collect()
        };
        let targets = match map.get("target_modules") {
            Some(Value::Array(names)) => names.iter().filter_map(|name| named(name.as_str()?)).take(super::MAX_TARGETS).collect(),
            // A pattern, or `all-linear`.
            Some(Value::String(one)) => named(one).into_iter().collect(),
            _ => Vec::new(),
        };
        Self {
            place: String::new(),
            kind,
            // AdaLoRA begins with another rank than it aims at.
            rank: first(RANKS)
                .and_then(number)
                .filter(|n| !is_adaptive && *n > 0.0 && n.fract() == 0.0 && *n < 1e9)
                .map(|n| n as u64),
            alpha: first(ALPHAS).and_then(number),
            scale: inner.and_then(|inner| inner.get("scale")).and_then(number),
            parts: Vec::new(),
            varies: false,
            of_parameters: map.get("target_parameters").and_then(Value::as_array).is_some_and(|names| !names.is_empty()),
            rank_pattern: patterns("rank_pattern"),
            alpha_pattern: patterns("alpha_pattern"),
            rslora: flag("use_rslora") || flag("rs_lora"),
            dora: flag("use_dora"),
            targets,
            base_model: text(BASES),
            architecture: text(ARCHITECTURES),
        }
    }

    fn all_targets(&self) -> Vec<String> {
        let mut all = self.targets.clone();
        for target in self.parts.iter().flat_map(|(_, part)| &part.targets) {
            if !all.contains(target) && all.len() < super::MAX_TARGETS {
                all.push(target.clone());
            }
        }
        all
    }

    /// What is stated for a module: of its component, where components are stated apart.
    fn part(&self, module: &str) -> &Self {
        let under = |prefix: &str| module.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('.'));
        self.parts.iter().find(|(prefix, _)| under(prefix)).map_or(self, |(_, part)| part)
    }

    /// The figure of a pattern that a module falls under: PEFT matches the whole path, or its end behind a dot.
    fn pattern(rows: &HashMap<String, f64>, module: &str) -> Option<f64> {
        if rows.is_empty() {
            return None;
        }
        let dots = module.rmatch_indices('.').map(|(at, _)| at + 1).chain([0]);
        dots.take(DEEPEST).filter_map(|start| rows.get(&module[start..]).copied()).last()
    }
}

/// Pieces of a path that a pattern may name.
const DEEPEST: usize = 32;

/// Components of a pipeline that are kept.
const PARTS: usize = 64;

/// Rows of a pattern that are kept.
const PATTERNS: usize = 4096;

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(n) => n.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
    .filter(|n: &f64| n.is_finite())
}

fn is_true(value: &Value) -> bool {
    value.as_bool() == Some(true) || value.as_str().is_some_and(|text| text.eq_ignore_ascii_case("true"))
}

/// What is stated, the configuration before the header.
#[derive(Debug, Clone, Copy)]
pub(super) struct AdapterFiles<'a> {
    pub(super) config: Option<&'a Statement>,
    pub(super) header: Option<&'a Statement>,
}

impl<'a> AdapterFiles<'a> {
    fn each(self) -> impl Iterator<Item = &'a Statement> {
        self.config.into_iter().chain(self.header)
    }

    /// The rank that a module is said to have, and by whom.
    pub(super) fn rank_of(self, module: &str) -> Option<(u64, &'a str)> {
        self.each().filter(|place| !place.varies).find_map(|place| {
            let part = place.part(module);
            let own = Statement::pattern(&part.rank_pattern, module).map(|n| n as u64);
            Some((own.or(part.rank)?, place.place.as_str()))
        })
    }

    pub(super) fn alpha_of(self, module: &str) -> Option<f64> {
        self.each().map(|place| place.part(module)).find_map(|part| Statement::pattern(&part.alpha_pattern, module).or(part.alpha))
    }

    /// Every alpha that is stated for all modules, and by whom.
    pub(super) fn alphas(self) -> Vec<(f64, &'a str)> {
        self.each().filter(|place| !place.varies).filter_map(|place| Some((place.alpha?, place.place.as_str()))).collect()
    }

    pub(super) fn alpha_place(self) -> Option<String> {
        self.each()
            .find(|place| {
                place.alpha.is_some() || !place.alpha_pattern.is_empty() || place.parts.iter().any(|(_, part)| part.alpha.is_some())
            })
            .map(|place| place.place.clone())
    }

    /// llama.cpp takes an alpha of 0 in a GGUF file for none.
    pub(super) fn zero_is_one(self) -> bool {
        self.header.is_some_and(|header| header.place.starts_with("the keys"))
    }

    /// The factor that is stated instead of an alpha.
    pub(super) fn scale(self) -> Option<f64> {
        self.each().find_map(|place| place.scale)
    }

    /// Whether parameters are targets.
    pub(super) fn of_parameters(self) -> bool {
        self.each().any(|place| place.of_parameters)
    }

    pub(super) fn rslora(self) -> bool {
        self.each().any(|place| place.rslora)
    }

    pub(super) fn dora(self) -> bool {
        self.each().any(|place| place.dora)
    }

    pub(super) fn kind(self) -> Option<String> {
        self.each().find_map(|place| place.kind.clone())
    }

    pub(super) fn targets(self) -> Vec<String> {
        self.each().map(Statement::all_targets).find(|targets| !targets.is_empty()).unwrap_or_default()
    }

    pub(super) fn base_model(self) -> Option<String> {
        self.each().find_map(|place| place.base_model.clone())
    }

    pub(super) fn architecture(self) -> Option<String> {
        self.each().find_map(|place| place.architecture.clone())
    }

    /// Where the configuration and the header differ.
    pub(super) fn conflicts(self) -> Vec<String> {
        let (Some(config), Some(header)) = (self.config, self.header) else { return Vec::new() };
        let mut out = Vec::new();
        let mut differ = |what: &str, ours: Option<f64>, theirs: Option<f64>| {
            if let (Some(ours), Some(theirs)) = (ours, theirs)
                && ours != theirs
            {
                out.push(format!("{} states {what} {ours}, {} states {theirs}", config.place, header.place));
            }
        };
        differ("alpha", config.alpha, header.alpha);
        differ("rank", config.rank.map(|n| n as f64), header.rank.map(|n| n as f64));
        if let (Some(ours), Some(theirs)) = (&config.base_model, &header.base_model)
            && !ours.eq_ignore_ascii_case(theirs)
            && ours.contains('/') == theirs.contains('/')
        {
            out.push(format!(
                "{} names the base model {}, {} names {}",
                config.place,
                escape_limited(ours, 80),
                header.place,
                escape_limited(theirs, 80)
            ));
        }
        out
    }
}
