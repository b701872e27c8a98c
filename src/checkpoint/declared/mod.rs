//! The tensors that a `config.json` declares: names, types and shapes of a checkpoint whose weights are not here.
//!
//! The row of a family says how a family's classes (transformers ([`crate::pins::TRANSFORMERS_CODE`])) name and shape their
//! tensors. What a configuration leaves open is refused, naming the key. The result is read like a safetensors file that has a
//! header and no data.

mod asked_for;
mod decoder;
mod encoder;
mod experts;
mod packing;

pub(crate) use asked_for::{AskedFor, asked_for};

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::boundary::FoundFile;
use super::config::{self, ModelConfig};
use crate::checkpoint::configuration::mark_note;
use crate::dtype::Dtype;
use crate::error::{Error, ErrorKind, Result};
use crate::families;
use crate::format::{self, Budget, Container, Shape, limits, python_json_past_mark};
use crate::source::MemorySource;
use crate::text::escape_limited;
use crate::units::Elements;

/// Writes a family's tensors.
type Write = fn(&mut Declared<'_>) -> std::result::Result<(), String>;

/// What a word of the row does.
fn writer(word: families::family::Declared) -> Write {
    use families::family::Declared as Word;
    match word {
        Word::Llama => decoder::llama,
        Word::Mistral => decoder::mistral,
        Word::Qwen2 => decoder::qwen2,
        Word::Qwen3 => decoder::qwen3,
        Word::Gemma2 => decoder::gemma2,
        Word::Gemma3 => decoder::gemma3,
        Word::Phi3 => decoder::phi3,
        Word::Olmo2 => decoder::olmo2,
        Word::Mixtral => experts::mixtral,
        Word::Qwen3Moe => experts::qwen3_moe,
        Word::DeepseekV3 => experts::deepseek_v3,
        Word::GptOss => experts::gpt_oss,
        Word::Gpt2 => encoder::gpt2,
        Word::Bert => encoder::bert,
    }
}

/// Most tensors that are made of one configuration: twice those of the largest models of today.
const MAX_TENSORS: usize = 250_000;

/// A tensor to be.
#[derive(Debug, Clone)]
struct Row {
    name: String,
    dtype: Dtype,
    shape: Shape,
}

/// A list of tensors in the making.
struct Declared<'c> {
    model: &'c ModelConfig,
    config: &'c Map<String, Value>,
    /// Type of the floats.
    dtype: Dtype,
    rows: Vec<Row>,
}

impl Declared<'_> {
    fn add_as(&mut self, name: String, dtype: Dtype, shape: &[u64]) -> std::result::Result<(), String> {
        if self.rows.len() >= MAX_TENSORS {
            return Err(format!("config.json declares more than {MAX_TENSORS} tensors"));
        }
        self.rows.push(Row { name, dtype, shape: Shape::from_slice(shape) });
        Ok(())
    }

    fn add(&mut self, name: impl Into<String>, shape: &[u64]) -> std::result::Result<(), String> {
        self.add_as(name.into(), self.dtype, shape)
    }

    /// `NAME.weight`.
    fn weight(&mut self, module: &str, shape: &[u64]) -> std::result::Result<(), String> {
        self.add(format!("{module}.weight"), shape)
    }

    /// A linear layer, [out, in], with a bias where it has one.
    fn linear(&mut self, module: &str, rows: u64, columns: u64, bias: bool) -> std::result::Result<(), String> {
        self.weight(module, &[rows, columns])?;
        if bias { self.add(format!("{module}.bias"), &[rows]) } else { Ok(()) }
    }

    /// A whole number of the configuration.
    fn count(&self, key: &str) -> Option<u64> {
        self.config.get(key).and_then(Value::as_u64)
    }

    /// A whole number that must be there.
    fn need(&self, key: &str) -> std::result::Result<u64, String> {
        self.count(key).ok_or_else(|| format!("key `{key}` is missing in config.json"))
    }

    fn flag(&self, key: &str) -> bool {
        self.config.get(key).and_then(Value::as_bool).unwrap_or(false)
    }
}

/// A product that fits 64 bits.
fn times(a: u64, b: u64) -> std::result::Result<u64, String> {
    a.checked_mul(b).ok_or_else(|| "a size in config.json does not fit 64 bits".to_owned())
}

/// A figure of the model that must be known.
fn known(value: Option<u64>, what: &str) -> std::result::Result<u64, String> {
    value.filter(|&n| n > 0).ok_or_else(|| format!("key `{what}` is missing in config.json"))
}

/// What the configuration in a file declares, as a file without data, and the configuration.
///
/// # Errors
/// A configuration that cannot be read, of a family that is not known, or without a key that shapes depend on.
pub(super) fn read(file: &FoundFile) -> Result<(Container, ModelConfig, Value)> {
    let path = &file.path;
    let bytes = file.read_small(limits::MAX_CONFIG)?;
    let read = python_json_past_mark(&bytes, &Budget::new(limits::MAX_CONFIG_TREES));
    let (config, marked) = read.map_err(|error| error.with_path(path))?;
    drop(bytes);
    let mut model = config::from_config_json(&config);
    model.notes.extend(marked.then(|| mark_note("config.json")));
    let rows = rows(&config, &model).map_err(|why| {
        Error::new(ErrorKind::Unsupported, format!("the tensors of this configuration are not known: {why}"))
            .with_path(path)
            .help("give a folder with weights in it")
    })?;
    model.origin = Some("config.json".to_owned());
    let (head, length) = header(&rows)
        .ok_or_else(|| Error::new(ErrorKind::Limit, "the sizes that config.json declares do not fit 64 bits").with_path(path))?;
    let container = format::read(&MemorySource::head(path, head, length))?;
    Ok((container, model, config))
}

/// Logical parameters that a configuration declares; `None` where its tensors are not known.
pub(super) fn params(config: &Value, model: &ModelConfig) -> Option<u64> {
    let sizes = |row: &Row| row.shape.iter().fold(1u64, |n, &d| n.saturating_mul(d));
    Some(plain(config, model).ok()?.rows.iter().fold(0u64, |n, row| n.saturating_add(sizes(row))))
}

/// The shapes that a configuration declares, by name; `None` where its family is not known or a key is missing.
pub(super) fn shapes(config: &Value) -> Option<HashMap<String, Shape>> {
    let rows = rows(config, &config::from_config_json(config)).ok()?;
    Some(rows.into_iter().map(|row| (row.name, row.shape)).collect())
}

fn rows(config: &Value, model: &ModelConfig) -> std::result::Result<Vec<Row>, String> {
    packing::pack(plain(config, model)?)
}

/// The tensors before a quantization packs them.
fn plain<'c>(config: &'c Value, model: &'c ModelConfig) -> std::result::Result<Declared<'c>, String> {
    let config = config.as_object().ok_or("config.json is no JSON object")?;
    let family = config.get("model_type").and_then(Value::as_str).ok_or("key `model_type` is missing in config.json")?;
    let declared = families::by_model_type(family).and_then(|row| row.declared.iter().find(|(name, _)| *name == family));
    let (_, word) = declared.ok_or_else(|| format!("the family `{}` has no table of tensors here", escape_limited(family, 40)))?;
    let dtype = match model.stated_dtype.as_deref() {
        Some("float32") => Dtype::F32,
        Some("float16") => Dtype::F16,
        _ => Dtype::BF16,
    };
    let mut declared = Declared { model, config, dtype, rows: Vec::new() };
    writer(*word)(&mut declared)?;
    Ok(declared)
}

/// The header of a safetensors file with these tensors, and the length of the whole file.
fn header(rows: &[Row]) -> Option<(Vec<u8>, u64)> {
    let mut json = String::from("{\"__metadata__\":{\"format\":\"pt\"}");
    let mut offset = 0u64;
    for row in rows {
        let elements = row.shape.iter().try_fold(1u64, |n, &d| n.checked_mul(d))?;
        let end = offset.checked_add(row.dtype.bytes_of(Elements(elements))?.0)?;
        let name = serde_json::to_string(&row.name).ok()?;
        let shape: Vec<String> = row.shape.iter().map(u64::to_string).collect();
        let (dtype, shape) = (row.dtype.name()?, shape.join(","));
        json.push_str(&format!(",{name}:{{\"dtype\":\"{dtype}\",\"shape\":[{shape}],\"data_offsets\":[{offset},{end}]}}"));
        offset = end;
    }
    json.push('}');
    while json.len() % 8 != 0 {
        json.push(' ');
    }
    let mut bytes = (json.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(json.as_bytes());
    let length = offset.checked_add(bytes.len() as u64)?;
    Some((bytes, length))
}
