//! The configuration of a folder, in whichever files it stands: config.json, or Mistral's params.json where there is none, and what lies
//! beside it of a quantization.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::boundary::{Boundary, FoundFile};
use super::config::{self, KvLayers, ModelConfig, params_json};
use super::discover::name_in;
use crate::error::{Error, ErrorKind, Result};
use crate::format::{Budget, limits, python_json_past_mark};
use crate::text::escape_limited;

/// What a folder's configuration says, under the keys of a config.json.
#[derive(Debug, Clone)]
pub(crate) struct Configuration {
    pub(crate) value: Value,
    /// The file it is of, as reports name it.
    pub(crate) file: String,
    /// The file that states its quantization, where that is another.
    pub(crate) quantization_file: Option<&'static str>,
}

impl Configuration {
    /// A config.json that stands for itself.
    pub(crate) fn of_value(value: Value) -> Self {
        Self { value, file: "config.json".to_owned(), quantization_file: None }
    }

    /// The file to name where the quantization is spoken of.
    pub(crate) fn quantization_file(&self) -> &str {
        self.quantization_file.unwrap_or(&self.file)
    }
}

/// A file that a folder's facts may be read from.
type Reading = fn(Value) -> std::result::Result<(Value, Vec<String>), String>;

const FILES: [(&str, Reading); 2] = [("config.json", |value| Ok((value, Vec::new()))), (params_json::FILE, mistral)];

fn mistral(value: Value) -> std::result::Result<(Value, Vec<String>), String> {
    let params = value.as_object().ok_or("is no JSON object")?;
    params_json::as_config(params).map(|(config, notes)| (Value::Object(config), notes))
}

/// The quantization that a file states.
type QuantizationOf = fn(Value) -> Option<Value>;

/// What lies beside a configuration that states no quantization, and what makes it one: ModelOpt up to 0.29, old GPTQ repos.
const BESIDE: [(&str, QuantizationOf); 2] =
    [("hf_quant_config.json", |file| modelopt(&file)), ("quantize_config.json", |file| Some(gptq(file)))];

/// vLLM takes the file for the quantization of the model where its producer is ModelOpt (`config/model.py`).
fn modelopt(file: &Value) -> Option<Value> {
    let producer = file.get("producer")?.get("name")?.as_str()?;
    let mut inner = file.get("quantization")?.as_object().filter(|_| producer.eq_ignore_ascii_case("modelopt"))?.clone();
    inner.entry("quant_method").or_insert_with(|| "modelopt".into());
    Some(Value::Object(inner))
}

fn gptq(mut file: Value) -> Value {
    if let Some(fields) = file.as_object_mut() {
        fields.entry("quant_method").or_insert_with(|| "gptq".into());
    }
    file
}

/// Facts and configuration of a folder, or of the root where `folder` is `None` or has none. What is there and cannot be read is pushed to
/// `problems`.
pub(super) fn read(
    root: &Path,
    boundary: &Arc<Boundary>,
    folder: Option<PathBuf>,
    problems: &mut Vec<Error>,
) -> (ModelConfig, Option<Arc<Configuration>>) {
    let budget = Budget::new(limits::MAX_CONFIG_TREES);
    // A configuration that is there and cannot be read is not the same as none.
    let mut unread = None;
    let mut passed = Vec::new();
    for place in folder.into_iter().chain([root.to_path_buf()]) {
        for (file, reading) in FILES {
            let path = place.join(file);
            if path.symlink_metadata().is_err() {
                continue;
            }
            let name = name_in(root, &path);
            let read = boundary.find(&path, name.clone()).and_then(|found| found.read_small(limits::MAX_CONFIG));
            match read.and_then(|bytes| parse(&path, &bytes, &budget)) {
                Ok((value, marked)) => match reading(value) {
                    Ok((value, notes)) => return facts(&path, boundary, name, value, notes, marked, &budget, problems),
                    Err(why) => passed.push(format!("{} {why}", escape_limited(&name, 80))),
                },
                Err(error) => {
                    let kv = KvLayers::Refused(format!("{} cannot be read: {}", escape_limited(&name, 80), error.message()));
                    unread.get_or_insert(ModelConfig { kv, ..ModelConfig::default() });
                    // Links to nothing and folders are told where the files are listed.
                    let told = problems.iter().any(|p| p.path() == Some(&path));
                    if !told && (path.is_file() || error.kind() == ErrorKind::OutsideFolder) {
                        problems.push(error);
                    }
                    // What stands behind an unreadable config.json is no stand-in for it.
                    break;
                }
            }
        }
    }
    (unread.unwrap_or_else(|| absent(root, &passed)), None)
}

/// Facts and configuration of one file that stands for a config.json.
///
/// # Errors
/// It cannot be read.
pub(super) fn of_file(found: &FoundFile) -> Result<(ModelConfig, Configuration)> {
    let bytes = found.read_small(limits::MAX_CONFIG)?;
    let (value, marked) = parse(&found.path, &bytes, &Budget::new(limits::MAX_CONFIG_TREES))?;
    let mut model = config::from_configuration(&value, "config.json");
    model.origin = Some(found.name.clone());
    model.notes.extend(marked.then(|| mark_note(&found.name)));
    Ok((model, Configuration { value, file: found.name.clone(), quantization_file: None }))
}

#[expect(clippy::too_many_arguments, reason = "the parts of one reading")]
fn facts(
    path: &Path,
    boundary: &Arc<Boundary>,
    file: String,
    mut value: Value,
    notes: Vec<String>,
    marked: bool,
    budget: &Budget,
    problems: &mut Vec<Error>,
) -> (ModelConfig, Option<Arc<Configuration>>) {
    let quantization_file = add_quantization(path, boundary, &mut value, budget, problems);
    let base = path.file_name().map_or("", |name| if name == params_json::FILE { params_json::FILE } else { "config.json" });
    let mut model = config::from_configuration(&value, base);
    model.origin = Some(file.clone());
    if let Some(cache) = model.stated_cache.as_mut() {
        cache.file = quantization_file.unwrap_or(base).to_owned();
    }
    model.notes.extend(notes);
    model.notes.extend(marked.then(|| mark_note(&file)));
    (model, Some(Arc::new(Configuration { value, file, quantization_file })))
}

/// Says that figures were read past a byte order mark.
pub(super) fn mark_note(file: &str) -> String {
    format!(
        "{} begins with a byte order mark (BOM): its figures are read past it, but Python's json stops there, and with it transformers \
         and vLLM; save the file without it",
        escape_limited(file, 80)
    )
}

/// No configuration: what is here instead.
fn absent(root: &Path, passed: &[String]) -> ModelConfig {
    const TELLING: [&str; 3] = ["adapter_config.json", "model_index.json", "mmproj_config.json"];
    let mut here: Vec<String> = passed.to_vec();
    here.extend(TELLING.iter().filter(|name| root.join(name).is_file()).map(|name| format!("{name} is here")));
    let ModelConfig { kv: KvLayers::Refused(reason), .. } = ModelConfig::default() else { return ModelConfig::default() };
    let more = if here.is_empty() { String::new() } else { format!("; {}", here.join(", ")) };
    ModelConfig { kv: KvLayers::Refused(format!("{reason}{more}")), ..ModelConfig::default() }
}

/// Takes in a quantization that is stated beside the configuration, and gives the file it stands in. Files that are there and too large
/// are pushed to `problems`, so that they are not thought absent.
fn add_quantization(
    config: &Path,
    boundary: &Arc<Boundary>,
    value: &mut Value,
    budget: &Budget,
    problems: &mut Vec<Error>,
) -> Option<&'static str> {
    let object: &mut Map<String, Value> = value.as_object_mut().filter(|o| !o.contains_key("quantization_config"))?;
    for (name, reading) in BESIDE {
        let beside = config.with_file_name(name);
        let Ok(found) = boundary.find(&beside, String::new()) else { continue };
        match found.read_small(limits::MAX_CONFIG).and_then(|bytes| parse(&beside, &bytes, budget)) {
            Ok((file, _)) => {
                if let Some(quantization) = reading(file) {
                    object.insert("quantization_config".to_owned(), quantization);
                    return Some(name);
                }
            }
            Err(error) => problems.extend(Some(error).filter(|error| error.kind() == ErrorKind::Limit)),
        }
    }
    None
}

/// The configuration that stands for a folder, by name alone: its own, or that of the root.
pub(super) fn stated(root: &Path, boundary: &Arc<Boundary>, folder: &str) -> Option<Value> {
    let places = [root.join(folder), root.to_path_buf()];
    let files = places.iter().flat_map(|place| FILES.map(|(file, reading)| (place.join(file), reading)));
    let (path, reading) = files.into_iter().find(|(path, _)| path.is_file())?;
    let budget = Budget::new(limits::MAX_CONFIG_TREES);
    let bytes = boundary.find(&path, String::new()).and_then(|found| found.read_small(limits::MAX_CONFIG)).ok()?;
    reading(parse(&path, &bytes, &budget).ok()?.0).ok().map(|(value, _)| value)
}

fn parse(path: &Path, bytes: &[u8], budget: &Budget) -> Result<(Value, bool)> {
    python_json_past_mark(bytes, budget).map_err(|error| error.with_path(path))
}
