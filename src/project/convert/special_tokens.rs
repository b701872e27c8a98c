//! Special tokens, chat templates and normalizer flags.
//!
//! Source: `SpecialVocab` of gguf-py: names of tokenizer_config.json looked up among the added tokens of tokenizer.json, then the
//! numbers of config.json; whether they are added is read off the post-processor.

use std::collections::{BTreeMap, HashSet};

use serde_json::{Map, Value};

use super::keys::Keys;
use crate::checkpoint::HfFolder;
use crate::checkpoint::sidecar::ChatTemplate;

/// Kinds that are looked for, in order.
const KINDS: [&str; 7] = ["bos", "eos", "unk", "sep", "pad", "cls", "mask"];

/// Kinds that have a key of their own: cls, prefix, suffix and their like are dropped.
const WRITTEN: [(&str, &str); 8] = [
    ("bos", "bos_token_id"),
    ("eos", "eos_token_id"),
    ("unk", "unknown_token_id"),
    ("sep", "seperator_token_id"),
    ("pad", "padding_token_id"),
    ("mask", "mask_token_id"),
    ("eot", "eot_token_id"),
    ("eom", "eom_token_id"),
];

/// Kinds that have a flag of their own.
const FLAGS: [&str; 3] = ["bos", "eos", "sep"];

struct Special<'f> {
    folder: &'f HfFolder,
    kinds: Vec<&'static str>,
    /// `tokenizer_config.json`, with what the post-processor adds to it.
    config: Option<Map<String, Value>>,
    adds: BTreeMap<&'static str, bool>,
    lowercase: bool,
    strip_accents: bool,
}

/// Adds the special tokens to the keys.
///
/// # Errors
/// Why the converter stops.
pub(super) fn add(keys: &mut Keys, folder: &HfFolder, merges: bool, vocab: Option<u64>) -> Result<(), String> {
    let config = folder.tokenizer_config.clone().filter(|map| !map.is_empty());
    let mut special =
        Special { folder, kinds: KINDS.to_vec(), config, adds: BTreeMap::new(), lowercase: false, strip_accents: false };
    if merges {
        let own = folder.tokenizer.as_ref().map(|t| t.merges).filter(|m| m.count > 0);
        let merges = own.or(folder.merges).unwrap_or_default();
        keys.array("tokenizer.ggml.merges", merges.count, merges.bytes.saturating_add(8 * merges.count));
    }
    if let Some(tokenizer) = &folder.tokenizer {
        special.normalizer(&tokenizer.normalizer, 0);
        special.post_processor(&tokenizer.post_processor);
    }
    let ids = special.ids(vocab)?;
    for (kind, key) in WRITTEN {
        if ids.contains(&kind) {
            keys.number(format!("tokenizer.ggml.{key}"));
        }
    }
    for kind in FLAGS.iter().filter(|kind| special.adds.contains_key(*kind)) {
        keys.flag(format!("tokenizer.ggml.add_{kind}_token"));
    }
    special.chat_template(keys);
    if special.lowercase {
        keys.flag("tokenizer.ggml.normalizer.lowercase");
    }
    if special.strip_accents {
        keys.flag("tokenizer.ggml.normalizer.strip_accents");
    }
    Ok(())
}

/// The name in a `SpecialToken` part of a template.
fn token_of(part: Option<&Value>) -> Option<&str> {
    part?.get("SpecialToken")?.get("id")?.as_str().filter(|id| !id.is_empty())
}

impl Special<'_> {
    fn normalizer(&mut self, normalizer: &Value, depth: usize) {
        let set = |key: &str| normalizer.get(key).is_some_and(|v| !v.is_null());
        match normalizer.get("type").and_then(Value::as_str) {
            Some("Lowercase") => self.lowercase = true,
            Some("StripAccents") => self.strip_accents = true,
            Some("BertNormalizer") => {
                // A null takes back what was found before.
                if normalizer.get("lowercase").is_some() {
                    self.lowercase = set("lowercase");
                }
                if normalizer.get("strip_accents").is_some() {
                    self.strip_accents = set("strip_accents");
                }
            }
            Some("Sequence") if depth < 16 => {
                for inner in normalizer.get("normalizers").and_then(Value::as_array).into_iter().flatten() {
                    self.normalizer(inner, depth + 1);
                }
            }
            _ => {}
        }
    }

    fn named(&self, key: &str) -> Option<Value> {
        let value = self.config.as_ref()?.get(key)?;
        let given = match value {
            Value::Null | Value::Bool(false) => false,
            Value::String(s) => !s.is_empty(),
            _ => true,
        };
        given.then(|| value.clone())
    }

    fn set_config(&mut self, key: &str, value: Option<Value>) {
        if let Some(config) = &mut self.config {
            config.insert(key.to_owned(), value.unwrap_or(Value::Null));
        }
    }

    fn post_processor(&mut self, processor: &Value) {
        let mut bos = self.named("bos_token");
        let mut cls = self.named("cls_token");
        let mut eos = self.named("eos_token");
        let mut sep = self.named("sep_token");
        if bos.is_none() && cls.is_some() {
            bos.clone_from(&cls);
            self.set_config("bos_token", bos.clone());
        }
        if eos.is_none() && sep.is_some() {
            eos.clone_from(&sep);
            self.set_config("eos_token", eos.clone());
        }
        if !processor.is_object() {
            return;
        }
        let alone = vec![processor.clone()];
        let processors = processor.get("processors").and_then(Value::as_array).unwrap_or(&alone);
        for processor in processors {
            match processor.get("type").and_then(Value::as_str) {
                Some("ByteLevel") => {
                    self.adds.entry("bos").or_insert(false);
                    self.adds.entry("eos").or_insert(false);
                }
                Some("RobertaProcessing") => {
                    for kind in FLAGS {
                        self.adds.insert(kind, true);
                    }
                    let first = |key: &str| processor.get(key).and_then(|v| v.get(0)).cloned();
                    if cls.is_none() && self.config.is_some() {
                        cls = first("cls").or_else(|| bos.clone());
                        self.set_config("cls_token", cls.clone());
                    }
                    if sep.is_none() && self.config.is_some() {
                        sep = first("sep").or_else(|| eos.clone());
                        self.set_config("sep_token", sep.clone());
                    }
                }
                Some("TemplateProcessing") => {
                    let list = |key: &str| processor.get(key).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
                    let (single, pair) = (list("single"), list("pair"));
                    let (mut leading, mut trailing) = (None, None);
                    if single.len() > 1 {
                        leading = token_of(single.first());
                        if let Some(token) = leading {
                            let is = |v: &Option<Value>| v.as_ref().and_then(Value::as_str) == Some(token);
                            if self.config.is_none() {
                                bos = Some(token.into());
                            } else if !is(&bos) && !is(&cls) {
                                if bos.is_none() {
                                    bos = Some(token.into());
                                    self.set_config("bos_token", bos.clone());
                                }
                                if cls.is_none() {
                                    cls = Some(token.into());
                                    self.set_config("cls_token", cls.clone());
                                }
                            }
                            let is = |v: &Option<Value>| v.as_ref().and_then(Value::as_str) == Some(token);
                            self.adds.insert("bos", is(&bos) || is(&cls));
                        }
                        trailing = token_of(single.last());
                        if let Some(token) = trailing {
                            let is = |v: &Option<Value>| v.as_ref().and_then(Value::as_str) == Some(token);
                            if self.config.is_none() {
                                eos = Some(token.into());
                            } else if !is(&eos) {
                                if !self.kinds.contains(&"eot") {
                                    self.kinds.push("eot");
                                    self.set_config("eot_token", eos.clone());
                                } else if !self.kinds.contains(&"eom") {
                                    self.kinds.push("eom");
                                    self.set_config("eom_token", eos.clone());
                                }
                                eos = Some(token.into());
                                self.set_config("eos_token", eos.clone());
                            }
                            self.adds.insert("eos", eos.as_ref().and_then(Value::as_str) == Some(token));
                        }
                    }
                    self.separator(pair, leading, trailing, &sep, &eos);
                }
                _ => {}
            }
        }
    }

    /// Whether the template of a pair stands a separator between its two texts.
    fn separator(
        &mut self,
        pair: &[Value],
        leading: Option<&str>,
        trailing: Option<&str>,
        sep: &Option<Value>,
        eos: &Option<Value>,
    ) {
        if pair.is_empty() {
            return;
        }
        let start = usize::from(leading.is_some() && token_of(pair.first()) == leading);
        let cut = usize::from(trailing.is_some() && token_of(pair.last()) == trailing);
        let Some(middle) = pair.get(start..pair.len().saturating_sub(cut)).filter(|m| !m.is_empty()) else { return };
        let text = |part: Option<&Value>| part?.get("Sequence")?.get("id")?.as_str().map(str::to_owned);
        if text(middle.first()).as_deref() != Some("A") || text(middle.last()).as_deref() != Some("B") || middle.len() < 3 {
            return;
        }
        let middle = &middle[1..middle.len() - 1];
        let known = |part: Option<&Value>| {
            token_of(part).is_some_and(|t| [sep, eos].iter().any(|v| v.as_ref().and_then(Value::as_str) == Some(t)))
        };
        let adds = (known(middle.first()) && trailing.is_none()) || (middle.len() == 2 && known(middle.get(1)));
        self.adds.insert("sep", adds);
        if adds && sep.is_none() {
            self.set_config("sep_token", eos.clone());
        }
    }

    /// Kinds with a known number.
    fn ids(&mut self, vocab: Option<u64>) -> Result<Vec<&'static str>, String> {
        let mut found = Vec::new();
        let mut set = |kind: &'static str, id: i64| {
            if id < 0 {
                return Err(format!("config.json has {id} for {kind}_token_id: the converter stops"));
            }
            if vocab.is_none_or(|n| (id as u64) < n) && !found.contains(&kind) {
                found.push(kind);
            }
            Ok(())
        };
        if let Some(config) = &self.config {
            let added = self.folder.tokenizer.as_ref().map_or(&[][..], |t| t.added.as_slice());
            for kind in &self.kinds {
                if let Some(Value::Bool(adds)) = config.get(&format!("add_{kind}_token")) {
                    self.adds.entry(kind).or_insert(*adds);
                }
                let text = match config.get(&format!("{kind}_token")) {
                    Some(Value::String(text)) => text,
                    Some(Value::Object(map)) => match map.get("content") {
                        Some(Value::String(text)) => text,
                        _ => continue,
                    },
                    _ => continue,
                };
                if let Some(token) = added.iter().find(|t| t.content == *text) {
                    set(kind, i64::try_from(token.id).unwrap_or(i64::MAX))?;
                }
            }
        }
        let model = &self.folder.config;
        for kind in &self.kinds {
            let key = format!("{kind}_token_id");
            let inner = || model.get("text_config").and_then(|t| t.get(&key));
            // Lists of numbers are passed over.
            if let Some(id) = model.get(&key).filter(|v| !v.is_null()).or_else(inner).and_then(Value::as_i64) {
                set(kind, id)?;
            }
        }
        Ok(found)
    }

    fn chat_template(&self, keys: &mut Keys) {
        let Some(config) = self.config.as_ref().filter(|_| self.folder.tokenizer_config.is_some()) else { return };
        let named = |keys: &mut Keys, templates: &[(String, u64)]| {
            let (mut names, mut seen): (Vec<String>, HashSet<String>) = Default::default();
            for (name, bytes) in templates {
                let name: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
                if name == "default" {
                    keys.text("tokenizer.chat_template", *bytes);
                } else if !name.is_empty() {
                    keys.text(format!("tokenizer.chat_template.{name}"), *bytes);
                    if seen.insert(name.clone()) {
                        names.push(name);
                    }
                }
            }
            keys.texts("tokenizer.chat_templates", names.iter().map(String::as_str));
        };
        match (config.get("chat_template"), &self.folder.chat_template) {
            (Some(Value::String(text)), _) => keys.text("tokenizer.chat_template", text.len() as u64),
            (Some(Value::Array(templates)), _) => {
                let text = |t: &Value, key: &str| t.get(key).and_then(Value::as_str).map(str::to_owned);
                let all: Vec<(String, u64)> = templates
                    .iter()
                    .filter_map(|t| Some((text(t, "name").unwrap_or_default(), text(t, "template")?.len() as u64)))
                    .collect();
                named(keys, &all);
            }
            (Some(_), _) => {}
            (None, Some(ChatTemplate::One(bytes))) => keys.text("tokenizer.chat_template", *bytes),
            (None, Some(ChatTemplate::Named(templates))) => named(keys, templates),
            (None, None) => {}
        }
    }
}
