//! Metadata keys: what each takes in the file, each key once, and the numbers that engines build a model from.

use std::collections::BTreeMap;

use crate::format::{Metadata, MetadataValue};

/// The keys of a converted file.
#[derive(Debug, Clone, Default)]
pub(super) struct Keys {
    /// Bytes of the values, their type included.
    values: BTreeMap<String, u64>,
    /// Numbers under the model's own keys, the prefix left out, where they are worked out.
    numbers: BTreeMap<String, MetadataValue>,
    /// Tokens of the vocabulary, once it is there.
    pub(super) tokens: Option<u64>,
    /// Prefix of the model's own keys.
    arch: String,
    /// Figures that the quantizer reads back.
    pub(super) block_count: u64,
    pub(super) head_count: Option<u64>,
    pub(super) head_count_kv: Option<u64>,
    pub(super) expert_count: u64,
}

impl Keys {
    pub(super) fn new(arch: &str) -> Self {
        let mut keys = Self { arch: arch.to_owned(), ..Self::default() };
        keys.text("general.architecture", arch.len() as u64);
        keys.text("general.type", "model".len() as u64);
        keys.number("general.quantization_version");
        keys
    }

    /// Adds a 32-bit number.
    pub(super) fn number(&mut self, key: impl Into<String>) {
        self.values.insert(key.into(), 4 + 4);
    }

    /// Adds a truth value.
    pub(super) fn flag(&mut self, key: impl Into<String>) {
        self.values.insert(key.into(), 4 + 1);
    }

    /// Adds a text of the given length; an empty one is not written.
    pub(super) fn text(&mut self, key: impl Into<String>, bytes: u64) {
        if bytes > 0 {
            self.values.insert(key.into(), (4 + 8u64).saturating_add(bytes));
        }
    }

    /// Adds an array by its number of elements and bytes of payload; an empty one is not written.
    pub(super) fn array(&mut self, key: impl Into<String>, elements: u64, payload: u64) {
        if elements > 0 {
            let key = key.into();
            if key == "tokenizer.ggml.tokens" {
                self.tokens = Some(elements);
            }
            self.values.insert(key, (4 + 4 + 8u64).saturating_add(payload));
        }
    }

    /// Adds an array of texts.
    pub(super) fn texts<'t>(&mut self, key: impl Into<String>, texts: impl Iterator<Item = &'t str>) {
        let (count, bytes) = texts.fold((0, 0), |(n, b), t| (n + 1, b + 8 + t.len() as u64));
        self.array(key, count, bytes);
    }

    /// Adds bytes to an existing key's value.
    pub(super) fn lengthen(&mut self, key: &str, bytes: u64) {
        if let Some(value) = self.values.get_mut(key) {
            *value = value.saturating_add(bytes);
        }
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.values.contains_key(key)
    }

    /// A key that is there and whose number is not known, among these names of the model's own keys.
    pub(super) fn without_number<'n>(&self, names: &[&'n str]) -> Option<&'n str> {
        names.iter().copied().find(|name| self.has(&self.own(name)) && !self.numbers.contains_key(*name))
    }

    /// The architecture and the known numbers, as a reader of the file finds them.
    pub(super) fn metadata(&self) -> Metadata {
        let mut metadata = Metadata::default();
        metadata.push_text("general.architecture".to_owned(), &self.arch, self.arch.len() as u64);
        for (name, value) in &self.numbers {
            metadata.push(self.own(name), value.clone());
        }
        metadata
    }

    /// Numbers under the model's own keys, the prefix left out.
    #[cfg(test)]
    pub(super) fn numbers(&self) -> &BTreeMap<String, MetadataValue> {
        &self.numbers
    }

    pub(super) fn remove(&mut self, key: &str) {
        self.values.remove(key);
    }

    /// Returns the full name of a key of the model's own.
    fn own(&self, name: &str) -> String {
        format!("{}.{name}", self.arch)
    }

    pub(super) fn model_number(&mut self, name: &str) {
        self.number(self.own(name));
    }

    fn note(&mut self, name: &str, value: Option<MetadataValue>) {
        match value {
            Some(value) => self.numbers.insert(name.to_owned(), value),
            None => self.numbers.remove(name),
        };
    }

    /// A 32-bit count; `None` where it is written and not known.
    pub(super) fn model_count(&mut self, name: &str, n: Option<u64>) {
        self.model_number(name);
        self.note(name, n.map(MetadataValue::Unsigned));
    }

    /// A 32-bit float; `None` where it is written and not known.
    pub(super) fn model_float(&mut self, name: &str, x: Option<f64>) {
        self.model_number(name);
        self.note(name, x.map(MetadataValue::Float));
    }

    pub(super) fn model_flag(&mut self, name: &str, is: bool) {
        self.flag(self.own(name));
        self.note(name, Some(MetadataValue::Bool(is)));
    }

    /// Adds an array of truth values.
    pub(super) fn model_flags(&mut self, name: &str, flags: &[bool]) {
        let n = flags.len() as u64;
        self.array(self.own(name), n, n);
        let flags: Vec<f64> = flags.iter().map(|&flag| f64::from(u8::from(flag))).collect();
        self.note(name, (n > 0).then_some(MetadataValue::Numbers(flags)));
    }

    /// Adds an array of 32-bit numbers.
    pub(super) fn model_array4(&mut self, name: &str, elements: u64) {
        self.array(self.own(name), elements, elements * 4);
    }

    pub(super) fn model_text(&mut self, name: &str, text: &str) {
        self.text(self.own(name), text.len() as u64);
    }

    pub(super) fn model_texts<'t>(&mut self, name: &str, texts: impl Iterator<Item = &'t str>) {
        self.texts(self.own(name), texts);
    }

    pub(super) fn blocks(&mut self, n: u64) {
        self.block_count = n;
        self.model_count("block_count", Some(n));
    }

    pub(super) fn heads(&mut self, n: u64) {
        self.head_count = Some(n);
        self.model_count("attention.head_count", Some(n));
    }

    pub(super) fn kv_heads(&mut self, n: u64) {
        self.head_count_kv = Some(n);
        self.model_count("attention.head_count_kv", Some(n));
    }

    pub(super) fn experts(&mut self, n: u64) {
        self.expert_count = n;
        self.model_count("expert_count", Some(n));
    }

    /// Bytes of a key and its value in the file.
    #[cfg(test)]
    pub(super) fn encoded(&self, key: &str) -> Option<u64> {
        self.values.get(key).map(|value| 8 + key.len() as u64 + value)
    }

    /// Lists the names of the keys.
    #[cfg(test)]
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    /// Bytes of all keys and values in the file.
    pub(super) fn bytes(&self) -> u64 {
        self.values.iter().fold(0, |n, (key, value)| n.saturating_add(8 + key.len() as u64).saturating_add(*value))
    }
}
