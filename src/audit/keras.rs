//! The description of a Keras model: the classes that it names, as JSON. Nothing is imported.
//!
//! Source: Keras 3, `src/saving/serialization_lib.py`: `deserialize_keras_object` imports what `module` and `class_name` name, and makes a function of
//! the marshalled code in a `__lambda__`.

use serde_json::Value;

use super::archive::{Directory, deflate};
use super::pickle::is_standard;
use super::raw_json::unescaped;
use crate::error::Result;
use crate::format::{Budget, limits, python_json};
use crate::source::{Source, read_exact_at};

/// Longest description that is looked into.
const MAX_DESCRIPTION: u64 = 16 << 20;
/// Bytes of an HDF5 file in which Keras puts the description.
const HDF5_HEAD: u64 = 4 << 20;
/// First parts of the names of modules that Keras itself is made of.
const OWN: [&str; 9] =
    ["keras", "tf_keras", "tensorflow", "keras_nlp", "keras_hub", "keras_cv", "keras_core", "keras_tuner", "tensorflow_addons"];

/// What a description names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Description {
    /// Whether there is a layer made of Python code.
    pub(crate) has_code: bool,
    /// Classes and functions of other modules than Keras's: module and name.
    pub(crate) foreign: Vec<(String, String)>,
}

impl Description {
    /// Of a Keras archive; `None` where its description cannot be read.
    ///
    /// # Errors
    /// Only what reading fails with.
    pub(crate) fn of_archive(source: &dyn Source, directory: &Directory) -> Result<Option<Self>> {
        let mut all = Self::default();
        let mut any = false;
        for entry in directory.entries.iter().filter(|e| e.name.to_ascii_lowercase().ends_with(b"config.json")) {
            let text = if let Some((start, end)) = entry.stored(source)? {
                Some(bytes(source, start, end.min(start.saturating_add(MAX_DESCRIPTION)))?)
            } else if let Some((start, end)) = entry.deflated(source)? {
                let most = usize::try_from(MAX_DESCRIPTION).unwrap_or(0);
                let unpacked = deflate(source, start, end, most)?;
                unpacked.incomplete.is_none().then_some(unpacked.bytes)
            } else {
                None
            };
            let Some(text) = text else { return Ok(None) };
            any = true;
            all.add(&text);
        }
        Ok(any.then_some(all))
    }

    /// Of an HDF5 file, searched as text.
    ///
    /// # Errors
    /// Only what reading fails with.
    pub(crate) fn of_hdf5(source: &dyn Source) -> Result<Self> {
        let text = bytes(source, 0, source.len().min(HDF5_HEAD))?;
        Ok(Self { has_code: names_code(&text), foreign: Vec::new() })
    }

    fn add(&mut self, text: &[u8]) {
        match python_json(text, &Budget::new(limits::MAX_CONFIG_TREES)) {
            Ok(value) => self.walk(&value),
            // What is no JSON to us may be to a loader.
            Err(_) => self.has_code |= names_code(text),
        }
    }

    fn walk(&mut self, value: &Value) {
        let mut left = vec![value];
        while let Some(value) = left.pop() {
            match value {
                Value::Array(list) => left.extend(list),
                Value::Object(map) => {
                    let text = |key: &str| map.get(key).and_then(Value::as_str);
                    let name = text("class_name").unwrap_or_default();
                    self.has_code |= matches!(name, "Lambda" | "__lambda__" | "__numpy__pickle__");
                    let function = text("config").filter(|_| name == "function");
                    if let Some(module) = text("module").filter(|module| is_foreign(module, name)) {
                        let one = (module.to_owned(), function.unwrap_or(name).to_owned());
                        if self.foreign.len() < 100 && !self.foreign.contains(&one) {
                            self.foreign.push(one);
                        }
                    }
                    left.extend(map.values());
                }
                _ => {}
            }
        }
    }

    /// Whether something that it names is of Python's own library.
    pub(crate) fn is_harmful(&self) -> bool {
        self.foreign.iter().any(|(module, _)| is_standard(module))
    }
}

/// Whether a class or function is none of Keras's. Functions by their registered names stand under `builtins`.
fn is_foreign(module: &str, name: &str) -> bool {
    let first = module.split('.').next().unwrap_or(module);
    let is_registered = module == "builtins" && matches!(name, "function" | "type");
    !OWN.contains(&first) && !is_registered
}

fn names_code(text: &[u8]) -> bool {
    let text = unescaped(&String::from_utf8_lossy(text));
    ["\"Lambda\"", "\"__lambda__\""].iter().any(|word| text.contains(word))
}

fn bytes(source: &dyn Source, start: u64, end: u64) -> Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(end.saturating_sub(start)).unwrap_or(0)];
    read_exact_at(source, start, &mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Description {
        let mut found = Description::default();
        found.add(text.as_bytes());
        found
    }

    #[test]
    fn code_and_modules_are_found_however_they_are_spelled() {
        for text in [
            r#"{"config":{"layers":[{"class_name":"Lambda"}]}}"#,
            r#"{"class_name":"\u004cambda"}"#,
            r#"{"config":{"fn":{"class_name":"__lambda__","config":{"value":"4wEAAA"}}}}"#,
            r#"{"class_name":"Lambda","#,
        ] {
            assert!(of(text).has_code, "{text}");
        }
        let healthy = r#"{"module":"keras","class_name":"Sequential","config":{"layers":[{"module":"keras.layers","class_name":"Dense","registered_name":null,
            "config":{"activation":{"module":"builtins","class_name":"function","config":"my_relu"}}}]}}"#;
        assert_eq!(of(healthy), Description::default());
        let foreign =
            of(r#"[{"module":"os","class_name":"function","config":"system"},{"module":"mine.layers","class_name":"Attention"}]"#);
        assert_eq!(foreign.foreign.len(), 2);
        assert!(foreign.is_harmful() && !of(r#"{"module":"mine.layers","class_name":"Attention"}"#).is_harmful());
    }
}
